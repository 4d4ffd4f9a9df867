"""What can go wrong, said in two lines: what is wrong and what to do about it.

Every error that a user can cause is one of these. The command line prints `error:` and `hint:` and
leaves with the class's exit code; nothing else in the project chooses an exit code.
"""

from __future__ import annotations

#: Exit codes of every command, and what they mean.
EXIT_CODES: dict[int, str] = {
    0: "done",
    1: "failed",
    2: "wrong usage",
    3: "done, but some rows were rejected",
    4: "model or data not found",
    5: "model not usable",
    130: "interrupted",
    141: "the reader of standard output went away",
}
REJECTED, INTERRUPTED, CLOSED_PIPE = 3, 130, 141


class DeepfieldError(Exception):
    """A failure with a remedy.

    Args:
        message: what is wrong, with the value and the place.
        hint: what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or "run the command with --debug to see where this came from"

    def __str__(self) -> str:
        """Both lines, as a program that catches the error wants to log them."""
        return f"{self.message} ({self.hint})"


class UsageError(DeepfieldError):
    """A flag, argument or value that makes no sense."""

    exit_code = 2


class NotFound(DeepfieldError):
    """A model, a file or a data set that is not there."""

    exit_code = 4


class UnusableModel(DeepfieldError):
    """A bundle that is damaged, of another version or of another domain."""

    exit_code = 5


class BadInput(Exception):
    """One sample that cannot be answered. It costs its own row, never the run.

    Args:
        reason: in the words of the field, with the value: `"truncated JPEG: 312 of 2048 rows"`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def shortened(text: str, most: int = 60) -> str:
    """A text of at most `most` characters: a value that an error or a picture shows.

    Example:
        >>> shortened("CCCCCCCCCC", 6)
        'CCCCC…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"

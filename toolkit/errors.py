"""What can go wrong, said in two lines: what is wrong and what to do about it.

Every error that a user can cause is one of these. The command line prints `error:` and `hint:` and
leaves with the class's exit code; nothing else in the project chooses an exit code.
"""

from __future__ import annotations

import difflib
import errno
import zlib
from collections import Counter
from collections.abc import Iterable

#: What a damaged compressed file raises, wherever it is noticed.
BROKEN = (EOFError, OSError, zlib.error)

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
#: The source of rows that a program has in its hands.
ROWS = "the rows"


#: No room on the device, none left of what this user may have, and no larger file allowed.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


class Interrupted(DeepfieldError):
    """The user has stopped a command."""

    exit_code = INTERRUPTED


class BadInput(Exception):
    """One sample that cannot be answered. It costs its own row, never the run.

    Args:
        reason: in the words of the field, with the value: `"truncated JPEG: 312 of 2048 rows"`.

    Example:
        >>> BadInput("truncated JPEG: 312 of 2048 rows").reason
        'truncated JPEG: 312 of 2048 rows'
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


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names as an error shows them: the first ones, and how many more there are.

    Example:
        >>> listed(["a", "b", "c", "d"], 2)
        'a, b and 2 more'
    """
    told = list(map(str, names))
    shown = ", ".join(told[:most]) or "none"
    return f"{shown} and {len(told) - most} more" if len(told) > most else shown


def names_for(wrong: str, known: Iterable[str]) -> str:
    """A hint for a name that is none of those known: the near ones first, whatever stands before
    a slash.

    Example:
        >>> names_for("babi_10", ["qa/story", "qa/babi_10k"])
        'did you mean qa/babi_10k? there are qa/story, qa/babi_10k'
        >>> names_for("x", ["qa/story"])
        'there are qa/story'
    """
    bare = {name.rpartition("/")[2]: name for name in known}
    near = near_names(wrong.rpartition("/")[2], bare)
    return f"{did_you_mean(bare[name] for name in near)}there are {', '.join(bare.values())}"


def near_names(wrong: str, known: Iterable[str]) -> list[str]:
    """Up to three of the known names that are like a wrong one, the nearest first.

    Example:
        >>> near_names("lenet", ["lenet5", "small_cnn"])
        ['lenet5']
    """
    return difflib.get_close_matches(wrong, list(known), n=3, cutoff=0.5)


def did_you_mean(near: Iterable[str]) -> str:
    """The beginning of a hint that names what may be meant; empty where nothing is near.

    Example:
        >>> did_you_mean(["lenet5"]), did_you_mean([])
        ('did you mean lenet5? ', '')
    """
    names = ", ".join(near)
    return f"did you mean {names}? " if names else ""


def commonest(faults: Counter[str], only: str = "") -> str:
    """What most of those that were rejected lack, and how many these are; empty if none was.

    Args:
        faults: how many have each.
        only: the name of the one, where there is one.

    Example:
        >>> commonest(Counter({"no label": 12, "truncated PNG": 1}))
        '12: no label'
    """
    if only and faults.total() == 1:
        return f"{only}: {next(iter(faults))}"
    return "".join(f"{times:,}: {fault}" for fault, times in faults.most_common(1))


def first_line(error: BaseException) -> str:
    """The first line of what a foreign error says, not all of a long one; its kind if it says
    nothing.

    Example:
        >>> first_line(ValueError("no such axis")), first_line(KeyError())
        ('no such axis', 'KeyError')
    """
    # str() of a KeyError puts it in quotes
    said = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = (line.strip()[:200] for line in said.splitlines())
    return next(filter(None, lines), type(error).__name__)


def called(source: str) -> str:
    """What a source is called in an error.

    Example:
        >>> called("-"), called("a.csv")
        ('standard input', "'a.csv'")
    """
    return {"-": "standard input", ROWS: ROWS}.get(source, repr(source))


def no_rows(source: str) -> UsageError:
    """What to say of a table that is a header alone."""
    return UsageError(f"{called(source)} has a header, but no rows", "give it a row a sample")


def of_another_domain(model: str, found: str, wanted: str | None) -> UnusableModel:
    """What to say of a model that a command of another domain is given, or of no domain here."""
    if wanted is None:
        return UnusableModel(
            f"{model!r} is a model of {found!r}, a domain that is not installed here",
            "load it with the class that made it",
        )
    return UnusableModel(
        f"{model!r} is a {found} model, not {wanted}", f"use `deepfield {found}` with it"
    )


def unreadable(source: str, error: Exception) -> DeepfieldError:
    """What to say of a file that cannot be read: the system forbids it, or it is damaged.

    Example:
        >>> print(unreadable("a.csv", PermissionError(13, "Permission denied")))
        'a.csv' cannot be read: Permission denied (check its permissions and the disk)
        >>> print(unreadable("a.csv.gz", EOFError("the end is missing")))
        'a.csv.gz' cannot be read: the end is missing (copy it again)
    """
    refused = getattr(error, "strerror", None)
    if refused:
        return DeepfieldError(
            f"{source!r} cannot be read: {refused}", "check its permissions and the disk"
        )
    return UsageError(f"{source!r} cannot be read: {error}", "copy it again")

"""The domain's own verb: `transcribe` recordings."""

from __future__ import annotations

from typing import Any

FORMS = ("txt", "json", "srt", "vtt", "tsv")


def transcribe(cls: Any, load: Any, sources: tuple[str, ...], flags: Any) -> int:
    """Write what recordings say."""
    raise NotImplementedError

"""A transcript in the forms that other programs read: text, JSON, SRT, WebVTT, TSV."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

#: A subtitle ends at a pause of so many seconds, or when it is that long in letters or seconds.
PAUSE_S, LETTERS, LONGEST_S = 0.7, 84, 6.0
_LINE = 42
_SHORTEST_S = 0.3

Word = Mapping[str, Any]


def lines_of(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Words as subtitles: `{"start", "end", "text"}`, in seconds."""
    groups: list[list[Word]] = []
    for word in words:
        last = groups[-1] if groups else None
        if (
            last
            and word["start"] - last[-1]["end"] < PAUSE_S
            and word["end"] - last[0]["start"] <= LONGEST_S
            and sum(len(w["word"]) + 1 for w in last) + len(word["word"]) <= LETTERS
        ):
            last.append(word)
        else:
            groups.append([word])
    found: list[dict[str, Any]] = []
    for i, group in enumerate(groups):
        start, end = float(group[0]["start"]), float(group[-1]["end"])
        until = float(groups[i + 1][0]["start"]) if i + 1 < len(groups) else end + _SHORTEST_S
        end = max(end, min(start + _SHORTEST_S, until))  # seen, but not into the next one
        found.append({"start": start, "end": end, "text": " ".join(w["word"] for w in group)})
    return found


def clock(seconds: float, comma: str = ",") -> str:
    """Hours, minutes, seconds, milliseconds.

    Example:
        >>> clock(3725.0406)
        '01:02:05,041'
    """
    whole = round(1000 * seconds)
    rest, milliseconds = divmod(whole, 1000)
    minutes, rest = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}{comma}{milliseconds:03}"


def _wrapped(text: str) -> str:
    """In two lines of about equal length, if it is too long for one."""
    if len(text) <= _LINE:
        return text
    places = [i for i, c in enumerate(text) if c == " "]
    if not places:
        return text
    middle = min(places, key=lambda i: abs(i - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def txt(told: Mapping[str, Any]) -> str:
    """The text alone."""
    return f"{told['text']}\n"


def as_json(told: Mapping[str, Any]) -> str:
    """Everything, as one object."""
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def srt(told: Mapping[str, Any]) -> str:
    """SubRip: numbered blocks."""
    blocks = (
        f"{i}\n{clock(line['start'])} --> {clock(line['end'])}\n{_wrapped(line['text'])}\n"
        for i, line in enumerate(told["lines"], start=1)
    )
    return "\n".join(blocks)


def vtt(told: Mapping[str, Any]) -> str:
    """WebVTT."""
    return "\n".join(["WEBVTT\n", *_cues(told)])


def _cues(told: Mapping[str, Any]) -> Iterator[str]:
    for line in told["lines"]:
        start, end = clock(line["start"], "."), clock(line["end"], ".")
        text = _wrapped(line["text"]).replace("&", "&amp;").replace("<", "&lt;")
        yield f"{start} --> {end}\n{text}\n"


def tsv(told: Mapping[str, Any]) -> str:
    """Start and end in milliseconds, and the text, as whisper writes them."""
    rows = (
        f"{round(1000 * line['start'])}\t{round(1000 * line['end'])}\t{line['text']}"
        for line in told["lines"]
    )
    return "\n".join(["start\tend\ttext", *rows]) + "\n"


#: Writers by the name of the form, which is the suffix of its files.
FORMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "txt": txt, "json": as_json, "srt": srt, "vtt": vtt, "tsv": tsv,
}  # fmt: skip

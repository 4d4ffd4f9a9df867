"""Reading recordings and their texts, from the forms in which people keep them.

A sample's data is a path, the bytes of a sound file, or a `Sound`; its target the text as it was
written, its group the speaker, so that no speaker is in two parts of a split. Nothing is decoded
here: a bad recording is told when it is encoded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deepfield.domains.speech.features import Sound
from deepfield.domains.speech.formants import conversations
from deepfield.domains.speech.wav_stream import WavStream
from deepfield.toolkit.cells import Rows, find_column, is_missing, looked_at, text_of_cell
from deepfield.toolkit.data import (
    Reader,
    Sample,
    numbered,
    read_rows,
)
from deepfield.toolkit.errors import BadInput, NotFound, UsageError
from deepfield.toolkit.found_files import (
    base_folder,
    column_of_paths,
    file_in,
    folders,
    holds,
    lines_of_paths,
    named,
    of_kind,
    walk,
)
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.paths import is_file_of, is_folder, is_there
from deepfield.toolkit.splits import PART_COLUMNS, PART_NAMES, part_named
from deepfield.toolkit.text_heads import SEVERAL, first_of, head_of_stdin, paths_or_table

#: How files of sound are called.
SUFFIXES = (
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".au",
    ".w64",
    ".sph",
    ".caf",
)
_STARTS = (b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b".snd",
           b"riff", b"NIST", b"caff")  # fmt: skip
#: What stands in no text.
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1f]")
_PATH = ("path", "file", "filename", "file_name", "audio", "audio_filepath", "wav")
_TEXT = ("text", "transcript", "transcription", "sentence", "label", "word", "wrd")
_SPEAKER = ("speaker", "speaker_id", "spk_id", "client_id", "group")
#: Options that name columns.
_COLUMNS = ("text", "speaker", "part")
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")  # NeMo's lines: .json
_TEXTS = (".txt",)
_TRANSCRIPTS = tuple(f"transcripts{suffix}" for suffix in _TABLES)

#: How the digits of FSDD are written.
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FSDD = re.compile(r"(?P<digit>\d)_(?P<speaker>[^_]+)_(?P<take>\d+)\.\w+$")
#: Folders that are not walked; Speech Commands keeps its noises, which are no words, so.
_SKIPPED = (".", "_")
#: Google's Speech Commands name a speaker's recordings by a hash.
_COMMANDS = re.compile(r"(?P<speaker>[0-9a-f]{8})_nohash_\d+\.wav$")


def is_sound_name(name: str) -> bool:
    """Whether a file's name is that of a recording; hidden files are none."""
    return named(name, SUFFIXES)


def is_sound(source: str) -> bool:
    """Whether a source is the file of one recording, by its name or its beginning."""
    return of_kind(source, is_sound_name, _begins_sound)


def _begins_sound(head: bytes) -> bool:
    return head.startswith(_STARTS) or (head[:4] == b"FORM" and head[8:11] == b"AIF")


# ------------------------------------------------------------------------------------ one by one


def _read_sound(source: str) -> Iterator[Sample]:
    yield _from_name(Path(source), Path(source).name, {})


def _from_name(path: Path, shown: str, columns: Mapping[str, str]) -> Sample:
    """A recording, with what its own name tells (FSDD)."""
    found = _FSDD.match(path.name)
    row: dict[str, Any] = {"path": shown, **columns}
    if found:
        row |= {"text": DIGITS[int(found["digit"])], "speaker": found["speaker"],
                "take": int(found["take"])}  # fmt: skip
    return Sample(
        shown, str(path), row.get("text"), row.get("speaker"), part=row.get("part"), row=row
    )


def _read_stdin(source: str, **options: str) -> Iterator[Sample]:
    """A recording, a table or lines of paths, as the first bytes say; they stay to be read."""
    head, text = head_of_stdin("pipe in a sound file, a table or lines of paths")
    if _begins_sound(head):
        if options:
            raise UsageError(
                "standard input is a sound file, without columns and paths",
                f"leave out {', '.join(f'--{name}' for name in options)}",
            )
        return iter([_piped(head)])
    if _BINARY.search(text.read()):
        raise UsageError(
            "standard input is no sound file",
            "wav, flac, ogg or mp3 can be piped, or a table, or lines of paths",
        )
    text.seek(0)
    return _read_text("-", first_of(text, SEVERAL), **options)


def pipes_sound() -> bool:
    """Whether standard input is a recording, rather than names of some; it stays to be read."""
    head = sys.stdin.buffer.peek(16)  # type: ignore[union-attr]
    return not head or _begins_sound(head)


def _piped(head: bytes) -> Sample:
    data: WavStream | bytes | None = None
    fault = None
    try:  # a wav is heard as it comes
        piped = head.startswith(b"RIFF")
        data = WavStream(sys.stdin.buffer) if piped else sys.stdin.buffer.read()
    except BadInput as error:
        fault = error.reason
    return Sample("-", data, row={"path": "-"}, fault=fault)


# --------------------------------------------------------------------------------------- folders


def _read_folder(source: str, **columns: str) -> Iterator[Sample]:
    root = Path(source)
    for name in _TRANSCRIPTS:
        if (root / name).is_file():
            yield from _read_manifest(str(root / name), **columns)
            return
    inside = sorted(folders(root), key=natural)
    sets = [root / name for name in inside if not name.startswith(_SKIPPED)]
    if any((folder / name).is_file() for folder in sets for name in _TRANSCRIPTS):
        for folder in sets:  # several sets side by side
            for sample in _read_folder(str(folder), **columns):
                sample.id = f"{folder.name}/{sample.id}"
                yield sample
        return
    if columns:
        raise UsageError(
            f"{source!r} has no {_TRANSCRIPTS[0]}, so no columns", "name a table, or no column"
        )
    if (root / "recordings").is_dir() and not holds(root, is_sound_name):
        root = root / "recordings"  # FSDD as it comes
    listed = _listed_parts(root)
    empty = True
    for names, fault in walk(root, is_sound_name, skipped=_SKIPPED):
        empty = False
        sample = _from_folders(root.joinpath(*names), names, listed)
        sample.fault = fault
        yield sample
    if empty:
        raise NotFound(
            f"no recording in {source!r}", f"looked for {' '.join(SUFFIXES)}, in its folders too"
        )


def _listed_parts(root: Path) -> dict[str, str]:
    """The parts that Speech Commands' lists name."""
    found: dict[str, str] = {}
    for part, name in (("valid", "validation_list.txt"), ("test", "testing_list.txt")):
        if (root / name).is_file():
            lines = (root / name).read_text(errors="replace").split()
            found |= dict.fromkeys(lines, part)
    return found


def _from_folders(path: Path, names: tuple[str, ...], listed: Mapping[str, str]) -> Sample:
    """A recording whose folder is its word, if it lies in one; above it may be the part."""
    shown, columns = "/".join(names), {}
    folders = list(names[:-1])
    if folders and folders[0].lower() in PART_NAMES:
        columns["part"] = PART_NAMES[folders.pop(0).lower()]
    elif listed:
        columns["part"] = listed.get(shown, "train")
    if folders and not _FSDD.match(path.name):
        word = folders[-1]
        columns["text"] = DIGITS[int(word)] if word.isdecimal() and len(word) == 1 else word
        speaker = _COMMANDS.match(path.name)
        if speaker:
            columns["speaker"] = speaker["speaker"]
    return _from_name(path, shown, columns)


# ---------------------------------------------------------------------------------------- tables


def _read_lines(source: str, root: str | None) -> Iterator[Sample]:
    for name, path, _ in lines_of_paths(source, root):
        sample = _from_name(Path(path), name, {})
        sample.fault = _no_file(path)
        yield sample


def _no_file(path: str) -> str | None:
    """That a path leads to a folder; what is wrong with a file is told when it is heard."""
    return "a folder, not a recording" if is_folder(path) else None


def _read_manifest(source: str, **options: Any) -> Iterator[Sample]:
    return _of_rows(source, read_rows(source), **options)


def _of_rows(
    source: str, rows: Rows, text: str | None = None, speaker: str | None = None,
    part: str | None = None, root: str | None = None, start: int = 1,
) -> Iterator[Sample]:  # fmt: skip
    folder = base_folder(source, root)
    names, _, rows = looked_at(rows)
    path = ""
    if names:
        path = column_of_paths(source, names, _PATH, "recordings")
        text = find_column(names, text, _TEXT, "the text")
        speaker = find_column(names, speaker, _SPEAKER, "the speaker")
        part = find_column(names, part, PART_COLUMNS, "the part")
    for number, (row, fault) in enumerate(rows, start):
        yield _from_row(number, row, fault, folder, path, text, speaker, part)


_read_text = paths_or_table(
    "sound file",
    is_sound_name,
    _PATH,
    (*_TEXT, *_SPEAKER, *PART_COLUMNS),
    _COLUMNS,
    _read_lines,
    _read_manifest,
)


def _from_row(
    number: int, row: dict[str, Any], fault: str | None, folder: Path, path: str, text: str | None,
    speaker: str | None, part: str | None,
) -> Sample:  # fmt: skip
    name, sound, row = file_in(row, path, folder, f"row {number}")
    if fault is None:
        fault = "no path" if sound is None else _no_file(sound) if isinstance(sound, str) else None
    target = row.get(text) if text else None
    who = row.get(speaker) if speaker else None
    return Sample(
        name or f"row {number}",
        sound,
        # a word may be called "none" or "-", but nothing is nothing
        None if target is None or not str(target).strip() else str(target),
        None if is_missing(who) else text_of_cell(who),
        part=part_named(row.get(part or "")),
        row={**row, **({"speaker": who} if who is not None else {})},
        fault=fault,
    )


def _is_table(source: str) -> bool:
    return is_file_of(source, _TABLES) or (is_file_of(source, _TEXTS) and not is_sound(source))


# ------------------------------------------------------------------------------ built-in, and TFDS


def _read_synthetic(source: str) -> Iterator[Sample]:
    """`synthetic`, `synthetic:COUNT`, `synthetic:COUNT:SEED`."""
    told = numbered(source, 120)
    if told is None or told.more:
        raise UsageError(f"{source!r} is no made-up set", "synthetic:COUNT:SEED")
    for index, (waveform, text, who) in enumerate(conversations(told.number, told.seed)):
        name = f"synthetic/{index}"
        row = {"path": name, "text": text, "speaker": who}
        yield Sample(name, Sound(waveform, 16000), text, who, row=row)


def _read_tfds(source: str) -> Iterator[Sample]:
    from deepfield.domains.speech.tfds import read_tfds

    return read_tfds(source)


def _shipped(name: str) -> Callable[[], str]:
    return lambda: str(Path(__file__).with_name("samples") / name)


#: `sample:NAME` to what it stands for.
SAMPLES: dict[str, Callable[[], str]] = {
    "voices": lambda: "synthetic:60:7",
    "said": _shipped("said.flac"),
}


def _accepts(prefix: str) -> Callable[[str], bool]:
    return lambda s: (s == prefix or s.startswith(f"{prefix}:")) and not is_there(s)


#: In the order in which they are asked.
READERS: tuple[Reader, ...] = (
    Reader(
        "synthetic",
        "synthetic[:COUNT[:SEED]] (voices that nobody has, words of a made-up language)",
        _accepts("synthetic"),
        _read_synthetic,
    ),
    Reader("tfds", "tfds:NAME[/config][:split]", lambda s: s.startswith("tfds:"), _read_tfds),
    Reader(
        "standard input",
        "- (a sound file, lines of paths, or a table)",
        lambda s: s == "-",
        _read_stdin,
        (*_COLUMNS, "root"),
    ),
    Reader(
        "folder",
        "a folder with a transcripts.tsv, or of such folders; a folder per word (train/valid/test"
        " above them are the parts); FSDD's digit_speaker_take.wav; recordings alone",
        is_folder,
        _read_folder,
        (*_COLUMNS, "root"),
    ),
    Reader(
        "manifest",
        "a CSV, TSV, JSONL or Parquet table with the columns path, and text, speaker, part;"
        " lines of paths (.txt)",
        _is_table,
        _read_text,
        (*_COLUMNS, "root"),
        rows=_of_rows,
    ),
    Reader("recording", "a wav, flac, ogg or mp3 file", is_sound, _read_sound),
)

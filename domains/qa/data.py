"""Reading stories and questions, from the forms in which people keep them.

Every reader yields a `Sample` a question: `data` is an `Asked` (the story as far as it was told,
and the question), `target` the answer as one text (several words joined by commas, as bAbI has
them), `group` its story, so that the questions of one story never straddle two parts. What is
broken costs its own questions, which say why; the others are read.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from deepfield.domains.qa.features import Asked, sentences_of, told_sentences, words_of
from deepfield.domains.qa.world import NAMES, simulate
from deepfield.toolkit.cells import Rows, find_column, is_missing, looked_at
from deepfield.toolkit.data import (
    Reader,
    Sample,
    numbered,
    read_json_lines,
    read_rows,
    rows_of,
    shipped,
)
from deepfield.toolkit.errors import (
    BROKEN,
    DeepfieldError,
    NotFound,
    UsageError,
    called,
    listed,
    unreadable,
)
from deepfield.toolkit.ordering import natural
from deepfield.toolkit.paths import is_file, is_file_of, is_folder, is_there
from deepfield.toolkit.separated import breaks_off, is_blank
from deepfield.toolkit.text_files import open_text
from deepfield.toolkit.text_heads import first_lines, first_of, header_cells

#: How the files of bAbI are called, and which part of the data they are.
_TASK_FILE = re.compile(r"(?P<task>.+?)_(?P<part>train|valid|test)\.txt(?:\.gz)?$", re.IGNORECASE)
_LINE = re.compile(r"\s*(\d+)\s+(\S.*)$")
_QUESTION_MARKS = ("?", "？", "؟", "⸮", "՞", "\u037e")
_BROKEN = (*BROKEN, tarfile.TarError)

_STORY = ("story", "context", "passage", "text")
_QUESTION, _ANSWER = ("question", "query"), ("answer", "answers", "label")
#: `sample:NAME` to the file that it stands for.
SAMPLES: dict[str, Callable[[], str]] = {
    name: lambda name=name: str(Path(__file__).with_name("samples") / f"{name}.txt")  # type: ignore[misc]
    for name in ("lotr", "babi")
}

_TABLES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")


# ------------------------------------------------------------------------------ bAbI's own form


@dataclass(slots=True)
class _Story:
    """A story while its lines are read."""

    number: int
    first: int
    sentences: list[str] = field(default_factory=list)
    lines: dict[int, int] = field(default_factory=dict)  # line number to place of the sentence
    last: int = 0
    questions: int = 0
    fault: str | None = None


def _read_lines(lines: Iterable[str], name: str, part: str | None) -> Iterator[Sample]:
    """Samples of numbered lines; `name` is the task's."""
    story: _Story | None = None
    stories = explained = 0
    end = None
    for at, line in enumerate(_whole(lines), start=1):
        if isinstance(line, Exception):
            end = breaks_off(at - 1, line)
            break
        text = line.strip("\r\n\ufeff")
        if is_blank(text):
            continue
        match = _LINE.match(text)
        if match is None:
            story = story or _Story(stories := stories + 1, at, fault="its beginning is missing")
            story.fault = story.fault or f"line {at} has no number: {text.strip()[:40]!r}"
            continue
        number, said = int(match[1]), match[2]
        if number == 1 or story is None:
            if story is not None and not story.questions:
                yield _without_question(story, name, part)
            story = _Story(stories := stories + 1, at)
            if number != 1:
                story.fault = f"its beginning is missing: the first line is number {number}"
        elif number <= story.last:
            story.fault = story.fault or f"line {at} is number {number}, after {story.last}"
        story.last = number
        if "\t" not in said and not said.rstrip().endswith(_QUESTION_MARKS):
            if words_of(said):
                story.lines[number] = len(story.sentences)
                story.sentences.append(said.strip())
            continue
        sample = _question(story, number, said, name, part)
        explained += bool(sample.data.supporting)
        if not line.endswith("\n") and explained and not sample.data.supporting:
            # all others name their supporting facts: this line stops before it comes to them
            sample.fault = sample.fault or f"the file breaks off in line {at}"
        story.questions += 1
        yield sample
    if end is not None:
        yield Sample(f"{name}:end", None, part=part, row=_row(name, None, None, None), fault=end)
    elif story is not None and not story.questions:
        yield _without_question(story, name, part)


def _question(story: _Story, number: int, said: str, name: str, part: str | None) -> Sample:
    question, answer, grounds, *_ = [cell.strip() for cell in said.split("\t")] + ["", ""]
    places = [story.lines.get(int(n), -1) for n in grounds.split() if n.isdecimal()]
    unclear = None
    if len(places) != len(grounds.split()) or -1 in places:
        unclear = f"supporting facts {grounds!r} are not lines of the story"
        places = []
    asked = Asked(tuple(story.sentences), question, tuple(places), name)
    return Sample(
        f"{name}:{story.number}:{number}",
        asked,
        answer or None,  # "none" and "nothing" are answers: `is_missing` must not be asked
        group=f"{name}:{part}:{story.number}",
        part=part,
        row=_row(name, story.number, question, answer or None),
        fault=story.fault and f"story {story.number}: {story.fault}",
        label_fault=unclear and f"story {story.number}: {unclear}",
    )


def _row(name: str, story: int | None, question: str | None, answer: str | None) -> dict[str, Any]:
    row = {"task": name, "story": story, "question": question}
    return row if answer is None else {**row, "answer": answer}


def _without_question(story: _Story, name: str, part: str | None) -> Sample:
    return Sample(
        f"{name}:{story.number}",
        Asked(tuple(story.sentences), "", task=name),
        group=f"{name}:{part}:{story.number}",
        part=part,
        row=_row(name, story.number, None, None),
        fault=f"story {story.number} has no question (line {story.first} and on)",
    )


def _whole(lines: Iterable[str]) -> Iterator[str | Exception]:
    """Lines, and what stopped them, if something did."""
    iterator = iter(lines)
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return
        except _BROKEN as error:
            yield error
            return


def _named(file_name: str) -> tuple[str, str | None]:
    """Task and part, as the name of a file tells them."""
    match = _TASK_FILE.match(file_name)
    if match is None:
        return file_name.partition(".")[0], None
    return match["task"], match["part"].lower()


def _read_file(source: str) -> Iterator[Sample]:
    with _opened(source) as lines:
        yield from _read_lines(lines, *_named(Path(source).name))


def _opened(source: str) -> TextIO:
    try:
        return open_text(source)
    except FileNotFoundError:
        raise NotFound(f"no such file: {source!r}", "check the path") from None
    except _BROKEN as error:
        raise unreadable(source, error) from None


def story_text(source: str) -> str:
    """The whole text of a file, gzipped or not, in any encoding; `-` is standard input, and
    `sample:NAME` a story that ships with the program.

    Raises:
        NotFound: no such file, no such sample.
        UsageError: it cannot be read, or is no text.
    """
    parts: list[str] = []
    with _opened(shipped(source, SAMPLES)) as stream:
        try:
            for line in stream:
                if "\0" in line:
                    raise UsageError(f"{called(source)} is no text", "a story is a text file")
                parts.append(line)
        except _BROKEN as error:
            raise unreadable(source, error) from None
    return "".join(parts)


def _first_line(source: str) -> str:
    """The first line that holds anything; empty where there is none, or no text."""
    try:
        (line,) = first_lines(source)
    except DeepfieldError:  # told when it is read
        return ""
    return "" if "\0" in line else line


def _is_numbered(source: str) -> bool:
    return is_file(source) and bool(_LINE.match(_first_line(source).lstrip("\ufeff")))


# -------------------------------------------------------------------- folders and archives of it


def _choose(source: str, editions: Mapping[str, Mapping[str, Any]], edition: str | None) -> Any:
    """The files of one of the editions (en, en-10k, …) that lie side by side.

    Of several, `en-10k,en`, a later one gives the files that those before it lack. A simulation is
    none of them: `_simulated` reads it.
    """
    if edition is None and len(editions) > 1:
        raise UsageError(f"{source!r} holds several editions", f"--edition: {_listed(editions)}")
    chosen: dict[str, Any] = {}
    for name in [*editions] if edition is None else edition.split(","):
        if _is_world(name):
            continue
        if name not in editions:
            raise NotFound(f"{source!r} has no edition {name!r}", _listed(editions))
        chosen = {**editions[name], **chosen}
    return [chosen[name] for name in sorted(chosen, key=natural)]


def _simulated(edition: str | None) -> Iterator[Sample]:
    """The stories of the simulations among editions, `en-10k,en,world:2000:1:babi`."""
    for name in (edition or "").split(","):
        if _is_world(name):
            yield from _read_world(name)


def _is_world(source: str) -> bool:
    return source.partition(":")[0] == "world"


def _listed(editions: Iterable[str]) -> str:
    return ", ".join(sorted(editions, key=natural))


def _read_folder(source: str, edition: str | None = None) -> Iterator[Sample]:
    editions: dict[str, dict[str, Path]] = {}
    for path in sorted(Path(source).rglob("*.txt*"), key=lambda p: natural(p.name)):
        if path.name[:1] != "." and (_TASK_FILE.match(path.name) or _is_numbered(str(path))):
            edition_of = path.parent.relative_to(source).name or "."
            editions.setdefault(edition_of, {})[path.name] = path
    if not editions:
        raise NotFound(f"no story in {source!r}", "looked for .txt files of numbered lines")
    for path in _choose(source, editions, edition):
        yield from _read_file(str(path))
    yield from _simulated(edition)


def _read_archive(source: str, edition: str | None = None) -> Iterator[Sample]:
    try:
        with tarfile.open(source) as archive:
            editions: dict[str, dict[str, tarfile.TarInfo]] = {}
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                if member.isfile() and _TASK_FILE.match(name):
                    editions.setdefault(folder.rpartition("/")[2] or ".", {})[name] = member
            if not editions:
                raise NotFound(f"no story in {source!r}", "looked for files like qa1_…_train.txt")
            for member in _choose(source, editions, edition):
                opened = archive.extractfile(member)
                assert opened is not None  # it is a file
                lines = io.TextIOWrapper(opened, "utf-8-sig", errors="replace", newline="")
                yield from _read_lines(lines, *_named(member.name.rpartition("/")[2]))
        yield from _simulated(edition)
    except _BROKEN as error:
        raise unreadable(source, error) from None


# ------------------------------------------------------------------------------ tables and JSON


def _read_table(source: str) -> Iterator[Sample]:
    if ".json" in [suffix.lower() for suffix in Path(source).suffixes]:
        return _read_rows(source, _json(source, story_text(source)))
    return _of_table(source, read_rows(source))


def _of_table(source: str, rows: Rows, start: int = 1) -> Iterator[Sample]:
    """Rows of a table, which must have stories and questions."""
    names, _, rows = looked_at(rows)
    for usual, what in ((_STORY, "stories"), (_QUESTION, "questions")):
        if names and find_column(names, None, usual, what) is None:
            hint = f"call it {', '.join(usual)}; its columns: {listed(names)}"
            raise UsageError(f"no column of {what} in {called(source)}", hint)
    yield from _read_rows(source, rows, start)


def _json(source: str, text: str) -> Rows:
    """Rows of a JSON array, of one object, or of JSON lines."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("{"):
            return read_json_lines(text.splitlines())
        raise UsageError(f"{source!r} is not JSON: {error}", "expected a list of objects") from None
    rows = whole if isinstance(whole, list) else [whole]
    return [
        (row, None) if isinstance(row, dict) else ({}, f"entry {i} is no object")
        for i, row in enumerate(rows, start=1)
    ]


def _read_rows(source: str, rows: Rows, start: int = 1) -> Iterator[Sample]:
    for number, (row, fault) in enumerate(rows, start):
        try:
            yield _from_row(number, row, fault)
        except ValueError as error:
            yield Sample(f"row {number}", None, row=row, fault=fault or str(error))


def _from_row(number: int, row: dict[str, Any], fault: str | None) -> Sample:
    def cell(usual: Sequence[str], what: str) -> Any:
        name = find_column(row, None, usual, what)
        return None if name is None else row[name]

    name = str(row.get("id") or f"row {number}")
    if fault is not None:
        return Sample(name, None, row=row, fault=fault)
    sentences = told_sentences(cell(_STORY, "the story"))
    question = cell(_QUESTION, "the question")
    if is_missing(question):
        raise ValueError("no question")
    if not isinstance(question, str):
        raise ValueError(f"question is {type(question).__name__}, expected a text")
    answer = cell(_ANSWER, "the answer")
    if isinstance(answer, list):
        answer = ",".join(str(word) for word in answer)
    told = "\n".join(sentences).encode("utf-8", "replace")
    places, unclear = _supporting(row, len(sentences))
    return Sample(
        name,
        Asked(sentences, question, places, str(row.get("task") or "")),
        None if answer is None or not str(answer).strip() else str(answer).strip(),
        group=hashlib.sha1(told, usedforsecurity=False).hexdigest()[:16],
        row=row,
        label_fault=unclear,
    )


def _supporting(row: Mapping[str, Any], count: int) -> tuple[tuple[int, ...], str | None]:
    """Places of sentences that are told by numbers, counted from 1 as in bAbI: a list, or a text
    of them; and what is wrong with these.
    """
    told = row.get("supporting")
    if told is None or told == "":
        return (), None
    numbers = re.split(r"[\s,]+", told.strip()) if isinstance(told, str) else told
    try:
        places = tuple(int(n) - 1 for n in numbers)
    except (TypeError, ValueError, OverflowError):
        return (), f"supporting is {told!r}, expected numbers of sentences"
    if any(not 0 <= place < count for place in places):
        return (), f"supporting is {told!r}, the story has {count} sentences"
    return places, None


# -------------------------------------------------------------- texts, standard input, simulation


def _read_text(source: str, question: str | Sequence[str] | None = None) -> Iterator[Sample]:
    return _ask_text(Path(source).name, story_text(source), question)


def _ask_text(name: str, text: str, question: str | Sequence[str] | None) -> Iterator[Sample]:
    """One sample a question."""
    questions = [question] if isinstance(question, str) else list(question or ())
    if not questions:
        raise UsageError(
            f"{name!r} is a story without a question", 'ask one: --question "Where …?"'
        )
    sentences = sentences_of(text)
    for number, asked in enumerate(questions, start=1):
        row = {"story": name, "question": asked}
        yield Sample(f"{name}:{number}", Asked(sentences, asked), group=name, row=row)


def _read_stdin(source: str, question: str | Sequence[str] | None = None) -> Iterator[Sample]:
    text = story_text(source)
    first = first_of(io.StringIO(text))[0].lstrip("\ufeff \t")
    if not first:
        raise UsageError("standard input is empty", "pipe a story, a table or JSON into it")
    if question is not None:
        return _ask_text("stdin", text, question)
    if first[:1] in ("{", "["):
        return _read_rows("stdin", _json("stdin", text))
    if _LINE.match(first):
        return _read_lines(io.StringIO(text), "stdin", None)
    heads = header_cells(first)
    if heads & {*_STORY} and heads & {*_QUESTION}:
        return _read_rows("stdin", rows_of("-", io.StringIO(text, newline="")))
    return _ask_text("stdin", text, None)


def _read_world(source: str) -> Iterator[Sample]:
    """`world`, `world:COUNT`, `world:COUNT:SEED`, `world:COUNT:SEED:NAMES`."""
    told = numbered(source, 200)
    if told is None or told.more not in ("", *NAMES):
        raise UsageError(
            f"{source!r} is no simulation", f"world:COUNT:SEED:NAMES, names of {', '.join(NAMES)}"
        )
    # bAbI's own stories of this kind end with their last question
    length = (250, 250) if told.more == "babi" else (4, 30)
    tales = simulate(told.number, told.seed, length, names=told.more or "mixed")
    for number, tale in enumerate(tales, start=1):
        for asked, answer in tale.asked():
            place = f"{number}:{len(asked.sentences)}"
            yield Sample(
                f"world:{place}",
                asked,
                answer,
                group=f"world:{told.seed}:{number}",
                row=_row(asked.task, number, asked.question, answer),
            )


def _is_archive(source: str) -> bool:
    path = Path(source)
    return is_file(path) and bool(re.search(r"\.(tar|tgz|tar\.\w+)$", path.name.lower()))


#: In the order in which they are asked.
READERS: tuple[Reader, ...] = (
    Reader(
        "world",
        "world[:COUNT[:SEED[:NAMES]]] (a simulated world; names usual, invented, mixed or babi)",
        lambda s: _is_world(s) and not is_there(s),
        _read_world,
    ),
    Reader(
        "standard input",
        "- (any of these forms; a plain text with --question)",
        lambda s: s == "-",
        _read_stdin,
        ("question",),
    ),
    Reader(
        "folder",
        "a folder of bAbI task files",
        is_folder,
        _read_folder,
        ("edition",),
    ),
    Reader("archive", "bAbI's .tar.gz", _is_archive, _read_archive, ("edition",)),
    Reader(
        "table",
        "JSON, JSONL, CSV, TSV or Parquet with story (a text or a list of sentences), question,"
        " and answer, supporting, task",
        lambda s: is_file_of(s, _TABLES),
        _read_table,
        rows=_of_table,
    ),
    Reader("bAbI", "a bAbI file: numbered lines, question TAB answer TAB lines", _is_numbered,
           _read_file),
    Reader(
        "text",
        "a plain text, with --question",
        is_file,
        _read_text,
        ("question",),
    ),
)  # fmt: skip

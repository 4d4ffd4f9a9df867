"""One HTML file that says everything: no network, no script, readable on a phone and at night."""

from __future__ import annotations

import base64
import html
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deepfield.toolkit.errors import DeepfieldError

_STYLE = """
:root { color-scheme: light dark; --text: #1d2430; --soft: #5b6573; --line: #d9dee5;
  --page: #ffffff; --card: #f5f7f9; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ee; --soft: #9aa5b4; --line: #343c48;
  --page: #14181e; --card: #1d232b; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; color: var(--text);
  background: var(--page); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1.5rem; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
nav { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; margin: 1.25rem 0; }
a { color: var(--accent); }
p { margin: .75rem 0; max-width: 44rem; white-space: pre-line; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .35rem .8rem .35rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; }
@media (max-width: 40rem) { .wide thead { display: none; }
  .wide tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .wide td { display: grid; grid-template-columns: 7rem 1fr; padding: 0; border: 0;
    text-align: left; overflow-wrap: anywhere; }
  .wide td:empty { display: none; }
  .wide td::before { content: attr(data-of); color: var(--soft); } }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1rem 0; }
dl div { background: var(--card); border-radius: .5rem; padding: .7rem .9rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
figure { margin: 1.25rem 0; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: .5rem; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .4rem; max-width: 44rem; }
@media print { body { max-width: none; } nav { display: none; }
  h2, h3, figure { break-inside: avoid; } }
"""

#: Columns that fit on a phone side by side.
_NARROW = 4


class Report:
    """A report that is written once, from top to bottom.

    Everything given is shown as text, never as markup. Every method returns the report, so that
    calls can be chained.

    Args:
        title: of the page.

    Example:
        >>> page = Report("Digits").section("Result").metrics({"accuracy": 0.9914, "n": 360})
        >>> "0.9914" in page.html()
        True
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []
        self._chapters: list[str] = []

    def chapter(self, title: str) -> Report:
        """Begin a chapter of sections; the page's head links to each."""
        self._chapters.append(title)
        return self._add(f'<h2 id="{_place(title)}">{_escape(title)}</h2>')

    def section(self, title: str) -> Report:
        """Begin a section, of the chapter where there is one, with a heading."""
        level = "h3" if self._chapters else "h2"
        return self._add(f"<{level}>{_escape(title)}</{level}>")

    def then(self, other: Report) -> Report:
        """Add what another report holds, but its title."""
        self._chapters += other._chapters
        self._parts += other._parts
        return self

    def text(self, text: str) -> Report:
        """Add a paragraph; line breaks are kept, empty lines part paragraphs."""
        for paragraph in text.strip().split("\n\n"):
            self._add(f"<p>{_escape(paragraph)}</p>")
        return self

    def metrics(self, values: Mapping[str, Any]) -> Report:
        """Add a grid of figures by name; nested mappings get names like `baseline accuracy`."""
        cells = "".join(
            f"<div><dt>{_escape(name)}</dt><dd>{_escape(_number(value))}</dd></div>"
            for name, value in _flat(values)
        )
        return self._add(f"<dl>{cells}</dl>")

    def table(
        self,
        rows: Iterable[Mapping[str, Any] | Sequence[Any]],
        columns: Sequence[str] | None = None,
    ) -> Report:
        """Add a table. On a phone, rows of more than four columns stand as blocks, a line a cell.

        Args:
            rows: mappings, of which `columns` are shown, or sequences in the order of `columns`.
            columns: headings; by default the keys of the rows, in order of first appearance.
        """
        rows = list(rows)
        if columns is None:
            keys = (key for row in rows if isinstance(row, Mapping) for key in row)
            columns = list(dict.fromkeys(keys))
        cells = [
            [row.get(c) for c in columns] if isinstance(row, Mapping) else list(row) for row in rows
        ]
        numeric = [
            any(_is_number(row[at]) for row in cells if at < len(row))
            and all(row[at] is None or _is_number(row[at]) for row in cells if at < len(row))
            for at in range(len(columns))
        ]

        marks = [' class="number"' if right else "" for right in numeric]
        kind = ' class="wide"' if len(columns) > _NARROW else ""
        if kind:
            marks = [f'{m} data-of="{_escape(c)}"' for m, c in zip(marks, columns, strict=True)]

        def line(tag: str, values: Iterable[Any]) -> str:
            inner = "".join(
                f"<{tag}{mark}>{_escape(_number(value))}</{tag}>"
                for value, mark in zip(values, marks, strict=False)
            )
            return f"<tr>{inner}</tr>"

        body = "\n".join(line("td", row) for row in cells)
        return self._add(
            f'<div class="scroll"><table{kind}><thead>{line("th", columns)}</thead>\n'
            f"<tbody>{body}</tbody></table></div>"
        )

    def picture(self, png: bytes, caption: str = "") -> Report:
        """Add a PNG picture, held in the page itself, with what it shows in words.

        Raises:
            ValueError: the bytes are no PNG.
        """
        if not png.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError(f"not a PNG picture: it begins with {png[:8]!r}")
        # Kept at half its pixels: plots are drawn for dense screens.
        width = int.from_bytes(png[16:20], "big")
        shown = f' width="{width // 2}"' if width >= 400 else ""
        data = base64.b64encode(png).decode()
        words = f"<figcaption>{_escape(caption)}</figcaption>" if caption else ""
        return self._add(
            f'<figure><img alt="{_escape(caption)}"{shown} src="data:image/png;base64,{data}">'
            f"{words}</figure>"
        )

    def html(self) -> str:
        """The page."""
        title = _escape(self.title)
        links = "\n".join(f'<a href="#{_place(c)}">{_escape(c)}</a>' for c in self._chapters)
        body = (f"<nav>{links}</nav>\n" if links else "") + "\n".join(self._parts)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{title}</title><style>{_STYLE}</style></head>\n"
            f"<body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
        )

    def _add(self, part: str) -> Report:
        self._parts.append(part)
        return self


def _escape(value: Any) -> str:
    # Characters that no page may hold (a null, a lone surrogate of a broken file name) become ?.
    text = str(value).encode("utf-8", "replace").decode()
    return html.escape("".join(c if c >= " " or c in "\n\t" else "?" for c in text))


def _place(chapter: str) -> str:
    """The name that a link finds a chapter by."""
    return re.sub(r"[^a-z0-9]+", "-", chapter.lower())


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool | str)


def _number(value: Any) -> str:
    if value is None or (_is_number(value) and math.isnan(float(value))):
        return "–"
    if not _is_number(value):
        return str(value)
    number = float(value)
    if number.is_integer():
        return f"{int(number):,}"
    return f"{number:.4g}" if abs(number) < 1e4 else f"{number:,.1f}"


def _flat(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name} ")
        else:
            yield f"{before}{name}", value


def answer_row(
    source: str,
    model: str,
    answer: str,
    probability: float | None = None,
    ms: float | None = None,
) -> dict[str, Any]:
    """A row of the demonstration's table: what was asked of which model, its answer, and how long
    that took.
    """
    return {
        "input": source, "model": model, "answer": answer,
        "probability": "" if probability is None else f"{probability:.3f}",
        "ms": "" if ms is None else f"{ms:.1f}",
    }  # fmt: skip


def timed(pipeline: Any, things: Sequence[Any]) -> tuple[list[dict[str, Any]], float]:
    """Rows of `predict` for several things, and how many milliseconds each thing took.

    A network is loaded with its first answer, which is not the one that is timed.
    """
    if not pipeline._networks:
        next(pipeline.predict(things[:1]), None)
    began = time.perf_counter()
    answers = list(pipeline.predict(things))
    return answers, 1000 * (time.perf_counter() - began) / len(things)


def loaded(
    cls: Any, names: Iterable[str], console: Any, rows: list[dict[str, Any]]
) -> Iterator[tuple[str, Any]]:
    """The demonstration's presets, by name; what is missing is told and gets a row of its own."""
    for name in names:
        try:
            yield name, cls.from_preset(name)
        except DeepfieldError as error:
            console.say(f"  {name}: {error.message}; {error.hint}")
            rows.append(answer_row("", name, error.hint))

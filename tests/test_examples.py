"""Every example in a docstring runs, and every public name that `docs/reference.md` shows has one.

Found, not listed: a module with an example is run here, and a name new on that page needs one.
"""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["deepfield", *parts]).removesuffix(".__init__")


MODULES = [
    _module(path)
    for path in (
        ROOT / "__init__.py",
        ROOT / "cli.py",
        *sorted((ROOT / "toolkit").rglob("*.py")),
        *sorted((ROOT / "domains").rglob("*.py")),
    )
    if re.search(r"^ *>>> (?!.*doctest: \+SKIP)", path.read_text(), re.MULTILINE)
]


def _shown() -> list[str]:
    """Return the dotted names of the functions and classes that the reference shows."""
    names = []
    for block in REFERENCE.split("\n::: ")[1:]:
        name, _, rest = block.partition("\n")
        narrowed = re.search(r"members:(.*?)(\n#|$)", rest, re.DOTALL)
        if narrowed:
            names += [f"{name}.{member}" for member in re.findall(r"\w+", narrowed[1])]
        elif (ROOT / Path(*name.split(".")[1:])).with_suffix(".py").exists():
            names += [f"{name}.{member}" for member in _own(importlib.import_module(name))]
        else:
            names.append(name)
    return names


def _own(module) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and value.__doc__
    ]


def _has_example(name: str) -> bool:
    """Whether a function has an example, or a class, be it that of a method."""
    module, _, member = name.rpartition(".")
    value = getattr(importlib.import_module(module), member)
    texts = [value.__doc__]
    if inspect.isclass(value):
        texts += [inspect.getdoc(v) for k, v in vars(value).items() if not k.startswith("_")]
    return any(doctest.DocTestParser().get_examples(text or "") for text in texts)


@pytest.fixture(scope="module")
def shown() -> list[str]:
    return _shown()


def test_the_reference_shows_names(shown):
    assert {"deepfield.load", "deepfield.toolkit.layers.ArcMargin"} <= {*shown}
    assert "deepfield.toolkit.splits.Split" in shown and len(shown) == len({*shown})


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted and not found.failed


def test_every_public_name_has_an_example(shown):
    assert [name for name in shown if not _has_example(name)] == []

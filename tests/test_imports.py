"""Who may import whom: cli -> domains -> toolkit -> keras, and nothing heavy before an answer.

Read from the source by AST; imports inside functions count, those under TYPE_CHECKING do not run.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "__init__.py",
        ROOT / "cli.py",
        *(ROOT / "toolkit").rglob("*.py"),
        *(ROOT / "domains").rglob("*.py"),
    )
)

DEEP_LEARNING = {"tensorflow", "keras"}
MAY_USE_KERAS = (
    r"toolkit/(layers|losses)/.*"
    r"|toolkit/(training|machines|batches|normalisation|structure|explain|export|testing(_pipelines)?)\.py"
    r"|domains/[^/]+/((dlib_|splice_)?models|placed_words|layers|adopt|conversion)\.py"
)
# TFDS works on TensorFlow: its reader imports it early, to keep its chatter off the screen.
TFDS = {("toolkit/tfds_sets.py", "tensorflow")}
HEAVY = {"tensorflow", "keras", "scipy", "sklearn", "pandas", "librosa", "matplotlib"}
ON_THE_WAY_OF_A_PREDICTION = (
    r"toolkit/(errors|data|pipeline|bundle|runtime|calibration|novelty|recipe|tasks|presets|writers|console|registry)\.py"
    r"|domains/[^/]+/(__init__|data|features|pipeline)\.py"
    r"|(toolkit/|domains/)?__init__\.py|cli\.py"
)


#: Rooms that every wing has.
ROOMS = [
    "__init__",
    "cards",
    "data",
    "demo",
    "explanation",
    "features",
    "models",
    "pipeline",
    "usage",
]


def test_every_wing_has_the_same_rooms():
    wings = {
        file.split("/")[1] for file in FILES if file.count("/") == 2 and file[:8] == "domains/"
    }
    assert len(wings) == 6
    assert {f"domains/{wing}/{room}.py" for wing in wings for room in ROOMS} <= {*FILES}


def test_there_is_something_to_read():
    assert {"__init__.py", "cli.py", "toolkit/registry.py", "domains/image/models.py"} <= {*FILES}


@cache
def imports(file):
    """Return (module, line, whether at module level) of every import of a file."""
    package = ["deepfield", *Path(file).parent.parts]
    found = []

    def visit(node, top):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.orelse:
                visit(child, top)
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, node.lineno, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package[: len(package) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            # `from package import thing`: the thing may be a module
            found.extend((f"{base}.{alias.name}", node.lineno, top) for alias in node.names)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside)

    visit(ast.parse((ROOT / file).read_text()), True)
    return found


def of_domain(module):
    """Return the domain of a dotted name inside `deepfield.domains`, else None."""
    parts = module.split(".")
    inside = parts[:2] == ["deepfield", "domains"] and len(parts) > 2
    return parts[2] if inside and (ROOT / "domains" / parts[2]).is_dir() else None


def files_of(module):
    """Return the files that importing a dotted name runs: the packages above it, and itself."""
    parts = module.split(".")
    if parts[0] != "deepfield":
        return []
    run = []
    for end in range(1, len(parts) + 1):
        stem = "/".join(parts[1:end])
        for file in (f"{stem}/__init__.py" if stem else "__init__.py", f"{stem}.py"):
            if file in FILES:
                run.append(file)
    return run


@pytest.mark.parametrize("file", FILES)
def test_imports_point_down(file):
    for module, line, _ in imports(file):
        where = f"{file}:{line} imports {module}"
        cli = module.startswith("deepfield.cli") and file != "__init__.py"  # the program's entry
        assert not cli, f"{where}: nobody imports cli"
        first = module.split(".")[0]
        assert first not in {"toolkit", "domains"}, f"{where}: say deepfield.{first}"
        if file.startswith("toolkit/"):
            assert not module.startswith("deepfield.domains"), f"{where}: toolkit knows no domain"
        mine = of_domain("deepfield." + file.replace("/", "."))
        if mine is not None:
            assert of_domain(module) in {mine, None}, f"{where}: domains do not know one another"


@pytest.mark.parametrize("file", FILES)
def test_keras_is_imported_only_where_networks_are(file):
    if re.fullmatch(MAY_USE_KERAS, file):
        return
    for module, line, _ in imports(file):
        if (file, module) in TFDS:
            continue
        assert module.split(".")[0] not in DEEP_LEARNING, f"{file}:{line} imports {module}"


@pytest.mark.parametrize("file", [f for f in FILES if re.fullmatch(ON_THE_WAY_OF_A_PREDICTION, f)])
def test_nothing_heavy_is_loaded_on_the_way_of_a_prediction(file):
    """Also not by way of what the file imports: the path to it is in the message."""
    paths = {file: file}
    queue = [file]
    while queue:
        current = queue.pop()
        for module, line, top in imports(current):
            if not top:
                continue
            where = f"{paths[current]}:{line} -> {module}"
            assert module.split(".")[0] not in HEAVY, where
            for further in files_of(module):
                if further not in paths:
                    paths[further] = f"{paths[current]}:{line} -> {further}"
                    queue.append(further)


@pytest.mark.parametrize("file", FILES)
def test_no_file_has_more_than_500_lines(file):
    assert len((ROOT / file).read_text().splitlines()) <= 500


@pytest.mark.parametrize("file", FILES)
def test_no_function_is_longer_than_a_screen(file):
    """80 lines, its docstring left out."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            told = len((ast.get_docstring(node) or "").splitlines())
            assert node.end_lineno - node.lineno + 1 - told <= 80, f"{file}:{node.lineno}"

"""Found, not listed: a new layer without documentation, example or tests fails here."""

import inspect
from pathlib import Path

import keras
import pytest

from deepfield.toolkit import layers

FOLDER = Path(inspect.getfile(layers)).parent
MODULES = sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))


def module_of(name):
    return inspect.getmodule(getattr(layers, name))


def test_every_file_holds_one_public_layer():
    assert sorted(module_of(name).__name__.rpartition(".")[2] for name in layers.__all__) == MODULES
    assert layers.__all__ == sorted(layers.__all__)


@pytest.mark.parametrize("name", layers.__all__)
def test_the_file_is_the_name_in_snake_case(name):
    module = module_of(name).__name__.rpartition(".")[2]
    assert module.replace("_", "") == name.lower()


@pytest.mark.parametrize("name", layers.__all__)
def test_it_is_documented(name):
    text = inspect.getdoc(getattr(layers, name)) or ""
    for section in ("Args:", "Call arguments:", "Returns:", "Raises:", "Example:", "Source:"):
        assert section in text, f"{name} has no section {section}"
    assert "eviation" in text, f"{name} does not say how it deviates from its source"


@pytest.mark.parametrize("name", layers.__all__)
def test_it_has_a_test_file_that_checks_it(name):
    module = module_of(name).__name__.rpartition(".")[2]
    tests = Path(__file__).with_name(f"test_{module}.py")
    assert tests.exists() and f"check_layer({name}" in "".join(tests.read_text().split())


@pytest.mark.parametrize("name", layers.__all__)
def test_it_is_registered_with_keras(name):
    registered = keras.saving.get_registered_name(getattr(layers, name))
    assert registered == f"deepfield>{name}"


@pytest.mark.parametrize("name", MODULES)
def test_it_uses_keras_ops_alone(name):
    text = (FOLDER / f"{name}.py").read_text()
    assert "import tensorflow" not in text and "import jax" not in text

"""Names to functions: a taken name is an error, an unknown one lists the near ones."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from deepfield.toolkit.errors import UsageError, did_you_mean, near_names

Function = TypeVar("Function", bound=Callable[..., Any])


class Registry:
    """A table of functions by name, in the order in which they were added.

    Args:
        what: the kind of thing in it, singular, for messages: `"architecture"`.

    Example:
        >>> from deepfield.toolkit.registry import Registry
        >>> SHAPES = Registry("shape")
        >>> @SHAPES.register()
        ... def square(side):
        ...     return side * side
        >>> SHAPES.names(), SHAPES["square"](3)
        (['square'], 9)
        >>> SHAPES["sqare"]
        Traceback (most recent call last):
        deepfield.toolkit.errors.UsageError: no shape 'sqare' (did you mean square? \
there is: square)
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._functions: dict[str, Callable[..., Any]] = {}

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Add one entry.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._functions:
            raise ValueError(
                f"the {self.what} {name!r} is taken by {self._functions[name].__module__}; "
                "choose another name"
            )
        self._functions[name] = function

    def register(self, name: str | None = None) -> Callable[[Function], Function]:
        """Decorate a function to add it under `name`, or its own.

        Raises:
            ValueError: the name is taken.
        """

        def add(function: Function) -> Function:
            self.add(name or function.__name__, function)
            return function

        return add

    def __getitem__(self, name: str) -> Callable[..., Any]:
        """Look a function up.

        Raises:
            UsageError: there is none of that name; the hint lists near ones, and all.
        """
        if name in self._functions:
            return self._functions[name]
        guess = did_you_mean(near_names(str(name), self._functions))
        there_is = ", ".join(self._functions) or "none"
        raise UsageError(f"no {self.what} {name!r}", f"{guess}there is: {there_is}")

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def names(self) -> list[str]:
        """Return the names in the order of registration."""
        return list(self)


def names_in(source: str, table: str = "ARCHITECTURES") -> list[str]:
    """The names that a module adds to a table of its own, in order, without running it: a network's
    builder has to import Keras, which takes seconds.

    Args:
        source: the module's text. Functions that `TABLE.register` decorates are found, and calls of
            `TABLE.add` with a name written out, both outside other functions.
        table: what the table is called there.

    Raises:
        SyntaxError: it is not Python.

    Example:
        >>> names_in('ARCHITECTURES.add("mmod", mmod)')
        ['mmod']
    """
    import ast

    names: list[str] = []
    for statement in ast.parse(source).body:
        own, calls = "", list[ast.expr]()
        if isinstance(statement, ast.FunctionDef):
            own, calls = statement.name, statement.decorator_list
        elif isinstance(statement, ast.Expr):
            calls = [statement.value]
        for call in calls:
            match call:
                case ast.Call(
                    ast.Attribute(ast.Name(owner), "register" | "add"),
                    [ast.Constant(str(name)), *_],
                ) if owner == table:
                    names.append(name)
                case ast.Call(ast.Attribute(ast.Name(owner), "register"), []) if owner == table:
                    names.append(own)
    return names


def beside(module: str, name: str) -> Any:
    """The module `name` in the package of another, imported only now; None where there is none.

    Example:
        >>> beside("deepfield.toolkit.registry", "errors").__name__
        'deepfield.toolkit.errors'
        >>> beside("deepfield.toolkit.registry", "poems")
    """
    package = module.rpartition(".")[0]
    try:
        there = package and importlib.util.find_spec(f"{package}.{name}")
    except ModuleNotFoundError:  # the package is none
        there = None
    return importlib.import_module(f"{package}.{name}") if there else None

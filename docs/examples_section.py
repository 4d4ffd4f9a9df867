"""For the site: a docstring's `Example:` is shown as code, as `Examples:` is."""

from __future__ import annotations

import re
from typing import Any

import griffe


class ExamplesSection(griffe.Extension):
    """Read `Example:` as the section `Examples:` that the parser knows."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every object once it is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE
            )

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called for the package itself."""
        self.on_object(obj=pkg)

"""Encoded items on disk, found again by their content: encoding them once is enough."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from deepfield.toolkit.bundle import pack
from deepfield.toolkit.cache import cache_folder
from deepfield.toolkit.data import Arrays

#: Size above which a cache starts anew.
_MOST_BYTES = 4 << 30


class FeatureCache:
    """Arrays of items by what the items say and by what encodes them.

    A cache that cannot be read or written is no cache: everything is encoded again.

    Args:
        domain: whose cache it is: a file of its own under `cache_folder()`.
        encoder: what encodes; another function, other arguments, other code in its module or in
            those of its package that it uses, or another version of `package` make other entries.
        package: the distribution that does the work.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> os.environ["DEEPFIELD_CACHE"] = tempfile.mkdtemp()
        >>> cache = FeatureCache("drug", len, "numpy")
        >>> cache.put([("CCO", {"x": np.ones(2)})])
        >>> [sorted(found) if found else None for found in cache.get(["CCO", "CC"])]
        [['x'], None]
    """

    def __init__(self, domain: str, encoder: Callable[..., Any], package: str) -> None:
        self.label = _label(encoder, package)
        self.path = cache_folder() / domain / "features.sqlite"
        self.table: sqlite3.Connection | None = None
        with contextlib.suppress(OSError, sqlite3.Error):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_file() and self.path.stat().st_size > _MOST_BYTES:
                self.path.unlink()
            table = sqlite3.connect(self.path, timeout=5)
            table.execute("PRAGMA journal_mode=WAL")
            table.execute("PRAGMA synchronous=NORMAL")
            table.execute("CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, value BLOB)")
            self.table = table

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self.label}\0{text}".encode()).digest()[:16]

    def get(self, texts: Sequence[Any]) -> list[Arrays | None]:
        """The arrays of each text, None where they are not known, and of what is no text."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        found: list[Arrays | None] = [None] * len(texts)
        if self.table is None:
            return found
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                continue
            with contextlib.suppress(sqlite3.Error, zlib.error, SafetensorError):
                row = self.table.execute(
                    "SELECT value FROM features WHERE key = ?", (self._key(text),)
                ).fetchone()
                found[place] = load(zlib.decompress(row[0])) if row else None
        return found

    def put(self, pairs: Iterable[tuple[Any, Arrays]]) -> None:
        """Remember the arrays of texts; what is no text is passed over."""
        if self.table is None:
            return
        rows = [
            (self._key(text), zlib.compress(pack(own), 1))
            for text, own in pairs
            if isinstance(text, str)
        ]
        with contextlib.suppress(sqlite3.Error), self.table:
            self.table.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)

    def close(self) -> None:
        """Let go of the file."""
        if self.table is not None:
            self.table.close()


def _label(encoder: Callable[..., Any], package: str) -> str:
    function = encoder.func if isinstance(encoder, functools.partial) else encoder
    arguments = encoder.args if isinstance(encoder, functools.partial) else ()
    code = hashlib.sha256()
    for name in sorted(_modules(function.__module__)):
        with contextlib.suppress(OSError, AttributeError, TypeError):
            code.update(Path(sys.modules[name].__file__ or "").read_bytes())
    version = metadata.version(package)
    return f"{function.__name__} {arguments!r} {package} {version} {code.hexdigest()}"


def _modules(name: str) -> set[str]:
    """A module, and those of the same package that it has something from."""
    package, _, _ = name.rpartition(".")
    found, waiting = set[str](), {name}
    while waiting:
        module = waiting.pop()
        found.add(module)
        used = {getattr(v, "__module__", None) for v in vars(sys.modules[module]).values()}
        near = {m for m in used if isinstance(m, str) and m.startswith(f"{package}.")}
        waiting |= {m for m in near if package and m in sys.modules} - found
    return found

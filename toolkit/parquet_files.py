"""Tables of Parquet, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deepfield.toolkit.errors import UsageError, no_rows


def read_parquet(source: str) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Rows as `toolkit.data.read_rows` gives them, with typed values.

    Raises:
        UsageError: no Parquet, or no row in it.
    """
    import pyarrow.parquet as parquet
    from pyarrow import ArrowInvalid

    try:
        table = parquet.ParquetFile(source)
        if not table.metadata.num_rows:
            raise no_rows(source)
        for batch in table.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                yield row, None
    except (ArrowInvalid, OSError) as error:
        raise UsageError(f"{source!r} is not readable Parquet: {error}", "write it again") from None

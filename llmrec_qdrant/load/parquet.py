"""Reads the rows of a Parquet file with pyarrow, a thousand at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmrec_qdrant.errors import InvalidInput, MissingDependency
from llmrec_qdrant.load.rows import Row, table_row

__all__ = ["parquet_rows"]


def parquet_rows(address: str, after: int) -> Iterator[Row]:
    """Yield the rows after row number ``after``.

    Raises :class:`MissingDependency` without pyarrow, :class:`InvalidInput` for a file that is not Parquet.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingDependency("Parquet needs pyarrow: pip install 'llmrec-qdrant[load]'") from None
    number = 0
    try:
        with parquet.ParquetFile(address) as file:
            coarse = arrow.schema([_in_microseconds(arrow, column) for column in file.schema_arrow])
            for batch in file.iter_batches(batch_size=1_000):
                known = min(max(after - number, 0), len(batch))
                number += known
                for data in batch.slice(known).cast(coarse, safe=False).to_pylist():
                    number += 1
                    # pandas writes NaN for a missing number
                    yield table_row(number, {name: None if value != value else value for name, value in data.items()})
    except (arrow.ArrowException, OSError) as error:
        raise InvalidInput(f"{address!r} is not a readable Parquet file: {str(error)[:200]}") from error


def _in_microseconds(arrow: Any, column: Any) -> Any:
    """Convert a column of times to microseconds: pandas writes nanoseconds, which Python's times cannot hold."""
    nanoseconds = arrow.types.is_timestamp(column.type) and column.type.unit == "ns"
    return column.with_type(arrow.timestamp("us", column.type.tz)) if nanoseconds else column

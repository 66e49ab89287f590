"""Reads the rows of a query from a database, through SQLAlchemy and on a read-only connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmrec_qdrant.errors import InvalidInput, MissingDependency
from llmrec_qdrant.load.rows import Row, table_row
from llmrec_qdrant.queues.base import mask_url

__all__ = ["database_rows"]


def database_rows(address: str, query: str) -> Iterator[Row]:
    """Yield the rows of a query, streamed from the server.

    Raises :class:`MissingDependency` without SQLAlchemy or the driver, :class:`InvalidInput` for a query that fails.
    """
    try:
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        raise MissingDependency("a database needs SQLAlchemy: pip install 'llmrec-qdrant[load]'") from None
    try:
        url = sqlalchemy.make_url(address)
        _check_file(url.get_backend_name(), url.database)
        engine = sqlalchemy.create_engine(url)
        try:
            with engine.connect() as connection:
                result = _read_only(connection).exec_driver_sql(query)
                for number, mapping in enumerate(result.mappings(), start=1):
                    yield table_row(number, dict(mapping))
        finally:
            engine.dispose()
    except ImportError as error:
        raise MissingDependency(f"the database driver is not installed ({error}): install it with pip") from None
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        raise InvalidInput(f"the query on {mask_url(address)} failed: {reason}") from error


def _check_file(backend: str, database: str | None) -> None:
    """Refuse a missing SQLite file, which SQLite would otherwise create."""
    if backend == "sqlite" and not Path(database or "").is_file():
        raise InvalidInput(
            f"there is no SQLite file {database!r}: check the path (sqlite:///relative, sqlite:////absolute)"
        )


def _read_only(connection: Any) -> Any:
    """Return a connection that refuses writes, streams rows, and takes ``:`` and ``%`` in a query literally."""
    backend = connection.dialect.name
    if backend == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    read_only = {"postgresql_readonly": True} if backend == "postgresql" else {}
    return connection.execution_options(stream_results=True, yield_per=1_000, no_parameters=True, **read_only)

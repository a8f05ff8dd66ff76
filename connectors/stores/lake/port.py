"""What a lake is: tables of immutable files, laid out by partitions, each file whole or not there."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import pyarrow as pa

__all__ = ["Lake"]


class Lake(Protocol):
    """Files of rows under (table, partition, name); writing a name again replaces its rows."""

    def put(self, table: str, partition: Mapping[str, str], name: str, rows: pa.Table) -> None:
        """Return when the rows are durable and visible as one; raise OSError when they are not."""
        ...

    def exists(self, table: str, partition: Mapping[str, str], name: str) -> bool:
        """Return whether a file of this name is there."""
        ...

    def scan(self, table: str) -> Iterator[pa.Table]:
        """Return the rows of a table, a file at a time."""
        ...

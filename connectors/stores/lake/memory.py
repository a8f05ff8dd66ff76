"""A lake that forgets when the process ends: for tests of what writes to one."""

from collections.abc import Iterator, Mapping

import pyarrow as pa

__all__ = ["MemoryLake"]

Name = tuple[str, tuple[tuple[str, str], ...], str]


class MemoryLake:
    """The port's rules on a dictionary; `fail_after` lets so many puts pass and then fails as a broken disk would."""

    def __init__(self) -> None:
        self.files: dict[Name, pa.Table] = {}
        self.fail_after: int | None = None

    def put(self, table: str, partition: Mapping[str, str], name: str, rows: pa.Table) -> None:
        """Keep the rows of one file."""
        if self.fail_after is not None:
            if self.fail_after == 0:
                raise OSError("injected")
            self.fail_after -= 1
        self.files[table, tuple(partition.items()), name] = rows

    def exists(self, table: str, partition: Mapping[str, str], name: str) -> bool:
        """Return whether the file is there."""
        return (table, tuple(partition.items()), name) in self.files

    def scan(self, table: str) -> Iterator[pa.Table]:
        """Return the rows of each file of a table."""
        return (rows for (owner, _, _), rows in sorted(self.files.items(), key=lambda f: f[0]) if owner == table)

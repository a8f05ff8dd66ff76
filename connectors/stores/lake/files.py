"""The embedded lake: Parquet files in Hive folders, `<table>/<key>=<value>/…/<name>.parquet`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.stores.lake.write import place

__all__ = ["FileLake"]


class FileLake:
    """Lake in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, table: str, partition: Mapping[str, str], name: str) -> Path:
        """Return where a file lies; values are percent-encoded, so that no value leaves its folder."""
        folders = [f"{key}={quote(value, safe='')}" for key, value in partition.items()]
        return self._root.joinpath(table, *folders, f"{name}.parquet")

    def put(self, table: str, partition: Mapping[str, str], name: str, rows: pa.Table) -> None:
        """Write one file, whole or not at all."""
        place(self.path(table, partition, name), lambda draft: pq.write_table(rows, draft, compression="zstd"))

    def exists(self, table: str, partition: Mapping[str, str], name: str) -> bool:
        """Return whether the file is there."""
        return self.path(table, partition, name).exists()

    def scan(self, table: str) -> Iterator[pa.Table]:
        """Return the rows of each file of a table, in the order of their paths."""
        for path in sorted((self._root / table).rglob("*.parquet")):
            yield pq.ParquetFile(path).read()

"""What is cached is of one release: its name is part of the key, so a published release is seen at once and an old answer never again."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["key_by_release", "release_key"]


def release_key(current: Path) -> str:
    """Return the release that the link leads to, and the day: "last week" is another one tomorrow."""
    return f"{os.path.realpath(current)} {datetime.now(UTC).date().isoformat()}"


def key_by_release(current: Path) -> None:
    """Make every dataset's answers differ by release.

    The key is made before the query: an answer that was begun before a release was published is kept under the old one.
    """
    from superset.connectors.sqla.models import SqlaTable
    from superset.db_engine_specs.duckdb import DuckDBEngineSpec

    # the key asks for the default schema, for which the release would be opened even where the answer is in the cache
    DuckDBEngineSpec.get_default_schema = classmethod(lambda _spec, _database, _catalog: "main")
    if getattr(SqlaTable, "keyed_by_release", False):
        return
    keys = SqlaTable.get_extra_cache_keys

    def keyed(self: Any, query: Any) -> list[Any]:
        return [*keys(self, query), release_key(current)]

    SqlaTable.get_extra_cache_keys = keyed
    SqlaTable.keyed_by_release = True

"""The tables that ingest writes, and the empty file that each partition of event types has from the start.

The empty files lie at `<table>/[type=<type>/]site_id=none/day=1970-01-01/empty-<columns>.parquet`, a new one where columns came: a
reader never meets an empty glob, and the column types hold before the first event. The files hold all columns of the table, `type` and
`site_id` too, so that they read the same with DuckDB's `hive_partitioning` on or off.
"""

from collections.abc import Mapping

import pyarrow as pa

from connectors.events import TYPES
from connectors.stores.lake.port import Lake

__all__ = ["EVENTS", "READINGS", "ensure_tables"]

TIME = pa.timestamp("us", tz="UTC")
TEXT = pa.string()

EVENTS = pa.schema(
    [
        ("event_id", TEXT),
        ("source", TEXT),
        ("type", TEXT),
        ("subject", TEXT),
        ("site_id", TEXT),
        ("occurred_at_utc", TIME),
        ("recorded_at_utc", TIME),
        ("sha256", TEXT),
        ("journal", TEXT),
        ("journal_offset", pa.int64()),
        ("data", TEXT),
    ]
)
READINGS = pa.schema(
    [
        ("event_id", TEXT),
        ("site_id", TEXT),
        ("room_id", TEXT),
        ("sensor_id", TEXT),
        ("quantity", TEXT),
        ("value", pa.float64()),  # null: not to be used, `quality` says why
        ("unit", TEXT),
        ("quality", TEXT),
        ("read_at_utc", TIME),
        ("recorded_at_utc", TIME),
        ("journal_offset", pa.int64()),
    ]
)
NOWHERE = {"site_id": "none", "day": "1970-01-01"}


def ensure_tables(lake: Lake, more: Mapping[str, pa.Schema] | None = None) -> None:
    """Write the empty files that are not there yet: of each type of `events`, of `readings`, and of the tables in `more`."""
    wanted = [("events", {"type": type_, **NOWHERE}, EVENTS) for type_ in TYPES]
    wanted += [(table, NOWHERE, schema) for table, schema in {"readings": READINGS, **(more or {})}.items()]
    for table, partition, schema in wanted:
        name = f"empty-{len(schema)}"
        if not lake.exists(table, partition, name):
            lake.put(table, partition, name, schema.empty_table())

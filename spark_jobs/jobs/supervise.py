"""The environment as it is: sensor readings from the intake journals, as they come, to changes of state, each written exactly once.

A Spark Structured Streaming query. Its offsets are the journals' own and the minute up to which silence was looked for; they, and what is
kept of each sensor, lie in Spark's checkpoint. A batch is one file named by its number, written whole: a batch that a crash made half is
done again from the same offsets, and its file replaced by an equal one. Where it is computed is the Connect server's setting.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.errors import PySparkException
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, DataSourceStreamWriter, InputPartition, WriterCommitMessage
from pyspark.sql.streaming.datasource import ReadAllAvailable, ReadLimit, ReadMaxRows, SupportsTriggerAvailableNow

from connectors.settings import Settings
from connectors.stores.journal.sqlite import SqliteJournal, head_of
from connectors.stores.lake.ingest import CONSUMERS, readings
from connectors.stores.lake.lock import Locked, locked
from connectors.stores.lake.write import place
from judgement import reference
from judgement.environment import TICK, Kept, advance, us
from messages import because

__all__ = ["CHANGES", "ROWS", "Reader", "Span", "changes", "folder", "supervised"]

SENSORS = CONSUMERS["ingest_sensors"]  # the same events of the same journals
LOCK = "watch"
EVENTS_A_BATCH, EVENTS_A_TASK = 20_000, 2_000
TICK_US = 60_000_000
EVERY = "1 second"
TEXTS, NUMBERS = ("unit", "quality", "event_id", "journal"), ("read_at", "recorded_at", "journal_offset", "place")
KEY = ["site_id", "room_id", "quantity", "sensor_id"]
ROWS = ", ".join([*(f"{n} STRING" for n in (*KEY, *TEXTS)), *(f"{n} BIGINT" for n in NUMBERS), "value DOUBLE"])
TIME = pa.timestamp("us", tz="UTC")
CHANGES = pa.schema(
    [
        *((name, pa.string()) for name in (*KEY, "devices", "state", "before")),
        ("since_utc", TIME),
        ("value", pa.float64()),
        *((name, pa.string()) for name in ("unit", "reason", "reason_code", "reason_args", "reason_catalogue", "limit_id")),
        ("limit_version", pa.int64()),
        ("limit_low", pa.float64()),
        ("limit_high", pa.float64()),
        *((name, pa.string()) for name in ("method", "method_version", "event_id", "journal")),
        ("journal_offset", pa.int64()),
        ("recorded_at_utc", TIME),  # when the platform had the reading; of a silence: when it began
        ("batch", pa.int64()),
    ]
)


def folder(settings: Settings) -> Path:
    """Return where the table `changes/` lies beside the checkpoint that it belongs to; the two go together, or not at all."""
    return settings.home / "environment"


def changes(settings: Settings, after: int = -1) -> list[dict[str, Any]]:
    """Return the changes of state of batches behind `after`, oldest first."""
    files = sorted((folder(settings) / "changes").glob("*.parquet"))
    return [row for f in files if int(f.stem) > after for row in pq.ParquetFile(f).read().to_pylist()]


@contextmanager
def supervised(settings: Settings, once: bool, seeds: Path = reference.SEEDS) -> Iterator[Any]:
    """Run the query while the block runs, and give it; raise Locked while another does.

    Parameters
    ----------
    once
        Take what waits and end, instead of going on.
    """
    from spark_jobs.jobs.analyse import require_spark, session

    with locked(settings.consumers, LOCK):
        home = folder(settings)
        if any((home / "changes").glob("*.parquet")) and not any((home / "checkpoint").glob("offsets/*")):
            raise RuntimeError(because("environment.checkpoint_lost", folder=home))
        spark = session(settings)
        # a query dies with its server: there is nothing to wait for
        spark.client.set_retry_policies([DefaultPolicy(max_retries=3)])
        for source in (Readings, Changes):
            spark.dataSource.register(source)
        options = {"journals": str(settings.journals), "site": settings.site_id, "seeds": str(seeds), "home": str(home)}
        options |= {
            "lock": str(settings.consumers / f"{LOCK}.lock"),
            "now": settings.as_of_utc.isoformat() if settings.as_of_utc else "",
        }
        rows = spark.readStream.format(Readings.name()).options(**options).load()
        states = rows.groupBy(*KEY).applyInPandasWithState(
            partial(_states, seeds=str(seeds)), "change STRING", "kept STRING", "append", "NoTimeout"
        )
        # without a name: a query whose command is gone is then replaced, not in the way
        writer = states.writeStream.format(Changes.name()).options(**options).outputMode("append")
        writer = writer.option("checkpointLocation", str(home / "checkpoint"))
        query = (writer.trigger(availableNow=True) if once else writer.trigger(processingTime=EVERY)).start()
        try:
            yield query
        except PySparkException:
            require_spark(settings)
            raise
        finally:
            with suppress(Exception):  # of a server that is gone nothing is left to stop
                query.stop()


class Readings(DataSource):
    """The sensor readings of the intake journals as a stream."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "photopeak_readings"

    def schema(self) -> str:
        """Return the columns, as `environment.advance` takes them."""
        return ROWS

    def streamReader(self, schema: Any) -> "Reader":
        """Return the reader of one query."""
        return Reader(dict(self.options))


@dataclass
class Span(InputPartition):
    """Events of one journal from one offset to another, both included; of the journal `clock`: the moment of a tick."""

    journal: str
    first: int
    last: int


class Reader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Offsets are `{journal: last offset taken, "clock": last minute for which silence was looked for}`."""

    def __init__(self, options: dict[str, str]) -> None:
        self.options = options
        self.until: dict[str, int] | None = None

    def initialOffset(self) -> dict[str, int]:
        """Return the beginning of all journals."""
        return {**dict.fromkeys(SENSORS.journals, 0), "clock": 0}

    def getDefaultReadLimit(self) -> ReadLimit:
        """Return how many events a batch holds at most."""
        return ReadMaxRows(EVENTS_A_BATCH)

    def prepareForTriggerAvailableNow(self) -> None:
        """Fix the end of a query that takes what waits."""
        self.until = self._end()

    def latestOffset(self, start: dict[str, int], limit: ReadLimit) -> dict[str, int]:
        """Return the end of the next batch: the clock goes on only when all readings before it are taken."""
        self._end_when_nobody_watches()
        end = self.until or self._end()
        for name in SENSORS.journals:
            if end[name] < start[name]:
                raise OSError(
                    because(
                        "environment.journal_replaced", journal=name, end=end[name], read=start[name], folder=self.options["home"]
                    )
                )
        most = None if isinstance(limit, ReadAllAvailable) else EVENTS_A_BATCH
        taken = {n: end[n] if most is None else min(end[n], start[n] + most) for n in SENSORS.journals}
        whole = all(taken[n] == end[n] for n in taken)
        return {**taken, "clock": max(start["clock"], end["clock"]) if whole else start["clock"]}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> list[Span]:
        """Return the tasks of a batch."""
        spans = [
            Span(n, first, min(first + EVENTS_A_TASK - 1, end[n]))
            for n in SENSORS.journals
            for first in range(start[n] + 1, end[n] + 1, EVENTS_A_TASK)
        ]
        return spans + ([Span("clock", end["clock"], end["clock"])] if end["clock"] > start["clock"] else [])

    def read(self, partition: Span) -> Iterator[tuple[Any, ...]]:  # type: ignore[override]
        """Return the rows of a task: readings, or a tick for each registered sensor."""
        if partition.journal == "clock":
            now, site = partition.last, self.options["site"]
            for s in reference.rules(Path(self.options["seeds"])).of_site(site):
                yield (site, s.room_id, s.quantity, s.sensor_id, s.unit, TICK, None, None, now, now, 0, 0, None)
            return
        journal = SqliteJournal(Path(self.options["journals"]) / f"{partition.journal}.db", read_only=True)
        for offset, event in journal.read(partition.first - 1, partition.last - partition.first + 1):
            if not SENSORS.takes(partition.journal, event.type):
                continue
            for number, r in enumerate(readings(event)):
                value = None if r["value"] is None else float(r["value"])
                about = (
                    event.site,
                    r["room_id"],
                    r["quantity"],
                    r["sensor_id"],
                    r["unit"],
                    r["quality"],
                    event.id,
                    partition.journal,
                )
                yield (*about, us(r["read_at_utc"]), us(event.recorded_at), offset, number, value)

    def _end(self) -> dict[str, int]:
        # the clock first: what was read before that moment and recorded is then behind a head
        now = us(datetime.fromisoformat(self.options["now"]) if self.options["now"] else datetime.now(UTC))
        heads = {n: head_of(Path(self.options["journals"]) / f"{n}.db") for n in SENSORS.journals}
        return {**heads, "clock": now // TICK_US * TICK_US}

    def _end_when_nobody_watches(self) -> None:
        """Raise when the command that started the query is gone, however it ended: the server would go on for ever."""
        fd = os.open(self.options["lock"], os.O_RDWR)
        try:
            with suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                raise Locked(because("environment.nobody_watches"))
        finally:
            os.close(fd)


class Changes(DataSource):
    """The table of changes as a sink."""

    @classmethod
    def name(cls) -> str:
        """Return the name of the format."""
        return "photopeak_changes"

    def streamWriter(self, schema: Any, overwrite: bool) -> "Writer":
        """Return the writer of one query."""
        return Writer(Path(self.options["home"]))


@dataclass
class Found(WriterCommitMessage):
    """What one task hands to the commit."""

    changes: list[dict[str, Any]]


class Writer(DataSourceStreamWriter):
    """Tasks hand in their changes; the commit of a batch writes them as one file, and writes the same file when it is repeated."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def write(self, iterator: Iterator[Any]) -> Found:
        """Return the changes of a task."""
        return Found([json.loads(row.change) for row in iterator])

    def commit(self, messages: list[Any], batchId: int) -> None:
        """Write the file of a batch, none when nothing changed."""
        found = [{**c, "batch": batchId} for m in messages if m for c in m.changes]
        for c in found:
            c["since_utc"], c["recorded_at_utc"] = c.pop("since"), c.pop("recorded_at")
        found.sort(key=lambda c: tuple(c[k] for k in KEY))  # of one sensor in the order in which they came to be
        path = self.home / "changes" / f"{batchId:012}.parquet"
        if found:
            place(path, lambda draft: pq.write_table(pa.Table.from_pylist(found, schema=CHANGES), draft))
        else:
            path.unlink(missing_ok=True)


def _states(key: tuple[Any, ...], frames: Iterator[Any], state: Any, seeds: str) -> Iterator[Any]:
    """Return a frame of the changes of one sensor, and leave in Spark's state what is kept of it."""
    import pandas as pd

    rows = [row for frame in frames for row in frame.to_dict("records")]
    kept = Kept(**json.loads(state.get[0])) if state.exists else Kept()
    kept, found = advance(kept, rows, reference.rules(Path(seeds)))
    state.update((json.dumps(asdict(kept)),))
    yield pd.DataFrame({"change": [json.dumps(c) for c in found]}, dtype=object)

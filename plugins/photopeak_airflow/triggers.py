"""Wake a DAG when a journal has more than its consumer has committed."""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

__all__ = ["JournalTrigger", "Watch", "committed_offsets", "head", "holds"]

POLL_S = 1.0


@dataclass
class Watch:
    """When to wake a consumer: a decision from heads, committed offsets and the time, without any I/O."""

    intervals: Mapping[str, float]  # journal: least seconds between two wake-ups that it alone causes
    quiet_s: float = 3.0
    patience_s: float = 30.0  # a stream that never rests wakes all the same
    again_s: float = 45.0  # a wake-up after which nothing was committed is repeated: its DAG may have been off just then
    _heads: dict[str, int] = field(default_factory=dict)
    _moved: float = 0.0  # when a head moved last
    _since: float | None = None  # since when something waits; None: nothing does
    _woke: float | None = None  # when it woke last; None: never
    _woke_at: dict[str, int] = field(default_factory=dict)  # what was committed then

    def step(self, now: float, heads: Mapping[str, int], committed: Mapping[str, int], at_once: bool = False) -> bool:
        """Return whether to wake the consumer now; `at_once`: something waits that somebody waits for, and no rest is needed."""
        waiting = {n for n in self.intervals if heads.get(n, 0) > committed.get(n, 0)}
        if not waiting:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if dict(heads) != self._heads:
            self._heads, self._moved = dict(heads), now
        if self._woke is not None:
            passed = now - self._woke
            if dict(committed) == self._woke_at and passed < self.again_s:
                return False
            if passed < min(self.intervals[n] for n in waiting):
                return False
        if not at_once and now - self._moved < self.quiet_s and now - self._since < self.patience_s:
            return False
        self._woke, self._woke_at, self._since = now, dict(committed), None
        return True


class JournalTrigger(BaseEventTrigger):
    """Yields an empty event whenever the consumer has something to read that it has not committed."""

    def __init__(self, consumer: str, journals: dict[str, float], quiet_s: float = 3.0, at_once: str | None = None) -> None:
        super().__init__()
        self.consumer, self.journals, self.quiet_s, self.at_once = consumer, journals, quiet_s, at_once

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer makes this trigger from."""
        given = {"consumer": self.consumer, "journals": self.journals, "quiet_s": self.quiet_s, "at_once": self.at_once}
        return "photopeak_airflow.triggers.JournalTrigger", given

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look every second; the offsets compared are the committed ones, so what came while this was down counts too."""
        home, watch = Path(os.environ["PHOTOPEAK_HOME"]), Watch(self.journals, self.quiet_s)
        while True:
            try:
                paths = {n: home / "journal" / f"{n}.db" for n in self.journals}
                heads = {n: head(path) for n, path in paths.items()}
                committed = committed_offsets(home / "consumers" / f"{self.consumer}.json")
                ripe = self.at_once is not None and any(
                    heads[n] > committed.get(n, 0) and holds(path, committed.get(n, 0), self.at_once) for n, path in paths.items()
                )
                wake = watch.step(time.monotonic(), heads, committed, ripe)
            except (sqlite3.Error, OSError, ValueError) as error:  # a journal that is being made or moved: the next look tells
                self.log.warning("%s cannot be watched just now: %s", self.consumer, error)
                wake = False
            if wake:
                self.log.info("%s has something to read: %s", self.consumer, heads)
                yield TriggerEvent({"consumer": self.consumer})
            await asyncio.sleep(POLL_S)


def head(path: Path) -> int:
    """Return the last offset of a journal; 0 before its intake has started."""
    if not path.exists():
        return 0
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
    try:
        return db.execute("SELECT coalesce(max(offset), 0) FROM event").fetchone()[0]
    finally:
        db.close()


def holds(path: Path, after: int, type_: str) -> bool:
    """Return whether a journal has an event of this type behind an offset."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
    try:
        return db.execute("SELECT 1 FROM event WHERE offset > ? AND +type = ? LIMIT 1", (after, type_)).fetchone() is not None
    finally:
        db.close()


def committed_offsets(path: Path) -> dict[str, int]:
    """Return how far the consumer has come; nothing before its first run."""
    return json.loads(path.read_text())["committed"] if path.exists() else {}

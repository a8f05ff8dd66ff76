"""Which worklists are held now: decided anew when the states, the overrides, the reference data or the day change, and each change told.

An event `device.hold` in the node's journal stands before what was held is offered; `holds.json` is for the landing page.
"""

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Container, Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic
from uuid import uuid4

from connectors.dicom.worklist.states import read_states
from connectors.events import Event, utc_text
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from judgement import reference
from judgement.days import present_day
from judgement.worklist import Decision, Override, State, Stations, decide
from messages import Message, fields, from_fields

__all__ = ["Holds"]

LOG = logging.getLogger("photopeak.dicom")
SOURCE = "urn:photopeak:dicom"
LOOK_S = 1.0  # between two looks at the times of a handful of files
SAID = {"held": "held", "warned": "offered with a warning", "offered": "offered"}
STRANGERS = 64  # AE titles that are counted by name
LONGEST_LIST = 50  # orders that are named


class Holds:
    """The decision about each device; safe from many threads."""

    def __init__(
        self, settings: Settings, journal: Journal, door: Journal, clock: Callable[[], datetime], seeds: Path | None = None
    ) -> None:
        self._settings, self._journal, self._door, self._clock, self._seeds = settings, journal, door, clock, seeds
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="holds", daemon=True)
        self._seen: object = None
        self._door_at, self._overrides = 0, dict[str, Override]()
        self._reference = Stations({}, (), frozenset())
        self._states: dict[str, State] | str = {}
        self._told = self._remembered()
        self._now: dict[str, Decision] = {}
        self._refused: Counter[str] = Counter()
        self._left_out: dict[str, Message] = {}
        self._shown: object = None

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()
        self._thread.join(2)

    def current(self) -> tuple[Stations, dict[str, Decision], dict[str, State] | str]:
        """Return reference data, decisions and states as of this moment; raise OSError or ValueError when they cannot be told."""
        with self._lock:
            self._look()
            return self._reference, dict(self._now), self._states

    def now(self) -> datetime:
        """Return the present moment, by which holds and worklists go."""
        return self._clock()

    def refuse(self, ae_title: str) -> int:
        """Count a question of a station that is not registered; return how many it has asked."""
        with self._lock:
            name = ae_title if ae_title in self._refused or len(self._refused) < STRANGERS else "…"
            self._refused[name] += 1
            return self._refused[name]

    def leave_out(self, looked_at: Mapping[str, Message | None], open_orders: Container[str]) -> None:
        """Note which of the orders that a question looked at can be offered to nobody, and why; the page shows them."""
        with self._lock:
            known = {**self._left_out, **looked_at}
            now = {a: why for a, why in known.items() if why is not None and a in open_orders}
            for accession in now.keys() - self._left_out.keys():
                LOG.warning("worklist: an order cannot be offered: %s", now[accession])
            self._left_out = now

    def _watch(self) -> None:
        failed_at = 0.0
        while not self._stop.wait(LOOK_S):
            try:
                with self._lock:
                    self._look()
                    self._show()
            except Exception as exc:  # nothing is offered meanwhile: who asks meets the same error
                if monotonic() - failed_at > 60:
                    failed_at = monotonic()
                    LOG.error("worklist: holds cannot be decided: %s: %s", type(exc).__name__, exc)

    def _look(self) -> None:
        now = self._clock()
        day = str(present_day(now, self._settings.zone))
        states, events = self._settings.worklist / "states.json", self._settings.journals / "events.db"
        files = [states, events, events.with_name("events.db-wal")]
        running = tuple(d for d, o in self._overrides.items() if o.runs(now))
        seen = (day, running, *(_stamp(path) for path in files), reference.stamp(Stations.TABLES, self._seeds))
        if seen == self._seen:
            return
        self._reference = reference.stations(self._settings.site_id, day, self._seeds)
        self._states = read_states(states, self._settings.site_id, day)
        for offset, event in self._door.since(self._door_at, "device.hold_override"):
            self._door_at = offset
            self._override(event)
        found = {
            d: decide(d, self._states, self._reference.policies, self._overrides.get(d), now) for d in self._reference.devices
        }
        self._tell(found)
        self._now = found
        self._show()
        running = tuple(d for d, o in self._overrides.items() if o.runs(now))
        self._seen = (day, running, *seen[2:])

    def _override(self, event: Event) -> None:
        device = event.data["device_id"]
        try:
            override = _override(event)
        except ValueError:
            LOG.warning("worklist: an override of %s is not obeyed: its end is no moment", device)
            return
        if override.staff_id not in self._reference.staff:
            LOG.warning("worklist: an override of %s is not obeyed: its person is not in the register of staff", device)
            return
        self._overrides[device] = override

    def _tell(self, found: dict[str, Decision]) -> None:
        for d, x in found.items():
            if x.action != "held":
                self._told.setdefault(d, x)  # of a new device only a hold is a change
        changed = {d: x for d, x in found.items() if self._told.get(d) != x}
        if not changed:
            return
        # a hold needs no record to begin; only the end of one waits for the disk
        self._now |= {d: x for d, x in changed.items() if x.action == "held"}
        at = self._clock()
        self._journal.append(
            [
                Event("device.hold", SOURCE, f"hold/{uuid4()}", self._settings.site_id, d, at, at, x.to_json())
                for d, x in sorted(changed.items())
            ]
        )
        self._told |= changed
        for d, x in sorted(changed.items()):
            by = f"; override by {x.overridden_by} until {x.override_until_utc}" if x.override_id else ""
            LOG.info("worklist of %s is %s: %s%s%s", d, SAID[x.action], x.state, f" ({x.reason})" if x.reason else "", by)

    def _remembered(self) -> dict[str, Decision]:
        """Return the last decision that the journal holds of each device: a start tells only what has changed since."""
        names = set(Decision.__dataclass_fields__)
        last = [self._journal.read(offset - 1, 1)[0][1] for offset in self._journal.latest("device.hold").values()]
        known = [(e.subject, e.data) for e in last if names <= set(e.data)]
        return {d: Decision(**{k: row[k] for k in names} | {"reason": from_fields(row) or ""}) for d, row in known}

    def _show(self) -> None:
        shown = (dict(self._now), dict(self._refused), dict(self._left_out))
        if shown == self._shown:
            return
        path = self._settings.worklist / "holds.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        body = {
            "at_utc": utc_text(self._clock()),
            "devices": {d: {**x.to_json(), **fields(x.reason)} for d, x in self._now.items()},
            "refused": dict(self._refused),
            "not_offered": [{"accession_number": a, **fields(why)} for a, why in sorted(self._left_out.items())[:LONGEST_LIST]],
            "not_offered_count": len(self._left_out),
        }
        draft.write_text(json.dumps(body, ensure_ascii=False, sort_keys=True), encoding="utf-8")
        draft.replace(path)
        self._shown = shown


def _override(event: Event) -> Override:
    """Return what a `device.hold_override` event says; raise ValueError when its end is no moment."""
    said, until = event.data, datetime.fromisoformat(event.data["until_utc"])
    return Override(event.id, said["device_id"], said["staff_id"], said["reason"], event.occurred_at, until)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size

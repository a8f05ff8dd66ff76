"""When has a series come to rest? Then one `dicom.series` event says so; a late instance is answered by a further event."""

import hashlib
import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from time import monotonic

from pydicom import dcmread

from connectors.dicom.storage.facts import series_facts
from connectors.dicom.storage.intake import SOURCE
from connectors.events import Event
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from connectors.stores.object_store.port import ObjectStore

__all__ = ["SeriesWatch", "series_event"]

LOG = logging.getLogger("photopeak.dicom")
PATIENCE = 6  # quiet times: a sender that keeps its association busy with other series for longer does not hold this one back
RELEASED = 0.3  # of a quiet time, when all senders have said that they are done: some open an association for each image


@dataclass(slots=True)
class _Open:
    last: float
    senders: set[Hashable] = field(default_factory=set)  # associations that brought images and may bring more
    released: float | None = None  # when the last sender said that it is done; None: one was lost, or was before this service


class SeriesWatch:
    """Closes series: stored instances and ends of associations are told to it; quiet is measured from the last of them."""

    def __init__(self, settings: Settings, journal: Journal, clear: ObjectStore, now: Callable[[], datetime]) -> None:
        self._settings, self._journal, self._clear, self._now = settings, journal, clear, now
        self._quiet = settings.series_quiet_s
        self._open: dict[str, _Open] = {}
        self._heard: dict[Hashable, float] = {}  # association → its last sign of life
        self._changed, self._ended = threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="series", daemon=True)

    def start(self) -> None:
        """Take up the series that had instances later than their last event when the service ended, and begin to watch."""
        closed = self._journal.latest("dicom.series")
        for series, last in self._journal.latest("dicom.instance").items():
            if last > closed.get(series, 0):
                self._open[series] = _Open(monotonic())
        self._thread.start()

    def stop(self) -> None:
        """End the watch; what is open is taken up again by the next start."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(2)

    def arrived(self, series: str, sender: Hashable) -> None:
        """Note an instance of a series that an association has brought."""
        with self._changed:
            known = series in self._open
            one = self._open.setdefault(series, _Open(0.0))
            one.last = self._heard[sender] = monotonic()
            one.senders.add(sender)
            if not known:
                self._changed.notify()

    def released(self, sender: Hashable) -> None:
        """Note that a sender has released its association: it has no more to send."""
        with self._changed:
            for one in self._open.values():
                if sender in one.senders:
                    one.senders.discard(sender)
                    one.released = monotonic()
            self._changed.notify()

    def lost(self, sender: Hashable) -> None:
        """Note that an association has ended in any way; after a release this changes nothing."""
        with self._changed:
            if sender in self._heard:
                self._heard[sender] = monotonic()

    def _due(self, one: _Open) -> float:
        heard = max([one.last, *(self._heard.get(s, 0.0) for s in one.senders)])
        due = min(heard, one.last + (PATIENCE - 1) * self._quiet) + self._quiet
        if one.senders or one.released is None:
            return due
        return min(due, max(one.last, one.released) + RELEASED * self._quiet)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._ended:
                    return
                due = {series: self._due(one) for series, one in self._open.items()}
                ripe = [series for series, at in due.items() if at <= monotonic()]
                if not ripe:
                    self._changed.wait(min(due.values()) - monotonic() if due else None)
                    continue
                for series in ripe:
                    del self._open[series]
                waited_for = {s for one in self._open.values() for s in one.senders}
                self._heard = {s: at for s, at in self._heard.items() if s in waited_for}
            for series in ripe:
                self._close(series)

    def _close(self, series: str) -> None:
        try:
            event = series_event(self._settings, self._journal, self._clear, series, self._now())
            self._journal.append([event])
            LOG.info("series %s closed with %d instances", series, len(event.data["instances"]))
        except Exception:  # a full disk must not end the watch: the series stays open and is tried again
            LOG.exception("series %s cannot be closed yet", series)
            with self._changed:
                self._open.setdefault(series, _Open(monotonic()))


def series_event(settings: Settings, journal: Journal, clear: ObjectStore, series: str, at: datetime) -> Event:
    """Return the event of a series with all its instances so far; the same instances give the same id and data."""
    stored = [event for _, event in journal.of("dicom.instance", series)]
    first = stored[0]
    header = dcmread(BytesIO(clear.get(first.data["object_key"])), stop_before_pixels=True)
    names = ("sop_instance_uid", "object_key", "sha256")
    facts = series_facts(header, settings.zone)
    told = [d for e in stored for d in e.data.get("doubts", ())]
    doubts = {"doubts": [{"field": f, "doubt": d} for f, d in sorted({(t["field"], t["doubt"]) for t in told})]} if told else {}
    whose = {name: first.data[name] for name in ("patient_number", "patient_issuer") if name in first.data}
    data = {**facts, **whose, **doubts, "series_uid": series, "instances": [{n: e.data[n] for n in names} for e in stored]}
    digest = hashlib.sha256("\n".join(sorted(e.data["sha256"] for e in stored)).encode()).hexdigest()
    occurred = datetime.fromisoformat(facts["acquired_at_utc"]) if facts["acquired_at_utc"] else first.recorded_at
    return Event("dicom.series", SOURCE, f"{series}/{digest}", settings.site_id, series, occurred, at, data)

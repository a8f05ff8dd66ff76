"""The poller: when which sensors are asked, and what becomes an event."""

import asyncio
import errno
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from connectors.events import Event, intake_outcome, utc_text, validate
from connectors.sensors.gateway import Gateway, Reading
from connectors.sensors.mapping import BadLine, Mapping, Point, read_mapping
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from connectors.stores.object_store.port import digest
from messages import because, fields

__all__ = ["Poller", "write_health"]

SOURCE = "urn:photopeak:modbus"
REPEAT_S = (60.0, 600.0)  # a silence is reported at once, after a minute, after two more …, at last every ten minutes
WAITING_EVENTS = 10_000  # kept in memory while the disk refuses
LOOK_S = 5.0  # how often the mapping file is looked at when nothing is to be polled

log = structlog.get_logger("modbus")


@dataclass(slots=True)
class _Silence:
    reported: float
    interval: float = REPEAT_S[0]


@dataclass(slots=True)
class Poller:
    """Polls what the mapping file says, until cancelled."""

    settings: Settings
    journal: Journal
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    mapping: Mapping = field(default_factory=Mapping)
    gateways: dict[tuple[str, int], Gateway] = field(default_factory=dict)
    waiting: deque[Event] = field(default_factory=lambda: deque(maxlen=WAITING_EVENTS))
    fault: str = ""  # why nothing can be kept, empty when all is well
    _seen: tuple[int, int] | None = None
    _silences: dict[str, _Silence] = field(default_factory=dict)
    _due: dict[float, float] = field(default_factory=dict)  # poll interval -> epoch second of its next cycle

    async def run(self) -> None:
        """Poll for ever."""
        try:
            while True:
                await self.cycle()
                now = self.clock().timestamp()
                await asyncio.sleep(max(0.02, min([LOOK_S, *(t - now for t in self._due.values())])))
        finally:
            self.close()

    async def cycle(self) -> None:
        """Look at the mapping file, ask what is due, append it at once for all rooms, write the health file."""
        self.reload()
        now = self.clock().timestamp()
        self._due = {p: min(self._due.get(p, now), _next(now, p)) for p in {p.poll_s for p in self.mapping.points}}
        due = {p: t for p, t in self._due.items() if t <= now}
        if due:
            tick = max(max(t, now // p * p) for p, t in due.items())
            self._due.update({p: _next(now, p) for p in due})
            readings = await self._ask([p for p in self.mapping.points if p.poll_s in due])
            self.waiting.extend(self._events(readings, tick))
        if due or self.waiting:
            self._keep()
        write_health(self.settings.home / "run" / "modbus.json", self.health())

    def reload(self) -> None:
        """Read the mapping file again when it changed; lines that cannot be used are quarantined, once a version of the file."""
        path = self.settings.sensor_map
        try:
            stat = path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
            if seen == self._seen:
                return
            content = path.read_bytes()
        except OSError as exc:
            self._complain(because("modbus.mapping_unreadable", file=path, problem=exc.strerror))
            return
        self._seen = seen
        mapping = read_mapping(content)
        if not mapping.points and mapping.bad_lines and self.mapping.points:
            mapping = Mapping(self.mapping.points, mapping.bad_lines)  # a broken header: go on with what was
        for bad in mapping.bad_lines:
            log.warning("bad line in the mapping", file=path.name, reason=bad.reason)
            self.waiting.append(self._quarantined(path.name, content, stat.st_mtime, bad))
        self.mapping = mapping
        wanted = {(p.host, p.port) for p in mapping.points}
        for address in [a for a in self.gateways if a not in wanted]:
            self.gateways.pop(address).close()
        for host, port in wanted - set(self.gateways):
            self.gateways[host, port] = Gateway(host, port)
        for gateway in self.gateways.values():
            gateway.forget()
        self._silences.clear()

    def health(self) -> dict[str, Any]:
        """Return what the status page shows."""
        points = self.mapping.points
        of = {a: [p.sensor_id for p in points if (p.host, p.port) == a] for a in self.gateways}
        return {
            "as_of_utc": utc_text(self.clock()), "fault": self.fault or None, "waiting_events": len(self.waiting),
            "mapping": {"points": len(points), "bad_lines": [b.reason for b in self.mapping.bad_lines]},
            "gateways": [
                {
                    "gateway": g.name, "state": "no_answer" if g.reason else "up", "reason": g.reason or None,
                    "since_utc": utc_text(g.since) if g.since else None,
                    "last_answer_utc": utc_text(g.last_answer) if g.last_answer else None,
                    "points": len(of[address]),
                    "silent": sorted(s for s in of[address] if s in self._silences),
                }
                for address, g in sorted(self.gateways.items())
            ],
        }  # fmt: skip

    def close(self) -> None:
        """Append what waits, end the connections."""
        if self.waiting:
            self._keep()
        for gateway in self.gateways.values():
            gateway.close()

    async def _ask(self, points: list[Point]) -> list[Reading]:
        by_address: dict[tuple[str, int], list[Point]] = {}
        for point in points:
            by_address.setdefault((point.host, point.port), []).append(point)
        before = {a: self.gateways[a].reason for a in by_address}
        answers = await asyncio.gather(*(self.gateways[a].read(mine) for a, mine in by_address.items()))
        for address, reason in before.items():
            gateway = self.gateways[address]
            if bool(gateway.reason) != bool(reason):
                log.warning("silent" if gateway.reason else "answers", gateway=gateway.name, reason=gateway.reason or None)
        return [r for answer in answers for r in answer]

    def _events(self, readings: Iterable[Reading], tick: float) -> list[Event]:
        """Return one event a room; of sensors that stay silent only now and then."""
        rooms: dict[str, list[Reading]] = {}
        now = asyncio.get_running_loop().time()
        for reading in readings:
            if self._worth_telling(reading, now):
                rooms.setdefault(reading.point.room_id, []).append(reading)
        occurred, events = datetime.fromtimestamp(tick, UTC), []
        for room, mine in rooms.items():
            data = {"room_id": room, "readings": [_data(r) for r in sorted(mine, key=lambda r: r.point.sensor_id)]}
            event_id = f"{room}/{round(tick * 1000)}"
            event = Event("sensor.readings", SOURCE, event_id, self.settings.site_id, room, occurred, self.clock(), data)
            validate(event)
            events.append(event)
        return events

    def _worth_telling(self, reading: Reading, now: float) -> bool:
        sensor = reading.point.sensor_id
        if reading.quality != "no_answer":
            self._silences.pop(sensor, None)
            return True
        silence = self._silences.get(sensor)
        if silence is None:
            self._silences[sensor] = _Silence(now)
            return True
        if now - silence.reported < silence.interval:
            return False
        silence.reported, silence.interval = now, min(silence.interval * 2, REPEAT_S[1])
        return True

    def _keep(self) -> None:
        """Make the waiting events durable in one append; while the disk refuses they wait, and the oldest make room."""
        try:
            if shutil.disk_usage(self.settings.home).free < self.settings.min_free_mib * 1024 * 1024:
                raise OSError(errno.ENOSPC, because("modbus.disk_full"))
            receipts = self.journal.append(list(self.waiting))
        except OSError as exc:
            self._complain(because("modbus.readings_wait", problem=exc))
            return
        taken = [e.id for e, r in zip(self.waiting, receipts, strict=True) if r.outcome == "conflict"]
        if (
            taken
        ):  # another reading of this very cycle is there already: we were started again within it, or the clock was set back
            log.warning("cycle is recorded already", ids=taken[:3], count=len(taken))
        self.waiting.clear()
        self.fault = ""

    def _complain(self, fault: str) -> None:
        if fault != self.fault:
            log.error(fault)
        self.fault = fault

    def _quarantined(self, name: str, content: bytes, changed: float, bad: BadLine) -> Event:
        """Return the outcome of a bad line; the same version of the file gives the same one, also after a restart."""
        line = bad.text.encode("utf-8", "replace")
        version = digest(content)[:16]
        message_id, site = f"{name}:{bad.number}", self.settings.site_id
        at = datetime.fromtimestamp(changed, UTC)
        event = intake_outcome(site, "modbus", message_id, "quarantined", digest(line), len(line), at, bad.reason, name)
        event = replace(event, id=f"outcome/{message_id}/{version}", recorded_at=self.clock())
        validate(event)
        return event


def write_health(path: Path, health: dict[str, Any]) -> None:
    """Replace the health file; readers see the old or the new one, and a full disk leaves the old one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(health, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)


def _next(now: float, interval: float) -> float:
    """Return the epoch second of the first cycle behind `now`; cycles lie on multiples of their interval."""
    return (now // interval + 1) * interval


def _data(reading: Reading) -> dict[str, Any]:
    point = reading.point
    return {
        "sensor_id": point.sensor_id, "quantity": point.quantity, "value": reading.value, "unit": point.unit,
        "quality": reading.quality, "time": utc_text(reading.at),
        **(fields(reading.reason) if reading.quality == "invalid" and reading.reason else {}),
    }  # fmt: skip

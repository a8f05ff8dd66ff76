"""Which scanner may ask for a worklist, and what today's state of its device means for it: reference data and one pure decision."""

import csv
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.events import Event, utc_text
from connectors.settings import ROOT, Settings

__all__ = ["Decision", "Override", "Policy", "Reference", "State", "Station", "decide", "local_day", "policy_of", "read_states"]

SEEDS = ROOT / "dbt_project" / "seeds"
FILES = ("worklist_stations", "worklist_policies", "devices", "staff")
STATES = ("fit", "conditional", "not_fit", "not_confirmed")
ACTIONS = {"hold": "held", "warn": "warned", "offer": "offered"}


@dataclass(frozen=True, slots=True)
class Station:
    """One row of worklist_stations.csv with what devices.csv says of its device; a device may have several AE titles."""

    ae_title: str
    device_id: str
    exam_codes: frozenset[str]
    modality: str
    station_name: str
    device_serial: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One row of worklist_policies.csv: what a state of a device does to its worklist; `device_id` empty: any device of the site."""

    policy_id: str
    version: int
    device_id: str
    state: str
    action: str  # hold | warn | offer
    valid_from: str
    valid_until: str
    approver: str


@dataclass(frozen=True, slots=True)
class State:
    """A device's state of one local day; `tests` are the due tests without a pass: procedure, code and why."""

    state: str
    reason: str
    tests: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Override:
    """A named person offers a held worklist all the same, until a moment."""

    event_id: str
    device_id: str
    staff_id: str
    reason: str
    from_utc: datetime
    until_utc: datetime

    @classmethod
    def of(cls, event: Event) -> "Override":
        """Return what a `device.hold_override` event says."""
        said, until = event.data, datetime.fromisoformat(event.data["until_utc"])
        return cls(event.id, said["device_id"], said["staff_id"], said["reason"], event.occurred_at, until)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about a device's worklist and why: `held`, `warned` (offered, and the page says so) or `offered`."""

    device_id: str
    action: str
    state: str
    reason: str
    policy_id: str | None = None
    policy_version: int | None = None
    approver: str | None = None
    override_id: str | None = None
    overridden_by: str | None = None
    override_reason: str | None = None
    override_until_utc: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Reference:
    """The rows in force on one local day at one site."""

    stations: dict[str, Station]  # by AE title
    policies: tuple[Policy, ...]
    staff: frozenset[str]

    @property
    def devices(self) -> list[str]:
        """Return the devices that have a worklist."""
        return sorted({s.device_id for s in self.stations.values()})

    @classmethod
    def read(cls, site_id: str, day: str, folder: Path = SEEDS) -> "Reference":
        """Return the reference data; raise OSError or ValueError when it cannot be read: then nobody is told anything."""
        rows = {name: _rows(folder / f"{name}.csv", site_id) for name in FILES}
        devices = {d["device_id"]: d for d in rows["devices"]}
        stations = {
            r["ae_title"]: Station(
                r["ae_title"], r["device_id"], frozenset(r["exam_codes"].split()), devices[r["device_id"]]["modality"],
                devices[r["device_id"]]["station_name"], devices[r["device_id"]]["device_serial"],
            )
            for r in rows["worklist_stations"]
            if _in_force(r, day) and r["device_id"] in devices
        }  # fmt: skip
        policies = tuple(
            Policy(r["policy_id"], int(r["version"]), r["device_id"], r["state"], r["action"], r["valid_from"], r["valid_until"], r["approver"])
            for r in rows["worklist_policies"]
            if _in_force(r, day)
        )  # fmt: skip
        return cls(stations, policies, frozenset(s["staff_id"] for s in rows["staff"]))


def local_day(settings: Settings, now: datetime) -> str:
    """Return the site's local day; a pinned moment at midnight is the end of the day before, as in the marts."""
    pinned = timedelta(microseconds=1) if settings.as_of_utc else timedelta()
    return f"{now - pinned + timedelta(minutes=settings.utc_offset_minutes):%Y-%m-%d}"


def read_states(path: Path, site_id: str, day: str) -> dict[str, State] | str:
    """Return the states of this local day by device, or why there are none: then every device counts as not confirmed."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["version"] != 1 or said["site_id"] != site_id:
            return "the file of today's device states is of another version or site"
        if said["day"] != day:
            return f"the newest device states are of {said['day']}, not of today"
        found = {
            name: State(d["state"], d["reason"] or "", tuple({k: str(t[k]) for k in ("procedure", "code", "reason")} for t in d["tests"]))
            for name, d in said["devices"].items()
        }  # fmt: skip
    except FileNotFoundError:
        return "no device state of today is known yet"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "the file of today's device states cannot be read"
    return found if all(s.state in STATES for s in found.values()) else "the file of today's device states cannot be read"


def policy_of(policies: tuple[Policy, ...], device_id: str, state: str) -> Policy | None:
    """Return the row for a device's state: its own before the site's, then the highest version."""
    fits = [p for p in policies if p.state == state and p.device_id in ("", device_id)]
    return max(fits, key=lambda p: (p.device_id != "", p.version, p.valid_from), default=None)


def decide(
    device_id: str, states: dict[str, State] | str, policies: tuple[Policy, ...], override: Override | None, now: datetime
) -> Decision:
    """Return what is done about a device's worklist.

    A device without a state of today is not confirmed. Not fit and not confirmed without a policy in force, or with one that
    cannot be understood, hold; an override turns a hold, and nothing else, into an offer.
    """
    unknown = State("not_confirmed", states if isinstance(states, str) else "no device state of today is known yet")
    now_is = unknown if isinstance(states, str) else states.get(device_id, unknown)
    policy = policy_of(policies, device_id, now_is.state)
    action = "offered" if now_is.state in ("fit", "conditional") else "held"
    if policy is not None:
        action = ACTIONS.get(policy.action, "held")
    decision = Decision(device_id, action, now_is.state, now_is.reason)
    if policy is not None:
        decision = replace(decision, policy_id=policy.policy_id, policy_version=policy.version, approver=policy.approver)
    if action != "held" or override is None or not override.from_utc <= now < override.until_utc:
        return decision
    return replace(
        decision, action="offered", override_id=override.event_id, overridden_by=override.staff_id, override_reason=override.reason,
        override_until_utc=utc_text(override.until_utc),
    )  # fmt: skip


def _rows(path: Path, site_id: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as f:
        return [r for r in csv.DictReader(f) if r["site_id"] in ("", site_id)]


def _in_force(row: dict[str, str], day: str) -> bool:
    return row["valid_from"] <= day and (not row["valid_until"] or day <= row["valid_until"])

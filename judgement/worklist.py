"""Which scanner may ask for a worklist, and whether its worklist is held: by the state of its device, the policies and an override."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from judgement.days import utc_text
from judgement.rows import Device, Member, Policy, StationRow
from judgement.validity import in_force
from messages import because, stored

__all__ = [
    "ACTIONS", "BLOCKED", "DEVICE_STATES", "FORMS_MISSING", "OFFERED", "Decision", "Override", "State", "Station", "Stations", "decide",
    "decide_examination", "policy_of",
]  # fmt: skip

DEVICE_STATES = ("fit", "conditional", "not_fit", "not_confirmed")
ACTIONS = {"hold": "held", "warn": "warned", "offer": "offered"}
OFFERED, WARNED, HELD = "offered", "warned", "held"
WORST = (OFFERED, WARNED, HELD)
# the states of worklist_policies.csv that are an examination's and no device's: a form may still be signed, the others forbid
BLOCKED, FORMS_MISSING = "blocked", "forms_missing"


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

    def runs(self, now: datetime) -> bool:
        """Tell whether it is in force."""
        return self.from_utc <= now < self.until_utc


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
        """Return the fields by name, and code and arguments of the reason."""
        return {**asdict(self), **stored(self.reason)}


@dataclass(frozen=True, slots=True)
class Stations:
    """Who may ask, and the policies: the rows in force on one local day at one site."""

    TABLES: ClassVar[tuple[type, ...]] = (StationRow, Policy, Device, Member)
    stations: dict[str, Station]  # by AE title
    policies: tuple[Policy, ...]
    staff: frozenset[str]

    @property
    def devices(self) -> list[str]:
        """Return the devices that have a worklist."""
        return sorted({s.device_id for s in self.stations.values()})

    @classmethod
    def of(
        cls,
        site_id: str,
        day: str,
        stations: Iterable[StationRow],
        policies: Iterable[Policy],
        devices: Iterable[Device],
        staff: Iterable[Member],
    ) -> "Stations":
        """Return what the tables say of a site on a day."""
        known = {d.device_id: d for d in devices if d.site_id == site_id}
        here = [r for r in stations if r.site_id in (None, site_id) and r.device_id in known]
        return cls(
            {r.ae_title: _station(r, known[r.device_id]) for r in in_force(here, day)},
            tuple(in_force((p for p in policies if p.site_id in (None, site_id)), day)),
            frozenset(m.staff_id for m in staff if m.site_id in (None, site_id)),
        )


def _station(row: StationRow, device: Device) -> Station:
    codes = frozenset((row.exam_codes or "").split())
    return Station(
        row.ae_title, row.device_id, codes, device.modality or "", device.station_name or "", device.device_serial or ""
    )


def policy_of(policies: Iterable[Policy], device_id: str | None, state: str) -> Policy | None:
    """Return the row for a device's state: its own before the site's, then the highest version."""
    fits = [p for p in policies if p.state == state and p.device_id in (None, device_id)]
    return max(fits, key=lambda p: (p.device_id is not None, p.version, p.valid_from), default=None)


def decide(
    device_id: str, states: dict[str, State] | str, policies: tuple[Policy, ...], override: Override | None, now: datetime
) -> Decision:
    """Return what is done about a device's worklist.

    A device without a state of today is not confirmed. Not fit and not confirmed without a policy in force, or with one that
    cannot be understood, hold; an override turns a hold, and nothing else, into an offer.
    """
    unknown = State("not_confirmed", states if isinstance(states, str) else because("hold.no_state_today"))
    now_is = unknown if isinstance(states, str) else states.get(device_id, unknown)
    policy = policy_of(policies, device_id, now_is.state)
    action = "offered" if now_is.state in ("fit", "conditional") else "held"
    if policy is not None:
        action = ACTIONS.get(policy.action, "held")
    decision = Decision(device_id, action, now_is.state, now_is.reason)
    if policy is not None:
        decision = replace(decision, policy_id=policy.policy_id, policy_version=policy.version, approver=policy.approver)
    if action != "held" or override is None or not override.runs(now):
        return decision
    return replace(
        decision, action="offered", override_id=override.event_id, overridden_by=override.staff_id, override_reason=override.reason,
        override_until_utc=utc_text(override.until_utc),
    )  # fmt: skip


def decide_examination(forbidden: Iterable[tuple[str, bool]], policies: Iterable[Policy]) -> tuple[str, Policy | None]:
    """Return what is done about an examination whose next step is forbidden, and the policy that says so.

    Parameters
    ----------
    forbidden
        What forbids it: the rule, and whether that is known. What is not known forbids nothing here.
    policies
        Those in force; a state without one, or with one that cannot be understood, holds.
    """
    met = {FORMS_MISSING if rule_id == "FORM_MISSING" else BLOCKED for rule_id, known in forbidden if known}
    rows = {state: policy_of(policies, None, state) for state in met}
    done = {state: ACTIONS.get(row.action, HELD) if (row := rows[state]) else HELD for state in met}
    worst = max(sorted(done), key=lambda state: WORST.index(done[state]), default=None)
    return (done[worst], rows[worst]) if worst else (OFFERED, None)

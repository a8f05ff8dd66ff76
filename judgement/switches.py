"""The analysis components: what each is, who answers for it, and which of them a site has switched off, by versioned reference data."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from spark_jobs.qc.result import NOT_MEASURED, Result

__all__ = [
    "Component",
    "Switch",
    "SwitchUnclear",
    "in_force",
    "read_components",
    "read_switches",
    "reasons",
    "refuse_switched_off",
    "said_of",
]

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"


class SwitchUnclear(ValueError):
    """A row of component_switches.csv that cannot be obeyed; nothing is guessed about what is off."""


@dataclass(frozen=True)
class Component:
    """One procedure or job: who owns it, what starts it, what goes in and comes out."""

    component: str
    kind: str  # procedure | job
    owner: str
    started_by: str
    input: str
    output: str


@dataclass(frozen=True)
class Switch:
    """One row of component_switches.csv: a component is off from one day to another, both included.

    `site_id` None means every site, `valid_until` None that nobody has switched it on again.
    """

    component: str
    site_id: str | None
    valid_from: str
    valid_until: str | None
    approver: str
    reason: str

    @property
    def sentence(self) -> str:
        """Return what rows, reports and lists say; the warehouse makes the same text (int_component__switch)."""
        return f"{self.component} is switched off by {self.approver} since {self.valid_from}: {self.reason}"


def read_components(path: Path | None = None) -> list[Component]:
    """Return the register of components."""
    with (path or SEEDS / "analysis_components.csv").open(encoding="utf-8", newline="") as f:
        return [Component(**row) for row in csv.DictReader(f)]


def read_switches(path: Path | None = None) -> list[Switch]:
    """Return all rows of component_switches.csv; raise SwitchUnclear for one that names no component, day, approver or reason."""
    place = path or SEEDS / "component_switches.csv"
    known = {c.component for c in read_components()}
    switches = []
    with place.open(encoding="utf-8", newline="") as f:
        for number, row in enumerate(csv.DictReader(f), 2):
            values = {k: (row.get(k) or "").strip() or None for k in Switch.__dataclass_fields__}
            wrong = [k for k in ("component", "valid_from", "approver", "reason") if values[k] is None]
            wrong += [k for k in ("valid_from", "valid_until") if values[k] is not None and not _is_day(str(values[k]))]
            if values["component"] not in known:
                wrong.append("component")
            if wrong:
                raise SwitchUnclear(f"{place.name}, line {number}: {', '.join(dict.fromkeys(wrong))} is missing or not known")
            switches.append(Switch(**values))  # type: ignore[arg-type]
    return switches


def in_force(switches: Iterable[Switch], site_id: str, day: str, kind: str = "procedure") -> list[Switch]:
    """Return the rows that switch a component of a kind off at a site on a local day (YYYY-MM-DD), sorted by what they say."""
    kinds = {c.component for c in read_components() if c.kind == kind}
    here = [s for s in switches if s.component in kinds and s.site_id in (None, site_id)]
    now = [s for s in here if s.valid_from <= day and (s.valid_until is None or s.valid_until >= day)]
    return sorted(now, key=lambda s: s.sentence)


def reasons(off: Iterable[Switch]) -> dict[str, str]:
    """Return {component: why it is off}."""
    said: dict[str, list[str]] = {}
    for s in off:
        said.setdefault(s.component, []).append(s.sentence)
    return {name: "; ".join(dict.fromkeys(sentences)) for name, sentences in said.items()}


def said_of(off: Iterable[Switch]) -> str | None:
    """Return everything that is off as one text, None when nothing is: part of the run key, and what the rows keep."""
    return "; ".join(dict.fromkeys(s.sentence for s in off)) or None


def refuse_switched_off(results: Iterable[Result], off: Mapping[str, str]) -> list[Result]:
    """Return the results with those of switched-off procedures replaced by the reason, one a procedure; never fewer procedures."""
    out: list[Result] = []
    for r in results:
        if r.procedure is None or r.procedure not in off:
            out.append(r)
        elif not any(o.procedure == r.procedure for o in out):
            out.append(
                replace(r, status=NOT_MEASURED, reason=off[r.procedure], detector=None, measures=(), warnings=(), figure=None)
            )
    return out


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False

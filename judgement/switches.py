"""Which analysis components (procedures, jobs) a site has switched off, by day."""

from collections.abc import Iterable

from judgement.rows import Component, Switch
from judgement.validity import in_force
from messages import joined

__all__ = ["reasons", "said_of", "switched_off", "unclear"]


def unclear(row: Switch, components: Iterable[str]) -> list[str]:
    """Return the columns of a row by which it cannot be obeyed."""
    wrong = [] if row.component in components else ["component"]
    return wrong + [k for k in ("approver", "reason") if not getattr(row, k).strip()]


def switched_off(
    switches: Iterable[Switch], components: Iterable[Component], site_id: str, day: str, kind: str = "procedure"
) -> list[Switch]:
    """Return the rows that switch a component of a kind off at a site on a local day (YYYY-MM-DD), sorted by their keys."""
    kinds = {c.component for c in components if c.kind == kind}
    here = [s for s in switches if s.component in kinds and s.site_id in (None, site_id)]
    return sorted(in_force(here, day), key=lambda s: s.key)


def reasons(off: Iterable[Switch]) -> dict[str, str]:
    """Return {component: why it is off}."""
    said: dict[str, list[str]] = {}
    for s in off:
        said.setdefault(s.component, []).append(s.sentence)
    return {name: joined(dict.fromkeys(sentences)) or "" for name, sentences in said.items()}


def said_of(off: Iterable[Switch]) -> str | None:
    """Return everything that is off as one text, None when nothing is: part of the run key, and what the rows keep."""
    return "; ".join(dict.fromkeys(s.key for s in off)) or None

"""Which rows of reference data hold on a day: every version stays in its table, and old results keep the row of their day."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, TypeVar

__all__ = ["in_force", "newest"]

R = TypeVar("R")


def in_force(rows: Iterable[R], day: date | str | None) -> list[R]:
    """Return the rows that hold on a local day, first and last day included; no row holds on a day that is not known (None).

    A row has `valid_from` and may have `valid_until` (None: open), each a day as text.
    """
    if day is None:
        return []
    on = day if isinstance(day, str) else day.isoformat()
    return [r for r in rows if r.valid_from <= on and ((until := getattr(r, "valid_until", None)) is None or on <= until)]  # type: ignore[attr-defined]


def newest(rows: Iterable[R], key: Callable[[R], Any]) -> dict[Any, R]:
    """Return of each key the row with the highest version; of rows without versions, or of equal ones, the latest first day."""
    best: dict[Any, R] = {}
    for row in rows:
        name = key(row)
        if name not in best or _rank(best[name]) < _rank(row):
            best[name] = row
    return best


def _rank(row: Any) -> tuple[int, str]:
    return getattr(row, "version", 0), row.valid_from

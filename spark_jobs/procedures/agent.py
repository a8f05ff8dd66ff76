"""What a header says of the nuclide given: names, half-life; the same for images of all kinds."""

from collections.abc import Sequence
from typing import Any

from connectors.nuclides import half_life_s
from spark_jobs.numbers import number_of
from spark_jobs.reading import Unreadable

__all__ = ["agents", "half_life_of", "names_of"]


def agents(ds: Any) -> list[Any]:
    """Return the items of RadiopharmaceuticalInformationSequence."""
    return list(ds.get("RadiopharmaceuticalInformationSequence") or [])


def half_life_of(items: Sequence[Any]) -> float | None:
    """Return the half-life (s) that items of a header state, or that of the nuclide they name, None where they do neither.

    Raise `Unreadable` where they name two nuclides, or another half-life than that of their nuclide.
    """
    names, stated = [], None
    for item in items:
        stated = stated or number_of(item, "RadionuclideHalfLife")
        names += names_of(item)
    try:
        return half_life_s(names, stated)
    except ValueError as exc:
        raise Unreadable(str(exc)) from exc


def names_of(item: Any) -> list[str]:
    """Return what an item of RadiopharmaceuticalInformationSequence calls its nuclide: code values and meanings."""
    return [str(c.get(k) or "") for c in item.get("RadionuclideCodeSequence") or [] for k in ("CodeValue", "CodeMeaning")]

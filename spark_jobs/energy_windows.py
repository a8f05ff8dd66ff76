"""Which energy window of a gamma camera's image is measured: the one that holds the nuclide's photopeak, the same for all procedures.

What says so are the ranges of EnergyWindowInformationSequence (PS3.3 C.8.4.10) and the photopeaks of the nuclide; where ranges or nuclide
are missing, the names of the windows. The number of counts says nothing: a broad scatter window may hold more than the photopeak.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from connectors.nuclides import nuclide_of, photopeaks_kev, weak_photopeaks_kev
from messages import because
from spark_jobs.numbers import number_of
from spark_jobs.reading import Instance, Unreadable

__all__ = ["Choice", "Window", "each_holds_photopeak", "nuclides_of", "of_photopeak", "windows_of"]

USUAL_WIDTH = (
    0.2  # of the photopeak's energy: of several windows that hold it, the one of about this width is the photopeak's own
)
NARROWEST = 0.05  # of the photopeak's energy: a window from here to as much above the usual width is set on the photopeak as well
SCATTER = re.compile(r"scat|compton|penetrat|septal|\bsc\d*\b|lower|upper|\b[lu]sw\b|backgr", re.IGNORECASE)
PEAK = re.compile(r"peak|primary|main|emission", re.IGNORECASE)


@dataclass(frozen=True)
class Window:
    """One energy window as the header describes it: number (1-based), name, and its ranges in keV."""

    number: int
    name: str
    ranges_kev: tuple[tuple[float, float], ...]

    @property
    def label(self) -> str:
        """Return the number and the limits, for reasons and notes; the name may be anything, a person's too, and is not shown."""
        ranges = ", ".join(f"{low:g}-{high:g} keV" for low, high in self.ranges_kev)
        return f"{self.number} ({ranges})" if ranges else str(self.number)

    def width_kev(self, energy_kev: float) -> float | None:
        """Return the width of the range that holds an energy, None where none does."""
        return next((high - low for low, high in self.ranges_kev if low <= energy_kev <= high), None)


@dataclass(frozen=True)
class Choice:
    """The series with the frames that are measured, notes about the choice, and why they may be of scatter (None: they are not)."""

    series: list[Instance]
    notes: tuple[str, ...] = ()
    doubt: str | None = None
    weakness: str | None = None  # why the values get no verdict
    window: int | None = None  # the number of the window, of a further one
    further: tuple["Choice", ...] = ()  # other windows that hold a photopeak of the nuclide as well


@dataclass(frozen=True)
class _Peak:
    """One photopeak and the window of an object that holds it; without energy, the window is known by its name or is the only one."""

    window: int
    text: str
    nuclide: str | None = None
    rank: int = 0  # 0: the photopeak that the nuclide is mostly imaged with
    missed: str | None = None  # that the photopeak is a weak one, and the main one is missed
    nth: int = 0  # 0: of the windows that hold the photopeak, the one of the usual width


def windows_of(instance: Instance) -> dict[int, Window]:
    """Return the windows that the header describes, by number; limits that are absent, zero or turned round are none.

    Unreadable ones are `Unreadable`.
    """
    out = {}
    for number, item in enumerate(instance.dataset.get("EnergyWindowInformationSequence") or [], 1):
        limits = [
            (number_of(r, "EnergyWindowLowerLimit"), number_of(r, "EnergyWindowUpperLimit"))
            for r in item.get("EnergyWindowRangeSequence") or []
        ]
        ranges = tuple((low, high) for low, high in limits if high > low)
        out[number] = Window(number, str(item.get("EnergyWindowName") or "").strip(), ranges)
    return out


def nuclides_of(instance: Instance) -> list[str]:
    """Return the nuclides that the header names, by code and meaning; by the radiopharmaceutical where no code names one.

    Raise `Unreadable` where code and meaning of one item name two: which of them was imaged is unknown.
    """
    items = list(instance.dataset.get("RadiopharmaceuticalInformationSequence") or [])
    codes = [c for item in items for c in item.get("RadionuclideCodeSequence") or []]
    named: list[str | None] = []
    for c in codes:
        both = {n for n in (nuclide_of(str(c.get(k) or "")) for k in ("CodeValue", "CodeMeaning")) if n}
        if len(both) > 1:
            raise Unreadable(because("header.nuclides_two", nuclides=sorted(both)))
        named += both
    named = named or [nuclide_of(str(item.get("Radiopharmaceutical") or "")) for item in items]
    return list(dict.fromkeys(n for n in named if n))


def each_holds_photopeak(instance: Instance) -> bool | None:
    """Return whether each window that frames are of holds a photopeak of the header's nuclides; None: ranges or nuclides are not known."""
    described = windows_of(instance)
    there = [described.get(n) for n in sorted(set(instance.vector("EnergyWindowVector").tolist()))]
    energies = [e for n in nuclides_of(instance) for e in photopeaks_kev(n)]
    if not energies or any(w is None or not w.ranges_kev for w in there):
        return None
    return all(any(w.width_kev(e) is not None for e in energies) for w in there if w is not None)


def of_photopeak(series: Sequence[Instance]) -> Choice:
    """Return the series with the frames of the photopeak's window alone, and what has to be said about the choice.

    Objects all of whose windows hold scatter are left out where another object of the series holds the photopeak. An object with one
    window whose range or nuclide is not known is taken as it is; a series all of one window that holds no photopeak is in doubt.

    Raises
    ------
    Unreadable
        There are several windows, and none holds a photopeak, or which one does is unknown.
    """
    found: list[tuple[Instance, list[_Peak] | str]] = []
    for instance in series:
        found.append((instance, _peaks(instance) if instance.modality == "NM" else []))
    peaks = [p for _, ps in found if not isinstance(ps, str) for p in ps]
    reasons = [ps for _, ps in found if isinstance(ps, str)]
    if reasons and not any(p.nuclide or p.text for p in peaks):
        alone = all(len(set(i.vector("EnergyWindowVector").tolist())) == 1 for i in series)
        if alone and len({str(windows_of(i)) for i in series}) == 1:
            return Choice(list(series), (), reasons[0])
        raise Unreadable(reasons[0])
    nuclides = sorted({p.nuclide for p in peaks if p.nuclide})
    if len(nuclides) > 1:
        raise Unreadable(because("window.photopeaks_many", nuclides=list(nuclides)))
    best = min((p.rank for p in peaks), default=0)
    out, notes, missed = [], [], []
    for instance, own in found:
        if isinstance(own, str):
            continue
        if not own:
            out.append(instance)
            continue
        chosen = next((p for p in own if p.rank == best and p.nth == 0), None)
        if chosen is None:
            continue
        windows = instance.vector("EnergyWindowVector")
        out.append(instance.only(np.flatnonzero(windows == chosen.window)))
        missed += [chosen.missed] if chosen.missed else []
        if chosen.text:
            notes.append(chosen.text)
    left = len(series) - len(out)
    if left:
        notes.append(because("window.objects_left_out", objects=left))
    return Choice(out, tuple(dict.fromkeys(notes)), None, next(iter(missed), None), further=_further(found, best))


def _further(found: Sequence[tuple[Instance, list[_Peak] | str]], best: int) -> tuple[Choice, ...]:
    """Return a choice for each window beside the one that is measured first, by photopeak: an even flood in one hides no fault in another."""
    groups: dict[tuple[int, int], list[tuple[Instance, _Peak]]] = {}
    for instance, own in found:
        peaks = [] if isinstance(own, str) else own
        seen = {p.window for p in peaks if p.rank == best and p.nth == 0}
        for p in peaks:
            if p.window not in seen:
                seen.add(p.window)
                groups.setdefault((p.rank, p.nth), []).append((instance, p))
    out = []
    for _, parts in sorted(groups.items(), key=lambda g: g[0]):
        frames = [i.only(np.flatnonzero(i.vector("EnergyWindowVector") == p.window)) for i, p in parts]
        out.append(Choice(frames, tuple(dict.fromkeys(p.text for _, p in parts if p.text)), window=parts[0][1].window))
    return tuple(out)


def _peaks(instance: Instance) -> list[_Peak] | str:
    """Return the photopeaks that windows of an object hold, none where all its frames are taken as they are, or why there is none."""
    described = windows_of(instance)
    there = _there(instance, described)
    if isinstance(there, str):
        return there
    nuclides = nuclides_of(instance)
    named = nuclides or list(dict.fromkeys(n for n in (nuclide_of(w.name) for w in there) if n))
    energies = {n: photopeaks_kev(n) for n in named}
    if any(energies.values()) and all(w.ranges_kev for w in there):
        return _by_ranges(there, energies)
    if len(there) == 1:
        if SCATTER.search(there[0].name):
            return because("window.named_scatter", window=there[0].label)
        return []
    return _by_names(there)


def _there(instance: Instance, described: dict[int, Window]) -> list[Window] | str:
    """Return the windows that the frames of an object are of, or why these are unknown."""
    numbers = sorted(set(instance.vector("EnergyWindowVector").tolist()))
    if instance.dataset.get("EnergyWindowVector") is None and len(described) > 1:
        # a reconstruction is made from its windows; of other images each frame is of one
        nuclides = nuclides_of(instance)
        holds = [any(w.width_kev(e) is not None for n in nuclides for e in photopeaks_kev(n)) for w in described.values()]
        if (instance.kind or "").startswith("RECON"):
            return [next(w for w, h in zip(described.values(), holds, strict=True) if h or not any(holds))] if described else []
        if not all(holds):
            return because("window.vector_missing", windows=len(described))
        numbers = [1]
    if described and max(numbers) > len(described):
        if len(described) == len(numbers) == 1:
            (only,) = described.values()
            return [Window(numbers[0], only.name, only.ranges_kev)]
        return because("window.vector_outside", window=max(numbers), described=len(described))
    return [described.get(n) or Window(n, "", ()) for n in numbers]


def _by_ranges(there: Sequence[Window], energies: dict[str, tuple[float, ...]]) -> list[_Peak] | str:
    """Return for each photopeak that is held the window of it whose width is the usual one."""
    out = []
    for nuclide, own in energies.items():
        for rank, energy in enumerate(own):
            holders = [(abs(width / energy - USUAL_WIDTH), w) for w in there if (width := w.width_kev(energy)) is not None]
            if not holders:
                continue
            holders.sort(key=lambda h: h[0])
            if len(holders) > 1 and holders[0][1].ranges_kev == holders[1][1].ranges_kev:
                return because("window.same", first=holders[0][1].label, second=holders[1][1].label)
            window = holders[0][1]
            many = len(there) > 1
            text = because("window.photopeak_measured", windows=len(there), window=window.label, nuclide=nuclide, kev=energy)
            missed = None
            if energy in weak_photopeaks_kev(nuclide):
                missed = because("window.main_photopeak_missed", window=window.label, nuclide=nuclide, kev=own[0])
            out.append(_Peak(window.number, text if many else "", nuclide, rank, missed))
            others = [w for off, w in holders[1:] if off <= USUAL_WIDTH - NARROWEST and not SCATTER.search(w.name)]
            for nth, w in enumerate(others, 1):
                text = because("window.photopeak_measured", windows=len(there), window=w.label, nuclide=nuclide, kev=energy)
                out.append(_Peak(w.number, text, nuclide, rank, missed, nth))
    if out:
        return out
    peaks = ", ".join(f"{n} ({', '.join(f'{e:g}' for e in own)} keV)" for n, own in energies.items() if own)
    labels = ", ".join(w.label for w in there)
    return because("window.no_photopeak", windows=labels, photopeaks=peaks)


def _by_names(there: Sequence[Window]) -> list[_Peak] | str:
    named = [w for w in there if not SCATTER.search(w.name) and (PEAK.search(w.name) or nuclide_of(w.name))]
    others = [w for w in there if not SCATTER.search(w.name)]
    if len(named) == 1 and (len(others) == 1 or all(w.name for w in there)):
        (window,) = named
    elif len(others) == 1:
        (window,) = others
    else:
        return because("window.unknown", windows=len(there))
    text = because("window.by_name_measured", windows=len(there), window=window.label)
    return [_Peak(window.number, text)]

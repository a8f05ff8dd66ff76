"""The moment that PET voxels are decay-corrected to: derived from the header, and held against DecayFactor of each slice.

PS3.3 C.8.9.1.1.5: all images of a series are corrected to one moment, which DecayFactor, FrameReferenceTime and the half-life tell
beside the label START or ADMIN. A frame that began at a and lasted T, corrected to t, has DecayFactor e^(λ(a − t)) times its decay
during T, which vendors take as nothing, as its mean λT/(1 − e^(−λT)), or at half of T: so t lies between a − ln DF/λ and T/2 later.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from messages import because
from spark_jobs.numbers import number_of
from spark_jobs.private_elements import private_value
from spark_jobs.procedures.moments import acquired, on_clock, parsed, series_begun
from spark_jobs.qc.terms import shown
from spark_jobs.reading import Instance, Unreadable

__all__ = ["Reference", "decay_correction", "is_dated", "reference_of", "scan_start"]

# creator, group and element of a vendor's own moment: what voxels are corrected to (Siemens), the start of the scan (GE)
SIEMENS_REFERENCE = (0x0071, "SIEMENS MED PT", 0x22)
GE_SCAN_START = (0x0009, "GEMS_PETD_01", 0x0D)
SAME = 0.02  # of the activity: moments that differ by less tell the same
AMBIGUOUS = 0.05  # of the activity: two moments that differ by more, and nothing that tells which, give no value
IN_FRAME = 0.1  # of the activity: a frame whose decay may be left out of DecayFactor and is larger gives no value
SAME_S = 60.0
MOST = 20.0  # e-fold of any decay that is told here: beyond it everything is the same nonsense

Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class Reference:
    """The moment that voxels are corrected to, on the header's clock, and what is to be noticed about it."""

    moment: datetime
    notes: tuple[str, ...] = ()


def decay_correction(series: Sequence[Instance]) -> str:
    """Return DecayCorrection, empty where it is missing; slices that differ are `Unreadable`."""
    found = {str(i.dataset.get("DecayCorrection") or "").strip().upper() for i in series}
    if len(found) > 1:
        raise Unreadable(because("header.decay_corrections_differ", found=sorted(shown("DecayCorrection", f) for f in found)))
    return found.pop()


def is_dated(series: Sequence[Instance]) -> bool:
    """Return whether the header gives any moment of the series or of an acquisition."""
    return series_begun(series[0].dataset) is not None or any(acquired(i.dataset) is not None for i in series)


def scan_start(series: Sequence[Instance]) -> datetime:
    """Return when the first acquisition of a series began, or the series where no acquisition tells it."""
    moments = [m for m in (acquired(i.dataset) for i in series) if m is not None]
    start = min(moments) if moments else series_begun(series[0].dataset)
    if start is None:
        raise Unreadable(because("header.scan_start_unknown"))
    return start


def reference_of(
    series: Sequence[Instance], half_life_s: float, injection: Callable[[], datetime], days: Sequence[datetime] = ()
) -> Reference:
    """Return the moment that the voxels of a series are corrected to.

    Parameters
    ----------
    series
        All slices.
    half_life_s
        Of the nuclide.
    injection
        Gives the moment of the injection; asked for ADMIN alone, and may raise `Unreadable`.
    days
        The moments that it may be where its day is not told: for ADMIN the numbers of the slices tell which of them it is.

    Raises
    ------
    Unreadable
        DecayCorrection is NONE or missing, no element tells the moment, or elements contradict each other by more than 2 % of activity.
    """
    correction = decay_correction(series)
    if correction not in ("START", "ADMIN"):
        raise Unreadable(because("header.decay_correction_other", correction=shown("DecayCorrection", correction)))
    evidence = _Evidence(series, half_life_s)
    ds = series[0].dataset
    vendors = _vendors(ds, SIEMENS_REFERENCE, because("header.vendor_moment_0071"))
    if correction == "ADMIN":
        given = _told_by_numbers(days, evidence, vendors) or injection()
        if vendors is not None and not evidence.same(vendors, given):
            raise _contradiction("DecayCorrection ADMIN", given, because("header.vendor_moment_0071"), vendors)
        evidence.hold(given, "DecayCorrection ADMIN")
        return Reference(given, evidence.notes(given))
    if vendors is not None:
        evidence.hold(vendors, because("header.vendor_moment_0071"))
        return Reference(vendors, evidence.notes(vendors))
    return _start(series, evidence)


def _told_by_numbers(days: Sequence[datetime], evidence: "_Evidence", vendors: datetime | None) -> datetime | None:
    """Return the one of some moments that the vendor's moment, or else the numbers of the slices, agree with; None where these tell none."""
    if vendors is not None:
        fits = [d for d in days if abs((vendors - d).total_seconds()) <= SAME_S]
    else:
        fits = [d for d in days if evidence.agrees(d)] if evidence.tells else []
    return fits[0] if len(fits) == 1 else None


def _start(series: Sequence[Instance], evidence: "_Evidence") -> Reference:
    """Return the reference of START: of the moments that the header gives for the start, the one that its numbers agree with."""
    ds = series[0].dataset
    first = min(evidence.acquired, default=None)
    begun = series_begun(ds)
    anew = begun is None or (first is not None and (begun - first).total_seconds() > 0)
    vendors = _vendors(ds, GE_SCAN_START, because("header.vendor_moment_0009"))
    starts: dict[str, datetime] = {}
    if begun is not None and not anew:
        starts["SeriesTime"] = begun
    if vendors is not None and (first is None or vendors <= first):
        starts[because("header.vendor_moment_0009")] = vendors
    if first is not None:
        starts["AcquisitionTime"] = first
    if not starts:
        raise Unreadable(because("header.scan_start_unknown"))
    if not evidence.tells:
        if len(starts) == 3:  # the vendor's own start of the scan explains why the first acquisition at hand is later
            del starts["AcquisitionTime"]
        (name, chosen), *others = starts.items()
        for other, moment in others:
            if name == "SeriesTime" and evidence.apart(chosen, moment) > AMBIGUOUS:
                raise _contradiction(name, chosen, other, moment)
        return Reference(chosen)
    agreeing = [m for m in starts.values() if evidence.agrees(m)]
    if agreeing:
        return Reference(agreeing[0], evidence.notes(agreeing[0]))
    derived = evidence.derived()
    if anew and derived is not None:  # who made the series anew gave it a time of its own, and left the numbers of the frames
        note = because("header.reference_by_decay_factor", moment=f"{derived:%Y-%m-%d %H:%M}")
        return Reference(derived, (note, *evidence.notes(derived)))
    name, chosen = next(iter(starts.items()))
    raise evidence.contradiction(name, chosen)


def _vendors(ds: object, where: tuple[int, str, int], name: str) -> datetime | None:
    value = private_value(ds, *where)
    moment = parsed(value)
    if moment is None and value is not None:
        raise Unreadable(because("header.vendor_unreadable", what=name))
    return None if moment is None else on_clock(ds, moment, name)


def _contradiction(one: str, first: datetime, other: str, second: datetime) -> Unreadable:
    return Unreadable(
        because(
            "header.reference_contradicts",
            first=one,
            moment=f"{first:%Y-%m-%d %H:%M}",
            second=other,
            other=f"{second:%Y-%m-%d %H:%M}",
        )
    )


class _Evidence:
    """What DecayFactor and FrameReferenceTime of all slices say of the reference."""

    def __init__(self, series: Sequence[Instance], half_life_s: float) -> None:
        self.rate = math.log(2) / half_life_s
        found = [(i, acquired(i.dataset)) for i in series]
        self.acquired = [m for _, m in found if m is not None]
        for i, name in ((i, n) for i in series for n in ("DecayFactor", "FrameReferenceTime")):
            number_of(i.dataset, name)  # one that cannot be read is not absent: it may contradict
        self._slices = [(m, number_of(i.dataset, "ActualFrameDuration") / 1000, i) for i, m in found if m is not None]
        complete = len(self._slices) == len(series) and all(lasting > 0 for _, lasting, _ in self._slices)
        self._factor = self._by("DecayFactor") if complete else None
        self._frame = self._by("FrameReferenceTime") if complete else None

    @property
    def tells(self) -> bool:
        return self._factor is not None or self._frame is not None

    def _by(self, name: str) -> Interval | None:
        """Return between which moments the reference lies by one element, None where slices lack it or it is a filler.

        FrameReferenceTime 0, or the same in frames of different times, is none that refers to one moment.
        """
        values = [number_of(i.dataset, name) for _, _, i in self._slices]
        if not values or min(values) <= 0:
            return None
        apart = self.apart(min(self.acquired), max(self.acquired)) > SAME
        if name == "FrameReferenceTime" and apart and min(values) == max(values):
            return None
        if max(values) > (math.exp(MOST) if name == "DecayFactor" else 1000 * MOST / self.rate):
            raise Unreadable(because("header.value_absurd", what=name, value=max(values)))
        back = [math.log(v) / self.rate if name == "DecayFactor" else v / 1000 for v in values]
        lows = [a - timedelta(seconds=b) for (a, _, _), b in zip(self._slices, back, strict=True)]
        highs = [low + timedelta(seconds=t / 2) for low, (_, t, _) in zip(lows, self._slices, strict=True)]
        low, high = max(lows), min(highs)
        if low > high and self.apart(low, high) > 2 * SAME:
            if name == "DecayFactor":
                raise Unreadable(because("header.decay_factor_uneven", percent=100 * self.apart(low, high)))
            return None
        return min(low, high), max(low, high)

    def apart(self, one: datetime, other: datetime) -> float:
        """Return by which part the activity changes between two moments."""
        return math.expm1(min(self.rate * abs((one - other).total_seconds()), MOST))

    def same(self, one: datetime, other: datetime) -> bool:
        return abs((one - other).total_seconds()) <= SAME_S or self.apart(one, other) <= SAME

    def agrees(self, moment: datetime) -> bool:
        """Return whether a moment is the reference by DecayFactor, or, where no slice has that, by FrameReferenceTime."""
        interval = self._factor or self._frame
        if interval is None:
            return True
        low, high = interval
        return low <= moment <= high or self.same(moment, low) or self.same(moment, high)

    def hold(self, moment: datetime, name: str) -> None:
        """Raise `Unreadable` where a moment is not the reference by the numbers of the slices."""
        if not self.agrees(moment):
            raise self.contradiction(name, moment)

    def contradiction(self, name: str, moment: datetime) -> Unreadable:
        interval, by = (self._factor, "DecayFactor") if self._factor else (self._frame, "FrameReferenceTime")
        assert interval is not None
        return _contradiction(name, moment, by, interval[1])

    def derived(self) -> datetime | None:
        """Return the moment that DecayFactor and FrameReferenceTime agree on, the decay in a frame taken as its mean."""
        if self._factor is None or self._frame is None:
            return None
        low, high = max(self._factor[0], self._frame[0]), min(self._factor[1], self._frame[1])
        if low > high and not self.same(low, high):
            return None
        seconds = []
        for begun, lasting, instance in self._slices:
            x = self.rate * lasting
            inside = math.log(x / -math.expm1(-x)) if x > 1e-9 else 0.0
            back = (math.log(number_of(instance.dataset, "DecayFactor")) - inside) / self.rate
            seconds.append((begun - low).total_seconds() - back)
        return low + timedelta(seconds=sum(seconds) / len(seconds))

    def notes(self, moment: datetime) -> tuple[str, ...]:
        """Return what is to be noticed; raise `Unreadable` where DecayFactor leaves much decay during the frames out."""
        if self._factor is None:
            return ()
        worst = 0.0
        for begun, lasting, instance in self._slices:
            left = math.log(number_of(instance.dataset, "DecayFactor")) - self.rate * (begun - moment).total_seconds()
            inside = self.rate * lasting / 2
            if inside > SAME and left < inside / 2:
                worst = max(worst, math.expm1(inside))
        if worst > IN_FRAME:
            raise Unreadable(because("header.decay_in_frame_unknown", percent=100 * worst))
        return (because("header.decay_in_frame", percent=100 * worst),) if worst else ()

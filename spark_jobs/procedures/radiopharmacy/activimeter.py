"""Activimeter: a sheet of readings (JSON), because it writes no images.

```json
{"procedure": "activimeter", "device_serial": "AC-1", "measured_at": "2026-04-01T08:00:00", "background_mbq": 0.01,
 "accuracy":      [{"nuclide": "Cs-137", "reference_mbq": 9.25, "reference_at": "2025-01-01T00:00:00", "readings_mbq": [8.99, 9.0]}],
 "constancy":     [{"nuclide": "Cs-137", "reference_mbq": 9.10, "reference_at": "2025-06-01T00:00:00", "readings_mbq": [8.95]}],
 "linearity":     {"nuclide": "Tc-99m", "readings": [{"at": "2026-04-01T08:00:00", "mbq": 4000}, {"at": "2026-04-01T14:00:00", "mbq": 2001}]},
 "repeatability": {"nuclide": "Cs-137", "readings_mbq": [9.0, 9.01, 8.99, 9.0, 9.0]}}
```

Times are of one clock, or all have an offset from UTC; a day alone, of a nuclide that decays by 1 % in it at most, is one of the
others' clock. A part that was not done is left out, and named in the result; repeatability is then that of five or more readings of
one reference within an hour. A part that contradicts itself refuses the sheet.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any

import numpy as np

from connectors.nuclides import half_life_s, nuclide_of
from messages import because
from spark_jobs.documents import Document
from spark_jobs.procedures.row import Procedure, Sheet, refusal
from spark_jobs.qc.radiopharmacy import activimeter
from spark_jobs.qc.radiopharmacy.activimeter import Readings
from spark_jobs.qc.result import INDICATIVE, MEASURED, Measure, Result
from spark_jobs.reading import Unreadable

__all__ = ["ROWS", "SHEETS"]

PARTS = ("accuracy", "constancy", "linearity", "repeatability")
MOMENTS, DAY = ("at", "measured_at", "reference_at"), len("2026-04-01")
DAY_S, MOST_A_DAY_PERCENT = 86_400.0, 1.0  # a day alone is a moment of what decays by no more in it
SITTING_S = 3600.0  # readings of one reference within it are repeated readings, whatever they were taken for
COMPARED = {"accuracy": "accuracy_error_percent", "constancy": "constancy_error_percent"}


def _sheet(document: Document, same: Sequence[Document]) -> list[Result]:
    sheet = document.sheet
    background = _number(sheet.get("background_mbq", 0.0), "background_mbq", least=0.0)
    day = sheet.get("measured_at")
    zone = _zone(_texts(sheet))
    measures: list[Measure] = []
    sittings: dict[str, tuple[str, Readings]] = {}
    doubts: list[str] = []
    figure = None
    for part in PARTS:
        given = sheet.get(part)
        for one in given if isinstance(given, list) else [given] if given else []:
            if not isinstance(one, dict):
                raise Unreadable(because("sheet.not_an_object", part=part))
            found: Measure | str
            if part in COMPARED:
                begin = _moment(one.get("reference_at"), because("activimeter.key", part=part, key="reference_at"), zone)
                readings = _readings(one, part, background, day, begin, zone)
                if (readings.seconds < 0).any():
                    raise Unreadable(because("activimeter.reading_before_reference", part=part))
                if readings.mbq.size >= activimeter.FEWEST_REPEATED and np.ptp(readings.seconds) <= SITTING_S:
                    sittings.setdefault(readings.nuclide, (part, readings))
                told = not sheet.get("repeatability") and sittings.get(readings.nuclide, ("", None))[1] is readings
                reference = _number(one.get("reference_mbq"), because("activimeter.key", part=part, key="reference_mbq"))
                found = activimeter.agreement(COMPARED[part], readings, reference)
                impossible = None if isinstance(found, str) else activimeter.no_device(readings, reference)
                doubts[:0] = [impossible] if impossible else []
                doubts += [
                    d for d in (activimeter.scatter(readings, reference),) if d and not told and not isinstance(found, str)
                ]
            elif part == "linearity":
                readings = _readings(one, part, background, day, None, zone)
                result = activimeter.linearity(readings)
                found = result if isinstance(result, str) else result[0]
                impossible = activimeter.no_device(readings)
                doubts[:0] = [impossible] if impossible else []
                if not isinstance(result, str):
                    figure = {"kind": "activimeter", "mbq": readings.mbq, "residuals": result[1]}
            else:
                readings = _readings(one, part, background, day, None, zone)
                impossible = activimeter.no_device(readings)
                doubts[:0] = [impossible] if impossible else []
                found = activimeter.repeatability(readings)
            if isinstance(found, str):
                return [refusal(activimeter, because("activimeter.of_part", part=part, reason=found))]
            measures.append(found)
    missing = [p for p in PARTS if not sheet.get(p)]
    if len(missing) == len(PARTS):
        return [refusal(activimeter, because("activimeter.sheet_empty"))]
    warnings = [because("activimeter.not_on_sheet", parts=list(missing))] if missing else []
    if "repeatability" in missing:  # readings that scatter widely about the reference have no mean error
        for nuclide, (part, readings) in sittings.items():
            found = activimeter.repeatability(readings)
            if isinstance(found, Measure):
                measures.append(found)
                warnings.append(because("activimeter.repeatability_from", nuclide=nuclide, part=part))
    status, reason = (INDICATIVE, doubts[0]) if doubts else (MEASURED, None)
    about = (activimeter.METHOD, activimeter.VERSION, tuple(measures), tuple(warnings), figure)
    return [Result(activimeter.PROCEDURE, status, reason, None, *about)]


def _readings(
    part: dict[str, Any], name: str, background: float, day: Any, begin: datetime | None, zone: tzinfo | None
) -> Readings:
    """Return the readings of one part; those without a time of their own were all taken when the sheet says."""
    values = part.get("readings", part.get("readings_mbq"))
    if not isinstance(values, list) or not values:
        raise Unreadable(because("activimeter.no_readings", part=name))
    dated = [v if isinstance(v, dict) else {"mbq": v} for v in values]
    if name == "linearity" and any("at" not in v for v in dated):
        raise Unreadable(because("activimeter.linearity_without_time"))
    times = [
        _moment(v.get("at") or part.get("measured_at") or day, because("activimeter.time_of_reading", part=name), zone)
        for v in dated
    ]
    first = begin or min(times)
    mbq = np.array([_number(v.get("mbq"), because("activimeter.reading", part=name)) - background for v in dated])
    nuclide = nuclide_of(str(part.get("nuclide") or ""))
    if nuclide is None:
        raise Unreadable(because("activimeter.nuclide_missing", part=name))
    stated = part.get("half_life_s")
    try:
        life = half_life_s(
            [nuclide], None if stated is None else _number(stated, because("activimeter.key", part=name, key="half_life_s"))
        )
    except ValueError as exc:
        raise Unreadable(because("activimeter.of_part", part=name, reason=exc)) from None
    if life is None:
        raise Unreadable(because("activimeter.half_life_unknown", part=name, nuclide=nuclide))
    texts = [v.get("at") or part.get("measured_at") or day for v in dated]
    texts += [part.get("reference_at")] if begin is not None else []
    lost = 100 * -np.expm1(-np.log(2) * DAY_S / life)
    if (begin is not None or name == "linearity") and lost > MOST_A_DAY_PERCENT and any(len(str(t)) <= DAY for t in texts):
        raise Unreadable(because("sheet.day_without_time", part=name, nuclide=nuclide, percent=lost))
    return Readings(mbq, np.array([(t - first).total_seconds() for t in times]), life, nuclide)


def _texts(value: Any) -> list[str]:
    """Return all that a sheet says of moments, wherever it says it."""
    if isinstance(value, list):
        return [t for v in value for t in _texts(v)]
    if not isinstance(value, dict):
        return []
    return [t for k, v in value.items() for t in ([v] if k in MOMENTS and isinstance(v, str) else _texts(v))]


def _zone(texts: Sequence[str]) -> tzinfo | None:
    """Return the zone that a day without a time belongs to, None where no moment has an offset; some with and some without: `Unreadable`."""
    moments = []
    for text in texts:
        with suppress(ValueError):  # whoever needs it says what is wrong with it
            moments.append((datetime.fromisoformat(text), len(text) > DAY))
    zones = [m.tzinfo for m, _ in moments if m.tzinfo is not None]
    if zones and any(m.tzinfo is None and timed for m, timed in moments):
        raise Unreadable(because("activimeter.offsets_mixed"))
    return zones[0] if zones else None


def _moment(value: Any, what: str, zone: tzinfo | None) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise Unreadable(because("sheet.no_moment", what=what)) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _number(value: Any, what: str, least: float | None = None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise Unreadable(because("sheet.no_number", what=what))
    if least is not None and value < least:
        raise Unreadable(because("sheet.below", what=what, value=value, least=least))
    return float(value)


ROWS: tuple[Procedure, ...] = ()
KEYS = (*PARTS, *MOMENTS, "background_mbq", "half_life_s", "mbq", "nuclide", "readings", "readings_mbq", "reference_mbq")
SHEETS = (Sheet("json activimeter", (activimeter,), _sheet, KEYS),)

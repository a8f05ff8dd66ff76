"""The verdict on one series from its rows: of the lake, judged here by the marts' limits, or of a release, as they stand there."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from judgement.days import local_day
from judgement.limits import BOUNDS, LOWER_BOUND, limit_of, verdict
from judgement.rows import Limit
from messages import because

__all__ = ["INVALID", "judged", "reason_of", "summary"]

Row = dict[str, Any]
INVALID = ("unknown", "expired")  # states of a declared phantom: what was measured with it tells nothing


def judged(rows: Sequence[Row], limits: Sequence[Limit], device_id: str, zone: tzinfo) -> list[Row]:
    """Return the lake's rows of one series with verdict and bounds, as the marts give them; the day is the site's local day."""
    out = []
    for row in rows:
        day = local_day(row["acquired_at_utc"], zone) if row["acquired_at_utc"] else None
        limit = None
        if row["measure"] is not None:
            limit = limit_of(limits, row["procedure"], row["measure"], device_id, row["detector"], day, row["region"])
        bounds = {b: getattr(limit, b) if limit else None for b in BOUNDS}
        status = "indicative" if f'"{LOWER_BOUND}": true' in (row.get("at") or "") else row["status"]
        out.append({**row, **bounds, "verdict": verdict(row["value"], status, limit)})
    return out


def summary(rows: Sequence[Row]) -> Row:
    """Return one word for a series, the measure that is nearest to its limit or farthest beyond it, and why there is no verdict.

    Returns
    -------
    dict
        `state`: "fail", "not_measured", "indicative", "warn", "pass" or "none", in this order: one head without a value leaves the
        device unconfirmed, however good the other is. `worst`: that row with `low` and `high`, or None. `reason`: text or None.
    """
    verdicts = {r["verdict"] for r in rows}
    unsure = [r for r in rows if r["status"] != "measured" or r.get("phantom_state") in INVALID]
    refused = [r for r in unsure if r["status"] != "indicative"]
    if "fail" in verdicts:
        state = "fail"
    elif unsure:
        state = "not_measured" if refused else "indicative"
    else:
        state = next((v for v in ("warn", "pass") if v in verdicts), "none")
    reason = next((r["reason"] for r in (refused or unsure) if r["reason"]), None)
    return {
        "state": state,
        "procedures": sorted({r["procedure"] for r in rows if r["procedure"]}),
        "worst": _worst([r for r in rows if r["verdict"] == state]) if state in ("fail", "warn", "pass") else None,
        "reason": reason,
    }


def reason_of(said: Row) -> str:
    """Return why a series has the state that `summary` gave it, in the words of the marts; "" for a pass."""
    worst = said["worst"]
    if worst is None or said["state"] == "pass":
        return said["reason"] or ""
    unit = None if worst["unit"] in (None, "1") else worst["unit"]
    low, high = (None if v is None else str(round(v, 3)) for v in (worst["low"], worst["high"]))
    limit = (f"{low} … {high}" if low and high else f"≤ {high}" if high else f"≥ {low}") + (f" {unit}" if unit else "")
    code = "verdict.outside" if said["state"] == "fail" else "verdict.outside_warning"
    how = because(code, value=round(worst["value"], 3), unit=unit, limit=limit)
    return because("measure.reason", measure=worst["measure"], reason=how)


def _worst(rows: Sequence[Row]) -> Row | None:
    found = []
    for n, row in enumerate(rows):
        kinds = ("warn",) if row["verdict"] == "warn" else ("fail", "warn")
        for low, high in ((row[f"{k}_low"], row[f"{k}_high"]) for k in kinds):
            room = [(row["value"] - low) / (abs(low) or 1.0)] if low is not None else []
            room += [(high - row["value"]) / (abs(high) or 1.0)] if high is not None else []
            if room:
                found.append((min(room), n, {**row, "low": low, "high": high}))
                break
    return min(found, key=lambda x: x[:2])[2] if found else None

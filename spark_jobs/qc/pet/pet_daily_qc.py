"""The daily quality report of a PET scanner: what the vendor's software measured, and the block outliers found anew from its arrays.

1. Read the values and block arrays of the report; one that lacks a required item is refused.
2. Find outlying and dead blocks from the efficiencies, whatever the vendor's software decided.
3. Hold each value against the vendor's own bounds, and count what is outside or was not passed.
4. Compare the calibration factor with that of the earliest report of the scanner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outliers import DEVIATIONS, robust_z
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "Reading", "measure"]

PROCEDURE = "pet_daily_qc"
METHOD = "vendor's daily report; block outliers beyond 5 robust SD"
VERSION = "1.2.0"
FORMULAE = (
    "robust z = (e − median) / (1.4826 · MAD) of the block efficiencies; a block with |z| > 5, or e < 0.1 · median, is an outlier",
    "coefficient of variation = 100 · SD / mean of the block efficiencies, in percent",
    "time residual: Δt = 2 · Δx / c, in ps, from Δx in mm",
    "calibration change = 100 · (factor / baseline factor − 1), in percent",
)
FEWEST_BLOCKS = 8  # as of a normalisation
DEAD_PART = 0.1  # of the median efficiency: where many blocks are dead, the robust SD is as wide as they are far
PS_PER_MM = 2 / 0.299792458  # a time difference Δt moves the annihilation by c·Δt/2 along the line

# readings of the report by the name of the measure; all but the first two may be absent
READINGS = (
    "calibration_factor",
    "scatter_ratio_percent",
    "time_residual_mm",
    "randoms_percent",
    "scanner_efficiency_cps_per_bq_ml",
    "time_fit_x_mm",
    "time_fit_y_mm",
)


@dataclass(frozen=True)
class Reading:
    """One value of the report with its unit, the vendor's own bounds (None: not given) and the vendor's decision."""

    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    decision: str | None = None

    @property
    def at(self) -> dict[str, Any]:
        """Return what the vendor says of the value."""
        return {"vendor_low": self.low, "vendor_high": self.high, "vendor_decision": self.decision}

    @property
    def inside(self) -> bool:
        """Return whether the value lies within the vendor's bounds."""
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)


def measure(
    readings: Mapping[str, Reading],
    arrays: Mapping[str, NDArray],
    *,
    baseline_factor: float | None = None,
    scanner_verdict: str | None = None,
    not_passed: Sequence[str] = (),
    detector: str | None = None,
) -> Result:
    """Return the values of one morning's report.

    Parameters
    ----------
    readings
        By the names of `READINGS`. A time residual in mm is given in ps too: Δt = 2·Δx/c.
    arrays
        `block_efficiency` (needed; blocks in the report's order), `block_noise`, `plane_efficiency`, `time_offset`, `time_width`.
    baseline_factor
        Calibration factor of the earliest report of the same scanner that is at hand; None: there is none.
    scanner_verdict
        What the vendor's software made of the whole; a good one is never believed, another one is a finding.
    not_passed
        Further items of the report, without a reading here, that the vendor's software did not pass.
    """
    blocks = np.asarray(arrays.get("block_efficiency", ()), np.float64)
    missing = [name for name in READINGS[:2] if name not in readings] + (["block_efficiency"] if blocks.size == 0 else [])
    if missing:
        return Result(PROCEDURE, NOT_MEASURED, because("report.lacks", tags=list(missing)), detector, METHOD, VERSION)
    noisy = np.asarray(arrays.get("block_noise", ()), np.float64)
    if blocks.size < FEWEST_BLOCKS:
        reason = because("report.blocks_few", blocks=blocks.size)
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)
    if noisy.size not in (0, blocks.size):
        reason = because("daily_qc.not_whole", blocks=blocks.size, noisy=noisy.size)
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)
    middle = median(blocks)
    if middle <= 0 or blocks.min() < 0:
        fault = because("daily_qc.blocks_dead") if blocks.min() >= 0 else because("daily_qc.efficiency_negative")
        return Result(PROCEDURE, NOT_MEASURED, because("report.no_outlier", reason=fault), detector, METHOD, VERSION)
    z = robust_z(blocks)
    odd = (np.abs(z) > DEVIATIONS) | (blocks < DEAD_PART * middle)
    worst = int(np.argmax(np.abs(z)))
    place = {"block": worst + 1, "efficiency": round(float(blocks[worst]), 6), "median": round(middle, 6)}
    out = [Measure("block_efficiency_outliers_count", float(odd.sum()), "1", None, place)]
    spread = 100 * float(blocks.std(ddof=1)) / float(blocks.mean()) if blocks.size > 1 else 0.0
    out.append(Measure("block_efficiency_cov_percent", round(spread, 4), "%"))
    if "block_noise" in arrays:
        top = int(np.argmax(noisy))
        out.append(
            Measure("noisy_blocks_count", float((noisy > 0).sum()), "1", None, {"block": top + 1, "crystals": float(noisy[top])})
        )
    for name in READINGS:
        if name in readings:
            reading = readings[name]
            out.append(Measure(name, reading.value, reading.unit, None, reading.at))
    if "time_residual_mm" in readings:
        out.append(Measure("time_residual_ps", round(readings["time_residual_mm"].value * PS_PER_MM, 3), "ps"))
    if baseline_factor:
        change = 100 * (readings["calibration_factor"].value / baseline_factor - 1)
        out.append(Measure("calibration_change_percent", round(change, 4), "%", None, {"baseline": baseline_factor}))
    for array, name in (("plane_efficiency", "plane_efficiency_max_percent"), ("time_offset", "time_offset_max_bins")):
        if array in arrays:
            values = np.asarray(arrays[array], np.float64)
            far = int(np.argmax(np.abs(values)))
            where = {"plane" if array == "plane_efficiency" else "block": far + 1}
            out.append(
                Measure(name, round(float(abs(values[far])), 4), "%" if array == "plane_efficiency" else "bin", None, where)
            )
    if "time_width" in arrays:
        out.append(Measure("time_width_mean_bins", round(float(np.mean(arrays["time_width"])), 4), "bin"))
    outside = [name for name, reading in readings.items() if not reading.inside or reading.decision not in (None, "Passed")]
    outside += not_passed
    if scanner_verdict not in (None, "Passed") and not outside:
        outside.append("aSystemQualityResults")
    out.append(Measure("vendor_findings_count", float(len(outside)), "1", None, {"readings": outside}))
    figure = {"kind": PROCEDURE, "blocks": blocks, "z": z, "planes": arrays.get("plane_efficiency"), "k": DEVIATIONS}
    return Result(PROCEDURE, MEASURED, None, detector, METHOD, VERSION, tuple(out), _notes(readings, scanner_verdict), figure)


def _notes(readings: Mapping[str, Reading], verdict: str | None) -> tuple[str, ...]:
    """Return what a physicist must know beside the numbers: what is absent, and where the vendor contradicts itself."""
    notes = [because("report.not_in", what=name) for name in READINGS if name not in readings]
    if verdict is not None and verdict != "Passed":
        notes.append(because("daily_qc.scanner_verdict", verdict=verdict))
    for name, reading in readings.items():
        if reading.decision is not None and (reading.decision == "Passed") != reading.inside:
            notes.append(because("daily_qc.vendor_contradicts", name=name, decision=reading.decision))
    return tuple(notes)

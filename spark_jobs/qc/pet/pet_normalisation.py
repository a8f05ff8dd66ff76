"""Detector efficiencies of a PET scanner: dead blocks, blocks that stand out, and change against a baseline.

1. Compare each block's efficiency with the median of all blocks: dead blocks, and blocks that stand out.
2. With a baseline, divide both by their medians and compare block by block.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outliers import DEVIATIONS, robust_z
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "pet_normalisation"
METHOD = "block efficiencies against their median and a baseline, 5 robust SD"
VERSION = "1.0.0"
FORMULAE = (
    "robust z = (e − median) / (1.4826 · MAD) of the block efficiencies; a block with |z| > 5 is an outlier",
    "dead block: efficiency < 0.1 · median",
    "change = 100 · ((e / median e) / (b / median b) − 1), in percent, against the baseline b",
)
DEAD_PART = 0.1  # of the median efficiency: a block below it counts noise alone


def measure(
    efficiency: NDArray | Sequence[float],
    baseline: NDArray | Sequence[float] | None = None,
    *,
    file_id: str | None = None,
    age_days: float | None = None,
    detector: str | None = None,
) -> Result:
    """Return how many blocks are dead, stand out, or have changed.

    Parameters
    ----------
    efficiency
        One value a block, any unit, in the scanner's order.
    baseline
        The same of an earlier day; None: no change can be told. Both are divided by their medians first, so that a decayed source
        is no change.
    file_id
        Name of the correction or sinogram file that the values belong to; it stands with the first measure.
    age_days
        Days from the last full set-up (normalisation) to the scan; None: not known.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    blocks = np.asarray(efficiency, np.float64).ravel()
    if blocks.size < 8:
        return refuse(because("report.blocks_few", blocks=blocks.size))
    if not np.isfinite(blocks).all() or (blocks < 0).any():
        return refuse(because("normalisation.efficiency_negative"))
    middle = median(blocks)
    if middle <= 0:
        return refuse(because("normalisation.blocks_dead"))
    z = robust_z(blocks)
    dead = np.flatnonzero(blocks < DEAD_PART * middle)
    odd = np.flatnonzero(np.abs(z) > DEVIATIONS)
    out = [
        Measure("dead_blocks_count", float(dead.size), "1", None, {"blocks": _numbers(dead), "file": file_id}),
        Measure("block_efficiency_outliers_count", float(odd.size), "1", None, {"blocks": _numbers(odd)}),
    ]
    change = None
    notes = []
    if baseline is not None:
        before = np.asarray(baseline, np.float64).ravel()
        if before.size != blocks.size:
            return refuse(because("normalisation.baseline_size", blocks_before=before.size, blocks=blocks.size))
        if not np.isfinite(before).all() or median(before) <= 0:
            return refuse(because("normalisation.baseline_unusable"))
        alive = before >= DEAD_PART * median(before)
        change = np.where(alive, 100 * ((blocks / middle) / np.where(alive, before / median(before), 1.0) - 1), 0.0)
        moved = np.flatnonzero(np.abs(robust_z(100 + change)) > DEVIATIONS)
        far = int(np.argmax(np.abs(change)))
        out.append(Measure("block_change_max_percent", round(abs(float(change[far])), 4), "%", None, {"block": far + 1}))
        out.append(Measure("changed_blocks_count", float(moved.size), "1", None, {"blocks": _numbers(moved)}))
        if not alive.all():
            notes.append(because("normalisation.baseline_dead", blocks=int((~alive).sum())))
    else:
        notes.append(because("normalisation.no_baseline"))
    if age_days is not None:
        out.append(Measure("normalisation_age_days", round(age_days, 3), "d"))
    if file_id is not None:
        notes.append(because("normalisation.file", file=file_id))
    figure = {"kind": PROCEDURE, "blocks": blocks, "z": z, "change": change, "k": DEVIATIONS}
    return Result(PROCEDURE, MEASURED, None, detector, METHOD, VERSION, tuple(out), tuple(notes), figure)


def _numbers(blocks: NDArray) -> list[int]:
    return [int(b) + 1 for b in blocks[:50]]

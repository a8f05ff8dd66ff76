"""A uniformly filled cylinder in a PET volume: where it lies, and whether it is one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.cut_off import CUT_OFF, is_tomogram_cut_off
from spark_jobs.qc.numerics.layers import Values, smoothed, smoothed_box
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.pet.iq_phantom import lit_level

__all__ = ["NOT_COLD", "PetCylinder", "find_pet_cylinder"]

SMALLEST_MM, LARGEST_MM = 100.0, 350.0
FEWEST_SLICES = 5
END_MM = 12.0  # slices next to the ends are blurred by the point-spread function
INNER = 0.8  # of the radius: what is looked at for evenness
SMOOTH_MM = 3.0
ODD, ODD_PART = 0.25, 0.03  # an inside with more than 3 % of its area off by a quarter has inserts or organs
ROUND = 0.06
NOT_COLD = "cylinder.surroundings_warm"
AWAY_MM, COLD = 30.0, 0.04  # from the wall; of the level inside: scatter leaves less


@dataclass(frozen=True)
class PetCylinder:
    """Slices wholly inside the cylinder, the centre in each (row, column), and the radius in mm."""

    first: int
    last: int
    rows: NDArray[np.float64]  # one a slice of the volume, NaN outside
    columns: NDArray[np.float64]
    radius_mm: float

    def inside(self, shape: tuple[int, ...], voxel_mm: tuple[float, float, float], part: float) -> NDArray[np.bool_]:
        """Return the voxels of the whole slices within `part` of the radius."""
        out = np.zeros(shape, bool)
        ys, xs = np.ogrid[: shape[1], : shape[2]]
        for k in range(self.first, self.last + 1):
            y, x = (ys - self.rows[k]) * voxel_mm[1], (xs - self.columns[k]) * voxel_mm[2]
            out[k] = y**2 + x**2 <= (part * self.radius_mm) ** 2
        return out


def find_pet_cylinder(values: Values, voxel_mm: tuple[float, float, float]) -> PetCylinder | str:
    """Return the cylinder, or the reason why the volume shows none. The volume is read by parts."""
    level = lit_level(values)
    if level <= 0:
        return because("look.nothing_shines")
    if is_tomogram_cut_off(values):
        return because(CUT_OFF)
    sigma = [SMOOTH_MM / v for v in voxel_mm]
    level = median(np.concatenate([smooth[smooth > 0.5 * level] for _, smooth in smoothed(values, sigma)]))
    count, high, wide = values.shape
    rows, columns, radii, areas = (np.full(count, np.nan) for _ in range(4))
    for k, plane in ((some.start + n, plane) for some, smooth in smoothed(values, sigma) for n, plane in enumerate(smooth)):
        lit = plane > 0.5 * level
        areas[k] = area = float(lit.sum()) * voxel_mm[1] * voxel_mm[2]
        if area < np.pi / 4 * SMALLEST_MM**2:
            continue
        ys, xs = np.nonzero(lit)
        if ys.min() == 0 or xs.min() == 0 or ys.max() == lit.shape[0] - 1 or xs.max() == lit.shape[1] - 1:
            return because("cylinder.touches_border")
        diameter = 2 * np.sqrt(area / np.pi)
        size = (np.ptp(ys) + 1) * voxel_mm[1], (np.ptp(xs) + 1) * voxel_mm[2]
        if max(abs(s - diameter) for s in size) > max(ROUND * diameter, 2.5 * voxel_mm[1]):
            continue
        rows[k], columns[k], radii[k] = ys.mean(), xs.mean(), diameter / 2
    there = np.flatnonzero(~np.isnan(radii))
    if len(there) < FEWEST_SLICES:
        return because("cylinder.not_round")
    radius = median(radii[there])
    if 2 * radius > LARGEST_MM:
        return because("cylinder.size_other", diameter_mm=2 * radius)
    whole = there[np.abs(radii[there] - radius) < 0.06 * radius]
    first, last = int(whole.min()), int(whole.max())
    lit_slices = int((areas > np.pi / 8 * SMALLEST_MM**2).sum())
    if len(whole) < 0.8 * (last - first + 1) or len(whole) < 0.7 * lit_slices:
        return because("cylinder.shape_changes")
    cut = int(np.ceil(END_MM / voxel_mm[0]))
    # a cylinder that reaches beyond the field of view has no end there to keep away from
    first, last = (first if first == 0 else first + cut), (last if last == count - 1 else last - cut)
    if last - first + 1 < FEWEST_SLICES:
        return because("cylinder.slices_few")
    fit = np.arange(count)
    line_rows, line_columns = (np.polyval(np.polyfit(whole, c[whole], 1), fit).astype(np.float64) for c in (rows, columns))
    found = PetCylinder(first, last, line_rows, line_columns, radius)
    smooth = smoothed_box(values, (slice(first, last + 1), slice(0, high), slice(0, wide)), sigma)
    around = ~found.inside(values.shape, voxel_mm, 1 + AWAY_MM / radius)[first : last + 1]
    if around.any() and median(smooth[around]) > COLD * level:
        return because(NOT_COLD)
    inner = found.inside(values.shape, voxel_mm, INNER)[first : last + 1]
    odd = (np.abs(smooth - level) > ODD * level) & inner
    part = odd.sum((1, 2)) / inner.sum((1, 2))
    return because("cylinder.not_even") if float(part.max()) > ODD_PART else found

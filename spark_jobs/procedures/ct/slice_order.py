"""Whether the slices of a CT series are one stack: no place twice, none missing, numbered as they lie, no pixels twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.ct_stack import Stack
from spark_jobs.qc.numerics.foreign_object import pixel_noise
from spark_jobs.reading import Instance

__all__ = ["Order", "is_placed", "order_of", "same_pixels", "shifted_slice"]

SAME_MM = 0.01  # slices nearer to each other are two images of the same place
UNEVEN_PART = 0.1
BESIDE_PIXELS = 1.5  # by which a slice may lie off the line of the others
TILTED_DEG = 0.5
SHIFTED_HU, STEADY_HU = 8.0, 4.0  # by which a slice differs, and by which its neighbours may
NOISY_HU = 0.6  # without noise the slices of an even phantom are alike


@dataclass(frozen=True)
class Order:
    """Why nothing may be measured, or why the values get no verdict; both None: the slices are one stack."""

    refused: str | None = None
    reserved: str | None = None


def is_placed(series: Sequence[Instance]) -> bool:
    """Return whether every slice says where it lies."""
    return all(i.dataset.get("ImagePositionPatient") for i in series)


def order_of(series: Sequence[Instance]) -> Order:
    """Return what is wrong with the order of the slices by their header."""
    if len(series) < 2:
        return Order()
    numbers = [i.dataset.get("InstanceNumber") for i in series]
    told = all(n not in (None, "") for n in numbers) and len({int(n) for n in numbers if n not in (None, "")}) == len(series)
    if not is_placed(series):
        if any(i.dataset.get("ImagePositionPatient") for i in series):
            return Order(because("ct.positions_incomplete"))
        return Order() if told else Order(because("ct.order_unknown"))
    positions = np.array([i.position_mm for i in series])
    order = np.argsort(positions, kind="stable")
    steps = np.diff(positions[order])
    if steps.min() < SAME_MM:
        return Order(because("ct.positions_doubled"))
    if told:
        ways = np.sign(np.diff([int(numbers[k] or 0) for k in order]))
        if np.ptp(ways):
            return Order(because("ct.numbers_contradict_positions"))
    if _beside(series, order, positions) > BESIDE_PIXELS:
        return Order(because("ct.sideways"))
    if np.ptp(steps) > UNEVEN_PART * float(np.median(steps)):
        return Order(None, because("ct.spacing_uneven"))
    tilt = float(series[0].dataset.get("GantryDetectorTilt") or 0)
    if abs(tilt) > TILTED_DEG:
        return Order(None, because("ct.gantry_tilted", tilt_deg=tilt))
    return Order()


def _beside(series: Sequence[Instance], order: NDArray[np.intp], positions: NDArray[np.float64]) -> float:
    """Return how far the corner of a slice lies off the straight line through the others, in pixels."""
    axes = series[0].dataset.get("ImageOrientationPatient")
    if axes is None or len(axes) != 6 or len(series) < 3:
        return 0.0
    corners = np.array([[float(v) for v in i.dataset.ImagePositionPatient] for i in series])
    plane = corners @ np.array([float(v) for v in axes]).reshape(2, 3).T
    z = positions - positions.mean()
    first, last = order[0], order[-1]
    line = plane[first] + (plane[last] - plane[first]) * ((z - z[first]) / (z[last] - z[first]))[:, None]
    return float(np.abs(plane - line).max()) / (series[0].pixel_mm or 1.0)


def same_pixels(stack: Stack, prints: Mapping[int, int]) -> str | None:
    """Return why a stack is not believed in which two noisy slices hold the same pixels; `prints` are those of the slices seen."""
    if len(set(prints.values())) == 1:
        return None  # one image shown many times: nothing is out of order, and whoever asks says so
    met: dict[int, int] = {}
    for k, value in sorted(prints.items()):
        if value in met:
            hu = stack.hu(k)
            middle = np.zeros(hu.shape, bool)
            rows, columns = hu.shape
            middle[rows // 3 : -rows // 3, columns // 3 : -columns // 3] = True
            if pixel_noise(hu, middle) > NOISY_HU:
                return because("ct.slices_copied", first=met[value] + 1, second=k + 1)
        met[value] = k
    return None


def shifted_slice(levels: NDArray[np.float64]) -> str | None:
    """Return which slice of an even phantom reads other CT numbers than the slices beside it, or None.

    Parameters
    ----------
    levels
        What the water and the air beside it read, in the order of the slices: slices × 2, HU. Where the phantom ends, the air goes on:
        a slice counts where the air is shifted, or the water between two neighbours that agree.
    """
    for k in range(len(levels) if len(levels) > 2 else 0):
        beside = [n for n in (k - 2, k - 1, k + 1, k + 2) if 0 <= n < len(levels)]
        near = levels[[n for n in beside if abs(n - k) == 1] if 0 < k < len(levels) - 1 else beside]
        steady = np.ptp(near, axis=0) < STEADY_HU
        away = levels[k] - near.mean(0)
        far = np.abs(away) > SHIFTED_HU
        inner = 0 < k < len(levels) - 1
        if steady.all() and (far[1] or (far[0] and inner)):
            return because("ct.slice_shifted", slice=k + 1, slices=len(levels), hu=float(away[1] if far[1] else away[0]))
    return None

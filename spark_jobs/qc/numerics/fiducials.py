"""Small bright sources in a volume: how many, and where their centroids lie."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.layers import Values, blocks
from spark_jobs.qc.numerics.order import median, median_of_parts

__all__ = ["Fiducials", "find_fiducials"]

COARSE_MM = 3.0
BRIGHT = 0.3  # of the height of the brightest above its surroundings
LARGEST_MM = 36.0  # extent of a source at that level
MOST = 20
REACH_MM = 18.0  # around a source: what belongs to it, unless a neighbour is nearer
ALONE_PART = 0.5  # of the emission that lies in the sources: a body around them would hold more
WARM = 0.15  # of the height of a source: a ground that shines more is a filled phantom
WIDE_MM = 24.0  # blocks in which a body shows and counting noise does not
FAINTEST = 0.04  # of the peak: beyond it, what is left of a source is noise
SIGMAS = 8.0  # above the noise of the rest
BESIDE = 8  # voxels about the box of a source that are read with it: its centre moves


@dataclass(frozen=True)
class Fiducials:
    """Centroids (slice, row, column) of the sources, n × 3, and the sum of each above its surroundings."""

    index: NDArray[np.float64]
    weight: NDArray[np.float64]


def find_fiducials(values: Values, voxel_mm: tuple[float, float, float], emission: bool) -> Fiducials | str:
    """Return the sources, or the reason why the volume shows none. The values are read by parts, in blocks of about 3 mm.

    Parameters
    ----------
    emission
        True for PET and SPECT, where the sources must hold most of what shines; False for CT, where they may sit in a phantom of
        even density.
    """
    from scipy import ndimage

    steps = [max(1, round(COARSE_MM / v)) for v in voxel_mm]
    size = [v * s for v, s in zip(voxel_mm, steps, strict=True)]

    def coarse() -> Iterator[NDArray[np.float32]]:
        return ((b.mean((0, 2, 4)) if emission else b.max((0, 2, 4))).astype(np.float32) for b in blocks(values, steps))

    rest = median_of_parts(coarse)
    spread = 1.4826 * median_of_parts(lambda: (np.abs(layer - rest) for layer in coarse()))
    peak = max((float(layer.max()) for layer in coarse()), default=0.0) - rest
    if peak <= 0 or peak < SIGMAS * spread:
        return because("fiducials.nothing")
    if emission and rest > WARM * peak:
        return because("fiducials.not_cold")
    found = _small((layer - rest for layer in coarse()), peak, size)
    if isinstance(found, str) and not emission:
        # a phantom of even density around the sources: what is wider than a source is its surroundings
        window = [max(3, 2 * int(LARGEST_MM / 2 / s) + 1) for s in size]
        whole = np.stack(list(coarse()))
        opened = ndimage.maximum_filter(ndimage.minimum_filter(whole, window), window)
        filled = opened > rest + 0.3 * peak
        inner = ndimage.minimum_filter(filled.astype(np.uint8), 3) > 0
        hat = np.subtract(whole, opened, out=opened)
        hat[~(filled & inner)] = 0
        del whole, opened
        top = float(hat.max())
        noise = 1.4826 * median(np.abs(hat[inner] - median(hat[inner]))) if inner.any() else 0.0
        found = _small(hat, top, size) if top > max(SIGMAS * noise, 0.1 * peak) else found
    if isinstance(found, str):
        return found
    index = (found + 0.5) * np.array(steps) - 0.5
    return _centroids(values, voxel_mm, index, emission)


def _small(excess: Iterable[NDArray], peak: float, size: list[float]) -> NDArray | str:
    """Return the coarse places of bright groups when all are small, or the reason; `excess` is given layer by layer."""
    from scipy import ndimage

    bright: list[NDArray[np.bool_]] = []
    kept: list[tuple[NDArray, NDArray[np.intp]]] = []  # of each layer what is bright, and where
    for layer in excess:
        bright.append(layer > BRIGHT * peak)
        kept.append((layer[bright[-1]], np.flatnonzero(bright[-1])))
    labels, groups = ndimage.label(np.stack(bright), np.ones((3, 3, 3)))
    if groups > MOST:
        return because("fiducials.places_other", places=groups)
    for box in ndimage.find_objects(labels):
        if any((s.stop - s.start - 1) * m > LARGEST_MM for s, m in zip(box, size, strict=True)):
            return because("fiducials.region_large")
    places = np.zeros((groups, 3))
    for number, box in enumerate(ndimage.find_objects(labels)):
        weights = np.zeros(labels[box].shape)
        for k in range(box[0].start, box[0].stop):
            plane = np.zeros(labels.shape[1:])
            plane.reshape(-1)[kept[k][1]] = kept[k][0]
            weights[k - box[0].start] = plane[box[1:]]
        places[number] = np.array(ndimage.center_of_mass(weights * (labels[box] == number + 1))) + [s.start for s in box]
    return places


def _centroids(values: Values, voxel_mm: tuple[float, float, float], index: NDArray, emission: bool) -> Fiducials | str:
    scale = np.array(voxel_mm)
    near = np.linalg.norm((index[:, None] - index) * scale, axis=2) + 1e9 * np.eye(len(index))
    out, weights = [], []
    for k, start in enumerate(index):
        reach = min(REACH_MM, 0.5 * float(near[k].min()))
        centre = start
        weight = 0.0
        part, at = None, np.zeros(3, int)
        for _ in range(6):
            low = np.maximum(np.ceil(centre - reach / scale - 3).astype(int), 0)
            high = np.minimum(np.floor(centre + reach / scale + 3).astype(int) + 1, values.shape)
            if part is None or (low < at).any() or (high > at + part.shape).any():
                at, end = np.maximum(low - BESIDE, 0), np.minimum(high + BESIDE, values.shape)
                part = values[slice(at[0], end[0]), slice(at[1], end[1]), slice(at[2], end[2])]
            box = part[tuple(slice(a, b) for a, b in zip(low - at, high - at, strict=True))].astype(np.float64)
            axes = [(np.arange(a, b) - c) * v for a, b, c, v in zip(low, high, centre, voxel_mm, strict=True)]
            r2 = axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2
            inside, shell = r2 <= reach**2, (r2 > (0.75 * reach) ** 2) & (r2 <= (1.1 * reach) ** 2)
            net = box - (median(box[shell]) if shell.any() else 0.0)
            net = np.where(inside, net, 0)
            net = np.where(net > FAINTEST * net.max(), net, 0)
            weight = float(net.sum())
            if weight <= 0:
                return because("fiducials.no_centroid")
            step = np.array([float((net.sum(tuple(a for a in range(3) if a != d)) * axes[d]).sum()) for d in range(3)]) / weight
            centre = centre + step / scale
            if np.abs(step).max() < 0.002:
                break
        rim = np.array(values.shape) - 1
        if (centre < 0.5).any() or (centre > rim - 0.5).any():
            return because("fiducials.cut_off")
        out.append(centre)
        weights.append(weight)
    if emission:
        shines = _shining(values, voxel_mm)
        if sum(weights) < ALONE_PART * shines:
            return because("fiducials.mostly_outside")
    return Fiducials(np.array(out), np.array(weights))


def _shining(values: Values, voxel_mm: tuple[float, float, float]) -> float:
    """Return the sum of what stands above an even, noisy ground in blocks of about 24 mm: sources, and a body if there is one."""
    steps = [max(1, min(n, round(WIDE_MM / v))) for n, v in zip(values.shape, voxel_mm, strict=True)]
    means = np.stack([b.mean((0, 2, 4), dtype=np.float64) for b in blocks(values, steps)])
    ground = median(means)
    spread = 1.4826 * median(np.abs(means - ground))
    return float(np.where(means > ground + 4 * spread, means - ground, 0).sum() * np.prod(steps))

"""Volumes that are read by parts: a PET of a whole body has 400 MB in single precision, what is looked for in it a few."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Values", "blocks", "layers", "smoothed", "smoothed_box"]

AT_ONCE = 2**21  # voxels of a layer
REACH = 4.0  # σ after which SciPy ends a Gaussian


class Values(Protocol):
    """An array (slices × rows × columns), or values that are read where they are asked for: boxes of them come as arrays."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return slices, rows and columns."""
        ...

    def __getitem__(self, box: tuple[slice, slice, slice], /) -> NDArray: ...


ALL = slice(None)


def layers(values: Values) -> Iterator[tuple[slice, NDArray]]:
    """Yield a few slices at a time: which, and their values."""
    count, rows, columns = values.shape
    step = max(1, AT_ONCE // max(1, rows * columns))
    for first in range(0, count, step):
        some = slice(first, min(first + step, count))
        yield some, values[some, ALL, ALL]


def blocks(values: Values, steps: Sequence[int]) -> Iterator[NDArray]:
    """Yield each layer of blocks: slices × rows of blocks × rows × columns of blocks × columns. What fills no block is left out."""
    deep, rows, columns = (n // s for n, s in zip(values.shape, steps, strict=True))
    across = slice(0, rows * steps[1]), slice(0, columns * steps[2])
    for k in range(deep):
        part = values[slice(k * steps[0], (k + 1) * steps[0]), *across]
        yield part.reshape(steps[0], rows, steps[1], columns, steps[2])


def smoothed(values: Values, sigma: Sequence[float]) -> Iterator[tuple[slice, NDArray]]:
    """Yield a few slices at a time of what a Gaussian (σ in voxels) makes of the whole volume."""
    count, rows, columns = values.shape
    step = max(1, AT_ONCE // max(1, rows * columns))
    for first in range(0, count, step):
        some = slice(first, min(first + step, count))
        yield some, smoothed_box(values, (some, slice(0, rows), slice(0, columns)), sigma)


def smoothed_box(values: Values, box: tuple[slice, slice, slice], sigma: Sequence[float]) -> NDArray:
    """Return a box of what a Gaussian makes of the whole volume: what lies about the box is read with it."""
    from scipy import ndimage

    reach = [int(REACH * s + 0.5) for s in sigma]
    low = [max(0, b.start - r) for b, r in zip(box, reach, strict=True)]
    high = [min(n, b.stop + r) for b, r, n in zip(box, reach, values.shape, strict=True)]
    wide = values[slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])]
    inner = tuple(slice(b.start - a, b.stop - a) for b, a in zip(box, low, strict=True))
    smooth = ndimage.gaussian_filter(wide, sigma, truncate=REACH)[inner]
    return np.ascontiguousarray(smooth)

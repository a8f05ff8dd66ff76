"""The slices of a series as one volume with places in the patient: order by position, rescale by slice, direction kept explicit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.order import median
from spark_jobs.reading import Instance, Unreadable

__all__ = ["Slices", "Volume", "slices_of", "volume_of"]

LEAST_MM, MOST_MM = 0.02, 60.0  # between slices: nothing is nearer or further apart
SMALL = 2**24  # voxels: 64 MB, which are read at once
UNEVEN = 0.02  # of the slice distance: rounded positions differ less, a missing slice more


class Slices:
    """Rescaled values that stay in their files (slices × rows × columns): indexed by slices, as an array is, they are read anew each time."""

    def __init__(self, series: Sequence[Instance]) -> None:
        self._series = series
        self.shape = (len(series), series[0].rows, series[0].columns)

    def __getitem__(self, box: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        return np.stack([_rescaled(i)[0][box[1:]] for i in self._series[box[0]]] or [np.empty((0, *self.shape[1:]), np.float32)])


@dataclass(frozen=True)
class Volume:
    """Values (slices × rows × columns), voxel in mm, and where each index lies: patient mm = origin + steps @ index.

    `steps` has one column for each index (slice, row, column): the way in mm that one step goes in the patient's axes.
    """

    values: NDArray[np.float32] = field(repr=False)
    origin_mm: NDArray[np.float64]
    steps_mm: NDArray[np.float64]

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Return the length of one step between slices, rows and columns."""
        slice_mm, row_mm, column_mm = np.linalg.norm(self.steps_mm, axis=0)
        return float(slice_mm), float(row_mm), float(column_mm)

    def patient_mm(self, index: NDArray) -> NDArray[np.float64]:
        """Return the places of points given as (slice, row, column), n × 3."""
        return self.origin_mm + np.atleast_2d(index) @ self.steps_mm.T


@dataclass(frozen=True)
class _Stack:
    """The images of a series in the order of their places, and where these are."""

    ordered: list[Instance]
    origin_mm: NDArray[np.float64]
    step_mm: NDArray[np.float64]
    axes: NDArray[np.float64]


def volume_of(series: Sequence[Instance]) -> Volume:
    """Return the volume of a series of single slices, or of one multi-frame reconstruction; raise `Unreadable` with the reason."""
    if len(series) == 1 and len(series[0].pixels) > 1:
        return _frames(series[0])
    stack = _stack(series)
    first_slice = _rescaled(stack.ordered[0])[0]
    values = np.empty((len(series), *first_slice.shape), np.float32)  # one copy: a CT of 230 slices has 240 MB
    for at, instance in enumerate(stack.ordered):
        values[at] = first_slice if at == 0 else _rescaled(instance)[0]
    return _volume(values, stack.origin_mm, stack.step_mm, series[0], stack.axes)


def slices_of(series: Sequence[Instance]) -> tuple[NDArray[np.float32] | Slices, Volume]:
    """Return the values of a volume, those of a large one left in their files, and the volume that tells their places (large: without values)."""
    if len(series) == 1 or len(series) * series[0].rows * series[0].columns <= SMALL:
        volume = volume_of(series)
        return volume.values, volume
    stack = _stack(series)
    empty = np.empty((0, 0, 0), np.float32)
    return Slices(stack.ordered), _volume(empty, stack.origin_mm, stack.step_mm, series[0], stack.axes)


def _stack(series: Sequence[Instance]) -> _Stack:
    """Return single slices as one stack; raise `Unreadable` where they are none."""
    if any(len(i.pixels) != 1 for i in series):
        raise Unreadable(because("volume.mixed"))
    if len(series) < 3:
        raise Unreadable(because("volume.slices_few", slices=len(series)))
    axes = _axes(series[0].dataset)
    normal = np.cross(axes[0], axes[1])
    places = []
    for i in series:
        if np.abs(_axes(i.dataset) - axes).max() > 1e-3:
            raise Unreadable(because("volume.directions_differ"))
        places.append(_position(i.dataset))
    order = np.argsort([float(np.dot(p, normal)) for p in places], kind="stable")
    along = np.array([float(np.dot(places[k], normal)) for k in order])
    gaps = np.diff(along)
    middle = median(gaps)
    if not np.isfinite(along).all() or middle > MOST_MM:
        raise Unreadable(because("volume.position_absurd"))
    if middle < LEAST_MM or (gaps < 0.5 * middle).any():
        raise Unreadable(because("tomogram.slices_doubled"))
    if np.abs(gaps - middle).max() > max(UNEVEN * middle, 0.02):
        raise Unreadable(because("volume.spacing_uneven"))
    first, last = places[order[0]], places[order[-1]]
    return _Stack([series[k] for k in order], first, (last - first) / (len(order) - 1), axes)


def _frames(instance: Instance) -> Volume:
    ds = instance.dataset
    heads = list(ds.get("DetectorInformationSequence") or [])
    place = heads[0] if heads and heads[0].get("ImagePositionPatient") is not None else ds
    axes = _axes(place)
    spacing = next((float(v) for v in (ds.get("SpacingBetweenSlices"), ds.get("SliceThickness")) if v not in (None, 0)), 0.0)
    if not LEAST_MM <= abs(spacing) <= MOST_MM:
        raise Unreadable(because("volume.distance_unknown"))
    numbers = instance.vector("SliceVector") if ds.get("SliceVector") is not None else np.arange(1, len(instance.pixels) + 1)
    if len(np.unique(numbers)) < len(numbers):
        raise Unreadable(because("tomogram.slice_vector_doubled"))
    if np.ptp(numbers) >= len(numbers):
        raise Unreadable(because("tomogram.slices_missing", slices=np.ptp(numbers) + 1, there=len(numbers)))
    values = _rescaled(instance)[np.argsort(numbers, kind="stable")]
    # a negative spacing says that slices run against the normal of rows and columns (NM multi-frame module)
    return _volume(values, _position(place), spacing * np.cross(axes[0], axes[1]), instance, axes)


def _volume(values: NDArray, origin: NDArray, slice_step: NDArray, instance: Instance, axes: NDArray) -> Volume:
    pixel = instance.pixel_mm
    if pixel is None:
        raise Unreadable(because("header.pixel_spacing_unusable"))
    # along a row the column index grows (first three direction cosines), down a column the row index
    return Volume(values.astype(np.float32, copy=False), origin, np.column_stack([slice_step, pixel * axes[1], pixel * axes[0]]))


def _axes(ds: Any) -> NDArray[np.float64]:
    value = ds.get("ImageOrientationPatient")
    if value is None or len(value) != 6:
        raise Unreadable(because("volume.orientation_missing"))
    axes = np.array([float(v) for v in value]).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(float(axes[0] @ axes[1])) > 0.01:
        raise Unreadable(because("volume.orientation_unusable"))
    return axes


def _position(ds: Any) -> NDArray[np.float64]:
    value = ds.get("ImagePositionPatient")
    if value is None or len(value) != 3:
        raise Unreadable(because("volume.position_missing"))
    return np.array([float(v) for v in value])


def _rescaled(instance: Instance) -> NDArray[np.float32]:
    if instance.dataset.get("RescaleSlope") is None and instance.modality in ("PT", "CT"):
        raise Unreadable(because("volume.slope_missing"))
    scale = instance.scale
    return instance.stored.astype(np.float32) * np.float32(scale.slope) + np.float32(scale.intercept)

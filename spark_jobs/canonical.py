"""One orientation, one order of frames, one sign of spacings for the images of all vendors.

Slices lie as a radiologist holds them: columns to the patient's left (or back), rows to the back (or feet), slices stacked along
row × column. Planar images and projections keep the detector's own axes: a dead photomultiplier stays where the service finds it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.decoding import Unreadable

__all__ = ["Turn", "canonise", "frame_vector"]

# vectors of the NM multi-frame module (PS3.3 C.8.4.8), the slowest first: what files in the standard's own order keep
VECTORS = (
    "EnergyWindowVector",
    "DetectorVector",
    "RotationVector",
    "PhaseVector",
    "RRIntervalVector",
    "TimeSlotVector",
    "AngularViewVector",
    "TimeSliceVector",
    "SliceVector",
)
WANTED = np.diag([1.0, 1.0, -1.0])  # sense of a row or column along x, y, z (PS3.3 C.7.6.2.1.1): left, back, feet


@dataclass(frozen=True)
class Turn:
    """How stored frames become canonical ones; the header that came with them was rewritten to fit."""

    frames: NDArray[np.int64] | None = None  # None: the order of the file
    transposed: bool = False
    rows_flipped: bool = False
    columns_flipped: bool = False

    def of(self, pixels: NDArray) -> NDArray:
        """Return canonical frames × rows × columns."""
        if self.frames is not None:
            pixels = pixels[self.frames]
        if self.transposed:
            pixels = pixels.swapaxes(1, 2)
        if self.rows_flipped or self.columns_flipped:
            pixels = pixels[:, :: -1 if self.rows_flipped else 1, :: -1 if self.columns_flipped else 1]
        return np.ascontiguousarray(pixels)


def canonise(ds: Any, modality: str, kind: str | None) -> Turn:
    """Return how to turn the pixels, and rewrite vectors, orientation, position and spacing of the data set accordingly.

    Rows and Columns stay those of the stored pixels, which are decoded later.
    """
    frames = int(ds.get("NumberOfFrames") or 1)
    order = _order(ds, frames)
    if modality == "NM" and (kind or "").startswith("RECON"):
        heads = list(ds.get("DetectorInformationSequence") or [])
        return _turned(ds, heads[0] if heads else ds, frames, order)
    if modality in ("CT", "PT", "MR") and frames == 1:
        return _turned(ds, ds, frames, order)
    return Turn(order)


def _order(ds: Any, frames: int) -> NDArray[np.int64] | None:
    """Return the order of frames by their vectors; None when it is that of the file, or the vectors do not tell one."""
    found = {name: frame_vector(ds, name, frames) for name in VECTORS} if frames > 1 else {}
    vectors = {name: v for name, v in found.items() if v is not None}
    if not vectors:
        return None
    keys = np.stack(list(vectors.values()))
    order = np.lexsort(keys[::-1])
    same = (order == np.arange(frames)).all()
    if same or not np.diff(keys[:, order], axis=1).any(0).all():  # two frames of one place: the file alone knows their order
        return None
    for name, values in vectors.items():
        setattr(ds, name, values[order].tolist())
    return order


def frame_vector(ds: Any, keyword: str, frames: int) -> NDArray[np.int64] | None:
    """Return a frame vector, None where it is absent; raise `Unreadable` where it does not fit the frames or does not count from 1."""
    value = ds.get(keyword)
    if value is None:
        return None
    try:
        out = np.atleast_1d(np.asarray(value, np.int64))
    except (TypeError, ValueError):  # the text of numpy's error quotes the value
        raise Unreadable(because("header.no_number", keyword=keyword)) from None
    if out.size != frames:
        raise Unreadable(because("frames.vector_length", vector=keyword, values=out.size, frames=frames))
    if out.min(initial=1) < 1:
        raise Unreadable(because("frames.vector_from_other", vector=keyword, least=out.min()))
    return out


def _turned(ds: Any, owner: Any, frames: int, order: NDArray[np.int64] | None) -> Turn:
    axes = _floats(owner.get("ImageOrientationPatient"), 6)
    if axes is None or not np.allclose([axes[:3] @ axes[:3], axes[3:] @ axes[3:], axes[:3] @ axes[3:]], [1, 1, 0], atol=0.02):
        return Turn(order)
    along_row, along_column = axes[:3], axes[3:]  # sense of growing columns, sense of growing rows
    position = _floats(owner.get("ImagePositionPatient"), 3)
    step_y, step_x = (abs(float(v)) for v in (ds.get("PixelSpacing") or (0, 0)))
    transposed = bool(np.argmax(abs(along_row)) > np.argmax(abs(along_column)))
    columns, rows = int(ds.Columns), int(ds.Rows)
    normal = np.cross(along_row, along_column)
    if transposed:
        along_row, along_column, step_x, step_y, columns, rows = along_column, along_row, step_y, step_x, rows, columns
    flips = []
    for axis, count, step in ((along_column, rows, step_y), (along_row, columns, step_x)):
        main = np.argmax(abs(axis))
        flips.append(bool(axis[main] * WANTED[main, main] < 0))
        if flips[-1] and position is not None:
            position = position + axis * step * (count - 1)
    along_row, along_column = along_row * (-1 if flips[1] else 1), along_column * (-1 if flips[0] else 1)
    between = ds.get("SpacingBetweenSlices")
    if frames > 1 and between:
        stride = float(between)  # of NM it has a sign: slices are stacked along or against row × column (PS3.3 C.8.4.15)
        if stride * (normal @ np.cross(along_row, along_column)) < 0:
            order = (np.arange(frames) if order is None else order)[::-1].copy()
            if position is not None:
                position = position + normal * stride * (frames - 1)
        ds.SpacingBetweenSlices = abs(stride)
    owner.ImageOrientationPatient = [float(v) for v in (*along_row, *along_column)]
    if position is not None:
        owner.ImagePositionPatient = [float(v) for v in position]
    if ds.get("PixelSpacing"):
        ds.PixelSpacing = [step_y, step_x]
    return Turn(order, transposed, *flips)


def _floats(value: Any, count: int) -> NDArray[np.float64] | None:
    return (
        np.array([float(v) for v in value]) if value is not None and not isinstance(value, str) and len(value) == count else None
    )

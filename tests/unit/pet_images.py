"""PET volumes with known truth, as arrays and as DICOM slices. Nothing here is taken from the engine."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid
from qc_images import dicom, item
from scipy import ndimage

PT, CT, NM = "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.20"
SPHERES_MM = (37.0, 28.0, 22.0, 17.0, 13.0, 10.0)
F18_S = 6586.2


def axes(shape: tuple[int, int, int], voxel: tuple[float, float, float], sub: int = 1) -> list[NDArray]:
    """Places in mm of (sub-)voxels along z, y, x; 0 is the middle of the volume."""
    out = []
    for n, v in zip(shape, voxel, strict=True):
        out.append((np.arange(n * sub) - (n * sub - 1) / 2) * v / sub)
    return out


def iq_phantom(
    *,
    ratio: float = 8.0,
    fwhm: float = 6.0,
    level: float = 5_000.0,
    shape: tuple[int, int, int] = (45, 128, 128),
    voxel: tuple[float, float, float] = (3.0, 3.0, 3.0),
    centre: tuple[float, float, float] = (0.7, 12.0, 1.3),
    turn: float = 20.0,
    mirror: bool = False,
    lung: float = 0.0,
    cold: int = 0,
    water: float = 0.0,
    order: tuple[int, ...] = (0, 1, 2, 3, 4, 5),
    noise: float = 0.0,
    seed: int = 0,
) -> NDArray:
    """The NEMA body with six spheres and a lung insert, voxelised by sub-samples, then blurred.

    The `cold` largest hold `water` of the background, the others `ratio`; `order` says at which step of the circle each lies.
    """
    z, y, x = axes(shape, voxel)
    yy, xx = (y - centre[1])[:, None], (x - centre[2])[None, :]
    top = (yy <= 0) & (xx**2 + yy**2 <= 147.0**2)
    corner = np.maximum(abs(xx) - 70.0, 0) ** 2 + np.maximum(yy, 0) ** 2 <= 77.0**2
    body = (top | ((yy > 0) & corner)).astype(float)
    body[xx**2 + yy**2 <= 25.0**2] = lung
    volume = np.repeat(body[None], shape[0], 0) * (abs(z - centre[0]) < 90)[:, None, None] * level
    sub = 5
    for k, diameter in enumerate(SPHERES_MM):
        angle = np.deg2rad(turn + 60 * order[k] * (-1 if mirror else 1))
        place = (centre[0], centre[1] + 57.2 * np.sin(angle), centre[2] + 57.2 * np.cos(angle))
        cut, fine = [], []
        for a, p, v, n in zip((z, y, x), place, voxel, shape, strict=True):
            lo, hi = np.searchsorted(a, [p - diameter / 2 - v, p + diameter / 2 + v])
            lo, hi = max(lo, 0), min(hi, n)
            cut.append(slice(lo, hi))
            fine.append((a[lo:hi, None] + ((np.arange(sub) + 0.5) / sub - 0.5) * v).ravel() - p)
        inside = fine[0][:, None, None] ** 2 + fine[1][:, None] ** 2 + fine[2] ** 2 <= diameter**2 / 4
        n = [s.stop - s.start for s in cut]
        part = inside.reshape(n[0], sub, n[1], sub, n[2], sub).mean((1, 3, 5))
        box = volume[tuple(cut)]
        volume[tuple(cut)] = box * (1 - part) + level * (water if k < cold else ratio) * part
    volume = ndimage.gaussian_filter(volume, [fwhm / 2.3548 / v for v in voxel])
    if noise:
        grain = np.random.default_rng(seed).normal(0, 1, shape)
        grain = ndimage.gaussian_filter(grain, [4.0 / 2.3548 / v for v in voxel])
        volume = np.maximum(volume * (1 + noise * grain / grain.std()), 0)
    return volume


def cylinder(
    level: float = 5_000.0,
    *,
    radius: float = 100.0,
    shape: tuple[int, int, int] = (30, 96, 96),
    voxel: tuple[float, float, float] = (4.0, 4.0, 4.0),
    half_length: float = 1e9,
    shift: tuple[float, float] = (3.0, -5.0),
    noise: float = 0.02,
    seed: int = 0,
) -> NDArray:
    z, y, x = axes(shape, voxel)
    inside = ((y - shift[0])[:, None] ** 2 + (x - shift[1]) ** 2 <= radius**2).astype(float)
    volume = np.repeat(inside[None], shape[0], 0) * (abs(z) < half_length)[:, None, None] * level
    volume = ndimage.gaussian_filter(volume, [6 / 2.3548 / v for v in voxel])
    return np.maximum(volume * (1 + noise * np.random.default_rng(seed).normal(0, 1, shape)), 0)


def points(
    places: NDArray,
    *,
    height: float | NDArray = 1e4,
    fwhm: float = 7.0,
    shape: tuple[int, int, int] = (60, 100, 100),
    voxel: tuple[float, float, float] = (3.0, 3.0, 3.0),
    floor: float = 0.0,
) -> NDArray:
    """Gaussian sources at patient places (x, y, z) in mm, in a volume whose middle is (0, 0, 0)."""
    z, y, x = axes(shape, voxel)
    s = fwhm / 2.3548
    heights = np.broadcast_to(height, len(places))
    volume = np.full(shape, float(floor))
    for h, (px, py, pz) in zip(heights, places, strict=True):
        g = [np.exp(-((a - p) ** 2) / 2 / s**2) for a, p in ((z, pz), (y, py), (x, px))]
        volume += h * g[0][:, None, None] * g[1][:, None] * g[2]
    return volume


def slices(
    volume: NDArray,
    voxel: tuple[float, float, float],
    *,
    modality: str = "PT",
    reverse: bool = False,
    one_scale: bool = False,
    whole_type: bool = False,
    middle_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    **tags: Any,
) -> list[bytes]:
    """A series of single slices, middle of the volume at a patient place; each slice has a slope of its own unless told otherwise."""
    n = volume.shape
    out = []
    uid = generate_uid()
    for k in range(n[0]):
        lowest = -1000.0 if modality == "CT" else 0.0
        top = float((volume if one_scale else volume[k]).max()) - lowest
        slope = 1.0 if modality == "CT" or whole_type else (top / 32_000 if top > 0 else 1.0)
        stored = np.rint((volume[k] - lowest) / slope)
        position = [
            m - (c - 1) / 2 * v for m, c, v in zip(middle_mm, (n[2], n[1], n[0]), (voxel[2], voxel[1], voxel[0]), strict=True)
        ]
        position[2] += k * voxel[0]
        facts = {
            "SOPClassUID": {"PT": PT, "CT": CT, "NM": NM}[modality],
            "SeriesInstanceUID": uid,
            "PixelSpacing": [str(voxel[1]), str(voxel[2])],
            "ImagePositionPatient": [f"{v:.6f}" for v in position],
            "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
            "SliceThickness": str(voxel[0]),
            "RescaleSlope": f"{slope:.9e}",
            "RescaleIntercept": str(lowest),
            "InstanceNumber": str(k + 1),
        }
        out.append(dicom(stored, modality=modality, kind="PRIMARY" if modality == "PT" else "AXIAL", **{**facts, **tags}))
    return out[::-1] if reverse else out


def dosed(
    dose_bq: float = 60e6,
    *,
    weight_kg: float = 6.28,
    injected: datetime = datetime(2026, 4, 1, 9, 0),
    scanned: datetime = datetime(2026, 4, 1, 10, 0),
    series: datetime | None = None,
    unit: str = "BQML",
    correction: str = "START",
    whole: bool = False,
    half_life: float = F18_S,
) -> dict[str, Any]:
    """Header facts of an administered activity."""
    series = series or scanned
    drug = {"RadionuclideTotalDose": str(dose_bq), "RadionuclideHalfLife": str(half_life)}
    if whole:
        drug["RadiopharmaceuticalStartDateTime"] = injected.strftime("%Y%m%d%H%M%S")
    else:
        drug["RadiopharmaceuticalStartTime"] = injected.strftime("%H%M%S")
    return {
        "Units": unit,
        "DecayCorrection": correction,
        "PatientWeight": str(weight_kg),
        "SeriesDate": series.strftime("%Y%m%d"),
        "SeriesTime": series.strftime("%H%M%S"),
        "AcquisitionDate": scanned.strftime("%Y%m%d"),
        "AcquisitionTime": scanned.strftime("%H%M%S"),
        "RadiopharmaceuticalInformationSequence": [item(**drug)],
    }


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)

"""Patients with known truth: projections of a heart, renal and hepatobiliary dynamics, thyroids, PET. Nothing is taken from the engine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qc_images import dicom, item

NM_HEAD: dict[str, Any] = {
    "AcquisitionTime": "100000",
    "Manufacturer": "nobody",
    "ManufacturerModelName": "none",
    "DeviceSerialNumber": "1",
    "PatientPosition": "HFS",
}


def ellipse(n: tuple[int, int], row: float, column: float, half_rows: float, half_columns: float, deg: float = 0.0) -> NDArray:
    """Soft-edged ellipse, 1 inside."""
    y, x = np.mgrid[: n[0], : n[1]].astype(float)
    y, x = y - row, x - column
    a = np.deg2rad(deg)
    u, v = y * np.cos(a) + x * np.sin(a), -y * np.sin(a) + x * np.cos(a)
    r = np.sqrt((u / half_rows) ** 2 + (v / half_columns) ** 2)
    return np.clip((1 - r) * min(half_rows, half_columns) + 0.5, 0, 1)


def heart_views(
    *,
    n: int = 64,
    pixel_mm: float = 6.4,
    views: int = 60,
    arc: float = 180.0,
    start: float = -45.0,
    counts: float = 40_000.0,
    moves: NDArray | None = None,
    attenuation: float = 0.012,
    noise: bool = True,
    seed: int = 0,
) -> NDArray:
    """Projections of a thorax with heart and liver by ray sums of blobs; `moves` (views × 2) shifts rows and columns, in pixels."""
    rng = np.random.default_rng(seed)
    angles = np.deg2rad(start + np.arange(views) * arc / views)
    moves = np.zeros((views, 2)) if moves is None else moves
    y, x = np.mgrid[:n, :n].astype(float)
    middle = (n - 1) / 2
    blobs = []  # x to the left, y to the front, z down (mm), radius, activity
    for t in np.linspace(0, 2 * np.pi, 14, endpoint=False):
        for z in (-22.0, -8.0, 6.0, 20.0):
            blobs.append((45 + 24 * np.cos(t), 45 + 24 * np.sin(t), z, 10.0, 1.0))
    for _ in range(60):
        blobs.append((-60 + rng.uniform(-40, 40), 10 + rng.uniform(-40, 40), 75 + rng.uniform(-20, 25), 16.0, 0.55))
    bx, by, bz, radius, activity = np.array(blobs).T
    line = np.arange(n, dtype=float)[:, None]
    out = np.zeros((views, n, n))
    for k, a in enumerate(angles):
        dy, dx = moves[k]
        image = np.zeros((n, n))
        body = 150 + 25 * np.abs(np.cos(a))
        image += (
            0.9
            * np.sqrt(np.clip(1 - ((x - middle - dx) * pixel_mm / body) ** 2, 0, 1))
            * np.clip(1.2 - 0.003 * abs(y - middle), 0, 1)
        )
        across, depth = bx * np.cos(a) - by * np.sin(a), bx * np.sin(a) + by * np.cos(a)
        columns = np.exp(-(((line - middle - dx - across / pixel_mm) * pixel_mm / radius) ** 2) / 2)
        rows = np.exp(-(((line - middle - dy - bz / pixel_mm) * pixel_mm / radius) ** 2) / 2)
        image += (rows * (1.6 * activity * np.exp(-attenuation * (150 - depth)))) @ columns.T
        out[k] = image
    out *= counts * views / out.sum()
    return rng.poisson(out) if noise else out


def heart(
    views: NDArray,
    *,
    gates: int = 0,
    pixel_mm: float = 6.4,
    arc: float = 180.0,
    last_gate: float = 1.0,
    seed: int = 5,
    **tags: Any,
) -> bytes:
    """A TOMO, or with gates a GATED TOMO whose gates share the counts of the views."""
    count = len(views)
    rotation = [
        item(
            AngularStep=str(arc / count),
            RotationDirection="CC",
            ScanArc=str(arc),
            StartAngle="315",
            NumberOfFramesInRotation=count,
            ActualFrameDuration="20000",
        )
    ]
    facts: dict[str, Any] = {"RotationInformationSequence": rotation, "NumberOfRotations": 1, "NumberOfDetectors": 1}
    if not gates:
        frames = views
        facts |= {"AngularViewVector": list(range(1, count + 1)), "RotationVector": [1] * count, "DetectorVector": [1] * count}
        return dicom(frames, kind="TOMO", pixel_mm=pixel_mm, **{**NM_HEAD, **facts, **tags})
    rng = np.random.default_rng(seed)
    share = np.full(gates, 1 / gates)
    frames = np.empty((gates, *views.shape), np.int64)
    left = views.astype(np.int64).copy()
    for g in range(gates - 1):
        frames[g] = rng.binomial(left, share[g] / share[g:].sum())
        left -= frames[g]
    frames[-1] = rng.binomial(left, last_gate)
    slots = np.repeat(np.arange(1, gates + 1), count)
    facts |= {
        "TimeSlotVector": slots.tolist(),
        "AngularViewVector": list(range(1, count + 1)) * gates,
        "RotationVector": [1] * (count * gates),
        "DetectorVector": [1] * (count * gates),
        "RRIntervalVector": [1] * (count * gates),
        "NumberOfTimeSlots": gates,
        "GatedInformationSequence": [
            item(DataInformationSequence=[item(FrameTime="110", IntervalsAcquired=950, IntervalsRejected=50, HeartRate=68)])
        ],
    }
    return dicom(frames.reshape(-1, *views.shape[1:]), kind="GATED TOMO", pixel_mm=pixel_mm, **{**NM_HEAD, **facts, **tags})


def moved(views: int, at: int, pixels: tuple[float, float], until: int | None = None) -> NDArray:
    """Shift of each view: nothing before view `at` (0-based), `pixels` (rows, columns) from it on or until another."""
    out = np.zeros((views, 2))
    out[at:until] = pixels
    return out

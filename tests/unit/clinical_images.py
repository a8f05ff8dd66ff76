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


PHASES = ((40, 1.5), (57, 20.0))


def phase_times(phases: tuple[tuple[int, float], ...] = PHASES) -> tuple[NDArray, NDArray]:
    """Middle and duration of each frame, seconds."""
    durations = np.concatenate([np.full(n, s) for n, s in phases])
    return np.cumsum(durations) - durations / 2, durations


def bolus(t: NDArray, start: float = 6.0, peak: float = 14.0, alpha: float = 3.0) -> NDArray:
    """Gamma variate of height 1."""
    u = np.maximum((t - start) / (peak - start), 1e-12)
    return np.exp(alpha * (np.log(u) + 1 - u))


def renal(
    *,
    n: int = 64,
    pixel_mm: float = 6.8,
    phases: tuple[tuple[int, float], ...] = PHASES,
    scale: float = 1.0,
    moves: NDArray | None = None,
    contrast: float = 1.0,
    width: float = 1.0,
    shift_rows: float = 0.0,
    seed: int = 0,
) -> NDArray:
    """Frames of two kidneys, bladder, vessels and body; `moves` (frames × 2) in pixels, `width` stretches the bolus."""
    rng = np.random.default_rng(seed)
    t, durations = phase_times(phases)
    size, k = (n, n), n / 64
    moves = np.zeros((len(t), 2)) if moves is None else moves
    passage = bolus(6 + (t - 6) / width) / width
    curves = {
        "body": 0.25 * (1 - np.exp(-t / 20)) * np.exp(-t / 1500) + 0.1,
        "vessel": 3.0 * passage + 0.4 * (1 - np.exp(-t / 25)) * np.exp(-t / 900),
        "left": contrast * 4.0 * (1 - np.exp(-t / 90)) * np.exp(-np.maximum(t - 180, 0) / 500),
        "right": contrast * 3.6 * (1 - np.exp(-t / 100)) * np.exp(-np.maximum(t - 200, 0) / 600),
        "bladder": 6.0 * np.clip((t - 240) / 900, 0, 1),
    }
    out = np.empty((len(t), n, n))
    known: dict[tuple[float, float], dict[str, NDArray]] = {}
    for f in range(len(t)):
        key = (float(moves[f, 0]), float(moves[f, 1]))
        if key not in known:
            r, c = key[0] + shift_rows, key[1]
            known[key] = {
                "body": ellipse(size, 32 * k + r, 31.5 * k + c, 60 * k, 24 * k),
                "vessel": ellipse(size, 18 * k + r, 32 * k + c, 12 * k, 3 * k),
                "left": ellipse(size, 28 * k + r, 22 * k + c, 8 * k, 4.5 * k, 10),
                "right": ellipse(size, 30 * k + r, 42 * k + c, 8 * k, 4.5 * k, -10),
                "bladder": ellipse(size, 55 * k + r, 32 * k + c, 4 * k, 5 * k),
            }
        out[f] = sum(curves[name][f] * image for name, image in known[key].items()) * durations[f] * scale * 2.5 / k**2
    return rng.poisson(out)


def hepatic(*, n: int = 64, pixel_mm: float = 6.8, frames: int = 60, seconds: float = 60.0, scale: float = 1.0, moves: NDArray | None = None,
            contrast: float = 1.0, empties_s: float = 2500, seed: int = 0) -> NDArray:  # fmt: skip
    """Frames of a liver that fills in ten minutes and empties to a gut, with heart and body."""
    rng = np.random.default_rng(seed)
    t = (np.arange(frames) + 0.5) * seconds
    moves = np.zeros((frames, 2)) if moves is None else moves
    size = (n, n)
    liver = contrast * 5.0 * (np.exp(-t / empties_s) - np.exp(-t / 240))
    out = np.empty((frames, n, n))
    for f in range(frames):
        r, c = moves[f]
        organ = np.maximum(ellipse(size, 22 + r, 24 + c, 9, 12, 15), ellipse(size, 20 + r, 34 + c, 5, 8))
        gut = ellipse(size, 42 + r, 36 + c, 6, 8) * 4 * np.clip((t[f] - 900) / 2700, 0, 1)
        heart_pool = ellipse(size, 9 + r, 36 + c, 4, 5) * 1.5 * np.exp(-t[f] / 400)
        body = ellipse(size, 32 + r, 31.5 + c, 60, 24) * (0.15 + 0.25 * np.exp(-t[f] / 900))
        out[f] = (organ * liver[f] + gut + heart_pool + body) * seconds * scale * 1.2
    return rng.poisson(out)


def dynamic(frames: NDArray, phases: tuple[tuple[int, float], ...] = PHASES, *, pixel_mm: float = 6.8, **tags: Any) -> bytes:
    """A DYNAMIC whose phases say how many frames there are; tags of the same names replace what would fit."""
    count = [n for n, _ in phases]
    facts = {
        "PhaseVector": np.repeat(np.arange(1, len(phases) + 1), count).tolist(),
        "TimeSliceVector": np.concatenate([np.arange(1, n + 1) for n in count]).tolist(),
        "DetectorVector": [1] * len(frames),
        "EnergyWindowVector": [1] * len(frames),
        "PhaseInformationSequence": [
            item(NumberOfFramesInPhase=n, ActualFrameDuration=round(s * 1000), PhaseDelay=0, PauseBetweenFrames=0)
            for n, s in phases
        ],
    }
    return dicom(frames, kind="DYNAMIC", pixel_mm=pixel_mm, **{**NM_HEAD, **facts, **tags})


def thyroid(
    *,
    n: int = 128,
    pixel_mm: float = 2.2,
    counts: float = 200_000.0,
    contrast: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
    tilt_deg: float = 0.0,
    blur: float = 0.0,
    noise: bool = True,
    seed: int = 0,
) -> NDArray:
    """Two lobes of 45 × 18 mm, 32 mm apart, in a neck; shift in mm (down, right), blur in mm (standard deviation)."""
    from scipy.ndimage import gaussian_filter

    row, column = (n - 1) / 2 + shift[0] / pixel_mm, (n - 1) / 2 + shift[1] / pixel_mm
    a, half = np.deg2rad(tilt_deg), 16 / pixel_mm
    image = 0.03 * ellipse((n, n), row, column, 200 / pixel_mm, 60 / pixel_mm) + 0.005
    for side in (-1, 1):
        lobe = ellipse(
            (n, n),
            row + side * half * np.sin(a),
            column + side * half * np.cos(a),
            23 / pixel_mm,
            9 / pixel_mm,
            tilt_deg + side * 8,
        )
        image = image + contrast * lobe * (1.0 if side < 0 else 1.1)
    image = gaussian_filter(image, np.hypot(2.5, blur) / pixel_mm)
    image *= counts / image.sum()
    return np.random.default_rng(seed).poisson(image) if noise else image


def neck(
    *, n: int, pixel_mm: float, gland: float, around: float, fwhm_mm: float, weaker: float = 1.0, size=(45, 18), apart=32
) -> NDArray:
    """Two half-ellipsoids of `gland` counts in all, an isthmus between them, blurred, in a neck of `around` counts a mm²."""
    from scipy.ndimage import gaussian_filter

    fine = 4
    y, x = (np.indices((n * fine, n * fine)) - (n * fine - 1) / 2) * pixel_mm / fine
    activity = 0.25 * ((np.abs(y - 8) < 5) & (np.abs(x) < apart / 2))
    for side, weight in ((-1, 1.0), (1, weaker)):
        activity += weight * np.sqrt(
            np.clip(1 - (y / (size[0] / 2)) ** 2 - ((x - side * apart / 2) / (size[1] / 2)) ** 2, 0, None)
        )
    activity = gaussian_filter(activity, fwhm_mm / 2.3548 / pixel_mm * fine)
    lit = np.abs(x) < 65
    image = activity * gland / activity.sum() + lit * around * (pixel_mm / fine) ** 2
    return np.random.default_rng(3).poisson(image.reshape(n, fine, n, fine).sum((1, 3)))


def pet_volume(
    *,
    voxel_mm: tuple[float, float, float] = (5.0, 5.3, 5.3),
    shape: tuple[int, int, int] = (190, 96, 96),
    noise: float = 0.1,
    blur_mm: float = 0.0,
    shift_mm: float = 0.0,
    jump_mm: float = 0.0,
    seam: float = 0.0,
    seed: int = 0,
) -> NDArray:
    """SUV of a patient from thighs (slice 0) to head: trunk, liver at the right (low columns), brain, bladder, heart, legs, lungs.

    `jump_mm` moves everything above the middle slice to the side, `seam` raises it by that part.
    """
    from scipy.ndimage import gaussian_filter

    z, y, x = ((np.arange(n) - (n - 1) / 2) * v for n, v in zip(shape, voxel_mm, strict=True))
    z, y, x = np.meshgrid(z, y, x, indexing="ij")
    x = x - shift_mm - jump_mm * (z > 0)

    def ball(cz: float, cy: float, cx: float, rz: float, ry: float, rx: float) -> NDArray:
        return ((z - cz) / rz) ** 2 + ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1

    trunk = (np.abs(z - 20) < 290) & ((x / 170) ** 2 + (y / 110) ** 2 < 1)
    legs = (z < -260) & ((((np.abs(x) - 85) / 70) ** 2 + (y / 80) ** 2) < 1)
    head = ball(390, 0, 0, 95, 95, 75)
    neck = (np.abs(z - 310) < 40) & (x**2 + y**2 < 60**2)
    volume = 0.7 * (trunk | legs | head | neck)
    volume[ball(170, 0, 85, 100, 70, 55) | ball(170, 0, -85, 100, 70, 55)] = 0.35
    volume[ball(40, 0, -80, 75, 80, 75)] = 2.2
    volume[ball(120, -40, 45, 45, 40, 40)] = 3.0
    volume[ball(400, 0, 0, 70, 75, 58)] = 7.0
    volume[ball(-230, -30, 0, 35, 30, 40)] = 12.0
    volume = gaussian_filter(volume * (1 + seam * (z > 0)), [np.hypot(6, blur_mm) / 2.355 / v for v in voxel_mm])
    rng = np.random.default_rng(seed)
    return np.maximum(volume * (1 + noise * rng.standard_normal(shape)) + 0.01 * rng.random(shape), 0)


PET_HEAD: dict[str, Any] = {
    **NM_HEAD,
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128",
    "Units": "BQML",
    "DecayCorrection": "START",
    "CorrectedImage": ["DECY", "ATTN", "SCAT", "RAN"],
    "SeriesDate": "20260401",
    "SeriesTime": "100000",
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "FrameOfReferenceUID": "1.2.9",
    "PatientWeight": "70",
    "ActualFrameDuration": 120_000,
    "PrimaryPromptsCountsAccumulated": 40_000_000,
    "SecondaryCountsAccumulated": 12_000_000,
    "ScatterFractionFactor": 0.35,
}


def pet(
    volume: NDArray, *, voxel_mm: tuple[float, float, float] = (5.0, 5.3, 5.3), mbq: float = 280.0, **tags: Any
) -> list[bytes]:
    """A PET series in Bq/ml whose SUV are `volume`: 280 MBq of F-18 given an hour before to 70 kg, corrected to the start."""
    left = mbq * 1e6 * 2 ** (-3600 / (109.77 * 60))
    item_ = item(RadionuclideTotalDose=str(mbq * 1e6), RadionuclideHalfLife="6586.2", RadiopharmaceuticalStartTime="090000")
    bq = volume * left / 70_000
    out = []
    for k, plane in enumerate(bq):
        slope = float(f"{max(float(plane.max()), 1e-6) / 30000:.6g}")
        out.append(
            dicom(
                np.rint(plane / slope), modality="PT", kind=None, pixel_mm=voxel_mm[1],
                **{
                    **PET_HEAD, "RadiopharmaceuticalInformationSequence": [item_], "RescaleSlope": f"{slope:.6g}", "RescaleIntercept": "0",
                    "ImagePositionPatient": ["-250", "-250", str(voxel_mm[0] * k)], "SliceThickness": str(voxel_mm[0]),
                    "InstanceNumber": k + 1, **tags,
                },
            )
        )  # fmt: skip
    return out

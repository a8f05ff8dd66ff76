"""Tomograms of cylinder phantoms with known truth: shapes on a fine grid × Gaussian blur. Nothing here is taken from the engine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qc_images import dicom, item
from scipy.ndimage import gaussian_filter

DELUXE = (31.8, 25.4, 19.1, 15.9, 12.7, 9.5)
LARGE = (38.0, 31.8, 25.4, 19.1, 15.9, 12.7)
RODS = (12.7, 11.1, 9.5, 7.9, 6.4, 4.8)


def ring_of(
    diameters: tuple[float, ...] = DELUXE, *, start_deg: float = 5.0, sign: int = 1, radius_mm: float = 57.2
) -> list[tuple[float, float, float]]:
    """Diameter, x and y (mm from the axis) of spheres on a ring, 60° apart."""
    angles = np.deg2rad(start_deg + sign * 60.0 * np.arange(len(diameters)))
    return [(d, radius_mm * float(np.cos(a)), radius_mm * float(np.sin(a))) for d, a in zip(diameters, angles, strict=True)]


def rod_places(
    diameters: tuple[float, ...] = RODS, *, start_deg: float = 30.0, sign: int = 1
) -> list[tuple[float, float, float]]:
    """Diameter, x and y of rods in six sectors: triangular lattice, distance twice the diameter, rows along the sector's sides."""
    out = []
    for k, d in enumerate(diameters):
        middle = np.deg2rad(start_deg + sign * 60.0 * k)
        for i in range(1, 40):
            for j in range(i + 1):
                along = 6.0 + d + i * 2 * d * np.cos(np.pi / 6)
                across = (j - i / 2) * 2 * d
                x, y = along, across
                if np.hypot(x, y) + d / 2 < 103:
                    out.append((d, x * np.cos(middle) - y * np.sin(middle), x * np.sin(middle) + y * np.cos(middle)))
    return [(float(d), float(x), float(y)) for d, x, y in out]


def cylinder(
    *,
    pixel_mm: float = 4.0,
    slice_mm: float = 4.0,
    n: int = 72,
    slices: int = 48,
    diameter_mm: float = 216.0,
    ends_mm: tuple[float, float] | None = (-88.0, 88.0),
    spheres: list[tuple[float, float, float]] | None = None,
    sphere_z_mm: float = -30.0,
    rods: list[tuple[float, float, float]] | None = None,
    rods_mm: tuple[float, float] = (10.0, 88.0),
    fwhm_mm: float = 10.0,
    fill: float = 0.0,
    lean: float = 0.0,
    shift_mm: tuple[float, float] = (2.7, -1.9),
    pattern: NDArray | None = None,
    sub: int = 2,
) -> NDArray:
    """A cylinder of activity 1 along the slices, blurred; `fill` is the activity in spheres and rods, `lean` its tilt (mm per mm).

    The blur is applied on a grid `sub` times finer, whose voxels are averaged: the image is integrated over its voxels as real ones.
    """
    fine = pixel_mm / sub
    step = slice_mm / sub
    x = (np.arange(n * sub) - (n * sub - 1) / 2) * fine
    z = (np.arange(slices * sub) - (slices * sub - 1) / 2) * step
    xx, yy = np.meshgrid(x - shift_mm[1], x - shift_mm[0])
    out = np.empty((len(z), len(x), len(x)), np.float32)
    for k, h in enumerate(z):
        px, py = xx - lean * h, yy
        inside = _soft(diameter_mm / 2 - np.hypot(px, py), fine)
        if ends_mm is not None:
            inside = inside * np.clip((min(h - ends_mm[0], ends_mm[1] - h)) / step + 0.5, 0, 1)
        for d, sx, sy in spheres or []:
            if abs(h - sphere_z_mm) > d:
                continue
            # a soft rim adds h²/4R² to the volume of a ball
            radius = d / 2 - (fine * fine * step) ** (2 / 3) / (6 * d)
            near = np.s_[_span(py[:, 0], sy, d), _span(px[0], sx, d)]
            away = np.sqrt((px[near] - sx) ** 2 + (py[near] - sy) ** 2 + (h - sphere_z_mm) ** 2)
            inside[near] -= (1 - fill) * _soft(radius - away, fine)
        if rods_mm[0] <= h <= rods_mm[1]:
            for d, sx, sy in rods or []:
                near = np.s_[_span(py[:, 0], sy, d), _span(px[0], sx, d)]
                inside[near] -= (1 - fill) * _soft(d / 2 - np.hypot(px[near] - sx, py[near] - sy), fine)
        out[k] = inside
    sigma = fwhm_mm / 2.3548
    out = gaussian_filter(out, (sigma / step, sigma / fine, sigma / fine), mode="nearest")
    out = out.reshape(slices, sub, n, sub, n, sub).mean((1, 3, 5))
    return out if pattern is None else out * pattern


def _span(places: NDArray, centre: float, reach: float) -> slice:
    return slice(*np.searchsorted(places, (centre - reach, centre + reach)))


def _soft(depth: NDArray, fine: float) -> NDArray:
    """Part of a voxel inside a surface, from the depth of its centre."""
    return np.clip(depth / fine + 0.5, 0, 1)


def recon(volume: NDArray, *, pixel_mm: float = 4.0, slice_mm: float | None = 4.0, **tags: Any) -> bytes:
    """A reconstructed NM tomogram as cameras write it: negative spacing, a slice vector, and a wrong number of frames in rotation."""
    tags = {
        "SliceVector": list(range(1, len(volume) + 1)),
        "NumberOfSlices": len(volume),
        "SpacingBetweenSlices": None if slice_mm is None else str(-slice_mm),
        "RotationInformationSequence": [item(NumberOfFramesInRotation=len(volume) + 19, AngularStep="2.8125")],
        "ImageType": ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"],
        **tags,
    }
    return dicom(np.rint(volume), kind="RECON TOMO", pixel_mm=pixel_mm, **tags)

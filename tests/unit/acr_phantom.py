"""An ACR 464 phantom drawn slice by slice with known truth; places and numbers are written down here, not taken from the engine."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

RODS = {"air": (45, -1000.0), "polyethylene": (225, -98.0), "acrylic": (135, 121.0), "bone": (-45, 930.0), "water": (180, 1.0)}
BARS = {-135: 0.4, 180: 0.5, 135: 0.6, 90: 0.7, 45: 0.8, 0: 0.9, -45: 1.0, -90: 1.2}  # degrees: line pairs per mm


@dataclass(frozen=True)
class Acr:
    """How the phantom is made and scanned; `travel` is how far the table really went for each mm of the header."""

    pixel: float = 0.6
    n: int = 360
    slice_mm: float = 5.0
    count: int = 33
    first_mm: float = -20.0
    noise: float = 4.0
    blur_mm: float = 0.5
    roll: float = 0.0
    mirrored: bool = False
    shift_mm: tuple[float, float] = (2.0, -1.3)
    travel: float = 1.0
    beads_mm: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # along the axis, of the beads of modules 1 and 4
    pair_mm: float = 100.0
    contrast: float = 6.0
    bars: bool = True
    seed: int = 0
    rods: dict[str, tuple[float, float]] = field(default_factory=lambda: RODS)


def slice_of(scan: Acr, k: int) -> NDArray[np.float64]:
    z = (scan.first_mm + k * scan.slice_mm) * scan.travel
    half = scan.slice_mm * scan.travel / 2
    x = (np.arange(scan.n) - (scan.n - 1) / 2) * scan.pixel
    px, py = np.meshgrid(x - scan.shift_mm[0], x - scan.shift_mm[1])
    turn = np.deg2rad(scan.roll)
    u, v = px * np.cos(turn) + py * np.sin(turn), -px * np.sin(turn) + py * np.cos(turn)
    v = -v if scan.mirrored else v
    image = -1000 + 1000 * np.clip((100 - np.hypot(u, v)) / scan.pixel + 0.5, 0, 1)

    def put(angle: float, distance: float, radius: float, hu: float) -> None:
        a = np.deg2rad(angle)
        away = np.hypot(u - distance * np.cos(a), v - distance * np.sin(a))
        row = np.clip((radius - away) / scan.pixel + 0.5, 0, 1)
        np.copyto(image, image * (1 - row) + hu * row)

    def bead(at: float) -> float:
        """Part of a bead of 1 mm that lies in the slice."""
        return max(0.0, min(at + 0.5, z + half) - max(at - 0.5, z - half))

    if abs(z) < 20:
        for name, (angle, hu) in scan.rods.items():
            put(angle, 63, 25 if name == "water" else 12.5, hu)
    elif 20 < z < 60:
        put(-90, 60, 12.5, scan.contrast)
    elif 100 < z < 140 and scan.bars:
        for angle, f in BARS.items():
            a = np.deg2rad(angle)
            across, along = u - 70 * np.cos(a), v - 70 * np.sin(a)
            # a scanner passes only what its pixels can show: harmonics beyond would come back at wrong frequencies
            odd = [m for m in (1, 3, 5) if m * f < 0.45 / scan.pixel]
            lines = 700 + 700 * sum(4 / np.pi / m * np.sin(2 * np.pi * m * f * across) for m in odd)
            np.copyto(image, lines, where=(abs(across) < 7.5) & (abs(along) < 7.5))
    for plane in (0.0, 120.0):
        for angle, more in zip((-90, 0, 90, 180), scan.beads_mm, strict=True):
            if bead(plane + more):
                put(angle, 94, 0.7, 6000 * bead(plane + more))
    if bead(80.0):
        put(-45, 20, 0.5, 4000 * bead(80.0))
        put(135, scan.pair_mm - 20, 0.5, 4000 * bead(80.0))
    image = gaussian_filter(image, scan.blur_mm / scan.pixel)
    return image + np.random.default_rng(500 * scan.seed + k).normal(0, scan.noise, image.shape)


def volume(scan: Acr) -> list[NDArray[np.float64]]:
    return [slice_of(scan, k) for k in range(scan.count)]


def positions(scan: Acr) -> NDArray[np.float64]:
    return scan.first_mm + np.arange(scan.count) * scan.slice_mm

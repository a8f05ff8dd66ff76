"""A CatPhan drawn slice by slice with known truth. Its places and numbers are written down here, not taken from the engine."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from qc_images import dicom
from scipy.ndimage import gaussian_filter

# degrees clockwise from the right, HU put in
RODS_604 = {
    "air": (-90, -1000.0),
    "pmp": (-120, -190.0),
    "bone_50": (-150, 705.0),
    "ldpe": (180, -98.0),
    "poly": (120, -41.0),
    "acrylic": (60, 122.0),
    "bone_20": (30, 241.0),
    "delrin": (0, 345.0),
    "teflon": (-60, 961.0),
}
RODS_504 = {k: v for k, v in RODS_604.items() if not k.startswith("bone")}
RODS_ACR = {
    "air": (45, -1000.0),
    "polyethylene": (225, -99.0),
    "acrylic": (135, 121.0),
    "bone": (-45, 931.0),
    "water": (180, 1.0),
}


@dataclass(frozen=True)
class Scan:
    """How the phantom is made and scanned. `tilt` (degrees) turns it about the vertical axis of the image."""

    rods: dict[str, tuple[float, float]] = field(default_factory=lambda: RODS_604)
    ring_mm: float = 58.4
    rod_mm: float = 12.0
    background: float = 55.0
    pixel: float = 0.7
    n: int = 320
    slice_mm: float = 2.0
    first_mm: float = -16.0
    count: int = 17
    roll: float = 0.0
    mirrored: bool = False
    shift_mm: tuple[float, float] = (2.3, -1.7)
    blur_mm: float = 0.6
    noise: float = 3.0
    tilt: float = 0.0
    moved: dict[str, tuple[float, float]] = field(default_factory=dict)  # mm along the image's axes
    ramps: bool = True
    second_air: bool = True
    uniform_mm: float | None = None
    discs_mm: float | None = None
    disc_hu: float = 10.0


def slice_of(scan: Scan, k: int) -> NDArray[np.float64]:
    z = scan.first_mm + k * scan.slice_mm
    x = (np.arange(scan.n) - (scan.n - 1) / 2) * scan.pixel
    px, py = np.meshgrid(x - scan.shift_mm[0], x - scan.shift_mm[1])
    px = px - z * np.tan(np.deg2rad(scan.tilt))
    turn = np.deg2rad(scan.roll)
    u, v = px * np.cos(turn) + py * np.sin(turn), -px * np.sin(turn) + py * np.cos(turn)
    if scan.mirrored:
        v = -v

    def part(distance: NDArray, radius: float) -> NDArray:
        return np.clip((radius - distance) / scan.pixel + 0.5, 0, 1)

    image = -1000 + (scan.background + 1000) * part(np.hypot(u, v), 100)

    def put(row: NDArray, hu: float) -> None:
        np.copyto(image, image * (1 - row) + hu * row)

    if abs(z) < 13:
        places = dict(scan.rods)
        if scan.second_air and scan.rod_mm < 20:
            places["second"] = (90, -1000.0)
        for name, (angle, hu) in places.items():
            a = np.deg2rad(angle)
            dx, dy = scan.moved.get(name, (0.0, 0.0))
            put(part(np.hypot(u - scan.ring_mm * np.cos(a) - dx, v - scan.ring_mm * np.sin(a) - dy), scan.rod_mm / 2), hu)
        if scan.ramps and abs(z) < 9:
            for angle in (-90, 0, 90, 180):
                a = np.deg2rad(angle)
                across, along = u * np.cos(a) + v * np.sin(a) - 38, -u * np.sin(a) + v * np.cos(a)
                lean = {-90: 1, 90: -1}.get(angle, 0) * scan.tilt  # the pair along the image's rows feels this tilt
                slope = np.tan(np.deg2rad(23 + lean))
                wire = part(np.abs(across), 0.6) * part(np.abs(along - z / slope), scan.slice_mm / slope / 2)
                put(wire, 600)
    elif scan.discs_mm is not None and abs(z - scan.discs_mm) < 15:
        for angle, size in ((-87.4, 15), (-69.1, 9), (-52.7, 8), (-38.5, 7), (-25.1, 6), (-12.9, 5)):
            a = np.deg2rad(angle)
            put(part(np.hypot(u - 50 * np.cos(a), v - 50 * np.sin(a)), size / 2), scan.background + scan.disc_hu)
    image = gaussian_filter(image, scan.blur_mm / scan.pixel) if scan.blur_mm else image
    return image + np.random.default_rng(1000 + k).normal(0, scan.noise, image.shape)


def volume(scan: Scan) -> list[NDArray[np.float64]]:
    return [slice_of(scan, k) for k in range(scan.count)]


def positions(scan: Scan) -> NDArray[np.float64]:
    return scan.first_mm + np.arange(scan.count) * scan.slice_mm


def files(scan: Scan, images: list[NDArray[np.float64]] | None = None, **tags: object) -> list[bytes]:
    """The series as DICOM with a minimal header, stored values HU + 1024 (clipped below at 0, as scanners do)."""
    out = []
    for k, image in enumerate(volume(scan) if images is None else images):
        facts = {
            "ImagePositionPatient": ["0", "0", str(scan.first_mm + k * scan.slice_mm)],
            "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
            "SliceThickness": str(scan.slice_mm),
            "RescaleSlope": "1",
            "RescaleIntercept": "-1024",
            "InstanceNumber": str(k + 1),
        }
        stored = np.clip(np.rint(image + 1024), 0, None)
        out.append(dicom(stored, modality="CT", kind="AXIAL", pixel_mm=scan.pixel, **{**facts, **tags}))
    return out

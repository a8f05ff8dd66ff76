"""Images with known truth, as arrays and as DICOM bytes, to test the image engine. Nothing here is taken from it."""

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy.special import erf

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
NM, CT, CAPTURE = "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.7"


def grid(pixel_mm: float, n: int) -> tuple[NDArray, NDArray]:
    x = (np.arange(n) - (n - 1) / 2) * pixel_mm
    return np.meshgrid(x, x)


@cache
def lit(kind: str, size: tuple[float, ...], pixel_mm: float, n: int) -> NDArray:
    """Part of each pixel that lies inside a field of view."""
    sub = 4
    x, y = grid(pixel_mm / sub, n * sub)
    if kind == "RECTANGLE":
        inside = (abs(x) <= size[0] / 2) & (abs(y) <= size[1] / 2)
    elif kind == "ROUND":
        inside = x**2 + y**2 <= size[0] ** 2 / 4
    else:
        apothem = size[0] * np.sqrt(3) / 4
        inside = (abs(y) <= apothem) & (abs(y) / 2 + abs(x) * np.sqrt(3) / 2 <= apothem)
    return inside.reshape(n, sub, n, sub).mean((1, 3))


def tube(pixel_mm: float, n: int, x_mm: float, y_mm: float, left: float, radius_mm: float = 34.0) -> NDArray:
    """Sensitivity of a detector with one photomultiplier: `left` on a flat top of 2 × radius, soft flanks."""
    x, y = grid(pixel_mm, n)
    r = np.hypot(x - x_mm, y - y_mm)
    return 1 - (1 - left) * np.clip((radius_mm + 14 - r) / 14, 0, 1)


def rotation(
    offset_mm: float,
    *,
    n: int = 128,
    pixel_mm: float = 4.0,
    views: int = 60,
    step: float = 6.0,
    start: float = 0.0,
    radius_mm: float = 60.0,
    background: float = 0.0,
    counts: float = 20_000.0,
    tilt_deg: float = 0.0,
    seed: int = 0,
) -> tuple[NDArray, NDArray]:
    """Views and angles of a point source, pixel-integrated, with counting noise; a negative step turns the other way."""
    rng = np.random.default_rng(seed)
    edges = np.arange(n + 1) - 0.5
    sigma = 11 / 2.3548 / pixel_mm
    angles = start + step * np.arange(views)
    out = []
    for angle in np.deg2rad(angles):
        x = (n - 1) / 2 + (offset_mm + radius_mm * np.sin(angle + 0.4)) / pixel_mm
        y = (n - 1) / 2 + 3.3 + radius_mm * np.sin(np.deg2rad(tilt_deg)) * np.cos(angle + 0.4) / pixel_mm
        px, py = (np.diff(erf((edges - c) / sigma / np.sqrt(2))) / 2 for c in (x, y))
        out.append(rng.poisson(counts * np.outer(py, px) + background))
    return np.array(out), angles


def water(
    hu: float = 0.0, sigma: float = 5.0, *, n: int = 256, pixel_mm: float = 1.0, cupping: float = 0.0, seed: int = 0
) -> NDArray:
    """A slice of a 200 mm water cylinder in air, HU."""
    x, y = grid(pixel_mm, n)
    r = np.hypot(x - 3, y + 2)
    image = np.where(r < 100, hu + cupping * (r / 100) ** 2, -1000.0)
    return image + np.where(r < 100, np.random.default_rng(seed).normal(0, sigma, (n, n)), 0)


def body(counts: float = 2e6, *, seed: int = 0, n: tuple[int, int] = (1024, 256), bend: float = 0.0, shift: int = 0) -> NDArray:
    """A crude patient: trunk, head, limbs, spine."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: n[0], : n[1]].astype(float)
    x = x - (n[1] - 1) / 2 - bend * np.sin(y / n[0] * np.pi) - shift
    trunk = (abs(x) < 42) & (y > 190) & (y < 520)
    head = (x / 24) ** 2 + ((y - 140) / 40) ** 2 < 1
    legs = (abs(abs(x) - 24) < 18) & (y >= 515) & (y < 950)
    spine = (abs(x) < 5) & (y > 170) & (y < 500)
    image = trunk * 1.0 + head * 1.2 + legs * 0.6 + spine * 3.0
    return rng.poisson(image * counts / image.sum())


def dicom(
    pixels: NDArray,
    *,
    modality: str = "NM",
    kind: str | None = "STATIC",
    pixel_mm: float | None = 2.4,
    signed: bool = False,
    **tags: Any,
) -> bytes:
    """A DICOM file around stored values (frames × rows × columns or rows × columns); None leaves a tag out."""
    pixels = np.asarray(pixels)
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    ds = Dataset()
    ds.SOPClassUID = {"NM": NM, "CT": CT}.get(modality, CAPTURE)
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid(), "1.2.3.4.5"
    ds.Modality = modality
    ds.ImageType = ["ORIGINAL", "PRIMARY", *([kind] if kind else [])]
    ds.AcquisitionDate = "20260401"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, int(signed)
    if len(pixels) > 1:
        ds.NumberOfFrames = len(pixels)
    if pixel_mm:
        ds.PixelSpacing = [str(pixel_mm), str(pixel_mm)]
    for name, value in tags.items():
        if value is None:
            if name in ds:
                delattr(ds, name)
        else:
            setattr(ds, name, value)
    ds.PixelData = pixels.astype("<i2" if ds.PixelRepresentation else "<u2").tobytes()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def item(**tags: Any) -> Dataset:
    ds = Dataset()
    for name, value in tags.items():
        setattr(ds, name, value)
    return ds


def code(value: str) -> list[Dataset]:
    return [item(CodeValue=value, CodingSchemeDesignator="99PHOTOPEAK", CodeMeaning="test")]

"""Inputs that once passed: copied, overflowed, multiplied, scattered, wrongly spaced or hidden. The right answer has no verdict."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pet_images import iq_phantom
from pet_images import slices as pet_slices

from bench.cases import Case, Truth, dicom, grid, item, lit, slits, water

__all__ = ["wrong_passes"]

NONE = float("nan")  # the right answer is no number
FAMILY = "wrong passes"
REFUSED = "not_measured"


def wrong_passes(folder: Path) -> list[Case]:
    """Write the images and return their cases."""
    return [
        case
        for maker in (_copies, _overflowed, _multiplied, _scattered, _spaced, _weak_rim, _cancelled)
        for case in maker(folder)
    ]


def _one(folder: Path, name: str, *files: bytes, sheet: dict[str, Any] | None = None) -> Path:
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(files):
        (target / f"{k:03d}.dcm").write_bytes(data)
    if sheet is not None:
        (target / "sheet.json").write_text(json.dumps(sheet), encoding="utf-8")
    return target


def _flood(counts: float) -> Any:
    return np.random.default_rng(3).poisson(lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * counts)


def _copies(folder: Path) -> Iterator[Case]:
    image = _flood(2_000)
    field = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])] * 2
    for what, detectors, windows in (("heads", [1, 2], [1, 1]), ("energy windows", [1, 1], [1, 2])):
        about = {"DetectorVector": detectors, "EnergyWindowVector": windows, "DetectorInformationSequence": field}
        path = _one(folder, f"copies {what}", dicom(np.stack([image, image]), **about))
        yield Case(FAMILY, f"one flood as the image of two {what}", path, (Truth("ufov_iu_percent", NONE, 0.0),), REFUSED)


def _overflowed(folder: Path) -> Iterator[Case]:
    y, x = np.mgrid[:128, :128] - 63.5
    counts = np.random.default_rng(4).poisson(np.exp(-(x**2 + y**2) / 2 / 8.0**2) * 90_000) % 65_536
    path = _one(folder, "overflowed", dicom(counts, pixel_mm=4.0, ActualFrameDuration=60_000))
    yield Case(FAMILY, "a source whose counts overflowed 16 bits", path, (Truth("sensitivity_cps_per_mbq", NONE, 0.0),), REFUSED)


def _multiplied(folder: Path) -> Iterator[Case]:
    base = slits(lambda y: 0.5 * np.sin(2 * np.pi * y / 95.0), peak=300)
    counts = np.random.default_rng(5).poisson(base / 10) * 10
    path = _one(folder, "multiplied", dicom(counts, pixel_mm=0.8))
    yield Case(FAMILY, "slits whose counts were multiplied by 10", path, (Truth("absolute_ufov_mm", 0.5, 0.2),), "indicative")


def _scattered(folder: Path) -> Iterator[Case]:
    for readings in ([9.4, 10.6], [9.5, 10.0, 10.5], [9.6, 10.4, 9.5, 10.5]):
        part = {"nuclide": "Cs-137", "reference_mbq": 10.0, "reference_at": "2026-04-01T02:00:00", "readings_mbq": readings}
        sheet = {"procedure": "activimeter", "device_serial": "AC-1", "measured_at": "2026-04-01T08:00:00", "accuracy": [part]}
        path = _one(folder, f"scattered {len(readings)}", sheet=sheet)
        truths = (Truth("accuracy_error_percent Cs-137", 0.0, 0.05),)
        yield Case(FAMILY, f"{len(readings)} readings that scatter about the reference", path, truths, "indicative")


def _spaced(folder: Path) -> Iterator[Case]:
    sheet = {"procedure": "pet_nema_iq", "spheres_bq_per_ml": 40_000, "background_bq_per_ml": 5_000}
    for factor in (0.8, 1.2):
        files = pet_slices(iq_phantom(fwhm=7.0), (3.0 * factor, 3.0, 3.0), Units="BQML", DecayCorrection="START")
        path = _one(folder, f"spaced {factor}", *files, sheet=sheet)
        truths = (Truth("sphere_diameter_mm 37 mm", 37.0, 0.01),)
        yield Case(FAMILY, f"NEMA IQ slices spaced {100 * (factor - 1):+.0f} %", path, truths, "indicative")


def _weak_rim(folder: Path) -> Iterator[Case]:
    x, y = grid(2.4, 256)
    for kind, size, depth_mm, left in (
        ("RECTANGLE", (533.0, 387.0), 14.4, 0.55),
        ("ROUND", (400.0,), 18.0, 0.65),
        ("HEXAGONAL", (450.0,), 18.0, 0.6),
    ):
        rim = (lit(kind, tuple(s - 2 * depth_mm for s in size), 2.4, 256) < 0.5) & (np.abs(x) < 60) & (y > 0)
        image = np.random.default_rng(6).poisson(3_000 * lit(kind, size, 2.4, 256) * np.where(rim, left, 1.0))
        path = _one(folder, f"weak rim {kind}", dicom(image, NumberOfFrames=1))
        title = f"rim at {100 * left:.0f} % over 120 mm, {depth_mm:g} mm deep, undeclared {kind.lower()} field"
        yield Case(FAMILY, title, path, (Truth("centre_pixel_counts", 27_000.0, 100.0),), "indicative")


def _cancelled(folder: Path) -> Iterator[Case]:
    x, y = grid(1.0, 256)
    insert = np.hypot(x - 3, y + 2) < 40
    for hu, sigma, slices in ((1.5, 4.0, 1), (2.0, 8.0, 1), (1.5, 4.0, 5)):
        images = [water(0.0, sigma, cupping=hu / 0.58, seed=k) + hu * insert for k in range(slices)]
        files = [
            dicom(
                np.rint(image + 1024), modality="CT", kind="AXIAL", pixel_mm=1.0, RescaleSlope="1", RescaleIntercept="-1024",
                ImagePositionPatient=["0", "0", str(-5 * k)], ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
            )
            for k, image in enumerate(images)
        ]  # fmt: skip
        path = _one(folder, f"cancelled {hu:g} {slices}", *files)
        title = f"insert of {hu:+g} HU that cancels its cupping, noise {sigma:g} HU, slices: {slices}"
        middle = hu + 0.08 * hu / 0.58  # the mean of r² over the region is 0.08
        yield Case(FAMILY, title, path, (Truth("water_hu", middle, 0.5),), "indicative")

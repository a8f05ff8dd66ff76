"""Further images with known truth: PET, registration, activimeter, CatPhan; the truth is worked out here, by no method of the engine.

They are given to `photopeak analyse --json`, because some are pairs of series, or a series and a sheet.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import erf

from bench.cases import Case, Truth

import acr_phantom  # isort: skip
from ct_phantom import Scan, files  # isort: skip  # on the path since bench.cases
from qc_images import dicom, grid, water  # isort: skip
from pet_images import F18_S, SPHERES_MM, cylinder, dosed, iq_phantom, points, slices  # isort: skip

__all__ = ["further"]

VOXEL = (4.0, 4.0, 4.0)
FINE = (2.0, 2.0, 2.0)
NONE = float("nan")  # the right answer is no number
PLACES = np.array([[-60.0, -40, -50], [70, -30, 0], [0, 60, 30], [10, 10, 60]])
SAME = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}


def further(folder: Path) -> list[Case]:
    """Write the images and return their cases."""
    return [
        case
        for maker in (_even, _suv, _spheres, _pairs, _sheets, _catphan, _acr, _no_water, _shaded_water)
        for case in maker(folder)
    ]


def _saved(folder: Path, name: str, *series: list[bytes], sheet: dict | None = None) -> Path:
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(d for one in series for d in one):
        (target / f"{k:03d}.dcm").write_bytes(data)
    if sheet is not None:
        (target / "sheet.json").write_text(json.dumps(sheet), encoding="utf-8")
    return target


def _even(folder: Path) -> Iterator[Case]:
    count = 30
    slope = cylinder(noise=0.0) * np.linspace(0.95, 1.05, count)[:, None, None]
    path = _saved(folder, "pet slope", slices(slope, VOXEL, **dosed()))
    yield Case(
        "PET uniformity", "sensitivity of the slices from 95 to 105 %", path, (Truth("slice_deviation_max_percent", 5.0, 0.05),)
    )
    one = cylinder(noise=0.0)
    one[12] *= 0.9
    path = _saved(folder, "pet slice", slices(one, VOXEL, **dosed()))
    truth = Truth("slice_deviation_max_percent", 100 * (1 - 0.9 / (1 - 0.1 / count)), 0.05)
    yield Case("PET uniformity", "one slice at 90 %", path, (truth,))
    y, x = np.ogrid[:96, :96]
    r2 = ((y - 47.5) * 4 - 3) ** 2 + ((x - 47.5) * 4 + 5) ** 2
    cupped = cylinder(noise=0.0) * (0.9 + 0.1 * r2 / 100**2)
    # means of r² over the disc within 0.35 and the ring from 0.65 to 0.85 of the radius
    ratio = (0.9 + 0.1 * 0.35**2 / 2) / (0.9 + 0.1 * (0.65**2 + 0.85**2) / 2)
    path = _saved(folder, "pet cup", slices(cupped, VOXEL, **dosed()))
    yield Case("PET uniformity", "10 % less in the middle than at the edge", path, (Truth("centre_border_ratio", ratio, 0.003),))


def _suv(folder: Path) -> Iterator[Case]:
    night = {"injected": datetime(2026, 4, 1, 23, 30), "scanned": datetime(2026, 4, 2, 0, 45)}
    for title, facts, seconds, bias in (
        ("an hour after the injection", {}, 3600.0, 0.0),
        ("decay corrected to the injection", {"correction": "ADMIN"}, 0.0, 0.07),
        ("midnight between injection and scan", night, 4500.0, -0.04),
        ("series made anew later", {"series": datetime(2026, 4, 1, 18, 0)}, 3600.0, 0.05),
        ("dose given in MBq", {"dose_bq": 60.0}, 3600.0, 0.0),
    ):
        level = 60e6 * 0.5 ** (seconds / F18_S) / 6280 * (1 + bias)
        path = _saved(folder, f"suv {title}", slices(cylinder(level, noise=0.01), VOXEL, **dosed(**facts)))  # type: ignore[arg-type]
        truths = (Truth("suv_mean", 1 + bias, 0.001), Truth("calibration_bias_percent", 100 * bias, 0.1))
        yield Case("SUV and cross-calibration", f"{title}, scanner {100 * bias:+.0f} %", path, truths)


def _contrast(diameter: float, fwhm: float, voxel: float) -> float:
    """Return the mean over the circle through a sphere of 1, blurred by a Gaussian and by the voxel: the closed form, summed up."""
    s = float(np.hypot(fwhm / 2.3548, voxel / np.sqrt(12)))
    big = diameter / 2
    r = (np.arange(4000) + 0.5) / 4000 * big
    tails = np.exp(-((big - r) ** 2) / 2 / s**2) - np.exp(-((big + r) ** 2) / 2 / s**2)
    f = (erf((big - r) / s / 2**0.5) + erf((big + r) / s / 2**0.5)) / 2 - s / r / np.sqrt(2 * np.pi) * tails
    return float((f * r).sum() / r.sum())


def _spheres(folder: Path) -> Iterator[Case]:
    for ratio, fwhm, turn in ((8.0, 6.0, 20.0), (4.0, 4.5, 100.0)):
        volume = iq_phantom(ratio=ratio, fwhm=fwhm, turn=turn, voxel=FINE, shape=(46, 160, 165))
        sheet = {"procedure": "pet_nema_iq", "spheres_bq_per_ml": 5000 * ratio, "background_bq_per_ml": 5000}
        path = _saved(folder, f"spheres {ratio:g}", slices(volume, FINE, Units="BQML", DecayCorrection="START"), sheet=sheet)
        truths = [
            Truth(f"contrast_percent {d:.0f} mm", 100 * _contrast(d, fwhm, 2.0), 2 * _contrast(d, fwhm, 2.0)) for d in SPHERES_MM
        ]
        truths += [Truth("rc_max 37 mm", 1.0, 0.01), Truth("background_bias_percent", 0.0, 0.1)]
        yield Case("PET image quality", f"ratio {ratio:g}, point spread of {fwhm:g} mm", path, tuple(truths))


def _pairs(folder: Path) -> Iterator[Case]:
    for offset, angles in (
        ((3.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((0.0, 3.0, 0.0), (0.0, 0.0, 0.0)),
        ((0.0, 0.0, 3.0), (0.0, 0.0, 0.0)),
        ((1.0, 2.0, -3.0), (2.0, -1.0, 3.0)),
    ):
        moved = Rotation.from_euler("xyz", angles, degrees=True).apply(PLACES) + np.array(offset)
        shape, voxel = (72, 110, 110), (2.5, 2.0, 2.0)
        fixed = points(PLACES, height=1200, fwhm=6, shape=shape, voxel=voxel) - 1000
        noise = np.random.default_rng(3).normal(0, 8, shape)
        ct = slices(np.maximum(fixed + noise, -1000), voxel, modality="CT", **SAME)
        bright = points(moved[[2, 0, 3, 1]], height=8e3, fwhm=7, shape=(62, 80, 80))
        pet = slices(np.random.default_rng(5).poisson(bright / 10) * 10.0, (3.0, 3.0, 3.0), **SAME)
        delta = (moved - PLACES).mean(0)
        truths = [Truth(f"offset_{a}_mm", float(d), 0.1) for a, d in zip("xyz", delta, strict=True)]
        truths += [Truth(f"rotation_{a}_deg", d, 0.1) for a, d in zip("xyz", angles, strict=True) if any(angles)]
        title = f"PET moved by {offset[0]:g}, {offset[1]:g}, {offset[2]:g} mm" + (
            f", turned by {angles[0]:g}, {angles[1]:g}, {angles[2]:g}°" if any(angles) else ""
        )
        yield Case("registration", title, _saved(folder, f"pair {title}", ct, pet), tuple(truths))


def _sheets(folder: Path) -> Iterator[Case]:
    half_life_h = 6.0067
    hours = np.array([0.0, 3, 6, 12, 24, 36])
    # a meter that reads 4 % low at the top; residuals about a line of the nuclide's own slope
    read = 4000 * 0.5 ** (hours / half_life_h) * np.array([0.96, 1, 1, 1, 1, 1])
    logs = np.log([0.96, 1, 1, 1, 1, 1])
    worst = 100 * np.abs(np.expm1(logs - logs.mean())).max()
    stamps = [f"2026-04-{1 + int(8 + h) // 24:02d}T{int(8 + h) % 24:02d}:00:00" for h in hours]
    sheet = {
        "procedure": "activimeter",
        "device_serial": "AC-1",
        "measured_at": "2026-04-01T08:00:00",
        "accuracy": [{"nuclide": "Tc-99m", "reference_mbq": 100.0, "reference_at": "2026-04-01T02:00:00",
                      "readings_mbq": [103.0 * 0.5 ** (6 / half_life_h)] * 3}],
        "linearity": {"nuclide": "Tc-99m", "readings": [{"at": t, "mbq": float(m)} for t, m in zip(stamps, read, strict=True)]},
    }  # fmt: skip
    truths = (
        Truth("accuracy_error_percent Tc-99m", 3.0, 0.05),
        Truth("linearity_residual_percent Tc-99m", float(worst), 0.05),
    )
    yield Case("activimeter", "reads 3 % high; 4 % low at the top", _saved(folder, "activimeter", [], sheet=sheet), truths)


def _catphan(folder: Path) -> Iterator[Case]:
    whole = {"slice_mm": 4.0, "first_mm": -92.0, "count": 42, "discs_mm": -40.0}
    scans = {
        "as it should lie": Scan(**whole),  # type: ignore[arg-type]
        "shifted by 14 and -17 mm": Scan(shift_mm=(14, -17), n=370, **whole),  # type: ignore[arg-type]
        "turned by 12°": Scan(roll=12, **whole),  # type: ignore[arg-type]
        "tilted by 2°": Scan(tilt=2.0, **whole),  # type: ignore[arg-type]
        "pixels of 0.97 mm": Scan(pixel=0.97, n=250, blur_mm=0.8, **whole),  # type: ignore[arg-type]
    }
    for title, scan in scans.items():
        truths = [
            Truth(f"{name}_hu {name.title()}", hu, 1.0, f"{name}_hu")
            for name, (_, hu) in scan.rods.items()
            if name in ("acrylic", "delrin", "teflon")
        ]
        truths.append(Truth("slice_thickness_mm", scan.slice_mm, 0.03 * scan.slice_mm, "slice_thickness_mm"))
        yield Case("CatPhan", title, _saved(folder, f"catphan {title}", files(scan)), tuple(truths), peer="catphan")
    wrong = Scan(moved={"acrylic": (3, 0)}, **whole)  # type: ignore[arg-type]
    refused = Truth("acrylic_hu Acrylic", NONE, 0.0, "acrylic_hu")
    yield Case(
        "CatPhan",
        "a rod 3 mm off its place: another phantom",
        _saved(folder, "catphan wrong", files(wrong)),
        (refused,),
        "not_measured",
        "catphan",
    )


def _acr(folder: Path) -> Iterator[Case]:
    for title, scan in {
        "as it should lie": acr_phantom.Acr(),
        "turned by 11°, lying off the axis": acr_phantom.Acr(roll=11, shift_mm=(-6, 4)),
        "table that goes 3 % too far": acr_phantom.Acr(slice_mm=2.5, count=63, travel=1.03),
    }.items():
        data = []
        for k, z in enumerate(acr_phantom.positions(scan)):
            stored = np.clip(np.rint(acr_phantom.slice_of(scan, k) + 1024), 0, None)
            place = {"ImagePositionPatient": ["0", "0", str(z)], "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}
            scale = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "SliceThickness": str(scan.slice_mm)}
            about = {"InstanceNumber": str(k + 1), "PatientPosition": "HFS", **place, **scale}
            data.append(dicom(stored, modality="CT", kind="AXIAL", pixel_mm=scan.pixel, **about))
        truths = [Truth(f"{n}_hu {n.title()}", hu, 1.0, f"{n}_hu") for n, (_, hu) in scan.rods.items()]
        half = float(np.sqrt(0.4**2 + np.log(2) / (2 * np.pi**2 * scan.blur_mm**2)))
        truths += [
            Truth("noise_hu", scan.noise, 0.02 * scan.noise, "noise_hu"),
            Truth("table_travel_mm", 120 / scan.travel, 0.5),
            Truth("bead_distance_mm", 100.0, 0.4, "bead_distance_mm"),
            Truth("mtf50_bar_lp_per_mm", half, 0.04 * half, "mtf50_bar_lp_per_mm"),
        ]
        yield Case("ACR CT phantom", title, _saved(folder, f"acr {title}", data), tuple(truths), peer="acr")


def _no_water(folder: Path) -> Iterator[Case]:
    x, y = grid(1.0, 256)
    r = np.hypot(x - 3, y + 2)
    clean = [water(0, 5, seed=k) for k in range(3)]
    bone = (r >= 75) & (r < 81)
    wrong = {
        "water with a bubble of 6 mm": [i - 1000 * (np.hypot(x - 50, y - 20) < 3) for i in clean],
        "water with an insert of 5 HU": [i + 5 * (np.hypot(x + 60, y - 40) < 10) for i in clean],
        "water cut off above +3 HU": [np.minimum(i, 3) for i in clean],
        "a round head of 0 HU in its skull": [np.where(r < 75, i, np.where(bone, 800, -1000)) for i in clean],
    }
    for title, images in wrong.items():
        about = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "SliceThickness": "5"}
        data = [
            dicom(
                np.rint(i + 1024), modality="CT", kind="AXIAL", pixel_mm=1.0, ImagePositionPatient=["0", "0", str(5 * k)], **about
            )
            for k, i in enumerate(images)
        ]
        yield Case("CT water", title, _saved(folder, f"no water {title}", data), (Truth("water_hu", NONE, 0.0),), "not_measured")


def _shaded_water(folder: Path) -> Iterator[Case]:
    x, y = grid(1.0, 256)
    r = np.hypot(x - 3, y + 2)
    shade = 6 * (1 - np.exp(-((r / 40) ** 2)))
    middle = float(shade[r < 40].mean())
    made = {
        "water with 6 HU of shading, as of a cone beam": (5.0, shade, "measured", Truth("water_hu", middle, 0.5)),
        "water with an insert of 60 mm and 4 HU on its axis": (5.0, 4.0 * (r < 30), "not_measured", Truth("water_hu", NONE, 0.0)),
        "water with an insert of 60 mm and 3 HU in noise of 20 HU": (
            20.0,
            3.0 * (r < 30),
            "indicative",
            Truth("water_hu", 3.0 * 30**2 / 40**2, 0.8),
        ),
    }
    for title, (sigma, added, status, truth) in made.items():
        about = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "SliceThickness": "5"}
        data = [
            dicom(
                np.rint(water(0, sigma, seed=k) + added * (r < 100) + 1024),
                modality="CT",
                kind="AXIAL",
                pixel_mm=1.0,
                ImagePositionPatient=["0", "0", str(5 * k)],
                **about,
            )
            for k in range(5)
        ]
        yield Case("CT water", title, _saved(folder, title, data), (truth,), status)

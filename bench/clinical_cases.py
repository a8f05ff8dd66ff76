"""Series of patients whose faults are known: motion, gates, lost frames, curves, uptake, extravasation, SUV.

The truth is what was put in by the generators of the tests, or worked out here; it is given to `photopeak analyse --json`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.cases import TC99M_S, Case, Truth

from clinical_images import (  # isort: skip  # on the path since bench.cases
    NM_HEAD, dynamic, heart, heart_views, hepatic, moved, neck, pet, pet_volume, renal,
)  # fmt: skip
from qc_images import body, dicom  # isort: skip

__all__ = ["clinical"]

FAMILY = "patients"
HOUR = ((60, 60.0),)


def clinical(folder: Path) -> list[Case]:
    """Write the series and return their cases."""
    return [case for maker in (_hearts, _dynamics, _thyroids, _bones, _pets) for case in maker(folder)]


def _saved(folder: Path, name: str, *files: bytes, sheet: dict | None = None) -> Path:
    target = folder / name
    target.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(files):
        (target / f"{k:03d}.dcm").write_bytes(data)
    if sheet is not None:
        (target / "sheet.json").write_text(json.dumps(sheet), encoding="utf-8")
    return target


def _hearts(folder: Path) -> Iterator[Case]:
    for title, moves, motion, creep in (
        ("a heart that lies still", None, 0.0, 0.0),
        ("a heart that jumps by 2 pixels along the axis at view 31", moved(60, 30, (2, 0)), 2.0, 2.0),
        ("a heart that jumps by 2 pixels across it", moved(60, 30, (0, 2)), 2.0, 0.0),
        ("a heart that creeps by 3 pixels", np.stack([np.linspace(0, 3, 60), np.zeros(60)], axis=1), 0.0, 3.0),
    ):
        path = _saved(folder, title, heart(heart_views(moves=moves)))
        found = Truth("motion_max_px heart", motion, 0.2 if motion else 0.6)
        yield Case(FAMILY, title, path, (found, Truth("axial_creep_px heart", creep, 0.5)))
    path = _saved(folder, "gates", heart(heart_views(), gates=8, last_gate=0.7))
    truths = (Truth("gate_loss_percent whole", 30.0, 1.5), Truth("rejected_beats_percent whole", 5.0, 0.01))
    yield Case(FAMILY, "a gated heart whose last gate lost 30 %, 50 of 1000 beats rejected", path, truths)


def _dynamics(folder: Path) -> Iterator[Case]:
    path = _saved(folder, "renal", dynamic(renal()))
    # a gamma variate of α = 3 whose peak comes 8 s after its start is 11.03 s wide
    truths = (
        Truth("bolus_fwhm_s vessels", 11.03, 1.3),
        Truth("kidneys_in_field_count whole", 2.0, 0.0),
        Truth("missing_frames_count whole", 0.0, 0.0),
    )
    yield Case(FAMILY, "two kidneys, a bolus of 11 s", path, truths)
    count, gone = 97, 60
    vectors = {
        "PhaseVector": np.delete(np.repeat([1, 2], [40, 57]), gone).tolist(),
        "TimeSliceVector": np.delete(np.concatenate([np.arange(1, 41), np.arange(1, 58)]), gone).tolist(),
        **{k: [1] * (count - 1) for k in ("DetectorVector", "EnergyWindowVector")},
    }
    path = _saved(folder, "lost frame", dynamic(np.delete(renal(), gone, 0), **vectors))
    yield Case(FAMILY, "the same without frame 61", path, (Truth("missing_frames_count whole", 1.0, 0.0),))
    path = _saved(folder, "renal motion", dynamic(renal(moves=moved(count, 70, (3, 0)))))
    yield Case(FAMILY, "the same, moved by 3 pixels at frame 71", path, (Truth("motion_max_px whole", 3.0, 0.3),))
    path = _saved(folder, "hepatic", dynamic(hepatic(moves=moved(60, 30, (2, 0))), HOUR))
    yield Case(FAMILY, "a liver moved by 2 pixels at frame 31", path, (Truth("motion_max_px whole", 2.0, 0.3),))


def _thyroids(folder: Path) -> Iterator[Case]:
    view = {"ActualFrameDuration": 600_000, "SeriesDate": "20260504", "SeriesTime": "090000", "AcquisitionDate": "20260504"}
    sheet = {
        "procedure": "thyroid_static", "nuclide": "Tc-99m", "full_cps": 5500.0, "full_at": "2026-05-04T08:30:00",
        "empty_cps": 450.0, "empty_at": "2026-05-04T08:35:00",
    }  # fmt: skip
    rate = np.log(2) / TC99M_S
    injected = 5500 * np.exp(-1800 * rate) - 450 * np.exp(-1500 * rate)
    for pixel_mm, n, fwhm_mm in ((2.2, 128, 8.0), (1.1, 256, 5.0), (4.4, 64, 10.0)):
        image = neck(n=n, pixel_mm=pixel_mm, gland=60_000, around=0.1, fwhm_mm=fwhm_mm)
        facts = {**NM_HEAD, "AcquisitionTime": "090000", **view}
        path = _saved(folder, f"gland {pixel_mm}", dicom(image, pixel_mm=pixel_mm, **facts), sheet=sheet)
        uptake = 100 * 60_000 * rate / (injected * (1 - np.exp(-600 * rate)))
        truths = (Truth("roi_net_kcts whole", 60.0, 1.8), Truth("uptake_percent whole", float(uptake), float(0.03 * uptake)))
        yield Case(FAMILY, f"a gland of 60 kcts, pixels of {pixel_mm} mm, the syringe counted", path, truths)


def _bones(folder: Path) -> Iterator[Case]:
    from scipy.ndimage import gaussian_filter

    plain = gaussian_filter(body(2e6).astype(float), 1.8)
    y, x = np.mgrid[: plain.shape[0], : plain.shape[1]]
    spot = np.exp(-((y - 430) ** 2 + (x - 127.5 - 66) ** 2) / 30)
    view = {**NM_HEAD, "kind": "WHOLE BODY", "pixel_mm": 2.26}
    for share in (0.0, 0.05):
        image = np.random.default_rng(3).poisson(plain + spot / spot.sum() * plain.sum() * share / (1 - share))
        path = _saved(folder, f"bone {share}", dicom(image, **view))
        truths = (Truth("extravasation_percent whole", 100 * share, 0.4), Truth("line_step_percent whole", 0.0, 0.0))
        yield Case(FAMILY, f"a bone scan with {100 * share:.0f} % beside the vein", path, truths)
    slower = plain.copy()
    slower[500:] *= 0.8
    path = _saved(folder, "table", dicom(np.random.default_rng(4).poisson(slower), **view))
    yield Case(FAMILY, "a bone scan whose table went on a quarter faster", path, (Truth("line_step_percent whole", 22.3, 6.0),))


def _pets(folder: Path) -> Iterator[Case]:
    path = _saved(folder, "patient", *pet(pet_volume()))
    truths = (
        Truth("liver_suv_mean liver", 2.2, 0.07),
        Truth("activity_mbq_per_kg whole", 4.0, 0.001),
        Truth("uptake_min whole", 60.0, 0.01),
        # T²/P of 28 million trues, scatter fraction 0.35, 40 million prompts, 120 s
        Truth("nec_kcps whole", (28e6 * 0.65) ** 2 / 40e6 / 120 / 1000, 0.01),
    )
    yield Case(FAMILY, "PET of a patient whose liver has an SUV of 2.2", path, truths)

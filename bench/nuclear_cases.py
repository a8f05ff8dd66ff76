"""NM and PET images that were cut off, scaled, shuffled or damaged, spheres of water, sheets of a filling: the answer is the truth, or no number."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from bench.accuracy_cases import FINE, NONE, VOXEL, _contrast, _saved
from bench.cases import Case, Truth

from line_images import down, noisy, quadrants, square  # isort: skip  # on the path since bench.cases
from pet_images import F18_S, SPHERES_MM, cylinder, dosed, iq_phantom, later, slices  # isort: skip
from qc_images import dicom, lit  # isort: skip
from tomo_images import cylinder as tomogram, recon, ring_of, rod_places  # isort: skip

__all__ = ["nuclear"]

BARS = (3.0, 3.5, 4.2, 5.0)


def nuclear(folder: Path) -> list[Case]:
    """Write the images and return their cases."""
    return [case for maker in (_cut, _bars, _tomograms, _strips, _spheres, _fillings) for case in maker(folder)]


def _one(folder: Path, name: str, image: np.ndarray, pixel_mm: float) -> Path:
    return _saved(folder, name, [dicom(np.rint(image), pixel_mm=pixel_mm)])


def _cut(folder: Path) -> Iterator[Case]:
    images = {
        ("line source", "fwhm_x_mm", 1.2): noisy(down(7.0, pixel_mm=1.2, shape=(300, 300), at_mm=11, peak=4_000)),
        ("four bars", "fwhm_x_mm", 1.0): noisy(square(7.0, peak=4_000)),
        ("quadrant bars", "smallest_resolved_mm", 1.0): noisy(quadrants(BARS, 3.5, field_mm=270, counts=1_600)),
    }
    for (family, measure, pixel_mm), whole in images.items():
        for times in (4, 20):
            scaled = np.rint(whole / times)
            cut = np.minimum(scaled, int(0.85 * np.percentile(scaled, 99.5)))
            title = f"counts divided by {times}, then cut off"
            yield Case(
                family, title, _one(folder, f"{family} {title}", cut, pixel_mm), (Truth(measure, NONE, 0.0),), "not_measured"
            )


def _bars(folder: Path) -> Iterator[Case]:
    whole = noisy(quadrants(BARS, 3.5, field_mm=270, counts=1_500))
    wrong = {
        "a dead row across the image": np.where(np.arange(400)[:, None] == 251, 0, whole),
        "one pixel counts 30 times": np.where((np.arange(400)[:, None] == 250) & (np.arange(400) == 250), 30 * whole, whole),
    }
    truths = tuple(Truth(f"fwhm_corrected_mm {corner}", 3.5, 0.105) for corner in ("upper left", "lower right"))
    for title, image in wrong.items():
        yield Case("quadrant bars", title, _one(folder, f"bars {title}", image, 1.0), truths)
    path = _one(folder, "bars dead column", np.where(np.arange(400)[None, :] == 140, 0, whole), 1.0)
    none = (Truth("smallest_resolved_mm", NONE, 0.0),)
    yield Case("quadrant bars", "a dead column through every disk of a quadrant", path, none, "not_measured")


def _tomograms(folder: Path) -> Iterator[Case]:
    rng = np.random.default_rng(0)
    for name, volume in (("cylinder", tomogram()), ("system phantom", tomogram(spheres=ring_of(), rods=rod_places()))):
        whole = rng.poisson(np.maximum(volume, 0) * 600)
        wrong = {
            "shuffled slices": whole[rng.permutation(len(whole))],
            "odd slices behind the even ones": whole[np.r_[0 : len(whole) : 2, 1 : len(whole) : 2]],
            "values cut off": np.minimum(whole, np.floor(np.percentile(whole[whole > 300], 80))),
        }
        for title, slices_ in wrong.items():
            path = _saved(folder, f"{name} {title}", [recon(slices_)])
            yield Case("tomographic uniformity", f"{name}: {title}", path, (Truth("iu_percent", NONE, 0.0),), "not_measured")
    even = cylinder(noise=0.03)
    path = _saved(folder, "pet cut", slices(np.minimum(even, np.percentile(even[even > 2_500], 80)), VOXEL, **dosed()))
    yield Case("SUV and cross-calibration", "values cut off", path, (Truth("suv_mean", NONE, 0.0),), "not_measured")


def _strips(folder: Path) -> Iterator[Case]:
    for strip_mm, status in ((0, "measured"), (24, "indicative"), (36, "indicative")):
        field = lit("RECTANGLE", (533.0, 387.0), 2.4, 256) * 2_800.0
        first = int(np.flatnonzero(field.max(0) > 0)[0])
        field[:, : first + round(strip_mm / 2.4)] = 0
        path = _one(folder, f"strip {strip_mm}", np.random.default_rng(0).poisson(field), 2.4)
        title = f"undeclared field, a dead strip of {strip_mm} mm at one side"
        yield Case("planar uniformity", title, path, (Truth("ufov_iu_percent", 1.2, 0.5),), status)


def _spheres(folder: Path) -> Iterator[Case]:
    for ratio, water in ((8.0, 0.0), (4.0, 0.1)):
        volume = iq_phantom(ratio=ratio, water=water, cold=2, voxel=FINE, shape=(46, 160, 165))
        about = {"procedure": "pet_nema_iq", "spheres_bq_per_ml": 5_000 * ratio, "background_bq_per_ml": 5_000}
        path = _saved(folder, f"cold {ratio}", slices(volume, FINE, Units="BQML", DecayCorrection="START"), sheet=about)
        truths = []
        for d in SPHERES_MM:
            true = 100 * _contrast(d, 6.0, 2.0) * (1 - water if d > 25 else 1)
            truths.append(Truth(f"contrast_percent {d:.0f} mm", true, 0.02 * true))
        title = f"two cold spheres, {100 * water:.0f} % left in them, the others {ratio:g} to 1"
        yield Case("PET image quality", title, path, tuple(truths))


def _fillings(folder: Path) -> Iterator[Case]:
    scanned = datetime(2026, 4, 1, 10, 0)
    for title, bias, more in (
        ("64 MBq a half-life before the scan, 2 MBq left in the syringe", 0.0, {"residual_mbq": 2, "residual_measured_at": "2026-04-01T10:00:00"}),
        ("64 MBq a half-life before the scan", 0.05, {}),
    ):  # fmt: skip
        true = (32e6 - (2e6 if more else 0)) / 6_000
        files = slices(cylinder(true * (1 + bias), noise=0.01), VOXEL, Units="BQML", DecayCorrection="START", **_day(scanned))
        sheet = {"procedure": "pet_cross_calibration", "nuclide": "F-18", "activity_mbq": 64, "volume_ml": 6_000, **more}
        path = _saved(folder, f"filling {title}", files, sheet={**sheet, "measured_at": (scanned - later(F18_S)).isoformat()})
        truths = (Truth("calibration_bias_percent", 100 * bias, 0.1), Truth("suv_bias_percent", 100 * bias, 0.1))
        yield Case("SUV and cross-calibration", f"by a sheet: {title}", path, truths)


def _day(moment: datetime) -> dict[str, str]:
    day, clock = f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
    return {"SeriesDate": day, "SeriesTime": clock, "AcquisitionDate": day, "AcquisitionTime": clock}

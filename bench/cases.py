"""Images with known truth, written as DICOM files, and what of them is known. The generators are those of the tests, not of the engine."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit"))

from line_images import TENTH, slits, square  # noqa: E402
from qc_images import dicom, grid, item, lit, rotation, tube, water  # noqa: E402
from tomo_images import cylinder, recon  # noqa: E402

__all__ = ["DATA", "ROOT", "Case", "Truth", "real", "simulated"]

DATA = ROOT.parent / "shared" / "data"
MODEL = {"Manufacturer": "Simulated", "NumberOfFrames": 1}
CORNERS = {4.23: "lower right", 3.18: "upper right", 2.54: "upper left", 2.12: "lower left"}  # of the real quadrant image
TC99M_S = 6.0067 * 3600


@dataclass(frozen=True)
class Truth:
    """A value that must be recovered, and how near; `peer` names the peer's value, None where the peer measures nothing like it."""

    measure: str
    value: float
    within: float
    peer: str | None = None


@dataclass(frozen=True)
class Case:
    """One image: what it is, the right answer (values, or the status that a refusal has), and which test of the peer to ask."""

    family: str
    title: str
    path: Path
    truths: tuple[Truth, ...] = ()
    status: str = "measured"
    peer: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def simulated(folder: Path) -> list[Case]:
    """Write the images and return their cases."""
    folder.mkdir(parents=True, exist_ok=True)
    makers = (_floods, _rotations, _bars, _slits, _tomograms, _counting, _water)
    return [case for maker in makers for case in maker(folder)]


def _save(folder: Path, name: str, data: bytes) -> Path:
    path = folder / f"{name}.dcm"
    path.write_bytes(data)
    return path


def _floods(folder: Path) -> Iterator[Case]:
    def case(name: str, left: float, pixel_mm: float = 2.4, at: tuple[float, float] = (60.0, -40.0), shape: str = "RECTANGLE",
             counts: float = 20_000.0, status: str = "measured", within: float = 0.05) -> Case:  # fmt: skip
        n, size = int(614 / pixel_mm), (545.0, 399.0) if shape == "RECTANGLE" else (500.0,)
        field_mm = ["533", "387"] if shape == "RECTANGLE" else ["488"]
        base = max(round(counts * (pixel_mm / 6.4) ** 2 / 20) * 20, 20)  # noiseless, and a whole number at every tenth
        image = np.rint(base * lit(shape, size, pixel_mm, n) * tube(pixel_mm, n, *at, left))
        about = {"DetectorInformationSequence": [item(FieldOfViewShape=shape, FieldOfViewDimensions=field_mm)], **MODEL}
        path = _save(folder, f"flood {name}", dicom(image, pixel_mm=pixel_mm, **about))
        high, low = max(left, 1.0), min(left, 1.0)
        truth = Truth("ufov_iu_percent", 100 * (high - low) / (high + low), within, "ufov_iu_percent")
        return Case("planar uniformity", name, path, (truth,), status, "uniformity")

    yield case("photomultiplier at 90 %", 0.9)
    yield case("photomultiplier at 50 %", 0.5)
    yield case("photomultiplier at 5 %: all but dead", 0.05)
    yield case("photomultiplier at 0 %: dead", 0.0)
    yield case("dead photomultiplier at the edge", 0.05, at=(215.0, 0.0))
    yield case("hot spot of +5 %", 1.05)
    for pixel_mm in (0.6, 1.2, 4.0, 6.4, 8.0):
        yield case(f"photomultiplier at 90 %, pixels of {pixel_mm} mm", 0.9, pixel_mm)
    for shape in ("ROUND", "HEXAGONAL"):
        yield case(f"photomultiplier at 90 %, {shape.lower()} field", 0.9, shape=shape)
    yield case("too few counts for a verdict", 0.9, counts=3_000, status="indicative", within=0.2)


def _rotations(folder: Path) -> Iterator[Case]:
    def case(name: str, offset: float, within: float = 0.05, direction: str = "CC", **facts: Any) -> Case:
        views, angles = rotation(offset, **facts)
        step, start = float(angles[1] - angles[0]), float(angles[0])
        turn = item(AngularStep=str(abs(step)), RotationDirection="CC" if step > 0 else "CW", StartAngle=str(start))
        about = {
            "RotationInformationSequence": [turn],
            "AngularViewVector": list(range(1, len(views) + 1)),
            "Manufacturer": "Simulated",
        }
        path = _save(folder, f"rotation {name}", dicom(views, kind="TOMO", pixel_mm=4.0, **about))
        return Case("centre of rotation", name, path, (Truth("cor_offset_mm", offset, within, "cor_offset_mm"),), peer="rotation")

    for offset in (0.0, 2.0, 5.0, 10.0):
        yield case(f"offset {offset:g} mm over 360°", offset)
    yield case("offset 2 mm, background 1 count a pixel", 2.0, background=1.0)
    yield case("offset 3 mm, clockwise from 77°", 3.0, step=-6.0, start=77.0)
    yield case("offset 3 mm over 180°", 3.0, views=61, step=3.0)
    yield case("offset 3 mm over 102°", 3.0, 0.2, views=35, step=3.0)
    yield case("offset 3 mm over 90°", 3.0, 0.2, views=31, step=3.0)
    frames, heads = [], []
    for head, offset in ((1, 2.0), (2, -3.0)):
        frames.append(rotation(offset, views=60, step=6.0, seed=head)[0])
        heads += [head] * 60
    turn = [item(AngularStep="6", RotationDirection="CC", StartAngle="0")]
    about = {"DetectorVector": heads, "AngularViewVector": [*range(1, 61)] * 2, "RotationInformationSequence": turn}
    path = _save(folder, "rotation two heads", dicom(np.concatenate(frames), kind="TOMO", pixel_mm=4.0, **about))
    both = (
        Truth("cor_offset_mm detector 1", 2.0, 0.05, "cor_offset_mm"),
        Truth("cor_offset_mm detector 2", -3.0, 0.05, "cor_offset_mm"),
    )
    yield Case("centre of rotation", "two heads, each with its own offset", path, both, peer="rotation")


def _bars(folder: Path) -> Iterator[Case]:
    for pixel_mm, n in ((0.5, 512), (1.0, 256), (2.0, 128)):
        image = np.rint(square(8.0, pixel_mm=pixel_mm, shape=(n, n), crossing=True))
        path = _save(folder, f"four bars {pixel_mm}", dicom(image, pixel_mm=pixel_mm, **MODEL))
        truths = (
            Truth("fwhm_x_mm", 8.0, 0.16, "fwhm_x_mm"),
            Truth("fwtm_y_mm", 8.0 * TENTH, 0.3, "fwtm_y_mm"),
            Truth("pixel_size_x_mm", pixel_mm, 0.01 * pixel_mm, "pixel_size_x_mm"),
        )
        yield Case("four bars", f"lines of 8 mm, pixels of {pixel_mm:g} mm", path, truths, peer="four_bar")


def _slits(folder: Path) -> Iterator[Case]:
    for amplitude in (0.1, 0.5, 1.0):
        image = np.rint(slits(lambda y, a=amplitude: a * np.sin(2 * np.pi * y / 95.0 + 0.4)))  # type: ignore[misc]
        path = _save(folder, f"slits {amplitude}", dicom(image, pixel_mm=0.8, **MODEL))
        truths = (Truth("differential_ufov_mm", amplitude / np.sqrt(2), 0.05), Truth("absolute_ufov_mm", amplitude, 0.05))
        yield Case("linearity", f"slits bent by {amplitude:g} mm", path, truths)


def _tomograms(folder: Path) -> Iterator[Case]:
    n = 72
    ys, xs = np.mgrid[:n, :n] - (n - 1) / 2
    radius = np.hypot(ys * 4.0 - 2.7, xs * 4.0 + 1.9)
    for cup in (0.0, -0.1, 0.05):
        volume = cylinder(slices=24, ends_mm=None) * (1 + cup * (radius / 108) ** 2)
        path = _save(folder, f"tomogram {cup}", recon(np.rint(volume * 10_000)))
        edge = 1 + cup * 0.64
        truths = (
            Truth("iu_percent", 100 * abs(edge - 1) / (edge + 1), 0.15, "iu_percent"),
            Truth("centre_border_ratio", (1 + cup * 0.32**2 / 2) / (1 + cup * 0.5), 0.002, "centre_border_ratio"),
        )
        status = "measured" if cup else "indicative"  # one value everywhere is what no acquisition gives: values, no verdict
        title = f"cylinder with {100 * cup:+g} % at the edge"
        yield Case("tomographic uniformity", title, path, truths, status, "tomographic_uniformity")


def _counting(folder: Path) -> Iterator[Case]:
    life, tau, frame_s, every_s = TC99M_S, 4e-6, 60.0, 1800.0
    rate = np.log(2) / life
    starts = np.arange(96) * every_s
    inside = starts[:, None] + (np.arange(200) + 0.5) / 200 * frame_s
    true = 4e5 * np.exp(-rate * inside)
    counts = (true * np.exp(-true * tau)).mean(1) * frame_s
    x, y = grid(1.0, 64)
    shape = np.exp(-(x**2 + y**2) / 2 / 14.0**2)
    nuclide = [item(CodeValue="72454006", CodingSchemeDesignator="SCT", CodeMeaning="^99m^Technetium")]
    dose = {
        "RadionuclideTotalDose": "400",
        "RadiopharmaceuticalStartDateTime": "20260401083000",
        "RadionuclideCodeSequence": nuclide,
    }
    about = {"RadiopharmaceuticalInformationSequence": [item(**dose)], "AcquisitionTime": "093000", "Manufacturer": "Simulated"}
    pause = round(1000 * (every_s - frame_s))
    phase = [item(ActualFrameDuration=60_000, PauseBetweenFrames=pause, NumberOfFramesInPhase=len(counts))]
    frames = np.random.default_rng(2).poisson(counts[:, None, None] * shape / shape.sum())
    path = _save(folder, "count rate", dicom(frames, kind="DYNAMIC", pixel_mm=8.0, PhaseInformationSequence=phase, **about))
    truths = (
        Truth("r20_cps", 0.1785 / tau, 0.01 * 0.1785 / tau),
        Truth("max_rate_cps", 1 / (np.e * tau), 0.01 / (np.e * tau), "max_rate_cps"),
    )
    yield Case("count rate", "paralysable detector, 4 µs, frames of 60 s", path, truths, peer="count_rate")
    yield Case(
        "count rate", "the same, the peer told the 60 s", path, truths[1:], peer="count_rate", options={"frame_duration": 60}
    )

    seconds, wait = 3600.0, 3600.0
    net = 85.0 * 400 * (np.exp(-rate * wait) - np.exp(-rate * (wait + seconds))) / rate
    sx, sy = grid(4.0, 128)
    dish = np.exp(-((sx - 12) ** 2 + (sy + 20) ** 2) / 2 / 35.0**2)
    image = np.rint(net * dish / dish.sum() / 4)
    about["RadiopharmaceuticalInformationSequence"] = [item(**{**dose, "RadionuclideTotalDose": "100"})]
    path = _save(
        folder,
        "sensitivity",
        dicom(
            image, pixel_mm=4.0, ActualFrameDuration=3_600_000, **MODEL, **{k: v for k, v in about.items() if k != "Manufacturer"}
        ),
    )
    told = {"activity_mbq": float(100 * np.exp(-rate * wait))}  # the peer wants the activity at the start of the scan
    truth = Truth("sensitivity_cps_per_mbq", 85.0, 0.085, "sensitivity_cps_per_mbq")
    yield Case(
        "sensitivity",
        "assayed an hour before, scan of an hour",
        path,
        (truth,),
        peer="sensitivity",
        options=told,
    )


def _water(folder: Path) -> Iterator[Case]:
    for hu, sigma in ((0.0, 3.0), (6.0, 5.0), (-8.0, 10.0)):
        series = folder / f"water {hu:g}"
        series.mkdir(exist_ok=True)
        for k in range(7):
            place = {"ImagePositionPatient": ["0", "0", str(-5 * k)], "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}
            scale = {"RescaleSlope": "1", "RescaleIntercept": "-1024"}
            _save(
                series,
                f"{k}",
                dicom(np.rint(water(hu, sigma, seed=k) + 1024), modality="CT", kind="AXIAL", pixel_mm=1.0, **place, **scale),
            )
        truths = (Truth("water_hu", hu, 0.5), Truth("noise_hu", float(np.hypot(sigma, 12**-0.5)), 0.02 * sigma))
        yield Case("CT water", f"water of {hu:g} HU, noise {sigma:g} HU", series, truths)


def real() -> list[Case]:
    """Return the real images that are there, with values that other tools or hands found on them: regression, no truth."""
    nm = DATA / "nm_phantoms"
    quadrants = zip((4.23, 3.18, 2.54, 2.12), (0.6465, 0.4683, 0.3039, 0.2023), (2.956, 2.931, 2.933, 2.835), strict=True)
    widths = [t for w, mtf, fwhm in quadrants for t in (
        Truth(f"mtf_published {CORNERS[w]}", mtf, 0.06 * mtf, f"mtf_published {w:g} mm"),
        Truth(f"fwhm_published_mm {CORNERS[w]}", fwhm, 0.03 * fwhm, f"fwhm_published_mm {w:g} mm"))]  # fmt: skip
    bars = {
        "fwhm_x_mm": 7.657,
        "fwhm_y_mm": 7.598,
        "fwtm_x_mm": 13.956,
        "fwtm_y_mm": 13.848,
        "pixel_size_x_mm": 1.0433,
        "pixel_size_y_mm": 1.0399,
    }
    ct = {
        "air_hu Air": (-1000, 3),
        "acrylic_hu Acrylic": (119, 3),
        "teflon_hu Teflon": (963, 6),
        "slice_thickness_mm": (1.921, 0.06),
        "mtf50_bar_lp_per_mm": (0.287, 0.01),
    }
    flood = (Truth("ufov_iu_percent", 3.41, 0.01, "ufov_iu_percent"), Truth("cfov_iu_percent", 3.03, 0.01, "cfov_iu_percent"))
    cases = [
        Case("real images", "flood (few counts)", nm / "flood.dcm", flood, "indicative", "uniformity"),
        Case(
            "real images",
            "four bars",
            nm / "four_bar.dcm",
            tuple(Truth(k, v, 0.04 * v, k) for k, v in bars.items()),
            peer="four_bar",
        ),
        Case("real images", "quadrant bars", nm / "quadrant_bar.dcm", tuple(widths), peer="quadrant"),
        Case(
            "real images",
            "CatPhan 604",
            DATA / "ct_catphan604",
            tuple(Truth(k, v, w, k.split()[0]) for k, (v, w) in ct.items()),
            peer="catphan",
        ),
    ]
    return [c for c in cases if c.path.exists()]

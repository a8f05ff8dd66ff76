"""Planted artefacts are found, typed, located and scored; clean images raise none. Rates are counted over many images."""

from functools import cache

import numpy as np
import pet_images
import pytest
from qc_images import code, dicom, lit, tube
from scipy.ndimage import gaussian_filter
from tomo_images import cylinder, recon

from spark_jobs.measure import measure_series, render
from spark_jobs.qc.combined import artefacts as method

N = 110
YS, XS = np.mgrid[:N, :N].astype(float)
AXIS = (55.3, 54.1)
KINDS = ("ring", "streak", "band", "spot", "tube")


def line(angle: float, half: float) -> np.ndarray:
    return abs((XS - 50) * np.cos(angle) + (YS - 60) * np.sin(angle)) < half


SHAPES = {
    "ring": abs(np.hypot(YS - AXIS[0], XS - AXIS[1]) - 27) < 1,
    "streak": line(0.6, 1.0),
    "band": line(2.0, 4.0),
    "spot": np.exp(-((YS - 68) ** 2 + (XS - 60) ** 2) / 2 / 1.5**2),
    "tube": np.clip((4.5 - np.hypot(YS - 60, XS - 70)) / 2 + 0.5, 0, 1),
    "row": abs(YS - 47) < 1.1,
}


def tomogram(shape: np.ndarray | float, amount: float, seed: int, noise: float = 0.02):
    """A cylinder with cupping and noise that is alike over some pixels."""
    white = gaussian_filter(np.random.default_rng(seed).normal(size=(N, N)), 1.0)
    r = np.hypot(YS - AXIS[0], XS - AXIS[1])
    image = (1 - 0.05 * (r / 50) ** 2) * (1 + noise * white / white.std()) * (1 + amount * shape)
    return method.measure(image, r < 42, 4.0, centre=AXIS)


def planar(shape: np.ndarray | float, amount: float, seed: int):
    field = (abs(YS - 55) < 30) & (abs(XS - 55) < 40)
    image = np.random.default_rng(seed).poisson(10_000 * (1 + 0.03 * (XS - 55) / 40) * (1 + amount * shape))
    return method.measure(image, field, 6.4)


def found(result) -> list[dict]:
    return (result.measures[0].at or {"artefacts": []})["artefacts"]


@pytest.mark.req("TST-01")
def test_clean_images_raise_no_alarm():
    """60 clean images: no alarm, so that the rate is below 5 % at 95 % confidence."""
    clean = [tomogram(0.0, 0.0, s) for s in range(30)] + [planar(0.0, 0.0, s) for s in range(30)]
    assert sum(r.value("artefact_count") > 0 for r in clean) == 0
    assert max(m.value for r in clean for m in r.measures[1:]) < method.FOUND_Z


# contrast at 2 % (tomogram, correlated) or 1 % (flood) noise of a pixel: a spot is a few pixels, a line many
SENSITIVITY = [
    (tomogram, "ring", 0.03),
    (tomogram, "ring", -0.05),
    (tomogram, "streak", 0.05),
    (tomogram, "band", -0.05),
    (tomogram, "spot", -0.25),
    (planar, "tube", -0.02),
    (planar, "tube", 0.03),
    (planar, "spot", 0.1),
    (planar, "streak", -0.05),
    (planar, "row", 0.03),
]


@pytest.mark.req("TST-01")
@pytest.mark.parametrize(("make", "kind", "amount"), SENSITIVITY)
def test_planted_artefacts_are_found_typed_and_located(make, kind, amount):
    named = "band" if kind == "row" else kind
    hits = 0
    for seed in range(8):
        result = make(SHAPES[kind], amount, seed)
        places = found(result)
        hits += [p["type"] for p in places] == [named]
        for p in places[:1]:
            assert p["type"] == named and p["contrast_percent"] * amount > 0
            assert result.value(f"{named}_score") == pytest.approx(p["score"], abs=0.06) and p["score"] >= method.FOUND_Z
            if kind == "ring":
                assert p["radius_mm"] == pytest.approx(27 * 4.0, abs=6)
            elif kind in ("spot", "tube"):
                y, x = (68, 60) if kind == "spot" else (60, 70)
                assert (p["row"], p["column"]) == pytest.approx((y, x), abs=2)
                assert p["sign"] == ("hot" if amount > 0 else "cold")
            elif kind != "row":
                angle = {"streak": 0.6, "band": 2.0}[kind]
                assert (p["angle_deg"] - np.degrees(angle) - 90 + 90) % 180 - 90 == pytest.approx(0, abs=5)
                off = (p["column"] - 50) * np.cos(angle) + (p["row"] - 60) * np.sin(angle)
                assert abs(off) < 3.5
    assert hits >= 7


@pytest.mark.req("TST-01")
def test_scores_grow_with_the_artefact_and_several_are_told_apart():
    for make, kind in ((tomogram, "ring"), (tomogram, "streak"), (planar, "tube"), (planar, "spot")):
        scores = [make(SHAPES[kind], a, 0).value(f"{kind}_score") for a in (0.0, 0.06, 0.12, 0.3)]
        assert scores == sorted(scores) and scores[-1] > 2 * scores[1]
    both = tomogram(1.0 * SHAPES["ring"] - SHAPES["streak"], 0.08, 1)
    assert sorted(p["type"] for p in found(both)) == ["ring", "streak"]


@pytest.mark.req("TST-01")
def test_the_same_image_turned_mirrored_or_scaled_has_the_same_artefacts():
    field = (abs(YS - 55) < 30) & (abs(XS - 55) < 40)
    image = np.random.default_rng(5).poisson(10_000 * (1 - 0.06 * SHAPES["tube"])).astype(float)
    first = method.measure(image, field, 6.4)
    for a, f in ((image[::-1], field[::-1]), (image[:, ::-1], field[:, ::-1]), (image.T, field.T), (image * 7, field)):
        other = method.measure(a, f, 6.4)
        assert [p["type"] for p in found(other)] == ["tube"]
        assert other.value("tube_score") == pytest.approx(first.value("tube_score"), rel=0.1)


@cache
def clean_flood() -> np.ndarray:
    return lit("RECTANGLE", (533.0, 387.0), 2.4, 256) * 1_800.0


def flood_file(pattern: np.ndarray | float = 1.0, **tags) -> bytes:
    return dicom(np.random.default_rng(2).poisson(clean_flood() * pattern), **tags)


@pytest.mark.req("TST-01")
def test_a_flood_with_a_weak_tube_gets_a_second_result_that_says_where():
    file = flood_file(tube(2.4, 256, 60, -40, 0.94, radius_mm=22))
    main, second = measure_series([file])
    assert (main.procedure, second.procedure, second.status) == ("planar_uniformity", "artefacts", "measured")
    (place,) = found(second)
    assert place["type"] == "tube" and place["sign"] == "cold"
    assert (place["row"], place["column"]) == pytest.approx((127.5 - 40 / 2.4, 127.5 + 60 / 2.4), abs=4)
    assert render([file], second).startswith(b"\x89PNG")


@pytest.mark.req("TST-01")
def test_a_clean_phantom_keeps_its_one_result_unless_the_order_asks():
    assert [r.procedure for r in measure_series([flood_file()])] == ["planar_uniformity"]
    (asked,) = measure_series([flood_file(PerformedProtocolCodeSequence=code("PP-ARTEFACT"))])
    assert (asked.procedure, asked.status, asked.value("artefact_count")) == ("artefacts", "measured", 0)
    derived = flood_file(PerformedProtocolCodeSequence=code("PP-ARTEFACT"), ImageType=["DERIVED", "PRIMARY", "STATIC"])
    (refused,) = measure_series([derived])
    assert refused.status == "not_measured" and "processed" in refused.reason
    bars = dicom(np.zeros((128, 128)) + 5, PerformedProtocolCodeSequence=code("PP-ARTEFACT"))
    assert not measure_series([bars])[0].measures or measure_series([bars])[0].procedure == "artefacts"


@pytest.mark.req("TST-01")
def test_a_ring_in_a_tomogram_and_in_ct_water_is_found_beside_the_main_result():
    r = np.hypot(*(np.mgrid[:72, :72] - 35.5 + np.array([-2.7, 1.9])[:, None, None] / 4)) * 4
    volume = np.random.default_rng(0).poisson(600 * cylinder(ends_mm=None) * (1 - 0.06 * (abs(r - 56) < 4)))
    main, second = measure_series([recon(volume)])
    assert (main.procedure, second.procedure) == ("tomographic_uniformity", "artefacts")
    assert found(second)[0]["type"] == "ring" and found(second)[0]["radius_mm"] == pytest.approx(56, abs=5)
    ys, xs = np.mgrid[:256, :256].astype(float)
    ring = np.hypot(ys - 125.5, xs - 130.5)
    hu = np.where(ring < 100, 2.0, -1000.0) + np.where(ring < 100, np.random.default_rng(1).normal(0, 4, (256, 256)), 0)
    hu += 6 * (abs(ring - 50) < 1.6)
    files = [
        dicom(
            hu + 1024,
            modality="CT",
            kind="AXIAL",
            pixel_mm=1.0,
            RescaleSlope="1",
            RescaleIntercept="-1024",
            InstanceNumber=str(k),
        )
        for k in range(3)
    ]
    main, second = measure_series(files)
    assert (main.procedure, second.procedure) == ("ct_water", "artefacts")
    assert found(second)[0]["type"] == "ring" and found(second)[0]["radius_mm"] == pytest.approx(50, abs=3)


@pytest.mark.req("TST-01")
@pytest.mark.parametrize("kind", ["ring", "streak", "band", None])
def test_what_one_detector_channel_leaves_in_ct_water_is_named_though_it_is_narrow(kind):
    ys, xs = (np.mgrid[:512, :512] - 255.5) / 2  # mm
    r = np.hypot(ys, xs)
    shapes = {
        "ring": 6 * (abs(r - 50) < 0.6),
        "streak": 8 * np.exp(-(((ys - 0.3 * xs) / 1.044) ** 2) / 2),
        "band": -6 * np.exp(-(((xs - 25) / 10) ** 2) / 2),
        None: 0.0,
    }
    hu = np.where(r < 100, np.random.default_rng(3).normal(0, 3, r.shape) + shapes[kind], -1000.0)
    facts = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "InstanceNumber": "1"}
    main, *others = measure_series([dicom(np.rint(hu + 1024), modality="CT", kind="AXIAL", pixel_mm=0.5, **facts)])
    assert (main.procedure, main.status) == ("ct_water", "measured")
    assert [found(second)[0]["type"] for second in others] == ([kind] if kind else [])


@pytest.mark.req("TST-01")
def test_an_image_too_small_or_empty_gives_no_number():
    small = method.measure(np.ones((20, 20)), np.eye(20, dtype=bool), 4.0)
    empty = method.measure(np.zeros((60, 60)), np.ones((60, 60), bool), 4.0)
    assert small.status == empty.status == "not_measured" and not small.measures and not empty.measures


def pet(pattern: np.ndarray | float, seed: int, only: int | None = None) -> list[bytes]:
    """A PET cylinder with the grain of a reconstruction (5 mm); the pattern in all slices or in one."""
    shape = (20, 96, 96)
    grain = gaussian_filter(np.random.default_rng(seed).normal(0, 1, shape), 0.53)
    volume = pet_images.cylinder(noise=0, shape=shape) * (1 + 0.04 * grain / grain.std())
    slices = range(shape[0]) if only is None else [only]
    for k in slices:
        volume[k] *= 1 + pattern
    return pet_images.slices(volume, (4.0, 4.0, 4.0))


PET_Y, PET_X = (np.mgrid[:96, :96] - 47.5) * 4 + np.array([-3.0, 5.0])[:, None, None]
PET_SHAPES = {
    "ring": abs(np.hypot(PET_X, PET_Y) - 50) < 4,
    "streak": abs(PET_X * 0.8 + PET_Y * 0.6 - 10) < 3,
    "spot": np.hypot(PET_X - 30, PET_Y + 20) < 8,
}


@pytest.mark.req("TST-01")
@pytest.mark.parametrize("kind", PET_SHAPES)
@pytest.mark.parametrize("amount, only", [(-0.1, None), (0.1, None), (-0.4, 11)])
def test_an_artefact_in_a_pet_cylinder_is_found_typed_and_placed(kind, amount, only):
    results = {r.procedure: r for r in measure_series(pet(amount * PET_SHAPES[kind], 1, only))}
    assert results["pet_uniformity"].status == "measured"
    assert {p["type"] for p in found(results["artefacts"])} == {kind}
    place = found(results["artefacts"])[0]
    assert place["contrast_percent"] * amount > 0
    if kind == "ring":
        assert place["radius_mm"] == pytest.approx(50, abs=5)
    elif kind == "spot":
        assert (place["row"], place["column"]) == pytest.approx((47.5 - 17 / 4, 47.5 + 25 / 4), abs=1.5)
    else:
        assert (place["angle_deg"] - 126.87 + 90) % 180 - 90 == pytest.approx(0, abs=4)


@pytest.mark.req("TST-01")
def test_a_clean_pet_cylinder_has_no_artefacts_and_says_so_where_the_order_asks():
    for seed in range(4):
        assert "artefacts" not in {r.procedure for r in measure_series(pet(0.0, seed))}
    asked = pet_images.slices(pet_images.cylinder(), (4.0, 4.0, 4.0), PerformedProtocolCodeSequence=code("PP-ARTEFACT"))
    (result,) = measure_series(asked)
    assert (result.procedure, result.status, result.value("artefact_count")) == ("artefacts", "measured", 0)

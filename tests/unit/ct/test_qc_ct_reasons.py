"""CT numbers that are wrong, in one slice or as a whole, and what lies in the field beside the phantom: the reason names it."""

from dataclasses import replace

import numpy as np
import pytest
from ct_phantom import Scan, files, volume
from qc_images import grid, water
from test_qc_ct_order import PLACES, series

from spark_jobs.measure import measure_series

IMAGES = volume(Scan(pixel=0.9, n=256, count=13, first_mm=-12, blur_mm=0.8))
WATER = [np.rint(water(0, 5, seed=s)) for s in range(13)]
X, Y = grid(1.0, 256)
IN = np.hypot(X - 3, Y + 2) < 100


def of(images, **tags):
    return measure_series(series(images, PLACES, **tags))[0]


def one(images, which, hu, only=None):
    return [i + hu * (1 if only is None else only(i)) if k == which else i for k, i in enumerate(images)]


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("images", [IMAGES, WATER], ids=["catphan", "water"])
@pytest.mark.parametrize("hu", [30, -30, 12])
def test_a_slice_whose_ct_numbers_are_shifted_is_named(images, hu):
    result = of(one(images, 6, hu))
    assert result.status == "not_measured" and not result.measures
    assert "slice 7 of 13" in result.reason and f"{hu:+d} HU" in result.reason and "shifted" in result.reason


def test_the_first_slice_of_water_is_compared_too_and_an_end_plate_is_none():
    first = of(one(WATER, 0, 30))
    assert first.status == "not_measured" and "slice 1 of 13" in first.reason
    inside = of(one(WATER, 6, 30, lambda i: i > -500))
    assert inside.status == "not_measured" and "slice 7 of 13" in inside.reason
    plate = of(one(WATER, 0, 120, lambda i: i > -500))
    assert plate.status == "measured" and plate.value("water_hu") == pytest.approx(0, abs=0.5)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("images", [IMAGES, WATER], ids=["catphan", "water"])
def test_a_wrong_rescale_is_named_and_not_the_object(images):
    for word, tags in {
        "RescaleSlope or RescaleIntercept is missing": {"RescaleIntercept": None},
        "RescaleSlope is -1": {"RescaleSlope": "-1"},
        "RescaleSlope is 0": {"RescaleSlope": "0"},
        "nothing in the slices reads as air": {"RescaleIntercept": "1024"},
        "reads as air (": {"RescaleIntercept": "0"},
        "everything in the slices reads as air": {"RescaleIntercept": "-5000"},
    }.items():
        result = of(images, **tags)
        assert result.status == "not_measured" and not result.measures and word in result.reason, (tags, result.reason)
        assert "Rescale" in result.reason


def test_air_that_reads_minus_900_is_no_air():
    water_in = of([np.maximum(w, -900) for w in WATER])
    assert water_in.status == "not_measured" and "-900 HU" in water_in.reason and "air" in water_in.reason
    rods = of([np.where(i < -500, i + 100, i) for i in IMAGES])
    assert rods.status == "indicative" and "rod of air reads -900 HU" in rods.reason
    assert rods.value("acrylic_hu") == pytest.approx(122, abs=1.5)


@pytest.mark.req("ANA-05")
def test_rods_whose_numbers_are_shifted_or_scaled_say_so():
    right = of(IMAGES)
    assert right.status == "measured" and not any("as a whole" in w or "times" in w for w in right.warnings)
    shifted = of([i + 30 for i in IMAGES])
    assert shifted.status == "measured" and any("shifted as a whole" in w for w in shifted.warnings)
    assert shifted.value("acrylic_hu") == pytest.approx(152, abs=1.5)
    far = of([i + 100 for i in IMAGES])
    assert far.status == "not_measured" and "shifted as a whole by about +9" in far.reason
    scaled = of([i * 1.1 for i in IMAGES])
    assert scaled.status == "indicative" and "1.10 times" in scaled.reason
    for images, tags in (
        ([(i + 1000) * 1.1 - 1000 for i in IMAGES], {}),
        (IMAGES, {"RescaleSlope": "1.1", "RescaleIntercept": "-1126"}),
    ):
        wrong = of(images, **tags)
        assert wrong.status == "not_measured" and "times what they should be" in wrong.reason and not wrong.measures


def test_a_table_in_the_field_does_not_count_and_one_that_touches_is_named():
    for half_mm, hu in ((4, -100.0), (4, 200.0), (14, -500.0)):
        table = (abs(Y - 100 - half_mm) < half_mm) & (abs(X) < 110)
        result = of([np.where(table & ~IN, hu, w) for w in WATER])
        assert result.status == "measured" and result.value("water_hu") == pytest.approx(0, abs=0.5), result.reason
    bed = of([np.where((Y > 96) & ~IN, -100.0, w) for w in WATER])
    assert bed.status == "not_measured" and "table or bed" in bed.reason


STREAKS = {"narrow": (2, 30.0), "faint": (4, 8.0), "wide": (8, 20.0), "dark": (6, -25.0)}


@pytest.mark.parametrize("name", STREAKS)
def test_a_streak_is_no_foreign_object_and_no_pass(name):
    half_mm, hu = STREAKS[name]
    streak = hu * ((abs(0.8 * X + 0.6 * Y) < half_mm) & IN)
    result = of([w + streak for w in WATER])
    assert result.status == "not_measured" and "streak" in result.reason and "foreign object" not in result.reason
    strong = of([w + 3 * np.sign(hu) * 25 * (streak != 0) for w in WATER])
    assert strong.status == "not_measured" and "streak" in strong.reason


def test_an_insert_is_still_a_foreign_object():
    for x, y, radius, hu in ((50, 20, 8, -4.0), (-60, 40, 10, 5.0), (3, -2, 5, 40.0)):
        result = of([w + hu * (np.hypot(X - x, Y - y) < radius) for w in WATER])
        assert result.status == "not_measured" and "foreign object" in result.reason


def test_one_uniform_slice_that_is_shifted_leaves_the_uniform_module_out():
    scan = Scan(pixel=0.9, n=256, blur_mm=0.8, first_mm=-92, count=55, uniform_mm=-80)
    images = volume(scan)
    whole = measure_series(files(scan, images))[0]
    assert whole.value("uniform_hu") == pytest.approx(scan.background, abs=0.5)
    k = round((-80 - scan.first_mm) / scan.slice_mm)
    images[k] = images[k] + 30
    result = measure_series(files(replace(scan), images))[0]
    assert "uniform_hu" not in {m.name for m in result.measures} and any(f"slice {k + 1} of 55" in w for w in result.warnings)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize(
    ("hu", "worst"),
    [
        ([-6, -6, 6, 6, -6, -6, 6, 6, -6, -6, 6, 6, 6], 6.0),
        ([0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8], 8.0),
        ([0, 0, 0, 0, 0, -7, 0, 0, 0, 0, 0, 0, 0], -7.0),  # no slice of the five in the middle
        ([0, -7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], -7.0),  # of the outer fifth, yet water on both sides
        ([0, 0, 0, 0, 6, 6, 0, 0, 0, 0, 0, 0, 0], 6.0),
    ],
)
def test_the_worst_slice_of_water_counts_wherever_it_lies(hu, worst):
    result = of([i + v for i, v in zip(WATER, hu, strict=True)])
    assert result.status == "measured" and abs(result.value("water_hu")) == pytest.approx(abs(worst), abs=0.4), result.reason
    assert any("farthest from 0 counts" in w for w in result.warnings)


def test_the_worst_slice_counts_for_uniformity_too():
    result = of([np.rint(water(0, 5, seed=6, cupping=12)) if k == 6 else i for k, i in enumerate(WATER)])
    assert result.status == "measured", result.reason
    # the edge regions lie at 80 mm of 100, the middle reaches to 40: 12·(0.64 + 0.005 − 0.08)
    assert result.value("uniformity_max_hu") == pytest.approx(6.8, abs=1.2)


@pytest.mark.req("ANA-05")
def test_even_slices_keep_their_mean_and_the_end_of_the_water_is_left_out_and_named():
    for sigma in (2, 5, 14):
        even = of([np.rint(water(3, sigma, seed=s)) for s in range(13)])
        assert even.status == "measured" and even.value("water_hu") == pytest.approx(3, abs=0.15 * sigma**0.5)
        assert not any("farthest" in w for w in even.warnings)
    plate = of(one(WATER, 12, 15, lambda i: i > -500))
    assert plate.status == "measured" and plate.value("water_hu") == pytest.approx(0, abs=0.3)
    assert any("at the end" in w and "(13)" in w for w in plate.warnings), plate.warnings


def test_intercepts_that_differ_from_slice_to_slice_are_named():
    files = [
        series([i + 24 * (k % 2)], [PLACES[k]], RescaleIntercept="-1000" if k % 2 else "-1024")[0] for k, i in enumerate(WATER)
    ]
    (result,) = measure_series(files)
    assert result.status == "not_measured" and "RescaleIntercept" in result.reason, result.reason

"""CT series whose slices are out of order, twice there, missing or cut off give no number in silence; a false thickness is said."""

from dataclasses import replace

import numpy as np
import pytest
from ct_phantom import RODS_604, Scan, files, positions, volume
from qc_images import water

from spark_jobs.measure import measure_series
from spark_jobs.qc.ct.catphan import measure
from spark_jobs.qc.ct.ct_stack import Stack

SCAN = Scan(pixel=0.9, n=256, count=13, first_mm=-12, blur_mm=0.8)
IMAGES = volume(SCAN)
PLACES = list(positions(SCAN))
WATER = [np.rint(water(0, 5, seed=s)) for s in range(13)]


def series(images, places, numbers=None, **tags):
    """Each slice with its own place and number; a place None leaves ImagePositionPatient away."""
    out = []
    for k, (image, z) in enumerate(zip(images, places, strict=True)):
        facts = {"InstanceNumber": str(k + 1 if numbers is None else numbers[k]), **tags}
        if z is None:
            facts["ImagePositionPatient"] = None
        out += files(replace(SCAN, count=1, first_mm=0.0 if z is None else z), [image], **facts)
    return out


def without(things, *which):
    return [t for k, t in enumerate(things) if k not in which]


ORDER = [3, 0, 8, 1, 11, 5, 2, 10, 6, 4, 12, 7, 9]
SWAPPED = [0, 1, 2, 3, 4, 6, 5, 7, 8, 9, 10, 11, 12]


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize("name", ["DeviceSerialNumber", "StationName"])
def test_slices_of_two_devices_give_no_number(name):
    here, there = (series(WATER, PLACES, SeriesInstanceUID="1.2.9", **{name: n}) for n in ("A", "B"))
    (result,) = measure_series([*here[:7], *there[7:]])
    assert result.status == "not_measured" and "different devices" in result.reason and not result.measures


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize("images, procedure", [(IMAGES, "catphan"), (WATER, "ct_water")])
def test_a_header_that_contradicts_itself_about_the_order_gives_no_number(images, procedure):
    twice = [*PLACES[:6], PLACES[5], *PLACES[7:]]
    aside = series(images, PLACES)[:-1] + series(
        images[-1:], PLACES[-1:], [13], ImagePositionPatient=["30", "0", str(PLACES[-1])]
    )
    wrong = {
        "another order": series(images, PLACES, [n + 1 for n in ORDER]),
        "same position": series(images, twice),
        "missing in some": series(images, [*PLACES[:5], None, *PLACES[6:]]),
        "neither ImagePositionPatient nor InstanceNumber": series(images, [None] * 13, [1] * 13),
        "sideways": aside,
        "RescaleIntercept": [*series(images, PLACES)[:8], *series(images, PLACES, RescaleIntercept="-1012")[8:]],
        "hold the same pixels": series([*images[:6], images[5], *images[7:]], PLACES),
    }
    for word, data in wrong.items():
        result = measure_series(data)[0]
        assert (result.procedure, result.status) == (procedure, "not_measured"), (word, result)
        assert word in result.reason and not result.measures, (word, result.reason)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("images, procedure", [(IMAGES, "catphan"), (WATER, "ct_water")])
def test_missing_slices_and_a_tilted_gantry_give_values_without_a_verdict(images, procedure):
    for word, data in {
        "not evenly spaced": series(without(images, 9), without(PLACES, 9)),
        "GantryDetectorTilt": series(images, PLACES, GantryDetectorTilt="5"),
    }.items():
        result = measure_series(data)[0]
        assert (result.procedure, result.status) == (procedure, "indicative") and word in result.reason and result.measures
    backwards = measure_series(series(images, PLACES, range(13, 0, -1)))[0]
    assert backwards.status == "measured", backwards.reason


def test_one_image_shown_many_times_is_said_to_be_one():
    result = measure_series(series(WATER[:1] * 5, PLACES[:5]))[0]
    assert result.status == "measured" and any("same pixels" in w for w in result.warnings)


@pytest.mark.req("ANA-05")
def test_shuffled_pixels_are_seen_though_the_header_agrees_with_itself():
    for order in (ORDER, SWAPPED):
        result = measure_series(series([IMAGES[k] for k in order], PLACES))[0]
        assert result.status == "not_measured" and "out of order" in result.reason and not result.measures
    missing = measure_series(series(without(IMAGES, 6, 7), [None] * 11))[0]
    assert missing.status == "not_measured" and not missing.measures


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("floor", [-800.0, -960.0])
def test_air_that_was_cut_off_above_the_air_of_scanners_gives_no_number(floor):
    result = measure_series(series([np.maximum(i, floor) for i in IMAGES], PLACES))[0]
    assert result.status == "not_measured" and "below it were cut off" in result.reason
    for usual in (-1000.0, -1024.0):
        assert measure_series(series([np.maximum(i, usual) for i in IMAGES], PLACES))[0].status == "measured"


def ramps(thick: float, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Slices of one thickness at another distance: means over a phantom in thin slices."""
    fine = Scan(slice_mm=0.25, first_mm=-12, count=97, noise=0, pixel=0.8, n=270)
    thin, z = np.array(volume(fine), np.float32), positions(fine)
    places = np.arange(-8, 8.01, apart)
    images = np.array([thin[abs(z - at) < thick / 2 - 0.01].mean(0) for at in places])
    return places, images + np.random.default_rng(1).normal(0, 2, images.shape)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("thick, apart, told", [(1.25, 2.0, 2.0), (4.25, 2.0, 2.0), (2.25, 2.0, 4.5), (2.25, 2.0, 1.0)])
def test_a_false_slice_thickness_is_said_and_not_believed(thick, apart, told):
    places, images = ramps(thick, apart)
    result = measure(Stack(lambda k: images[k], places, 0.8, told))
    found = next(m for m in result.measures if m.name == "slice_thickness_mm")
    # an odd number of slices of 0.25 mm, the outermost halved, is a quarter less at half height
    assert found.value == pytest.approx(thick, abs=max(0.08 * thick, 0.3))
    assert any("contradicts the ramps" in w for w in result.warnings), result.warnings
    honest = measure(Stack(lambda k: images[k], places, 0.8, thick))
    assert not any("contradicts the ramps" in w for w in honest.warnings)


@pytest.mark.req("ANA-05")
def test_metal_beside_a_ramp_does_not_make_slices_thinner():
    y, x = np.mgrid[: SCAN.n, : SCAN.n]
    at = (SCAN.n - 1) / 2
    metal = np.hypot((x - at) * 0.9 - 32, (y - at) * 0.9 + 20) < 4
    result = measure(Stack(lambda k: np.where(metal, 3000, IMAGES[k]), positions(SCAN), SCAN.pixel, SCAN.slice_mm))
    assert result.status == "measured"
    assert result.value("slice_thickness_mm") == pytest.approx(2.0, rel=0.03)


# degrees clockwise from the right, HU put in; the drawing of the module as its users publish it
RODS_700 = {
    "air": (-90, -1000.0),
    "pmp": (-60, -190.0),
    "lung_7112": (-15, -850.0),
    "delrin": (15, 345.0),
    "poly": (60, -41.0),
    "teflon": (90, 961.0),
    "bone_20": (120, 241.0),
    "ldpe": (165, -98.0),
    "bone_50": (-165, 705.0),
    "acrylic": (-120, 122.0),
}


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("roll, mirrored", [(0, False), (25, False), (-8, True)])
def test_a_catphan_700_is_known(roll, mirrored):
    scan = replace(SCAN, rods=RODS_700, ring_mm=58.7, second_air=False, roll=roll, mirrored=mirrored, pixel=0.7, n=320)
    images = volume(scan)
    result = measure(Stack(lambda k: images[k], positions(scan), scan.pixel, scan.slice_mm))
    assert result.status == "measured", result.reason
    assert result.figure["phantom"] == "CatPhan 700"
    for name, (_, hu) in RODS_700.items():
        assert result.value(f"{name}_hu") == pytest.approx(hu, abs=0.6), name
    assert result.value("slice_thickness_mm") == pytest.approx(2.0, rel=0.03)
    assert any("bars of this kind" in w for w in result.warnings)


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize(
    "rods",
    [
        {**RODS_700, "lung_7112": (-15, -98.0)},
        {**RODS_700, "acrylic": (-120, 345.0), "delrin": (15, 122.0)},
        {**RODS_604, "bone_50": (-150, 340.0)},
        {name: (angle, -hu if abs(hu) > 300 else hu) for name, (angle, hu) in RODS_604.items()},
    ],
)
def test_rods_in_known_places_of_other_materials_are_another_phantom(rods):
    images = volume(replace(SCAN, rods=rods, ring_mm=58.5, second_air=False))
    result = measure_series(series(images, PLACES))[0]
    assert result.status == "not_measured" and not result.measures

"""Counts that were cut off, ran over or are missing in a column never give a number; noise-free images are not taken for them."""

import numpy as np
import pytest
from line_images import down, noisy, quadrants, square
from qc_images import dicom, item, lit
from scipy.ndimage import gaussian_filter, uniform_filter

from spark_jobs.measure import measure_series
from spark_jobs.qc.numerics.cut_off import is_cut_off

FIELD = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]


def line(**facts):
    return down(7.0, pixel_mm=1.2, shape=(300, 300), at_mm=11, **facts)


def flood(level=2_800, columns=slice(0, 0)):
    field = lit("RECTANGLE", (533.0, 387.0), 2.4, 250) * level
    field[:, columns] = 0
    return noisy(field)


def one(image, pixel_mm, **tags):
    (result, *_) = measure_series([dicom(image, pixel_mm=pixel_mm, **tags)])
    return result


@pytest.mark.parametrize("part", [0.5, 0.7, 0.95])
def test_cut_off_counts_are_refused(part):
    images = ((line(), 1.2), (square(7.0), 1.0), (quadrants((3.0, 3.5, 4.2, 5.0), 3.5, field_mm=270), 1.0))
    for image, pixel_mm in images:
        whole = noisy(image)
        top = int(part * np.percentile(whole, 99.5))
        assert one(whole, pixel_mm).status == "measured"
        result = one(np.minimum(whole, top), pixel_mm)
        assert result.status == "not_measured" and not result.measures
        assert not is_cut_off(np.rint(image)) and not is_cut_off(whole)
    result = one(np.minimum(flood(), 2_700 + int(200 * part)), 2.4, DetectorInformationSequence=FIELD)
    assert result.status == "not_measured" and "cut off" in result.reason


@pytest.mark.parametrize("times", [1 / 20, 1 / 8, 1 / 4, 4.0, 10.0])
def test_counts_that_were_scaled_before_they_were_cut_off_are_refused(times):
    images = (
        (4 * line(), 1.2),
        (square(7.0, peak=4_000), 1.0),
        (quadrants((3.0, 3.5, 4.2, 5.0), 3.5, field_mm=270, counts=1_600), 1.0),
    )
    for image, pixel_mm in images:
        whole = np.rint(noisy(image if times < 1 else image / times) * times)
        assert one(whole, pixel_mm).status in ("measured", "indicative")
        for part in (0.3, 0.5, 0.85, 0.99):
            result = one(np.minimum(whole, int(part * np.percentile(whole, 99.5))), pixel_mm)
            assert result.status == "not_measured" and not result.measures, (pixel_mm, part)
            assert "cut off" in result.reason or part < 0.5


@pytest.mark.parametrize("turn", [0, 7, 45])
def test_turned_bars_without_noise_are_not_cut_off(turn):
    for counts in (15, 50, 400, 20_000):
        bars = quadrants((3.0, 3.5, 4.2, 5.0), 3.5, n=300, turn_deg=turn, field_mm=250, counts=counts)
        assert not is_cut_off(np.rint(bars)) and not is_cut_off(noisy(bars)) and not is_cut_off(noisy(bars) * 7)


def test_a_flood_of_one_value_gets_no_verdict():
    result = one(np.minimum(flood(), 2_400), 2.4, DetectorInformationSequence=FIELD)
    assert result.status == "indicative" and "same value" in result.reason


@pytest.mark.parametrize("counts", [0.05, 0.5, 3.0, 30.0, 3_000.0])
def test_counting_noise_is_not_cut_off(counts):
    assert not is_cut_off(np.random.default_rng(1).poisson(counts, (512, 512)))


@pytest.mark.parametrize(("kind", "size"), [("ROUND", (400.0,)), ("HEXAGONAL", (450.0,)), ("RECTANGLE", (533.0, 387.0))])
def test_a_field_without_noise_is_not_cut_off(kind, size):
    for level in (300, 3_000, 30_000):
        assert not is_cut_off(np.rint(lit(kind, size, 2.4, 250) * level))


def test_a_line_with_a_dead_column_or_counts_that_ran_over_is_refused():
    whole = noisy(line())
    for column in (157, 158, 159):
        dead = whole.copy()
        dead[:, column] = 0
        assert one(dead, 1.2).status == "not_measured"
    fine = noisy(down(7.0, pixel_mm=0.6, shape=(400, 400), at_mm=4))
    fine[:, 207] = 0
    assert one(fine, 0.6).status == "not_measured"
    assert one(whole % 512, 1.2).status == "not_measured"


def test_bars_of_an_impossible_resolution_are_refused():
    image = noisy(quadrants((3.0, 3.5, 4.2, 5.0), 3.5, field_mm=270))
    result = one(image, 0.5)
    assert result.status == "not_measured" and "spacing" in result.reason


def test_a_lit_area_beside_the_middle_passes_only_where_the_field_is_declared():
    for dead in (slice(0, 31), slice(0, 125), slice(215, 250)):
        undeclared = one(flood(columns=dead), 2.4)
        assert undeclared.status == "indicative" and "beside the middle" in undeclared.reason
        assert one(flood(columns=dead), 2.4, DetectorInformationSequence=FIELD).status == "not_measured"
    assert one(flood(), 2.4).status == "measured"


def test_scaled_counts_are_not_counted():
    result = one(flood(300) * 10, 2.4, DetectorInformationSequence=FIELD)
    assert result.status == "indicative" and "too few counts" in result.reason
    assert any("they were divided by it" in w for w in result.warnings)


@pytest.mark.req("TST-02", "ANA-05")
@pytest.mark.parametrize("change", ["smoothed", "blurred", "enlarged", "enlarged smoothly", "divided"])
def test_a_flood_that_was_smoothed_enlarged_or_divided_has_no_verdict(change):
    image, pixel_mm = flood(), 2.4
    if change == "smoothed":
        image = sum(np.roll(image, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) // 9
    elif change == "blurred":
        image = np.rint(gaussian_filter(image.astype(float), 3.0)).astype(int)
    elif change == "divided":
        image = flood(30_000) // 8
    else:
        image, pixel_mm = np.kron(flood(900), np.ones((4, 4), int)), 0.6
        if change == "enlarged smoothly":
            image = uniform_filter(image.astype(float), 4).astype(int)
    result = one(image, pixel_mm, DetectorInformationSequence=[] if pixel_mm == 0.6 else FIELD)
    assert result.status == "indicative" and "smoothed" in result.reason


@pytest.mark.req("TST-02")
@pytest.mark.parametrize("period_mm", [40, 60, 120])
def test_a_flood_without_noise_but_with_structure_is_not_taken_for_a_smoothed_one(period_mm):
    y, x = np.mgrid[:250, :250] * 2.4
    wave = 1 + 0.05 * np.sin(2 * np.pi * x / period_mm) * np.sin(2 * np.pi * y / period_mm)
    image = np.rint(lit("RECTANGLE", (533.0, 387.0), 2.4, 250) * wave * 1e4)
    found = one(image, 2.4, DetectorInformationSequence=FIELD)
    assert found.value("ufov_iu_percent") > 2 and "smoothed" not in (found.reason or ""), found.reason


@pytest.mark.req("TST-02", "ANA-05")
def test_a_declared_field_that_goes_beyond_the_image_has_no_verdict():
    image = flood()
    assert one(image[40:-40], 2.4, DetectorInformationSequence=FIELD).status == "measured"
    zoomed = one(image[:, 40:-40], 2.4, DetectorInformationSequence=FIELD)
    assert zoomed.status == "indicative" and "outside the image" in zoomed.reason

"""The dome of a near point source is divided out, and never takes a defect of the crystal with it."""

import numpy as np
import pytest
from qc_images import dicom, grid, item, lit, tube

from spark_jobs.measure import measure_series
from spark_jobs.qc.gamma_camera import planar_uniformity as method

SIZE = (533.0, 387.0)
FIELD = {"field_shape": "RECTANGLE", "field_mm": SIZE}


def flood(pattern, pixel_mm=6.4, level=1e5, source_mm=None, noisy=False):
    n = len(pattern)
    x, y = grid(pixel_mm, n)
    light = 1.0 if source_mm is None else (source_mm**3) / (source_mm**2 + x**2 + y**2) ** 1.5
    image = pattern * light * lit("RECTANGLE", SIZE, pixel_mm, n) * level * (pixel_mm / 6.4) ** 2
    return np.random.default_rng(5).poisson(image) if noisy else np.rint(image)


def contrast(left):
    return 100 * (1 - left) / (1 + left)


@pytest.mark.req("TST-02")
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("source_mm", [600.0, 1000.0, 1800.0])
@pytest.mark.parametrize("pixel_mm", [2.4, 6.4])
def test_a_tube_under_a_near_source_reads_what_it_reads_under_a_far_one(pixel_mm, source_mm, declared):
    n = int(600 / pixel_mm) // 2 * 2
    for (x, y), left in (((20, -30), 0.0), ((20, -30), 0.95), ((0, 165), 0.5), ((200, 100), 0.9)):
        image = flood(tube(pixel_mm, n, x, y, left), pixel_mm, source_mm=source_mm)
        result = method.measure(image, pixel_mm, **FIELD, intrinsic=True, source_mm=source_mm if declared else None, seconds=1e9)
        assert result.method == "NEMA NU 1 2.4, intrinsic, dome divided out"
        # what the header does not declare, a wide fault of the crystal could be: no verdict
        assert result.status == ("measured" if declared else "indicative"), result.reason
        assert result.value("ufov_iu_percent") == pytest.approx(contrast(left), abs=0.05), (x, y, left)
        assert result.value("source_distance_mm") == pytest.approx(source_mm, rel=0.01)
        assert any("dome" in w for w in result.warnings)
    raw = method.measure(image, pixel_mm, **FIELD, intrinsic=False)
    assert raw.value("ufov_iu_percent") > result.value("ufov_iu_percent") + 1  # what the correction is for


@pytest.mark.req("TST-02")
@pytest.mark.parametrize("amplitude", [-0.10, -0.02, 0.02, 0.10])
@pytest.mark.parametrize("width", [30, 60, 120, 240])
def test_a_bump_of_the_crystal_is_never_taken_for_a_dome(width, amplitude):
    x, y = grid(6.4, 96)
    pattern = 1 + amplitude * np.exp(-(x**2 + y**2) / width**2)
    plain = method.measure(flood(pattern), 6.4, **FIELD)
    intrinsic = method.measure(flood(pattern), 6.4, **FIELD, intrinsic=True)
    assert [m.value for m in intrinsic.measures] == [m.value for m in plain.measures]
    assert intrinsic.method == "NEMA NU 1 2.4, intrinsic"
    noisy = flood(pattern, level=12_000, noisy=True)
    assert method.measure(noisy, 6.4, **FIELD, intrinsic=True).measures == method.measure(noisy, 6.4, **FIELD).measures


@pytest.mark.req("TST-02")
def test_a_bump_under_a_near_source_is_seen_and_never_flattered():
    x, y = grid(6.4, 96)
    pattern = 1 + 0.05 * np.exp(-(x**2 + y**2) / 120**2)
    truth = method.measure(flood(pattern), 6.4, **FIELD).value("ufov_iu_percent")
    image = flood(pattern, source_mm=1500.0)
    told = method.measure(image, 6.4, **FIELD, intrinsic=True, source_mm=1500.0)
    assert told.value("ufov_iu_percent") == pytest.approx(truth, abs=0.05)
    assert method.measure(image, 6.4, **FIELD, intrinsic=True).value("ufov_iu_percent") > truth


@pytest.mark.parametrize("width", [300, 350, 450])
def test_a_bump_as_wide_as_the_field_never_passes_silently(width):
    x, y = grid(6.4, 96)
    image = flood(1 + 0.12 * np.exp(-(x**2 + y**2) / width**2))
    result = method.measure(image, 6.4, **FIELD, intrinsic=True)
    if "dome" in result.method:
        assert result.status == "indicative" and "DistanceSourceToDetector" in result.reason
    else:
        assert result.value("ufov_iu_percent") > 3
    plain = method.measure(image, 6.4, **FIELD)
    assert plain.status == "measured" and plain.value("ufov_iu_percent") > 2 and "dome" not in plain.method


@pytest.mark.req("TST-02", "ANA-05")
def test_a_header_that_contradicts_the_fall_off_is_refused():
    flat, near = flood(np.ones((96, 96))), flood(np.ones((96, 96)), source_mm=800.0)
    wrong = method.measure(flat, 6.4, **FIELD, intrinsic=True, source_mm=900.0)
    assert wrong.status == "not_measured" and "flat" in wrong.reason
    wrong = method.measure(near, 6.4, **FIELD, intrinsic=True, source_mm=1500.0)
    assert wrong.status == "not_measured" and "800 mm" in wrong.reason
    assert method.measure(near, 6.4, **FIELD, source_mm=800.0).value("ufov_iu_percent") == pytest.approx(0, abs=0.05)
    # an extrinsic sheet at 100 mm is no point source; nothing is divided out without a declared geometry
    assert method.measure(flat, 6.4, **FIELD, source_mm=100.0).value("ufov_iu_percent") == pytest.approx(0, abs=0.05)
    silent = method.measure(near, 6.4, **FIELD)
    assert silent.value("ufov_iu_percent") > 5 and any("800 mm" in w for w in silent.warnings)
    far = method.measure(near, 6.4, **FIELD, intrinsic=True, source_mm=3000.0)
    assert far.value("ufov_iu_percent") == silent.value("ufov_iu_percent")


@pytest.mark.req("TST-02", "ENG-03")
def test_collimator_distance_and_time_come_from_the_header_of_each_detector():
    image = flood(np.ones((250, 250)), 2.4, 20_000, source_mm=900.0)
    heads = [item(CollimatorType="NONE", DistanceSourceToDetector="900"), item(CollimatorType="PARA")]
    both = dicom(
        np.stack([image, np.rint(image * 0.97)]), DetectorVector=[1, 2], EnergyWindowVector=[1, 1], **head(heads, 4_000_000)
    )
    first, second, match = measure_series([both])
    assert first.value("ufov_iu_percent") == pytest.approx(0, abs=0.05) and "intrinsic" in first.method
    assert second.value("ufov_iu_percent") > 4 and "extrinsic" in second.method
    assert first.value("count_rate_kcps") == pytest.approx(image.sum() / 4_000_000, rel=1e-4)
    assert any("20 kcps" in w for w in measure_series([dicom(image, **head(heads, 400_000))])[0].warnings)
    assert (match.procedure, match.status, match.detector) == ("head_sensitivity_match", "measured", None)
    assert match.value("head_sensitivity_difference_percent") == pytest.approx(3.0, abs=0.01)


def head(items, milliseconds):
    return {"DetectorInformationSequence": items, "ActualFrameDuration": milliseconds}


@pytest.mark.req("ENG-03", "ANA-05")
def test_detectors_brightest_in_different_windows_are_compared_in_the_photopeak():
    even = lit("RECTANGLE", (533.0, 387.0), 2.4, 250)
    frames = np.random.default_rng(3).poisson(np.stack([even * level for level in (2800, 3300, 3000, 2700)]))
    limits = [
        item(EnergyWindowRangeSequence=[item(EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=high)])
        for low, high in (("126", "154"), ("100", "126"))
    ]
    nuclide = [item(RadionuclideCodeSequence=[item(CodeValue="C-163A8", CodingSchemeDesignator="SRT", CodeMeaning="Tc-99m")])]
    vectors = {"DetectorVector": [1, 1, 2, 2], "EnergyWindowVector": [1, 2, 1, 2]}
    known = {"EnergyWindowInformationSequence": limits, "RadiopharmaceuticalInformationSequence": nuclide}
    *_, match = measure_series([dicom(frames, pixel_mm=2.4, **vectors, **known)])
    assert match.procedure == "head_sensitivity_match"
    assert match.value("head_sensitivity_difference_percent") == pytest.approx(100 * 200 / 3000, abs=0.1)
    (unknown,) = measure_series([dicom(frames, pixel_mm=2.4, **vectors)])
    assert unknown.status == "not_measured" and "energy windows" in unknown.reason

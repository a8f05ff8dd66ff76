"""Linearity recovers planted displacements of slits; what is no slit image is refused."""

import numpy as np
import pytest
from line_images import noisy, slits
from qc_images import DATA, dicom, item

from spark_jobs.measure import measure_series
from spark_jobs.qc.gamma_camera import linearity

real = pytest.mark.skipif(not (DATA / "nm_phantoms").is_dir(), reason="the real images are not beside the checkout")


def wave(amplitude_mm: float, length_mm: float):
    return lambda y: amplitude_mm * np.sin(2 * np.pi * y / length_mm + 0.4)


@pytest.mark.parametrize("amplitude", [0.0, 0.1, 0.4, 1.0])
@pytest.mark.parametrize(("length_mm", "pixel_mm", "n"), [(60.0, 0.8, 512), (95.0, 1.2, 340), (95.0, 0.59, 700)])
def test_sinusoid_is_recovered(amplitude, length_mm, pixel_mm, n):
    image = np.rint(slits(wave(amplitude, length_mm), pixel_mm=pixel_mm, n=n))
    for seen in (image, image.T):
        result = linearity.measure([seen], pixel_mm)
        assert result.status == "measured", result.reason
        for field in ("ufov", "cfov"):
            assert result.value(f"differential_{field}_mm") == pytest.approx(amplitude / np.sqrt(2), abs=0.05)
            assert result.value(f"absolute_{field}_mm") == pytest.approx(amplitude, abs=0.05)


def test_tilt_changes_nothing_and_noise_little():
    tilted = np.rint(slits(wave(0.5, 95.0), tilt_deg=2.0))
    result = linearity.measure([tilted], 0.8)
    assert result.value("differential_ufov_mm") == pytest.approx(0.5 / np.sqrt(2), abs=0.05)
    assert result.value("absolute_ufov_mm") == pytest.approx(0.5, abs=0.05)
    result = linearity.measure([noisy(slits(wave(0.5, 95.0), peak=300))], 0.8)
    assert result.status == "measured"
    assert result.value("differential_ufov_mm") == pytest.approx(0.5 / np.sqrt(2), abs=0.05)


def test_one_displaced_slit_is_seen_by_the_absolute_value_alone():
    whole = slits(None)
    shifted = whole.copy()
    middle = 256 + round(30 / 0.8)
    part = slice(middle - 15, middle + 15)
    shifted[:, part] = np.roll(whole[:, part], 1, axis=1)  # 0.8 mm
    result = linearity.measure([np.rint(shifted)], 0.8)
    assert result.value("differential_ufov_mm") < 0.05
    assert result.value("absolute_ufov_mm") == pytest.approx(0.8 * 12 / 13, abs=0.06)  # the fit gives way by a thirteenth


def test_two_directions_are_averaged_and_the_central_field_is_smaller():
    x, y = np.rint(slits(wave(0.2, 95.0))), np.rint(slits(wave(0.8, 95.0))).T
    result = linearity.measure([x, y], 0.8)
    assert result.value("differential_ufov_mm") == pytest.approx(0.5 / np.sqrt(2), abs=0.05)
    assert result.value("absolute_ufov_mm") == pytest.approx(0.8, abs=0.05)
    rim = np.rint(slits(lambda v: np.where(np.abs(v) > 160, 0.8 * np.sin(v / 5), 0.0)))
    result = linearity.measure([rim], 0.8)
    assert result.value("absolute_ufov_mm") > 0.4 and result.value("absolute_cfov_mm") < 0.2


def test_declared_field_is_obeyed_and_few_counts_are_indicative():
    field = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["340", "260"])]
    rim = np.rint(slits(lambda v: np.where(np.abs(v) > 140, 0.8 * np.sin(v / 5), 0.0)))
    (result,) = measure_series([dicom(rim, pixel_mm=0.8, DetectorInformationSequence=field)])
    assert result.status == "measured" and result.value("absolute_ufov_mm") < 0.2
    assert not any("field of view measured" in w for w in result.warnings)
    few = linearity.measure([noisy(slits(None, peak=0.5))], 0.8)
    assert few.status in ("indicative", "not_measured") and few.reason


@pytest.mark.parametrize("pixel_mm", [1.6, 2.0, 2.4])
def test_coarse_pixels_do_not_add_to_the_displacement(pixel_mm):
    for amplitude, tilt_deg in ((0.0, 1.3), (0.1, 0.0), (0.1, 0.4), (1.0, 0.3)):
        facts = {"pixel_mm": pixel_mm, "n": round(420 / pixel_mm), "pitch_mm": 30.7, "tilt_deg": tilt_deg}
        image = np.rint(slits(wave(amplitude, 95.0), **facts)) + 20
        result = linearity.measure([image], pixel_mm)
        assert result.status == "measured", result.reason
        assert result.value("differential_ufov_mm") == pytest.approx(amplitude / np.sqrt(2), abs=0.05)
        assert result.value("absolute_ufov_mm") == pytest.approx(amplitude, abs=0.05)


def test_pixels_too_coarse_give_no_verdict_or_no_number():
    coarse = {"pixel_mm": 3.0, "n": 140, "pitch_mm": 40.0, "count": 9}
    result = linearity.measure([np.rint(slits(wave(0.5, 95.0), **coarse))], 3.0)
    assert result.status == "indicative" and "coarse" in result.reason
    coarse |= {"pixel_mm": 6.0, "n": 70}
    result = linearity.measure([np.rint(slits(wave(0.5, 95.0), **coarse))], 6.0)
    assert result.status == "not_measured" and not result.measures


def test_the_uncertainty_tells_what_counting_noise_does():
    for seed in range(4):
        result = linearity.measure([noisy(slits(wave(0.1, 95.0), peak=150), seed)], 0.8)
        truth = {"differential_ufov_mm": 0.1 / np.sqrt(2), "absolute_ufov_mm": 0.1}
        for m in result.measures:
            if m.name in truth:
                assert 0.002 < m.uncertainty < 0.1 and abs(m.value - truth[m.name]) < max(2.5 * m.uncertainty, 0.01), m


@real
def test_real_slits_are_told_by_their_pixels():
    for name in ("linearity_x", "linearity_y"):
        (result,) = measure_series([(DATA / "nm_phantoms" / f"{name}.dcm").read_bytes()])
        assert (result.procedure, result.status) == ("linearity", "measured")
        assert (
            0.1
            < result.value("differential_cfov_mm")
            < 0.3
            < result.value("absolute_cfov_mm")
            < result.value("absolute_ufov_mm")
            < 1
        )

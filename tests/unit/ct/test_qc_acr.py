"""ACR 464: rods, noise, contrast, alignment, table travel, distance and bars as put in; what is not there gives no number."""

from dataclasses import replace

import numpy as np
import pytest
from acr_phantom import RODS, Acr, positions, volume
from scipy.ndimage import gaussian_filter

from spark_jobs.qc.ct.catphan import measure
from spark_jobs.qc.ct.ct_stack import Stack

SCAN = Acr()


def run(scan: Acr, way: int = 1):
    images = volume(scan)[::way]
    places = positions(scan) if way == 1 else -positions(scan)[::-1]
    return measure(Stack(lambda k: images[k], places, scan.pixel, scan.slice_mm))


def half_of(scan: Acr) -> float:
    """Where half of the modulation of bars of 0.4 line pairs per mm is left, of a Gaussian blur."""
    return float(np.sqrt(0.4**2 + np.log(2) / (2 * np.pi**2 * scan.blur_mm**2)))


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize(
    "scan, way",
    [
        (SCAN, 1),
        (SCAN, -1),
        (replace(SCAN, roll=11, shift_mm=(-6, 4)), 1),
        (replace(SCAN, mirrored=True, roll=-7), 1),
        (replace(SCAN, noise=8), 1),
        (replace(SCAN, pixel=0.8, n=270), -1),
    ],
)
def test_every_module_gives_what_was_put_in_however_the_phantom_lies(scan, way):
    result = run(scan, way)
    assert result.status == "measured", result.reason
    for name, (_, hu) in RODS.items():
        assert result.value(f"{name}_hu") == pytest.approx(hu, abs=0.6), name
    assert result.value("noise_hu") == pytest.approx(scan.noise, rel=0.02)  # the beads in the even module do not count
    assert result.value("cnr", "25 mm") == pytest.approx(scan.contrast / scan.noise, abs=0.2)
    assert result.value("alignment_max_mm") == pytest.approx(0, abs=0.3)
    assert result.value("table_travel_mm") == pytest.approx(120, abs=0.3)
    assert result.value("bead_distance_mm") == pytest.approx(100, abs=0.4)
    assert result.value("mtf50_bar_lp_per_mm") == pytest.approx(half_of(scan), rel=0.04)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("grain_px", [0.0, 1.5])
def test_uncertainties_are_the_scatter_of_the_values_also_where_noise_has_grains(grain_px):
    scan = replace(SCAN, pixel=0.8, n=270, noise=0, bars=False)
    clean, found = np.array(volume(scan)), []
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(0, 1, clean.shape)
        noise = gaussian_filter(noise, (0, grain_px, grain_px))
        images = clean + noise * 4 / noise.std()
        result = measure(Stack(lambda k, images=images: images[k], positions(scan), scan.pixel, scan.slice_mm))
        told = {m.name: (m.value, m.uncertainty) for m in result.measures}
        found.append([told[name] for name in ("cnr", "water_hu", "bone_hu", "uniform_hu", "noise_hu")])
    values, said = np.moveaxis(np.array(found), 2, 0)
    ratio = np.sqrt((said**2).mean(0)) / values.std(0, ddof=1)
    assert len(values) == 12 and ((ratio > 0.6) & (ratio < 2.2)).all(), ratio


@pytest.mark.req("ANA-05")
def test_a_tilt_and_a_table_that_goes_wrong_are_seen():
    fine = replace(SCAN, slice_mm=2.5, count=65)
    tilted = run(replace(fine, beads_mm=(-2.0, 0.5, 2.0, 0.5)))
    assert tilted.value("alignment_max_mm") == pytest.approx(4.0, abs=1.1)  # slices of 2.5 mm
    far = run(replace(fine, travel=1.03, count=63))
    assert far.value("table_travel_mm") == pytest.approx(120 / 1.03, abs=0.5)
    assert run(replace(SCAN, pair_mm=98.0)).value("bead_distance_mm") == pytest.approx(98, abs=0.4)


@pytest.mark.req("ANA-05")
def test_sharper_images_resolve_more_bars():
    resolved = [run(replace(SCAN, pixel=0.45, n=470, blur_mm=b)).value("bars_resolved_lp_per_mm") for b in (0.8, 0.35)]
    assert resolved[0] < resolved[1]


def test_bars_finer_than_the_pixels_are_never_resolved():
    assert run(replace(SCAN, pixel=0.8, n=270, blur_mm=0.3)).value("bars_resolved_lp_per_mm") <= 0.6


def test_modules_that_are_not_there_give_a_reason_and_no_number():
    short = run(replace(SCAN, count=10))
    assert short.status == "measured" and any("neither the uniform" in w for w in short.warnings)
    bare = run(replace(SCAN, bars=False, beads_mm=(500.0, 500.0, 500.0, 500.0)))
    names = {m.name for m in bare.measures}
    assert not names & {"alignment_max_mm", "table_travel_mm", "mtf50_bar_lp_per_mm", "bars_resolved_lp_per_mm"}
    for word in ("no alignment", "no table travel", "no modulation of bars"):
        assert any(word in w for w in bare.warnings), word

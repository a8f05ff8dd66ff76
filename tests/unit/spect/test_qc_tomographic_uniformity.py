"""Tomographic uniformity recovers planted shading and rings, finds uniform slices itself, and refuses what is no cylinder."""

from functools import cache

import numpy as np
import pytest
from qc_images import DATA, code, dicom
from scipy.ndimage import gaussian_filter
from tomo_images import cylinder, recon, ring_of, rod_places

from spark_jobs.measure import measure_series
from spark_jobs.procedures.spect.tomographic import volumes
from spark_jobs.qc.numerics.cut_off import is_tomogram_cut_off
from spark_jobs.qc.spect import tomographic_uniformity as method
from spark_jobs.reading import read_file

N, SHIFT = 72, (2.7, -1.9)
real = pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not here")


@cache
def plain(**about):
    return cylinder(**about)


def radius_mm(pixel_mm: float = 4.0, n: int = N) -> np.ndarray:
    ys, xs = np.mgrid[:n, :n] - (n - 1) / 2
    return np.hypot(ys * pixel_mm - SHIFT[0], xs * pixel_mm - SHIFT[1])


def noisy(volume: np.ndarray, counts: float = 400.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(volume * counts)


@pytest.mark.req("TST-02")
@pytest.mark.parametrize(("pixel_mm", "slice_mm", "n"), [(4.0, 4.0, 72), (2.5, 5.0, 112), (6.4, 3.2, 48)])
@pytest.mark.parametrize("cup", [-0.1, 0.0, 0.05])
def test_cupping_gives_the_analytic_values(cup, pixel_mm, slice_mm, n):
    r = radius_mm(pixel_mm, n)
    volume = plain(pixel_mm=pixel_mm, slice_mm=slice_mm, n=n, slices=24, ends_mm=None) * (1 + cup * (r / 108) ** 2)
    result = method.measure(volume, pixel_mm, slice_mm)
    assert result.status == "measured", result.reason
    edge = 1 + cup * 0.8**2
    high, low = max(edge, 1), min(edge, 1)
    assert result.value("iu_percent") == pytest.approx(100 * (high - low) / (high + low), abs=0.15)
    centre = 1 + cup * 0.32**2 / 2
    border = 1 + cup * (0.8**2 + 0.6**2) / 2
    assert result.value("centre_border_ratio") == pytest.approx(centre / border, abs=0.002)
    # SD of 1 + c·ρ² over a disc of ρ ≤ 0.8: c·0.8²/√12
    assert result.value("cov_percent") == pytest.approx(100 * abs(cup) * 0.64 / np.sqrt(12) / (1 + cup * 0.32), abs=0.1)
    assert result.value("ring_contrast_percent") == pytest.approx(0, abs=0.15)


@pytest.mark.req("TST-02")
@pytest.mark.parametrize("height", [-0.2, -0.05, 0.1])
@pytest.mark.parametrize("at", [24.0, 60.0])
def test_a_ring_one_pixel_wide_has_its_contrast_and_place(height, at):
    r = radius_mm()
    volume = plain(slices=24, ends_mm=None) * (1 + height * (abs(r - at) < 4.0))
    result = method.measure(volume, 4.0, 4.0)
    assert result.value("ring_contrast_percent") == pytest.approx(100 * abs(height), rel=0.25)
    place = next(m.at for m in result.measures if m.name == "ring_contrast_percent")
    assert place["radius_mm"] == pytest.approx(at, abs=4.5)


@pytest.mark.req("TST-02")
def test_a_cold_spot_through_all_slices_is_no_sphere_and_does_not_hide():
    ys, xs = np.mgrid[:N, :N]
    spot = 1 - 0.3 * np.exp(-((ys - 45) ** 2 + (xs - 30) ** 2) / (2 * 3.0**2))
    result, artefacts = measure_series([recon(noisy(plain() * spot, 1000))])
    assert artefacts.procedure == "artefacts" and artefacts.value("spot_score") > 10
    assert (result.procedure, result.status) == ("tomographic_uniformity", "measured")
    place = next(m.at for m in result.measures if m.name == "iu_percent")
    assert (place["row"], place["column"]) == (45, 30)
    assert 12 < result.value("iu_percent") < 20


@pytest.mark.req("TST-02")
def test_order_mirrors_turns_shifts_scale_and_half_counts_change_nothing_or_little():
    r = radius_mm()
    volume = noisy(plain() * (1 - 0.08 * (r / 108) ** 2), 1000)
    first = method.measure(volume, 4.0, 4.0)
    names = ("iu_percent", "cov_percent", "centre_border_ratio")
    for other in (
        volume[::-1],
        volume[:, ::-1],
        volume[:, :, ::-1],
        volume.swapaxes(1, 2),
        np.roll(volume, (5, -4), (1, 2)),
        volume * 3,
    ):
        result = method.measure(other, 4.0, 4.0)
        for name in names:
            assert result.value(name) == pytest.approx(first.value(name), abs=0.02), name
    half = method.measure(np.random.default_rng(1).binomial(volume, 0.5), 4.0, 4.0)
    assert half.value("centre_border_ratio") == pytest.approx(first.value("centre_border_ratio"), abs=0.01)
    assert half.value("iu_percent") == pytest.approx(first.value("iu_percent"), abs=1.0)


@pytest.mark.req("TST-02", "ENG-03")
def test_the_header_traps_of_real_reconstructions():
    volume = noisy(plain())
    (straight,) = measure_series([recon(volume)])
    assert (straight.procedure, straight.status) == ("tomographic_uniformity", "measured")
    order = np.random.default_rng(3).permutation(len(volume))
    shuffled = recon(volume[order], SliceVector=(order + 1).tolist())
    assert measure_series([shuffled]) == [straight]
    assert measure_series([recon(volume, SliceVector=None, SpacingBetweenSlices="4")]) == [straight]
    assert measure_series([recon(volume, SpacingBetweenSlices=None, SliceThickness="4")]) == [straight]
    (scaled,) = measure_series([recon(volume + 100, RescaleSlope="0.5", RescaleIntercept="-50")])
    for name in ("iu_percent", "cov_percent", "centre_border_ratio"):
        assert scaled.value(name) == pytest.approx(straight.value(name), abs=1e-3)
    negative = volume.astype(int)
    negative[:, :10] -= 3  # filtered back-projection goes below zero
    assert measure_series([recon(negative, signed=True)])[0].status == "measured"


@pytest.mark.req("TST-02")
def test_noise_decides_between_measured_and_indicative():
    few = method.measure(noisy(plain(), 10), 4.0, 4.0)
    assert few.status == "indicative" and "too few counts" in few.reason and few.measures
    assert method.measure(noisy(plain(), 30), 4.0, 4.0).status == "measured"


def heart() -> np.ndarray:
    z, y, x = np.mgrid[:48, :64, :64].astype(float)
    shell = np.exp(-((np.sqrt((z - 24) ** 2 + (y - 30) ** 2 + (x - 38) ** 2) - 7) ** 2) / 4)
    body = ((y - 32) / 20) ** 2 + ((x - 32) / 27) ** 2 < 1
    return shell * 300 + body * 30.0


def brain() -> np.ndarray:
    z, y, x = np.mgrid[:40, :64, :64].astype(float)
    r = ((y - 32) / 20) ** 2 + ((x - 32) / 18.5) ** 2 + ((z - 20) / 18) ** 2
    return 200.0 * (r < 1) - 140.0 * (r < 0.45)


def glow() -> np.ndarray:
    y, x = np.mgrid[:64, :64] - 31.5
    return np.broadcast_to(1000 * np.exp(-(x**2 + y**2) / 2 / 14**2), (40, 64, 64))


REFUSALS = {
    "no wall": (lambda: [recon(noisy(glow(), 1))], "fades out"),
    "a heart": (lambda: [recon(noisy(heart(), 1))], "no procedure fits"),
    "a brain": (lambda: [recon(noisy(brain(), 1))], "no procedure fits"),
    "tilted": (lambda: [recon(noisy(cylinder(lean=0.12)))], "tilted"),
    "cut at the side": (lambda: [recon(noisy(plain())[:, :, 14:])], "truncated"),
    "cut inside": (lambda: [recon(noisy(plain()) * (np.arange(N) > 20))], "not round"),
    "half filled": (lambda: [recon(noisy(plain() * (np.arange(N) > 30)[:, None]))], "not round"),
    "stretched pixels": (lambda: [recon(noisy(plain()[:, ::2]))], "not round"),
    "noise alone": (lambda: [recon(np.random.default_rng(0).poisson(5, (30, 64, 64)))], "no procedure fits"),
    "empty": (lambda: [recon(np.zeros((30, 64, 64)))], "empty"),
    "a small bottle": (lambda: [recon(noisy(cylinder(diameter_mm=70)))], "no cylinder phantom"),
    "no spacing": (lambda: [recon(noisy(plain()), SpacingBetweenSlices=None)], "distance of slices"),
    "zero spacing": (lambda: [recon(noisy(plain()), SpacingBetweenSlices="0")], "distance of slices"),
    "a slice twice": (lambda: [recon(noisy(plain()), SliceVector=[1, *range(1, 48)])], "two candidates"),
    "vector too short": (lambda: [recon(noisy(plain()), SliceVector=[1, 2, 3])], "3 values for 48 frames"),
    "clipped": (lambda: [recon(np.minimum(noisy(plain()) * 170, 65535))], "clipped"),
    "a flood in it": (lambda: [recon(np.full((1, 64, 64), 9))], "too few"),
    "order of another test": (
        lambda: [recon(noisy(plain()), PerformedProtocolCodeSequence=code("PP-FLOOD"))],
        "Planar uniformity",
    ),
    "not reconstructed": (lambda: [dicom(noisy(plain()), kind="TOMO", pixel_mm=4.0)], "no procedure fits"),
    "gated": (lambda: [recon(noisy(plain()), ImageType=["DERIVED", "PRIMARY", "RECON GATED TOMO"])], "no procedure fits"),
}


@pytest.mark.req("ANA-05", "TST-02")
@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_whole_even_cylinder_says_why_and_gives_no_number(name):
    make, word = REFUSALS[name]
    for result in measure_series(make()):
        assert result.status == "not_measured" and not result.measures
        assert word in result.reason, result.reason


@pytest.mark.req("TST-02")
@pytest.mark.parametrize("seed", range(3))
def test_slices_out_of_order_and_values_cut_off_give_no_number(seed):
    rng = np.random.default_rng(seed)
    plain_ones, system = cylinder(), cylinder(spheres=ring_of(), rods=rod_places())
    for volume in (plain_ones, system):
        whole = rng.poisson(np.maximum(volume, 0) * 600)
        orders = {"shuffled": rng.permutation(len(whole)), "interleaved": np.r_[0 : len(whole) : 2, 1 : len(whole) : 2]}
        assert all(r.status == "measured" for r in measure_series([recon(whole)]) if r.procedure == method.PROCEDURE)
        for order in orders.values():
            (result, *more) = measure_series([recon(whole[order])])
            assert result.status == "not_measured" and "out of order" in result.reason and not result.measures and not more
        for part in (50, 70, 90, 97, 99):
            top = np.floor(np.percentile(whole[whole > whole.max() / 2], part))
            (result, *more) = measure_series([recon(np.minimum(whole, top))])
            assert result.status == "not_measured" and "cut off" in result.reason and not result.measures and not more


def test_smooth_noise_that_was_cut_off_is_seen_and_a_plateau_without_noise_is_not():
    volume = cylinder() * 600
    smooth = volume + gaussian_filter(np.random.default_rng(0).poisson(np.maximum(volume, 0)) - volume, 1.0) * 2
    for part in (70, 90, 97):
        cut = np.minimum(smooth, np.floor(np.percentile(smooth[smooth > 300], part)))
        assert measure_series([recon(np.maximum(cut, 0))])[0].status == "not_measured"
    for level in (60, 600, 10_000):
        for shape in (
            cylinder(),
            cylinder(lean=0.01),
            plain() * (1 - 0.02 * (radius_mm() / 108) ** 2),
            cylinder(spheres=ring_of()),
        ):
            assert not is_tomogram_cut_off(np.rint(shape * level))
    (result, *_) = measure_series([recon(np.clip(np.rint(smooth), 0, 450))])
    assert result.status == "indicative" and "same value" in result.reason


def test_an_order_for_uniformity_takes_the_uniform_slices_of_a_system_phantom():
    volume = noisy(cylinder(spheres=ring_of(), rods=rod_places()), 1000)
    results = measure_series([recon(volume, PerformedProtocolCodeSequence=code("PP-TOMOUNI"))])
    result = next(r for r in results if r.procedure == "tomographic_uniformity")
    assert result.status == "measured" and result.value("iu_percent") < 4
    assert "4-9" in result.warnings[0]


@real
@pytest.mark.req("TST-02")
def test_the_real_phantom_gives_its_regression_values():
    """Origin: this method, version 1.0.0. The other tool reads 15.5 % over all 44 frames, spheres and rods among them."""
    (volume,) = volumes([read_file(DATA / "nm_phantoms" / "jaszczak.dcm")])
    result = method.measure(volume.values, volume.pixel_mm, volume.slice_mm)
    assert result.status == "measured"
    assert result.value("iu_percent") == pytest.approx(13.02, abs=0.01)
    assert result.value("centre_border_ratio") == pytest.approx(1.0155, abs=0.001)


@pytest.mark.parametrize(("pixel_mm", "n"), [(2.0, 96), (4.0, 64), (8.26, 64)])
@pytest.mark.parametrize("fwhm", [8.0, 14.0, 20.0])
def test_points_and_lines_of_tomographic_resolution_are_named_as_such(fwhm, pixel_mm, n):
    z, y, x = (np.mgrid[:n, :n, :n] - n / 2) * pixel_mm
    sigma, rng = fwhm / 2.3548, np.random.default_rng(1)
    for dx in (0.0, 0.5 * pixel_mm):
        point = np.exp(-((x - dx) ** 2 + y**2 + z**2) / 2 / sigma**2)
        line = np.exp(-((x - dx) ** 2 + y**2) / 2 / sigma**2) * (abs(z) < 0.4 * n * pixel_mm)
        other = np.exp(-((x - 60) ** 2 + (y - 40) ** 2 + z**2) / 2 / sigma**2)
        for image, word in ((point, "point"), (line, "line"), (point + other, "point")):
            (result,) = measure_series([recon(rng.poisson(40_000 * image + 40), pixel_mm=pixel_mm, slice_mm=pixel_mm)])
            assert result.status == "not_measured" and f"a {word} source" in result.reason, result.reason

"""Planar uniformity recovers known truth over its whole range: tubes, blobs, fields, pixel sizes."""

import numpy as np
import pytest
from qc_images import grid, lit, tube
from scipy.ndimage import zoom

from spark_jobs.qc.gamma_camera import planar_uniformity as method

FIELDS = [("RECTANGLE", (533.0, 387.0)), ("ROUND", (400.0,)), ("HEXAGONAL", (450.0,))]
PLACES = {"centre": (20.0, -30.0), "edge": (0.0, 165.0)}


def flood(pattern: np.ndarray, kind: str, size: tuple[float, ...], pixel_mm: float) -> np.ndarray:
    """Noiseless counts, far above the gate."""
    return np.rint(pattern * lit(kind, size, pixel_mm, len(pattern)) * 1e5 * (pixel_mm / 6.4) ** 2 + 0.0)


def contrast(low: float, high: float = 1.0) -> float:
    return 100 * (high - low) / (high + low)


@pytest.mark.req("TST-02", "ENG-03")
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("kind", "size"), FIELDS)
@pytest.mark.parametrize("pixel_mm", [1.0, 2.4, 4.8, 6.4])
def test_a_dead_tube_is_found_at_every_depth_and_place(kind, size, pixel_mm, declared):
    n = int(600 / pixel_mm) // 2 * 2
    for place, (x, y) in PLACES.items():
        for left in (0.0, 0.05, 0.5, 0.95):
            image = flood(tube(pixel_mm, n, x, y, left), kind, size, pixel_mm)
            result = method.measure(image, pixel_mm, field_shape=kind if declared else None, field_mm=size)
            assert result.status == "measured", result.reason
            assert result.value("ufov_iu_percent") == pytest.approx(contrast(left), abs=0.05), (place, left)
            inside = contrast(left) if place == "centre" else None
            if inside is not None:
                assert result.value("cfov_iu_percent") == pytest.approx(inside, abs=0.05)
            assert any("field of view measured" in w for w in result.warnings) is not declared


@pytest.mark.req("TST-02")
@pytest.mark.parametrize("amplitude", [-0.10, -0.02, 0.02, 0.10])
@pytest.mark.parametrize("pixel_mm", [0.6, 2.065, 3.2, 8.0])
def test_wide_blobs_give_the_analytic_value(amplitude, pixel_mm):
    n = int(600 / pixel_mm) // 2 * 2
    x = (np.arange(n) - (n - 1) / 2) * pixel_mm
    pattern = 1 + amplitude * np.outer(np.exp(-((x / 120) ** 2)), np.exp(-((x / 120) ** 2)))
    size = (533.0, 387.0)
    result = method.measure(flood(pattern, "RECTANGLE", size, pixel_mm), pixel_mm, field_shape="RECTANGLE", field_mm=size)
    corner = 1 + amplitude * np.exp(-((533 / 2 / 120) ** 2) - (387 / 2 / 120) ** 2)
    expected = contrast(min(1 + amplitude, corner), max(1 + amplitude, corner))
    assert result.value("ufov_iu_percent") == pytest.approx(expected, abs=0.05)


@pytest.mark.req("TST-02")
def test_differential_uniformity_is_the_steepest_five_pixels_along_its_axis():
    n, pixel_mm = 96, 6.4
    ramp = 1 + 0.002 * np.clip(np.arange(n) - 48, -10, 10)  # 0.2 % a column over 20 columns
    image = flood(np.broadcast_to(ramp, (n, n)), "RECTANGLE", (533.0, 387.0), pixel_mm)
    result = method.measure(image, pixel_mm)
    assert result.value("ufov_du_x_percent") == pytest.approx(100 * 0.008 / (2 * 0.984), abs=0.05)
    assert result.value("ufov_du_y_percent") == pytest.approx(0, abs=0.01)
    turned = method.measure(image.T, pixel_mm)
    assert turned.value("ufov_du_y_percent") == result.value("ufov_du_x_percent")


@pytest.mark.req("TST-02")
@pytest.mark.parametrize(("pixel_mm", "n"), [(0.6, 11), (1.0, 6), (2.065, 3), (3.2, 2), (4.1, 2), (4.5, 1), (8.32, 1)])
def test_blocks_are_nearest_6_4_mm(pixel_mm, n):
    assert method.block_factor(pixel_mm) == n


@pytest.mark.req("TST-02", "ANA-05")
@pytest.mark.parametrize("pixel_mm", [4.2, 4.47, 8.4, 12.0])
def test_pixels_that_cannot_be_blocked_are_refused(pixel_mm):
    assert method.block_factor(pixel_mm) is None
    result = method.measure(np.full((128, 128), 20_000), pixel_mm)
    assert result.status == "not_measured" and "cannot be blocked" in result.reason and not result.measures


@pytest.mark.req("TST-02")
def test_too_few_counts_give_values_but_no_verdict():
    rng = np.random.default_rng(3)
    shape = lit("RECTANGLE", (533.0, 387.0), 6.4, 96)
    for level, status in ((9_000, "indicative"), (11_000, "measured")):
        result = method.measure(rng.poisson(shape * level), 6.4)
        assert result.status == status
        assert (result.reason is None) is (status == "measured")
        assert result.value("ufov_iu_percent") > 0


@pytest.mark.req("TST-02")
def test_a_perfect_detector_at_ten_thousand_counts_reads_what_noise_alone_gives():
    shape = lit("RECTANGLE", (533.0, 387.0), 6.4, 96)
    read = [method.measure(np.random.default_rng(s).poisson(shape * 10_000), 6.4) for s in range(10)]
    assert np.mean([r.value("ufov_iu_percent") for r in read]) == pytest.approx(1.4, abs=0.1)
    spread = np.std([r.value("ufov_iu_percent") for r in read], ddof=1)
    claimed = np.mean([m.uncertainty for r in read for m in r.measures if m.name == "ufov_iu_percent"])
    assert spread / 2 < claimed < 3 * spread


@pytest.mark.req("TST-02")
def test_mirrors_turns_and_whole_block_shifts_change_nothing():
    rng = np.random.default_rng(7)
    n, pixel_mm = 240, 2.4  # 3 pixels a block, no remainder
    pattern = tube(pixel_mm, n, 90, 40, 0.9) * lit("RECTANGLE", (432.0, 360.0), pixel_mm, n)
    image = rng.poisson(pattern * 3_000)
    first = method.measure(image, pixel_mm)
    names = ("ufov_iu_percent", "cfov_iu_percent")
    for other in (image[::-1], image[:, ::-1], image[::-1, ::-1], image.T, np.roll(image, (6, -9), (0, 1))):
        result = method.measure(other, pixel_mm)
        for name in names:
            assert result.value(name) == pytest.approx(first.value(name), abs=1e-4)
    half = method.measure(rng.binomial(image, 0.5), pixel_mm)
    assert half.value("ufov_iu_percent") == pytest.approx(first.value("ufov_iu_percent"), abs=1.0)
    assert half.value("centre_pixel_counts") == pytest.approx(first.value("centre_pixel_counts") / 2, rel=0.01)


@pytest.mark.req("TST-02", "ANA-05")
def test_a_field_that_is_not_lit_as_declared_is_refused():
    image = lit("RECTANGLE", (300.0, 300.0), 6.4, 96) * 50_000
    result = method.measure(image, 6.4, field_shape="RECTANGLE", field_mm=(533.0, 387.0))
    assert result.status == "not_measured" and "lit area" in result.reason
    for field in ((533.0, 387.0), (490.0, 350.0)):  # an open crystal is lit a little beyond the useful field
        beyond = lit("RECTANGLE", (545.0, 399.0), 6.4, 96) * tube(6.4, 96, 60, -40, 0.99) * 50_000
        assert method.measure(beyond, 6.4, field_shape="RECTANGLE", field_mm=field).status == "measured"
    small = method.measure(beyond, 6.4, field_shape="RECTANGLE", field_mm=(300.0, 300.0))
    assert small.status == "not_measured" and "outside it" in small.reason and not small.measures
    assert method.measure(np.zeros((96, 96)), 6.4).status == "not_measured"


def stripped(kind, size, strip_mm, side, pixel_mm=2.4, n=256):
    """A flood of a field without declaration whose one side is dead, `strip_mm` wide."""
    field = lit(kind, size, pixel_mm, n) * 2_800.0
    turned = field if side == "top" else field.T
    first = np.flatnonzero(turned.max(1) > 0)[0]
    turned[: first + round(strip_mm / pixel_mm)] = 0
    return np.random.default_rng(0).poisson(field)


@pytest.mark.parametrize("side", ["left", "top"])
@pytest.mark.parametrize(("kind", "size"), FIELDS)
def test_a_dead_strip_at_a_side_never_passes_where_no_field_is_declared(kind, size, side):
    for strip_mm in (21, 26, 31, 36, 48):
        result = method.measure(stripped(kind, size, strip_mm, side), 2.4)
        seen = result.value("ufov_iu_percent") > 25
        assert seen or (result.status == "indicative" and "strip" in result.reason), strip_mm
    assert method.measure(stripped(kind, size, 0, side), 2.4).status == "measured"


@pytest.mark.parametrize("moved_mm", [6, 12, 20, 40])
@pytest.mark.parametrize(("kind", "size"), [("ROUND", (400.0,)), ("HEXAGONAL", (450.0,))])
def test_an_outline_that_is_whole_may_lie_anywhere(kind, size, moved_mm):
    image = np.roll(stripped(kind, size, 0, "left"), round(moved_mm / 2.4), 1)
    assert method.measure(image, 2.4).status == "measured"


def test_a_declared_field_that_lost_a_strip_at_one_side_is_refused():
    whole = stripped("RECTANGLE", (533.0, 387.0), 0, "left")
    for strip_mm, status in ((0, "measured"), (17, "not_measured"), (24, "not_measured")):
        image = stripped("RECTANGLE", (533.0, 387.0), strip_mm, "left")
        result = method.measure(image, 2.4, field_shape="RECTANGLE", field_mm=(533.0, 387.0))
        assert result.status == status, (strip_mm, result.reason)
    moved = method.measure(np.roll(whole, 6, 1), 2.4, field_shape="RECTANGLE", field_mm=(533.0, 387.0))
    assert moved.status == "measured"


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize("left", [0.0, 0.3])
@pytest.mark.parametrize(("kind", "size"), FIELDS)
def test_a_dead_band_across_the_field_does_not_leave_half_a_field_that_passes(kind, size, left):
    pixel_mm, n = 2.4, 256
    x = (np.arange(n) - (n - 1) / 2) * pixel_mm
    across, down, skew = np.abs(x[None, :] + 90) < 30, np.abs(x[:, None]) < 7, np.abs(x[None, :] + x[:, None]) < 14
    wide = np.abs(x[None, :]) < 110
    for band in (across, down, skew, across | down, wide):
        image = flood(np.where(band, left, 1.0) * np.ones((n, n)), kind, size, pixel_mm)
        result = method.measure(image, pixel_mm)
        assert result.status == "not_measured" or result.value("ufov_iu_percent") > 25


def disc(x_mm: float, y_mm: float, diameter_mm: float, left: float):
    x, y = grid(2.4, 256)
    return np.where((x - x_mm) ** 2 + (y - y_mm) ** 2 <= diameter_mm**2 / 4, left, 1.0)


@pytest.mark.req("TST-02")
@pytest.mark.parametrize(("place", "diameter"), [((60, 190), 60), ((255, 185), 60), ((250, 0), 40)])
@pytest.mark.parametrize("left", [0.48, 0.495, 0.5, 0.505])
def test_a_half_strength_photomultiplier_at_an_undeclared_rim_is_no_rim(place, diameter, left):
    image = np.random.default_rng(5).poisson(3000 * lit("RECTANGLE", (530.0, 390.0), 2.4, 256) * disc(*place, diameter, left))
    assert method.measure(image, 2.4).value("ufov_iu_percent") > 20


@pytest.mark.req("TST-02")
def test_a_small_notch_at_the_rim_of_an_undeclared_field_has_no_verdict():
    image = np.random.default_rng(5).poisson(3000 * lit("RECTANGLE", (530.0, 390.0), 2.4, 256) * disc(60, 190, 28, 0.0))
    undeclared, declared = (
        method.measure(image, 2.4),
        method.measure(image, 2.4, field_shape="RECTANGLE", field_mm=(530.0, 390.0)),
    )
    assert undeclared.status == "indicative" and "at the rim of the lit area" in undeclared.reason
    assert declared.status == "measured" and declared.value("ufov_iu_percent") > 5


@pytest.mark.req("TST-02")
def test_a_hexagon_that_is_turned_has_no_dead_corners():
    x, y = grid(2.4, 256)
    u, v = x * np.cos(0.17) + y * np.sin(0.17), -x * np.sin(0.17) + y * np.cos(0.17)
    apothem = 520 * np.sqrt(3) / 4
    inside = (abs(v) <= apothem) & (abs(v) / 2 + abs(u) * np.sqrt(3) / 2 <= apothem)
    assert method.measure(np.random.default_rng(5).poisson(3000.0 * inside), 2.4).value("ufov_iu_percent") < 2


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize(("way", "factor"), [("repeated", 1), ("repeated", 4), (1, 1), (3, 1)])
def test_a_flood_enlarged_from_pixels_that_cannot_be_blocked_has_no_verdict(way, factor):
    coarse = np.random.default_rng(5).poisson(lit("RECTANGLE", (540.0, 400.0), 9.6, 64) * 48_000.0) / factor
    if way == "repeated":
        image = np.rint(np.kron(coarse, np.ones((2, 2))))
    else:
        image = np.maximum(np.rint(zoom(coarse, 2, order=way, grid_mode=True, mode="nearest")), 0)
    result = method.measure(image.astype(int), 4.8, field_shape="RECTANGLE", field_mm=(540.0, 400.0))
    assert result.status == "indicative" and "enlarged" in result.reason

"""CT water: HU, noise and uniformity as put in; what is no water phantom is refused."""

import numpy as np
import pytest
from qc_images import grid, water

from spark_jobs.qc import ct_water as method


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize("hu", [-12.0, 0.0, 6.0, 20.0])
@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_hu_and_noise_are_recovered(hu, sigma):
    result = method.measure([water(hu, sigma, seed=s, n=400, pixel_mm=0.6) for s in range(3)], 0.6)
    assert result.status == "measured", result.reason
    assert result.value("water_hu") == pytest.approx(hu, abs=0.5)
    assert result.value("noise_hu") == pytest.approx(sigma, rel=0.02)
    assert result.value("noise_percent") == pytest.approx(100 * sigma / (1000 + hu), rel=0.02)
    assert result.value("uniformity_max_hu") < 3 * sigma / 10


@pytest.mark.req("ANA-05")
def test_cupping_is_seen_at_the_edge():
    flat, cupped = (method.measure([water(0, 3, cupping=c)], 1.0).value("uniformity_max_hu") for c in (0.0, 12.0))
    assert flat < 1
    # edge ROI: 10 mm wide rim, centre at 80 mm; central ROI reaches 40 mm: 12·(0.64 + 0.005 − 0.08)
    assert cupped == pytest.approx(12 * (0.64 + 0.005 - 0.08), abs=1.0)


@pytest.mark.req("ANA-05")
def test_wrong_geometry_or_filling_is_refused():
    x, y = grid(1.0, 256)
    inserts = water(0, 5)
    for angle in range(0, 360, 45):
        inserts[np.hypot(x - 58 * np.cos(np.deg2rad(angle)), y - 58 * np.sin(np.deg2rad(angle))) < 7] = 900
    single = water(0, 5)
    single[np.hypot(x - 45, y) < 10] = 100
    ellipse = np.where((x / 110) ** 2 + (y / 70) ** 2 < 1, 0.0, -1000.0)
    for image, word in (
        (inserts, "insert"),
        (single, "not homogeneous"),
        (ellipse, "not round"),
        (np.full((256, 256), -1000.0), "no object"),
        (water(200, 5), "not filled with water"),
        (water(-80, 5), "not filled with water"),
        (np.where(np.hypot(x, y) < 25, 0.0, -1000.0), "no water phantom"),
    ):
        result = method.measure([image], 1.0)
        assert result.status == "not_measured" and word in result.reason and not result.measures


@pytest.mark.req("ANA-05")
def test_wall_and_couch_do_not_count():
    image = water(4, 3)
    x, y = grid(1.0, 256)
    r = np.hypot(x - 3, y + 2)
    image[(r >= 100) & (r < 106)] = 120
    image[250:254] = 150
    result = method.measure([image], 1.0)
    assert result.status == "measured", result.reason
    assert result.value("water_hu") == pytest.approx(4, abs=0.5)
    assert result.value("uniformity_max_hu") < 1

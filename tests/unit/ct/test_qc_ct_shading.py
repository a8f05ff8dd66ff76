"""CT water: a wide, faint insert is told from the shading of a scanner by its edge; where noise hides an edge there is no verdict."""

from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from spark_jobs.qc.ct import ct_water as method

PIXEL, SIDE, RADIUS = 0.9, 280, 100.0
SHADES = {
    "square of the radius": lambda r, x, y: (r / RADIUS) ** 2,
    "flat in the middle": lambda r, x, y: (r / RADIUS) ** 4,
    "bell of 40 mm": lambda r, x, y: 1 - np.exp(-((r / 40) ** 2)),
    "bell of 30 mm": lambda r, x, y: 1 - np.exp(-((r / 30) ** 2)),
    "bell off the axis": lambda r, x, y: 1 - np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 35**2),
    "slope": lambda r, x, y: x / RADIUS,
}


def scan(sigma, *, insert=None, shade=None, cup=0.0, count=5, grain=0.0, ring=None, seed=0):
    """Slices of 200 mm of water, blurred as a scanner blurs; an insert is (x, y, diameter, HU) from the axis."""
    x = (np.arange(2 * SIDE) - (2 * SIDE - 1) / 2) * PIXEL / 2
    x, y = np.meshgrid(x - 2.3, x + 1.7)
    r = np.hypot(x, y)
    image = np.where(r < RADIUS, 0.0 if shade is None else cup * SHADES[shade](r, x, y), -1000.0)
    if insert:
        image += insert[3] * (np.hypot(x - insert[0], y - insert[1]) < insert[2] / 2)
    if ring:
        image += ring[1] * (np.abs(r - ring[0]) < ring[2])
    image = gaussian_filter(image.reshape(SIDE, 2, SIDE, 2).mean((1, 3)), 0.6 / PIXEL)
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (count, SIDE, SIDE))
    if grain:
        noise = gaussian_filter(noise, (0, grain, grain))
    return list(np.rint(image + sigma * noise / noise.std()))


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize("size, place", [*product((32, 60, 98), ((0, 0), (22, -9)))])
def test_an_insert_never_passes_whatever_its_size_and_place(size, place):
    for hu, sigma, count in ((2.0, 3.0, 5), (-4.0, 3.0, 1), (4.0, 12.0, 3), (10.0, 8.0, 1)):
        if size > 90 and place != (0, 0) and sigma > 3 and abs(hu) < 3:
            continue  # it fills the water so far that it moves neither the edge nor the middle
        slices = scan(sigma, insert=(*place, size, hu), count=count, seed=size)
        result = method.measure(slices, PIXEL)
        if result.status == "measured":
            # what is too faint for its noise may pass only where it does not matter
            assert abs(result.value("water_hu")) < 0.5, (hu, sigma, count, result.measures)
        elif result.status == "not_measured":
            assert "foreign object" in result.reason and not result.measures
        if abs(hu) >= 4 and sigma <= 3:
            assert result.status == "not_measured", (hu, sigma, count, result.status)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("shade", SHADES)
@pytest.mark.parametrize("cup", [3.0, -7.0])
def test_shading_of_a_scanner_is_measured(shade, cup):
    for sigma, grain in ((0.0, 0.0), (5.0, 0.0), (5.0, 0.8)):
        result = method.measure(scan(sigma, shade=shade, cup=cup, grain=grain), PIXEL)
        assert result.status == ("measured" if grain == 0 else result.status), (sigma, result.reason)
        assert result.measures, (sigma, grain, result.reason)


@pytest.mark.req("ANA-05", "ENG-03")
def test_where_noise_hides_the_edge_there_are_values_without_a_verdict():
    for slices in (scan(20.0, insert=(0, 0, 70, 3.0)), scan(20.0, shade="square of the radius", cup=-3.0)):
        result = method.measure(slices, PIXEL)
        assert result.status == "indicative" and "noise would hide the edge" in result.reason
        assert result.value("water_hu")


@pytest.mark.req("ANA-05")
def test_rings_are_no_inserts_and_hide_none():
    ring = (50, 6.0, 1.2)
    assert method.measure(scan(4.0, ring=ring), PIXEL).status == "measured"
    both = method.measure(scan(4.0, ring=ring, insert=(0, 0, 60, 5.0)), PIXEL)
    assert both.status == "not_measured" and "foreign object of about 6" in both.reason


@pytest.mark.req("ANA-05")
def test_an_insert_in_one_slice_is_found_too():
    slices = scan(3.0)
    slices[3] = scan(3.0, insert=(0, 0, 60, 4.0))[3]
    result = method.measure(slices, PIXEL)
    assert result.status == "not_measured" and "foreign object of about 6" in result.reason


def test_a_large_phantom_is_seen_in_larger_cells():
    x = (np.arange(400) - 199.5) * 1.0
    r = np.hypot(*np.meshgrid(x, x))
    noise = np.random.default_rng(3).normal(0, 6, (3, 400, 400))
    water = np.where(r < 165, 0.0, -1000.0)
    assert method.measure(list(water + 5 * np.where(r < 165, (r / 165) ** 2, 0) + noise), 1.0).status == "measured"
    assert method.measure(list(water + 5 * (r < 50) + noise), 1.0).status == "not_measured"

"""Shapes that were moved, turned and scaled are recovered; registration, filter and segmentation do what analysis says."""

import numpy as np
import pytest
from clinical_images import ellipse
from scipy.ndimage import gaussian_filter, shift

from spark_jobs.qc.clinical import aspects
from spark_jobs.qc.clinical.alignment import moved_by, neighbour_shifts
from spark_jobs.qc.numerics.shape import likeness, outline, outline_distance, shape_of


def blob(row=60.0, column=70.0, long=25.0, short=12.0, turn=0.0):
    # the generator turns the other way round: rows · cos + columns · sin is its long axis
    return ellipse((128, 128), row, column, long, short, turn) > 0.5


@pytest.mark.req("ENG-09")
@pytest.mark.parametrize("turn", [-60, -20, 0, 35, 80])
def test_place_axes_and_turn_of_an_ellipse_are_recovered(turn):
    found = shape_of(blob(turn=turn))
    assert (found.row, found.column) == pytest.approx((60, 70), abs=0.2)
    assert (found.long, found.short) == pytest.approx((50, 24), rel=0.02)
    assert found.turn_deg == pytest.approx(turn, abs=1)
    assert found.area == pytest.approx(np.pi * 25 * 12, rel=0.02)


@pytest.mark.req("ENG-09")
def test_outlines_and_their_distance():
    y, x = np.mgrid[:128, :128] - 63.5
    disc, larger = np.hypot(y, x) < 20, np.hypot(y, x) < 27
    assert np.hypot(*(outline(disc) - 63.5).T) == pytest.approx(19.5, abs=0.8)
    assert outline_distance(disc, larger) == pytest.approx(7, abs=0.3) and outline_distance(disc, disc) == 0
    assert aspects.edge_distance(disc) == 44
    with pytest.raises(ValueError, match="empty"):
        shape_of(np.zeros((8, 8), bool))


@pytest.mark.req("ENG-09")
def test_a_shape_fits_itself_however_it_lies_and_others_do_not():
    bean = blob() & ~(ellipse((128, 128), 60, 84, 9, 9) > 0.5)
    y, x = np.mgrid[:128, :128] - 63.5
    for degrees, scale in ((0, 1.0), (40, 1.0), (-75, 0.7), (160, 1.2)):
        a = np.deg2rad(degrees)
        v, u = (y * np.cos(a) + x * np.sin(a)) / scale, (-y * np.sin(a) + x * np.cos(a)) / scale
        turned = bean[np.clip(np.rint(v + 60), 0, 127).astype(int), np.clip(np.rint(u + 70), 0, 127).astype(int)]
        assert likeness(turned, bean) > 0.93, degrees
    assert likeness(bean[:, ::-1], bean, mirrored=True) > 0.97
    square = (abs(y) < 20) & (abs(x) < 20)
    assert likeness(square, bean) < 0.85 and likeness(blob(long=50, short=5), bean) < 0.75


@pytest.mark.req("ENG-07")
def test_filter_segmentation_and_registration_against_analytic_images():
    point = np.zeros((41, 41))
    point[20, 20] = 1
    for times in (1, 4, 8):
        spread = aspects.binomial(point, times)
        y = np.arange(41) - 20
        assert spread.sum() == pytest.approx(1) and (spread.sum(1) * y**2).sum() == pytest.approx(times / 2)
    ramp = np.add.outer(np.arange(20.0), 2 * np.arange(20.0))
    assert aspects.binomial(ramp, 1)[2:-2, 2:-2] == pytest.approx(ramp[2:-2, 2:-2])
    mask = aspects.body_of(100 * ellipse((128, 128), 64, 60, 40, 25))
    assert mask.sum() == pytest.approx(np.pi * 40 * 25, rel=0.15) and shape_of(mask).column == pytest.approx(60, abs=0.3)
    truth = np.array([[0.0, 0.0], [0.4, -0.3], [1.5, 2.25], [-3.5, 1.0], [0.0, -5.0]])
    scene = gaussian_filter(np.random.default_rng(0).random((96, 96)), 4)
    scene = (scene - scene.min()) * 1e4
    frames = np.stack([shift(scene, move, order=3) for move in np.cumsum(truth, axis=0)])
    assert neighbour_shifts(frames) == pytest.approx(truth[1:], abs=0.05)
    back = moved_by(frames[:2].astype(float), np.array([[0.0, 0.0], -truth[1]]))
    assert back[1][10:-10, 10:-10] == pytest.approx(frames[0][10:-10, 10:-10], rel=0.02, abs=20)


@pytest.mark.req("ENG-07")
def test_noise_is_told_from_structure():
    rng = np.random.default_rng(0)
    everywhere = np.ones((128, 128), bool)
    smooth = 100 + 60 * np.sin(np.arange(128) / 12)[None, :] + np.zeros((128, 1))
    for level in (1, 4, 16):
        counts = rng.poisson(smooth * level).astype(float)
        assert aspects.noise(counts, everywhere) == pytest.approx(np.sqrt(smooth.mean() * level), rel=0.05)
    assert aspects.noise(smooth, everywhere) < 0.1
    sharp = [aspects.sharpness(rng.poisson(gaussian_filter(100.0 * blob(), s) + 5).astype(float), everywhere) for s in (1, 3, 6)]
    assert sharp == sorted(sharp, reverse=True)

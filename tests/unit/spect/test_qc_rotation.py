"""Centre of rotation recovers an imposed offset for any arc, direction, start, background and head."""

import tracemalloc

import numpy as np
import pytest
from qc_images import rotation

from spark_jobs.qc.numerics.point import settled
from spark_jobs.qc.spect import centre_of_rotation as method


@pytest.mark.req("TST-06", "ENG-03")
@pytest.mark.parametrize("background", [0.0, 1.0])
@pytest.mark.parametrize(("arc", "step"), [(360, 6), (180, 3), (120, 2), (90, 1.5)])
@pytest.mark.parametrize("offset", [0.0, 2.0, -5.0, 10.0])
def test_offset_is_recovered(offset, arc, step, background):
    tolerance = 0.05 if arc >= 120 else 0.2
    for start, sign, n in ((0, 1, 128), (137, -1, 64)):
        views, angles = rotation(
            offset,
            views=int(arc / step),
            step=sign * step,
            start=start,
            background=background,
            n=n,
            pixel_mm=512 / n,
            counts=60_000,
        )
        result = method.measure(views, angles, 512 / n)
        assert result.status == "measured", result.reason
        assert result.value("cor_offset_mm") == pytest.approx(offset, abs=tolerance)
        assert result.value("radius_mm") == pytest.approx(60, abs=0.5)
        assert result.value("arc_deg") == pytest.approx(arc)


@pytest.mark.req("TST-06")
def test_tilt_axial_range_and_residual():
    views, angles = rotation(1.0, tilt_deg=2.0)
    result = method.measure(views, angles, 4.0)
    assert result.value("head_tilt_deg") == pytest.approx(2.0, abs=0.05)
    assert result.value("axial_range_mm") == pytest.approx(2 * 60 * np.sin(np.deg2rad(2)), abs=0.2)
    jumped = views.copy()
    jumped[30] = np.roll(views[30], 1, axis=1)
    result = method.measure(jumped, angles, 4.0)
    assert result.value("cor_max_residual_mm") == pytest.approx(4.0, abs=0.3)
    assert next(m.at for m in result.measures if m.name == "cor_max_residual_mm")["view"] == 30


@pytest.mark.req("TST-06")
def test_repeated_angles_mirror_and_half_counts():
    views, angles = rotation(3.0)
    twice = method.measure(np.concatenate([views, views]), np.concatenate([angles, angles + 360]), 4.0)
    assert twice.value("cor_offset_mm") == pytest.approx(3.0, abs=0.05)
    assert method.measure(views[:, :, ::-1], angles, 4.0).value("cor_offset_mm") == pytest.approx(-3.0, abs=0.05)
    half = np.random.default_rng(1).binomial(views, 0.5)
    assert method.measure(half, angles, 4.0).value("cor_offset_mm") == pytest.approx(3.0, abs=0.05)


@pytest.mark.req("TST-06", "ANA-05")
def test_what_cannot_be_believed_is_refused():
    views, angles = rotation(0.0, views=10, step=6)
    assert "arc" in method.measure(views, angles, 4.0).reason
    faint, angles = rotation(0.0, counts=3, background=1.0)
    assert method.measure(faint, angles, 4.0).status == "not_measured"
    weak, angles = rotation(0.0, counts=120, background=0.5, views=16, step=6)
    assert method.measure(weak, angles, 4.0).status == "not_measured"
    views, angles = rotation(0.0)
    wrong = method.measure(views, angles * 0.5, 4.0)
    assert wrong.status == "not_measured" and "sinusoid" in wrong.reason
    broad = np.random.default_rng(0).poisson(np.full((60, 128, 128), 5.0))
    assert method.measure(broad, angles, 4.0).status == "not_measured"


@pytest.mark.req("TST-06")
def test_opposite_views_are_a_second_estimate_and_other_sources_are_named():
    views, angles = rotation(2.5)
    result = method.measure(views, angles, 4.0)
    assert result.value("cor_conjugate_offset_mm") == pytest.approx(2.5, abs=0.05)
    half, angles_of_half = rotation(2.5, views=30)
    assert "cor_conjugate_offset_mm" not in {m.name for m in method.measure(half, angles_of_half, 4.0).measures}
    three = views + np.roll(views, 30, axis=1) + np.roll(views, -35, axis=1) // 2
    result = method.measure(three, angles, 4.0)
    assert result.value("cor_offset_mm") == pytest.approx(2.5, abs=0.05)
    assert any(w.startswith("3 sources") and w.count("2.5") == 2 for w in result.warnings), result.warnings


@pytest.mark.req("TST-06")
@pytest.mark.parametrize(("n", "pixel_mm"), [(48, 8.0), (256, 2.0), (200, 1.2)])
def test_any_pixel_size_is_measured(n, pixel_mm):
    views, angles = rotation(-4.0, n=n, pixel_mm=pixel_mm, background=0.3, radius_mm=40.0)
    assert method.measure(views, angles, pixel_mm).value("cor_offset_mm") == pytest.approx(-4.0, abs=0.05)


def test_net_counts_of_a_region_are_those_of_its_source_alone():
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:64, :64]
    source = np.exp(-((x - 30.3) ** 2 + (y - 25.8) ** 2) / 2 / 1.5**2)
    stack = rng.poisson(50_000 * source / source.sum() + np.array([0.0, 40.0])[:, None, None])
    net, cx, cy = settled(stack, np.array([30.0, 31.0]), np.array([26.0, 25.0]), np.array([7.0, 7.0]))
    assert net == pytest.approx([50_000, 50_000], rel=0.02)
    assert cx == pytest.approx([30.3, 30.3], abs=0.03) and cy == pytest.approx([25.8, 25.8], abs=0.03)


@pytest.mark.req("TST-06", "ANA-05")
def test_a_source_that_is_not_seen_to_turn_has_no_verdict():
    views, angles = rotation(0.3, radius_mm=0.0)
    still = method.measure(np.random.default_rng(1).poisson(np.repeat(views[:1], len(views), 0)), angles, 4.0)
    assert still.status == "indicative" and "not seen to turn" in still.reason
    views, angles = rotation(0.3, radius_mm=3.0)
    assert method.measure(views, angles, 4.0).status == "measured"


@pytest.mark.parametrize("pixel_mm", [0.1, 0.02])
def test_an_absurdly_small_pixel_takes_no_more_memory_than_the_views_have(pixel_mm):
    views, angles = rotation(2.0, n=64)
    tracemalloc.start()
    method.measure(views, angles, pixel_mm)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * views.size * 8  # with 2000 pixels around each source it was 17 GB

"""Aspects of bone scans follow graded degradations monotonously."""

import numpy as np
import pytest
from qc_images import body
from scipy.ndimage import gaussian_filter

from spark_jobs.qc import whole_body_bone as method


def aspects(image: np.ndarray) -> dict[str, float]:
    result = method.measure({"anterior": image}, 2.26)
    assert result.status == "measured", result.reason
    assert all(m.aspect and m.region == "anterior" for m in result.measures)
    return {m.name: m.value for m in result.measures}


@pytest.mark.req("ANA-02")
def test_fewer_counts_give_more_noise_and_fewer_counts():
    read = [aspects(body(c)) for c in (4e6, 2e6, 1e6, 5e5)]
    noise = [r["noise_percent"] for r in read]
    assert noise == sorted(noise) and noise[-1] / noise[0] == pytest.approx(np.sqrt(8), rel=0.1)
    assert [r["view_kcts"] for r in read] == pytest.approx([4000, 2000, 1000, 500], rel=0.01)
    assert [r["sharpness_ratio"] for r in read] == sorted((r["sharpness_ratio"] for r in read), reverse=True)


@pytest.mark.req("ANA-02")
def test_blur_bend_and_truncation_are_graded():
    rng = np.random.default_rng(1)
    sharp = [aspects(rng.poisson(gaussian_filter(body(4e6).astype(float), s)))["sharpness_ratio"] for s in (1, 2, 4)]
    assert sharp == sorted(sharp, reverse=True)
    bend = [aspects(body(bend=b))["axis_bend_mm"] for b in (0.0, 8.0, 20.0)]
    assert bend == sorted(bend) and bend[-1] > 2 * max(bend[0], 5)
    cut = [aspects(body(shift=s))["truncation_percent"] for s in (0, 95, 110)]
    assert cut[0] == 0 and cut == sorted(cut) and cut[-1] > 10


@pytest.mark.req("ANA-02")
def test_an_empty_view_is_refused():
    result = method.measure({"posterior": np.zeros((1024, 256))}, 2.26)
    assert result.status == "not_measured" and "no body" in result.reason

"""Curve models recover what made the curve, and say so when the curve is another."""

import numpy as np
import pytest
from clinical_images import bolus

from spark_jobs.qc.clinical.time_curve import fit_bolus, fit_uptake, fit_washout

RNG = np.random.default_rng(0)


@pytest.mark.req("ENG-06")
@pytest.mark.parametrize("start, peak, alpha", [(5, 12, 3), (8, 20, 2), (3, 9, 5), (2, 15, 8)])
def test_a_bolus_is_recovered(start, peak, alpha):
    t = np.arange(0.5, 60, 1)
    fine = np.arange(0, 120, 0.001)
    wide = fine[bolus(fine, start, peak, alpha) >= 0.5]
    truth = wide[-1] - wide[0]
    exact = fit_bolus(t, 3000 * bolus(t, start, peak, alpha))
    assert exact.good and exact.parameters["fwhm_s"] == pytest.approx(truth, rel=0.01)
    assert exact.parameters["peak_s"] == pytest.approx(peak, abs=0.1)
    noisy = fit_bolus(t, RNG.poisson(3000 * bolus(t, start, peak, alpha) + 30).astype(float))
    assert noisy.good and noisy.parameters["fwhm_s"] == pytest.approx(truth, rel=0.05)
    assert noisy.r2 > 0.98 and 0.3 < noisy.reduced_chi2 < 6


@pytest.mark.req("ENG-06")
@pytest.mark.parametrize("half_life, rest", [(400, 0), (900, 3000), (250, 500)])
def test_a_washout_is_recovered(half_life, rest):
    t = np.arange(15, 1800, 30.0)
    fit = fit_washout(t, RNG.poisson(20_000 * 2 ** (-(t - t[0]) / half_life) + rest).astype(float))
    assert fit.good and fit.parameters["half_life_s"] == pytest.approx(half_life, rel=0.05)
    assert 0.5 < fit.reduced_chi2 < 2


@pytest.mark.req("ENG-06")
@pytest.mark.parametrize("up, down", [(100, 900), (200, 1500), (60, 400)])
def test_uptake_and_washout_are_recovered(up, down):
    t = np.arange(15, 1800, 30.0)
    fit = fit_uptake(t, RNG.poisson(20_000 * (2 ** (-t / down) - 2 ** (-t / up)) + 300).astype(float))
    assert fit.good and fit.parameters["uptake_half_s"] == pytest.approx(up, rel=0.05)
    assert fit.parameters["washout_half_s"] == pytest.approx(down, rel=0.05)


@pytest.mark.req("ENG-06")
def test_other_curves_are_bad_fits():
    t = np.arange(15, 1800, 30.0)
    level = RNG.poisson(np.full(60, 1000)).astype(float)
    saw = 1000 + 800 * np.sin(t / 40)
    for curve in (level, saw):
        assert not fit_bolus(t, curve).good and not fit_uptake(t, curve).good and not fit_washout(t, curve).good
    assert not fit_washout(t, 20.0 * t).good
    assert fit_bolus(t[:4], level[:4]) is None and fit_uptake(t[:4], level[:4]) is None and fit_washout(t[:3], level[:3]) is None

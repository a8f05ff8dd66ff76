"""Decay: half-lives by any name of a nuclide, decayed activity, the mean over a time."""

import numpy as np
import pytest

from spark_jobs.qc.decay import CODES, HALF_LIFE_S, decayed, half_life_s, mean_factor, nuclide_of


@pytest.mark.parametrize(
    "name",
    ["72454006", "C-163A8", "^99m^Technetium", "Technetium Tc^99m^", "Tc-99m", "99mTc", "Tc99m", "99m Technetium", "TC-99M"],
)
def test_technetium_is_known_by_all_its_names(name):
    assert nuclide_of(name) == "Tc-99m"
    assert half_life_s([name]) == pytest.approx(6.0067 * 3600)


@pytest.mark.parametrize(
    ("name", "nuclide"),
    [
        ("^18^Fluorine", "F-18"),
        ("F-18", "F-18"),
        ("C-111A1", "F-18"),
        ("^131^Iodine", "I-131"),
        ("Iodine-123", "I-123"),
        ("201Tl", "Tl-201"),
    ],
)
def test_other_nuclides(name, nuclide):
    assert nuclide_of(name) == nuclide


@pytest.mark.parametrize("name", [None, "", "FDG", "C-163A9", "bone", "Tc", "99", "Tc-99m I-131"])
def test_what_names_no_nuclide_gives_none(name):
    assert nuclide_of(name) is None and half_life_s([name]) is None


def test_every_code_has_a_half_life():
    assert set(CODES.values()) <= set(HALF_LIFE_S)


def test_a_stated_half_life_is_used_unless_it_is_another_nuclides():
    assert half_life_s(["F-18"], 6588.0) == 6588.0
    assert half_life_s([], 6588.0) == 6588.0
    assert half_life_s(["F-18"], 0.0) == half_life_s(["F-18"])
    with pytest.raises(ValueError, match="not that of F-18"):
        half_life_s(["F-18"], 21624.0)
    with pytest.raises(ValueError, match="two nuclides"):
        half_life_s(["F-18", "72454006"])


def test_decay_and_its_mean():
    assert decayed(400.0, 3600.0, 3600.0) == pytest.approx(200.0)
    assert decayed(200.0, -3600.0, 3600.0) == pytest.approx(400.0)
    seconds = (np.arange(100_000) + 0.5) * 0.09
    assert mean_factor(9000.0, 6586.2) == pytest.approx(np.mean(0.5 ** (seconds / 6586.2)), rel=1e-8)
    assert mean_factor(0.0, 6586.2) == 1.0

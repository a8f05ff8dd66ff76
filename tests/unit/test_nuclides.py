"""Nuclides are reference data: one table with names, half-lives and photopeaks, read by doors, measurements and models."""

import csv

import pytest

from connectors.events import Event, InvalidEvent, validate
from connectors.nuclides import half_life_s, kept_as, known_nuclides, nuclide_named, nuclide_of, photopeaks_kev
from judgement.reference import SEEDS, read
from judgement.rows import NuclideRow

# a department's common nuclides, in seconds: within 0.5 % of ICRP Publication 107 (newer evaluations: Ac-225, Sc-44)
CLINICAL = {
    "Tc-99m": 21_654, "I-123": 47_772, "I-125": 5_132_160, "I-131": 692_988, "Tl-201": 262_483, "Ga-67": 281_768, "Ga-68": 4_062.6,
    "In-111": 242_326, "F-18": 6_586.2, "C-11": 1_223.4, "N-13": 597.9, "O-15": 122.24, "Rb-82": 76.38, "Cu-64": 45_720, "Zr-89": 282_276,
    "Lu-177": 574_301, "Y-90": 230_760, "Sm-153": 167_400, "Ra-223": 987_552, "Ac-225": 857_002, "Xe-133": 452_995, "Cr-51": 2_393_496,
    "Co-57": 23_478_336, "Ge-68": 23_410_080, "Na-22": 82_108_000, "Cs-137": 951_988_000, "Ba-133": 331_977_000, "Sc-44": 14_551,
    "Tb-161": 596_678, "Re-186": 321_261, "Re-188": 61_214, "Sr-89": 4_365_792, "I-124": 360_806, "Br-76": 58_320, "Kr-81m": 13.1,
    "P-32": 1_232_323, "Ho-166": 96_480, "At-211": 25_970, "Pb-212": 38_304, "Cu-67": 222_588, "Co-60": 166_346_000, "Gd-153": 20_770_560,
    "Rb-81": 16_474, "W-188": 6_028_992, "Cs-131": 837_130, "Zn-65": 21_086_784, "Mn-54": 26_967_168, "Ce-141": 2_808_691,
    "Ru-106": 32_278_176,
}  # fmt: skip


@pytest.mark.parametrize("nuclide, seconds", CLINICAL.items())
def test_the_nuclides_of_a_department_have_half_life_and_source(nuclide, seconds):
    row = known_nuclides()[nuclide]
    assert row.half_life_s == pytest.approx(seconds, rel=0.005) and row.source
    assert half_life_s([nuclide]) == row.half_life_s


@pytest.mark.parametrize("form", ["{s}-{m}", "{s}{m}", "{m}{s}", "{m}-{s}", "^{m}^{s}", "{s}^{m}^", "{s} {m}", "{S}-{m}"])
@pytest.mark.parametrize("nuclide", sorted(CLINICAL))
def test_a_nuclide_is_known_however_its_name_is_written(nuclide, form):
    symbol, mass = nuclide.split("-")
    name = form.format(s=symbol, m=mass, S=symbol.upper())
    assert nuclide_of(name) == nuclide_named(name) == nuclide


@pytest.mark.parametrize(
    ("name", "nuclide"),
    [
        ("72454006", "Tc-99m"), ("C-163A8", "Tc-99m"), ("^99m^Technetium", "Tc-99m"), ("Technetium Tc^99m^", "Tc-99m"),
        ("99m Technetium", "Tc-99m"), ("99m-Tc", "Tc-99m"), ("Technetium Tc^99m^ medronate", "Tc-99m"), ("TC-99M", "Tc-99m"),
        ("^18^Fluorine", "F-18"), ("C-111A1", "F-18"), ("Fluorodeoxyglucose F^18^", "F-18"), ("^131^Iodine", "I-131"),
        ("Iodine-123", "I-123"), ("201Tl", "Tl-201"), ("^89^Zirconium", "Zr-89"), ("C-168A4", "Zr-89"), ("^64^Copper", "Cu-64"),
        ("126600", "Sc-44"), ("C1943", "Ho-166"), ("Caesium 137", "Cs-137"), ("Cesium-137", "Cs-137"), ("81mKr", "Kr-81m"),
        ("^177^Lutetium", "Lu-177"), ("447553000", "Lu-177"),
    ],
)  # fmt: skip
def test_codes_and_meanings_name_their_nuclide(name, nuclide):
    assert nuclide_of(name) == nuclide


SAID = {r.nuclide: r.names.split() for r in read(NuclideRow)}  # how the models find a nuclide


@pytest.mark.parametrize(
    ("name", "nuclide"),
    [
        ("⁹⁹ᵐTc", "Tc-99m"), ("¹³¹I", "I-131"), ("锝-99m", "Tc-99m"), ("碘-131", "I-131"), ("碘131", "I-131"), ("氟[18F]", "F-18"),
        ("[18F]FDG", "F-18"),
        ("[¹⁸F]FDG", "F-18"), ("[99mTc]Tc", "Tc-99m"), ("C-163A8", "Tc-99m"), ("c-163a8", "Tc-99m"), ("72454006", "Tc-99m"),
        ("Ｔｃ－９９ｍ", "Tc-99m"), ("¹⁷⁷镥", "Lu-177"), ("[Zhang San]FDG", None), ("张-131", None), ("[18F]Zhang San", None),
        ("99Tcm", "Tc-99m"), ("⁹⁹Tcᵐ", "Tc-99m"), ("81Krm", "Kr-81m"), ("锝[99mTc]", "Tc-99m"), ("锝[⁹⁹ᵐTc]", "Tc-99m"), ("碘[131I]", "I-131"),
        ("锝[131I]", None), ("Technetium Tc 99m", "Tc-99m"), ("Indium In 111", "In-111"), ("Fluorine F 18", "F-18"), ("Indium In-111", "In-111"),
        ("Technetium (99mTc)", "Tc-99m"), ("Indium Tc 99m", None), ("Technetium Tc 99m medronate", None), ("Iod-131", "I-131"), ("Jod-123", "I-123"),
        *((f"Tc{dash}99m", "Tc-99m") for dash in "\u2010\u2011\u2012\u2013\u2014\u2212"), ("147Pm", nuclide_named("Pm-147")), ("60Com", None),
        ("Rb-81", "Rb-81"), ("W-188", "W-188"), ("钨-188", "W-188"), ("Cs-131", "Cs-131"), ("铯-131", "Cs-131"),
        ("I-131 张三", None), ("锝碘-131", None), ("Иod-131", None), ("72454007", None),
    ],
)  # fmt: skip
def test_a_whole_name_is_read_in_every_script_and_code_that_departments_write(name, nuclide):
    assert nuclide_named(name) == nuclide
    if nuclide:
        assert nuclide_of(name) == nuclide and "".join(filter(str.isalnum, kept_as(name).lower())) in SAID[nuclide]
        validate(event(name))


@pytest.mark.parametrize("name", [None, "", "FDG", "C-163A9", "bone", "Tc", "99", "Tc-99", "Tc-99m I-131", "Xx-12", "technetium"])
def test_what_names_no_nuclide_gives_none(name):
    assert nuclide_of(name) is None and half_life_s([name]) is None


def test_no_name_or_code_stands_for_two_nuclides():
    with (SEEDS / "nuclides.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = [w for r in rows for column in ("names", "codes") for w in r[column].split()]
    assert len(words) == len(set(words)) and len({r["nuclide"] for r in rows}) == len(rows)


def test_a_stated_half_life_is_used_unless_it_is_another_nuclides():
    assert half_life_s(["F-18"], 6588.0) == 6588.0
    assert half_life_s([], 6588.0) == 6588.0
    assert half_life_s(["F-18"], 0.0) == half_life_s(["F-18"])
    with pytest.raises(ValueError, match="not that of F-18"):
        half_life_s(["F-18"], 21624.0)
    with pytest.raises(ValueError, match="two nuclides"):
        half_life_s(["F-18", "72454006"])


@pytest.mark.parametrize(
    "nuclide, energies",
    [
        ("Tc-99m", [140.5]),
        ("I-131", [364.5]),
        ("In-111", [171.3, 245.4]),
        ("Lu-177", [208.4, 112.9]),
        ("F-18", [511.0]),
        ("Y-90", []),
    ],
)
def test_photopeaks_are_those_that_images_are_made_with(nuclide, energies):
    assert list(photopeaks_kev(nuclide)) == energies


def dose(nuclide):
    moment = "2026-11-30T01:00:00Z"
    moments = {f"{k}_at_utc": moment for k in ("assayed", "residual", "administered", "lot_expires")}
    texts = {"accession_number": "A1", "agent": "x", "nuclide": nuclide, "lot": "L", "route": "iv", "staff_id": "P01"}
    return {**texts, **moments, "prescribed_mbq": 100, "assayed_mbq": 101, "residual_mbq": 1}


def event(nuclide):
    from datetime import UTC, datetime

    at = datetime(2026, 11, 30, 2, tzinfo=UTC)
    return Event("examination.dose", "urn:photopeak:t", "1", "s", "A1", at, at, dose(nuclide))


@pytest.mark.parametrize("nuclide", [*sorted(CLINICAL), "99mTc", "^177^Lu", "I 123", "Iodine-131"])
def test_a_dose_of_a_known_nuclide_is_stored(nuclide):
    validate(event(nuclide))


@pytest.mark.parametrize(
    ("nuclide", "reason"),
    [
        ("Tc-98", "nuclide: Tc-98 is not in the reference data of nuclides"),
        ("^300^Xx", r"nuclide: \^300\^Xx is not"),
        ("Zhang San", "nuclide: the value is not in"),  # may be somebody's name
        ("Zhang San Tc-99m", "nuclide: the value is not in"),
        ("Tc-99m I-131", "nuclide: the value is not in"),
        ("", "nuclide: the value is not in"),
        (99, "nuclide: the value is not of type string"),
    ],
)
def test_a_dose_of_an_unknown_nuclide_is_refused_by_its_name(nuclide, reason):
    with pytest.raises(InvalidEvent, match=reason):
        validate(event(nuclide))

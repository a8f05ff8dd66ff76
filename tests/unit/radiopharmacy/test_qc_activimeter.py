"""The activimeter's sheet of readings: each part recovers what was put in, and nothing is measured from half a sheet."""

import json
from copy import deepcopy

import pytest

from judgement import reference
from judgement.limits import judge
from judgement.rows import Limit
from spark_jobs.measure import measure_series, render

TC, CS = 6.0067 * 3600, 30.05 * 365.2422 * 86400
YEAR = 365 * 86400  # 2025 has 365 days


def sheet(**parts):
    hours = (0, 6, 12, 24, 30)
    bend = {0: 0.96}  # the strongest reading loses 4 %
    linear = [
        {"at": f"2026-04-{1 + h // 24:02d}T{h % 24:02d}:00:00", "mbq": 0.01 + 4000 * bend.get(h, 1.0) * 0.5 ** (h * 3600 / TC)}
        for h in hours
    ]
    full = {
        "procedure": "activimeter",
        "device_serial": "AC-1",
        "measured_at": "2026-01-01T00:00:00",
        "background_mbq": 0.01,
        "accuracy": [
            {
                "nuclide": "Cs-137",
                "reference_mbq": 10.0,
                "reference_at": "2025-01-01T00:00:00",
                "readings_mbq": [0.01 + 10.5 * 0.5 ** (YEAR / CS)] * 3,
            }
        ],
        "constancy": {
            "nuclide": "Cs-137",
            "reference_mbq": 10.0,
            "reference_at": "2025-01-01T00:00:00",
            "readings_mbq": [0.01 + 9.9 * 0.5 ** (YEAR / CS)],
        },
        "linearity": {"nuclide": "Tc-99m", "readings": linear},
        "repeatability": {"nuclide": "Cs-137", "readings_mbq": [10.01, 10.11, 9.91, 10.06, 9.96]},
    }
    return {k: v for k, v in {**full, **parts}.items() if v is not None}


def measured(content):
    (result,) = measure_series([json.dumps(content).encode()])
    return result


@pytest.mark.req("ENG-03")
def test_every_part_is_recovered():
    result = measured(sheet())
    assert (result.procedure, result.status, result.warnings) == ("activimeter", "measured", ()), result.reason
    assert result.value("accuracy_error_percent", "Cs-137") == pytest.approx(5.0, abs=0.01)
    assert result.value("constancy_error_percent") == pytest.approx(-1.0, abs=0.01)
    # residuals about the mean of logarithms: one of five is ln 0.96 lower
    assert result.value("linearity_residual_percent") == pytest.approx(100 * (1 - 0.96**0.8), abs=0.01)
    assert result.value("repeatability_percent") == pytest.approx(100 * 0.0790569 / 10.0, abs=0.001)
    assert render([], result).startswith(b"\x89PNG")
    verdict, rows = judge(result, reference.read(Limit), None, "2026-04-01")
    assert verdict == "warn" and {r["measure"]: r["verdict"] for r in rows} == {
        "accuracy_error_percent": "warn",
        "constancy_error_percent": "pass",
        "linearity_residual_percent": "warn",
        "repeatability_percent": "warn",
    }


@pytest.mark.req("ENG-03")
def test_a_part_that_was_not_done_is_named():
    result = measured(sheet(linearity=None, constancy=None))
    assert result.status == "measured" and "linearity" in result.warnings[0] and "constancy" in result.warnings[0]


@pytest.mark.req("ENG-03")
def test_readings_that_scatter_widely_about_their_reference_do_not_pass():
    readings = [10.0 * f * 0.5 ** (YEAR / CS) for f in (0.96, 1.04, 0.97, 1.03, 1.0)]
    part = {"nuclide": "Cs-137", "reference_mbq": 10.0, "reference_at": "2025-01-01T00:00:00", "readings_mbq": readings}
    result = measured(sheet(background_mbq=0.0, accuracy=part, constancy=None, linearity=None, repeatability=None))
    assert result.value("accuracy_error_percent") == pytest.approx(0, abs=0.01)
    assert result.value("repeatability_percent") == pytest.approx(100 * 0.0353553, abs=0.01)
    verdicts = {r["measure"]: r["verdict"] for r in judge(result, reference.read(Limit), None, "2026-04-01")[1]}
    assert verdicts["repeatability_percent"] == "fail"
    assert any("of the readings of accuracy" in w for w in result.warnings)
    several_days = [{"at": f"2026-01-0{d}T08:00:00", "mbq": m} for d, m in enumerate(readings, 1)]
    apart = {**part, "readings": several_days}
    del apart["readings_mbq"]
    alone = measured(sheet(background_mbq=0.0, accuracy=apart, constancy=None, linearity=None, repeatability=None))
    assert {m.name for m in alone.measures} == {"accuracy_error_percent"}  # of several days: no repeated readings


def changed(path, value):
    content = deepcopy(sheet())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


REFUSED = {
    "nuclide": changed(("linearity", "nuclide"), "Unobtainium"),
    "half-life": changed(("linearity", "half_life_s"), 6600.0),
    "no date": changed(("constancy", "reference_at"), "yesterday"),
    "older": changed(("constancy", "reference_at"), "2027-01-01T00:00:00"),
    "no number": changed(("repeatability", "readings_mbq", 1), "10,1"),
    "background": changed(("repeatability", "readings_mbq", 1), 0.0),
    "at least": changed(("repeatability", "readings_mbq"), [10.0, 10.1]),
    "without its time": changed(("linearity", "readings", 1), {"mbq": 2000.0}),
    "less than half": changed(("linearity", "readings"), [{"at": f"2026-04-01T00:0{i}:00", "mbq": 100.0} for i in range(5)]),
    "not positive": changed(("constancy", "reference_mbq"), 0.0),
    "none of": {"procedure": "activimeter"},
}


@pytest.mark.req("ENG-03", "ANA-05")
@pytest.mark.parametrize("word", REFUSED)
def test_a_sheet_that_contradicts_itself_is_refused(word):
    result = measured(REFUSED[word])
    assert (result.procedure, result.status, result.measures) == ("activimeter", "not_measured", ())
    assert word in result.reason, result.reason


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize(
    "nuclide, percent", [("Tc-99m", 94), ("F-18", 100), ("I-131", 8), ("Co-57", None), ("Cs-137", None), ("Ge-68", None)]
)
@pytest.mark.parametrize("what", ["reference_at", "measured_at"])
def test_a_day_without_its_time_is_no_moment_of_what_decays_in_a_day(nuclide, percent, what):
    part = {"nuclide": nuclide, "reference_mbq": 9.0, "reference_at": "2026-04-01T08:00:00", "readings_mbq": [9.0]}
    part |= {"measured_at": "2026-04-01T08:00:00", what: "2026-04-01" if what == "reference_at" else "2026-04-02"}
    result = measured({"procedure": "activimeter", "measured_at": "2026-04-01T08:00:00", "accuracy": part})
    if percent is None:
        assert result.status == "measured"
    else:
        assert result.status == "not_measured" and f"in a day {nuclide} decays by {percent} %" in result.reason


@pytest.mark.req("ENG-03")
def test_offsets_from_utc_count_and_some_times_without_one_are_refused():
    """By hand: from 23:00 UTC to 08:00 at +08:00 is one hour."""
    content = {
        "procedure": "activimeter",
        "measured_at": "2026-04-01T08:00:00+08:00",
        "accuracy": {
            "nuclide": "Tc-99m",
            "reference_mbq": 1000,
            "reference_at": "2026-03-31T23:00:00Z",
            "readings_mbq": [1000 * 2 ** (-1 / 6.0067)],
        },
        "constancy": {"nuclide": "Cs-137", "reference_mbq": 9, "reference_at": "2026-03-01", "readings_mbq": [8.98]},
    }
    result = measured(content)
    assert result.value("accuracy_error_percent") == pytest.approx(0, abs=0.01)
    assert result.value("constancy_error_percent") == pytest.approx(-0.02, abs=0.05)
    refused = measured({**content, "measured_at": "2026-04-01T08:00:00"})
    assert refused.status == "not_measured" and "offset from UTC" in refused.reason and not refused.measures


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize(
    ("times", "status", "reason"),
    [
        (1000.0, "indicative", "GBq were taken"),
        (0.001, "indicative", "GBq were taken"),
        (37.0, "indicative", "mCi"),
        (1 / 37, "indicative", "mCi"),
        (10.0, "indicative", "digit"),
        (7.0, "indicative", "which no activimeter gives"),
        (3.0, "measured", None),  # set to another nuclide
        (0.1, "measured", None),  # a chamber that lost its gas
    ],
)
@pytest.mark.parametrize("part", ["accuracy", "constancy"])
def test_an_error_that_no_activimeter_has_gets_no_verdict(part, times, status, reason):
    content = sheet()
    one = content[part][0] if part == "accuracy" else content[part]
    one["readings_mbq"] = [0.01 + times * (r - 0.01) for r in one["readings_mbq"]]
    result = measured(content)
    assert result.status == status and (reason is None or reason in result.reason)
    verdict, _ = judge(result, reference.read(Limit), "AC1", "2026-04-01")
    assert verdict == ("none" if status == "indicative" else "fail")


@pytest.mark.parametrize("part", ["linearity", "repeatability"])
def test_one_reading_of_another_unit_is_no_fault_of_the_activimeter(part):
    content = sheet()
    if part == "linearity":
        content[part]["readings"][2]["mbq"] *= 1000
    else:
        content[part]["readings_mbq"][2] *= 1000
    result = measured(content)
    assert result.status == "indicative" and "GBq were taken" in result.reason


def test_readings_under_a_key_that_nobody_reads_are_named():
    again = {"accuracy_2": sheet()["accuracy"]}
    assert any("not read: accuracy_2" in w for w in measured({**sheet(), **again}).warnings)
    assert not measured({**sheet(), "remark": "a", "operator": "b"}).warnings

"""Dynamic studies of patients: frames lost in every way a header can tell, bolus, motion, organs in the field; never a phantom."""

import numpy as np
import pytest
from clinical_images import dynamic, hepatic, moved, renal
from qc_images import code

from judgement import reference
from judgement.limits import judge
from judgement.rows import Limit
from spark_jobs.measure import measure_series, render

HOUR = ((60, 60.0),)
PHASE = np.repeat([1, 2], [40, 57])
SLICE = np.concatenate([np.arange(1, 41), np.arange(1, 58)])


def one(data):
    (result,) = measure_series([data], "clinical")
    return result


def flagged(result):
    return {r["measure"] for r in judge(result, reference.read(Limit), None, "2026-04-01")[1] if r["verdict"] in ("warn", "fail")}


def without(k, slices):
    """The study without frame k (0-based); `slices` says what its TimeSliceVector holds."""
    phase, numbers = np.delete(PHASE, k), np.delete(SLICE, k)
    vectors = {
        "as acquired": numbers.tolist(),
        "numbered anew": np.concatenate([np.arange((phase == p).sum()) + 1 for p in (1, 2)]).tolist(),
        "running": np.delete(np.arange(1, 98), k).tolist(),
        "absent": None,
    }
    return dynamic(
        np.delete(renal(), k, 0), DetectorVector=[1] * 96, EnergyWindowVector=[1] * 96, PhaseVector=phase.tolist(),
        TimeSliceVector=vectors[slices],
    )  # fmt: skip


@pytest.mark.req("EXM-03", "ANA-02")
@pytest.mark.parametrize("k", [20, 60, 96])
@pytest.mark.parametrize("slices", ["as acquired", "numbered anew", "running", "absent"])
def test_a_dropped_frame_is_flagged(k, slices):
    result = one(without(k, slices))
    assert (result.procedure, result.status) == ("renal_dynamic", "measured")
    assert result.value("missing_frames_count") == 1 and flagged(result) == {"missing_frames_count"}
    (found,) = [m for m in result.measures if m.name == "missing_frames_count"]
    assert found.aspect == "timing"
    if slices in ("as acquired", "running"):
        assert found.at == {"frames": [f"phase {PHASE[k]} frame {SLICE[k]}"]}


@pytest.mark.req("EXM-03")
def test_a_whole_study_is_not_flagged_and_its_times_are_told():
    result = one(dynamic(renal()))
    assert flagged(result) == set() and result.status == "measured"
    assert result.value("duration_min") == pytest.approx(20.0) and result.value("kidneys_in_field_count") == 2
    assert [result.value("frame_time_s", f"phase {p}") for p in (1, 2)] == [1.5, 20.0]
    assert render([], result).startswith(b"\x89PNG")
    assert result == one(dynamic(renal()))


@pytest.mark.req("EXM-03")
def test_empty_repeated_and_weak_frames_are_flagged_where_they_are():
    for change, name in ((0.0, "empty_frames_count"), (0.5, "weak_frames_count"), (2.0, "weak_frames_count")):
        frames = renal()
        frames[60] = frames[60] * change
        result = one(dynamic(frames))
        assert flagged(result) == {name}
        assert [m.at for m in result.measures if m.name == name] == [{"frames": [61]}]
    frames = renal()
    frames[60] = frames[59]
    assert flagged(one(dynamic(frames))) == {"repeated_frames_count"}


@pytest.mark.req("EXM-03")
def test_gaps_in_frame_times_and_contradictions():
    alone = {"PhaseInformationSequence": None, "PhaseVector": None, "TimeSliceVector": None, "DetectorVector": None}
    alone |= {"EnergyWindowVector": None}
    frames, phases = renal(phases=((60, 20.0),)), ((60, 20.0),)
    steps = np.full(60, 20_000.0)
    steps[0] = 0
    assert flagged(one(dynamic(frames, phases, **alone, FrameTimeVector=steps.tolist()))) == set()
    gap = np.diff(np.delete(np.cumsum(steps), 30), prepend=0)
    lost = one(dynamic(np.delete(frames, 30, 0), phases, **alone, FrameTimeVector=gap.tolist()))
    assert flagged(lost) == {"missing_frames_count"} and lost.value("largest_gap_s") == pytest.approx(20)
    assert one(dynamic(frames, phases, **alone, FrameTime="20000")).status == "measured"
    untimed = one(dynamic(frames, phases, **alone, PerformedProtocolCodeSequence=code("PP-RENAL")))
    assert untimed.status == "not_measured" and "how long a frame lasted" in untimed.reason
    vectors = one(dynamic(renal()[:-1]))
    assert vectors.status == "not_measured" and "97 values for 96 frames" in vectors.reason


@pytest.mark.req("ANA-02")
def test_motion_contrast_and_counts_are_graded_each_in_its_aspect():
    still = one(dynamic(renal()))
    size = [one(dynamic(renal(moves=moved(97, 63, (0, s))))) for s in (1, 2, 4)]
    assert [r.value("motion_max_px") for r in size] == pytest.approx([1, 2, 4], abs=0.3) and still.value("motion_max_px") < 0.3
    assert [r.value("drift_px", "image left") for r in size] == pytest.approx([1, 2, 4], abs=0.4)
    for name in ("frame_kcts", "missing_frames_count", "bolus_fwhm_s"):
        assert [r.value(name) for r in size] == pytest.approx([still.value(name)] * 3, rel=0.05), name
    contrast = [one(dynamic(renal(contrast=c))).value("organ_background_ratio", "image left") for c in (1, 0.6, 0.3)]
    assert contrast == sorted(contrast, reverse=True)
    counts = [one(dynamic(renal(scale=s))) for s in (1, 0.5, 0.25)]
    assert [r.value("frame_kcts") / still.value("frame_kcts") for r in counts] == pytest.approx([1, 0.5, 0.25], rel=0.02)
    assert max(r.value("motion_max_px") for r in counts) < 0.4 and all(flagged(r) == set() for r in counts)
    near = [one(dynamic(renal(shift_rows=-s))).value("organ_edge_mm", "image left") for s in (0, 6, 12)]
    assert near == sorted(near, reverse=True)


@pytest.mark.req("EXM-03")
def test_a_minute_of_empty_frames_is_no_motion():
    frames = renal()
    frames[70:82] = 0
    result = one(dynamic(frames))
    assert result.value("empty_frames_count") == 12
    assert result.value("motion_max_px") < 1 and result.value("drift_px", "image left") < 3


@pytest.mark.req("EXM-03", "ENG-06")
def test_the_width_of_the_bolus_is_recovered_and_a_bad_fit_is_not_used():
    widths = [one(dynamic(renal(width=w))).value("bolus_fwhm_s") for w in (1, 1.5, 2)]
    # gamma variate of α = 3 whose peak comes 8 s after its start: 11.03 s wide, by its definition on a fine grid
    assert widths == sorted(widths) and widths[0] == pytest.approx(11.0, rel=0.12)
    slow = one(dynamic(renal(phases=((60, 20.0),)), ((60, 20.0),)))
    assert "bolus_fwhm_s" not in {m.name for m in slow.measures} and any("bolus" in w for w in slow.warnings)
    flat = np.random.default_rng(0).poisson(renal().mean(0)[None] * np.repeat([0.1, 1.0], [40, 57])[:, None, None])
    none = one(dynamic(flat, PerformedProtocolCodeSequence=code("PP-RENAL")))
    assert none.status == "measured" and "bolus_fwhm_s" not in {m.name for m in none.measures}
    assert any("not used" in w for w in none.warnings)


@pytest.mark.req("EXM-05", "ANA-02")
def test_hepatobiliary_studies_give_liver_curve_field_and_times():
    result = one(dynamic(hepatic(), HOUR))
    assert (result.procedure, result.status, flagged(result)) == ("hepatobiliary_dynamic", "measured", set())
    # the curve that was made: e^{-t/2500 s} − e^{-t/240 s}: peak at 10.4 min, half-life 28.9 min; the background of the body is in it
    assert result.value("liver_peak_min") == pytest.approx(10.4, abs=1) and result.value("liver_fit_r2") > 0.99
    assert result.value("liver_in_field_count") == 1 and result.value("field_below_mm") > 100
    shifted = [one(dynamic(hepatic(moves=moved(60, 30, (s, 0))), HOUR)).value("motion_max_px") for s in (0, 1, 2, 3)]
    assert shifted == pytest.approx([0, 1, 2, 3], abs=0.3)
    weak = [one(dynamic(hepatic(contrast=c), HOUR)).value("organ_background_ratio") for c in (1, 0.6, 0.4)]
    assert weak == sorted(weak, reverse=True)
    gone = np.delete(np.arange(1, 61), 17).tolist()
    vectors = {"DetectorVector": [1] * 59, "EnergyWindowVector": [1] * 59, "PhaseVector": [1] * 59, "TimeSliceVector": gone}
    assert flagged(one(dynamic(np.delete(hepatic(), 17, 0), HOUR, **vectors))) == {"missing_frames_count"}
    assert render([], result).startswith(b"\x89PNG")


@pytest.mark.req("ENG-06")
def test_the_washout_of_a_liver_that_does_not_empty_is_no_number():
    named = {"PerformedProtocolCodeSequence": code("PP-HEPATO")}  # by its look alone it is not told from a source
    obstructed, slow = (one(dynamic(hepatic(empties_s=s), HOUR, **named)) for s in (60_000, 7_000))
    assert "liver_washout_half_min" not in {m.name for m in obstructed.measures} and obstructed.value("liver_peak_min") > 10
    assert any("hardly empties in the 60 min" in w for w in obstructed.warnings)
    assert slow.value("liver_washout_half_min") == pytest.approx(7_000 / 60 * np.log(2), rel=0.15)  # the body is in it


def _sources():
    y, x = np.mgrid[:64, :64] - 31.5
    rng = np.random.default_rng(0)
    rate = np.linspace(8, 0.1, 40)
    shapes = {
        "field": np.full((64, 64), 100.0),
        "rectangle": 100.0 * ((abs(x) < 28) & (abs(y) < 20)),
        "disc": 100.0 * (np.hypot(x, y) < 12) + 1,
        "disc aside": 100.0 * (np.hypot(x + 11, y + 6) < 11) + 1,
        "two vials": 300 * np.exp(-((abs(x) - 12) ** 2 + y**2) / 20) + 1,
        "point": 900 * np.exp(-(x**2 + y**2) / 6),
    }
    for name, shape in shapes.items():
        yield f"{name}, decaying", rng.poisson(shape * np.exp(-np.arange(40) / 15)[:, None, None])
        yield f"{name}, dead time", rng.poisson(shape * (3 * rate * np.exp(-rate))[:, None, None])


@pytest.mark.req("EXM-03", "EXM-05", "ANA-05")
@pytest.mark.parametrize(
    "name, frames", [s for s in _sources() if s[0] != "two vials, dead time"], ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_source_that_only_decays_is_no_patient(name, frames):
    results = measure_series([dynamic(frames, ((40, 20.0),))])
    assert all(r.procedure not in ("renal_dynamic", "hepatobiliary_dynamic") for r in results)


def test_a_wrong_code_is_refused_and_a_single_kidney_is_known_with_and_without_one():
    wrong = one(dynamic(renal(), PerformedProtocolCodeSequence=code("PP-HEPATO")))
    assert wrong.status == "not_measured" and not wrong.measures
    one_kidney = renal()
    one_kidney[:, 15:45, 34:52] = np.random.default_rng(1).poisson(
        np.median(one_kidney[:, 5:12, 36:50], axis=(1, 2))[:, None, None], (97, 30, 18)
    )
    for tags in ({}, {"PerformedProtocolCodeSequence": code("PP-RENAL")}):
        named = one(dynamic(one_kidney, **tags))
        assert named.status == "measured" and named.value("kidneys_in_field_count") == 1
        assert {m.region for m in named.measures if m.name == "kidney_kcts"} == {"image left"}
    assert one(dynamic(renal(), PatientID="QC^1")).status == "not_measured"


@pytest.mark.parametrize("scale", [0.01, 0.001])
def test_very_few_counts_give_values_without_a_verdict(scale):
    kidneys = one(dynamic(renal(scale=scale)))
    assert (kidneys.procedure, kidneys.status) == ("renal_dynamic", "indicative") and "few counts" in kidneys.reason
    assert kidneys.value("frame_kcts") < 1 and flagged(kidneys) == set()
    liver = one(dynamic(hepatic(scale=scale), HOUR))
    assert liver.status != "measured" and flagged(liver) == set()

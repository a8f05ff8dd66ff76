"""Projections of a heart: imposed motion is found where it was put, gates and beats are counted, other aspects stay."""

import numpy as np
import pytest
from clinical_images import heart, heart_views, moved
from qc_images import code, dicom, rotation

from judgement import reference
from judgement.limits import judge
from judgement.rows import Limit
from spark_jobs.measure import measure_series, render

VIEWS = 60


def one(data, analysis="clinical"):
    (result,) = measure_series([data], analysis)
    return result


def flagged(result):
    return {
        (r["measure"], r["verdict"])
        for r in judge(result, reference.read(Limit), None, "2026-04-01")[1]
        if r["verdict"] in ("warn", "fail")
    }


@pytest.mark.req("EXM-04", "ANA-02")
@pytest.mark.parametrize("gates", [0, 8])
@pytest.mark.parametrize("shift", [(2, 0), (0, 2), (0, -2)])
def test_views_shifted_by_two_pixels_at_view_30_fail_where_they_were_shifted(gates, shift):
    result = one(heart(heart_views(moves=moved(VIEWS, 30, shift)), gates=gates))
    assert (result.procedure, result.status) == ("myocardial_projections", "measured")
    assert result.value("motion_max_px") == pytest.approx(2.0, abs=0.2)
    (found,) = [m for m in result.measures if m.name == "motion_max_px"]
    assert found.at == {"detector": 1, "view": 31} and found.uncertainty < 0.2
    assert flagged(result) == {("motion_max_px", "fail"), *([("axial_creep_px", "warn")] if shift[0] else [])}
    broken, whole = ("linogram_break_px", "sinogram_break_px") if shift[0] else ("sinogram_break_px", "linogram_break_px")
    assert result.value(broken) > 1.8 and result.value(whole) < 0.5
    assert render([], result).startswith(b"\x89PNG")


@pytest.mark.req("EXM-04")
def test_one_view_alone_and_one_pixel_are_flagged_and_a_still_patient_is_not():
    assert flagged(one(heart(heart_views(moves=moved(VIEWS, 29, (2, 0), 30))))) == {("motion_max_px", "fail")}
    assert flagged(one(heart(heart_views(moves=moved(VIEWS, 29, (0, 1)))))) == {("motion_max_px", "warn")}
    for seed in range(3):
        assert flagged(one(heart(heart_views(seed=seed)))) == set()
    assert flagged(one(heart(heart_views(arc=360, views=64, counts=60_000)))) == set()
    assert flagged(one(heart(heart_views(n=128, pixel_mm=3.3, counts=60_000), pixel_mm=3.3))) == set()


@pytest.mark.req("EXM-04", "ANA-02")
@pytest.mark.parametrize("creep", [-4.0, -2.0, 0.0, 2.0, 4.0])
@pytest.mark.parametrize("turn", [{"arc": 180, "views": 60}, {"arc": 360, "views": 64, "counts": 60_000}], ids=str)
def test_a_heart_that_creeps_along_the_axis_is_found_though_no_view_jumps(creep, turn):
    moves = [(creep * v / (turn["views"] - 1), 0.0) for v in range(turn["views"])]
    result = one(heart(heart_views(moves=moves, **turn)))
    (found,) = [m for m in result.measures if m.name == "axial_creep_px"]
    assert found.value == pytest.approx(abs(creep), abs=0.5) and found.at["px"] == pytest.approx(creep, abs=0.5)
    assert flagged(result) == ({("axial_creep_px", "warn")} if creep else set())


@pytest.mark.req("EXM-04", "ANA-02")
def test_of_two_heads_the_one_that_saw_more_creep_is_named():
    """Two heads at a right angle turn by 90°: each sees half of the views, in one file."""
    moves = [(0.0, 0.0)] * 32 + [(3.0 * v / 31, 0.0) for v in range(32)]
    turn = {"NumberOfDetectors": 2, "DetectorVector": [1] * 32 + [2] * 32, "AngularViewVector": [*range(1, 33)] * 2}
    result = one(heart(heart_views(moves=moves, views=64), arc=180, **turn))
    (found,) = [m for m in result.measures if m.name == "axial_creep_px"]
    assert found.value == pytest.approx(3.0, abs=0.5) and found.at == {"detector": 2, "px": pytest.approx(3.0, abs=0.5)}


@pytest.mark.req("ANA-02")
def test_motion_is_graded_and_leaves_the_other_aspects_alone():
    read = [one(heart(heart_views(moves=moved(VIEWS, 30, (s, 0))))) for s in (0, 1, 2, 4)]
    size = [r.value("motion_max_px") for r in read]
    assert size == sorted(size) and size[1:] == pytest.approx([1, 2, 4], abs=0.2)
    for name in ("view_kcts", "noise_percent", "heart_background_ratio"):
        assert [r.value(name) for r in read] == pytest.approx([read[0].value(name)] * 4, rel=0.1), name


@pytest.mark.req("ANA-02")
def test_counts_are_graded_and_too_few_give_no_verdict_on_motion():
    read = [one(heart(heart_views(counts=c))) for c in (80_000, 40_000, 20_000, 10_000)]
    assert [r.value("view_kcts") for r in read] == pytest.approx([80, 40, 20, 10], rel=0.05)
    noise = [r.value("noise_percent") for r in read]
    assert noise == sorted(noise)
    assert max(r.value("motion_max_px") for r in read) < 0.8
    for counts, gates in ((3_000, 0), (1_000, 8), (100, 0), (4, 8)):
        few = one(heart(heart_views(counts=counts), gates=gates, PerformedProtocolCodeSequence=code("PP-MYOCARD")))
        assert few.status != "measured" and few.reason and flagged(few) == set(), counts
        if counts >= 100:
            assert few.status == "indicative" and "too few counts" in few.reason
    fine = one(heart(heart_views(n=128, pixel_mm=3.2, counts=8_000), pixel_mm=3.2))
    assert fine.status == "indicative"  # noise alone moves the heart by a pixel of this size


@pytest.mark.req("EXM-04")
def test_gates_and_beats():
    views = heart_views()
    whole = one(heart(views, gates=8))
    assert whole.value("gates_count") == 8 and whole.value("rejected_beats_percent") == pytest.approx(5.0)
    assert whole.value("gate_loss_percent") < 2
    lost = one(heart(views, gates=8, last_gate=0.6))
    assert lost.value("gate_loss_percent") == pytest.approx(40, abs=2)
    assert [m.at for m in lost.measures if m.name == "gate_loss_percent"] == [{"gate": 8}]


@pytest.mark.req("EXM-04")
def test_missing_empty_and_repeated_views_are_flagged():
    views = heart_views()
    numbers = [v for v in range(1, VIEWS + 1) if v != 30]
    gone = one(heart(np.delete(views, 29, 0), AngularViewVector=numbers))
    assert ("missing_views_count", "warn") in flagged(gone) and gone.value("missing_views_count") == 1
    empty = views.copy()
    empty[20] = 0
    assert ("empty_views_count", "warn") in flagged(one(heart(empty)))
    twice = views.copy()
    twice[21] = twice[20]
    assert ("repeated_views_count", "warn") in flagged(one(heart(twice)))


def _phantoms():
    y, x = np.mgrid[:64, :64] - 31.5
    rng = np.random.default_rng(0)
    angles = np.deg2rad(np.arange(60) * 6)
    cylinder = 200 * np.sqrt(np.clip(1 - (x / 16) ** 2, 0, 1)) * (abs(y) < 16)
    spheres = []
    for a in angles:
        image = 0.3 * cylinder
        for k, mm in enumerate((37, 28, 22, 17, 13, 10)):
            image = image + 2 * mm * np.exp(-((x - 9 * np.cos(a + k * np.pi / 3)) ** 2 + y**2) / (2 * (mm / 15) ** 2 + 2))
        spheres.append(image)
    yield "cylinder", rng.poisson(np.stack([cylinder] * 60))
    yield "hot spheres", rng.poisson(spheres)
    yield "field", rng.poisson(np.full((60, 64, 64), 100))
    yield "line", rng.poisson([20 + 400 * np.exp(-((x - 8 * np.cos(a)) ** 2) / 4) * (abs(y) < 25) for a in angles])
    yield "point", rotation(3.0, n=64, pixel_mm=6.4, background=0.5)[0]


@pytest.mark.req("EXM-04", "ANA-05")
@pytest.mark.parametrize("name, views", list(_phantoms()), ids=lambda v: v if isinstance(v, str) else "")
def test_no_phantom_is_taken_for_a_patient(name, views):
    results = measure_series([heart(views, arc=360)])
    assert all(r.procedure != "myocardial_projections" for r in results), results[0].procedure


def test_a_heart_is_no_point_source_and_a_phantoms_name_forbids_patients():
    wide = np.random.default_rng(0).poisson(
        [120 * np.exp(-((np.mgrid[:64, :64][1] - 32 - 8 * np.cos(a)) ** 2 + (np.mgrid[:64, :64][0] - 32) ** 2) / 25) + 8
         for a in np.deg2rad(np.arange(60) * 3)]
    )  # fmt: skip
    assert measure_series([heart(wide)])[0].procedure == "myocardial_projections"
    named = one(heart(heart_views(), PatientID="QC^123"))
    assert named.status == "not_measured" and not named.measures


def test_without_gates_in_the_header_or_with_another_code_there_is_no_number():
    views = heart_views()
    assert "TimeSlotVector" in one(heart(views, gates=8, TimeSlotVector=None)).reason
    other = one(heart(views, PerformedProtocolCodeSequence=code("PP-COR")), None)
    assert other.status == "not_measured" and not other.measures
    short = one(dicom(views[:8], kind="TOMO", pixel_mm=6.4, PerformedProtocolCodeSequence=code("PP-MYOCARD")))
    assert short.status == "not_measured" and "fewer than" in short.reason

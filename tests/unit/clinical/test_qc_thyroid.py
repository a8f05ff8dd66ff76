"""Static thyroid views: each degradation shows in its aspect and hardly in others; lines, spots and bottles are no thyroids."""

import json

import numpy as np
import pytest
from clinical_images import NM_HEAD, neck, thyroid
from qc_images import code, dicom

from spark_jobs.measure import measure_series, render


def one(image, pixel_mm=2.2, **tags):
    (result,) = measure_series([dicom(image, pixel_mm=pixel_mm, **{**NM_HEAD, **tags})])
    return result


@pytest.mark.req("EXM-02", "ANA-02")
def test_a_thyroid_is_told_and_measured_without_a_code():
    result = one(thyroid(), ActualFrameDuration=600_000)
    assert (result.procedure, result.status, result.warnings) == ("thyroid_static", "measured", ())
    assert result.value("lobes_in_field_count") == 2 and result.value("acquisition_s") == 600
    assert result.value("centre_offset_mm") < 3 and abs(result.value("tilt_deg")) < 3
    assert {m.aspect for m in result.measures} == {
        "counts/noise", "contrast", "motion", "positioning/coverage", "uniformity", "artefact", "timing", "header completeness", "uptake",
    }  # fmt: skip
    assert render([], result).startswith(b"\x89PNG")


GRADED = {
    "view_kcts": [{"counts": c} for c in (50_000, 100_000, 200_000)],
    "thyroid_background_ratio": [{"contrast": c, "counts": 200_000 * (0.5 + 0.5 * c)} for c in (0.2, 0.5, 1)],
    "edge_width_mm": [{"blur": b} for b in (0, 3, 6)],
    "centre_offset_mm": [{"shift": (0.0, s)} for s in (0.0, 20.0, 60.0)],
    "tilt_deg": [{"tilt_deg": d} for d in (-10, 0, 12)],
}
ALONE = {  # what may not follow: name of the measure and the relative change that is allowed
    "view_kcts": {"thyroid_background_ratio": 0.1, "edge_width_mm": 0.1, "centre_offset_mm": None},
    "edge_width_mm": {"view_kcts": 0.02, "centre_offset_mm": None, "tilt_deg": None},
    "centre_offset_mm": {"view_kcts": 0.02, "thyroid_background_ratio": 0.1, "edge_width_mm": 0.1, "tilt_deg": None},
    "tilt_deg": {"view_kcts": 0.02, "thyroid_background_ratio": 0.15, "centre_offset_mm": None},
}


@pytest.mark.req("ANA-02", "ENG-09")
@pytest.mark.parametrize("name", GRADED)
def test_degradations_are_graded_each_in_its_aspect(name):
    read = [one(thyroid(**given)) for given in GRADED[name]]
    values = [r.value(name) for r in read]
    assert values == sorted(values) and values[-1] > values[0]
    for other, rel in ALONE.get(name, {}).items():
        spread = [r.value(other) for r in read]
        assert spread == pytest.approx([spread[0]] * len(spread), **({"rel": rel} if rel else {"abs": 2.5})), other


@pytest.mark.req("ENG-09")
def test_place_and_turn_are_recovered():
    for shift in ((0.0, 44.0), (-33.0, 0.0), (30.0, 40.0)):
        assert one(thyroid(shift=shift)).value("centre_offset_mm") == pytest.approx(np.hypot(*shift), abs=2)
    for turn in (-12, 5, 15):
        assert one(thyroid(tilt_deg=turn)).value("tilt_deg") == pytest.approx(turn, abs=2)
    sizes = [one(thyroid(n=n, pixel_mm=281.6 / n), 281.6 / n) for n in (64, 128, 256)]
    assert [r.value("edge_width_mm") for r in sizes] == pytest.approx([sizes[1].value("edge_width_mm")] * 3, rel=0.3)


def _others():
    y, x = np.mgrid[:128, :128] - 63.5
    rng = np.random.default_rng(0)
    yield "two spots", rng.poisson(2 + 400 * np.exp(-((abs(x) - 12) ** 2 + y**2) / 18))
    yield "two vials", rng.poisson(2 + 400 * (np.hypot(abs(x) - 10, y) < 5))
    yield "two lines", rng.poisson(1 + 200 * np.exp(-((abs(x) - 12) ** 2) / 8))
    yield "two rods", rng.poisson(1 + 100 * ((abs(abs(x) - 9) < 4) & (abs(y) < 20)))
    yield "disc", rng.poisson(1 + 100 * (np.hypot(x, y) < 20))
    yield "field", rng.poisson(np.full((128, 128), 500))
    yield "kidneys", rng.poisson(1 + 100 * ((((abs(x) - 28) / 10) ** 2 + (y / 20) ** 2) < 1))


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("name, image", list(_others()), ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_no_thyroid_is_not_taken_for_one(name, image):
    assert one(image).procedure != "thyroid_static"


def test_code_decides_where_the_look_is_unsure_and_few_counts_get_no_verdict():
    y, x = np.mgrid[:128, :128] - 63.5
    nodule = np.random.default_rng(0).poisson(1 + 100 * (np.hypot(x, y) < 8))
    assert one(nodule).status == "not_measured"
    named = one(nodule, PerformedProtocolCodeSequence=code("PP-THYROID"))
    assert named.status == "measured" and named.value("lobes_in_field_count") == 0 and named.warnings
    few = one(thyroid(counts=2_000), PerformedProtocolCodeSequence=code("PP-THYROID"))
    assert few.status == "indicative" and "counts" in few.reason
    assert one(thyroid(), PatientID="QC^7").status == "not_measured"
    wrong = one(thyroid(), PerformedProtocolCodeSequence=code("PP-FLOOD"))
    assert wrong.status == "not_measured" and not wrong.measures


VIEW = {
    "ActualFrameDuration": 600_000,
    "StudyInstanceUID": "1.2.7",
    **{f"{k}Date": "20260504" for k in ("Acquisition", "Series")},
}
VIEW |= {f"{k}Time": "000500" for k in ("Acquisition", "Series")}  # the syringe was counted before midnight


def syringe(**changed) -> bytes:
    given = {
        "procedure": "thyroid_static",
        "study_uid": "1.2.7",
        "nuclide": "Tc-99m",
        "full_cps": 5500.0,
        "full_at": "2026-05-03T23:35:00",
    }
    return json.dumps({**given, "empty_cps": 450.0, "empty_at": "2026-05-03T23:40:00", **changed}).encode()


@pytest.mark.req("EXM-02")
@pytest.mark.parametrize(
    "given",
    [
        {"fwhm_mm": 5.0},
        {"fwhm_mm": 12.0},
        {"pixel_mm": 1.1, "n": 256},
        {"pixel_mm": 4.4, "n": 64},
        {"around": 0.6},
        {"weaker": 0.6},
        {"gland": 9_000.0},
        {"size": (60, 26), "apart": 42},
    ],
    ids=str,
)
def test_uptake_of_a_gland_of_known_counts(given):
    scene = {"n": 128, "pixel_mm": 2.2, "gland": 60_000.0, "around": 0.1, "fwhm_mm": 8.0, **given}
    (result,) = measure_series([dicom(neck(**scene), pixel_mm=scene["pixel_mm"], **{**NM_HEAD, **VIEW})], beside=[syringe()])
    per_s = np.log(2) / (6.0067 * 3600)
    injected = 5500 * np.exp(-1800 * per_s) - 450 * np.exp(-1500 * per_s)
    truth = 100 * scene["gland"] / (injected * (1 - np.exp(-600 * per_s)) / per_s)
    (said,) = [m for m in result.measures if m.name == "uptake_percent"]
    assert said.value == pytest.approx(truth, rel=0.03) and said.uncertainty < 0.03 * truth and not result.warnings
    counted = {m.region: m.value for m in result.measures if m.name == "roi_net_kcts"}
    assert counted["whole"] == pytest.approx(scene["gland"] / 1000, rel=0.03)
    assert said.value == pytest.approx(truth * 1000 * counted["whole"] / scene["gland"], rel=1e-3)  # decay during the view is 1 %
    left, right = counted["whole, left of the image"], counted["whole, right of the image"]
    assert right / left == pytest.approx(scene.get("weaker", 1.0), rel=0.08)  # the lobes' blur reaches into each other


@pytest.mark.req("EXM-02")
@pytest.mark.parametrize(
    ("changed", "tags", "words"),
    [
        ({"full_cps": 400.0}, {}, "what was injected is unknown"),
        ({"empty_cps": -1.0}, {}, "what was injected is unknown"),
        ({"empty_at": "2026-05-03T23:30:00"}, {}, "not counted full, then empty, then the gland"),
        ({"full_at": "2026-05-02T23:35:00"}, {}, "24.5 h before the gland"),
        ({"full_at": "2026-05-03"}, {}, "cannot be read"),
        ({"full_cps": 500.0}, {}, "cannot take up"),
        (
            {"full_at": "2026-05-04T00:35:00", "empty_at": "2026-05-04T00:40:00"},
            {},
            "not counted full, then empty, then the gland",
        ),
        ({"nuclide": "Xx-1"}, {}, "nuclide of the sheet is unknown"),
        ({"full_at": "yesterday"}, {}, "cannot be read"),
        ({"full_at": "2026-05-03T23:35:00+08:00"}, {}, "different offsets"),
        ({"full_at": "2026-05-03T23:35:00Z", "empty_at": "2026-05-03T23:40:00Z"}, {}, "in UTC"),
        ({}, {"ActualFrameDuration": None}, "how long the view took"),
    ],
    ids=lambda v: str(v)[:24],
)
def test_a_syringe_that_tells_nothing_gives_no_uptake_and_says_why(changed, tags, words):
    scene = neck(n=128, pixel_mm=2.2, gland=60_000.0, around=0.1, fwhm_mm=8.0)
    (result,) = measure_series([dicom(scene, pixel_mm=2.2, **{**NM_HEAD, **VIEW, **tags})], beside=[syringe(**changed)])
    assert "uptake_percent" not in {m.name for m in result.measures} and result.value("view_kcts") > 0
    assert any(words in w for w in result.warnings), result.warnings


@pytest.mark.req("EXM-02")
@pytest.mark.parametrize("nuclide, half_life_s", [("I-131", 693_213.1), ("I-123", 47_604.2)])
def test_the_uptake_of_iodine_is_measured_a_day_after_the_capsule(nuclide, half_life_s):
    """25 hours: the countings are dated, and iodine is still there."""
    head = {k: v for k, v in NM_HEAD.items() if k != "RadiopharmaceuticalInformationSequence"}
    view = dicom(neck(n=128, pixel_mm=2.2, gland=60_000.0, around=0.1, fwhm_mm=8.0), pixel_mm=2.2, **{**head, **VIEW})
    counted = {"full_at": "2026-05-02T23:05:00", "empty_at": "2026-05-02T23:10:00"}
    (result,) = measure_series([view], beside=[syringe(nuclide=nuclide, **counted)])
    per_s = np.log(2) / half_life_s
    injected = 5500 * np.exp(-90_000 * per_s) - 450 * np.exp(-89_700 * per_s)
    truth = 100 * 60_000 / (injected * (1 - np.exp(-600 * per_s)) / per_s)
    assert result.value("uptake_percent") == pytest.approx(truth, rel=0.03)


@pytest.mark.req("EXM-02")
def test_two_syringes_are_two_candidates_and_without_one_counts_are_given_alone():
    image = dicom(neck(n=128, pixel_mm=2.2, gland=60_000.0, around=0.1, fwhm_mm=8.0), pixel_mm=2.2, **{**NM_HEAD, **VIEW})
    (two,) = measure_series([image], beside=[syringe(), syringe(full_cps=6000.0)])
    (none,) = measure_series([image])
    assert any("two candidates" in w for w in two.warnings) and not none.warnings
    assert {"uptake_percent"} & {m.name for r in (two, none) for m in r.measures} == set()
    assert none.value("roi_net_cps") == pytest.approx(100, rel=0.03)

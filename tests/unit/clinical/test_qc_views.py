"""The view that the anatomy needs: kidneys from behind, thyroids and livers from the front; scatter is no second view."""

import numpy as np
import pytest
from clinical_images import NM_HEAD, dynamic, renal, thyroid
from qc_images import body, dicom, item

from spark_jobs.measure import measure_series
from spark_jobs.qc.clinical import whole_body_bone

ANTERIOR, POSTERIOR = (
    [item(CodeValue=c, CodingSchemeDesignator="SRT", CodeMeaning=m)]
    for c, m in (("R-10206", "anterior"), ("R-10214", "posterior"))
)


def heads(*views):
    return {
        "NumberOfDetectors": len(views),
        "DetectorInformationSequence": [item(**({"ViewCodeSequence": v} if v else {})) for v in views],
    }


def two_heads(frames, other, views, **tags):
    count = len(frames)
    phase = tags.pop("phase", None)
    about = {"DetectorVector": [1] * count + [2] * count, "EnergyWindowVector": [1] * 2 * count, **heads(*views)}
    if phase is not None:
        about |= {"PhaseVector": phase * 2, "TimeSliceVector": tags.pop("slices") * 2}
    return {"frames": np.concatenate([frames, other]), **about, **tags}


PHASE, SLICE = [1] * 40 + [2] * 57, [*range(1, 41), *range(1, 58)]


@pytest.mark.parametrize("views", [(ANTERIOR, POSTERIOR), (POSTERIOR, ANTERIOR)])
def test_kidneys_are_measured_from_behind_whichever_head_is_brighter(views):
    kidneys = renal()
    phases = {"phase": PHASE[: len(kidneys)], "slices": SLICE[: len(kidneys)]}
    behind = views.index(POSTERIOR)
    front = np.random.default_rng(1).poisson(kidneys[:, :, ::-1] * 1.5)
    both = [front, front]
    both[behind] = kidneys
    facts = two_heads(*both, views, **phases)
    (alone,) = measure_series([dynamic(kidneys)])
    (result,) = measure_series([dynamic(facts.pop("frames"), **facts)])
    assert (result.procedure, result.status) == ("renal_dynamic", "measured"), result.reason
    assert result.value("missing_frames_count") == 0
    assert {m.name: m.value for m in result.measures if m.name != "header_completeness_percent"} == pytest.approx(
        {m.name: m.value for m in alone.measures if m.name != "header_completeness_percent"}
    )


WRONG = [((None, None), "ViewCodeSequence"), ((ANTERIOR,) * 2, "no detector has it"), ((POSTERIOR,) * 2, "two candidates")]


@pytest.mark.parametrize(("views", "words"), WRONG)
def test_kidneys_without_the_one_view_from_behind_are_refused(views, words):
    kidneys = renal()
    facts = two_heads(
        kidneys, np.random.default_rng(3).poisson(kidneys), views, phase=PHASE[: len(kidneys)], slices=SLICE[: len(kidneys)]
    )
    (result,) = measure_series([dynamic(facts.pop("frames"), **facts)])
    assert (result.procedure, result.status) == ("renal_dynamic", "not_measured") and words in result.reason, result.reason


def test_numbers_of_frames_that_run_over_both_heads_are_no_missing_frames():
    kidneys = renal()
    facts = two_heads(
        kidneys,
        np.random.default_rng(3).poisson(kidneys),
        (POSTERIOR, ANTERIOR),
        phase=PHASE[: len(kidneys)],
        slices=SLICE[: len(kidneys)],
    )
    count = len(kidneys)
    facts["TimeSliceVector"] = [2 * k - 1 for k in facts["TimeSliceVector"][:count]] + [
        2 * k for k in facts["TimeSliceVector"][:count]
    ]
    (result,) = measure_series([dynamic(facts.pop("frames"), **facts)])
    assert result.value("missing_frames_count") == 0
    zero = dynamic(kidneys, TimeSliceVector=[k - 1 for k in SLICE[: len(kidneys)]])
    (refused,) = measure_series([zero])
    assert refused.status == "not_measured" and "TimeSliceVector counts from 0" in refused.reason


def test_a_thyroid_is_measured_from_the_front_alone():
    front, back = thyroid(), thyroid(counts=400_000)
    make = lambda frames, **tags: dicom(np.stack(frames), pixel_mm=2.2, **{**NM_HEAD, **tags})  # noqa: E731
    (result,) = measure_series([make([back, front], DetectorVector=[1, 2], **heads(POSTERIOR, ANTERIOR))])
    assert (result.procedure, result.status) == ("thyroid_static", "measured")
    assert {m.region for m in result.measures if m.name == "view_kcts"} == {"anterior"}
    for views, words in (((None, None), "ViewCodeSequence"), ((POSTERIOR, POSTERIOR), "no detector has it")):
        (refused,) = measure_series([make([back, front], DetectorVector=[1, 2], **heads(*views))])
        assert (refused.procedure, refused.status) == ("thyroid_static", "not_measured") and words in refused.reason


def test_scatter_is_no_second_view_of_a_bone_scan_or_a_thyroid():
    limits = [
        item(EnergyWindowRangeSequence=[item(EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=high)])
        for low, high in (("90", "126"), ("126", "154"))
    ]
    nuclide = [item(RadionuclideCodeSequence=[item(CodeValue="C-163A8", CodingSchemeDesignator="SRT", CodeMeaning="Tc-99m")])]
    known = {
        "EnergyWindowInformationSequence": limits,
        "EnergyWindowVector": [1, 2],
        "RadiopharmaceuticalInformationSequence": nuclide,
    }
    for images, kind, pixel_mm in (
        ([body(4e6), body()], "WHOLE BODY", 2.26),
        ([thyroid(counts=400_000), thyroid()], "STATIC", 2.2),
    ):
        data = dicom(np.stack(images), kind=kind, pixel_mm=pixel_mm, DetectorVector=[1, 1], **{**NM_HEAD, **known})
        (result,) = measure_series([data], "clinical")
        (counts,) = [m for m in result.measures if m.name == "view_kcts"]
        assert counts.value == pytest.approx(images[1].sum() / 1000) and any("photopeak" in w for w in result.warnings)


def pool(seed=0):
    """An early phase: body, heart, kidneys, vessels and bladder, and no bone."""
    y, x = np.mgrid[:1024, :256].astype(float)
    x = x - 127.5
    oval = lambda row, column, high, wide: ((y - row) / high) ** 2 + ((x - column) / wide) ** 2 < 1  # noqa: E731
    image = (
        ((abs(x) < 62) & (y > 200) & (y < 520)) + oval(140, 0, 42, 28) + (abs(abs(x) - 32) < 28) * ((y >= 515) & (y < 950)) * 0.8
    )
    image = (
        image + oval(300, 8, 30, 22) * 1.5 + oval(360, 26, 20, 10) * 2.5 + oval(360, -26, 20, 10) * 2.5 + oval(480, 0, 15, 18) * 2
    )
    image = image + ((abs(abs(x) - 30) < 3) & (y > 500) & (y < 720)) * 0.8 + ((abs(x) < 3) & (y > 320) & (y < 500))
    return np.random.default_rng(seed).poisson(image / image.sum() * 1.5e6)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_early_phase_is_no_bone_scan(seed):
    result = whole_body_bone.measure({"anterior": pool(seed), "posterior": pool(seed + 5)}, 2.4)
    assert result.status == "indicative" and "no bones" in result.reason
    assert whole_body_bone.measure({"anterior": pool(seed), "posterior": body()}, 2.4).status == "measured"

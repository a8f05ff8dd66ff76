"""PET of patients: noise of the liver, SUV, activity, coverage, seams; each degradation in its aspect; phantoms are no patients."""

import numpy as np
import pytest
from clinical_images import pet, pet_volume
from qc_images import DATA, code, item

from spark_jobs.measure import measure_series, render
from spark_jobs.procedures.clinical import pet as clinical_pet
from spark_jobs.qc.clinical import pet_patient
from spark_jobs.qc.result import Measure
from spark_jobs.reading import read

VOXEL = (5.0, 5.3, 5.3)
DAY_TAKEN = "RadiopharmaceuticalStartTime has no day: the last such time before the scan was taken"


def read_of(**given):
    result = pet_patient.measure(pet_volume(**given), VOXEL)
    assert result.status == "measured"
    return result


@pytest.mark.req("ANA-02")
def test_a_patient_is_told_and_measured_from_dicom():
    files = pet(pet_volume())
    (result,) = measure_series(files)
    assert (result.procedure, result.status, result.warnings) == ("pet_patient", "measured", (DAY_TAKEN,))
    # what was made: a liver of SUV 2.2 with 10 % noise, 280 MBq in 70 kg, an hour between injection and scan, T²/P of the counts
    assert result.value("liver_suv_mean") == pytest.approx(2.2, rel=0.03)
    assert result.value("liver_snr") == pytest.approx(10, rel=0.2)
    assert result.value("activity_mbq_per_kg") == pytest.approx(4.0) and result.value("uptake_min") == pytest.approx(60)
    assert result.value("nec_kcps") == pytest.approx((28e6 * 0.65) ** 2 / 40e6 / 120 / 1000, rel=1e-4)
    assert {m.aspect for m in result.measures} == {
        "counts/noise", "contrast", "motion", "positioning/coverage", "uniformity", "artefact", "timing", "header completeness",
    }  # fmt: skip
    assert measure_series(files[::-1]) == [result]
    assert render([], result).startswith(b"\x89PNG")


@pytest.mark.req("ANA-02")
def test_degradations_are_graded_each_in_its_aspect():
    whole = read_of()
    noisy = [read_of(noise=n) for n in (0.05, 0.2, 0.3)]
    assert [r.value("noise_percent") for r in noisy] == pytest.approx([5, 20, 30], rel=0.25)
    blurred = [whole, read_of(blur_mm=10), read_of(blur_mm=20)]
    gradient = [r.value("gradient_energy_per_cm") for r in blurred]
    assert gradient == sorted(gradient, reverse=True) and gradient[-1] < 0.9 * gradient[0]
    moved = [whole, *(read_of(jump_mm=j) for j in (10, 20, 30))]
    jumps = [r.value("axis_jump_mm") for r in moved]
    assert jumps == sorted(jumps) and jumps[-1] == pytest.approx(30, rel=0.25)
    seams = [read_of(seam=s).value("plane_jump_percent") for s in (0, 0.3, 0.6)]
    assert seams == sorted(seams) and seams[-1] > 2 * seams[0]
    aside = [whole.value("truncation_percent"), *(read_of(shift_mm=s).value("truncation_percent") for s in (60, 110))]
    assert aside[:2] == [0, 0] and aside[2] > 30
    for name in ("liver_body_ratio", "coverage_mm"):
        others = [r.value(name) for r in (*noisy, *moved[1:])]
        assert others == pytest.approx([whole.value(name)] * len(others), rel=0.1), name
    short = pet_patient.measure(pet_volume()[40:150], VOXEL)
    assert short.value("coverage_mm") == pytest.approx(550) and whole.value("coverage_mm") > 900


@pytest.mark.req("ANA-02")
def test_what_the_header_lacks_is_not_measured_and_said():
    volume = pet_volume()
    (unitless,) = measure_series(pet(volume, Units="NONE"))
    assert unitless.status == "measured" and any("no SUV" in w for w in unitless.warnings)
    assert "liver_suv_mean" not in {m.name for m in unitless.measures}
    (uncorrected,) = measure_series(pet(volume, CorrectedImage=["DECY"]))
    assert any("attenuation" in w for w in uncorrected.warnings)
    files = pet(volume)
    gap = measure_series(files[:90] + files[91:], "clinical")[0]
    assert gap.status == "not_measured" and not gap.measures
    (phantom,) = measure_series(pet(volume, PatientID="QC^1"))
    assert phantom.status == "not_measured" and not phantom.measures


def _phantoms():
    z, y, x = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (190, 96, 96)), indexing="ij")
    rng = np.random.default_rng(0)
    noise = 1 + 0.1 * rng.standard_normal(z.shape)
    round_ = np.hypot(x, y) * 5.3
    yield "cylinder", np.where((round_ < 100) & (abs(z) * 5 < 150), noise, 0.0)
    yield "long cylinder", np.where((round_ < 100) & (abs(z) * 5 < 350), noise, 0.0)
    yield "line in a cylinder", np.where((np.hypot(x, y - 8) < 1.5) & (abs(z) * 5 < 350), 50 * noise, 0.0)
    body = ((x * 5.3 / 150) ** 2 + (y * 5.3 / 115) ** 2 < 1) & (abs(z) * 5 < 110)
    spheres = sum(
        ((x * 5.3 - 57 * np.cos(k)) ** 2 + (y * 5.3 - 57 * np.sin(k)) ** 2 + (z * 5) ** 2 < (6 + 2.5 * k) ** 2) for k in range(6)
    )
    yield "body with spheres", np.where(body, noise * (1 + 7 * (np.asarray(spheres) > 0)), 0.0)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("name, volume", list(_phantoms()), ids=lambda v: v if isinstance(v, str) else "")
def test_phantoms_are_no_patients(name, volume):
    assert not pet_patient.is_like_a_patient(volume, VOXEL)


@pytest.mark.skipif(not DATA.exists(), reason="the folder with real images is not there")
def test_the_real_phantom_is_no_patient():
    series = [read(p.read_bytes()) for p in sorted((DATA / "pt_nema_iq").glob("*.dcm"))]
    assert clinical_pet.look(series) is None


def test_a_code_decides_for_a_part_of_a_body():
    part = pet_volume()[60:130]
    assert measure_series(pet(part))[0].status == "not_measured"
    (named,) = measure_series(pet(part, PerformedProtocolCodeSequence=code("PP-PETCT")))
    assert named.status == "measured" and named.procedure == "pet_patient"


@pytest.mark.req("ANA-02")
@pytest.mark.parametrize("factor, given", [(20.7, False), (12.0, False), (0.05, False), (0.5, True), (1.0, True), (2.0, True)])
def test_an_suv_that_no_body_can_have_is_not_measured(factor, given):
    """20.7: eight hours of F-18, an offset from UTC that was cut off; a liver of 2.2 read 45."""
    result = pet_patient.measure(pet_volume(), VOXEL, suv_factor=factor)
    names = {m.name for m in result.measures}
    assert result.status == "measured" and ({"liver_suv_mean", "body_suv_mean"} <= names) == given
    assert any("no body has a mean SUV" in w for w in result.warnings) != given
    assert given or not names & {"liver_suv_mean", "body_suv_mean"}


@pytest.mark.req("ANA-02")
@pytest.mark.parametrize(
    "times, tags, reason",
    [
        (1.0, {}, None),
        (0.6, {}, None),  # much in the urine
        (3.0, {}, "% of the activity given"),
        (2.0, {}, "% of the activity given"),
        (1 / 3, {}, "no body has a mean SUV of 0.314"),
        (1.0, {"PatientWeight": "95"}, None),
        (1.0, {"PatientWeight": "40"}, None),
        (1.0, {"PatientWeight": "210"}, "a weight of 210 kg"),
        (1.0, {"PatientWeight": "23.3"}, "a weight of 23.3 kg"),
        (1.0, {"PatientWeight": "154", "PatientSize": "1.6"}, "a weight of 154 kg"),  # pounds
    ],
)
def test_a_body_holds_no_more_than_was_injected_and_weighs_what_it_shows(times, tags, reason):
    """45.9 l of 70 kg are in the field, with a mean SUV of 0.94: 62 % of what was injected."""
    (result,) = measure_series(pet(times * pet_volume(noise=0.05, shape=(190, 96, 96)), **tags))
    names = {m.name for m in result.measures}
    assert result.status == "measured" and ("body_suv_mean" in names) == (reason is None)
    if reason is None:
        assert result.warnings == (DAY_TAKEN,) and result.value("activity_mbq_per_kg") > 0
    else:
        assert any(reason in w for w in result.warnings) and not names & {"liver_suv_mean", "activity_mbq_per_kg"}


def test_a_weight_that_cannot_be_read_is_named_and_is_no_absent_one():
    broken = [f.replace(b"DS\x02\x0070", b"DS\x02\x007O") for f in pet(pet_volume())]
    (result,) = measure_series(broken)
    assert result.status == "measured" and not {"body_suv_mean", "activity_mbq_per_kg"} & {m.name for m in result.measures}
    assert any("PatientWeight" in w for w in result.warnings)


@pytest.mark.parametrize(
    "wait, factor, given",
    [(60.0, 0.3, False), (240.0, 0.3, True), (5760.0, 0.1, True), (5760.0, 0.03, False), (5760.0, 3.0, False)],
)
def test_days_after_the_injection_most_may_have_left_and_nothing_has_come_in(wait, factor, given):
    timing = [Measure("uptake_min", wait, "min")]
    result = pet_patient.measure(pet_volume(), VOXEL, suv_factor=factor, weight_kg=70.0, timing=timing)
    assert ("body_suv_mean" in {m.name for m in result.measures}) == given


def test_a_short_field_may_hold_most_of_the_activity_and_never_more_than_all():
    thyroid = pet_volume()[150:182]  # 16 cm
    for factor, given in ((1.0, True), (3.0, True), (9.0, False)):
        result = pet_patient.measure(thyroid, VOXEL, suv_factor=factor, weight_kg=70.0)
        assert ("body_suv_mean" in {m.name for m in result.measures}) == given, factor


@pytest.mark.parametrize("kcps, given", [(60.0, True), (1900.0, True), (60e3, False), (0.02, False)])
def test_a_rate_that_no_patient_gives_is_not_measured(kcps, given):
    """A duration in seconds where the header asks for milliseconds makes a thousand times too much."""
    result = pet_patient.measure(pet_volume(), VOXEL, nec_cps=1000 * kcps)
    assert ("nec_kcps" in {m.name for m in result.measures}) == given
    assert any("ActualFrameDuration" in w for w in result.warnings) != given


@pytest.mark.parametrize("mbq, given", [(280.0, True), (0.5, False), (9000.0, False)])
def test_an_activity_per_weight_that_nobody_is_given_is_not_measured(mbq, given):
    result = pet_patient.measure(pet_volume(), VOXEL, mbq_per_kg=mbq / 70)
    assert ("activity_mbq_per_kg" in {m.name for m in result.measures}) == given
    assert any("MBq/kg" in w for w in result.warnings) != given


@pytest.mark.req("ANA-02")
def test_the_time_to_a_scan_over_midnight_is_that_of_its_first_slice():
    facts = {"SeriesDate": "20260302", "SeriesTime": "235000", "AcquisitionDate": "", "RadiopharmaceuticalStart": "225000"}
    given = item(
        RadionuclideTotalDose="280000000",
        RadionuclideHalfLife="6586.2",
        RadiopharmaceuticalStartTime=facts.pop("RadiopharmaceuticalStart"),
    )
    files = pet(pet_volume())
    series = [read(f) for f in files]
    for k, instance in enumerate(series):
        for name, value in facts.items():
            setattr(instance.dataset, name, value)
        instance.dataset.AcquisitionTime = "000500" if k < 60 else "235000"
        instance.dataset.RadiopharmaceuticalInformationSequence = [given]
    timing, notes = clinical_pet._uptake(series)
    assert [m.value for m in timing] == [60.0] and notes == (DAY_TAKEN,)

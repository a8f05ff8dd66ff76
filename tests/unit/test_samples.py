"""The documents in docs/samples are what people copy: each is measured, with the images that it tells of."""

import json
import math
from datetime import datetime

import pytest
from clinical_images import NM_HEAD, neck
from pet_images import cylinder, dosed, iq_phantom, slices
from qc_images import dicom

from connectors.settings import ROOT
from spark_jobs.measure import measure_mixed, measure_series, read_object

SAMPLES = ROOT / "docs" / "samples"
ALONE = {"activimeter.json": ["activimeter"], "pet_daily_report.xml": ["pet_daily_qc", "pet_normalisation"]}
ALONE |= {"pet_normalisation.json": ["pet_normalisation"]}
F18_S = 6586.2


def sample(name: str) -> tuple[bytes, dict]:
    content = (SAMPLES / name).read_bytes()
    return content, json.loads(content)


@pytest.mark.parametrize("name", ALONE)
def test_a_sample_that_stands_alone_is_measured(name: str) -> None:
    found = measure_series([(SAMPLES / name).read_bytes()])
    assert [r.procedure for r in found] == ALONE[name]
    assert {r.status for r in found} == {"measured"}, [r.reason for r in found]
    assert all(r.measures for r in found)


def test_the_activities_of_a_nema_iq_phantom_give_the_contrast_its_verdict() -> None:
    content, sheet = sample("pet_nema_iq.json")
    ratio = sheet["spheres_bq_per_ml"] / sheet["background_bq_per_ml"]
    volume = iq_phantom(fwhm=7.0, ratio=ratio)
    facts = {"Units": "BQML", "DecayCorrection": "START", "StudyInstanceUID": sheet["study_uid"], **scan_at("100000")}
    (told,) = measure_mixed([read_object(f) for f in [*slices(volume, (3.0, 3.0, 3.0), **facts), content]])
    assert told.results[0].status == "measured", told.results[0].reason
    assert told.results[0].value("background_bias_percent") == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("name", ["pet_cross_calibration.json", "suv_calibration.json"])
def test_a_filling_meets_its_cylinder(name: str) -> None:
    content, sheet = sample(name)
    scanned = datetime(2026, 4, 1, 10, 0)
    at = [datetime.fromisoformat(sheet[k]) for k in ("measured_at", "residual_measured_at")]
    left = [mbq * 2 ** (-(scanned - t).total_seconds() / F18_S) for mbq, t in zip((64, -2), at, strict=True)]
    true = sum(left) * 1e6 / sheet["volume_ml"]
    facts = dosed(1e6, injected=at[0], scanned=scanned, correction="START", weight_kg=70)
    files = slices(cylinder(true, noise=0.01), (4.0, 4.0, 4.0), **{**facts, "StudyInstanceUID": sheet["study_uid"]})
    (told,) = measure_mixed([read_object(f) for f in [*files, content]])
    found = {r.procedure: r for r in told.results}
    assert found[sheet["procedure"]].status == "measured", found[sheet["procedure"]].reason
    bias = {"pet_cross_calibration": "calibration_bias_percent", "suv_calibration": "suv_bias_percent"}[sheet["procedure"]]
    assert found[sheet["procedure"]].value(bias) == pytest.approx(0, abs=0.2)


def test_the_counted_syringe_gives_the_uptake_of_the_gland() -> None:
    content, sheet = sample("thyroid_static.json")
    scene = {"n": 128, "pixel_mm": 2.2, "gland": 60_000.0, "around": 0.1, "fwhm_mm": 8.0}
    view = {"ActualFrameDuration": 600_000, "StudyInstanceUID": sheet["study_uid"]}
    view |= {f"{k}Date": "20260504" for k in ("Acquisition", "Series")} | {
        f"{k}Time": "100500" for k in ("Acquisition", "Series")
    }
    image = dicom(neck(**scene), pixel_mm=2.2, **{**NM_HEAD, **view})
    (told,) = measure_mixed([read_object(f) for f in (image, content)])
    (result,) = told.results
    assert result.status == "measured" and not math.isnan(result.value("uptake_percent", "whole")), result.reason


def scan_at(clock: str) -> dict[str, str]:
    return {"SeriesDate": "20260401", "SeriesTime": clock, "AcquisitionDate": "20260401", "AcquisitionTime": clock}


def test_no_sample_is_left_out_and_each_is_named() -> None:
    here = {p.name for p in SAMPLES.iterdir()} - {"README.md"}
    told = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert here == {*ALONE, "pet_nema_iq.json", "pet_cross_calibration.json", "suv_calibration.json", "thyroid_static.json"}
    assert all(name in told for name in here)

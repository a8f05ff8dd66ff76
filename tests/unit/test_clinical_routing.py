"""Which series go to the clinical analysis: those that somebody can measure, and never a phantom."""

import json
from pathlib import Path

import pytest
from clinical_images import NM_HEAD, thyroid
from jsonschema import Draft202012Validator
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from qc_images import code, dicom, item

from connectors import events
from connectors.dicom.storage.facts import series_facts
from judgement.days import site_zone
from spark_jobs.jobs.analyse import is_clinical

CHINA = site_zone("Asia/Shanghai")

KINDS = ("WHOLE BODY", "STATIC", "DYNAMIC", "TOMO", "GATED TOMO", "RECON TOMO")


def facts(kind, *codes, modality="NM", is_phantom=False):
    out = {"modality": modality, "image_type": f"ORIGINAL\\PRIMARY\\{kind}\\EMISSION", "is_phantom": is_phantom}
    return out | ({"protocol_codes": list(codes)} if codes else {})


@pytest.mark.req("ANA-02")
@pytest.mark.parametrize(
    "wanted, kinds",
    [("PP-WBBONE", {"WHOLE BODY"}), ("PP-THYROID", {"STATIC"}), ("PP-RENAL", {"DYNAMIC"}), ("PP-HEPATO", {"DYNAMIC"}), ("PP-MYOCARD", {"TOMO"})],
)  # fmt: skip
def test_a_code_sends_the_images_that_it_is_for_and_no_others(wanted, kinds):
    always = {"WHOLE BODY", "GATED TOMO"}
    assert {k for k in KINDS if is_clinical(facts(k, wanted))} == kinds | always
    assert not any(is_clinical(facts(k, wanted, is_phantom=True)) for k in KINDS)
    assert not is_clinical(facts("AXIAL", wanted, modality="CT"))


@pytest.mark.req("ANA-02")
def test_without_a_code_only_what_its_class_names_goes():
    assert {k for k in KINDS if is_clinical(facts(k))} == {"WHOLE BODY", "GATED TOMO"}
    assert {k for k in KINDS if is_clinical(facts(k, "PP-FLOOD", "XYZ"))} == {"WHOLE BODY", "GATED TOMO"}


@pytest.mark.req("ANA-02")
def test_the_event_of_a_series_carries_the_codes_of_order_and_protocol():
    ordered = [item(ScheduledProtocolCodeSequence=code("PP-THYROID"), RequestedProcedureID="1")]
    other = [item(CodeValue="P5-D0", CodingSchemeDesignator="SRT", CodeMeaning="x")]
    data = dicom(thyroid(), pixel_mm=2.2, **NM_HEAD, RequestAttributesSequence=ordered, ProcedureCodeSequence=other)
    said = series_facts(dcmread(DicomBytesIO(data)), CHINA)
    assert said["protocol_codes"] == ["PP-THYROID"] and is_clinical(said)
    schema = json.loads((Path(events.__file__).parent / "schemas" / "dicom.series.json").read_text())
    for event in (said, {k: v for k, v in said.items() if k != "protocol_codes"}):  # events of before are still events
        given = {**event, "instances": [{"sop_instance_uid": "1.2", "object_key": "a", "sha256": "0" * 64}]}
        Draft202012Validator(schema).validate(given)
    plain = series_facts(dcmread(DicomBytesIO(dicom(thyroid(), pixel_mm=2.2, **NM_HEAD))), CHINA)
    assert "protocol_codes" not in plain and not is_clinical(plain)

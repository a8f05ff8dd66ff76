"""The copy that analyses read holds no name, wherever the sender wrote it."""

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from connectors.dicom.storage.pseudonymise import pseudonymised
from connectors.identity import Keys
from spark_jobs.private_elements import private_value
from spark_jobs.procedures.administration import PHILIPS_SUV
from spark_jobs.procedures.reference_moment import GE_SCAN_START, SIEMENS_REFERENCE
from spark_jobs.scales import SIEMENS

KEYS = Keys("MAIN", b"p" * 32, b"s" * 32)


def copy(patient_id: str, name: str, **tags: object) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", "1.2.3"
    ds.PatientID, ds.PatientName = patient_id, name
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    sent = BytesIO()
    ds.save_as(sent, enforce_file_format=True)
    return dcmread(BytesIO(pseudonymised(dcmread(BytesIO(sent.getvalue())), patient_id, KEYS)))


@pytest.mark.req("DC-11")
@pytest.mark.parametrize("told", ["Bone of Doe, Jane", "JANE DOE", "doe^jane", "id P0001 late", "骨 王小明", "P0001"])
def test_a_description_that_names_the_patient_is_emptied(told):
    item = Dataset()
    item.RequestedProcedureDescription = told
    said = copy("P0001", "Doe^Jane=王^小明", SeriesDescription=told, RequestAttributesSequence=[item])
    assert not said.SeriesDescription and not said.RequestAttributesSequence[0].RequestedProcedureDescription
    assert said.PatientID.startswith("PT-") and not said.PatientName


def test_other_descriptions_stay_and_phantoms_keep_all_of_theirs():
    said = copy("P0001", "Doe^Jane", SeriesDescription="Whole body, Jane's protocol", Manufacturer="Doe Medical")
    assert (said.SeriesDescription, said.Manufacturer) == ("Whole body, Jane's protocol", "Doe Medical")
    assert copy("QC^SN-1", "QC^SN-1", SeriesDescription="flood QC^SN-1").SeriesDescription == "flood QC^SN-1"


def test_a_character_set_that_nobody_knows_is_no_reason_to_refuse():
    said = copy("P0001", "Doe^Jane", SpecificCharacterSet="ISO_IR 999", SeriesDescription="of P0001", StudyDescription="bone")
    assert (said.SeriesDescription, said.StudyDescription) == ("", "bone")


def private(told, syntax=ExplicitVRLittleEndian, patient_id="P0001"):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.128", "1.2.3"
    ds.PatientID, ds.PatientName = patient_id, "Doe^Jane"
    for group, creator, element, vr, value in told:
        ds.private_block(group, creator, create=True).add_new(element, vr, value)
    sent = BytesIO()
    ds.save_as(sent, enforce_file_format=True)
    return dcmread(BytesIO(pseudonymised(dcmread(BytesIO(sent.getvalue())), patient_id, KEYS)))


SAFE = [
    (*PHILIPS_SUV, "DS", "0.000215"),
    (*SIEMENS_REFERENCE, "DT", "20260302101000.000000"),
    (*GE_SCAN_START, "DT", "20260302101000+0800"),
    (0x0033, SIEMENS, 0x38, "FL", 0.5),
    (0x0057, SIEMENS, 0x06, "FL", -5.0),
    (0x0057, SIEMENS, 0x07, "FL", 0.25),
]


@pytest.mark.req("DC-11")
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_numbers_and_moments_of_vendors_stay_by_their_creator_and_nothing_beside_them(syntax):
    beside = [(g, c, 0x55, "LO", "Doe^Jane") for g, c, *_ in SAFE] + [(0x7053, "SOMEBODY ELSE", 0x00, "LO", "Doe^Jane")]
    said = private([*SAFE, *beside], syntax)
    for group, creator, element, _, value in SAFE:
        assert private_value(said, group, creator, element) == value
    assert len([t for t in list(said._dict) if t.is_private and t.element > 0xFF]) == len(SAFE)
    assert not [e for e in said if "Doe" in str(e.value)]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("value", ["Doe^Jane", "JANE", "P0001", "0,2500", "12 Main Street", "Jane 1970"])
def test_a_text_in_the_place_of_a_safe_number_is_not_kept_and_not_absent(value, syntax):
    said = private([(g, c, e, "LO", value) for g, c, e, *_ in SAFE], syntax)
    out = BytesIO()
    said.save_as(out)
    assert value.encode() not in out.getvalue()
    assert {private_value(said, g, c, e) for g, c, e, *_ in SAFE} == {"?"}

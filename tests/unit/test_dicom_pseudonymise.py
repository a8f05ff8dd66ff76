"""The copy that analyses read holds no name, wherever the sender wrote it."""

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from connectors.dicom.storage.pseudonymise import pseudonymised
from connectors.identity import Keys

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

"""Private elements are found by their creator, whichever block it has reserved and however the file is encoded."""

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from spark_jobs.private_elements import private_value

PHILIPS = (0x7053, "Philips PET Private Group", 0x00)
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def dataset(*elements, syntax=None):
    """(group, element, VR, value) …; written and read again where a syntax is given."""
    ds = Dataset()
    for group, element, vr, value in elements:
        ds.add_new((group, element), vr, value)
    if syntax is None:
        return ds
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.128", "1.2.3"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.128", "1.2.3"
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    out.seek(0)
    return dcmread(out)


OTHER = ((0x7053, 0x0010, "LO", "OTHER VENDOR"), (0x7053, 0x1000, "DS", "0.9"))


@pytest.mark.parametrize("syntax", [None, *SYNTAXES])
@pytest.mark.parametrize("block", [0x10, 0x11, 0x42, 0xFF])
def test_an_element_is_read_in_the_block_of_its_creator(syntax, block):
    own = ((0x7053, block, "LO", "Philips PET Private Group"), (0x7053, block << 8, "DS", "0.0002"))
    other = OTHER if block != 0x10 else ()
    assert float(private_value(dataset(*other, *own, syntax=syntax), *PHILIPS)) == 0.0002


@pytest.mark.parametrize("creator", ["PHILIPS PET PRIVATE GROUP ", "Philips  PET Private Group", "Philips PET Private Group"])
def test_blanks_and_case_of_a_creator_do_not_matter(creator):
    assert private_value(dataset((0x7053, 0x10, "LO", creator), (0x7053, 0x1000, "DS", "2")), *PHILIPS) == 2


def test_an_element_of_unknown_vr_is_read_as_text():
    assert (
        private_value(dataset((0x7053, 0x10, "UN", b"Philips PET Private Group "), (0x7053, 0x1000, "UN", b"0.5 ")), *PHILIPS)
        == "0.5"
    )


@pytest.mark.parametrize(
    "elements",
    [
        (),
        OTHER,  # the number is right, the creator another
        ((0x7053, 0x1000, "DS", "0.9"),),  # no creator at all
        ((0x7053, 0x11, "LO", "Philips PET Private Group"), (0x7053, 0x1000, "DS", "0.9")),
        ((0x7053, 0x10, "LO", "Philips PET Private Group"), (0x7053, 0x1001, "DS", "0.9")),
        ((0x7053, 0x10, "LO", "Philips PET Private Group"), (0x7053, 0x1000, "DS", "")),
        ((0x7053, 0x10, "LO", "Philips PET Private Group 2"), (0x7053, 0x1000, "DS", "0.9")),
        ((0x7055, 0x10, "LO", "Philips PET Private Group"), (0x7055, 0x1000, "DS", "0.9")),
    ],
)
def test_what_no_block_of_the_creator_holds_is_not_there(elements):
    assert private_value(dataset(*elements), *PHILIPS) is None


def test_of_two_blocks_of_one_creator_the_one_that_holds_the_element_counts():
    twice = dataset(
        (0x7053, 0x10, "LO", "Philips PET Private Group"),
        (0x7053, 0x11, "LO", "Philips PET Private Group"),
        (0x7053, 0x1100, "DS", "3"),
    )
    assert private_value(twice, *PHILIPS) == 3

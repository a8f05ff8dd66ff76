"""Sample files of each kind, and ways to break them: cut, flipped, with values that no header should hold."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless
from qc_images import dicom, item, lit, rotation, water

SECRET = "Mueller"
TEXT = {
    "PatientName": f"{SECRET}^Anna",
    "PatientID": f"{SECRET}7",
    "InstitutionName": SECRET,
    "StudyDescription": SECRET,
    "StationName": SECRET,
}
HEADS = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["300", "240"], CollimatorType="NONE")]
WINDOWS = [item(EnergyWindowRangeSequence=[item(EnergyWindowLowerLimit="126", EnergyWindowUpperLimit="154")])]
NUCLIDE = item(CodeValue="C-163A8", CodingSchemeDesignator="SRT", CodeMeaning="^99m^Technetium")
DRUG = [
    item(
        RadionuclideTotalDose="40",
        RadionuclideHalfLife="21636",
        RadiopharmaceuticalStartTime="090000",
        RadionuclideCodeSequence=[NUCLIDE],
    )
]
TIME = {"AcquisitionTime": "100000", "ActualFrameDuration": "60000"}


def flood() -> bytes:
    counts = np.random.default_rng(0).poisson(lit("RECTANGLE", (310.0, 250.0), 4.8, 72) * 12_000)
    about = {
        "DetectorInformationSequence": HEADS,
        "EnergyWindowInformationSequence": WINDOWS,
        "RadiopharmaceuticalInformationSequence": DRUG,
    }
    return dicom(counts, pixel_mm=4.8, NumberOfFrames=1, DetectorVector=1, EnergyWindowVector=1, **about, **TEXT, **TIME)


def turn() -> bytes:
    views, _ = rotation(1.0, n=64, pixel_mm=6.0, views=20, step=18.0)
    facts = {"RotationInformationSequence": [item(AngularStep="18", RotationDirection="CW", StartAngle="0")]}
    vectors = {"AngularViewVector": list(range(1, 21)), "DetectorVector": [1] * 20}
    return dicom(views, kind="TOMO", pixel_mm=6.0, **facts, **vectors, **TEXT, **TIME)


def slice_of_water() -> bytes:
    about = {
        "RescaleSlope": "1",
        "RescaleIntercept": "-1024",
        "SliceThickness": "5",
        "KVP": "120",
        "ConvolutionKernel": "B30",
        "InstanceNumber": "1",
    }
    place = {"ImagePositionPatient": ["-63", "-63", "0"], "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}
    return dicom(water(n=128, pixel_mm=2.0) + 1024, modality="CT", kind="AXIAL", pixel_mm=2.0, **about, **place, **TEXT)


def slice_of_pet() -> bytes:
    x = np.hypot(*np.meshgrid(*[(np.arange(64) - 31.5) * 4] * 2)) < 90
    about = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128",
        "RescaleSlope": "2.5",
        "RescaleIntercept": "0",
        "Units": "BQML",
        "DecayCorrection": "START",
        "PatientWeight": "9.4",
    }
    place = {
        "ImagePositionPatient": ["-126", "-126", "0"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "SliceThickness": "4",
    }
    more = {
        "RadiopharmaceuticalInformationSequence": DRUG,
        "CorrectedImage": ["DECY", "ATTN"],
        **TIME,
    }
    return dicom(
        x * 2000,
        modality="PT",
        kind=None,
        pixel_mm=4.0,
        signed=True,
        **about,
        **place,
        **more,
        **TEXT,
    )


SAMPLES = {"flood": flood, "turn": turn, "water": slice_of_water, "pet": slice_of_pet}


def written(ds: Dataset, syntax: str | None = None, *, bare: bool = False) -> bytes:
    """The file of a data set, in another encoding, perhaps without preamble and file header."""
    out = BytesIO()
    if syntax == RLELossless:
        ds.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds["PixelData"].VR = "OW"
    if syntax is not None:
        ds.file_meta.TransferSyntaxUID = syntax
    implicit = syntax == ImplicitVRLittleEndian
    little = syntax != ExplicitVRBigEndian
    if bare:
        from pydicom.filebase import DicomBytesIO
        from pydicom.filewriter import write_dataset

        file = DicomBytesIO()
        file.is_implicit_VR, file.is_little_endian = implicit, little
        for element in ds:
            element.value  # noqa: B018 (raw values keep their old encoding)
        write_dataset(file, ds)
        return file.getvalue()
    pydicom.dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def elements(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, place and length of the value of each element of an explicit little endian file, also inside sequences."""
    ds = pydicom.dcmread(BytesIO(data))
    for element in ds.iterall():
        if element.VR in ("SQ", "OW") or not element.keyword:
            continue
        mark = element.tag.group.to_bytes(2, "little") + element.tag.element.to_bytes(2, "little") + element.VR.encode()
        at = data.find(mark, 132)
        if at > 0:
            yield element.keyword, at + 8, int.from_bytes(data[at + 6 : at + 8], "little")


def put(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name

"""Anything may stand in an element of a header, a name too: no reason, argument, note or warning shows it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from pet_images import cylinder, dosed, slices
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag
from qc_images import dicom, item

from spark_jobs.measure import measure_instances
from spark_jobs.procedures.administration import factor_of
from spark_jobs.procedures.clinical.header import uptake
from spark_jobs.reading import Unreadable, read

NAME = "MUELLER^ANNA"
PRIVATE = {
    "Philips PET Private Group": (0x7053, 0x00),
    "SIEMENS MED PT": (0x0071, 0x22),
    "GEMS_PETD_01": (0x0009, 0x0D),
    "SIEMENS MED NM": (0x0033, 0x38),
}
PET = """
Units SUVType DecayCorrection DecayFactor FrameReferenceTime ActualFrameDuration TimezoneOffsetFromUTC PatientWeight SeriesDate SeriesTime
AcquisitionDate AcquisitionTime AcquisitionDateTime RadionuclideTotalDose RadionuclideHalfLife RadiopharmaceuticalStartTime
RadiopharmaceuticalStartDateTime CodeValue CodeMeaning RescaleSlope RescaleIntercept CorrectedImage
"""
CAMERA = """
EnergyWindowName EnergyWindowLowerLimit EnergyWindowUpperLimit EnergyWindowVector DetectorVector CodeValue CodeMeaning Radiopharmaceutical
RadionuclideTotalDose RadionuclideHalfLife RadiopharmaceuticalStartTime AcquisitionDate AcquisitionTime SeriesTime ActualFrameDuration
TimezoneOffsetFromUTC RealWorldValueSlope RealWorldValueIntercept RescaleSlope FieldOfViewShape FieldOfViewDimensions StartAngle
NumberOfDetectors NumberOfEnergyWindows ImageType PatientPosition StationName DeviceSerialNumber
"""


def owners(ds, tag):
    found = [ds] if tag in ds else []
    for element in ds:
        if element.VR == "SQ":
            found += [o for i in element.value for o in owners(i, tag)]
    return found


def with_name(instance, keyword, as_text):
    """Return the image with the name in one element, as a text or as what the element's own type cannot hold."""
    tag = Tag(tag_for_keyword(keyword))
    for ds in owners(instance.dataset, tag) or [instance.dataset]:
        raw = RawDataElement(tag, dictionary_VR(tag).split(" or ")[0], len(NAME), NAME.encode(), 0, False, True)
        ds.pop(tag, None)
        ds[tag] = DataElement(tag, "LO", NAME) if as_text else raw
    return instance


def shown(*messages):
    """Return all that is shown of reasons and notes: text and arguments."""
    return json.dumps([[str(m), getattr(m, "args", None)] for m in messages], default=repr)


def pet(**tags):
    drug = item(
        RadionuclideTotalDose="60e6", RadionuclideHalfLife="6586.2", RadiopharmaceuticalStartDateTime="20260401090000+0800",
        RadiopharmaceuticalStartTime="090000", RadionuclideCodeSequence=[item(CodeValue="C-111A1", CodeMeaning="^18^Fluorine")],
    )  # fmt: skip
    facts = {**dosed(), "RadiopharmaceuticalInformationSequence": [drug], "TimezoneOffsetFromUTC": "+0800", "DecayFactor": "1.0"}
    return read(slices(cylinder()[:1], (4.0, 4.0, 4.0), **{**facts, "ActualFrameDuration": "60000", **tags})[0])


def of_pet(instance):
    try:
        return shown(*factor_of([instance])[1], *uptake(instance.dataset)[1])
    except Unreadable as exc:
        return shown(str(exc), *exc.args)


@pytest.mark.parametrize("keyword", PET.split())
@pytest.mark.parametrize("as_text", [True, False])
def test_a_name_in_a_pet_header_is_not_shown(keyword, as_text):
    for unit in ("BQML", "CNTS", "GML"):
        found = of_pet(with_name(pet(Units=unit), keyword, as_text))
        assert "MUELLER" not in found and "ANNA" not in found


@pytest.mark.parametrize("creator", PRIVATE)
@pytest.mark.parametrize("unit", ["BQML", "CNTS"])
def test_a_name_in_a_private_element_is_not_shown(creator, unit):
    group, element = PRIVATE[creator]
    instance = pet(Units=unit)
    instance.dataset.add_new((group, 0x10), "LO", creator)
    instance.dataset.add_new((group, 0x1000 + element), "LO", NAME)
    found = of_pet(instance)
    assert "MUELLER" not in found
    needed = {("CNTS", "Philips PET Private Group"), ("BQML", "SIEMENS MED PT"), ("BQML", "GEMS_PETD_01")}
    assert ("is there and cannot be read" in found) == ((unit, creator) in needed)


def camera(many=False):
    window = item(
        EnergyWindowName="w1", EnergyWindowRangeSequence=[item(EnergyWindowLowerLimit="126", EnergyWindowUpperLimit="154")]
    )
    drug = item(
        RadionuclideTotalDose="40", RadionuclideHalfLife="21624", RadiopharmaceuticalStartTime="100000",
        RadionuclideCodeSequence=[item(CodeValue="C-163A8", CodeMeaning="^99m^Technetium")],
    )  # fmt: skip
    unit = item(RealWorldValueSlope=2.0, RealWorldValueIntercept=0.0, MeasurementUnitsCodeSequence=[item(CodeValue="{counts}")])
    image = np.random.default_rng(1).poisson(3000, (2 if many else 1, 64, 64))
    facts = {"EnergyWindowVector": [1, 2]} if many else {}
    windows = [window, item(EnergyWindowName="scatter")] if many else [window]
    return read(
        dicom(
            image, pixel_mm=6, EnergyWindowInformationSequence=windows, RadiopharmaceuticalInformationSequence=[drug],
            AcquisitionDate="20260302", AcquisitionTime="110000", RealWorldValueMappingSequence=[unit], **facts,
        )
    )  # fmt: skip


@pytest.mark.parametrize("keyword", CAMERA.split())
@pytest.mark.parametrize("as_text", [True, False])
def test_a_name_in_the_header_of_a_camera_is_not_shown(keyword, as_text):
    for many in (False, True):
        found = measure_instances([replace(with_name(camera(many), keyword, as_text), notes={})])
        text = shown(*(m for r in found for m in (r.reason or "", *r.warnings)))
        assert found and "MUELLER" not in text and "ANNA" not in text


@pytest.mark.parametrize("code, meaning", [("C-114B1", "^99m^Technetium"), ("C-163A8", "^131^Iodine")])
def test_a_code_that_contradicts_its_meaning_is_refused_by_cameras_too(code, meaning):
    instance = camera()
    (drug,) = instance.dataset.RadiopharmaceuticalInformationSequence
    drug.RadionuclideCodeSequence[0].CodeValue, drug.RadionuclideCodeSequence[0].CodeMeaning = code, meaning
    (result,) = measure_instances([instance])
    assert result.status == "not_measured" and "names two nuclides: I-131, Tc-99m" in result.reason and not result.measures

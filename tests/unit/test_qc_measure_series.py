"""From DICOM bytes to results: the selector, every refusal, heads, encodings. Never a silent pass."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from line_images import down, noisy
from pydicom.uid import JPEG2000Lossless, RLELossless
from qc_images import CAPTURE, body, code, dicom, item, lit, rotation, tube, water

from spark_jobs.measure import measure_series, methods_digest, render

FIELD = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]


def flood(seed: int = 0, n: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).poisson(lit("RECTANGLE", (545.0, 399.0), 2.4, n) * 2_000)


def bars(n: int = 256) -> np.ndarray:
    x = np.arange(n) * 2.4
    return np.random.default_rng(0).poisson(
        lit("RECTANGLE", (545.0, 399.0), 2.4, n) * 500 * (1 + 0.6 * np.sin(x / 10 * 2 * np.pi))
    )


def tomo(offsets: list[float], **tags: object) -> bytes:
    """One frame stack of several heads that see 180° each, as cameras with two heads do."""
    frames, detectors, views = [], [], []
    for head, offset in enumerate(offsets, 1):
        images, _ = rotation(offset, views=64, step=5.625, start=180 * (head - 1), seed=head, background=0.5)
        frames.append(images)
        detectors += [head] * len(images)
        views += list(range(1, len(images) + 1))
    rotations = [item(AngularStep="5.625", RotationDirection="CC", ScanArc="360", StartAngle="0", NumberOfFramesInRotation=45)]
    facts = {
        "kind": "TOMO",
        "pixel_mm": 4.0,
        "DetectorVector": detectors,
        "EnergyWindowVector": [1] * len(detectors),
        "RotationVector": [1] * len(detectors),
        "AngularViewVector": views,
        "RotationInformationSequence": rotations,
        "DetectorInformationSequence": [item(StartAngle=str(180 * h)) for h in range(len(offsets))],
    }
    return dicom(np.concatenate(frames), **{**facts, **tags})


def slices(hu: float = 6.0, count: int = 7, **tags: object) -> list[bytes]:
    out = []
    for k in range(count):
        stored = np.rint(water(hu, 5, seed=k) + 1024)
        place = {"ImagePositionPatient": ["0", "0", str(-5 * k)], "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}
        scale = {"RescaleSlope": "1", "RescaleIntercept": "-1024"}
        out.append(dicom(stored, modality="CT", kind="AXIAL", pixel_mm=1.0, **{**place, **scale, **tags}))
    return out


def whole_body(**tags: object) -> bytes:
    return dicom(body()[None], kind="WHOLE BODY", pixel_mm=2.26, **tags)


@pytest.mark.req("ENG-03", "TST-02")
def test_flood_is_told_without_a_code_and_measured_in_its_declared_field():
    (result,) = measure_series([dicom(flood(), DetectorInformationSequence=FIELD)])
    assert (result.procedure, result.status, result.detector) == ("planar_uniformity", "measured", "1")
    assert result.warnings == ("count rate unknown: the header gives no ActualFrameDuration",)
    assert result.method and result.method_version and all(m.unit for m in result.measures)
    assert render([], result).startswith(b"\x89PNG")
    assert result == measure_series([dicom(flood(), DetectorInformationSequence=FIELD)])[0]


@pytest.mark.req("TST-06", "ENG-03")
def test_two_heads_are_measured_apart():
    results = measure_series([tomo([2.0, -3.0])])
    assert [(r.detector, r.status) for r in results] == [("1", "measured"), ("2", "measured")]
    assert [r.value("cor_offset_mm") for r in results] == pytest.approx([2.0, -3.0], abs=0.05)
    assert [r.value("cor_head_difference_mm") for r in results] == pytest.approx([5.0, 5.0], abs=0.1)
    assert all(render([], r).startswith(b"\x89PNG") for r in results)


@pytest.mark.req("TST-06", "ENG-03")
def test_a_myocardial_header_of_104_degrees_two_windows_repeated_views_is_read():
    """Each head and window counts its views from 1; NumberOfFramesInRotation and ScanArc do not say what was done."""
    frames, heads, windows, views = [], [], [], []
    for head, offset in ((1, 1.5), (2, -2.0)):
        for window in (1, 2):
            images, _ = rotation(
                offset, views=17, step=6.12, start=45 + 90 * head, seed=head, background=0.2, counts=80_000 / window
            )
            frames.append(images)
            heads, windows, views = heads + [head] * 17, windows + [window] * 17, views + list(range(1, 18))
    turn = item(AngularStep="6.12", RotationDirection="CC", ScanArc="360", StartAngle="45", NumberOfFramesInRotation=64)
    limits = [
        item(EnergyWindowRangeSequence=[item(EnergyWindowLowerLimit=low, EnergyWindowUpperLimit=high)])
        for low, high in (("126", "154"), ("100", "126"))
    ]
    nuclide = [item(RadionuclideCodeSequence=[item(CodeValue="C-163A8", CodingSchemeDesignator="SRT", CodeMeaning="Tc-99m")])]
    facts = {"DetectorVector": heads, "EnergyWindowVector": windows, "AngularViewVector": views, "PixelSpacing": ["4", "4"]}
    facts |= {"EnergyWindowInformationSequence": limits, "RadiopharmaceuticalInformationSequence": nuclide}
    results = measure_series(
        [dicom(np.concatenate(frames), kind="TOMO", pixel_mm=4.0, RotationInformationSequence=[turn], **facts)]
    )
    assert [r.value("cor_offset_mm") for r in results] == pytest.approx([1.5, -2.0], abs=0.1)
    assert [r.value("arc_deg") for r in results] == pytest.approx([104.04, 104.04], abs=0.01)
    assert all(any("2 energy windows" in w for w in r.warnings) for r in results)


@pytest.mark.req("ANA-05", "ENG-03")
def test_ct_water_reads_hounsfield_units_of_the_central_slices():
    files = slices()
    (result,) = measure_series(files)
    assert (result.procedure, result.status) == ("ct_water", "measured"), result.reason
    assert result.value("water_hu") == pytest.approx(6.0, abs=0.5)
    assert measure_series(files[::-1]) == [result]
    assert render(files, result).startswith(b"\x89PNG")


@pytest.mark.req("ANA-02")
def test_a_bone_scan_in_a_secondary_capture_of_modality_nm_is_measured():
    (result,) = measure_series([whole_body(SOPClassUID=CAPTURE)])
    assert (result.procedure, result.status) == ("whole_body_bone", "measured")
    assert {m.region for m in result.measures} == {"whole"}
    head = [item(ViewCodeSequence=[item(CodeValue="R-10206")]), item(ViewCodeSequence=[item(CodeValue="R-10214")])]
    both = dicom(
        np.stack([body(), body(seed=1)]),
        kind="WHOLE BODY",
        pixel_mm=2.26,
        DetectorVector=[1, 2],
        DetectorInformationSequence=head,
    )
    (result,) = measure_series([both], "clinical")
    assert {m.region for m in result.measures} == {"anterior", "posterior", "whole"}


REFUSALS = {
    "no DICOM": ([b"not an image at all" * 20], "no DICOM"),
    "spacing": ([dicom(flood(), pixel_mm=None)], "PixelSpacing"),
    "spacing of a flood in cm": ([dicom(flood(), PixelSpacing=["0.24", "0.24"])], "field of 61 mm"),
    "spacing of a rotation in cm": ([tomo([6.0], PixelSpacing=["0.4", "0.4"])], "field of 51 mm"),
    "spacing of a line in cm": (
        [dicom(noisy(down(8.0, shape=(512, 512), length_mm=400.0)), PixelSpacing=["0.1", "0.1"])],
        "field of 51 mm",
    ),
    "spacing of a scan in cm": ([dicom(body()[None], kind="WHOLE BODY", PixelSpacing=["0.226", "0.226"])], "field of 58 mm"),
    "spacing ten times too large": ([dicom(flood(), PixelSpacing=["24", "24"])], "field of 6144 mm"),
    "a line sharper than a crystal": (
        [dicom(noisy(down(8.0, shape=(512, 512), length_mm=400.0)), PixelSpacing=["0.2", "0.2"])],
        "FWHM of 1.6 mm",
    ),
    "not square": ([dicom(flood(), PixelSpacing=["2.4", "2.6"])], "PixelSpacing"),
    "screen capture": ([dicom(flood(), SOPClassUID=CAPTURE)], "Secondary Capture"),
    "processed": ([dicom(flood(), ImageType=["DERIVED", "PRIMARY", "STATIC"])], "processed"),
    "a picture of a slice": (
        [
            dicom(
                water() + 1024,
                modality="CT",
                kind="AXIAL",
                pixel_mm=1.0,
                RescaleSlope="1",
                RescaleIntercept="-1024",
                ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"],
            )
        ],
        "processed",
    ),
    "lossy": ([dicom(flood(), LossyImageCompression="01")], "lossy"),
    "clipped": ([dicom(np.minimum(flood() * 40, 65535))], "clipped"),
    "clipped words": ([dicom(np.minimum(flood() * 18, 32767))], "clipped"),
    "two candidates": (
        [dicom(np.stack([flood(), flood(1)]), DetectorVector=[1, 1], EnergyWindowVector=[1, 1])],
        "two candidates",
    ),
    "bars": ([dicom(bars())], "no procedure fits"),
    "bars sold as flood": ([dicom(bars(), PerformedProtocolCodeSequence=code("PP-FLOOD"))], "the pixels look like"),
    "wrong code": ([dicom(flood(), PerformedProtocolCodeSequence=code("PP-COR"))], "Centre of rotation"),
    "two codes": ([dicom(flood(), PerformedProtocolCodeSequence=code("PP-COR") + code("PP-FLOOD"))], "2 procedures"),
    "wrong class": ([dicom(flood(), kind="DYNAMIC")], "header's class"),
    "no rescale": (slices(RescaleSlope=None), "Rescale"),
    "rotation without angles": ([tomo([0.0], RotationInformationSequence=None)], "RotationInformation"),
    "empty": ([dicom(np.zeros((128, 128)))], "no procedure fits"),
    "mixed sizes": ([dicom(flood()), dicom(flood(n=252))], "differ"),
    "nothing": ([], "no image"),
}


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_measured_says_why_and_gives_no_number(name):
    files, word = REFUSALS[name]
    results = measure_series(files)
    assert results
    for result in results:
        assert result.status == "not_measured" and not result.measures
        assert word in result.reason, result.reason
        assert render(files, result) is None


@pytest.mark.req("ANA-05")
def test_a_broken_file_is_a_reason_not_an_exception():
    whole = dicom(flood())
    for cut in (200, 800, len(whole) // 2):
        (result,) = measure_series([whole[:cut]])
        assert result.status == "not_measured" and result.reason
    spoilt = tomo([0.0]).replace(b"5.625 ", b"5,625 ")
    (result,) = measure_series([spoilt])
    assert result.status == "not_measured" and "5,625" in str(result.reason)


@pytest.mark.req("ENG-03")
def test_an_analysis_measures_only_its_own_kind():
    assert measure_series([whole_body()], "phantom")[0].status == "not_measured"
    assert measure_series([dicom(flood())], "clinical")[0].status == "not_measured"
    assert measure_series([dicom(flood())], "phantom")[0].status == "measured"


@pytest.mark.req("ENG-03")
def test_header_text_is_never_believed():
    lied = dicom(flood(), SeriesDescription="WHOLE BODY BONE", StudyDescription="COR", ProtocolName="PP-COR")
    assert measure_series([lied])[0].procedure == "planar_uniformity"


@pytest.mark.req("ENG-03", "ANA-05")
def test_a_dead_tube_does_not_hide_the_flood():
    pattern = tube(2.4, 256, 0, 0, 0.0) * lit("RECTANGLE", (545.0, 399.0), 2.4, 256)
    result, artefacts = measure_series([dicom(np.random.default_rng(0).poisson(pattern * 2_000))])
    assert artefacts.procedure == "artefacts" and artefacts.measures[0].at["artefacts"][0]["type"] == "tube"
    assert result.status == "measured" and result.value("cfov_iu_percent") > 98


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_the_same_image_in_other_encodings_gives_equal_results(syntax):
    plain = dicom(flood())
    ds = pydicom.dcmread(BytesIO(plain))
    ds.compress(syntax, generate_instance_uid=False)
    out = BytesIO()
    ds.save_as(out)
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert measure_series([out.getvalue()]) == measure_series([plain])


@pytest.mark.req("ENG-03")
def test_objects_of_one_series_that_speak_of_the_same_detector_stay_apart():
    results = measure_series([dicom(flood(s)) for s in range(2)])
    assert [r.detector for r in results] == ["1#1", "1#2"]


def test_the_digest_names_all_methods():
    assert len(methods_digest()) == 64 and set(methods_digest()) <= set("0123456789abcdef")


MISLED = {
    "signed counts": (dicom(np.where(flood() * 20 > 32767, flood() * 20 - 65536, flood() * 20), signed=True), "negative"),
    "no modality": (dicom(flood(), Modality=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.20"), "Modality is empty"),
    "no photometric interpretation": (dicom(flood(), PhotometricInterpretation=None), "PhotometricInterpretation is empty"),
    "a list": (b'[{"procedure": "activimeter"}]' + b" " * 200, "`procedure`"),
    "a sheet in GBK": ('{"procedure": "activimeter", "备注": "水"}'.encode("gbk"), "UTF-8"),
    "a sheet in UTF-16": ('{"procedure": "activimeter"}'.encode("utf-16"), "UTF-8"),
}


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("name", MISLED)
def test_the_reason_says_what_is_wrong_and_not_what_it_looks_like(name):
    data, word = MISLED[name]
    (result,) = measure_series([data])
    assert result.status == "not_measured" and word in result.reason, result.reason

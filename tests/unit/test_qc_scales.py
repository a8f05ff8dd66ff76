"""What scales stored values is applied, or nothing is measured; vectors and heads are the header's or nobody's."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from clinical_images import dynamic, renal
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from qc_images import dicom, item, lit, rotation
from test_qc_counting import dish, expected_counts, header
from tomo_images import cylinder, recon

from spark_jobs.answers import answers
from spark_jobs.energy_windows import windows_of
from spark_jobs.measure import measure_series
from spark_jobs.procedures.frame_time import frame_times
from spark_jobs.reading import Unreadable, read


def even(counts=3_000, seed=0):
    return np.random.default_rng(seed).poisson(lit("RECTANGLE", (533.0, 387.0), 2.4, 250) * counts)


def mapping(slope, unit="{counts}", first=0, last=65535, **tags):
    units = [item(CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)]
    about = {"RealWorldValueSlope": slope, "RealWorldValueIntercept": 0.0, "MeasurementUnitsCodeSequence": units}
    return item(**{**about, "RealWorldValueFirstValueMapped": first, "RealWorldValueLastValueMapped": last, **tags})


def siemens(data, group, element, value):
    ds = pydicom.dcmread(BytesIO(data))
    ds.private_block(group, "SIEMENS MED NM", create=True).add_new(element, "FL", value)
    out = BytesIO()
    ds.save_as(out)
    return out.getvalue()


SCALED = {
    "real world values": lambda: dicom(even() * 4, RealWorldValueMappingSequence=[mapping(0.25)]),
    "the same said twice": lambda: dicom(
        even() * 4, RealWorldValueMappingSequence=[mapping(0.25)], RescaleSlope="0.25", RescaleIntercept="0"
    ),
    "a fractional rescale of whole counts": lambda: dicom(even() * 4, RescaleSlope="0.25", RescaleIntercept="0"),
    "an offset": lambda: dicom(even() + 100, RescaleSlope="1", RescaleIntercept="-100"),
    "a vendor's own": lambda: siemens(dicom(even() * 4), 0x0057, 0x07, 0.25),
}


@pytest.mark.parametrize("name", SCALED)
def test_counts_are_what_the_scale_makes_of_the_stored_values(name):
    image = read(SCALED[name]())
    assert (image.pixels[0] == even()).all() and np.issubdtype(image.pixels.dtype, np.integer)


REFUSED = {
    "no counts": lambda: dicom(even(), RealWorldValueMappingSequence=[mapping(0.3)]),
    "another unit": lambda: dicom(even(), RealWorldValueMappingSequence=[mapping(2.0, "Bq/ml")]),
    "two ways": lambda: dicom(even(), RealWorldValueMappingSequence=[mapping(2.0), mapping(3.0)]),
    "a contradiction": lambda: dicom(
        even(), RealWorldValueMappingSequence=[mapping(2.0)], RescaleSlope="4", RescaleIntercept="0"
    ),
    "a table": lambda: dicom(even(), RealWorldValueMappingSequence=[mapping(None, RealWorldValueLUTData=[0.0, 1.0])]),
    "values beyond the mapped": lambda: dicom(even(), RealWorldValueMappingSequence=[mapping(2.0, last=100)]),
    "a Modality LUT": lambda: dicom(even(), ModalityLUTSequence=[item(LUTExplanation="counts")]),
    "a vendor's own factor": lambda: siemens(dicom(even()), 0x0033, 0x38, 0.5),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_scale_that_cannot_be_applied_gives_no_number(name):
    (result,) = measure_series([REFUSED[name]()])
    assert result.status == "not_measured" and not result.measures and result.reason
    with pytest.raises(Unreadable):
        _ = read(REFUSED[name]()).pixels


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"RescaleSlope": "-1", "RescaleIntercept": "0"}, "a RescaleSlope of -1"),
        ({"RescaleSlope": "-1", "RescaleIntercept": "60000"}, "a RescaleSlope of -1"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "a RescaleSlope of 0"),
        ({"RescaleSlope": "1", "RescaleIntercept": "-100"}, "RescaleIntercept -100 makes negative counts"),
    ],
)
def test_a_rescale_that_makes_no_counts_is_named(tags, reason):
    for kind in ("STATIC", "DYNAMIC"):
        (result,) = measure_series([dicom(even(), kind=kind, **tags)])
        assert result.status == "not_measured" and reason in result.reason


@pytest.mark.parametrize(
    ("stored", "intercept", "status", "named"),
    [
        (0, "0", "measured", None),
        (100, "-100", "measured", None),
        (0, "1000", "indicative", True),
        (100, "-50", "indicative", True),
    ],
)
def test_an_intercept_of_counts_counts_where_empty_pixels_confirm_it(stored, intercept, status, named):
    field = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]
    (result,) = measure_series(
        [dicom(even() + stored, RescaleSlope="1", RescaleIntercept=intercept, DetectorInformationSequence=field)]
    )
    assert result.status == status, result.reason
    assert named is None or f"RescaleIntercept adds {int(intercept)}" in result.reason


@pytest.mark.parametrize("element", [(0x0057, 0x07), (0x0057, 0x06), (0x0033, 0x38)])
@pytest.mark.parametrize("value", ["0,25", "n/a", "nan"])
def test_a_scale_of_the_vendor_that_cannot_be_read_is_no_absent_one(element, value):
    ds = pydicom.dcmread(BytesIO(dicom(even())))
    ds.private_block(element[0], "SIEMENS MED NM", create=True).add_new(element[1], "LO", value)
    out = BytesIO()
    ds.save_as(out)
    (result,) = measure_series([out.getvalue()])
    assert (
        result.status == "not_measured" and f"({element[0]:04X},xx{element[1]:02X})) is there and cannot be read" in result.reason
    )


@pytest.mark.parametrize("keyword", ["ActualFrameDuration", "PhaseDelay", "PauseBetweenFrames", "NumberOfFramesInPhase"])
def test_a_time_of_frames_that_cannot_be_read_is_no_absent_one(keyword):
    image = read(dynamic(renal()))
    items = [item(**dict.fromkeys(("ActualFrameDuration", "NumberOfFramesInPhase"), 1000)) for _ in range(2)]
    items[0].ActualFrameDuration = items[1].ActualFrameDuration = 1000
    tag = tag_for_keyword(keyword)
    items[1][tag] = RawDataElement(Tag(tag), "IS", 2, b"1O", 0, False, True)
    image.dataset.PhaseInformationSequence = Sequence(items)
    found = frame_times(image, np.arange(97))
    assert isinstance(found, str) and keyword in found


@pytest.mark.parametrize("limit", ["EnergyWindowLowerLimit", "EnergyWindowUpperLimit"])
def test_a_limit_of_a_window_that_cannot_be_read_is_no_absent_one(limit):
    ranges = item(EnergyWindowLowerLimit="126", EnergyWindowUpperLimit="154")
    tag = tag_for_keyword(limit)
    ranges[tag] = RawDataElement(Tag(tag), "DS", 4, b"12O ", 0, False, True)
    image = read(dicom(even()))
    image.dataset.EnergyWindowInformationSequence = [item(EnergyWindowRangeSequence=[ranges])]
    with pytest.raises(Unreadable, match=limit):
        windows_of(image)


def test_another_creator_in_the_vendors_place_scales_nothing():
    ds = pydicom.dcmread(BytesIO(dicom(even())))
    ds.private_block(0x0033, "SOMEBODY ELSE", create=True).add_new(0x38, "FL", 0.5)
    out = BytesIO()
    ds.save_as(out)
    assert (read(out.getvalue()).pixels[0] == even()).all()


def test_a_tomogram_is_measured_in_the_values_that_its_mapping_makes():
    stored = np.random.default_rng(0).poisson(np.maximum(cylinder(), 0) * 600)
    plain, scaled = (
        measure_series([recon(v, **t)])
        for v, t in ((stored, {}), (stored * 2, {"RealWorldValueMappingSequence": [mapping(0.5, "Bq/ml")]}))
    )
    assert [m.value for m in plain[0].measures] == pytest.approx([m.value for m in scaled[0].measures], rel=1e-4)


VECTORS = ("DetectorVector", "RotationVector", "AngularViewVector", "EnergyWindowVector")


def turn(start=0.0, offset=0.0, seed=0, **tags):
    views, _ = rotation(offset, n=64, pixel_mm=4.8, start=start, seed=seed)
    about = {
        "DetectorVector": [1] * 60,
        "RotationVector": [1] * 60,
        "AngularViewVector": list(range(1, 61)),
        "RotationInformationSequence": [item(AngularStep="6", RotationDirection="CC", StartAngle=str(start))],
        "AcquisitionTime": "110000",
    }
    return dicom(views, kind="TOMO", pixel_mm=4.8, **{**about, **tags})


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_that_counts_from_zero_is_refused_by_its_name(name):
    vector = list(range(60)) if name == "AngularViewVector" else [0] * 60
    (result,) = measure_series([turn(**{name: vector})])
    assert result.status == "not_measured" and f"{name} counts from 0" in result.reason


def test_heads_are_never_judged_in_the_field_of_another():
    heads = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=[533, 387]), item(CollimatorType="PARA")]
    frames = np.stack([even(), even(seed=1)])
    for vector in ([0, 1], [1, 3]):
        results = measure_series([dicom(frames, DetectorVector=vector, DetectorInformationSequence=heads)])
        assert all(r.status == "not_measured" and "DetectorVector" in r.reason for r in results)
    about = {"NumberOfDetectors": 2, "DetectorInformationSequence": heads}
    (missing,) = measure_series([dicom(frames, **about)])
    assert "DetectorVector is missing" in missing.reason
    (untold,) = measure_series([dicom(frames)])
    assert "no DetectorVector" in untold.reason
    # what the second head does not say is not taken from the first
    narrow = lit("RECTANGLE", (400.0, 300.0), 2.4, 250) * 3_000
    _, second, *_ = measure_series(
        [dicom(np.stack([even(), np.random.default_rng(2).poisson(narrow)]), DetectorVector=[1, 2], **about)]
    )
    assert second.status != "not_measured", second.reason


def test_heads_in_two_objects_are_compared_or_the_result_says_why_not():
    results = measure_series([turn(0.0, 1.5), turn(180.0, -0.8, seed=1)])
    assert [r.value("cor_head_difference_mm") for r in results] == pytest.approx([2.3, 2.3], abs=0.05)
    ids = [{"DetectorInformationSequence": [item(DetectorID=name)]} for name in ("A", "B")]
    results = measure_series([turn(0.0, 1.5, **ids[0]), turn(0.0, -0.8, seed=1, **ids[1])])
    assert [r.value("cor_head_difference_mm") for r in results] == pytest.approx([2.3, 2.3], abs=0.05)
    for later in (turn(0.0, -0.8, seed=1), turn(180.0, -0.8, seed=1, AcquisitionTime="120000")):
        results = measure_series([turn(0.0, 1.5), later])
        assert [r.status for r in results] == ["measured"] * 2
        assert all(any("not compared" in w for w in r.warnings) for r in results)
        assert all(m.name != "cor_head_difference_mm" for r in results for m in r.measures)


def in_series(tmp_path, *files):
    """What the folder of series of one study gives."""
    for k, data in enumerate(files):
        ds = pydicom.dcmread(BytesIO(data))
        ds.SeriesInstanceUID, ds.StudyInstanceUID = f"2.25.{k + 1}", "2.25.99"
        ds.save_as(tmp_path / f"{k}.dcm")
    return list(answers([tmp_path / f"{k}.dcm" for k in range(len(files))]))


def names(row):
    return {m["name"] for m in row["measures"]}


@pytest.mark.parametrize("numbers", [([1], [1]), ([1], [2])])
def test_heads_in_two_series_are_compared_as_in_two_objects(tmp_path, numbers):
    first, second = ({"DetectorVector": n * 60} for n in numbers)
    rows = in_series(tmp_path, turn(0.0, 1.5, **first), turn(180.0, -0.8, seed=1, **second))
    assert [len(r["inputs"]) for r in rows] == [2, 2] and len({r["detector"] for r in rows}) == 2
    assert all("cor_head_difference_mm" in names(r) for r in rows)


def test_floods_of_heads_in_two_series_are_compared(tmp_path):
    field = lit("RECTANGLE", (533.0, 387.0), 2.4, 256) * 2_500
    about = [{"DetectorVector": [n], "ActualFrameDuration": 60_000, "AcquisitionTime": "080000"} for n in (1, 2)]
    files = [dicom(np.random.default_rng(k).poisson(field), **a, NumberOfFrames=1) for k, a in enumerate(about)]
    rows = in_series(tmp_path, *files)
    assert sorted(r["procedure"] for r in rows) == ["head_sensitivity_match", "planar_uniformity", "planar_uniformity"]


@pytest.mark.parametrize(
    ("numbers", "ids", "compared"), [((1, 2), (None, None), True), ((1, 1), ("A", "B"), True), ((1, 1), (None, None), False)]
)
def test_sensitivities_of_heads_in_two_series_are_compared_or_it_says_why_not(tmp_path, numbers, ids, compared):
    files = []
    for k, (number, name, cps, wait) in enumerate(zip(numbers, ids, (80.0, 76.0), (3600.0, 7200.0), strict=True)):
        about = header("50", AcquisitionTime=f"{8 + k + 1:02d}3000", DetectorVector=[number], NumberOfFrames=1)
        if name:
            about["DetectorInformationSequence"] = [item(DetectorID=name)]
        counts = np.random.default_rng(k).poisson(expected_counts(cps, 50.0, wait) * dish())
        files.append(dicom(counts, pixel_mm=4.0, **about))
    rows = in_series(tmp_path, *files)
    sensitivities = [r for r in rows if r["procedure"] == "sensitivity"]
    assert len(sensitivities) == 2 and all(r["status"] == "measured" for r in sensitivities)
    matches = [r for r in rows if r["procedure"] == "head_sensitivity_match"]
    if compared:
        (match,) = matches
        assert match["measures"][0]["value"] == pytest.approx(5.0, abs=0.3) and len(match["inputs"]) == 2
    else:
        assert not matches and all(any("was not compared" in str(w) for w in r["warnings"]) for r in sensitivities)


def test_sensitivities_of_two_heads_in_one_image_are_compared():
    frames = np.stack(
        [np.random.default_rng(k).poisson(expected_counts(cps, 50.0) * dish()) for k, cps in enumerate((80.0, 72.0))]
    )
    results = measure_series([dicom(frames, pixel_mm=4.0, **header("50", DetectorVector=[1, 2]))])
    assert [r.procedure for r in results] == ["sensitivity", "sensitivity", "head_sensitivity_match"]
    assert results[-1].value("head_sensitivity_difference_percent") == pytest.approx(10.0, abs=0.3)


def test_what_may_be_a_head_in_another_series_is_named(tmp_path):
    rows = in_series(tmp_path, turn(0.0, 1.5), turn(180.0, -0.8, seed=1, AcquisitionTime="120000"))
    assert [len(r["inputs"]) for r in rows] == [1, 1]
    for row, other in zip(rows, ("2.25.2", "2.25.1"), strict=True):
        assert any(other in str(w) and "another head" in str(w) for w in row["warnings"])


def test_slices_with_gaps_are_no_tomogram():
    stored = np.random.default_rng(0).poisson(np.maximum(cylinder(), 0) * 600)
    numbers = [*range(1, len(stored)), len(stored) + 3]
    (result,) = measure_series([recon(stored, SliceVector=numbers)])
    assert result.status == "not_measured" and "SliceVector" in result.reason


def test_a_rotation_of_one_object_a_view_is_told_by_its_reason():
    views, _ = rotation(0.0, n=64, pixel_mm=4.8)
    results = measure_series([dicom(v, kind="TOMO", pixel_mm=4.8) for v in views[:12]])
    assert [r.status for r in results] == ["not_measured"] and "one object with all its views" in results[0].reason

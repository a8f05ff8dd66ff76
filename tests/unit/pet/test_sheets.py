"""A sheet tells of the series that it names, and of no other; the same for all kinds of sheets."""

import json
from datetime import datetime

import pytest
from clinical_images import NM_HEAD, neck
from pet_images import F18_S, cylinder, dosed, iq_phantom, later, slices
from qc_images import dicom

from spark_jobs.measure import measure_mixed, measure_series, read_object

SCANNED = datetime(2026, 4, 1, 10, 0)
NAMED = {"StudyInstanceUID": "1.2.7", "SeriesInstanceUID": "1.2.7.1", "AccessionNumber": "A7"}
OWN = {"study_uid": "1.2.7", "series_uid": "1.2.7.1", "accession_number": "A7"}
OTHERS = [
    {"study_uid": "1.2.8"},
    {"accession_number": "A8"},
    {"series_uid": "1.2.8.1"},
    {**OWN, "study_uid": "1.2.8"},
    {**OWN, "accession_number": "A8"},
    {**OWN, "series_uid": "1.2.8.1"},
]


def filled(mbq, **tags):
    """A cylinder of 6 l with so much at the start of the scan, whose header tells no activity."""
    facts = dosed(0, injected=SCANNED - later(F18_S / 2), scanned=SCANNED, weight_kg=6)
    return slices(cylinder(mbq * 1e6 / 6_000, noise=0.01), (4.0, 4.0, 4.0), **{**facts, **NAMED, **tags})


def filling(mbq=60, **named):
    told = {"procedure": "pet_cross_calibration", "nuclide": "F-18", "activity_mbq": mbq, "volume_ml": 6_000}
    return json.dumps({**told, "measured_at": SCANNED.isoformat(), **named}).encode()


def spheres(**named):
    told = {"procedure": "pet_nema_iq", "spheres_bq_per_ml": 40_000, "background_bq_per_ml": 5_000}
    return json.dumps({**told, **named}).encode()


def syringe(**named):
    told = {"procedure": "thyroid_static", "nuclide": "Tc-99m", "full_cps": 5500.0, "full_at": "2026-05-04T09:35:00"}
    return json.dumps({**told, "empty_cps": 450.0, "empty_at": "2026-05-04T09:40:00", **named}).encode()


def gland(**tags):
    view = {"ActualFrameDuration": 600_000, **{f"{k}Date": "20260504" for k in ("Acquisition", "Series")}}
    view |= {f"{k}Time": "100500" for k in ("Acquisition", "Series")}
    scene = neck(n=128, pixel_mm=2.2, gland=60_000.0, around=0.1, fwhm_mm=8.0)
    return dicom(scene, pixel_mm=2.2, **{**NM_HEAD, **view, **NAMED, **tags})


@pytest.fixture(scope="module")
def images():
    body = slices(iq_phantom(fwhm=7.0), (3.0, 3.0, 3.0), Units="BQML", DecayCorrection="START", **NAMED)
    return {"filling": filled(60), "spheres": body, "syringe": [gland()]}


SHEETS = {
    "filling": (filling, "calibration_bias_percent"),
    "spheres": (spheres, "background_bias_percent"),
    "syringe": (syringe, "uptake_percent"),
}


def told(files, *sheets):
    """Return the names of what was measured, in a folder and in the pipeline, and all notes; both must agree."""
    found = measure_series(files, beside=list(sheets))
    folder = measure_mixed([read_object(f) for f in [*files, *sheets]])
    assert folder[0].results == found
    return {m.name for r in found for m in r.measures}, [w for r in found for w in (*r.warnings, r.reason or "")], folder[1:]


@pytest.mark.parametrize("kind", SHEETS)
def test_a_sheet_counts_only_for_the_series_that_it_names(images, kind):
    sheet, name = SHEETS[kind]
    for own in ({"study_uid": "1.2.7"}, {"accession_number": "A7"}, {"series_uid": "1.2.7.1"}, OWN):
        measured, notes, left = told(images[kind], sheet(**own))
        assert name in measured and not left and not any("names no images" in n for n in notes), own
    for other in OTHERS:
        measured, notes, left = told(images[kind], sheet(**other))
        assert name not in measured, other
        assert "without the series" in left[0].results[0].reason
        measured, notes, _ = told(images[kind], sheet(study_uid="1.2.7"), sheet(**other))
        assert name in measured and not any("two candidates" in n for n in notes), "another study's sheet is no candidate"
    measured, notes, _ = told(images[kind], sheet())
    assert name in measured and any("names no images" in n for n in notes)


def test_a_name_that_the_header_lacks_contradicts_nothing_and_is_not_enough():
    files = filled(60, AccessionNumber=None)
    assert "calibration_bias_percent" in told(files, filling(**OWN))[0]
    assert "calibration_bias_percent" not in told(files, filling(accession_number="A7"))[0]


def test_two_studies_in_one_folder_have_each_its_own_sheet():
    other = {"StudyInstanceUID": "1.2.8", "SeriesInstanceUID": "1.2.8.1", "AccessionNumber": "A8"}
    files = [*filled(60), *filled(30, **other)]
    sheets = filling(60, study_uid="1.2.7"), filling(30, study_uid="1.2.8")
    found = measure_mixed([read_object(f) for f in [*files, *sheets]])
    biases = [r.value("calibration_bias_percent") for f in found for r in f.results if r.procedure == "pet_cross_calibration"]
    assert biases == pytest.approx([0, 0], abs=0.2)
    found = measure_mixed([read_object(f) for f in [*files, filling(60)]])
    refused = [r for f in found for r in f.results if r.procedure == "pet_cross_calibration"]
    assert len(refused) == 2 and all("several series came along" in r.reason and not r.measures for r in refused)


def test_a_sheet_without_names_is_of_the_series_in_its_folder(tmp_path):
    other = {"StudyInstanceUID": "1.2.8", "SeriesInstanceUID": "1.2.8.1", "AccessionNumber": "A8"}
    for folder, files in (("a", [*filled(60), filling(60)]), ("b", [*filled(30, **other), filling(30)])):
        (tmp_path / folder / "images").mkdir(parents=True)
        for k, data in enumerate(files):
            (tmp_path / folder / ("sheet.json" if data[:1] == b"{" else f"images/{k}.dcm")).write_bytes(data)
    found = measure_mixed([read_object(f) for f in sorted(tmp_path.rglob("*.*"))])
    results = [r for f in found for r in f.results if r.procedure == "pet_cross_calibration"]
    assert [r.value("calibration_bias_percent") for r in results] == pytest.approx([0, 0], abs=0.2)
    assert all(any("names no images" in w for w in r.warnings) for r in results)


@pytest.mark.parametrize("kind", SHEETS)
def test_a_sheet_that_was_used_is_among_the_inputs_and_its_unknown_keys_are_named(images, kind, tmp_path):
    sheet, name = SHEETS[kind]
    for k, data in enumerate([*images[kind], sheet(study_uid="1.2.7", activity_2=61, remark="Ada", Zhang=3)]):
        (tmp_path / f"{k:03d}").write_bytes(data)
    (found,) = measure_mixed([read_object(f) for f in sorted(tmp_path.iterdir())])
    assert str(sorted(tmp_path.iterdir())[-1]) in found.inputs and len(found.inputs) == len(images[kind]) + 1
    (result,) = [r for r in found.results if name in {m.name for m in r.measures}]
    assert any("not read: activity_2, ?" in w for w in result.warnings), result.warnings
    assert not any("not read" in w for w in told(images[kind], sheet(study_uid="1.2.7"))[1])


def test_a_key_that_comes_twice_refuses_the_sheet_by_its_name():
    twice = filling().replace(b'"activity_mbq": 60', b'"activity_mbq": 60, "activity_mbq": 72')
    for data, word in ((twice, "activity_mbq twice"), (b'{"procedure": "activimeter", "Ada Lee": 1, "Ada Lee": 2}', "? twice")):
        (found,) = measure_series([data])
        assert found.status == "not_measured" and word in found.reason

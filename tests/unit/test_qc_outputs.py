"""Results as DICOM Structured Report and as page: what others read from them is what was measured."""

import json
import shutil
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from qc_images import dicom, item, lit, tube

from photopeak.analyse import analyse

FIELD = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three mornings of one camera, each worse, and an image without spacing."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    rng = np.random.default_rng(0)
    for k in range(3):
        counts = rng.poisson(lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 2_000 * tube(2.4, 256, 60, -40, 1 - 0.05 * k))
        about = {"AcquisitionDate": f"2026040{k + 1}", "StationName": "NM1", "PatientID": "QC^1", "PatientSex": "O"}
        more = {"SeriesInstanceUID": f"1.2.826.0.1.{k}", "ManufacturerModelName": "M1", "DetectorInformationSequence": FIELD}
        (folder / "in" / f"{k}.dcm").write_bytes(dicom(counts, **about, **more))
    (folder / "in" / "no.dcm").write_bytes(dicom(np.ones((64, 64)), pixel_mm=None, SeriesInstanceUID="1.2.826.0.2"))
    return folder


def run(made: Path, name: str) -> list[dict]:
    said = StringIO()
    with redirect_stdout(said):
        assert analyse([made / "in"], json=True, sr=made / name, pdf=made / name) == 1
    return json.loads(said.getvalue())


@pytest.fixture(scope="module")
def rows(made):
    return run(made, "a")


def found(content, kind: str) -> list:
    out = []
    for part in content:
        out += [part] if part.ValueType == kind else []
        out += found(part.get("ContentSequence") or [], kind)
    return out


def meaning(part) -> str:
    return part.ConceptNameCodeSequence[0].CodeMeaning if "ConceptNameCodeSequence" in part else ""


def test_a_structured_report_says_value_unit_method_verdict_limits_and_images(rows):
    assert all(Path(r["report"]).exists() and Path(r["page"]).exists() for r in rows)
    row = next(r for r in rows if r["verdict"] == "fail")
    ds, source = pydicom.dcmread(row["report"]), pydicom.dcmread(row["inputs"][0])
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500" and ds.StudyInstanceUID == source.StudyInstanceUID
    group = next(g for g in found(ds.ContentSequence, "CONTAINER") if meaning(g) == "Measurement Group")
    numbers = [p for p in group.ContentSequence if p.ValueType == "NUM"]
    assert [p.MeasuredValueSequence[0].FloatingPointValue for p in numbers] == [m["value"] for m in row["measures"]]
    assert [float(p.MeasuredValueSequence[0].NumericValue) for p in numbers] == pytest.approx(
        [m["value"] for m in row["measures"]]
    )
    units = [p.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0] for p in numbers]
    assert {u.CodingSchemeDesignator for u in units} == {"UCUM"} and {"%", "mm", "{counts}"} <= {u.CodeValue for u in units}
    limit = {(x["measure"], x["region"]): x for x in row["limits"]}[("ufov_iu_percent", None)]
    parts = {meaning(p): p for p in numbers[0].ContentSequence}
    assert parts["fail high limit"].MeasuredValueSequence[0].FloatingPointValue == limit["fail_high"]
    assert (
        parts["Verdict"].ConceptCodeSequence[0].CodeValue == "fail"
        and limit["limit_id"] in parts["Normal Range description"].TextValue
    )
    assert parts["Normal Range Authority"].TextValue == limit["approver"]
    method = next(p for p in group.ContentSequence if meaning(p) == "Measurement Method").ConceptCodeSequence[0]
    assert row["method_version"] in method.CodeMeaning and row["method"] in method.CodeMeaning
    images = found(ds.ContentSequence, "IMAGE")
    assert {i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in images} == {source.SOPInstanceUID}
    evidence = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.SeriesInstanceUID == source.SeriesInstanceUID


def test_what_was_not_measured_is_a_report_with_the_reason_and_no_number(rows):
    row = next(r for r in rows if r["status"] == "not_measured")
    content = pydicom.dcmread(row["report"]).ContentSequence
    assert not found(content, "NUM") and row["reason"] in [p.TextValue for p in found(content, "TEXT")]


def test_the_same_images_give_the_same_bytes(made, rows):
    first, second = rows, run(made, "again")
    for a, b in zip(first, second, strict=True):
        assert Path(a["report"]).read_bytes() == Path(b["report"]).read_bytes()
        assert Path(a["page"]).read_bytes() == Path(b["page"]).read_bytes()
    reports = [r["report"] for r in first]
    assert len({pydicom.dcmread(r).SOPInstanceUID for r in reports}) == len(set(reports)) > 1


@pytest.mark.parametrize("program", ["dsrdump", "dciodvfy"])
def test_others_read_the_report_without_an_error(rows, program):
    beside = Path(sys.executable).with_name(program)
    where = str(beside) if beside.exists() else shutil.which(program)
    if where is None:
        pytest.skip(f"{program} is not installed")
    for row in rows:
        done = subprocess.run([where, row["report"]], capture_output=True, text=True, errors="replace")
        said = done.stdout + done.stderr
        assert not [line for line in said.splitlines() if line.startswith(("Error", "E:", "F:"))], said
        if program == "dsrdump":
            assert done.returncode == 0 and "Comprehensive 3D SR Document" in said


@pytest.mark.parametrize("day", ["00010101", "20261345", "2026", "", "20260401"])
def test_a_date_that_is_none_is_left_out_of_the_report(day, tmp_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says that the date is none
        image = dicom(np.full((64, 64), 3), StudyDate=day, AcquisitionDate=day, ContentDate=day, PatientBirthDate=day)
        (tmp_path / "image.dcm").write_bytes(image)
        analyse([tmp_path / "image.dcm"], json=True, sr=tmp_path / "sr")
    (row,) = json.loads(capsys.readouterr().out)
    ds = pydicom.dcmread(row["report"])
    real = day == "20260401"
    assert [ds.StudyDate, ds.PatientBirthDate] == ([day, day] if real else ["", ""])
    assert ds.ContentDate == (day if real else "19000101")
    program = Path(sys.executable).with_name("dciodvfy")
    if program.exists():
        done = subprocess.run([program, row["report"]], capture_output=True, text=True, errors="replace")
        assert "Error" not in done.stdout + done.stderr


def test_a_page_is_one_page_in_both_languages_with_its_fonts_inside(rows):
    from spark_jobs.pictures import chinese_font

    for row in rows:
        pdf = Path(row["page"]).read_bytes()
        assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 1
        assert b"/FontDescriptor" in pdf
        assert chinese_font() is None or b"CJK" in pdf or b"WenQuanYi" in pdf


def test_the_page_shows_image_profile_control_chart_limits_and_method(made, monkeypatch):
    """Read from the figure itself: text in a PDF is compressed."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    seen = []
    keep = Figure.savefig

    def savefig(figure, *given, **named):
        seen.append([t.get_text() for t in figure.findobj(lambda a: isinstance(a, Text))])
        return keep(figure, *given, **named)

    monkeypatch.setattr(Figure, "savefig", savefig)
    rows = run(made, "drawn")
    k = next(k for k, r in enumerate(rows) if r["verdict"] == "fail")
    told = " | ".join(seen[k])
    for word in (
        "Planar uniformity",
        "UFOV (blue)",
        "profile",
        "≤ 5",
        "version",
        rows[k]["method"],
        "Two of order code",
        "reviewed by",
    ):
        assert word in told, word
    assert "2026-04-01" in told and "2026-04-03" in told  # the ends of the control chart
    refused = " | ".join(seen[next(k for k, r in enumerate(rows) if r["status"] == "not_measured")])
    assert "neither a pass nor a fail" in refused and "PixelSpacing is missing" in refused


def test_a_long_list_stands_whole_on_the_page_and_no_text_covers_another(monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from judgement import reference
    from judgement.limits import judge
    from judgement.rows import Limit
    from messages import name_of
    from spark_jobs.outputs.page import page
    from spark_jobs.procedures import MODULES
    from spark_jobs.qc.result import Measure, Result

    seen = []
    keep = Figure.savefig

    def savefig(figure, *given, **named):
        renderer = FigureCanvasAgg(figure).get_renderer()
        seen[:] = [(t.get_text(), t.get_window_extent(renderer)) for t in figure.texts], figure.bbox
        return keep(figure, *given, **named)

    monkeypatch.setattr(Figure, "savefig", savefig)
    sizes = ("37 mm", "28 mm", "22 mm", "17 mm", "13 mm", "10 mm")
    names = (
        "contrast_percent",
        "background_variability_percent",
        "rc_a50",
        "rc_max",
        "psf_fwhm_mm",
        "sphere_diameter_mm",
        "more",
    )
    measures = tuple(Measure(n, 27_590_000.0, "Bq*s/ECAT counts", 12.0, region=s) for s in sizes for n in names)
    longest = max(MODULES, key=lambda k: len("".join(name_of("procedure", k, x) for x in ("en", "zh"))))
    for procedure in ("pet_nema_iq", longest):
        result = Result(
            procedure, "measured", None, "H1", "a method", "1.0.0", measures, ("a note that goes on and on " * 9,) * 3
        )
        verdict, used = judge(result, reference.read(Limit), "GC1", "2026-04-01")
        page(result, verdict, used, {f"label {k} 标签": "text " * 20 for k in range(7)})
        texts, sheet = seen
        told = [t for t, _ in texts]
        assert all(any(t.startswith(f"{m.name} ({m.region})") for t in told) for m in measures)
        assert procedure != "pet_nema_iq" or "EARL-2, recovery of the 10 mm sphere, version 2" in " ".join(told)
        for k, (text, box) in enumerate(texts):
            assert box.x0 > 0 and box.y0 > 0 and box.x1 < sheet.x1, text
            # a line's box holds its leading: rows may touch by a hair
            covered = [
                t
                for t, b in texts[k + 1 :]
                if min(box.x1, b.x1) - max(box.x0, b.x0) > 0 and min(box.y1, b.y1) - max(box.y0, b.y0) > 3
            ]
            assert not covered, (text, covered)

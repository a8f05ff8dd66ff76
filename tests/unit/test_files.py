"""Files as people have them: one never decides about another, each is in some answer, and no reason repeats what a header holds."""

import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from broken_files import SAMPLES, SECRET, elements, flood, put, slice_of_water, turn, written
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid
from qc_images import dicom, item, lit, tube, water

from messages import from_fields, from_listed, render
from photopeak.analyse import analyse
from spark_jobs import answers as engine
from spark_jobs.answers import answers
from spark_jobs.measure import measure_series

UNCHANGED = ("Error", "NoneType", "Traceback", "1-01-01", "please report")
GARBAGE = (
    b"",
    b"\0",
    b"Mueller^Anna",
    b"NaN",
    b"inf",
    b"-1",
    b"0",
    b"1e400",
    b"99999999999999",
    b"00010101",
    b"1,5",
    b"\xff\xfe\x00",
    b"1\\2\\3\\4\\5\\6\\7",
)


def run(capsys, *paths, **folders):
    code = analyse(list(paths), json=True, **folders)
    return code, json.loads(capsys.readouterr().out)


def sound(path: Path) -> list[dict]:
    """The rows of a file: JSON, with reasons of the catalogue and nothing of the header's text."""
    rows = list(answers([path]))
    text = json.dumps(rows, allow_nan=False)
    assert rows and SECRET.lower() not in text.lower()
    for sentence in [s for r in rows for s in [from_fields(r), *from_listed(r)] if s]:
        assert render(sentence, "zh") != sentence and not any(word in sentence for word in UNCHANGED), sentence
    for r in rows:
        assert r["status"] != "not_measured" or (r["reason"] and r["verdict"] == "none" and not r["measures"])
    return rows


def large_flood(left: float = 1.0, seed: int = 0, **tags) -> bytes:
    about = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]
    counts = lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 2_000 * tube(2.4, 256, 60, -40, left)
    return dicom(np.random.default_rng(seed).poisson(counts), DetectorInformationSequence=about, **tags)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_anywhere_is_never_measured_and_says_why(name, tmp_path):
    data = SAMPLES[name]()
    pixels = data.rfind(b"\xe0\x7f\x10\x00")
    for cut in {*range(0, pixels + 12, pixels // 60), *np.linspace(pixels, len(data) - 2, 6).astype(int).tolist()}:
        assert {r["status"] for r in sound(put(tmp_path, "x.dcm", data[:cut]))} == {"not_measured"}, cut


@pytest.mark.parametrize("name", SAMPLES)
def test_flipped_bytes_of_a_header_end_nothing(name, tmp_path):
    data, rng = SAMPLES[name](), np.random.default_rng(0)
    for _ in range(40):
        spoilt = bytearray(data)
        spoilt[int(rng.integers(132, data.rfind(b"\xe0\x7f\x10\x00")))] ^= int(rng.integers(1, 256))
        sound(put(tmp_path, "x.dcm", bytes(spoilt)))


@pytest.mark.parametrize("name", SAMPLES)
def test_no_value_type_or_length_in_a_header_gives_other_than_a_reason(name, tmp_path):
    data = SAMPLES[name]()
    for k, (_, at, length) in enumerate(elements(data)):
        for g in GARBAGE[k % 3 :: 3]:
            value = (g + b" " * length)[:length] if len(g) <= length else g + b" " * (len(g) % 2)
            sound(put(tmp_path, "x.dcm", data[: at - 2] + len(value).to_bytes(2, "little") + value + data[at + length :]))
        vr = (b"PN", b"US", b"SQ", b"UN", b"FD", b"ZZ")[k % 6]
        sound(put(tmp_path, "x.dcm", data[: at - 4] + vr + data[at - 2 :]))
        wrong = (0, 1, length + 1, 0xFFFF)[k % 4]
        sound(put(tmp_path, "x.dcm", data[: at - 2] + wrong.to_bytes(2, "little") + data[at:]))


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("PixelSpacing", b"Mueller\\Anna", "PixelSpacing holds no number"),
        ("ActualFrameDuration", b"Mueller", "ActualFrameDuration holds no number"),
        ("FieldOfViewDimensions", b"NaN\\NaN", "FieldOfViewDimensions holds no number"),
        ("FieldOfViewDimensions", b"300,5\\2", "FieldOfViewDimensions holds no number: 300,5 has a decimal comma"),
        ("NumberOfFrames", b"1e400", "NumberOfFrames holds no number"),
    ],
)
def test_the_reason_names_the_element_that_holds_no_value(keyword, value, said, tmp_path):
    data = flood()
    at, length = next((a, n) for k, a, n in elements(data) if k == keyword)
    value += b" " * (len(value) % 2)
    (row,) = sound(put(tmp_path, "x.dcm", data[: at - 2] + len(value).to_bytes(2, "little") + value + data[at + length :]))
    assert row["reason"] == said


def test_a_file_cut_inside_a_sequence_ends_no_call(tmp_path, capsys):
    put(tmp_path, "a.dcm", large_flood())
    ds = pydicom.dcmread(BytesIO(large_flood(SeriesInstanceUID="1.9")))
    ds["DetectorInformationSequence"].is_undefined_length = True
    data = written(ds)
    put(tmp_path, "b.dcm", data[: data.index(b"\x54\x00\x22\x00SQ") + 22])
    code, rows = run(capsys, tmp_path)
    by = {Path(r["inputs"][0]).name: r for r in rows}
    assert code == 1 and by["a.dcm"]["status"] == "measured"
    assert by["b.dcm"]["reason"] == "the file ends inside a sequence: it was cut short, or its lengths are wrong"


def test_differing_files_of_one_uid_are_all_measured_and_the_collision_is_named(tmp_path, capsys):
    uid = generate_uid()
    put(tmp_path, "a.dcm", large_flood(SOPInstanceUID=uid))
    put(tmp_path, "b.dcm", large_flood(0.6, 1, SOPInstanceUID=uid))
    _, rows = run(capsys, tmp_path)
    floods = [r for r in rows if r["procedure"] == "planar_uniformity"]
    assert sorted(r["verdict"] for r in floods) == ["fail", "pass"]
    assert all(any("SOP Instance UID" in w for w in r["warnings"]) for r in floods)
    assert {name for r in floods for name in r["inputs"]} == {str(tmp_path / n) for n in ("a.dcm", "b.dcm")}


def test_slices_under_one_uid_are_one_volume(tmp_path, capsys):
    about = {
        "RescaleSlope": "1",
        "RescaleIntercept": "-1024",
        "SliceThickness": "5",
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    }
    for k in range(9):
        place = {"ImagePositionPatient": ["-128", "-128", str(5 * k)], "InstanceNumber": str(k + 1), "SOPInstanceUID": "2.25.1"}
        slice_ = dicom(np.rint(water(12, seed=k)) + 1024, modality="CT", kind="AXIAL", pixel_mm=1.0, **about, **place)
        put(tmp_path, f"{k}.dcm", slice_)
    (row,) = run(capsys, tmp_path)[1]
    value = {m["name"]: m["value"] for m in row["measures"]}
    assert row["procedure"] == "ct_water" and value["water_hu"] == pytest.approx(12, abs=0.5) and len(row["inputs"]) == 9


def test_a_copy_counts_once_and_is_named_also_in_another_encoding(tmp_path, capsys):
    data = large_flood()
    put(tmp_path, "a.dcm", data)
    put(tmp_path, "b.dcm", data)
    put(tmp_path, "c.dcm", written(pydicom.dcmread(BytesIO(data)), RLELossless))
    (row,) = run(capsys, tmp_path)[1]
    assert row["verdict"] == "pass" and len(row["inputs"]) == 3
    assert "2 files are copies of others of the series (equal pixels) and count once" in row["warnings"]


def test_images_without_a_series_stand_alone(tmp_path, capsys):
    for k, left in enumerate((1.0, 0.6)):
        put(tmp_path, f"{k}.dcm", large_flood(left, k, SeriesInstanceUID=None))
    _, rows = run(capsys, tmp_path)
    assert sorted(r["verdict"] for r in rows if r["procedure"] == "planar_uniformity") == ["fail", "pass"]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_data_set_without_preamble_is_measured_in_each_native_encoding(syntax, tmp_path, capsys):
    whole = put(tmp_path, "a.dcm", flood())
    bare = put(tmp_path, "b.dcm", written(pydicom.dcmread(BytesIO(flood())), syntax, bare=True))
    first, second = (run(capsys, p)[1] for p in (whole, bare))
    assert first[0]["measures"] == second[0]["measures"] != []


def test_a_file_header_without_preamble_is_measured(tmp_path, capsys):
    whole, bare = put(tmp_path, "a.dcm", flood()), put(tmp_path, "b.dcm", flood()[132:])
    first, second = (run(capsys, p)[1] for p in (whole, bare))
    assert first[0]["measures"] == second[0]["measures"] != []


FOREIGN = {
    "empty": (b"", "the file is empty"),
    "text": (b"no image at all, but a note of somebody" * 9, "this is no DICOM file"),
    "pdf": (b"%PDF-1.7 " + bytes(600), "this is a PDF document"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(600), "this is a PNG picture: export the image as DICOM"),
    "gzip": (b"\x1f\x8b\x08" + bytes(600), "this is a compressed archive (gzip): unpack it, and name the folder"),
    "tar": (bytes(257) + b"ustar" + bytes(300), "this is an archive (tar): unpack it, and name the folder"),
    "zeros": (bytes(2000), "this is no DICOM file"),
    "xml": (b"<a", None),
    "json": (b'{"procedure": "Mueller"}', "no procedure here reads a document of this kind"),
}
CLASSES = {
    "1.2.840.10008.1.3.10": "a DICOMDIR is a table of contents: name the folder of the images",
    "1.2.840.10008.5.1.4.1.1.88.33": "a structured report holds no image",
    "1.2.840.10008.5.1.4.1.1.88.59": "a key object selection points to images and holds none",
    "1.2.840.10008.5.1.4.1.1.11.1": "a presentation state says how an image is shown and holds none",
    "1.2.840.10008.5.1.4.1.1.481.3": "a radiotherapy object (structures, plan, record) holds no image to measure",
    "1.2.840.10008.5.1.4.1.1.104.1": "an encapsulated document (PDF, CDA, model) is no image",
    "1.2.840.10008.5.1.4.1.1.66": "raw data, registrations and fiducials are no images",
    "1.2.840.10008.5.1.4.1.1.9.1.1": "a waveform is no image",
    "1.2.840.10008.5.1.4.1.1.20": "the image has no pixel data: the file was cut short, or they were taken out",
}


def test_what_is_no_image_has_a_reason_of_its_own_and_stands_beside_what_is_measured(tmp_path, capsys):
    put(tmp_path, "good.dcm", large_flood())
    wanted = {}
    for name, (data, said) in FOREIGN.items():
        wanted[str(put(tmp_path, name, data))] = said
    for k, (uid, said) in enumerate(CLASSES.items()):
        ds = pydicom.dcmread(BytesIO(flood()))
        del ds.PixelData, ds.Rows
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = uid
        wanted[str(put(tmp_path, f"class{k}.dcm", written(ds)))] = said
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("a.dcm", flood())
    wanted[str(tmp_path / "a.zip")] = "this is a ZIP archive: unpack it, and name the folder"
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    wanted[str(tmp_path / "gone.dcm")] = "the link leads nowhere"
    os.mkfifo(tmp_path / "pipe")
    wanted[str(tmp_path / "pipe")] = "this is no ordinary file: a pipe, a socket or a device"
    code, rows = run(capsys, tmp_path, tmp_path / "missing")
    said = {r["inputs"][0]: r["reason"] for r in rows}
    assert code == 1 and said.pop(str(tmp_path / "good.dcm")) is None
    assert said.pop(str(tmp_path / "missing")) == "the path does not exist: name a DICOM file or a folder of them"
    assert set(said) == set(wanted)
    assert {k: v for k, v in said.items() if wanted[k] is not None} == {k: v for k, v in wanted.items() if v is not None}
    assert SECRET not in json.dumps(rows)


def test_a_folder_or_file_without_permission_is_in_the_answer(tmp_path, capsys, monkeypatch):
    put(tmp_path, "good.dcm", large_flood())
    (tmp_path / "closed").mkdir()
    put(tmp_path, "locked.dcm", flood())
    scandir, opened = os.scandir, Path.open

    def refuse_folder(place="."):
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    def refuse_file(self, *arguments, **named):
        if self.name == "locked.dcm":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **named)

    monkeypatch.setattr(os, "scandir", refuse_folder)
    monkeypatch.setattr(Path, "open", refuse_file)
    code, rows = run(capsys, tmp_path)
    said = {Path(r["inputs"][0]).name: r["reason"] for r in rows}
    assert code == 1 and said["good.dcm"] is None
    assert said["closed"] == "the folder cannot be opened: permission is missing"
    assert said["locked.dcm"] == "the file cannot be opened: permission is missing"


def test_a_procedure_a_picture_a_page_or_a_report_that_fails_ends_nothing(tmp_path, capsys, monkeypatch):
    put(tmp_path, "a.dcm", large_flood(SeriesInstanceUID="1.1"))
    put(tmp_path, "b.dcm", turn().replace(b"1.2.3.4.5 ", b"1.2.3.4.6 "))

    def spoilt(*_given, **_named):
        raise KeyError("Mueller")

    monkeypatch.setattr("spark_jobs.outputs.page.page", spoilt)
    monkeypatch.setattr("spark_jobs.outputs.structured_report.structured_report", spoilt)
    monkeypatch.setattr(engine, "render", spoilt)
    folders = {k: tmp_path.parent / f"{tmp_path.name}_{k}" for k in ("picture", "pdf", "sr")}
    code, rows = run(capsys, tmp_path, **folders)
    assert code == 1 and {r["procedure"] for r in rows} >= {"planar_uniformity", "centre_of_rotation"}
    for r in rows:
        assert r["status"] == "measured" and (r["picture"], r["page"], r["report"]) == (None, None, None)
        assert sum("cannot be written" in w for w in r["warnings"]) == 3 and SECRET not in json.dumps(r)
    monkeypatch.setattr("spark_jobs.qc.gamma_camera.planar_uniformity.measure", spoilt)
    code, rows = run(capsys, tmp_path)
    by = {Path(r["inputs"][0]).name: r for r in rows}
    assert code == 1 and by["b.dcm"]["status"] == "measured"
    reason = by["a.dcm"]["reason"]
    assert "did not foresee" in reason and "line" not in reason and SECRET not in json.dumps(rows)


def test_a_job_measures_what_can_be_read_of_a_series_and_names_the_rest():
    good, *broken = measure_series([large_flood(), large_flood()[:900]], "phantom")
    assert (good.procedure, good.status) == ("planar_uniformity", "measured")
    told = [r.reason for r in broken if r.status == "not_measured"]
    (reason,) = told
    announced, there = re.findall(r"(\d+) bytes, (\d+) are there", reason)[0]  # what is there depends on the length of a UID
    assert "1 of the 2 files of the series cannot be read: the pixels are cut short" in reason
    assert announced == "131072" and 0 < int(there) < 200


def test_a_job_sees_both_images_of_one_uid_and_counts_a_copy_once():
    data = large_flood(SOPInstanceUID="2.25.7")
    results = measure_series([data, data, large_flood(0.6, 1, SOPInstanceUID="2.25.7")], "phantom")
    assert len([r for r in results if r.procedure == "planar_uniformity"]) == 2
    assert any("1 files are copies" in w for w in results[0].warnings) and any(
        "SOP Instance UID" in w for w in results[0].warnings
    )


def test_nothing_of_a_header_comes_to_standard_error(tmp_path):
    ds = pydicom.dcmread(BytesIO(flood()))
    data = written(ds).replace(b"1.2.3.4.5", b"Mueller.5")
    command = [sys.executable, "-m", "photopeak", "analyse", "--json", str(put(tmp_path, "a.dcm", data))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)[0]["status"] == "measured" and SECRET not in done.stdout + done.stderr


MEMORY = """
import contextlib, io, re, sys
from pathlib import Path
from photopeak.analyse import analyse
with contextlib.redirect_stdout(io.StringIO()): analyse([Path(sys.argv[1])], json=True)
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # getrusage counts the parent's, too
print(int(peak.group(1)) // 1024)
"""
MOST_MB = 300


def test_the_memory_of_a_folder_is_that_of_its_largest_series(tmp_path):
    """300 headers of 1.6 MB each are 480 MB beside each other; 60 large images of 2 MB 120 MB."""
    long = {
        "ReferencedImageSequence": [item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID=f"1.2.{n}") for n in range(300)]
    }
    small = pydicom.dcmread(BytesIO(dicom(np.random.default_rng(0).poisson(50, (64, 64)), pixel_mm=4.0, **long)))
    small["ReferencedImageSequence"].is_undefined_length = True
    one, large = (
        written(small),
        dicom(np.random.default_rng(0).poisson(50, (1024, 1024)), pixel_mm=0.6, SeriesInstanceUID="1.2.3.4.5"),
    )
    for k in range(300):
        put(tmp_path, f"s{k:04d}.dcm", one.replace(b"1.2.3.4.5", f"1.2.3{k:04d}".encode()))
    for k in range(60):
        put(tmp_path, f"t{k:04d}.dcm", large.replace(b"1.2.3.4.5", f"1.2.4{k:04d}".encode()))
    assert peak_mb(tmp_path) <= MOST_MB


def peak_mb(folder):
    done = subprocess.run([sys.executable, "-c", MEMORY, str(folder)], capture_output=True, text=True, check=True, timeout=300)
    return int(done.stdout)


def stack_of(folder, modality, image, count, pixel_mm, apart_mm):
    """Write slices of equal pixels, in one study with whatever else is written so: one file with other numbers in its header."""
    about = {
        "SeriesInstanceUID": f"1.2.99.{modality == 'CT':d}",
        "StudyInstanceUID": "1.2.99",
        "SOPInstanceUID": "1.2.99.0000",
        "ImagePositionPatient": ["0", "0", "8888.0"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "RescaleSlope": "1",
        "RescaleIntercept": "-1024" if modality == "CT" else "0",
        "SliceThickness": str(apart_mm),
    }
    data = dicom(image, modality=modality, kind="AXIAL", pixel_mm=pixel_mm, **about)
    for k in range(count):
        at = f"{k * apart_mm:06.1f}".encode()
        put(folder, f"{modality}{k:04d}.dcm", data.replace(b"8888.0", at).replace(b"1.2.99.0000", f"1.2.99.{k + 1:04d}".encode()))


def test_a_large_ct_beside_a_whole_body_pet_is_read_by_parts(tmp_path):
    """As volumes in single precision they are 315 and 68 MB, and what is looked for in them some times that."""
    x, y = np.meshgrid(np.arange(512) - 256, np.arange(512) - 256)
    trunk = (x / 180) ** 2 + (y / 120) ** 2 < 1
    stack_of(tmp_path, "CT", np.where(trunk, 1064, 24), 300, 1.0, 1.5)
    counts = np.random.default_rng(0).poisson(1000 * trunk[::2, ::2])
    counts[100:110, 100:110] *= 4
    stack_of(tmp_path, "PT", counts, 260, 2.7, 3.0)
    assert peak_mb(tmp_path) <= MOST_MB


def test_a_dynamic_study_of_large_frames_is_in_memory_once(tmp_path):
    """240 frames of 512 × 512 are 126 MB: a copy of them, or one in double precision, is too much."""
    frames = np.ones((240, 512, 512), np.uint16)
    frames[:, 200:300, 200:280] = 9
    about = {"ActualFrameDuration": 20_000, "DetectorVector": [1] * 240, "EnergyWindowVector": [1] * 240}
    put(tmp_path, "a.dcm", dicom(frames, kind="DYNAMIC", pixel_mm=1.2, TimeSliceVector=list(range(1, 241)), **about))
    assert peak_mb(tmp_path) <= MOST_MB


def test_a_socket_is_no_file(tmp_path, capsys):
    put(tmp_path, "a.dcm", slice_of_water())
    door = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(tmp_path)  # the name of a socket is short
    door.bind("door")
    os.chdir(here)
    said = {Path(r["inputs"][0]).name: r["reason"] for r in run(capsys, tmp_path)[1]}
    door.close()
    assert said["door"].startswith("this is no ordinary file") and set(said) == {"a.dcm", "door"}

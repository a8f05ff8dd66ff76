"""The DICOM node as a service of its own: independent senders, hostile bytes, a failing disk, series that come to rest."""

import hashlib
import json
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from dicom_parrot import (
    EXPLICIT,
    NM,
    Parrot,
    associate_rq,
    element,
    encoded,
    even,
    free_port,
    image,
    node,
    p_data,
    pdu,
    pdv,
    peer,
    store_command,
)  # fmt: skip
from pydicom.uid import generate_uid

from connectors.identity import Keys
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.files import FileObjectStore

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


class Home:
    """What the service has written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        keys = Keys.of(load(home=path))
        self.journal = SqliteJournal(path / "journal" / "dicom.db", read_only=True)
        self.sealed = FileObjectStore(path / "objects" / "sealed", keys.seal, keys.unseal)
        self.clear = FileObjectStore(path / "objects" / "clear")
        self.pseudonym = keys.pseudonym

    def events(self, type_: str, after: int = 0) -> list:
        return [e for _, e in self.journal.read(after, 100_000) if e.type == type_]

    def wait(self, type_: str, subject: str, count: int = 1, seconds: float = 15) -> list:
        """Return the events of a subject as soon as there are so many."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [e for _, e in self.journal.of(type_, subject)]
            if len(found) >= count:
                return found
            time.sleep(0.1)
        raise AssertionError(f"no {count} events {type_} of {subject} within {seconds} s")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("dicom") / "home")


@pytest.fixture(scope="module")
def port(home):
    home.path.mkdir(exist_ok=True)
    with node(home.path) as (port, _):
        yield port


def store(port, ds, **how):
    with Parrot(port) as parrot:
        answer = parrot.store(encoded(ds), str(ds.SOPInstanceUID).encode(), **how)
        parrot.release()
    return answer


# --- independent senders


def test_dcmtk_echo(port):
    assert subprocess.run([peer("echoscu"), "-aec", "PHOTOPEAK", "127.0.0.1", str(port)], timeout=20).returncode == 0


@pytest.mark.parametrize(
    "name, option",
    [
        ("CT_small.dcm", "-xe"),
        ("MR_small_implicit.dcm", "-xi"),
        ("MR_small_bigendian.dcm", "-xb"),
        ("JPEG2000.dcm", "-xw"),
        ("MR_small_RLE.dcm", "-xr"),
        ("SC_rgb_jpeg_gdcm.dcm", "-xs"),
        ("JPEGLSNearLossless_08.dcm", "-xu"),
        ("image_dfl.dcm", "-xd"),
    ],
)
def test_dcmtk_storescu_in_every_transfer_syntax(port, home, tmp_path, name, option):
    source = pydicom.dcmread(SAMPLES / name)
    source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = generate_uid()  # some samples share theirs
    source.StudyInstanceUID, source.SeriesInstanceUID = generate_uid(), generate_uid()
    source.save_as(tmp_path / "sample.dcm")
    args = [peer("storescu"), "-R", "-aec", "PHOTOPEAK", option, "127.0.0.1", str(port), str(tmp_path / "sample.dcm")]
    run = subprocess.run(args, timeout=60, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    event = home.journal.find("urn:photopeak:dicom", str(source.SOPInstanceUID))
    assert event.data["transfer_syntax_uid"] == source.file_meta.TransferSyntaxUID
    for blob in (home.sealed.get(event.data["sealed_key"]), home.clear.get(event.data["object_key"])):
        assert pydicom.dcmread(BytesIO(blob)).PixelData == source.PixelData
    original = pydicom.dcmread(BytesIO(home.sealed.get(event.data["sealed_key"])))
    assert original.get("PatientName") == source.get("PatientName")


def test_orthanc_sends_what_it_holds(port, home, tmp_path):
    orthanc, web, dicom = peer("Orthanc"), free_port(), free_port()
    settings = {
        "Name": "peer", "StorageDirectory": str(tmp_path / "o"), "IndexDirectory": str(tmp_path / "o"), "HttpPort": web,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [],
        "DicomModalities": {"photopeak": ["PHOTOPEAK", "127.0.0.1", port]},
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "log").open("w") as log:
        run = subprocess.Popen([orthanc, str(tmp_path / "orthanc.json")], stdout=log, stderr=log)
    try:
        ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
        base = f"http://127.0.0.1:{web}"
        for _ in range(150):
            try:
                ask(f"{base}/system", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        ds = image()
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        out = BytesIO()
        pydicom.dcmwrite(out, ds, enforce_file_format=True)
        with ask(urllib.request.Request(f"{base}/instances", out.getvalue()), timeout=20) as answer:
            known = json.load(answer)["ID"]
        ask(urllib.request.Request(f"{base}/modalities/photopeak/echo", b"{}"), timeout=20).close()
        with ask(urllib.request.Request(f"{base}/modalities/photopeak/store", known.encode()), timeout=20) as answer:
            assert json.load(answer)["FailedInstancesCount"] == 0
        assert home.journal.find("urn:photopeak:dicom", str(ds.SOPInstanceUID)).data["calling_ae"] == "ORTHANC"
    finally:
        run.terminate()
        run.wait(20)


# --- identity


def test_the_clear_copy_names_nobody_and_keeps_every_pixel_and_device_fact(port, home):
    inner = pydicom.Dataset()
    inner.PatientID, inner.RequestedProcedureID, inner.ScheduledPerformingPhysicianName = "H4711-XYZ", "RP1", "Li^Si"
    ds = image(
        patient="H4711-XYZ", OperatorsName="Wang^Wu", ReferringPhysicianName="Li^Si", InstitutionAddress="Beijing",
        DeviceSerialNumber="SN-GC1",
        PatientComments="calls himself San", RequestAttributesSequence=[inner], PatientWeight="70.5", SeriesDescription="WB bone",
    )  # fmt: skip
    ds.private_block(0x0029, "VENDOR", create=True).add_new(1, "LO", "Zhang San")
    assert store(port, ds) == (0, "")
    event = home.journal.find("urn:photopeak:dicom", str(ds.SOPInstanceUID))
    blob = home.clear.get(event.data["object_key"])
    for secret in (b"4711-XYZ", b"Zhang", b"Li^Si", b"Wang", b"Beijing", b"19500102", b"himself", b"VENDOR"):
        assert secret not in blob, secret
    copy = pydicom.dcmread(BytesIO(blob))
    assert copy.PatientID == home.pseudonym("H4711-XYZ") == copy.RequestAttributesSequence[0].PatientID
    assert (copy.PatientName, copy.PatientBirthDate, copy.PatientIdentityRemoved) == ("", "", "YES")
    kept = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber", "DeviceSerialNumber", "StationName",
            "PixelData",
            "AcquisitionDate", "PatientWeight", "SeriesDescription", "ImageType")  # fmt: skip
    assert all(copy[k].value == ds[k].value for k in kept)
    assert b"Zhang^San" in home.sealed.get(event.data["sealed_key"])
    plain = [p for p in home.path.rglob("*") if p.is_file() and b"Zhang" in p.read_bytes()]
    assert plain == []


def test_a_phantom_stays_recognisable(port, home):
    ds = image(patient="QC^SN-GC1", PatientName="Flood^Co-57", OperatorsName="Wang^Wu")
    store(port, ds)
    (event,) = home.wait("dicom.series", str(ds.SeriesInstanceUID))
    assert (event.data["is_phantom"], event.data["patient_pseudonym"]) == (True, "QC^SN-GC1")
    copy = pydicom.dcmread(BytesIO(home.clear.get(event.data["instances"][0]["object_key"])))
    assert (copy.PatientID, copy.PatientName, copy.OperatorsName) == ("QC^SN-GC1", "Flood^Co-57", "")


# --- the same again


def test_the_same_object_twice_is_a_duplicate_and_counts_once(port, home):
    ds, before = image(), home.journal.head()
    assert [store(port, ds), store(port, ds)] == [(0, ""), (0, "")]
    assert len(home.events("dicom.instance", before)) == 1
    assert [e.data["outcome"] for e in home.events("intake.outcome", before)] == ["stored", "duplicate"]


def test_other_content_under_the_same_uid_is_refused_and_kept(port, home):
    ds, before = image(), home.journal.head()
    store(port, ds)
    ds.PixelData = bytes(len(ds.PixelData))
    status, comment = store(port, ds)
    assert status == 0xC001 and "other content" in comment
    (outcome,) = [e for e in home.events("intake.outcome", before) if e.data["outcome"] == "quarantined"]
    digest = outcome.data["sha256"]
    assert home.sealed.get(f"{digest[:2]}/{digest}").endswith(encoded(ds))


# --- objects that may not enter


def cut(ds):
    return encoded(ds)[:-100]


def sequence(body):
    return lambda ds: struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + body + encoded(ds)


@pytest.mark.parametrize(
    "why, bytes_of, more",
    [
        ("only", cut, {}),
        ("only", lambda ds: encoded(ds)[:100], {}),
        ("inside the header", lambda ds: encoded(ds) + b"\0\0\0", {}),
        ("empty", lambda ds: b"", {}),
        ("", lambda ds: b"\x13\x37" * 500, {}),
        ("where an item", sequence(struct.pack("<HHL", 0xFFFE, 0xE0DE, 0)), {}),
        ("bytes, but only", sequence(struct.pack("<HHLHH2sH", 0xFFFE, 0xE000, 8, 8, 0x1150, b"UI", 64)), {}),
        ("need", encoded, {"Rows": 32}),
        ("need", encoded, {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 2147483647}),
        ("no rows", encoded, {"Rows": 0}),
        ("no whole number", encoded, {"NumberOfFrames": "x"}),
        ("of data set and command differ", encoded, {"SOPInstanceUID": "1.2.3"}),
        ("of data set and command differ", encoded, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}),
        ("SeriesInstanceUID", encoded, {"SeriesInstanceUID": ""}),
        ("StudyInstanceUID", encoded, {"StudyInstanceUID": "../../evil"}),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_not_whole_is_refused_and_kept_with_the_reason(port, home, why, bytes_of, more):
    ds = image()
    uid, before = str(ds.SOPInstanceUID), home.journal.head()
    with pydicom.config.disable_value_validation():
        for keyword, value in more.items():
            ds[keyword] = pydicom.DataElement(keyword, ds[keyword].VR, value) if value != "x" else ds[keyword]
    data = bytes_of(ds)
    if more.get("NumberOfFrames") == "x":
        data = data.replace(struct.pack("<HH2sH", 0x28, 8, b"IS", 2) + b"1 ", struct.pack("<HH2sH", 0x28, 8, b"IS", 2) + b"x ")
    with Parrot(port) as parrot:
        status, comment = parrot.store(data, uid.encode())
        assert status & 0xF000 in (0xC000, 0xA000) and status != 0xA700 and why in comment
        assert parrot.echo()
    (outcome,) = [e.data for e in home.events("intake.outcome", before)]
    assert (outcome["outcome"], outcome["message_id"]) == ("quarantined", uid) and why in outcome["reason"]
    assert home.events("dicom.instance", before) == []
    digest = outcome["sha256"]
    assert home.sealed.get(f"{digest[:2]}/{digest}").endswith(data)


@pytest.mark.parametrize("uid", [None, b"", b"../../evil", b"1.2.3/../x", b"\xff\xfe", b"x" * 64])
def test_instance_uids_that_are_none(port, home, uid):
    before = home.journal.head()
    with Parrot(port) as parrot:
        status, _ = parrot.store(encoded(image()), uid)
        assert status != 0
    assert home.events("dicom.instance", before) == []
    assert [p.name for p in home.path.iterdir() if "evil" in p.name] == []
    assert store(port, image()) == (0, "")


def test_uids_padded_with_nulls_and_odd_fragments_are_taken(port):
    ds = image(SOPInstanceUID="1.2.826.0.1.3680043.9.1", StudyInstanceUID="1.2.3")
    assert store(port, ds, fragment=333) == (0, "")


@pytest.mark.parametrize("charset", ["ISO IR 192", "Not Supplied", ["", "GB18030"], "GB18030", "ISO_IR 192"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_character_sets_that_are_wrong_or_strange(port, home, charset):
    ds = image()
    data = encoded(ds)
    said = "\\".join(charset if isinstance(charset, list) else [charset]).encode()
    head = struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", len(even(said))) + (said + b" " * (len(said) % 2))
    name = "张^三".encode("gb18030")
    old = struct.pack("<HH2sH", 0x10, 0x10, b"PN", 10) + b"Zhang^San "
    assert old in data
    data = head + data.replace(old, struct.pack("<HH2sH", 0x10, 0x10, b"PN", len(even(name))) + name + b" " * (len(name) % 2))
    with Parrot(port) as parrot:
        assert parrot.store(data, str(ds.SOPInstanceUID).encode())[0] == 0
    event = home.journal.find("urn:photopeak:dicom", str(ds.SOPInstanceUID))
    assert name not in home.clear.get(event.data["object_key"])
    home.wait("dicom.series", str(ds.SeriesInstanceUID))


# --- bytes that are no DICOM at all

GARBAGE = [
    ("a PDU of 4 GiB", False, struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + b"x" * 1000),
    ("HTTP", False, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("a truncated A-ASSOCIATE-RQ", False, pdu(1, associate_rq()[6:80])),
    ("an item longer than its PDU", False, pdu(1, associate_rq()[6:-8] + b"\x50\0\xff\xff")),
    ("an even context id", False, associate_rq([(2, NM, EXPLICIT)])),
    ("P-DATA before the association", False, p_data(pdv(1, 3, b"x" * 20))),
    ("a second A-ASSOCIATE-RQ", True, associate_rq()),
    ("a context that was not negotiated", True, p_data(pdv(99, 3, store_command(NM.encode(), b"1.2.3")), pdv(99, 2, b"xx"))),
    ("a PDV of length 0xFFFFFFFF", True, pdu(4, struct.pack(">LBB", 0xFFFFFFFF, 1, 3))),
    ("a PDV of length 1", True, pdu(4, struct.pack(">LB", 1, 1))),
    ("a PDV of length 0", True, pdu(4, struct.pack(">L", 0))),
    ("a garbage command set", True, p_data(pdv(1, 3, b"\xde\xad\xbe\xef" * 20))),
    ("a command set without a command", True, p_data(pdv(1, 3, element(0x0110, b"\1\0")))),
    ("an unknown PDU type", True, pdu(0x77, b"")),
    ("a PDU of 4 GiB inside an association", True, struct.pack(">BBL", 4, 0, 0xFFFFFFFF)),
]


@pytest.mark.parametrize("associate, raw", [g[1:] for g in GARBAGE], ids=[g[0] for g in GARBAGE])
def test_garbage_is_refused_and_the_service_goes_on(port, home, associate, raw):
    before = len(home.events("intake.outcome"))
    with Parrot(port, associate) as parrot:
        parrot.send(raw)
        kind, body = parrot.answer()
        # an association without a usable context is an answer too
        accepted_none = kind == 2 and body[68:].count(b"\x21\0") == 1
        assert kind in (0, 3, 7) or accepted_none, f"PDU type {kind}"
    assert len(home.events("intake.outcome")) == before
    assert store(port, image()) == (0, "")


def test_duplicate_and_unordered_contexts(port):
    with Parrot(port, associate=False) as parrot:
        parrot.send(associate_rq([(5, NM, EXPLICIT), (1, NM, EXPLICIT), (1, NM, EXPLICIT), (3, "1.2.3", EXPLICIT)]))
        assert parrot.answer()[0] in (0, 2, 3, 7)
    assert store(port, image()) == (0, "")


def test_a_connection_closed_in_the_middle_of_a_data_set_leaves_nothing(port, home):
    before, ds = len(home.events("intake.outcome")), image()
    with Parrot(port) as parrot:
        parrot.send(
            p_data(pdv(1, 3, store_command(NM.encode(), str(ds.SOPInstanceUID).encode()))), p_data(pdv(1, 0, encoded(ds)[:200]))
        )
    time.sleep(0.3)
    assert len(home.events("intake.outcome")) == before
    assert store(port, ds) == (0, "")


def test_silent_connections_and_idle_associations_cost_nothing_and_hold_nobody_up(home, tmp_path):
    (tmp_path / "h").mkdir()
    with node(tmp_path / "h") as (port, run):
        silent = [Parrot(port, associate=False) for _ in range(40)]
        idle = [Parrot(port) for _ in range(40)]
        stat = Path(f"/proc/{run.pid}/stat")
        ticks = [sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13]))]
        time.sleep(3)
        ticks.append(sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])))
        assert (ticks[1] - ticks[0]) / 100 / 3 < 0.2, (
            "more than 20 % of a core for 40 idle associations and 40 silent connections"
        )
        began = time.monotonic()
        assert store(port, image()) == (0, "")
        assert time.monotonic() - began < 2
        [p.socket.close() for p in silent + idle]


# --- series


def test_a_series_closes_when_it_has_come_to_rest_and_again_after_a_late_instance(port, home):
    series = generate_uid()
    first = [image(SeriesInstanceUID=series) for _ in range(3)]
    with Parrot(port) as parrot:
        for ds in first:
            parrot.store(encoded(ds), str(ds.SOPInstanceUID).encode())
        parrot.release()
    (closed,) = home.wait("dicom.series", series)
    assert [i["sop_instance_uid"] for i in closed.data["instances"]] == [str(d.SOPInstanceUID) for d in first]
    assert closed.data["acquired_at_utc"] == "2026-03-01T00:30:00.000000Z"  # 08:30 at +08:00
    digest = hashlib.sha256("\n".join(sorted(i["sha256"] for i in closed.data["instances"])).encode()).hexdigest()
    assert closed.id == f"{series}/{digest}"
    late = image(SeriesInstanceUID=series)
    store(port, late)
    again = home.wait("dicom.series", series, 2)[1]
    assert len(again.data["instances"]) == 4 and again.id != closed.id
    store(port, late)
    time.sleep(2.5)
    assert len(home.wait("dicom.series", series, 2)) == 2, "a duplicate must not close a series again"


def test_a_series_closes_under_an_association_that_is_held_open_in_silence(port, home):
    ds = image()
    with Parrot(port) as parrot:
        parrot.store(encoded(ds), str(ds.SOPInstanceUID).encode())
        home.wait("dicom.series", str(ds.SeriesInstanceUID), seconds=5)
        assert parrot.echo()


def test_a_series_left_open_by_a_killed_service_is_closed_by_the_next_start(tmp_path):
    ds, path = image(), tmp_path / "h"
    path.mkdir()
    with node(path, PHOTOPEAK_SERIES_QUIET_S="60") as (port, _):
        assert store(port, ds) == (0, "")
    home = Home(path)
    assert home.events("dicom.series") == []
    with node(path):
        assert len(home.wait("dicom.series", str(ds.SeriesInstanceUID))) == 1
    with node(path):
        time.sleep(2)
    assert len(home.events("dicom.series")) == 1


# --- the machine fails

BROKEN = """
import errno, os, runpy, sys
real, broken, flag = os.fsync, int(sys.argv[1]), sys.argv[2]
def fsync(fd):
    if os.path.exists(flag):
        raise OSError(broken, os.strerror(broken))
    real(fd)
os.fsync = fsync
sys.argv = ["connectors.dicom"]
runpy.run_module("connectors.dicom", run_name="__main__")
"""


@pytest.mark.parametrize("code", [5, 28], ids=["EIO", "ENOSPC"])
def test_a_failing_disk_is_answered_a700_and_never_0000(tmp_path, monkeypatch, code):
    path, flag = tmp_path / "h", tmp_path / "broken"
    path.mkdir()
    popen = subprocess.Popen
    args = [sys.executable, "-c", BROKEN, str(code), str(flag)]
    monkeypatch.setattr(subprocess, "Popen", lambda _, **k: popen(args, **k))
    with node(path) as (port, _):
        monkeypatch.undo()
        good, bad = image(), image()
        assert store(port, good) == (0, "")
        flag.touch()
        with Parrot(port) as parrot:
            for _ in range(3):
                assert parrot.store(encoded(bad), str(bad.SOPInstanceUID).encode())[0] == 0xA700
            assert parrot.store(encoded(bad)[:99], b"1.2.3.4")[0] == 0xA700, (
                "what cannot be kept in quarantine is not refused for good"
            )
            assert parrot.echo()
        home = Home(path)
        assert [e.id for e in home.events("dicom.instance")] == [str(good.SOPInstanceUID)]
        assert list((path / "objects").rglob("*.part")) == []
        flag.unlink()
        assert store(port, bad) == (0, "")


def test_a_nearly_full_disk_is_answered_a700(tmp_path):
    (tmp_path / "h").mkdir()
    with node(tmp_path / "h", PHOTOPEAK_MIN_FREE_MIB="999999999") as (port, _):
        assert store(port, image())[0] == 0xA700


def test_the_service_ends_within_three_seconds_and_a_taken_port_is_one_sentence(tmp_path):
    (tmp_path / "h").mkdir()
    with node(tmp_path / "h") as (port, run), Parrot(port), Parrot(port, associate=False):
        env = {"PHOTOPEAK_HOME": str(tmp_path / "other"), "PHOTOPEAK_DICOM_PORT": str(port), "PATH": "/usr/bin:/bin"}
        second = subprocess.run([sys.executable, "-m", "connectors.dicom"], env=env, capture_output=True, text=True)
        assert second.returncode == 3 and "PHOTOPEAK_DICOM_PORT" in second.stderr and second.stderr.count("\n") == 1
        began = time.monotonic()
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0 and time.monotonic() - began < 3

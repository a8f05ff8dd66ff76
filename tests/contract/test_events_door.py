"""The HTTP door as a service of its own, asked by an ordinary HTTP client."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from connectors.events import Event
from connectors.http.app import LARGEST
from connectors.identity import Keys
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.files import FileObjectStore

TOKEN = "a-token-of-a-tablet"
CHECK = {"device_id": "GC1", "check": "flood", "performed_at_utc": "2026-03-01T00:30:00Z", "staff_id": "T01", "result": "pass"}


def check(id_="c1", source="urn:photopeak:tablet", type_="device.check", **data):
    return {
        "specversion": "1.0", "id": id_, "source": source, "type": type_, "time": "2026-03-01T08:30:00+08:00",
        "subject": "GC1", "data": {**CHECK, **data},
    }  # fmt: skip


@contextmanager
def service(home, **more):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    env = {**os.environ, "PHOTOPEAK_HOME": str(home), "PHOTOPEAK_EVENTS_PORT": str(port), **more}
    run = subprocess.Popen([sys.executable, "-m", "connectors.http"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout.readline() == f"events: ready on http://127.0.0.1:{port}\n"
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
        for _ in range(100):
            try:
                assert client.get("/health").json() == {"status": "up"}
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        yield client, run
        client.close()
    finally:
        run.kill()
        run.wait()


def furnished(folder):
    devices = folder / "secrets" / "devices"
    devices.mkdir(parents=True)
    (devices / "tablet").write_text(TOKEN + "\n")
    (devices / "unconfigured").touch()  # an empty token opens for nobody
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return furnished(tmp_path_factory.mktemp("door"))


@pytest.fixture(scope="module")
def door(home):
    with service(home) as (client, _):
        yield client


@pytest.fixture
def new(home):
    """Return a function that tells which events were journalled since the test began."""
    journal = SqliteJournal(home / "journal" / "events.db", read_only=True)
    before = journal.head()
    return lambda: [e for _, e in journal.read(before)]


def post(door, body, kind="application/cloudevents+json", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return door.post("/events", content=content, headers={"Content-Type": kind, **headers})


def test_an_event_is_journalled_with_its_outcome_and_its_resend_is_a_duplicate(door, new):
    answer = post(door, check("first"))
    assert (answer.status_code, answer.json()) == (202, {"stored": 1, "duplicate": 0, "quarantined": []})
    assert post(door, check("first")).json() == {"stored": 0, "duplicate": 1, "quarantined": []}
    event, stored, duplicate = new()
    assert (event.id, event.occurred_at.isoformat(), event.site) == ("first", "2026-03-01T00:30:00+00:00", "MAIN")
    assert [stored.data["outcome"], duplicate.data["outcome"]] == ["stored", "duplicate"]
    assert stored.data["sender"] == "tablet"


def test_a_batch_is_taken_apart_and_the_bad_ones_go_to_quarantine(door, new, home):
    batch = [
        check("b1"),
        check("b2", result="splendid"),
        check("b3", source="urn:photopeak:stranger"),
        7,
        check("b4", type_="dicom.series"),
    ]
    answer = post(door, batch, "application/cloudevents-batch+json").json()
    assert (answer["stored"], [q["id"] for q in answer["quarantined"]]) == (1, ["b2", "b3", "(no id)", "b4"])
    assert answer["quarantined"][0]["reason"].startswith("result: the value is not one of ")
    assert "source" in answer["quarantined"][1]["reason"]
    outcomes = [e for e in new() if e.type == "intake.outcome" and e.data["outcome"] == "quarantined"]
    assert "splendid" not in str(outcomes)  # a wrong value may be somebody's name: it stays in the sealed bytes
    assert len(outcomes) == 4 and all(e.data["reason"] for e in outcomes)
    keys = Keys.of(load(home=home))
    sealed = FileObjectStore(home / "objects" / "sealed", keys.seal, keys.unseal)
    digest = outcomes[0].data["sha256"]
    assert json.loads(sealed.get(f"{digest[:2]}/{digest}"))["id"] == "b2"


def test_other_content_under_the_same_id_goes_to_quarantine(door, new):
    post(door, check("same"))
    answer = post(door, check("same", result="fail")).json()
    assert answer["stored"] == 0 and answer["quarantined"][0]["id"] == "same"
    assert [e.data["result"] for e in new() if e.type == "device.check"] == ["pass"]


def test_the_binary_mode(door, new):
    said = {f"ce-{k}": v for k, v in check("bin%201").items() if k != "data"}
    answer = post(door, CHECK, "application/json", **said)
    assert (answer.status_code, answer.json()["stored"]) == (202, 1)
    assert new()[0].id == "bin 1"


@pytest.mark.parametrize(
    "body, kind",
    [
        (b"", "application/cloudevents+json"),
        (b"{", "application/cloudevents+json"),
        (b"[]", "application/cloudevents-batch+json"),
        (b'{"a": NaN}', "application/cloudevents+json"),
        (b"\xff\xfe", "application/cloudevents+json"),
        (b"[" * 100_000, "application/cloudevents+json"),
        (b"{}", "text/plain"),
    ],
)
def test_what_holds_no_event_is_refused_and_kept(door, new, body, kind):
    answer = post(door, body, kind)
    assert answer.status_code == 400 and answer.json()["error"]
    (outcome,) = new()
    assert (outcome.data["outcome"], outcome.data["size_bytes"]) == ("quarantined", len(body))


@pytest.mark.parametrize(
    "body", [check("\ud800"), check("s2", note="\udfff"), check("n", value=float("1e999")), check("deep", note=None)]
)
def test_text_and_numbers_that_cannot_be_kept_do_not_end_the_service(door, body):
    if body["id"] == "deep":
        for _ in range(900):
            body = {"data": body}
    answer = post(door, json.dumps(body).replace("Infinity", "1e999").encode())
    assert answer.status_code in (202, 400)
    assert answer.status_code == 400 or len(answer.json()["quarantined"]) == 1
    assert door.get("/health").status_code == 200


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic " + TOKEN, TOKEN, ""])
def test_strangers_are_refused_and_leave_nothing(door, new, header):
    answer = post(door, check(), Authorization=header)
    assert answer.status_code == 401 and new() == []


def test_a_device_can_be_added_and_locked_out_while_the_door_is_open(door, home):
    token = home / "secrets" / "devices" / "robot"
    token.write_text("robots-token")
    event = check("r1", source="urn:photopeak:robot")
    assert post(door, event, Authorization="Bearer robots-token").json()["stored"] == 1
    token.unlink()
    assert post(door, event, Authorization="Bearer robots-token").status_code == 401


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(door, new):
    assert post(door, b" " * (LARGEST + 1)).status_code == 413
    chunks = (b" " * 65536 for _ in range(LARGEST // 65536 + 2))
    kind = {"Content-Type": "application/cloudevents+json"}
    assert door.post("/events", content=chunks, headers=kind).status_code == 413
    assert new() == []


def test_there_are_no_pages_that_load_from_elsewhere(door):
    assert [door.get(path).status_code for path in ("/docs", "/redoc", "/openapi.json", "/")] == [404] * 4


def test_a_nearly_full_disk_is_507_and_nothing_is_stored(tmp_path):
    home = furnished(tmp_path)
    with service(home, PHOTOPEAK_MIN_FREE_MIB="999999999") as (client, _):
        answer = post(client, check("full"))
        assert answer.status_code == 507 and "free some space" in answer.json()["error"]
    assert SqliteJournal(home / "journal" / "events.db", read_only=True).find("urn:photopeak:tablet", "full") is None


def test_the_service_ends_within_three_seconds_and_a_taken_port_is_one_sentence(tmp_path):
    home = furnished(tmp_path)
    with service(home) as (client, run):
        env = {**os.environ, "PHOTOPEAK_HOME": str(home), "PHOTOPEAK_EVENTS_PORT": str(client.base_url.port)}
        same_home = subprocess.run([sys.executable, "-m", "connectors.http"], env=env, capture_output=True, text=True)
        assert same_home.returncode == 3 and "another process" in same_home.stderr and same_home.stderr.count("\n") == 1
        env["PHOTOPEAK_HOME"] = str(tmp_path / "other")
        same_port = subprocess.run([sys.executable, "-m", "connectors.http"], env=env, capture_output=True, text=True)
        assert same_port.returncode == 3 and "PHOTOPEAK_EVENTS_PORT" in same_port.stderr and same_port.stderr.count("\n") == 1
        began = time.monotonic()
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0 and time.monotonic() - began < 3


def test_an_event_of_another_site_is_quarantined_with_the_reason(door, new):
    answer = post(door, {**check("elsewhere"), "siteid": "OTHER"})
    [told] = answer.json()["quarantined"]
    assert (answer.status_code, answer.json()["stored"], told["id"]) == (202, 0, "elsewhere")
    assert told["reason"] == "siteid 'OTHER' is not this door's site, MAIN"
    assert [(e.type, e.data["outcome"]) for e in new()] == [("intake.outcome", "quarantined")]


SHEET = {"procedure": "activimeter", "measured_at": "2026-03-01T08:00:00", "device_serial": "AC-1", "operator": "Li Si"}
REPORT = (
    b"<SystemQualityReport><bScandate>2026-03-01T07:30:00+08:00</bScandate><bComments>Li Si</bComments></SystemQualityReport>"
)


@pytest.mark.parametrize("way", ["data", "base64", "binary"])
def test_a_report_comes_in_each_mode_and_only_a_nameless_copy_is_read(door, new, home, way):
    event = {k: v for k, v in check(f"report-{way}", type_="device.report").items() if k != "data"}
    content = json.dumps(SHEET, sort_keys=True, separators=(",", ":")).encode() if way == "data" else REPORT
    if way == "binary":
        headers = {f"ce-{k}": v for k, v in event.items()}
        answer = post(door, content, "application/xml", **headers)
    else:
        said = {"data": SHEET} if way == "data" else {"data_base64": base64.b64encode(content).decode()}
        answer = post(door, {**event, **said})
    assert (answer.status_code, answer.json()) == (202, {"stored": 1, "duplicate": 0, "quarantined": []})
    stored, _ = new()
    keys = Keys.of(load(home=home))
    sealed = FileObjectStore(home / "objects" / "sealed", keys.seal, keys.unseal).get(stored.data["sealed_key"])
    clear = FileObjectStore(home / "objects" / "clear").get(stored.data["object_key"])
    assert sealed == content and b"Li Si" not in clear and b"Li Si" not in json.dumps(stored.data).encode()
    kind, moment = ("json activimeter", "00:00") if way == "data" else ("xml SystemQualityReport", "23:30")
    assert stored.data["kind"] == kind and f"T{moment}" in stored.data["acquired_at_utc"] and stored.data["device_id"] == "GC1"


def test_a_report_that_cannot_be_read_is_kept_sealed_with_the_reason(door, new, home):
    event = {k: v for k, v in check("bad", type_="device.report").items() if k != "data"}
    for number, (said, word) in enumerate(
        (
            ({"data_base64": "§§§"}, "cannot be decoded"),
            ({"data_base64": 7}, "cannot be decoded"),
            ({"data": [1]}, "neither DICOM nor readable JSON"),
            ({}, "neither DICOM nor readable JSON"),
            ({"data_base64": base64.b64encode(b"<a>").decode()}, "the XML is damaged"),
            ({"data": {"procedure": "x", "y": {"z": 1e999}}}, "JSON"),
        )
    ):
        answer = post(door, json.dumps({**event, "id": f"bad-{number}", **said}).replace("Infinity", "1e999").encode())
        told = answer.json().get("quarantined") or [{"reason": answer.json().get("error", "")}]
        assert word in told[0]["reason"], (said, answer.text)
    assert {e.data["outcome"] for e in new()} == {"quarantined"}
    assert post(door, {**event, "source": "urn:photopeak:stranger", "data": SHEET}).json()["stored"] == 0


@pytest.mark.req("EXM-02")
def test_a_preparation_is_taken_cleaned_and_answers_before_the_injection(door, new, home):
    now = datetime.now(UTC)
    at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    hl7 = SqliteJournal(home / "journal" / "hl7.db")
    order = {
        "message_type": "ORM", "trigger": "O01", "order_control": "NW", "accession_number": "A77", "patient_pseudonym": "P77",
        "exam_code": "THYROID", "exam_name": None, "indication": None, "scheduled_at_utc": None, "placer": None,
    }  # fmt: skip
    hl7.append([Event("his.order", "urn:photopeak:hl7", "o77", "MAIN", "A77", now - timedelta(hours=1), now, order)])
    said = {
        "accession_number": "A77", "asked_at_utc": at, "staff_id": "N01", "note": "call 13812345678",
        "medication": [{"atc": "H03AA01", "last_taken_at_utc": at}],
    }  # fmt: skip
    event = {**check("p77", type_="examination.preparation"), "subject": "A77", "data": said}
    assert post(door, event).json() == {"stored": 1, "duplicate": 0, "quarantined": []}
    (told,) = [e for e in new() if e.type == "examination.preparation"]
    assert "13812345678" not in told.data["note"]
    answer = door.get("/examinations/A77/readiness", params={"step": "injection"}).json()
    assert answer["permitted"] is False and "DRUG_INTERFERENCE" in {b["rule_id"] for b in answer["blocks"]}
    wrong = {**said, "medication": [{"atc": "levothyroxine", "last_taken_at_utc": "yesterday"}]}
    assert post(door, {**event, "id": "p78", "data": wrong}).json()["quarantined"][0]["id"] == "p78"
    # a step that is blocked and done all the same is stored: what happened, happened
    step = {
        "accession_number": "A77", "step": "injection", "occurrence": 1, "started_at_utc": at, "ended_at_utc": at, "staff_id": "N01",
        "room_id": "INJECTION", "result": "done",
    }  # fmt: skip
    assert post(door, {**check("s77", type_="examination.step"), "data": step}).json()["stored"] == 1
    assert door.get("/examinations/A78/readiness").status_code == 404
    assert httpx.get(f"{door.base_url}/examinations/A77/readiness", trust_env=False).status_code == 401
    hl7.close()


def override(id_, time, until):
    data = {"device_id": "GC1", "staff_id": "P01", "reason": "one emergency", "until_utc": until}
    return {**check(id_, type_="device.hold_override"), "time": time, "data": data}


@pytest.mark.parametrize(
    "begins_h, ends_h, why",
    [
        (-2, 1, None), (-2, 30, None), (1, 2, None),
        (-3, -1, "is past"), (-30, -24, "is past"), (-1, -1, "is not after"), (2, 1, "is not after"), (-1, -3, "is not after"),
    ],
)  # fmt: skip
def test_an_override_that_has_ended_is_refused_with_the_reason_and_kept(door, new, home, begins_h, ends_h, why):
    now = datetime.now(UTC)
    begins, ends = (now + timedelta(hours=h) for h in (begins_h, ends_h))
    local = ends.astimezone(timezone(timedelta(hours=8)))  # said in the site's zone: the same moment
    answer = post(door, override(f"o{begins_h}/{ends_h}", begins.isoformat(), local.isoformat(timespec="seconds"))).json()
    assert answer["stored"] == (why is None)
    if why is not None:
        assert why in answer["quarantined"][0]["reason"] and "still to come" in answer["quarantined"][0]["reason"]
        (outcome,) = new()
        assert outcome.data["outcome"] == "quarantined" and why in outcome.data["reason"]
        keys = Keys.of(load(home=home))
        sealed = FileObjectStore(home / "objects" / "sealed", keys.seal, keys.unseal).open()
        assert b"one emergency" in sealed.get(outcome.data["sha256"][:2] + "/" + outcome.data["sha256"])


def test_an_override_that_comes_again_after_its_end_is_the_duplicate_that_it_is(door, new):
    ends = datetime.now(UTC) + timedelta(seconds=1.5)
    said = override("again", (ends - timedelta(hours=1)).isoformat(), ends.isoformat())
    assert post(door, said).json()["stored"] == 1
    while datetime.now(UTC) <= ends:
        time.sleep(0.1)
    assert post(door, said).json() == {"stored": 0, "duplicate": 1, "quarantined": []}


def test_doses_of_a_departments_nuclides_are_stored_and_an_unknown_one_is_named(door, new):
    moments = {f"{k}_at_utc": "2026-03-01T00:30:00Z" for k in ("assayed", "residual", "administered", "lot_expires")}
    texts = {
        "agent": "x",
        "lot": "L",
        "route": "iv",
        "staff_id": "P01",
        "prescribed_mbq": 100,
        "assayed_mbq": 101,
        "residual_mbq": 1,
    }
    names = ["Tc-99m", "I-123", "Lu-177", "Tl-201", "In-111", "Y-90", "Zr-89", "Ga-67", "^68^Ga", "Tc-98", "Zhang San"]
    batch = [
        {**check(f"dose {n}", type_="examination.dose"), "data": {**texts, **moments, "accession_number": f"A{k}", "nuclide": n}}
        for k, n in enumerate(names)
    ]
    answer = post(door, batch, "application/cloudevents-batch+json").json()
    assert (answer["stored"], [q["reason"] for q in answer["quarantined"]]) == (
        9,
        [
            "nuclide: Tc-98 is not in the reference data of nuclides",
            "nuclide: the value is not in the reference data of nuclides",
        ],
    )
    assert [e.data["nuclide"] for e in new() if e.type == "examination.dose"] == names[:9]

"""Kill each intake under load, again and again: nothing acknowledged is lost, nothing counts twice, and the lake agrees."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
from dicom_parrot import NM, Parrot, encoded, free_port, image
from pydicom.uid import generate_uid

from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.lake.ingest import ingest_his, ingest_pacs
from connectors.stores.lake.verify import verify

ROUNDS, SENDERS, SEED = 5, 4, 20260301
TOKEN = "token"


class Load:
    """Senders that never give an item up: an item without an acknowledgement is sent again, as real senders do."""

    def __init__(self, send: Callable[[int, str], None]) -> None:
        self.acknowledged: list[str] = []
        self.broken = 0  # times that an item was on its way when the service died
        self._send, self._ended, self._lock = send, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(SENDERS)]

    def __enter__(self) -> "Load":
        [t.start() for t in self._threads]
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        [t.join(30) for t in self._threads]

    def _run(self, number: int) -> None:
        count = 0
        while not self._ended.is_set():
            item, count = f"{number}.{count}", count + 1
            while True:
                try:
                    self._send(number, item)
                    break
                except (OSError, httpx.HTTPError, AssertionError):
                    self.broken += 1
                    if self._ended.is_set():
                        return
                    time.sleep(0.05)
            with self._lock:
                self.acknowledged.append(item)


def killed_again_and_again(module: str, env: dict[str, str], load_: Load, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Run a service while the senders send, kill it after a random time, start it again; leave it dead in the end.

    `meanwhile` is called while the service is dead and the senders try again.
    """
    dice = random.Random(SEED)
    with load_:
        for _ in range(ROUNDS):
            run = subprocess.Popen(
                [sys.executable, "-m", module], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            assert "ready" in run.stdout.readline()
            before = len(load_.acknowledged)
            time.sleep(dice.uniform(0.3, 1.5))
            while len(load_.acknowledged) < before + 5:
                time.sleep(0.02)
            run.kill()
            run.wait()
            run.stdout.close()
            meanwhile()


def test_dicom(tmp_path: Path) -> None:
    port = free_port()
    env = {**os.environ, "PHOTOPEAK_HOME": str(tmp_path), "PHOTOPEAK_DICOM_PORT": str(port), "PHOTOPEAK_SERIES_QUIET_S": "0.5"}
    root, series, connections = generate_uid()[:40].rstrip("."), [generate_uid() for _ in range(SENDERS)], {}

    def send(number: int, item: str) -> None:
        uid = f"{root}.9{item}"
        data = encoded(
            image(
                SOPInstanceUID=uid, SeriesInstanceUID=series[number], StudyInstanceUID="1.2.3", InstanceNumber=item.split(".")[1]
            )
        )
        try:
            parrot = connections.get(number) or connections.setdefault(number, Parrot(port))
            assert parrot.store(data, uid.encode(), NM.encode())[0] == 0
        except BaseException:
            if number in connections:
                connections.pop(number).socket.close()
            raise

    work = Load(send)
    killed_again_and_again("connectors.dicom", env, work)
    journal = SqliteJournal(tmp_path / "journal" / "dicom.db", read_only=True)
    stored = Counter(e.id for _, e in journal.read(limit=10**6) if e.type == "dicom.instance")
    acknowledged = {f"{root}.9{item}" for item in work.acknowledged}
    assert work.broken >= ROUNDS, "the service was never killed under load: this run proves nothing"
    assert acknowledged <= stored.keys() and set(stored.values()) == {1}
    settings = load(home=tmp_path)
    ingest_pacs(settings)
    assert verify(settings) == []
    run = subprocess.Popen(
        [sys.executable, "-m", "connectors.dicom"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:  # the last start closes what the kills left open, each series with all of its instances
        until, closed = time.monotonic() + 15, {}
        while time.monotonic() < until and sum(closed.values()) < len(stored):
            time.sleep(0.2)
            last = {s: list(journal.of("dicom.series", s)) for s in series}
            closed = {s: len(events[-1][1].data["instances"]) for s, events in last.items() if events}
        assert sum(closed.values()) == len(stored)
    finally:
        run.kill()
        run.wait()
        run.stdout.close()
    assert list((tmp_path / "objects").rglob("*.part")) == []


def test_events(tmp_path: Path) -> None:
    port = free_port()
    env = {**os.environ, "PHOTOPEAK_HOME": str(tmp_path), "PHOTOPEAK_EVENTS_PORT": str(port)}
    (tmp_path / "secrets" / "devices").mkdir(parents=True)
    (tmp_path / "secrets" / "devices" / "tablet").write_text(TOKEN)
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=10
    )

    def send(number: int, item: str) -> None:
        data = {
            "device_id": "GC1",
            "check": "flood",
            "performed_at_utc": "2026-03-01T00:30:00Z",
            "staff_id": "T01",
            "result": "pass",
        }
        common = {"specversion": "1.0", "source": "urn:photopeak:tablet", "type": "device.check", "time": "2026-03-01T00:30:00Z"}
        batch = [{**common, "id": f"{item}/{n}", "data": data} for n in range(3)]
        answer = client.post("/events", json=batch, headers={"Content-Type": "application/cloudevents-batch+json"})
        assert answer.status_code == 202
        assert answer.json()["stored"] + answer.json()["duplicate"] == 3

    work = Load(send)
    killed_again_and_again("connectors.http", env, work)
    client.close()
    journal = SqliteJournal(tmp_path / "journal" / "events.db", read_only=True)
    events = [e for _, e in journal.read(limit=10**6)]
    stored = Counter(e.id for e in events if e.type == "device.check")
    assert work.broken >= ROUNDS, "the service was never killed under load: this run proves nothing"
    assert {f"{item}/{n}" for item in work.acknowledged for n in range(3)} <= stored.keys() and set(stored.values()) == {1}
    told = Counter(e.data["message_id"] for e in events if e.type == "intake.outcome" and e.data["outcome"] == "stored")
    assert told == stored, "an event and its outcome are in the same transaction"
    settings = load(home=tmp_path)
    ingest_his(settings)
    assert verify(settings) == []


def test_words_that_are_cleaned_otherwise_when_they_come_again(tmp_path: Path) -> None:
    """Each time the door is dead all patients become known, new ones are written about next, and no resend becomes a conflict."""
    port = free_port()
    env = {**os.environ, "PHOTOPEAK_HOME": str(tmp_path), "PHOTOPEAK_EVENTS_PORT": str(port)}
    (tmp_path / "secrets" / "devices").mkdir(parents=True)
    (tmp_path / "secrets" / "devices" / "tablet").write_text(TOKEN)
    settings = load(home=tmp_path)
    keys = Keys.of(settings)
    vault, patients, told = Vault.of(settings, keys), [0], {}
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=10
    )

    def post(item: str, patient: int) -> dict[str, int]:
        data = {"device_id": "GC1", "check": "flood", "performed_at_utc": "2026-03-01T00:30:00Z", "staff_id": "T01"}
        common = {"specversion": "1.0", "source": "urn:photopeak:tablet", "type": "device.check", "time": "2026-03-01T00:30:00Z"}
        event = {**common, "id": item, "data": {**data, "result": "pass", "note": f"M{patient:07} fainted, {item}"}}
        answer = client.post("/events", json=event, headers={"Content-Type": "application/cloudevents+json"})
        assert answer.status_code == 202
        return answer.json()

    def send(_: int, item: str) -> None:
        patient = told.setdefault(item, patients[0])  # a resend says what was said
        answer = post(item, patient)
        assert answer["stored"] + answer["duplicate"] == 1

    def become_known() -> None:
        vault.remember(keys.pseudonym(f"M{patients[0]:07}"), "hl7", {"patient_id": f"M{patients[0]:07}"})
        patients[0] += 1

    work = Load(send)
    killed_again_and_again("connectors.http", env, work, become_known)
    run = subprocess.Popen(
        [sys.executable, "-m", "connectors.http"], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:  # what was acknowledged comes all again, when every patient is known
        assert run.stdout is not None and "ready" in run.stdout.readline()
        again = Counter(k for item in work.acknowledged for k, n in post(item, told[item]).items() if n)
        other = post(work.acknowledged[0], 999)
    finally:
        run.kill()
        run.wait()
    client.close()
    assert again == {"duplicate": len(work.acknowledged)} and other["stored"] == other["duplicate"] == 0
    events = [e for _, e in SqliteJournal(tmp_path / "journal" / "events.db", read_only=True).read(limit=10**6)]
    stored = Counter(e.id for e in events if e.type == "device.check")
    assert work.broken >= ROUNDS and len(set(told.values())) >= ROUNDS, "the service was never killed under load"
    assert set(work.acknowledged) <= stored.keys() and set(stored.values()) == {1}
    assert sum(e.data["outcome"] == "quarantined" for e in events if e.type == "intake.outcome") == 1, "the one that said another"

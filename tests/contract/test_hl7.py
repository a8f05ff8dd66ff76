"""The HL7 listener as a process, against a sender on plain sockets; hl7apy builds messages and reads every answer."""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hl7apy.core import Message
from hl7apy.parser import parse_message

from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.object_store.files import FileObjectStore

VT, END = b"\x0b", b"\x1c\r"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Service:
    """The process under test; `start` may be called again after a kill."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.env = {
            **os.environ,
            "PHOTOPEAK_HOME": str(home),
            "PHOTOPEAK_HL7_PORT": str(self.port),
            "PHOTOPEAK_MIN_FREE_MIB": "1",
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self, **env: str) -> "Service":
        command = [sys.executable, "-m", "connectors.his"]
        self.process = subprocess.Popen(
            command, env={**self.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        assert "ready" in self.process.stdout.readline()
        return self

    def end(self, number: int) -> float:
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - began

    def rows(self, where: str = "1") -> list[tuple]:
        with closing(sqlite3.connect(self.home / "journal" / "hl7.db")) as db:
            return db.execute(f"SELECT type, id, subject, data FROM event WHERE {where} ORDER BY offset").fetchall()

    def outcomes(self, message_id: str) -> list[str]:
        field = "json_extract(data, '$.outcome')"
        with closing(sqlite3.connect(self.home / "journal" / "hl7.db")) as db:
            query = f"SELECT {field} FROM event WHERE type = 'intake.outcome' AND subject = ? ORDER BY offset"
            return [r[0] for r in db.execute(query, (message_id,))]


@contextmanager
def connection(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as s:
        yield s


def answer(s: socket.socket) -> bytes:
    data = b""
    while not data.endswith(END):  # a byte at a time: the next answer may already be behind it
        byte = s.recv(1)
        if not byte:
            raise ConnectionError(f"closed after {data!r}")
        data += byte
    assert data.startswith(VT) and data.count(VT) == 1
    return data[1:-2]


def exchange(service: Service, content: bytes) -> tuple[str, str, str]:
    """Send the bytes as they are; return MSA-1, MSA-2 and MSA-3 of the one answer, read and validated by hl7apy."""
    with connection(service) as s:
        s.sendall(content)
        return read(answer(s))


def read(ack: bytes) -> tuple[str, str, str]:
    message = parse_message(ack.decode("utf-8", "replace"))
    message.validate()
    msa = message.msa
    return msa.msa_1.value, msa.msa_2.value, msa.msa_3.value


def adt(control_id: str, patient: str = "P1", name: str = "WANG^XIAOMING") -> bytes:
    text = (
        f"MSH|^~\\&|HIS|HOSP|PHOTOPEAK|MAIN|20260301093000||ADT^A04^ADT_A01|{control_id}|P|2.5.1||||||UNICODE UTF-8\r"
        f"EVN|A04|20260301093000\rPID|1||{patient}^^^HOSP^MR||{name}||19800517|M\rPV1|1|O|NM\r"
    )
    return text.encode()


def framed(content: bytes) -> bytes:
    return VT + content + END


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("hl7")).start()
    yield service
    assert service.end(signal.SIGTERM) < 3
    assert service.process is not None and service.process.returncode == 0


@pytest.mark.req("DC-11")
def test_messages_built_by_hl7apy_are_taken_and_their_answers_are_valid(service: Service) -> None:
    message = Message("ADT_A01", version="2.5.1")
    message.msh.msh_3, message.msh.msh_4, message.msh.msh_7 = "HIS", "HOSP", "20260301093000"
    message.msh.msh_9, message.msh.msh_10, message.msh.msh_11 = "ADT^A01^ADT_A01", "APY1", "P"
    message.evn.evn_2 = "20260301093000"
    message.pid.pid_3, message.pid.pid_5, message.pid.pid_7, message.pid.pid_8 = (
        "P77^^^HOSP^MR",
        "SECRETNAME^GIVEN",
        "19700102",
        "F",
    )
    message.pv1.pv1_2, message.pv1.pv1_3 = "I", "NM^4"
    assert message.validate()
    assert exchange(service, framed(message.to_er7().encode())) == ("AA", "APY1", "")
    ((type_, _, pseudonym, data),) = service.rows("id = 'APY1'")
    assert type_ == "his.patient" and pseudonym.startswith("PT-") and '"birth_year":1970' in data
    settings = load(home=service.home)
    vault = Vault.of(settings, Keys.of(settings))
    assert vault.recall(pseudonym)["hl7"]["name"] == "SECRETNAME GIVEN"
    vault.close()
    for file in service.home.rglob("*"):  # neither name nor number lies anywhere in the clear
        if file.is_file():
            assert b"SECRETNAME" not in file.read_bytes() and b"P77^" not in file.read_bytes(), file


def test_order_and_result(service: Service) -> None:
    head = "MSH|^~\\&|HIS|HOSP|PHOTOPEAK|MAIN|20260301093000||{}|{}|P|2.5.1||||||UNICODE UTF-8\rPID|1||P1^^^H^MR||王^小明\r"
    order = (
        head.format("ORM^O01^ORM_O01", "ORD1")
        + "ORC|NW|PL1|A900\rOBR|1|PL1|A900|BONE^骨显像^L\rOBX|1|NM|PRESCRIBED_MBQ||740|MBq|||||F\r"
    )
    result = head.format("ORU^R01^ORU_R01", "RES1") + "OBR|1||A900|GLU^glucose^L\rOBX|1|NM|GLU^血糖^L||5.6|mmol/L|3.9-6.1|N|||F\r"
    assert exchange(service, framed(order.encode()))[0] == "AA" and exchange(service, framed(result.encode()))[0] == "AA"
    ((kind, _, subject, data),) = service.rows("id = 'ORD1'")
    assert (kind, subject) == ("his.order", "A900") and '"prescribed_activity_mbq":740.0' in data
    ((kind, _, subject, data),) = service.rows("id = 'RES1'")
    assert (kind, subject) == ("his.observation", "A900") and '"value":"5.6"' in data


def test_duplicate_conflict_and_flood(service: Service) -> None:
    assert exchange(service, framed(adt("D1")))[0] == "AA"
    with connection(service) as s:  # a sender that lost its patience: 30 times in one go, then it reads
        s.sendall(framed(adt("D1")) * 30)
        answers = [a for _ in range(30) for a in [read(answer(s))]]
    assert set(answers) == {("AA", "D1", "duplicate")}
    code, control_id, reason = exchange(service, framed(adt("D1", patient="P2")))
    assert (code, control_id) == ("AE", "D1") and "stored before" in reason
    assert len(service.rows("id = 'D1'")) == 1
    assert service.outcomes("D1") == ["stored", *["duplicate"] * 30, "quarantined"]
    digest = next(d for t, _, _, d in reversed(service.rows("subject = 'D1'")) if t == "intake.outcome")
    settings = load(home=service.home)
    keys = Keys.of(settings)
    sealed = FileObjectStore(service.home / "objects" / "sealed", keys.seal, keys.unseal)
    sha = digest.split('"sha256":"')[1][:64]
    assert sealed.get(f"{sha[:2]}/{sha}") == adt("D1", patient="P2")


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"junk\r\n" + framed(adt("B1")), ["AR", "AA"]),
        (VT + framed(adt("B2")), ["AA"]),
        (VT + adt("B3").replace(b"WANG", b"WA\x1cNG") + END, ["AA"]),
        (framed(adt("B4")) + b"\n" + framed(adt("B5")) + b"\n", ["AA", "AA"]),
        (VT + adt("B6") + framed(adt("B7")), ["AR", "AA"]),
        (framed(adt("B8").replace(b"\r", b"\n")), ["AA"]),
        (framed(adt("B9", name="张^三").decode().encode("gb18030")), ["AA"]),
        (framed(adt("B10", name="M\xfcller^X").decode().encode("latin-1")), ["AA"]),
        (framed(adt("B11", name=r"\X00E0\ ^X")), ["AA"]),
        (framed(adt("B12").replace(b"ADT^A04^ADT_A01", b"SIU^S12")), ["AR"]),
        (framed(adt("B13").replace(b"PID|", b"ZID|")), ["AE"]),
        (framed(b"hello"), ["AR"]),
        (framed(b""), ["AR"]),
        (framed(b"MSH|^~\\&|" + bytes(range(32, 256)) * 20), ["AE"]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + framed(adt("B14")), ["AR", "AA"]),
    ],
)
def test_bad_input_is_answered_and_the_service_goes_on(service: Service, content: bytes, codes: list[str]) -> None:
    before = len(service.rows("type = 'intake.outcome'"))
    with connection(service) as s:
        s.sendall(content)
        assert [read(answer(s))[0] for _ in codes] == codes
    assert len(service.rows("type = 'intake.outcome'")) == before + len(codes)
    assert exchange(service, framed(adt(f"after-{random.random()}")))[0] == "AA"


def test_a_message_without_end_is_quarantined_when_the_sender_leaves_or_waits(tmp_path: Path) -> None:
    service = Service(tmp_path).start()
    try:
        with connection(service) as s:
            s.sendall(VT + adt("CUT1"))
            s.shutdown(socket.SHUT_WR)
            assert read(answer(s))[0] == "AR"
        with connection(service) as s:  # says nothing more: our patience ends after 15 s
            s.sendall(VT + adt("CUT2"))
            assert read(answer(s))[0] == "AR"
            assert s.recv(10) == b""
        assert [t for t, *_ in service.rows()] == ["intake.outcome"] * 2
    finally:
        service.end(signal.SIGTERM)


def test_a_message_above_the_limit_ends_the_connection(service: Service) -> None:
    with connection(service) as s:
        s.sendall(framed(adt("HUGE") + b"NTE|1||" + b"x" * (4 * 1024 * 1024)))
        assert read(answer(s))[0] == "AR"
    assert exchange(service, framed(adt("after-huge")))[0] == "AA"


def test_silent_connections_do_not_lock_others_out(service: Service) -> None:
    silent = [socket.create_connection(("127.0.0.1", service.port), timeout=20) for _ in range(300)]
    try:
        assert exchange(service, framed(adt("among-silent")))[0] == "AA"
    finally:
        for s in silent:
            s.close()


def test_a_full_disk_is_said_and_nothing_is_promised(tmp_path: Path) -> None:
    service = Service(tmp_path).start(PHOTOPEAK_MIN_FREE_MIB=str(10**9))
    try:
        code, control_id, reason = exchange(service, framed(adt("F1")))
        assert (code, control_id) == ("AE", "F1") and "disk is full" in reason
        assert service.rows() == []
    finally:
        service.end(signal.SIGTERM)


def test_a_taken_port_is_one_sentence(service: Service, tmp_path: Path) -> None:
    env = {**service.env, "PHOTOPEAK_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "connectors.his"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and str(service.port) in done.stderr


def test_kill_under_load_loses_nothing_acknowledged_and_counts_nothing_twice(tmp_path: Path) -> None:
    """Five kills; eight senders, each sends a message until it is acknowledged, as a hospital's interface engine does."""
    service = Service(tmp_path).start()
    acknowledged: set[str] = set()
    done, lock = threading.Event(), threading.Lock()

    def sender(name: int) -> None:
        n = 0
        while not done.is_set():
            control_id = f"K{name}-{n}"
            try:
                with connection(service) as s:
                    while not done.is_set():
                        s.sendall(framed(adt(control_id, patient=control_id)))
                        code, said, _ = _msa(answer(s))
                        assert (code, said) == ("AA", control_id)
                        with lock:
                            acknowledged.add(control_id)
                        n += 1
                        control_id = f"K{name}-{n}"
            except OSError:
                time.sleep(0.05)

    senders = [threading.Thread(target=sender, args=(n,), daemon=True) for n in range(8)]
    for thread in senders:
        thread.start()
    for _ in range(5):
        time.sleep(0.4 + random.random() * 0.4)
        service.end(signal.SIGKILL)
        service.start()
    time.sleep(0.5)
    done.set()
    for thread in senders:
        thread.join(20)
    service.end(signal.SIGTERM)
    ids = [id_ for _, id_, *_ in service.rows("type = 'his.patient'")]
    assert len(acknowledged) > 100
    assert acknowledged <= set(ids)
    assert len(ids) == len(set(ids))
    stored = service.rows("type = 'intake.outcome' AND json_extract(data, '$.outcome') = 'stored'")
    assert sorted(s for _, _, s, _ in stored) == sorted(ids)
    settings = load(home=service.home)
    vault = Vault.of(settings, keys := Keys.of(settings))
    assert all(vault.recall(keys.pseudonym(i)) for i in acknowledged)
    vault.close()


def _msa(ack: bytes) -> tuple[str, str, str]:
    """Return MSA-1 to MSA-3 by splitting; hl7apy would be the load."""
    fields = (ack.decode().split("\r")[1] + "|||").split("|")
    return fields[1], fields[2], fields[3]

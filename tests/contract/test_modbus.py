"""The Modbus poller as a process, against a pymodbus server and against byte parrots that answer wrongly."""

import json
import os
import random
import signal
import socket
import socketserver
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.sensors.mapping import COLUMNS

SERVER = """
import asyncio, struct, sys
from pymodbus.server import StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

def words(x):
    return list(struct.unpack(">HH", struct.pack(">f", x)))

def device(number, first):
    registers = [first, 512, *words(0.125), *words(float("nan")), *words(17.5)[::-1], 32767, *words(1e9)]
    return SimDevice(id=number, simdata=[SimData(0, values=registers, datatype=DataType.REGISTERS)])

devices, address = [device(1, 65536 - 55), device(2, 7)], ("127.0.0.1", int(sys.argv[1]))
asyncio.run(StartAsyncTcpServer(devices, address=address, ignore_missing_devices=True))
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def line(sensor: str, room: str, port: int, register: int, type_: str = "int16", **more: Any) -> str:
    quantity = "dose_rate" if type_.startswith("float") else "temperature"
    row = {
        "sensor_id": sensor, "room_id": room, "quantity": quantity, "unit": "uSv/h" if quantity == "dose_rate" else "Cel",
        "host": "127.0.0.1", "port": port, "unit_id": 1, "register": register, "kind": "input", "type": type_,
        "scale": 1 if quantity == "dose_rate" else 0.1, "offset": 0, "overload_raw": "", "poll_s": 0.25, **more,
    }  # fmt: skip
    return ",".join(str(row[c]) for c in COLUMNS)


class Poller:
    """The process under test; `start` may be called again after a kill."""

    def __init__(self, home: Path, *lines: str) -> None:
        self.home, self.map = home, home / "config" / "sensors.csv"
        self.map.parent.mkdir(parents=True)
        self.write(*lines)
        self.env = {**os.environ, "PHOTOPEAK_HOME": str(home), "PHOTOPEAK_MIN_FREE_MIB": "1"}
        self.process: subprocess.Popen[str] | None = None

    def write(self, *lines: str) -> None:
        self.map.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")

    def start(self) -> "Poller":
        command = [sys.executable, "-m", "connectors.sensors"]
        self.process = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None and "ready" in self.process.stdout.readline()
        return self

    def end(self, number: int = signal.SIGTERM) -> float:
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(20)
        return time.monotonic() - began

    def events(self, type_: str = "sensor.readings") -> list[tuple[str, dict[str, Any]]]:
        path = self.home / "journal" / "modbus.db"
        with closing(sqlite3.connect(path)) as db:
            rows = db.execute("SELECT id, data FROM event WHERE type = ? ORDER BY offset", (type_,)).fetchall()
        return [(i, json.loads(d)) for i, d in rows]

    def readings(self, sensor: str) -> list[tuple[float | None, str]]:
        found = (r for _, d in self.events() for r in d["readings"] if r["sensor_id"] == sensor)
        return [(r["value"], r["quality"]) for r in found]

    def health(self) -> dict[str, Any]:
        return json.loads((self.home / "run" / "modbus.json").read_text())

    def cpu_s(self) -> float:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(condition: Callable[[], Any], seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def serve(port: int) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens() -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens)
    return process


@pytest.fixture(scope="module")
def device() -> Iterator[int]:
    port = free_port()
    process = serve(port)
    yield port
    process.terminate()
    process.wait(10)


@pytest.mark.req("ENV-11", "ENV-13", "ENV-15", "DC-14")
def test_values_overload_refusal_and_silence(tmp_path: Path, device: int) -> None:
    dead = free_port()
    poller = Poller(
        tmp_path,
        line("A/int16", "A", device, 0), line("A/float", "A", device, 2, "float32", overload_raw="nan 1e9"),
        line("A/holding", "A", device, 1, kind="holding"), line("A/swapped", "A", device, 6, "float32_swapped"),
        line("A/nan", "A", device, 4, "float32", overload_raw="nan 1e9"), line("A/raw", "A", device, 8, overload_raw="32767"),
        line("A/billion", "A", device, 9, "float32", overload_raw="nan 1e9"), line("A/unit2", "A", device, 0, unit_id=2),
        line("A/nowhere", "A", device, 5000), line("A/edge", "A", device, 14), line("B/unit9", "B", device, 0, unit_id=9),
        line("C/dead", "C", dead, 0), line("D/bad", "D", device, "x"),
    ).start()  # fmt: skip
    try:
        wait_for(lambda: len(poller.readings("A/unit2")) >= 6)
        expected = {
            "A/int16": (-5.5, "good"), "A/float": (0.125, "good"), "A/holding": (51.2, "good"), "A/swapped": (17.5, "good"),
            "A/nan": (None, "overload"), "A/raw": (None, "overload"), "A/billion": (None, "overload"), "A/unit2": (0.7, "good"),
            "A/nowhere": (None, "invalid"), "A/edge": (None, "invalid"),
        }  # fmt: skip
        for sensor, reading in expected.items():
            assert set(poller.readings(sensor)) == {reading}, sensor
        assert set(poller.readings("B/unit9")) == {(None, "invalid")}  # this server refuses units that it does not have
        assert poller.readings("C/dead") == [(None, "no_answer")]  # told once, not at each of the cycles since
        ((_, bad),) = poller.events("intake.outcome")
        assert bad["outcome"] == "quarantined" and bad["reason"].startswith("line 14: register 'x'")
        states = {g["gateway"]: g["state"] for g in poller.health()["gateways"]}
        assert states == {f"127.0.0.1:{device}": "up", f"127.0.0.1:{dead}": "no_answer"}
        ids = [i for i, _ in poller.events()]
        assert len(ids) == len(set(ids)) and all(i.split("/")[1].isdigit() for i in ids)
    finally:
        assert poller.end() < 3


@pytest.mark.req("DC-14")
def test_one_more_line_is_one_more_room_without_a_restart(tmp_path: Path, device: int) -> None:
    first = line("A/t", "A", device, 0)
    poller = Poller(tmp_path, first).start()
    try:
        wait_for(lambda: poller.readings("A/t"))
        poller.write(first, "rubbish", line("NEW/t", "NEW", device, 1))
        wait_for(lambda: poller.readings("NEW/t"))
        assert poller.readings("NEW/t")[0] == (51.2, "good")
        assert [d["message_id"] for _, d in poller.events("intake.outcome")] == ["sensors.csv:3"]
        poller.write(line("NEW/t", "NEW", device, 1))
        time.sleep(1)
        before = len(poller.readings("A/t"))
        time.sleep(0.6)
        assert len(poller.readings("A/t")) == before
    finally:
        poller.end()
    poller.start()  # the same file again: its bad line was told already
    poller.end()
    assert len(poller.events("intake.outcome")) == 1


def test_a_gateway_that_comes_back_is_read_again(tmp_path: Path) -> None:
    port = free_port()
    poller = Poller(tmp_path, line("A/t", "A", port, 0)).start()
    try:
        wait_for(lambda: poller.readings("A/t") == [(None, "no_answer")])
        process = serve(port)
        wait_for(lambda: (-5.5, "good") in poller.readings("A/t"))
        process.terminate()
        process.wait(10)
        wait_for(lambda: poller.readings("A/t")[-1] == (None, "no_answer"))
        assert poller.health()["gateways"][0]["state"] == "no_answer"
    finally:
        poller.end()


def pdu(transaction: int, unit: int, body: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(body) + 1, unit) + body


GOOD = b"\x04\x02\x00\x64"  # 100 → 10.0
Say = Callable[[int, int], bytes | None]
PARROTS: dict[str, tuple[Say, tuple[float | None, str]]] = {
    "right": (lambda t, u: pdu(t, u, GOOD), (10.0, "good")),
    "wrong transaction id": (lambda t, u: pdu(t + 7, u, GOOD), (None, "no_answer")),
    "no transaction id": (lambda t, u: pdu(0, u, GOOD), (None, "no_answer")),
    "wrong unit id": (lambda t, u: pdu(t, u + 1, GOOD), (None, "no_answer")),
    "truncated frame": (lambda t, u: pdu(t, u, GOOD)[:-1], (None, "no_answer")),
    "shorter than it says": (lambda t, u: pdu(t, u, b"\x04\x04\x00\x64"), (None, "no_answer")),
    "two registers for one": (lambda t, u: pdu(t, u, b"\x04\x04\x00\x64\x00\x65"), (None, "invalid")),
    "no register": (lambda t, u: pdu(t, u, b"\x04\x00"), (None, "invalid")),
    "unknown function": (lambda t, u: pdu(t, u, b"\x63\x00"), (None, "no_answer")),
    "another function": (lambda t, u: pdu(t, u, b"\x03\x02\x00\x64"), (None, "no_answer")),
    "exception of another function": (lambda t, u: pdu(t, u, b"\x83\x02"), (None, "no_answer")),
    "exception 2": (lambda t, u: pdu(t, u, b"\x84\x02"), (None, "invalid")),
    "exception 11": (lambda t, u: pdu(t, u, b"\x84\x0b"), (None, "no_answer")),
    "noise": (lambda t, u: bytes(range(200)), (None, "no_answer")),
    "silence": (lambda t, u: None, (None, "no_answer")),
    "goodbye": (lambda t, u: b"", (None, "no_answer")),
}


class Parrot(socketserver.ThreadingTCPServer):
    """Answers each request with what a function of its transaction and unit id says; empty closes, None says nothing."""

    daemon_threads = allow_reuse_address = True

    def __init__(self, say: Say) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while len(request := self.request.recv(12)) == 12:
                    transaction, _, _, unit = struct.unpack(">HHHB", request[:7])
                    reply = say(transaction, unit)
                    if reply == b"":
                        return
                    self.request.sendall(reply or b"")

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_wrong_answers_never_become_values(tmp_path: Path) -> None:
    parrots = {name: Parrot(say) for name, (say, _) in PARROTS.items()}
    rooms = {name: f"P{n}" for n, name in enumerate(PARROTS)}
    poller = Poller(tmp_path, *(line(f"{rooms[n]}/t", rooms[n], p.server_address[1], 0) for n, p in parrots.items())).start()
    try:
        wait_for(lambda: len(poller.readings(f"{rooms['right']}/t")) >= 3, 30)
        for name, (_, expected) in PARROTS.items():
            assert set(wait_for(lambda r=rooms[name]: poller.readings(f"{r}/t"))) == {expected}, name
    finally:
        poller.end()
        for parrot in parrots.values():
            parrot.shutdown()
            parrot.server_close()


def test_a_silent_unit_does_not_silence_its_neighbour_behind_the_same_gateway(tmp_path: Path) -> None:
    parrot = Parrot(lambda t, u: pdu(t, u, GOOD) if u == 1 else None)
    port = parrot.server_address[1]
    poller = Poller(tmp_path, line("A/t", "A", port, 0), line("B/t", "B", port, 0, unit_id=9)).start()
    try:
        wait_for(lambda: len(poller.readings("A/t")) >= 10, 30)
        assert set(poller.readings("A/t")) == {(10.0, "good")}
        assert poller.readings("B/t") == [(None, "no_answer")]
        (gateway,) = poller.health()["gateways"]
        assert (gateway["state"], gateway["silent"]) == ("up", ["B/t"])
    finally:
        poller.end()
        parrot.shutdown()
        parrot.server_close()


def test_a_late_answer_is_not_taken_for_that_of_the_next_request(tmp_path: Path) -> None:
    """The first answer comes after our patience ended, with the number of the next request: a device that counts by itself."""
    seen: list[int] = []

    def late(transaction: int, unit: int) -> bytes:
        seen.append(transaction)
        if len(seen) == 1:
            time.sleep(3.6)  # one second of patience, two of pause: the next request is on its way
            return pdu(transaction, unit, b"\x04\x02\x03\xe7") + pdu(transaction + 1, unit, b"\x04\x02\x03\xe7")
        return pdu(transaction, unit, GOOD)

    parrot = Parrot(late)
    poller = Poller(tmp_path, line("A/t", "A", parrot.server_address[1], 0)).start()
    try:
        wait_for(lambda: (10.0, "good") in poller.readings("A/t"))
        assert set(poller.readings("A/t")) == {(None, "no_answer"), (10.0, "good")}
    finally:
        poller.end()
        parrot.shutdown()
        parrot.server_close()


def test_an_idle_poller_is_idle(tmp_path: Path, device: int) -> None:
    dead = free_port()
    lines = [line(f"R{n}/t", f"R{n}", device if n % 2 else dead, 0, poll_s=5) for n in range(6)]
    poller = Poller(tmp_path, *lines).start()
    try:
        wait_for(lambda: poller.readings("R1/t"))
        before = poller.cpu_s()
        time.sleep(11)
        assert poller.cpu_s() - before < 0.11  # 1 % of one core
    finally:
        assert poller.end() < 3


@pytest.mark.req("ENV-11")
def test_kill_loses_no_cycle_that_was_kept_and_counts_none_twice(tmp_path: Path, device: int) -> None:
    """What a reader saw in the journal before a kill is there afterwards; each cycle of a room is there once and whole."""
    rooms = [f"R{n}" for n in range(5)]
    poller = Poller(tmp_path, *(line(f"{r}/{s}", r, device, s, poll_s=0.1) for r in rooms for s in (0, 1))).start()
    seen: dict[str, Any] = {}
    for _ in range(6):
        wait_for(lambda: len(poller.events()) > len(seen))
        time.sleep(random.random())
        seen.update(poller.events())
        poller.end(signal.SIGKILL)
        after = dict(poller.events())
        assert {i: after.get(i) for i in seen} == seen
        poller.start()
    poller.end()
    ids = [i for i, _ in poller.events()]
    assert len(ids) == len(set(ids)) > 30
    assert all(len(d["readings"]) == 2 for _, d in poller.events())
    cycles = {i.split("/")[1] for i in ids}
    assert set(ids) == {f"{r}/{c}" for r in rooms for c in cycles}  # one append a cycle: all rooms or none


def test_a_second_poller_is_refused_in_one_sentence(tmp_path: Path, device: int) -> None:
    poller = Poller(tmp_path, line("A/t", "A", device, 0)).start()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "connectors.sensors"], env=poller.env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 3 and done.stdout == "" and done.stderr.count("\n") == 1
    finally:
        poller.end()


def test_the_first_start_lays_down_the_default_mapping(tmp_path: Path) -> None:
    env = {**os.environ, "PHOTOPEAK_HOME": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-m", "connectors.sensors"], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and "polls 19 sensors" in process.stdout.readline()
    process.terminate()
    assert process.wait(10) == 0
    assert (tmp_path / "config" / "sensors.csv").is_file()

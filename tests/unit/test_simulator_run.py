"""The pretend hospital against small listeners: everything comes once, a second run sends nothing, an interrupted one goes on."""

import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, NuclearMedicineImageStorage, SecondaryCaptureImageStorage

from simulator.plan import build_plan
from simulator.progress import Progress, plan_of
from simulator.run import Doors, run

DAY, SEED, DAYS = date(2026, 3, 3), 5, 7


class Platform:
    """Listeners that count what comes, refuse what they must, and break off when told to."""

    def __init__(self) -> None:
        self.images: list[str] = []
        self.messages: list[str] = []
        self.events: list[str] = []
        self.readings = 0
        self.images_before_break = 10**9
        self._stored: dict[str, bytes] = {}
        platform = self

        class Mllp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                buffer = b""
                while part := self.request.recv(65536):
                    buffer += part
                    while b"\x1c\r" in buffer:
                        one, buffer = buffer.split(b"\x1c\r", 1)
                        number = one.split(b"|")[9].decode()
                        platform.messages.append(number)
                        code = "AA" if b"\rPID|" in one else "AE"
                        self.request.sendall(f"\x0bMSH|^~\\&|A|B|C|D|||ACK|1|P|2.5\rMSA|{code}|{number}\r\x1c\r".encode())

        class Http(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.headers["Authorization"] == "Bearer secret"
                batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                platform.events += [e["id"] for e in batch]
                platform.readings += sum(len(e.get("data", {}).get("readings", [])) for e in batch)
                bad = [
                    {"id": e["id"], "reason": "unknown step"} for e in batch if e.get("data", {}).get("step") == "x_ray_vision"
                ]
                body = json.dumps({"stored": len(batch) - len(bad), "duplicate": 0, "quarantined": bad}).encode()
                self.send_response(202)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._mllp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mllp)
        self._mllp.daemon_threads = True
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
        ae = AE("PHOTOPEAK")
        for storage in (NuclearMedicineImageStorage, CTImageStorage, SecondaryCaptureImageStorage):
            ae.add_supported_context(storage, AllTransferSyntaxes)
        self._dicom = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        for server in (self._mllp, self._http):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def doors(self, folder: Path) -> Doors:
        token = folder / "token"
        token.write_text("secret\n")
        hl7, http = self._mllp.server_address[1], self._http.server_address[1]
        dicom = self._dicom.socket.getsockname()[1]  # type: ignore[union-attr]
        return Doors(f"127.0.0.1:{dicom}", "PHOTOPEAK", f"127.0.0.1:{hl7}", f"http://127.0.0.1:{http}", token, 0, 0)

    def close(self) -> None:
        self._mllp.shutdown()
        self._http.shutdown()
        self._dicom.shutdown()

    def _store(self, event: evt.Event) -> int:
        if len(self.images) >= self.images_before_break:
            event.assoc.abort()
            return 0xC001
        ds = event.dataset
        self.images.append(ds.SOPInstanceUID)
        content = event.request.DataSet.getvalue()
        short = "JPEG" not in event.context.transfer_syntax.name and "RLE" not in event.context.transfer_syntax.name
        short = short and len(ds.PixelData) < ds.Rows * ds.Columns * 2 * int(ds.get("NumberOfFrames", 1))
        if short or self._stored.setdefault(ds.SOPInstanceUID, content) != content:
            return 0xC000
        return 0


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Platform]:
    monkeypatch.setenv("PHOTOPEAK_REAL_DATA", str(tmp_path / "none"))
    it = Platform()
    yield it
    it.close()


@pytest.mark.req("ENB-08")
def test_everything_comes_once_and_a_second_run_sends_nothing(platform: Platform, tmp_path: Path, capsys) -> None:
    doors = platform.doors(tmp_path)
    assert run(tmp_path, DAY, SEED, DAYS, doors) == 0, capsys.readouterr().out
    plan = build_plan(SEED, DAY, DAYS)
    assert len(platform.events) == len(set(platform.events)) > 91 * len(plan.working)
    assert platform.readings == (DAYS + 1) * 19 * 144 - 18
    assert len(platform.messages) == len(set(platform.messages)) + 1, "one message is sent twice"
    assert len(set(platform.messages)) == sum(3 + (e.code == "FDG") for e in plan.exams) + 1
    assert len(platform.images) == len(plan.images) + 2, "two real scans ship inside pydicom"
    assert len(platform.images) == len(set(platform.images)) + 1, "one object is sent again, edited"
    before = len(platform.images), len(platform.messages), len(platform.events)
    assert run(tmp_path, DAY, SEED, DAYS, doors) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert before == (len(platform.images), len(platform.messages), len(platform.events))
    with pytest.raises(ValueError, match="already holds"):
        run(tmp_path, DAY, SEED + 1, DAYS, doors)


@pytest.mark.req("ENB-08")
def test_an_interrupted_run_goes_on_and_says_what_it_sent_twice(platform: Platform, tmp_path: Path) -> None:
    doors = platform.doors(tmp_path)
    platform.images_before_break = 9
    with pytest.raises(ConnectionError, match="does not take images"):
        run(tmp_path, DAY, SEED, DAYS, doors)
    first = list(platform.images)
    platform.images_before_break = 10**9
    assert run(tmp_path, DAY, SEED, DAYS, doors) == 0
    plan, again = plan_of(tmp_path)
    assert plan == {"seed": SEED, "day": DAY.isoformat(), "history_days": DAYS}
    assert {p.partition(":")[0] for p in again} <= {"image", "events", "hl7", "real"} and any(
        p.startswith("image:") for p in again
    )
    assert len(set(platform.images)) == len(build_plan(SEED, DAY, DAYS).images) - 1 + 2
    assert not set(first) & set(platform.images[len(first) :]), "what was acknowledged is not sent again"


def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path: Path) -> None:
    progress = Progress(tmp_path, SEED, DAY, DAYS)
    progress.begin("hl7:a")
    progress.end("hl7:a")
    progress.begin("hl7:b")
    progress.close()
    path = tmp_path / "demo" / "simulator.jsonl"
    path.write_text(path.read_text() + '{"done": "hl7')
    again = Progress(tmp_path, SEED, DAY, DAYS)
    assert again.done == {"hl7:a"}
    again.begin("hl7:b")
    again.close()
    assert plan_of(tmp_path)[1] == {"hl7:b"}


def test_a_door_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    doors = Doors("127.0.0.1:9", "PHOTOPEAK", "127.0.0.1:9", "http://127.0.0.1:9", tmp_path / "token", 0, 0)
    with pytest.raises(ConnectionError, match=r"at (http://)?127\.0\.0\.1:9"):
        run(tmp_path, DAY, SEED, DAYS, doors)

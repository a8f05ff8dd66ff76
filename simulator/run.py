"""One run of the pretend hospital: history and live day through the doors, in pieces that are remembered when acknowledged."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydicom.dataset import Dataset

from simulator.doors import EventDoor, ImageDoor, MessageDoor
from simulator.events import day_events, day_readings, first_events, unknown_step_id
from simulator.images import make
from simulator.messages import day_messages
from simulator.plan import ImageJob, Plan, build_plan
from simulator.progress import Progress
from simulator.real import real_files
from simulator.reports import day_reports
from simulator.sensors import Gateway

__all__ = ["Doors", "run"]

Image = tuple[str, Dataset | Path, bool]  # piece, object, whether the node has to refuse it
ASSOCIATIONS = 2
CONNECTIONS = 4


@dataclass(frozen=True)
class Doors:
    """Where the platform listens."""

    dicom: str
    ae_title: str
    hl7: str
    events: str
    token_file: Path
    modbus_port: int
    modbus_seconds: float


def run(home: Path, day: date, seed: int, history_days: int, doors: Doors) -> int:
    """Send everything that was not sent yet and return 0, or 1 when a door refused what is sound (or took what is not)."""
    plan = build_plan(seed, day, history_days)
    progress = Progress(home, seed, day, history_days)
    hospital = _Hospital(plan, progress, doors)
    try:
        if hospital.left == 0:
            print("pretend hospital: everything was sent before, nothing to do", flush=True)
            return 0
        gateway = Gateway("127.0.0.1", doors.modbus_port) if doors.modbus_port else None
        began = time.monotonic()
        if gateway:
            gateway.start()
        try:
            hospital.send([d for d in plan.days if d != day], "history")
            hospital.send([day], "live day")
            while gateway and (rest := doors.modbus_seconds - (time.monotonic() - began)) > 0:
                print(f"pretend hospital: room sensors answer for {rest:.0f} s more", flush=True)
                time.sleep(min(rest, 10))
        finally:
            if gateway:
                gateway.stop()
    finally:
        progress.close()
    print(f"pretend hospital: sent in {time.monotonic() - began:.0f} s", flush=True)
    for line in hospital.surprises:
        print(f"pretend hospital: {line}", flush=True)
    return 1 if hospital.surprises else 0


class _Hospital:
    """The senders of one run."""

    def __init__(self, plan: Plan, progress: Progress, doors: Doors) -> None:
        self._plan, self._progress, self._doors = plan, progress, doors
        self._stop = threading.Event()
        self.surprises: list[str] = []
        self._real = real_files()
        pieces = {f"{door}:{d}" for door in ("events", "hl7") for d in plan.days}
        pieces |= {_piece(j) for j in plan.images} | {_real_piece(p) for p in self._real}
        self._all = len(pieces)
        self._pieces = pieces
        self._began = time.monotonic()
        self._at_start = self.left

    @property
    def left(self) -> int:
        """Return how many pieces wait."""
        return len(self._pieces - self._progress.done)

    def send(self, days: list[date], what: str) -> None:
        """Send what waits of these days through all doors at once; the first error ends all of them."""
        live = self._plan.day in days
        jobs = [j for j in self._plan.images if (j.acquired.date() in days) and "edited" not in j.fault]
        edited = [j for j in self._plan.images if live and "edited" in j.fault]
        files = self._real if not live else []
        dates = self._waiting((f"hl7:{d}", d) for d in days)
        with ThreadPoolExecutor(CONNECTIONS + 3) as pool:
            work = [pool.submit(self._events, days), pool.submit(self._images, self._made(jobs, files))]
            work += [pool.submit(self._messages, dates) for _ in range(CONNECTIONS)]
            self._watch(work, what)
            if edited:
                self._watch([pool.submit(self._images, self._made(edited, []))], what)

    def _watch(self, work: list[Future], what: str) -> None:
        try:
            waiting = set(work)
            while waiting:
                done, waiting = wait(waiting, timeout=2, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                print(self._line(what), flush=True)
        finally:
            self._stop.set()
            wait(work, timeout=60)
            self._stop.clear()

    def _line(self, what: str) -> str:
        sent, spent = self._at_start - self.left, time.monotonic() - self._began
        percent = 100 * (self._all - self.left) // self._all
        rest = f"about {spent * self.left / sent:.0f} s left" if sent else "…"
        return f"pretend hospital: {what}, {percent} % sent, {rest}"

    def _waiting(self, pieces: Iterable[tuple[str, date]]) -> "queue.SimpleQueue[tuple[str, date]]":
        out: queue.SimpleQueue[tuple[str, date]] = queue.SimpleQueue()
        for piece in pieces:
            if piece[0] not in self._progress.done:
                out.put(piece)
        return out

    def _events(self, days: list[date]) -> None:
        door = EventDoor(self._doors.events, self._doors.token_file)
        try:
            for d in days:
                piece = f"events:{d}"
                if piece in self._progress.done:
                    continue
                if self._stop.is_set():
                    return
                first = first_events(self._plan) if d == self._plan.days[0] else []
                self._progress.begin(piece)
                told = [*day_events(self._plan, d), *day_reports(self._plan, d), *day_readings(self._plan, d)]
                refused = door.send([*first, *told])
                expected = unknown_step_id(self._plan)
                self.surprises += [f"event {r['id']} was refused: {r['reason']}" for r in refused if r["id"] != expected]
                if d == self._plan.day and expected not in [r["id"] for r in refused]:
                    self.surprises.append(f"event {expected} was taken, though its step is unknown")
                self._progress.end(piece)
        finally:
            door.close()

    def _messages(self, days: "queue.SimpleQueue[tuple[str, date]]") -> None:
        door = MessageDoor(self._doors.hl7)
        try:
            while not self._stop.is_set():
                try:
                    piece, d = days.get_nowait()
                except queue.Empty:
                    return
                self._progress.begin(piece)
                for message in day_messages(self._plan, d):
                    for _ in range(1 + message.repeated):
                        answer = door.send(message)
                        if (answer != "AA") is not message.refused:
                            self.surprises.append(f"message {message.control_id} was answered {answer or 'with nothing'}")
                self._progress.end(piece)
        finally:
            door.close()

    def _made(self, jobs: list[ImageJob], files: list[Path]) -> Iterator[Image]:
        for path in files:
            if _real_piece(path) not in self._progress.done:
                yield _real_piece(path), path, False
        for job in jobs:
            if _piece(job) not in self._progress.done:
                yield _piece(job), make(self._plan, job), bool({"truncated", "edited"} & job.fault.keys())

    def _images(self, images: Iterator[Image]) -> None:
        """Make images in this thread, a few ahead of the associations that send them."""
        line: queue.Queue[Image | None] = queue.Queue(maxsize=6)
        broken = threading.Event()

        def sender() -> None:
            door = ImageDoor(self._doors.dicom, self._doors.ae_title)
            try:
                while (image := line.get()) is not None:
                    self._store(door, *image)
            except BaseException:
                broken.set()
                raise
            finally:
                door.close()

        def put(image: Image | None) -> None:
            while not broken.is_set():
                try:
                    return line.put(image, timeout=0.5)
                except queue.Full:
                    continue

        with ThreadPoolExecutor(ASSOCIATIONS) as pool:
            senders = [pool.submit(sender) for _ in range(ASSOCIATIONS)]
            try:
                for image in images:
                    if self._stop.is_set() or broken.is_set():
                        break
                    put(image)
            finally:
                for _ in senders:
                    put(None)
                _until(broken, senders, lambda: line.put_nowait(None))
            for future in senders:
                future.result()

    def _store(self, door: ImageDoor, piece: str, image: Dataset | Path, refused: bool) -> None:
        self._progress.begin(piece)
        status = door.send(image)
        if (status != 0) is not refused:
            self.surprises.append(f"image {piece} was answered 0x{status:04X}")
        self._progress.end(piece)


def _until(broken: threading.Event, senders: list[Future], wake: Callable[[], None]) -> None:
    """Wake the senders that still wait for images after another one broke."""
    while broken.is_set() and not all(f.done() for f in senders):
        with contextlib.suppress(queue.Full):
            wake()
        time.sleep(0.05)


def _piece(job: ImageJob) -> str:
    return f"image:{job.key}{'-edited' if 'edited' in job.fault else ''}"


def _real_piece(path: Path) -> str:
    return f"real:{path.parent.name}/{path.name}"

"""`photopeak demo`: start the platform, let a pretend hospital speak to its doors, wait until everything is judged, compare with its answer key."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from connectors.events import utc_text
from connectors.settings import ROOT, Settings, load
from connectors.stores.journal.sqlite import SqliteJournal, head_of
from connectors.stores.lake.lock import Locked
from judgement.days import day_start, local_day
from messages import because, render
from photopeak.doctor import language, say

__all__ = ["open_series", "run"]

SEED = 20260331
EXPECTED_S = 110  # from the last message to the published release, on two cores
RELEASE = "demo.release_to_publish"
PIN = "PHOTOPEAK_AS_OF_UTC="
PATIENCE_S = 900  # without any progress of what waits


def run(settings: Settings, seed: int = SEED, history_days: int = 90) -> int:
    """Run the main job and return 0 only when every planted fault was found and nothing else was flagged; a second run repeats nothing.

    While it runs, releases speak of the end of its live day; afterwards the platform lives in real time. One that is interrupted
    leaves the clock pinned, and the same command goes on.
    """
    from photopeak import supervise

    settings = pin(settings)
    folder = settings.home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    began = time.monotonic()

    with stage(seconds, "start", say("demo.starts")):
        supervise.up(settings)
    with stage(seconds, "hospital", say("demo.hospital_sends")):
        _simulator(
            settings,
            "run",
            "--day",
            f"{live_day(settings):%Y-%m-%d}",
            "--seed",
            str(seed),
            "--history-days",
            str(history_days),
            *_doors(settings),
        )
    with stage(seconds, "platform", say("demo.platform_works")):
        settle(settings)
    with stage(seconds, "check", say("demo.checks")):
        code = _simulator(settings, "check", "--warehouse", str(settings.warehouse / "current" / "qc.duckdb"), must=False)
    unpin(settings)
    seconds["total"] = round(time.monotonic() - began, 1)

    answer = folder / "answer_check.json"
    if not answer.exists():
        print(
            say("demo.comparison_unfinished"),
            file=sys.stderr,
        )
        return 1
    report = json.loads(answer.read_text())
    answer.write_text(json.dumps({**report, "seconds": seconds}, indent=1, ensure_ascii=False) + "\n")
    print(addresses(settings))
    return code


def pin(settings: Settings) -> Settings:
    """Return settings whose `as_of_utc` is the end of the demo's live day: the last complete local day when it ran first, and kept.

    The line in `<home>/photopeak.env` is what jobs and pages go by, `<home>/demo/clock.json` what a second run finds again.
    """
    kept = settings.home / "demo" / "clock.json"
    if settings.as_of_utc is None:
        if kept.exists():
            moment = datetime.fromisoformat(json.loads(kept.read_text())["as_of_utc"])
        else:
            moment = day_start(local_day(settings.now(), settings.zone), settings.zone)
        settings.home.mkdir(parents=True, exist_ok=True)
        with (settings.home / "photopeak.env").open("a") as f:
            f.write(f"{PIN}{moment:%Y-%m-%dT%H:%M:%SZ}\n")
        settings = load(home=settings.home)
    assert settings.as_of_utc is not None
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".draft")
        draft.write_text(json.dumps({"as_of_utc": utc_text(settings.as_of_utc)}) + "\n")
        draft.replace(kept)
    return settings


def unpin(settings: Settings) -> None:
    """Let releases speak of the present again: take the line out of `<home>/photopeak.env`."""
    path = settings.home / "photopeak.env"
    if path.exists():
        draft = path.with_suffix(".draft")
        draft.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith(PIN)))
        draft.replace(path)


def live_day(settings: Settings) -> date:
    """Return the local day that ends at the pin."""
    assert settings.as_of_utc is not None
    return local_day(settings.as_of_utc, settings.zone) - timedelta(days=1)


def settle(settings: Settings) -> None:
    """Wait until Airflow has brought everything that came in to the published release; raise when nothing moves any more."""
    best, since, began = None, time.monotonic(), time.monotonic()
    while True:
        left = outstanding(settings)
        if not any(left.values()):
            return
        _release_of_the_pin(settings, left)
        if left != best:
            best, since = left, time.monotonic()
        elif time.monotonic() - since > PATIENCE_S:
            raise TimeoutError(because("demo.no_progress", minutes=PATIENCE_S // 60, left=_still(left)))
        passed = time.monotonic() - began
        hope = say("up.longer")
        if passed < EXPECTED_S:
            hope = say("up.left", seconds=EXPECTED_S - passed)
        what = render(because("demo.waiting", passed=passed, hope=hope, what=_still(left)), language())
        print(f"  {what}", flush=True)
        time.sleep(5)


def _still(left: dict[str, int]) -> list[str]:
    return [because("demo.count", count=n, what=what) for what, n in left.items() if n]


def _release_of_the_pin(settings: Settings, left: dict[str, int]) -> None:
    """Build and publish in a second run, when only the clock differs: nothing new wakes Airflow then."""
    from photopeak import jobs
    from warehouse import releases as warehouse

    published = warehouse.published_as_of(settings)
    if published in (None, settings.as_of_utc) or any(n for what, n in left.items() if what != because(RELEASE)):
        return
    with suppress(Locked):  # Airflow is at it
        for name in ("build_marts", "attest_quality"):
            jobs.run(settings, name, jobs.Request())


def outstanding(settings: Settings) -> dict[str, int]:
    """Return how many events, open series, unmeasured series and unpublished releases are still on their way."""
    from spark_jobs.jobs.analyse import waiting
    from warehouse.releases import behind

    events = 0
    for consumer, journals in {
        "ingest_pacs": ["dicom"],
        "ingest_his": ["hl7", "events"],
        "ingest_sensors": ["modbus", "events"],
    }.items():
        note = settings.consumers / f"{consumer}.json"
        committed = json.loads(note.read_text())["committed"] if note.exists() else {}
        for journal in journals:
            head = head_of(settings.journals / f"{journal}.db")
            # the poller goes on for as long as the platform runs: what it adds meanwhile is nothing to wait for
            events += max(0, head - committed.get(journal, 0)) if journal != "modbus" or not committed else 0
    measured = {a: len(waiting(settings, a)) for a in ("phantom", "clinical")} if not events else {}
    left: dict[str, int] = {
        because("demo.events"): events,
        because("demo.open_series"): open_series(settings),
        because("demo.series_to_measure"): sum(measured.values()),
    }
    return {**left, because(RELEASE): 0 if any(left.values()) else int(behind(settings))}


def open_series(settings: Settings) -> int:
    """Return how many series have instances that no `dicom.series` event speaks of yet."""
    journal = SqliteJournal(settings.journals / "dicom.db", read_only=True)
    closed = journal.latest("dicom.series")
    return sum(last > closed.get(series, 0) for series, last in journal.latest("dicom.instance").items())


def addresses(settings: Settings) -> str:
    """Return where to look, with the logins that this installation made."""
    from photopeak.supervise import logins

    host = settings.host
    rows = [
        (say("demo.address_status"), f"http://{host}:{settings.status_port}", say("demo.start_here")),
        (say("demo.address_dashboards"), f"http://{host}:{settings.superset_port}", ""),
        (say("demo.address_reports"), f"http://{host}:{settings.reports_port}", say("demo.no_login")),
        ("Airflow", f"http://{host}:{settings.airflow_port}", ""),
    ]
    lines = ["", *(f"  {name:<22} {url:<28} {note}" for name, url, note in rows), ""]
    lines += [f"  login {app:<10} {user:<10} {password}" for app, user, password in logins(settings)]
    return "\n".join([*lines, "", "  " + say("demo.goes_on"), ""])


@contextmanager
def stage(seconds: dict[str, float], name: str, title: str) -> Iterator[None]:
    """Say what begins, and keep how long it took."""
    print(f"[demo] {title} …", flush=True)
    began = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - began, 1)
    print(f"[demo] {title}: {seconds[name]:.0f} s", flush=True)


def _doors(settings: Settings) -> list[str]:
    host = settings.host
    return [
        "--dicom", f"{host}:{settings.dicom_port}", "--ae", settings.dicom_ae_title, "--hl7", f"{host}:{settings.hl7_port}",
        "--events", f"http://{host}:{settings.events_port}", "--token-file", str(settings.home / "secrets" / "devices" / "simulator"),
    ]  # fmt: skip


def _simulator(settings: Settings, verb: str, *arguments: str, must: bool = True) -> int:
    env = {**os.environ, "PHOTOPEAK_REAL_DATA": os.environ.get("PHOTOPEAK_REAL_DATA", str(Path(ROOT).parent / "shared" / "data"))}
    code = subprocess.run(
        [sys.executable, "-m", "simulator", verb, "--home", str(settings.home), *arguments], cwd=ROOT, env=env, check=False
    ).returncode
    if must and code:
        raise RuntimeError(because("demo.hospital_ended", code=code))
    return code

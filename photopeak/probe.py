"""How each service is, asked in well under a second when they are: the supervisor's word, who listens on the port, and whether it answers."""

import http.client
import os
import re
import sqlite3
import xmlrpc.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.settings import ROOT, Settings
from messages import because, both, joined
from photopeak.reaper import descendants
from photopeak.services import MARK, Service, near, services

__all__ = ["is_well", "marked", "processes", "status", "supervisor", "supervisor_pid", "table"]

BEAT_S = 60  # Airflow's processes write a heartbeat every few seconds
SLOW_S = 240  # a start that takes longer has failed
ANSWER_S = 6.0  # a machine that is busy measuring answers late, and is up all the same
Row = dict[str, Any]


def status(settings: Settings) -> list[Row]:
    """Return a row for each service: service, state ('up', 'starting', 'down', 'failed'), pid, url, reason."""
    listed, alive = services(settings), processes(settings)
    if alive is None:
        reason = because("service.not_started")
        return [{"service": s.name, "state": "down", "pid": None, "url": s.url, "reason": reason} for s in listed.values()]
    airflow = _Airflow(settings)
    with ThreadPoolExecutor(len(listed)) as pool:
        return list(pool.map(lambda s: _row(settings, s, alive.get(s.name, {}), airflow), listed.values()))


def is_well(row: Row) -> bool:
    """Return whether a service is up and has nothing to say: Airflow's reader of DAGs is up also while it cannot read one."""
    return bool(row["state"] == "up" and not row["reason"])


def table(rows: list[Row]) -> str:
    """Return the rows as text for a person."""
    return "\n".join(
        f"{r['service']:<18} {r['state']:<9} {r['pid'] or '':<8} {r['url'] or '':<40} {both(r['reason'] or '')}".rstrip()
        for r in rows
    )


def _row(settings: Settings, service: Service, process: Row, airflow: "_Airflow") -> Row:
    said, pid = process.get("statename", "STOPPED"), process.get("pid") or None
    row: Row = {"service": service.name, "state": "down", "pid": pid, "url": service.url, "reason": None}
    log = settings.home / "log" / f"{service.name}.log"
    if said in ("FATAL", "BACKOFF") or (said == "EXITED" and not pid):
        again = because("service.tried_again") if said == "BACKOFF" else because("service.given_up")
        return {**row, "state": "failed", "reason": because("service.ended", again=again, problem=_last_line(log))}
    if pid is None or said in ("STOPPED", "STOPPING"):
        return {**row, "reason": because("service.stopped")}
    problem = _problem(settings, service, pid, airflow)
    if problem is None:
        return {**row, "state": "up", "reason": airflow.import_errors() if service.name == "airflow-processor" else None}
    young = process["now"] - process["start"] < SLOW_S
    return {
        **row,
        "state": "starting" if young else "failed",
        "reason": problem if young else because("service.see_log", problem=problem, log=log),
    }


def _problem(settings: Settings, service: Service, pid: int, airflow: "_Airflow") -> str | None:
    """Return why the service cannot be called up, or None when it is."""
    if service.port is not None:
        family = {pid, *descendants(pid)}
        if not _listens(service.port, family):
            return because("service.not_listening", port=service.port)
        if service.health and not _answers(near(settings), service.port, service.health):
            return because("service.not_answering", path=service.health, port=service.port)
    if service.heartbeat and not airflow.beats(service.heartbeat):
        return because("service.no_heartbeat")
    return None


def _listens(port: int, family: set[int]) -> bool:
    """Return whether one of these processes listens on the port: a stranger on it is not our service."""
    inodes = set()
    for table_ in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table_).exists():
            continue
        for line in Path(table_).read_text().splitlines()[1:]:
            field = line.split()
            if field[3] == "0A" and int(field[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{field[9]}]")
    for pid in family if inodes else ():
        try:
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                if str(handle.readlink()) in inodes:
                    return True
        except OSError:
            continue  # ended meanwhile
    return False


def _answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class _Airflow:
    """What Airflow's own tables say, read without Airflow: its command line costs seconds."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.home / "airflow" / "airflow.db"

    def beats(self, kind: str) -> bool:
        """Return whether a running process of this kind has written a heartbeat lately."""
        rows = self._rows("SELECT max(latest_heartbeat) FROM job WHERE job_type = ? AND state = 'running'", kind)
        if not rows or not rows[0][0]:
            return False
        beat = datetime.fromisoformat(rows[0][0])
        return (datetime.now(UTC) - (beat if beat.tzinfo else beat.replace(tzinfo=UTC))).total_seconds() < BEAT_S

    def import_errors(self) -> str | None:
        """Return the files of `dags/` that Airflow cannot read, with the line in them and the last line of each traceback."""
        rows = self._rows("SELECT filename, stacktrace FROM import_error ORDER BY filename")
        folder = ROOT / "dags"
        texts = []
        for name, trace in rows:
            path = Path(name) if Path(name).is_absolute() else folder / name
            shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            last = next(
                (line.strip() for line in reversed((trace or "").splitlines()) if line.strip()), because("airflow.no_traceback")
            )
            lines = re.findall(rf'File "[^"]*{re.escape(path.name)}", line (\d+)', trace or "")
            place = ":".join([str(shown), *lines[-1:]])
            texts.append(because("airflow.import_error", file=place, problem=last))
        return joined(texts)

    def _rows(self, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
        try:
            db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=1)
        except sqlite3.Error:
            return []
        try:
            return db.execute(sql, parameters).fetchall()
        except sqlite3.Error:
            return []  # being migrated
        finally:
            db.close()


@contextmanager
def supervisor(settings: Settings) -> Iterator[Any]:
    """Speak to the supervisor; its socket is named through an open folder, because a socket's path may have 107 bytes only."""
    from supervisor.xmlrpc import SupervisorTransport

    folder = os.open(settings.home / "run", os.O_RDONLY)
    try:
        transport = SupervisorTransport(None, None, f"unix:///proc/self/fd/{folder}/supervisor.sock")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        yield proxy.supervisor
        transport.close()
    finally:
        os.close(folder)


def processes(settings: Settings) -> dict[str, Row] | None:
    """Return what the supervisor knows of each service, or None when there is no supervisor."""
    if not (settings.home / "run" / "supervisor.sock").exists():
        return None
    try:
        with supervisor(settings) as rpc:
            return {p["name"]: p for p in rpc.getAllProcessInfo()}
    except (OSError, xmlrpc.client.Error, http.client.HTTPException):
        return None


def supervisor_pid(settings: Settings) -> int | None:
    """Return the process of this installation's supervisor, or None."""
    path = settings.home / "run" / "supervisord.pid"
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return None
    return pid if pid in marked(settings) else None


def marked(settings: Settings) -> list[int]:
    """Return the processes that this installation's supervisor started, itself included, whoever their parent is now."""
    mark = f"{MARK}={settings.home}".encode()
    own, work = {os.getpid(), *_ancestors()}, settings.home.resolve() / "tmp"
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in own:
            continue
        try:
            given = (entry / "environ").read_bytes().split(b"\0")
            # a process that shows a title of its own (Airflow, gunicorn) has overwritten its environment: its folder tells then
            if mark in given or (not any(v.startswith(b"PATH=") for v in given) and (entry / "cwd").readlink() == work):
                found.append(int(entry.name))
        except OSError:
            continue  # ended, or another account's
    return found


def _ancestors() -> list[int]:
    found, pid = [], os.getppid()
    while pid > 1:
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return found


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as f:
            f.seek(max(0, log.stat().st_size - 4000))
            lines = [line.strip() for line in f.read().decode(errors="replace").splitlines() if line.strip()]
    except OSError:
        return f"see {log}"
    return lines[-1][:300] if lines else f"see {log}"

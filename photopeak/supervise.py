"""Start, stop and run the services: supervisord under a reaper, one generated script a service, nothing left behind."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from connectors.settings import Settings
from messages import because
from photopeak import prepare, probe
from photopeak.doctor import say
from photopeak.prepare import logins
from photopeak.reaper import end
from photopeak.services import MARK, NAMES, EnvironmentLacks, Service, services

__all__ = ["ServiceFailed", "down", "logins", "run", "up"]

STOP_S, PATIENCE_S = 30, 300  # patience with services that start, not with the preparation before
EXPECTED_S = {"first": 80.0, "later": 25.0}
HEAD = """[supervisord]
logfile=supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile=supervisord.pid
nodaemon=true
silent=true
minfds=1024
umask=027

[unix_http_server]
file=/proc/self/cwd/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///proc/self/cwd/supervisor.sock
"""
PROGRAM = """
[program:{name}]
command=/bin/sh {name}.sh
autostart=false
autorestart=true
startsecs=25
startretries=3
stopsignal=TERM
stopwaitsecs=15
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=../log/{name}.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=1
"""


class ServiceFailed(RuntimeError):
    """A service does not start; the text says which, and where its log is."""


def up(settings: Settings, names: list[str] | None = None, *, prepare_only: bool = False) -> None:
    """Start what is not running of the named services, default all, and return when they answer."""
    began = time.monotonic()
    unknown = [n for n in names or () if n not in NAMES]
    if unknown:
        raise EnvironmentLacks(because("service.unknown", service=unknown[0], services=list(NAMES)))
    settings = prepare.remember(settings)
    first = not (settings.home / "airflow" / "prepared").exists()
    wanted = names or list(NAMES)
    alive = probe.processes(settings)
    if alive is None:
        _end_leftovers(settings)
    prepare.files(settings)
    listed = services(settings)
    _lacks(settings, [listed[n] for n in wanted], {n for n, p in (alive or {}).items() if p["pid"]})
    prepare.metadata(settings, {n.split("-")[0] for n in wanted} & {"airflow", "superset"})
    if prepare_only:
        return
    _write(settings, listed)
    if alive is None:
        _start_supervisor(settings)
    idle = ("STOPPED", "EXITED", "FATAL", "BACKOFF", "UNKNOWN")
    now = probe.processes(settings) or {}
    started = [n for n in wanted if now.get(n, {}).get("statename", "STOPPED") in idle]
    with probe.supervisor(settings) as rpc:
        for name in started:
            if now.get(name, {}).get("statename") == "BACKOFF":
                continue  # it is being tried already
            rpc.startProcess(f"photopeak:{name}", False)
    _wait(settings, wanted, began, EXPECTED_S["first" if first else "later"] if started else 3.0)


def down(settings: Settings) -> None:
    """End everything that `up` started, and return when nothing of it is left."""
    began, pid = time.monotonic(), probe.supervisor_pid(settings)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() - began < STOP_S and pid in probe.marked(settings):
            time.sleep(0.2)
    left = _end_leftovers(settings)
    if pid is None and not left:
        print(say("service.nothing_running"))
    else:
        print(say("service.stopped_in", seconds=time.monotonic() - began))


def run(settings: Settings, name: str) -> None:
    """Become one service, in the foreground."""
    if name not in NAMES:
        raise EnvironmentLacks(because("service.unknown", service=name, services=list(NAMES)))
    settings = prepare.remember(settings)
    prepare.files(settings)
    service = services(settings)[name]
    _lacks(settings, [service], set())
    os.chdir(settings.home / "tmp")
    environment = {k: v for k, v in service.environment.items() if k != MARK}  # `up` must not take it for a leftover
    os.execvpe(service.command[0], service.command, environment)


def _lacks(settings: Settings, wanted: list[Service], running: set[str]) -> None:
    """Raise when a service cannot start here: no Java, an environment that is not installed, a taken port."""
    from photopeak.doctor import find_java, is_free, java

    for service in wanted:
        if service.name in running:
            continue
        if service.name == "spark" and find_java() is None:
            raise EnvironmentLacks(java()[1])
        if not shutil.which(service.command[0]):
            raise EnvironmentLacks(because("service.command_missing", command=service.command[0], service=service.name))
        if service.port is not None and not is_free(settings.host, service.port):
            raise EnvironmentLacks(
                because("service.port_taken", port=service.port, service=service.name, setting=service.setting)
            )


def _write(settings: Settings, listed: dict[str, Service]) -> None:
    """Write the configuration of the supervisor and one script a service, with its environment (the folder is private)."""
    run_folder = settings.home / "run"
    guard = "setpriv --pdeathsig TERM " if shutil.which("setpriv") else ""
    for service in listed.values():
        exports = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in sorted(service.environment.items()))
        command = " ".join(shlex.quote(part) for part in service.command)
        folder = shlex.quote(str(settings.home / "tmp"))
        # the script is the quoting: no rules of the supervisor apply to paths with spaces or %
        _replace(run_folder / f"{service.name}.sh", f"#!/bin/sh\n{exports}cd {folder}\nexec {guard}{command}\n")
    group = f"\n[group:photopeak]\nprograms={','.join(listed)}\n"
    _replace(run_folder / "supervisord.conf", HEAD + "".join(PROGRAM.format(name=n) for n in listed) + group)


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o700)
    draft.replace(path)


def _start_supervisor(settings: Settings) -> None:
    folder = settings.home / "run"
    (folder / "supervisor.sock").unlink(missing_ok=True)
    with (settings.home / "log" / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "photopeak.reaper", "-c", "supervisord.conf"],
            cwd=folder, env={**os.environ, MARK: str(settings.home)}, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + 20
    while probe.processes(settings) is None:
        if process.poll() is not None or time.monotonic() > until:
            raise ServiceFailed(because("service.supervisor_failed", file=settings.home / "log" / "supervisor.log"))
        time.sleep(0.1)


def _wait(settings: Settings, wanted: list[str], began: float, expected_s: float) -> None:
    """Return when all wanted services answer; say meanwhile which do not and how long it may still take."""
    said = since = time.monotonic()
    took: dict[str, float] = {}
    while True:
        rows = {r["service"]: r for r in probe.status(settings) if r["service"] in wanted}
        for name, row in rows.items():
            if row["state"] == "up":
                took.setdefault(name, round(time.monotonic() - began, 1))
        waiting = [n for n in wanted if rows[n]["state"] != "up"]
        spent = time.monotonic() - began
        if not waiting:
            print("[up] " + say("up.all_answer", services=len(wanted), seconds=spent), flush=True)
            _replace(settings.home / "run" / "seconds.json", json.dumps(took, indent=1))
            return
        broken = [rows[n] for n in waiting if rows[n]["state"] == "failed"]
        if broken or time.monotonic() - since > PATIENCE_S:
            one = (broken or [rows[n] for n in waiting])[0]
            raise ServiceFailed(
                because(
                    "service.does_not_start",
                    service=one["service"],
                    reason=one["reason"],
                    log=settings.home / "log" / one["service"],
                )
            )
        if time.monotonic() - said > 8:
            said = time.monotonic()
            left = say("up.left", seconds=expected_s - spent) if expected_s > spent else say("up.longer")
            up, names = len(wanted) - len(waiting), ", ".join(waiting)
            told = say("up.some_answer", seconds=spent, up=up, services=len(wanted), names=names, left=left)
            print(f"[up] {told}", flush=True)
        time.sleep(0.4)


def _end_leftovers(settings: Settings) -> int:
    """End what a killed supervisor has left running, and return how many processes that were."""
    found = probe.marked(settings)
    count = len(found)
    if count:
        print("[up] " + say("up.ending", count=count), flush=True)
    for number, grace_s in ((signal.SIGTERM, 8), (signal.SIGKILL, 5)):
        end(found, number)
        since = time.monotonic()
        while time.monotonic() - since < grace_s and (found := probe.marked(settings)):
            time.sleep(0.2)
        if not found:
            break
    return count

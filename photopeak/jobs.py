"""Registry of jobs: what `photopeak job NAME` runs, by hand or for Airflow. Nothing is imported before its job is asked for."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.account import Account
from connectors.settings import Settings
from connectors.stores.lake.lock import Locked, locked
from judgement import reference
from judgement import switches as register
from judgement.days import local_day
from judgement.rows import Component
from messages import because
from photopeak import runs

__all__ = ["JOBS", "NOTHING_NEW", "Account", "JobUsage", "Request", "run", "switched_off"]

NOTHING_NEW = 99


class JobUsage(ValueError):
    """The request does not fit the job (exit 2)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for beside the name; `None` everywhere means: all that is new."""

    start: str | None = None
    end: str | None = None
    series: str | None = None
    rebuilds: bool = False  # asked by `photopeak rebuild`, which lets nobody else build a release meanwhile


def run(settings: Settings, name: str, request: Request) -> tuple[Account, int]:
    """Run one job and return its account with the exit code: 0 done, 1 failed integrity, 99 nothing new or switched off.

    However it ends is a line of `<home>/log/jobs.jsonl`.
    """
    if name not in JOBS:
        raise JobUsage(because("job.unknown", job=name, jobs=list(JOBS)))
    with runs.logged(settings, name) as note:
        note["account"], note["exit"] = _run(settings, name, request)
    return note["account"], note["exit"]


def _run(settings: Settings, name: str, request: Request) -> tuple[Account, int]:
    why = switched_off(settings, "job").get(name)
    if why:
        return Account(name, more={"switched_off": why}), NOTHING_NEW
    if name in RELEASING and not request.rebuilds:
        with locked(settings.consumers, "rebuild"):
            pass  # a lake that is half full makes no release
    account = JOBS[name](settings, request)
    if name in TELLING and account.written and "confirm_devices" not in switched_off(settings, "job"):
        with suppress(Locked):  # a rebuild is at work, and will do it
            _confirm_devices(settings, Request())  # at once, in the same process: a worklist waits to be held
    if account.more.get("integrity") is False:
        return account, 1
    return account, 0 if account.read or account.written else NOTHING_NEW


def switched_off(settings: Settings, kind: str) -> dict[str, str]:
    """Return {component: why} for the jobs or procedures that are off at this site on the present day of its wall clock."""
    day = str(local_day(settings.now(), settings.zone))
    off = register.switched_off(reference.switches(), reference.read(Component), settings.site_id, day, kind)
    return register.reasons(off)


def _ingest(name: str) -> Callable[[Settings, Request], Account]:
    def job(settings: Settings, request: Request) -> Account:
        from connectors.stores.lake import ingest

        _only(name, request, "start", "end")
        if request.start is None and request.end is None:
            return ingest.ingest(settings, ingest.CONSUMERS[name])
        try:
            first, last = int(request.start or 1), int(request.end) if request.end else None
        except ValueError:
            raise JobUsage(because("job.takes_offsets", job=name)) from None
        return ingest.replay(settings, ingest.CONSUMERS[name], first, last)

    return job


def _analyse(name: str, analysis: str) -> Callable[[Settings, Request], Account]:
    def job(settings: Settings, request: Request) -> Account:
        from spark_jobs.jobs import analyse

        if request.start is None and request.end is None:
            account = analyse.run(settings, analysis, series=request.series)
            if request.series and not account.read:
                raise JobUsage(because("job.series_unknown", job=name, series=request.series))
            return account
        _only(name, request, "start", "end")
        accounts = [analyse.run(settings, analysis, series=uid) for uid in _recorded(settings, analysis, request)]
        keys = ",".join(sorted(a.run_key for a in accounts))
        read, written, seconds = sum(a.read for a in accounts), sum(a.written for a in accounts), sum(a.seconds for a in accounts)
        return Account(name, keys, request.start, request.end, read, written, seconds=round(seconds, 1))

    return job


def _recorded(settings: Settings, analysis: str, request: Request) -> list[str]:
    """Return the series and reports of this analysis that were recorded from one moment on until before another."""
    from spark_jobs.jobs.work import recorded

    first, last = (_moment(text) if text else None for text in (request.start, request.end))
    return recorded(settings, analysis, first, last)


def _build_marts(settings: Settings, request: Request) -> Account:
    from warehouse import releases as warehouse

    _only("build_marts", request, "end")
    return warehouse.build_marts(settings, _moment(request.end) if request.end else settings.as_of())


def _attest_quality(settings: Settings, request: Request) -> Account:
    from expectations.run import attest
    from warehouse import releases as warehouse

    _only("attest_quality", request, "end")

    def publish(release: Path) -> None:
        warehouse.publish(settings, release)

    with locked(settings.consumers, "attest_quality"):
        return attest(settings, _moment(request.end) if request.end else settings.as_of(), publish)


def _only(name: str, request: Request, *allowed: str) -> None:
    options = {"start": "--from", "end": "--to", "series": "--series"}
    for field, option in options.items():
        if field not in allowed and getattr(request, field) is not None:
            if allowed:
                raise JobUsage(
                    because("job.option_other", job=name, option=option, allowed=" ".join(options[a] for a in allowed))
                )
            raise JobUsage(because("job.no_option", job=name, option=option))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise JobUsage(because("command.no_moment", text=text)) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _confirm_devices(settings: Settings, request: Request) -> Account:
    from devices.states import confirm

    _only("confirm_devices", request)
    return confirm(settings)


# they bring what a device's state of today is judged from; a release knows failures of long ago that stand
TELLING = ("ingest_his", "analyse_phantoms", "attest_quality")
RELEASING = ("build_marts", "attest_quality")
JOBS: dict[str, Callable[[Settings, Request], Account]] = {
    "ingest_pacs": _ingest("ingest_pacs"),
    "ingest_his": _ingest("ingest_his"),
    "ingest_sensors": _ingest("ingest_sensors"),
    "analyse_phantoms": _analyse("analyse_phantoms", "phantom"),
    "analyse_images": _analyse("analyse_images", "clinical"),
    "build_marts": _build_marts,
    "attest_quality": _attest_quality,
    "confirm_devices": _confirm_devices,  # last: a rebuild confirms when all is measured again
}

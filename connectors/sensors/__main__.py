"""`python -m connectors.sensors`: the Modbus poller as a process of its own."""

import asyncio
import logging
import os
import sys
import threading

from connectors.sensors.mapping import DEFAULT
from connectors.sensors.poller import Poller
from connectors.service import CannotStart, run
from connectors.settings import Settings
from connectors.stores.journal.sqlite import SqliteJournal
from messages import because

__all__ = ["first_mapping", "main"]


def main() -> int:
    """Poll until told to end; see `connectors.service.run` for the exit code."""
    return run("modbus", _work)


def _work(settings: Settings, stop: threading.Event) -> None:
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # a silent gateway is our news, told once
    try:
        first_mapping(settings)
        journal = SqliteJournal(settings.journals / "modbus.db")
    except OSError as exc:
        raise CannotStart(because("service.home_unusable", folder=settings.home, problem=exc)) from exc
    try:
        asyncio.run(_poll(settings, journal, stop))
    finally:
        journal.close()


def first_mapping(settings: Settings) -> None:
    """Copy the default mapping to where the installation keeps its own, unless there is one."""
    path = settings.sensor_map
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(DEFAULT.read_bytes())
    draft.replace(path)


async def _poll(settings: Settings, journal: SqliteJournal, stop: threading.Event) -> None:
    poller = Poller(settings, journal)
    poller.reload()
    polling = asyncio.create_task(poller.run())
    print(because("modbus.ready", sensors=len(poller.mapping.points), file=settings.sensor_map), flush=True)
    stopping = asyncio.create_task(asyncio.to_thread(stop.wait))
    await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if polling.done():
            polling.result()  # raises what ended it; the supervisor starts it again
    finally:
        stop.set()  # lets the waiting thread go
        polling.cancel()
        await asyncio.wait({polling}, timeout=2)


if __name__ == "__main__":
    sys.exit(main())

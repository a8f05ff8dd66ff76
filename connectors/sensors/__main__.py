"""`python -m connectors.sensors`: the Modbus poller as a process of its own."""

import asyncio
import fcntl
import logging
import os
import signal
import sys

import structlog

from connectors.sensors.mapping import DEFAULT
from connectors.sensors.poller import Poller
from connectors.settings import Settings, load
from connectors.stores.journal.sqlite import SqliteJournal

__all__ = ["main"]


def main() -> int:
    """Return the exit code: 0 after SIGTERM or SIGINT, 3 when the environment does not let it start."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # standard output has one line: ready
    settings = load()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # a silent gateway is our news, told once
    try:
        (settings.home / "run").mkdir(parents=True, exist_ok=True)
        lock = (settings.home / "run" / "modbus.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        first_mapping(settings)
    except BlockingIOError:
        print(f"modbus: another poller already works for {settings.home}; stop it first (photopeak down).", file=sys.stderr)
        return 3
    except OSError as exc:
        print(
            f"modbus: {exc.filename} cannot be written ({exc.strerror}); set PHOTOPEAK_HOME to another folder.", file=sys.stderr
        )
        return 3
    with lock:
        return asyncio.run(_poll(settings))


def first_mapping(settings: Settings) -> None:
    """Copy the default mapping to where the installation keeps its own, unless there is one."""
    path = settings.sensor_map
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(DEFAULT.read_bytes())
    draft.replace(path)


async def _poll(settings: Settings) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    journal = SqliteJournal(settings.journals / "modbus.db")
    poller = Poller(settings, journal)
    poller.reload()
    polling = asyncio.create_task(poller.run())
    print(f"modbus: ready, polls {len(poller.mapping.points)} sensors of {settings.sensor_map}", flush=True)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({polling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if polling.done():
        polling.result()  # raises what ended it; the supervisor starts it again
    polling.cancel()
    await asyncio.wait({polling}, timeout=2)
    journal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

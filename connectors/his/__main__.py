"""`python -m connectors.his`: the HL7 listener as a process of its own."""

import asyncio
import fcntl
import os
import signal
import sys
from pathlib import Path

import structlog

from connectors.his.intake import Intake
from connectors.his.server import Listener
from connectors.identity import Keys, Vault
from connectors.settings import Settings, load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.files import FileObjectStore

__all__ = ["main"]


def main() -> int:
    """Return the exit code: 0 after SIGTERM or SIGINT, 3 when the environment does not let it start."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # standard output has one line: ready
    settings = load()
    try:
        (settings.home / "run").mkdir(parents=True, exist_ok=True)
        lock = (settings.home / "run" / "hl7.lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"hl7: another HL7 listener already works for {settings.home}; stop it first (photopeak down).", file=sys.stderr)
        return 3
    except OSError as exc:
        print(f"hl7: {settings.home} cannot be written ({exc.strerror}); set PHOTOPEAK_HOME to another folder.", file=sys.stderr)
        return 3
    with lock:
        return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keys = Keys.of(settings)
    vault, journal = Vault.of(settings, keys), SqliteJournal(settings.journals / "hl7.db")
    sealed = FileObjectStore(Path(settings.objects) / "sealed", keys.seal, keys.unseal).open()
    listener = Listener(Intake(settings, keys, vault, sealed, journal))
    try:
        port = await listener.start(settings.host, settings.hl7_port)
    except OSError as exc:
        print(
            f"hl7: port {settings.hl7_port} on {settings.host} cannot be opened ({os.strerror(exc.errno or 0)}); "
            "end what uses it or set PHOTOPEAK_HL7_PORT to a free one.", file=sys.stderr,
        )  # fmt: skip
        return 3
    print(f"hl7: ready on mllp://{settings.host}:{port}", flush=True)
    await stop.wait()
    await listener.stop()
    journal.close()
    vault.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

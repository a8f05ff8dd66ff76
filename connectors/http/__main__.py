"""The service `events`, where tablets, robots and the QC office report: `python -m connectors.http`."""

import logging
import os
import signal
import socket
import sys
from datetime import UTC, datetime

import uvicorn

from connectors.examinations import Examinations
from connectors.http.app import make_app
from connectors.http.door import Door
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.files import FileObjectStore

__all__ = ["main"]


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 3 when the environment does not let it start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = load()
    try:
        listener = socket.create_server((settings.host, settings.events_port), backlog=128)
    except OSError as exc:
        print(
            f"events: port {settings.events_port} on {settings.host} cannot be opened ({os.strerror(exc.errno or 0)}): "
            "end what uses it or set PHOTOPEAK_EVENTS_PORT to a free one.", file=sys.stderr,
        )  # fmt: skip
        return 3
    try:
        keys = Keys.of(settings)
        journal = SqliteJournal(settings.journals / "events.db")
        sealed = FileObjectStore(settings.objects / "sealed", keys.seal, keys.unseal).open()
        clear = FileObjectStore(settings.objects / "clear").open()
        vault = Vault.of(settings, keys)
    except OSError as exc:
        print(f"events: cannot work in {settings.home}: {exc}", file=sys.stderr)
        return 3
    door = Door(settings, journal, sealed, clear, vault, keys, _now)
    app = make_app(door, settings.device_tokens, Examinations(settings), _now)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn ends in order, then raises the signal again: the exit code is ours
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="off")
    print(f"events: ready on http://{settings.host}:{settings.events_port}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])
    journal.close()
    vault.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The service `events`, where tablets, robots and the QC office report: `python -m connectors.http`."""

import socket
import sys
import threading
from datetime import UTC, datetime

import uvicorn

from connectors.examinations import Examinations
from connectors.http.app import make_app
from connectors.http.door import Door
from connectors.service import opened, port_taken, run
from connectors.settings import Settings
from messages import because

__all__ = ["main"]


def main() -> int:
    """Serve until told to end; see `connectors.service.run` for the exit code."""
    return run("events", _work)


def _work(settings: Settings, stop: threading.Event) -> None:
    try:
        listener = socket.create_server((settings.host, settings.events_port), backlog=128)
    except OSError as exc:
        raise port_taken(settings, settings.events_port, "PHOTOPEAK_EVENTS_PORT", exc) from exc
    with listener, opened(settings, "events") as stores:
        door = Door(settings, stores.journal, stores.sealed, stores.clear, stores.vault, stores.keys, _now)
        app = make_app(door, settings.device_tokens, Examinations(settings), _now)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="off")
        )
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="uvicorn")
        serving.start()
        print(because("door.ready", host=settings.host, port=settings.events_port), flush=True)
        while serving.is_alive() and not stop.wait(0.2):
            pass  # a server that ends by itself ends the service, and the supervisor starts it again
        server.should_exit = True
        serving.join()


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())

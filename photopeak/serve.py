"""Serve what people open, with the control plane's knowledge of services: `python -m photopeak.serve reports|status`."""

import sys
from typing import Any

import uvicorn

from connectors.settings import Settings, load
from connectors.stores.object_store.files import FileObjectStore
from messages import because
from photopeak import probe
from terminals import reports, status
from terminals.services import Services, cached

__all__ = ["from_probe", "main"]


def from_probe(settings: Settings) -> Services:
    """Return the question that `photopeak status` answers; what it cannot say is a row of its own."""

    def ask() -> list[dict[str, Any]]:
        try:
            return probe.status(settings)
        except Exception as failed:
            reason = because("service.states_unreadable", problem=failed)
            return [{"service": "supervisor", "state": "failed", "pid": None, "url": None, "reason": reason}]

    return cached(ask)


def main(names: list[str]) -> int:
    """Serve until told to end; 2 for anything but one known name."""
    settings = load()
    if names == ["reports"]:
        images = FileObjectStore(settings.objects / "clear")
        pinned = lambda: load(home=settings.home).as_of_utc  # noqa: E731  asked at each page
        app, port = reports.create_app(settings.reports, reports.from_command(), pinned, images), settings.reports_port
    elif names == ["status"]:
        app, port = status.create_app(settings, from_probe(settings)), settings.status_port
    else:
        print("usage: python -m photopeak.serve reports|status", file=sys.stderr)
        return 2
    uvicorn.run(app, host=settings.host, port=port, log_level="warning", server_header=False, lifespan="off")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Serve one of the two services: `python -m photopeak.pages reports|status`."""

import sys

import uvicorn

from connectors.settings import load
from photopeak.pages import reports, status
from photopeak.pages.services import from_probe


def main(names: list[str]) -> int:
    """Serve until told to end; 2 for anything but one known name."""
    settings = load()
    if names == ["reports"]:
        app, port = reports.create_app(settings.reports, reports.from_command()), settings.reports_port
    elif names == ["status"]:
        app, port = status.create_app(settings, from_probe(settings)), settings.status_port
    else:
        print("usage: python -m photopeak.pages reports|status", file=sys.stderr)
        return 2
    uvicorn.run(app, host=settings.host, port=port, log_level="warning", server_header=False, lifespan="off")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

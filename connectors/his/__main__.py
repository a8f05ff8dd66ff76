"""`python -m connectors.his`: the HL7 listener as a process of its own."""

import asyncio
import sys
import threading

from connectors.his.intake import Intake
from connectors.his.server import Listener
from connectors.service import Stores, opened, port_taken, run
from connectors.settings import Settings
from messages import because

__all__ = ["main"]


def main() -> int:
    """Serve until told to end; see `connectors.service.run` for the exit code."""
    return run("hl7", _work)


def _work(settings: Settings, stop: threading.Event) -> None:
    with opened(settings, "hl7") as stores:
        asyncio.run(_serve(settings, stores, stop))


async def _serve(settings: Settings, stores: Stores, stop: threading.Event) -> None:
    listener = Listener(Intake(settings, stores.keys, stores.vault, stores.sealed, stores.journal))
    try:
        port = await listener.start(settings.host, settings.hl7_port)
    except OSError as exc:
        raise port_taken(settings, settings.hl7_port, "PHOTOPEAK_HL7_PORT", exc) from exc
    print(because("hl7.ready", host=settings.host, port=port), flush=True)
    await asyncio.to_thread(stop.wait)
    await listener.stop()


if __name__ == "__main__":
    sys.exit(main())

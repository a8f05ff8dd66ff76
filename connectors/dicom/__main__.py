"""The DICOM node as a service: `python -m connectors.dicom`."""

import logging
import os
import socketserver
import threading
from datetime import UTC, datetime

from connectors.dicom.storage.intake import Intake
from connectors.dicom.storage.series import SeriesWatch
from connectors.dicom.wire.node import serve
from connectors.dicom.worklist.answer import Worklist
from connectors.dicom.worklist.blocks import Blocks
from connectors.dicom.worklist.holds import Holds
from connectors.dicom.worklist.orders import Orders
from connectors.examinations import Examinations
from connectors.service import opened, port_taken, run
from connectors.settings import Settings
from connectors.stores.journal.sqlite import SqliteJournal
from messages import because

__all__ = ["main"]


def main() -> int:
    """Serve until told to end; see `connectors.service.run` for the exit code."""
    return run("dicom", _work)


def _work(settings: Settings, stop: threading.Event) -> None:
    with opened(settings, "dicom") as stores:
        intake = Intake(settings, stores.journal, stores.sealed, stores.clear, stores.vault, stores.keys)
        watch = SeriesWatch(settings, stores.journal, stores.clear, _now)
        hl7, door = (SqliteJournal(settings.journals / f"{name}.db", read_only=True) for name in ("hl7", "events"))
        holds = Holds(settings, stores.journal, door, _now)
        blocks = Blocks(settings, Examinations(settings), stores.journal, _now)
        worklist = Worklist(settings, Orders(hl7, door, settings.site_id), holds, blocks, stores.vault)
        try:
            server = serve(settings, intake, watch, worklist, _now)
        except OSError as exc:
            raise port_taken(settings, settings.dicom_port, "PHOTOPEAK_DICOM_PORT", exc) from exc
        watch.start()
        holds.start()
        threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()
        print(because("dicom.ready", ae_title=settings.dicom_ae_title, host=settings.host, port=settings.dicom_port), flush=True)
        stop.wait()
        socketserver.BaseServer.shutdown(server)  # pynetdicom's own also looks for it among servers that the AE has made itself
        server.server_close()
        watch.stop()
        holds.stop()


def _now() -> datetime:
    """Return when a thing was recorded: never pinned."""
    return datetime.now(UTC)


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # associations that are still open must not keep the process; all that was acknowledged is on disk

"""The DICOM node as a service: `python -m connectors.dicom`."""

import logging
import os
import signal
import socketserver
import sys
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
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.files import FileObjectStore

__all__ = ["main"]


def main() -> int:
    """Serve until SIGTERM or SIGINT; return 0, or 3 when the environment does not let it start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings, stop = load(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        keys = Keys.of(settings)
        journal = SqliteJournal(settings.journals / "dicom.db")
        sealed = FileObjectStore(settings.objects / "sealed", keys.seal, keys.unseal).open()
        clear = FileObjectStore(settings.objects / "clear").open()
        vault = Vault.of(settings, keys)
        intake = Intake(settings, journal, sealed, clear, vault, keys)
    except OSError as exc:
        print(f"dicom: cannot work in {settings.home}: {exc}", file=sys.stderr)
        return 3
    clock = lambda: datetime.now(UTC)  # noqa: E731 - when a thing was recorded is never pinned
    watch = SeriesWatch(settings, journal, clear, clock)
    hl7, door = (SqliteJournal(settings.journals / f"{name}.db", read_only=True) for name in ("hl7", "events"))
    holds = Holds(settings, journal, door, clock)
    blocks = Blocks(settings, Examinations(settings), journal, clock)
    worklist = Worklist(settings, Orders(hl7, door), holds, blocks, vault)
    try:
        server = serve(settings, intake, watch, worklist, clock)
    except OSError as exc:
        print(
            f"dicom: port {settings.dicom_port} on {settings.host} cannot be opened ({os.strerror(exc.errno or 0)}): "
            "end what uses it or set PHOTOPEAK_DICOM_PORT to a free one.", file=sys.stderr,
        )  # fmt: skip
        return 3
    watch.start()
    holds.start()
    threading.Thread(target=server.serve_forever, name="accept", daemon=True).start()
    print(f"dicom: ready on dicom://{settings.dicom_ae_title}@{settings.host}:{settings.dicom_port}", flush=True)
    stop.wait()
    socketserver.BaseServer.shutdown(server)  # pynetdicom's own also looks for it among servers that the AE has made itself
    server.server_close()
    watch.stop()
    holds.stop()
    journal.close()  # waits for a commit at work; what comes later is answered A700 or not at all
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # associations that are still open must not keep the process; all that was acknowledged is on disk

"""The DICOM node: Verification, Storage (every class and transfer syntax that is known) and Modality Worklist as SCP."""

import logging
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from pydicom import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import ModalityWorklistInformationFind, Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from connectors.dicom.storage.intake import Answer, Intake, Received
from connectors.dicom.storage.series import SeriesWatch
from connectors.dicom.wire.reactor import make_server
from connectors.dicom.worklist.answer import Worklist
from connectors.settings import Settings

__all__ = ["serve"]

LOG = logging.getLogger("photopeak.dicom")
OLD = tuple(
    f"1.2.840.10008.5.1.4.1.1.{n}" for n in ("3", "5", "6", "12.3")
)  # retired, and still on old disks: US, NM, XA biplane
ASSOCIATIONS = 128
IDLE_S = 120  # an association that says nothing for so long is ended


def serve(
    settings: Settings, intake: Intake, watch: SeriesWatch, worklist: Worklist, now: Callable[[], datetime]
) -> ThreadedAssociationServer:
    """Return the node, bound and listening; its owner calls `serve_forever`. Raise OSError when the port is taken."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False  # names
    for name in ("pynetdicom", "pydicom"):  # what matters is logged by us, once; pydicom quotes values, which may be somebody's
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    ae = AE(settings.dicom_ae_title)
    ae.maximum_pdu_size, ae.maximum_associations = 131072, ASSOCIATIONS
    ae.acse_timeout, ae.network_timeout, ae.dimse_timeout = 10, IDLE_S, 60
    for uid in {*(str(c.abstract_syntax) for c in AllStoragePresentationContexts), *OLD}:
        ae.add_supported_context(uid, list(AllTransferSyntaxes))
    ae.add_supported_context(Verification)
    ae.add_supported_context(ModalityWorklistInformationFind)

    def store(request: Any, sender: Any, transfer_syntax: str) -> Answer:
        received = Received(
            str(request.AffectedSOPClassUID or ""), str(request.AffectedSOPInstanceUID or ""), transfer_syntax,
            str(sender.requestor.ae_title).strip(), request.DataSet.getvalue() if request.DataSet else b"",
        )  # fmt: skip
        return intake.store(received, now(), lambda series: watch.arrived(series, id(sender)))

    def c_store(event: Any) -> Dataset:
        answer = store(event.request, event.assoc, str(event.context.transfer_syntax))
        response = Dataset()
        response.Status = answer.status
        if answer.comment:
            response.ErrorComment = answer.comment
        return response

    def c_find(event: Any) -> Iterator[tuple[Dataset | int, Dataset | None]]:
        station = "".join(c for c in str(event.assoc.requestor.ae_title).strip() if c.isprintable())[:16]
        yield from worklist.find(station, lambda: event.identifier, lambda: event.is_cancelled)

    def refuse(sender: Any, message: Any, context_id: int) -> None:
        """Answer a C-STORE without class, instance or data set; end the association over any other command that is not whole."""
        context = next((c for c in sender.accepted_contexts if c.context_id == context_id), None)
        if not isinstance(message, C_STORE) or message.MessageID is None or context is None:
            sender.abort()
            return
        answer, response = store(message, sender, str(context.transfer_syntax[0])), C_STORE()
        response.MessageIDBeingRespondedTo = message.MessageID
        response.AffectedSOPClassUID, response.AffectedSOPInstanceUID = (
            message.AffectedSOPClassUID,
            message.AffectedSOPInstanceUID,
        )
        response.Status, response.ErrorComment = answer.status, answer.comment  # type: ignore[assignment]
        sender.dimse.send_msg(response, context_id)

    def released(event: Any) -> None:
        watch.released(id(event.assoc))

    def ended(event: Any) -> None:
        watch.lost(id(event.assoc))

    handlers = [
        (evt.EVT_C_STORE, c_store), (evt.EVT_C_FIND, c_find), (evt.EVT_RELEASED, released), (evt.EVT_CONN_CLOSE, ended),
    ]  # fmt: skip
    return make_server(ae, (settings.host, settings.dicom_port), handlers, refuse)

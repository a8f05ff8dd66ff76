"""pynetdicom's two loops, waiting for the socket instead of asking it every millisecond.

Stock pynetdicom sleeps 1 ms a turn in each of two threads an association: twenty idle associations fill a core. It also reads
a PDU of any announced length into memory. Written against pynetdicom 3.0.4. Private names overridden:
DULServiceProvider._read_pdu_data, ._run_loop_delay, RequestHandler._create_association; replaced:
Association._reactor_checkpoint; used: DULServiceProvider._decode_pdu, ._recv_pdu, ._kill_thread.
"""

import contextlib
import logging
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, cast

from pynetdicom import AE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from messages import because

__all__ = ["make_server"]

LOG = logging.getLogger("photopeak.dicom")
QUICKACK = getattr(socket, "TCP_QUICKACK", None)
LARGEST_PDU = 1 << 20  # ours is announced as 128 KiB; some senders exceed it
WATCH_MS = 500  # the loops also watch their timers


class Checkpoint(threading.Event):
    """Stands in for Association._reactor_checkpoint: holds that loop until there is something for it to do."""

    def __init__(self, assoc: Any) -> None:
        super().__init__()
        self._assoc, self.work = assoc, threading.Event()
        self.set()

    def set(self) -> None:
        """Let the loop go on."""
        super().set()
        self.work.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Return when the loop may go on and has something to do, at the latest after half a second."""
        if not (self._assoc.dimse.msg_queue.queue or self._assoc.dul.to_user_queue.queue):
            self.work.wait(WATCH_MS / 1000)
        self.work.clear()
        return super().wait(timeout)


class BlockingDUL(DULServiceProvider):
    """The upper layer of one association; its thread sleeps in poll()."""

    def __init__(self, assoc: Any) -> None:
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._poll: Any = None
        super().__init__(assoc)
        self.daemon = True

    def send_pdu(self, primitive: Any) -> None:
        """Hand a primitive to the loop and wake it."""
        super().send_pdu(primitive)
        self._wake()

    def kill_dul(self) -> None:
        """Tell the loop to end and wake it."""
        super().kill_dul()
        self._wake()

    def run_reactor(self) -> None:
        """Run until the association is over, then let its other thread know at once."""
        try:
            super().run_reactor()
        finally:
            self._wake_read.close()
            self._wake_write.close()
            self.to_user_queue.put(None)  # type: ignore[arg-type]  # or the association would wait acse_timeout for a peer that has gone
            self._checkpoint.work.set()

    @property
    def _checkpoint(self) -> Checkpoint:
        return cast(Checkpoint, self.assoc._reactor_checkpoint)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: it has ended
            self._wake_write.send(b"\0")

    @property
    def _run_loop_delay(self) -> float:
        """Return how long run_reactor() sleeps when it has nothing to do: it waits here for real, then sleeps 0."""
        if threading.current_thread() is not self or self.socket is None or self.socket.socket is None:
            return 0.001
        if self.state_machine.current_state != "Sta13":
            self._wait()
        return 0

    @_run_loop_delay.setter
    def _run_loop_delay(self, value: float) -> None:
        pass

    def _wait(self) -> None:
        if self.to_user_queue.queue or self.assoc.dimse.msg_queue.queue:
            self._checkpoint.work.set()
        if self.to_provider_queue.queue or self._kill_thread:
            return
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.socket.socket, select.POLLIN)  # type: ignore[union-attr]
            self._poll.register(self._wake_read, select.POLLIN)
        for fd, _ in self._poll.poll(WATCH_MS):
            if fd == self._wake_read.fileno():
                self._wake_read.recv(4096)

    def _read_pdu_data(self) -> None:
        """Read one PDU and put its event; the limits are those that pynetdicom does not have."""
        try:
            decoded, event = self._decode_pdu(self._receive())
        except OSError as exc:  # closed by the peer, or silent in the middle of a PDU
            LOG.info("connection of %s lost: %s", self.assoc.requestor.ae_title or "an unknown sender", exc)
            self.event_queue.put("Evt17")
            return
        except Exception as exc:  # whatever the peer sent cannot be read
            LOG.warning("invalid PDU from %s: %s", self.assoc.requestor.address, exc)
            self.event_queue.put("Evt19")
            return
        self.event_queue.put(event)
        self._recv_pdu.put(decoded)

    def _receive(self) -> bytearray:
        head = bytearray(6)
        self._fill(memoryview(head))
        length = int.from_bytes(head[2:6], "big")
        if not 1 <= head[0] <= 7 or length > LARGEST_PDU:
            raise ValueError(because("dicom.pdu_unexpected", type=head[0], length=length))
        pdu = head + bytes(length)
        self._fill(memoryview(pdu)[6:])
        return pdu

    def _fill(self, view: memoryview) -> None:
        sock = self.socket.socket  # type: ignore[union-attr]
        while view:
            got = sock.recv_into(view)  # type: ignore[union-attr]
            if not got:
                raise ConnectionResetError(because("dicom.closed_by_peer"))
            if QUICKACK:  # Linux disarms it by itself; a sender with Nagle on waits for this acknowledgement
                sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)  # type: ignore[union-attr]
            view = view[got:]


class _Contexts(list):
    def __deepcopy__(
        self, memo: dict
    ) -> "_Contexts":  # pynetdicom copies them for each association, 6 ms, and then only reads them
        return self


Refuse = Callable[[Any, Any, int], None]


def make_server(ae: AE, address: tuple[str, int], handlers: list, refuse: Refuse) -> ThreadedAssociationServer:
    """Return a server, bound and listening, whose associations wait instead of polling; raise OSError when it cannot bind.

    `refuse(association, message, context id)` answers a request whose command lacks what it must have: pynetdicom would say
    nothing, and the sender would wait for its time-out.
    """

    class Handler(RequestHandler):
        def _create_association(self) -> Any:
            patience = struct.pack("@ll", int(ae.network_timeout or 0), 0)
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # a peer that stops in the middle of a PDU
                self.request.setsockopt(socket.SOL_SOCKET, option, patience)
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assoc = super()._create_association()
            assoc.daemon = True
            old, new = assoc.dul, BlockingDUL(assoc)
            new.socket, new.event_queue = old.socket, old.event_queue
            assoc.dul = new
            serve = assoc._serve_request

            def served(msg: Any, context_id: int) -> None:
                serve(msg, context_id) if msg.is_valid_request else refuse(assoc, msg, context_id)

            assoc._serve_request = served  # type: ignore[method-assign]
            assoc._reactor_checkpoint = Checkpoint(assoc)
            assoc.acse_timeout, assoc.network_timeout = ae.acse_timeout, ae.network_timeout  # arms the new upper layer's timers
            return assoc

    return ae.make_server(address, contexts=_Contexts(ae.supported_contexts), evt_handlers=handlers, request_handler=Handler,
                          server_class=ThreadedAssociationServer)  # fmt: skip

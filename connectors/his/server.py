"""The listener: many connections, a few threads that store, answers in the order of the messages."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import structlog

from connectors.his.framing import Framer, wrap
from connectors.his.intake import Intake

__all__ = ["Listener"]

READ_BYTES = 64 * 1024
THREADS = 16  # the journal commits once for all of them
MAX_CONNECTIONS = 256
FRAME_TIMEOUT_S = 15.0  # a message must be complete this long after its last byte came
WRITE_TIMEOUT_S = 30.0

log = structlog.get_logger("hl7")


class Listener:
    """Serves MLLP on one port until `stop`."""

    def __init__(self, intake: Intake, frame_timeout_s: float = FRAME_TIMEOUT_S) -> None:
        self._intake, self._timeout = intake, frame_timeout_s
        self._threads = ThreadPoolExecutor(THREADS, "hl7")
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], float] = {}  # connection -> when it last said something

    async def start(self, host: str, port: int) -> int:
        """Return the port that is listened on; raise OSError when it is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=READ_BYTES, backlog=128)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port, let running messages become durable and answered, end the connections."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=2)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        self._make_room()
        self._tasks[task] = loop.time()
        peer = str((writer.get_extra_info("peername") or ("?",))[0])
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        framer = Framer()
        try:
            while not framer.broken:
                try:
                    async with asyncio.timeout(self._timeout if framer.pending else None):
                        data = await reader.read(READ_BYTES)
                except TimeoutError:
                    data = b""
                self._tasks[task] = loop.time()
                for frame in framer.feed(data) if data else framer.close():
                    answer, became = await asyncio.shield(loop.run_in_executor(self._threads, self._intake.receive, frame, peer))
                    if became in ("quarantined", "refused"):
                        log.warning(became, peer=peer, size_bytes=len(frame.content), fault=frame.fault)
                    writer.write(wrap(answer))
                    async with asyncio.timeout(WRITE_TIMEOUT_S):  # a peer that reads no answers
                        await writer.drain()
                if not data:
                    break
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.pop(task, None)
            writer.close()

    def _make_room(self) -> None:
        """End the connection that has been silent longest when there is no room for one more."""
        while len(self._tasks) >= MAX_CONNECTIONS:
            oldest = min(self._tasks, key=self._tasks.__getitem__)
            del self._tasks[oldest]
            oldest.cancel()

"""Room sensors behind one Modbus TCP gateway: unit 1, input registers, room i of the list at 100·i.

+0 temperature (int16, 0.1 °C) · +1 humidity (uint16, 0.1 %) · +2, +3 dose rate (float32, µSv/h, high word first) ·
HOTLAB only: +4 pressure difference (int16, 0.1 Pa).
"""

import asyncio
import struct
import threading
import time
from datetime import datetime

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulator.events import reading_at
from simulator.hospital import LOCAL, ROOMS

__all__ = ["Gateway", "registers", "serve"]


def registers(room_id: str, moment: datetime) -> list[int]:
    """Return the registers of one room at a moment."""
    value = {s.quantity: reading_at(room_id, s, moment) for s in ROOMS[room_id]}
    out = [round(value["temperature"] * 10) & 0xFFFF, round(value["humidity"] * 10)]
    out += struct.unpack(">HH", struct.pack(">f", value["dose_rate"]))
    if "pressure_difference" in value:
        out.append(round(value["pressure_difference"] * 10) & 0xFFFF)
    return out


def _device() -> SimDevice:
    now = datetime.now(LOCAL)  # a gateway shows the present; nothing else here may ask for it
    inputs = [SimData(100 * i, values=registers(room, now), datatype=DataType.REGISTERS) for i, room in enumerate(ROOMS)]
    nothing = [SimData(0, values=0, datatype=DataType.REGISTERS)]

    async def measure(_function: int, start: int, _address: int, _count: int, current: list[int], _values: object) -> None:
        moment = datetime.now(LOCAL)
        for i, room in enumerate(ROOMS):
            for offset, word in enumerate(registers(room, moment), 100 * i - start):
                if 0 <= offset < len(current):
                    current[offset] = word

    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    return SimDevice(id=1, simdata=(bits, bits, nothing, inputs), action=measure)


class Gateway(threading.Thread):
    """The gateway in a thread of its own; `start()` returns, `stop()` ends it; a taken port is a ConnectionError."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="modbus", daemon=True)
        self._address = (host, port)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._server: ModbusTcpServer | None = None
        self._error: str | None = None

    def start(self) -> None:
        """Start and return when the port answers."""
        super().start()
        self._ready.wait(10)
        if self._error or not self._ready.is_set():
            raise ConnectionError(
                f"port {self._address[1]} for the room sensors cannot be used ({self._error}): choose another one"
            )

    def run(self) -> None:
        """Serve until `stop()`."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            self._server = ModbusTcpServer(_device(), address=self._address)
            task = asyncio.ensure_future(self._server.serve_forever(background=True))
            await task
        except (OSError, RuntimeError) as exc:
            self._error = str(exc)
            self._ready.set()
            return
        self._ready.set()
        self._ended = asyncio.Event()
        await self._ended.wait()
        await self._server.shutdown()

    def stop(self) -> None:
        """End the gateway."""
        if self._error is None and self.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self.join(10)


def serve(host: str, port: int, seconds: float | None) -> None:
    """Serve until interrupted, or for so many seconds."""
    gateway = Gateway(host, port)
    gateway.start()
    end = None if seconds is None else time.monotonic() + seconds
    try:
        while end is None or time.monotonic() < end:
            time.sleep(0.2)
    finally:
        gateway.stop()

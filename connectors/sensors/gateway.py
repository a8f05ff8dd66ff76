"""One Modbus TCP gateway: one connection, one request at a time, patience that grows while nobody answers."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from connectors.sensors.decode import Block, blocks, decoded
from connectors.sensors.mapping import WORDS, Point
from messages import because

__all__ = ["Gateway", "Patience", "Reading"]

TIMEOUT_S = 1.0
MAX_PAUSE_S = 30.0
FUNCTIONS = {"holding": 3, "input": 4}
NO_ANSWER_CODES = (0x05, 0x06, 0x0A, 0x0B)  # still busy; gateway path unavailable; target device failed to respond


@dataclass(frozen=True, slots=True)
class Reading:
    """One value as read; null with the quality that says why, and a reason for people."""

    point: Point
    value: float | None
    quality: str
    at: datetime
    reason: str = ""


@dataclass(slots=True)
class Patience:
    """When to ask again somebody who does not answer: after 2 s, then twice as long each time, at most 30 s."""

    pause_s: float = 0.0
    until: float = 0.0

    def failed(self, now: float) -> None:
        """Note a failure at monotonic time `now`."""
        self.pause_s = min(max(self.pause_s * 2, 2.0), MAX_PAUSE_S)
        self.until = now + self.pause_s

    def answered(self) -> None:
        """Forget the failures."""
        self.pause_s = self.until = 0.0


@dataclass(slots=True)
class Gateway:
    """Reads points of one address; `reason` is empty while it answers."""

    host: str
    port: int
    reason: str = field(default_factory=lambda: because("modbus.not_asked_yet"))
    since: datetime | None = None
    last_answer: datetime | None = None
    _client: AsyncModbusTcpClient | None = None
    _line: Patience = field(default_factory=Patience)
    _units: dict[int, Patience] = field(default_factory=dict)
    _apart: set[tuple[int, str, int]] = field(default_factory=set)  # blocks that a device refused as a whole

    @property
    def name(self) -> str:
        """Return host:port."""
        return f"{self.host}:{self.port}"

    async def read(self, points: Iterable[Point]) -> list[Reading]:
        """Return one reading a point, in any order; never raises for what a device does."""
        out = await self._read(sorted(points, key=_unit))
        silent = next((r.reason for r in out), "") if all(r.quality == "no_answer" for r in out) else ""
        if out and silent != self.reason:
            self.reason, self.since = silent, datetime.now(UTC)
        return out

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def forget(self) -> None:
        """Ask everybody anew: the mapping changed."""
        self._line.answered()
        self._units.clear()
        self._apart.clear()

    async def _read(self, points: list[Point]) -> list[Reading]:
        loop = asyncio.get_running_loop()
        if loop.time() < self._line.until:
            return _unread(points, self.reason)
        try:
            await self._connect()
        except (OSError, ModbusException, TimeoutError) as exc:
            self.close()
            self._line.failed(loop.time())
            return _unread(points, because("modbus.unreachable", gateway=self.name, kind=type(exc).__name__))
        out: list[Reading] = []
        for (unit, _), group in groupby(points, key=_unit):
            mine = list(group)
            patience = self._units.setdefault(unit, Patience())
            if loop.time() < patience.until:
                out += _unread(mine, because("modbus.unit_silent", unit=unit))
                continue
            out += await self._read_unit(mine, patience)
        return out

    async def _read_unit(self, points: list[Point], patience: Patience) -> list[Reading]:
        unit, kind = points[0].unit_id, points[0].kind
        todo: list[Block] = []
        for block in blocks(points):
            apart = (unit, kind, block[0]) in self._apart
            todo += [(p.register, WORDS[p.type], (p,)) for p in block[2]] if apart else [block]
        out: list[Reading] = []
        while todo:
            start, count, inside = todo.pop(0)
            try:
                await self._connect()
                answer = await self._ask(kind, start, count, unit)
            except (OSError, ModbusException, TimeoutError) as exc:
                self.close()  # an answer that comes late must not be taken for that of the next request
                patience.failed(asyncio.get_running_loop().time())
                rest = [*inside, *(p for b in todo for p in b[2])]
                return out + _unread(
                    rest, because("modbus.unit_of_gateway_silent", unit=unit, gateway=self.name, kind=type(exc).__name__)
                )
            self.last_answer = datetime.now(UTC)
            self._line.answered()
            if isinstance(answer, ExceptionResponse):
                if len(inside) > 1 and answer.exception_code not in NO_ANSWER_CODES:
                    self._apart.add((unit, kind, start))
                    todo = [(p.register, WORDS[p.type], (p,)) for p in inside] + todo
                    continue
                out += _refused(inside, answer.exception_code)
                if answer.exception_code in NO_ANSWER_CODES:
                    patience.failed(asyncio.get_running_loop().time())
                    return out + _unread((p for b in todo for p in b[2]), because("modbus.unit_silent", unit=unit))
                continue
            patience.answered()
            out += _decoded(inside, start, count, answer)
        return out

    async def _connect(self) -> None:
        if self._client is not None and self._client.connected:
            return
        self.close()
        client = AsyncModbusTcpClient(self.host, port=self.port, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)
        try:
            async with asyncio.timeout(TIMEOUT_S * 2):
                if not await client.connect():
                    raise ConnectionRefusedError(self.name)
        except BaseException:
            client.close()
            raise
        self._client = client

    async def _ask(self, kind: str, start: int, count: int, unit: int) -> ModbusPDU:
        assert self._client is not None
        ask = self._client.read_input_registers if kind == "input" else self._client.read_holding_registers
        async with asyncio.timeout(TIMEOUT_S * 2):
            answer = await ask(start, count=count, device_id=unit)
        # pymodbus takes the answer to another function, and the number 0 for any: both would become values
        function, number = FUNCTIONS[kind], self._client.ctx.request_transaction_id
        if answer.function_code & 0x7F != function or answer.transaction_id != number or answer.dev_id != unit:
            raise ModbusException(because("modbus.other_request", function=answer.function_code))
        return answer


def _unit(point: Point) -> tuple[int, str]:
    return point.unit_id, point.kind


def _unread(points: Iterable[Point], reason: str) -> list[Reading]:
    now = datetime.now(UTC)
    return [Reading(p, None, "no_answer", now, reason) for p in points]


def _refused(points: Iterable[Point], code: int) -> list[Reading]:
    now, quality = datetime.now(UTC), "no_answer" if code in NO_ANSWER_CODES else "invalid"
    return [Reading(p, None, quality, now, f"Modbus exception {code}") for p in points]


def _decoded(points: Iterable[Point], start: int, count: int, answer: ModbusPDU) -> list[Reading]:
    now, registers = datetime.now(UTC), list(answer.registers)
    if len(registers) != count:
        return [
            Reading(p, None, "invalid", now, because("modbus.registers_other", there=len(registers), asked=count)) for p in points
        ]
    out = []
    for p in points:
        value, quality, reason = decoded(p, registers[p.register - start : p.end - start])
        out.append(Reading(p, value, quality, now, reason or ""))
    return out

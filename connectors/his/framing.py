"""Minimal Lower Layer Protocol (HL7 v2 transport, release 1): VT, message, FS, CR; forgiving where no byte can be mistaken."""

import re
from dataclasses import dataclass

from messages import because

__all__ = ["MAX_MESSAGE_BYTES", "Frame", "Framer", "wrap"]

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_JUNK_BYTES = 64 * 1024
VT, FS, CR = 0x0B, 0x1C, 0x0D
MARK = re.compile(rb"[\x0b\x1c]")
HEAD = b"MSH"


@dataclass(frozen=True, slots=True)
class Frame:
    """What came between two marks; `fault` says why it is no message, null when it is one."""

    content: bytes
    fault: str | None = None


class Framer:
    """Cuts the bytes of one connection into frames; however they are chunked, the frames are the same.

    Forgiven: doubled VT, line ends between frames, FS inside the text, a missing CR after FS when the next message or the end
    follows. Kept with a fault: bytes outside a frame, a message whose end block is missing, one above the size limit.
    After a fault that leaves no way to find the next message `broken` is true and the connection must end.
    """

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max = max_bytes
        self._buffer = bytearray()
        self._inside = False
        self._scan = 0  # everything before it is known to belong to the frame (or to the junk)
        self.broken = False

    @property
    def pending(self) -> bool:
        """Return whether bytes wait for the rest of their frame."""
        return self._inside or bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that these bytes complete."""
        if self.broken:
            return []
        self._buffer += data
        frames: list[Frame] = []
        while not self.broken and (self._step_inside(frames) if self._inside else self._step_outside(frames)):
            pass
        return frames

    def close(self) -> list[Frame]:
        """Return what the end of the connection (or of our patience) makes of the waiting bytes."""
        rest, inside = bytes(self._buffer), self._inside
        self._buffer.clear()
        self._inside, self._scan = False, 0
        if self.broken:
            return []
        if not inside:
            return _junk(rest)
        if rest.endswith(b"\x1c"):
            return [Frame(rest[:-1])]
        return [Frame(rest, because("hl7.no_end_block"))] if rest.strip() else []

    def _step_outside(self, frames: list[Frame]) -> bool:
        start = self._buffer.find(VT)
        junk = bytes(self._buffer if start < 0 else self._buffer[:start]).lstrip()
        if len(junk) > MAX_JUNK_BYTES:
            frames += _junk(junk[:MAX_JUNK_BYTES])
            self._break()
            return False
        if start < 0:
            self._buffer[:] = junk
            return False
        frames += _junk(junk)
        del self._buffer[: start + 1]
        self._inside, self._scan = True, 0
        return True

    def _step_inside(self, frames: list[Frame]) -> bool:
        mark = MARK.search(self._buffer, self._scan)
        end = mark.start() if mark else len(self._buffer)
        if end > self._max:
            frames.append(Frame(bytes(self._buffer[: self._max]), because("hl7.too_long", bytes=self._max)))
            self._break()
            return False
        self._scan = end
        if mark is None:
            return False
        after = self._buffer[end + 1 : end + 1 + len(HEAD)]
        if self._buffer[end] == VT:
            return self._vertical_tab(frames, end, after)
        if not after:
            return False
        if after[0] == CR:
            self._finish(frames, end, skip=2, inside=False)
        elif after[0] == VT:  # the sender forgot the CR; its next message begins
            self._finish(frames, end, skip=2, inside=True)
        else:
            self._scan = end + 1
        return True

    def _vertical_tab(self, frames: list[Frame], end: int, after: bytearray) -> bool:
        if end == 0:
            del self._buffer[:1]
            return True
        if len(after) < len(HEAD) and HEAD.startswith(bytes(after)):
            return False
        if after == HEAD:
            self._finish(frames, end, skip=1, inside=True, fault=because("hl7.no_end_block_before_next"))
        else:
            self._scan = end + 1
        return True

    def _finish(self, frames: list[Frame], end: int, skip: int, inside: bool, fault: str | None = None) -> None:
        frames.append(Frame(bytes(self._buffer[:end]), fault))
        del self._buffer[: end + skip]
        self._inside, self._scan = inside, 0

    def _break(self) -> None:
        self._buffer.clear()
        self.broken = True


def wrap(message: bytes) -> bytes:
    """Return a message between its marks."""
    return b"\x0b" + message + b"\x1c\r"


def _junk(content: bytes) -> list[Frame]:
    content = content.strip()
    return [Frame(content, because("hl7.bytes_outside_frame"))] if content else []

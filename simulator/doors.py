"""Senders for the platform's doors: DICOM C-STORE, HL7 over MLLP, CloudEvents over HTTP; each says when nobody answers."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    NuclearMedicineImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association

from simulator.messages import Message

__all__ = ["EventDoor", "ImageDoor", "MessageDoor", "host_port"]

CALLING_AE = "SIMULATOR"
COMPRESSED = (
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",
)
TRIES = 4


def host_port(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; anything else is a ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is no HOST:PORT")
    return host, int(port)


class ImageDoor:
    """One association with the DICOM node, opened when needed and after a break."""

    def __init__(self, address: str, ae_title: str) -> None:
        self._address, self._title = host_port(address), ae_title
        self._ae = AE(CALLING_AE)
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
            for storage in (NuclearMedicineImageStorage, CTImageStorage, SecondaryCaptureImageStorage):
                self._ae.add_requested_context(storage, [syntax])
        for compressed in COMPRESSED:
            self._ae.add_requested_context(SecondaryCaptureImageStorage, [compressed])
        self._association: Association | None = None

    def send(self, image: Dataset | Path) -> int:
        """Return the status of the C-STORE (0 = stored); images go in their own transfer syntax."""
        for again in range(TRIES):
            association = self._open()
            try:
                status = association.send_c_store(image)
            except RuntimeError:
                status = None
            if status is not None and "Status" in status and int(status.Status) >> 8 != 0xA7:  # 0xA7xx: out of resources
                return int(status.Status)
            self._drop()
            time.sleep(0.5 * (again + 1))
        raise ConnectionError(f"the DICOM node at {self._address[0]}:{self._address[1]} does not take images: look at its log")

    def close(self) -> None:
        """Release the association."""
        if self._association is not None and self._association.is_established:
            self._association.release()
        self._association = None

    def _open(self) -> Association:
        if self._association is None or not self._association.is_established:
            self._association = self._ae.associate(*self._address, ae_title=self._title)
            if not self._association.is_established:
                raise ConnectionError(
                    f"no DICOM node {self._title} answers at {self._address[0]}:{self._address[1]}: start the platform first"
                )
        return self._association

    def _drop(self) -> None:
        if self._association is not None and self._association.is_established:
            self._association.abort()
        self._association = None


class MessageDoor:
    """One MLLP connection."""

    def __init__(self, address: str) -> None:
        self._address = host_port(address)
        self._socket: socket.socket | None = None

    def send(self, message: Message) -> str:
        """Return MSA-1 of the acknowledgement (AA, AE, AR)."""
        for again in range(TRIES):
            try:
                return self._exchange(message)
            except OSError as exc:
                self.close()
                if again == TRIES - 1:
                    raise ConnectionError(
                        f"no HL7 listener acknowledges at {self._address[0]}:{self._address[1]} ({exc}): start the platform first"
                    ) from None
                time.sleep(0.5 * (again + 1))
        raise AssertionError("unreachable")

    def _exchange(self, message: Message) -> str:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, 10)
            self._socket.settimeout(60)
        self._socket.sendall(b"\x0b" + message.text + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            part = self._socket.recv(65536)
            if not part:
                raise OSError("connection closed before the acknowledgement")
            answer += part
        segment = next((s for s in answer.strip(b"\x0b\x1c\r").split(b"\r") if s.startswith(b"MSA")), b"MSA|")
        return segment.split(b"|")[1].decode()

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class EventDoor:
    """The HTTP door for events."""

    def __init__(self, url: str, token_file: Path) -> None:
        if not token_file.is_file():
            raise ConnectionError(f"there is no device token at {token_file}: start the platform once, it makes the token")
        self._url = url.rstrip("/") + "/events"
        headers = {
            "Authorization": f"Bearer {token_file.read_text().strip()}",
            "Content-Type": "application/cloudevents-batch+json; charset=utf-8",
        }
        self._client = httpx.Client(headers=headers, timeout=120, trust_env=False)

    def send(self, events: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Return what the door refused of a batch, [{"id", "reason"}]."""
        body = json.dumps(events, ensure_ascii=False, separators=(",", ":")).encode()
        for again in range(TRIES):
            try:
                answer = self._client.post(self._url, content=body)
            except httpx.TransportError as exc:
                problem = str(exc) or type(exc).__name__
            else:
                if answer.status_code == 202:
                    return list(answer.json().get("quarantined", []))
                problem = f"HTTP {answer.status_code}: {answer.text[:200]}"
                if answer.status_code < 500:
                    break
            time.sleep(0.5 * (again + 1))
        raise ConnectionError(f"the event door at {self._url} does not take events ({problem})")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

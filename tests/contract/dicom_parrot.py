"""A DICOM sender that says exactly the bytes it is told to, and services to say them to."""

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, NuclearMedicineImageStorage, generate_uid

EXPLICIT, NM, VERIFICATION = str(ExplicitVRLittleEndian), str(NuclearMedicineImageStorage), "1.2.840.10008.1.1"


def peer(program: str) -> str:
    """Return the path of a Debian peer program, or skip; pynetdicom's own scripts of the same names are no independent peers."""
    ours = str(Path(sys.prefix) / "bin")
    elsewhere = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != ours]
    found = shutil.which(program, path=os.pathsep.join(elsewhere))
    if found is None:
        pytest.skip(f"{program} is not installed (Debian packages dcmtk, orthanc)")
    return found


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def node(home: Path, port: int | None = None, **settings: str) -> Iterator[tuple[int, subprocess.Popen]]:
    """Run the service on a free port; yield the port and the process, which is killed in the end."""
    port = port or free_port()
    env = {
        **os.environ,
        "PHOTOPEAK_HOME": str(home),
        "PHOTOPEAK_DICOM_PORT": str(port),
        "PHOTOPEAK_SERIES_QUIET_S": "1",
        **settings,
    }
    with (home.parent / f"{home.name}.log").open("a") as log:
        run = subprocess.Popen([sys.executable, "-m", "connectors.dicom"], env=env, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert run.stdout.readline() == f"dicom: ready on dicom://PHOTOPEAK@127.0.0.1:{port}\n"
        yield port, run
    finally:
        run.kill()
        run.wait()
        run.stdout.close()


def image(patient: str = "4711", side: int = 16, **more: object) -> Dataset:
    """Return a small whole image of nuclear medicine."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = NM, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.Modality, ds.Manufacturer, ds.StationName, ds.AccessionNumber = "NM", "Photopeak Simulation", "GC1", "A-1"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate = patient, "Zhang^San", "19500102"
    ds.AcquisitionDate, ds.AcquisitionTime, ds.ImageType = "20260301", "083000", ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    ds.Rows = ds.Columns = side
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SamplesPerPixel, ds.PixelRepresentation = 16, 16, 15, 1, 0
    ds.PhotometricInterpretation, ds.NumberOfFrames = "MONOCHROME2", 1
    ds.PixelData = bytes(range(256)) * (side * side * 2 // 256)
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def encoded(ds: Dataset, implicit: bool = False) -> bytes:
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = implicit, True
    write_dataset(out, ds)
    return out.getvalue()


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_rq(contexts: list[tuple[int, str, str]] | None = None, calling: bytes = b"PARROT") -> bytes:
    body = (
        struct.pack(">HH", 1, 0)
        + b"PHOTOPEAK".ljust(16)
        + calling.ljust(16)[:16]
        + bytes(32)
        + item(0x10, b"1.2.840.10008.3.1.1.1")
    )
    for number, abstract, transfer in contexts or [(1, NM, EXPLICIT), (3, VERIFICATION, EXPLICIT)]:
        body += item(0x20, bytes([number, 0, 0, 0]) + item(0x30, abstract.encode()) + item(0x40, transfer.encode()))
    return pdu(1, body + item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3.4")))


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def command(**values: bytes) -> bytes:
    """Return a command set; names are e0002, e0100, …"""
    body = b"".join(element(int(name[1:], 16), value) for name, value in sorted(values.items()))
    return element(0, struct.pack("<L", len(body))) + body


def store_command(sop_class: bytes, sop_instance: bytes | None, message: int = 1) -> bytes:
    values = {"e0002": even(sop_class), "e0100": b"\1\0", "e0110": struct.pack("<H", message), "e0700": b"\0\0", "e0800": b"\0\0"}
    return command(**values, **({} if sop_instance is None else {"e1000": even(sop_instance)}))


def even(value: bytes) -> bytes:
    return value + b"\0" * (len(value) % 2)


def pdv(context: int, control: int, data: bytes) -> bytes:
    return struct.pack(">LBB", len(data) + 2, context, control) + data


def p_data(*pdvs: bytes) -> bytes:
    return pdu(4, b"".join(pdvs))


class Parrot:
    """One connection, associated unless told otherwise."""

    def __init__(self, port: int, associate: bool = True, calling: bytes = b"PARROT") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 15)
        if associate:
            self.socket.sendall(associate_rq(calling=calling))
            kind, _ = self.answer()
            assert kind == 2, f"association not accepted: PDU type {kind}"

    def __enter__(self) -> "Parrot":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *raw: bytes) -> None:
        for one in raw:
            self.socket.sendall(one)

    def answer(self) -> tuple[int, bytes]:
        """Return type and body of the next PDU; type 0 when the connection is closed."""
        try:
            head = self._exactly(6)
            return head[0], self._exactly(int.from_bytes(head[2:], "big"))
        except ConnectionError:
            return 0, b""

    def _exactly(self, n: int) -> bytes:
        out = BytesIO()
        while n:
            got = self.socket.recv(n)
            if not got:
                raise ConnectionResetError
            n -= out.write(got)
        return out.getvalue()

    def echo(self) -> bool:
        self.send(p_data(pdv(3, 3, command(e0002=even(VERIFICATION.encode()), e0100=b"\x30\0", e0110=b"\1\0", e0800=b"\1\1"))))
        return self.status()[0] == 0

    def status(self) -> tuple[int, str]:
        """Return status and error comment of the next response; -1 when there is none."""
        kind, body = self.answer()
        if kind != 4:
            return -1, f"PDU type {kind}"
        at, found = 6, {}
        while at < len(body):
            _, number, length = struct.unpack_from("<HHL", body, at)
            found[number] = body[at + 8 : at + 8 + length]
            at += 8 + length
        return int.from_bytes(found[0x0900], "little"), found.get(0x0902, b"").decode().strip()

    def store(
        self, data: bytes, sop_instance: bytes | None, sop_class: bytes = NM.encode(), fragment: int = 16000
    ) -> tuple[int, str]:
        """Send one instance and return its answer."""
        self.send(p_data(pdv(1, 3, store_command(sop_class, sop_instance))))
        pieces = [data[i : i + fragment] for i in range(0, len(data), fragment)] or [b""]
        for n, piece in enumerate(pieces):
            self.send(p_data(pdv(1, 2 if n == len(pieces) - 1 else 0, piece)))
        return self.status()

    def release(self) -> None:
        self.send(pdu(5, bytes(4)))
        assert self.answer()[0] == 6

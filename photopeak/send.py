"""Hand images in at the DICOM door, as a scanner does: one association, C-STORE, an answer for each object."""

import sys
from pathlib import Path

from connectors.settings import Settings
from photopeak.services import near

__all__ = ["send"]

FULL = " (out of resources: its disk is full, or nearly so; free some space and send again 磁盘空间不足)"

DONE, FAILED, USAGE, ENVIRONMENT = 0, 1, 2, 3
CONTEXTS = 120  # an association has room for 128


def send(settings: Settings, paths: list[Path], to: str | None = None) -> int:
    """Send the files, or the DICOM files of the folders, and return 0 all accepted, 1 one refused, 2 nothing to send, 3 no answer."""
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pynetdicom import AE

    host, port = _address(settings, to)
    found: list[tuple[Path, str, str]] = []
    for path in paths:
        if not path.exists():
            print(f"{path} does not exist: name a DICOM file or a folder of them", file=sys.stderr)
            return USAGE
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            try:
                meta = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
                found.append((file, str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)))
            except (InvalidDicomError, AttributeError):
                if path.is_file():
                    print(f"{file} is no DICOM file with a header: nothing was sent", file=sys.stderr)
                    return USAGE
    if not found:
        print("no DICOM file there: nothing was sent", file=sys.stderr)
        return USAGE
    wanted = sorted({(sop_class, syntax) for _, sop_class, syntax in found})
    refused = 0
    for first in range(0, len(wanted), CONTEXTS):
        part = wanted[first : first + CONTEXTS]
        entity = AE(ae_title="PHOTOPEAK_SEND")
        for sop_class, syntax in part:
            entity.add_requested_context(sop_class, syntax)
        association = entity.associate(host, port, ae_title=settings.dicom_ae_title)
        if not association.is_established:
            print(f"no DICOM node answers at {host}:{port}: start it with `photopeak up dicom`", file=sys.stderr)
            return ENVIRONMENT
        try:
            for file, sop_class, syntax in found:
                if (sop_class, syntax) not in part:
                    continue
                try:
                    status = association.send_c_store(file).get("Status")
                except (ValueError, RuntimeError) as error:  # not negotiated, or the association is gone
                    status = str(error)
                if status != 0x0000:
                    refused += 1
                    said = (
                        f"status {status:04X}{FULL if status == 0xA700 else ''}"
                        if isinstance(status, int)
                        else status or "no answer"
                    )
                    print(f"{file} was not accepted: {said}", file=sys.stderr)
        finally:
            association.release()
    print(f"{len(found) - refused} of {len(found)} objects accepted by dicom://{settings.dicom_ae_title}@{host}:{port}")
    return FAILED if refused else DONE


def _address(settings: Settings, to: str | None) -> tuple[str, int]:
    if to is None:
        return near(settings), settings.dicom_port
    host, _, port = to.rpartition(":")
    if not host or not port.isdigit():
        from photopeak.jobs import JobUsage

        raise JobUsage(f"{to!r} is no address: give it as host:port")
    return host, int(port)

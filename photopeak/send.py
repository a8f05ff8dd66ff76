"""Hand images in at the DICOM door, as a scanner does (one association, C-STORE), and reports that are no images at the HTTP door."""

import base64
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib import request
from urllib.error import HTTPError, URLError

from connectors.documents import NoDocument, about, looks_like_document, parsed, utc_of
from connectors.settings import Settings
from connectors.stores.object_store.port import digest
from messages import because, both
from photopeak.services import near

__all__ = ["send"]

FULL = " (out of resources: its disk is full, or nearly so; free some space and send again 磁盘空间不足)"

DONE, FAILED, USAGE, ENVIRONMENT = 0, 1, 2, 3
CONTEXTS = 120  # an association has room for 128
SENDER = "console"  # the name under which this command sends reports; its token is made at the first call
PATIENCE_S = 60
Found = list[tuple[Path, str, str]]  # file, class, transfer syntax


def send(settings: Settings, paths: list[Path], to: str | None = None, device: str | None = None) -> int:
    """Send the files, or those of the folders that are images or reports.

    Parameters
    ----------
    device
        The device that the reports are of, where they do not name a registered one themselves.

    Returns
    -------
    int
        0 all accepted, 1 one refused, 2 nothing to send, 3 no answer.
    """
    sorted_out = _sorted(paths)
    if isinstance(sorted_out, str):
        print(both(sorted_out), file=sys.stderr)
        return USAGE
    images, reports = sorted_out
    if reports and to is not None:
        print(both(because("send.report_elsewhere", file=reports[0])), file=sys.stderr)
        return USAGE
    codes = [_send_images(settings, images, to)] if images else []
    codes += [_send_reports(settings, reports, device)] if reports else []
    return max(codes)


def _sorted(paths: list[Path]) -> tuple[Found, list[Path]] | str:
    """Return images and reports, or the sentence that says which path is wrong."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    images: Found = []
    reports = []
    for path in paths:
        if not path.exists():
            return because("send.path_missing", path=path)
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            try:
                meta = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
                images.append((file, str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)))
            except (InvalidDicomError, AttributeError):
                with file.open("rb") as opened:
                    if looks_like_document(opened.read(256)):
                        reports.append(file)
                    elif path.is_file():
                        return because("send.unknown_file", file=file)
    return (images, reports) if images or reports else because("send.nothing")


def _send_images(settings: Settings, found: Found, to: str | None) -> int:
    from pynetdicom import AE

    host, port = _address(settings, to)
    wanted = sorted({(sop_class, syntax) for _, sop_class, syntax in found})
    refused = 0
    for first in range(0, len(wanted), CONTEXTS):
        part = wanted[first : first + CONTEXTS]
        entity = AE(ae_title="PHOTOPEAK_SEND")
        for sop_class, syntax in part:
            entity.add_requested_context(sop_class, syntax)
        association = entity.associate(host, port, ae_title=settings.dicom_ae_title)
        if not association.is_established:
            print(both(because("send.no_dicom_node", host=host, port=port)), file=sys.stderr)
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
                        else status or because("send.no_answer")
                    )
                    print(both(because("send.not_accepted", file=file, reason=said)), file=sys.stderr)
        finally:
            association.release()
    print(
        both(
            because(
                "send.objects_accepted",
                accepted=len(found) - refused,
                objects=len(found),
                ae_title=settings.dicom_ae_title,
                host=host,
                port=port,
            )
        )
    )
    return FAILED if refused else DONE


def _send_reports(settings: Settings, reports: list[Path], device: str | None) -> int:
    """Send each report as a CloudEvent `device.report` of its own and say what became of it."""
    url = f"http://{near(settings)}:{settings.events_port}/events"
    headers = {
        "Authorization": f"Bearer {settings.secret(f'devices/{SENDER}')}",
        "Content-Type": "application/cloudevents+json",
    }
    opener = request.build_opener(request.ProxyHandler({}))  # the door is on this machine
    refused = 0
    for file in reports:
        body = json.dumps(_event(settings, file, device)).encode()
        try:
            with opener.open(request.Request(url, body, headers), timeout=PATIENCE_S) as answer:
                told = json.load(answer)["quarantined"]
        except HTTPError as error:
            told = [{"reason": json.load(error).get("error", f"HTTP {error.code}")}]
        except (URLError, OSError):
            print(both(because("send.no_http_door", url=url)), file=sys.stderr)
            return ENVIRONMENT
        for one in told:
            refused += 1
            print(both(because("send.not_accepted", file=file, reason=one["reason"])), file=sys.stderr)
    print(both(because("send.reports_accepted", accepted=len(reports) - refused, reports=len(reports), url=url)))
    return FAILED if refused else DONE


def _event(settings: Settings, file: Path, device: str | None) -> dict[str, str]:
    """Return the event of a report; the same report of the same device has the same id, so that a second sending changes nothing.

    A report that does not say when it was made is as old as its file.
    """
    content = file.read_bytes()
    try:
        moment = utc_of(about(parsed(content)).moment, settings.zone)
    except NoDocument:  # the door keeps it and says why it cannot be read
        moment = None
    at = moment or datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return {
        "specversion": "1.0", "type": "device.report", "source": f"urn:photopeak:{SENDER}", "subject": device or "",
        "id": f"report/{device or ''}/{digest(content)}", "time": at.isoformat(), "data_base64": base64.b64encode(content).decode(),
    }  # fmt: skip


def _address(settings: Settings, to: str | None) -> tuple[str, int]:
    if to is None:
        return near(settings), settings.dicom_port
    host, _, port = to.rpartition(":")
    if not host or not port.isdigit():
        from photopeak.jobs import JobUsage

        raise JobUsage(because("send.no_address", text=to))
    return host, int(port)

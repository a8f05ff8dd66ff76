"""Files in, judged answers out: each result with its inputs, verdict and limits, and what was asked for beside it (picture, report, page).

Every input is in some answer; answers come as they are made, so that thousands of files need no more memory than the largest series.
"""

import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from judgement import reference
from judgement.devices import device_of
from judgement.limits import judge
from judgement.rows import Device, Limit
from messages import because, from_listed, listed
from spark_jobs.faults import of_file, of_method
from spark_jobs.folder import Heap, Unmeasurable
from spark_jobs.measure import Found, measure_heap, read_object, render
from spark_jobs.numbers import text_of
from spark_jobs.qc.result import NOT_MEASURED, Result, refused
from spark_jobs.reading import Instance, Unreadable

__all__ = ["Outputs", "answers", "is_measured"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Outputs:
    """Folders for a picture and a page of each result, and for a DICOM Structured Report of each series; None: not asked for."""

    picture: Path | None = None
    sr: Path | None = None
    pdf: Path | None = None


@dataclass(frozen=True)
class _Answer:
    """A judged result before its page: the row, and what the page says beside it."""

    row: Row
    result: Result
    facts: dict[str, str]
    device: tuple[str | None, str | None]


def answers(inputs: Sequence[Path | Unmeasurable], outputs: Outputs = Outputs()) -> Iterator[Row]:
    """Yield the rows of `photopeak analyse --json`; nothing about an input raises.

    A row holds inputs, the result (`Result.to_dict`), verdict, limits, device, and paths of what was written; what could not be written is a
    note of the row, its path is None, and `unwritten` is true.
    """
    limits = reference.read(Limit)
    heap = Heap()
    for one in inputs:
        reason = _taken_in(heap, one)
        if reason is not None:
            yield _refusal(str(one) if isinstance(one, Path) else one.source, reason)
    found = _judged(measure_heap(heap), limits, outputs)
    yield from (_with_pages(found, outputs.pdf) if outputs.pdf is not None else (a.row for a in found))


def _taken_in(heap: Heap, one: Path | Unmeasurable) -> str | None:
    if isinstance(one, Unmeasurable):
        return one.reason
    try:
        heap.add(read_object(one))
    except Unreadable as exc:
        return str(exc)
    except Exception as exc:
        return of_method(exc, ())
    return None


def _refusal(source: str, reason: str) -> Row:
    return {"inputs": [source], **refused(reason).to_dict(), "verdict": "none", "limits": []}


def _judged(heap: Iterator[Found], limits: Sequence[Limit], outputs: Outputs) -> Iterator[_Answer]:
    number = 0
    for found in heap:
        device = device_of(found.device_serial, found.station_name, reference.read(Device))
        judged = [(result, *judge(result, limits, device, found.acquired_on)) for result in found.results]
        report, trouble = _report(found, judged, device, outputs.sr, number + 1)
        for result, verdict, used in judged:
            number += 1
            row = {
                "inputs": list(found.inputs),
                **result.to_dict(),
                "verdict": verdict,
                "limits": used,
                "device_id": device,
            }
            if outputs.picture is not None:
                row["picture"], wrong = _picture(result, outputs.picture, number)
                _note(row, wrong)
            if outputs.sr is not None:
                row["report"] = report
                _note(row, trouble)
            yield _Answer(
                row, result, _facts(found, device) if outputs.pdf is not None else {}, (found.device_serial, found.station_name)
            )


def _with_pages(judged: Iterator[_Answer], folder: Path) -> Iterator[Row]:
    """Yield the rows with their pages; a page shows the earlier and later results of its device, so that all are measured before the first."""
    history: dict[tuple[str | None, str | None], list[tuple[str, Result]]] = {}
    with TemporaryFile() as spool:
        count = 0
        for answer in judged:
            day = answer.facts.get("acquired 采集日期", "")
            if day[:4].isdigit():
                history.setdefault(answer.device, []).append((day, replace(answer.result, figure=None)))
            _spooled(answer, spool)
            count += 1
        spool.seek(0)
        for number in range(1, count + 1):
            answer = pickle.load(spool)
            answer.row["page"], wrong = _page(answer, history.get(answer.device, []), folder, number)
            _note(answer.row, wrong)
            yield answer.row


def _note(row: Row, wrong: list[str]) -> None:
    """Note in a row what could not be written beside it."""
    if wrong:
        row |= listed([*from_listed(row), *wrong])
        row["unwritten"] = True


def _spooled(answer: _Answer, spool: IO[bytes]) -> None:
    try:
        text = pickle.dumps(answer)
    except Exception:  # a figure that holds what cannot be stored
        text = pickle.dumps(replace(answer, result=replace(answer.result, figure=None)))
    spool.write(text)


def _report(
    found: Found, judged: list[tuple[Result, str, list[dict[str, Any]]]], device: str, folder: Path | None, number: int
) -> tuple[str | None, list[str]]:
    """Write the structured report of a series and return its path; None for documents, which are no DICOM objects."""
    if folder is None or not found.images:
        return None, []
    from spark_jobs.outputs.structured_report import structured_report

    path = folder / f"{number:03d}_{judged[0][0].procedure or 'not_measured'}_sr.dcm"
    try:
        _written(path, structured_report(list(found.images), judged, device))
    except Exception as exc:
        return None, [because("output.report_not_written", problem=_why(exc, found.images))]
    return str(path), []


def _picture(result: Result, folder: Path, number: int) -> tuple[str | None, list[str]]:
    path = folder / f"{_stem(result, number)}.png"
    try:
        png = render([], result)
        if png is None:
            return None, []
        _written(path, png)
    except Exception as exc:
        return None, [because("output.picture_not_written", problem=_why(exc, ()))]
    return str(path), []


def _page(answer: _Answer, earlier: list[tuple[str, Result]], folder: Path, number: int) -> tuple[str | None, list[str]]:
    from spark_jobs.outputs.page import page

    path = folder / f"{_stem(answer.result, number)}.pdf"
    try:
        _written(path, page(answer.result, answer.row["verdict"], answer.row["limits"], answer.facts, earlier))
    except Exception as exc:
        return None, [because("output.page_not_written", problem=_why(exc, ()))]
    return str(path), []


def _why(exc: Exception, images: Sequence[Instance]) -> str:
    return of_file(exc) if isinstance(exc, OSError) else of_method(exc, [i.dataset for i in images])


def _written(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # half a file is none
        raise


def _stem(result: Result, number: int) -> str:
    name = f"{number:03d}_{result.procedure or 'not_measured'}{f'_{result.detector}' if result.detector else ''}"
    return "".join(c if c.isalnum() or c in "_-" else "-" for c in name)


def _facts(found: Found, device: str) -> dict[str, str]:
    """Return what the page says about an image beside its numbers: of which device, when, which file, made by what."""
    header = found.images[0].dataset if found.images else {}
    model = " ".join(text for text in (text_of(header, k) for k in ("Manufacturer", "ManufacturerModelName")) if text)
    inputs = [str(i) for i in found.inputs if i]
    name = Path(inputs[0]).name + (f" and {len(inputs) - 1} more" if len(inputs) > 1 else "") if inputs else ""
    return {
        "device 设备": device,
        "model 型号": model or "–",
        "serial, station 序列号": ", ".join(x for x in (found.device_serial, found.station_name) if x) or "–",
        "acquired 采集日期": found.acquired_on or "unknown 未知",
        "image 图像": _image(found.images[0], len(found.images)) if found.images else "–",
        "file 文件": os.fsencode(name).decode(errors="replace"),
        "digest of files 校验": _digest(inputs)[:16],
    }


def _digest(inputs: list[str]) -> str:
    from hashlib import file_digest, sha256

    each = []
    for name in inputs:
        with suppress(OSError), Path(name).open("rb") as file:
            each.append(file_digest(file, sha256).hexdigest())
    return sha256("".join(sorted(each)).encode()).hexdigest()


def _image(first: Instance, files: int) -> str:
    """Return modality, number and size of the images."""
    try:
        frames = files * int(first.dataset.get("NumberOfFrames") or 1)
    except Exception:
        frames = files
    pixel = f", {first.pixel_mm:.4g} mm" if first.pixel_mm else ""
    return f"{first.modality} {frames} × {first.rows} × {first.columns}{pixel}"


def is_measured(row: Row) -> bool:
    """Return whether a row holds what was asked for: values, and what was to be written."""
    return row["status"] != NOT_MEASURED and not row.get("unwritten")

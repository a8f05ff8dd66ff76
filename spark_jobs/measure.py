"""From the bytes of one series, or of a folder of mixed files, to results: read, tell the procedure, measure. The one entrance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_jobs.components import refuse_switched_off
from spark_jobs.documents import Document, looks_like_document, read_document
from spark_jobs.procedures import CODES, MODULES, PROCEDURES, SHEETS, TOLD_BY, Procedure, header_votes, look
from spark_jobs.procedures.artefacts import beside
from spark_jobs.procedures.registration import registrations
from spark_jobs.qc.cut_off import is_cut_off
from spark_jobs.qc.registration import PROCEDURE as PAIRED
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Result, refused
from spark_jobs.reading import Instance, Unreadable, grouped, read, read_file
from spark_jobs.selector import choose

__all__ = [
    "Found",
    "measure_instances",
    "measure_mixed",
    "measure_series",
    "methods_digest",
    "read_object",
    "render",
    "told_elsewhere",
]


@dataclass(frozen=True)
class Found:
    """What one series, one document, or one pair of series gave: where it came from, the device and day it is judged by."""

    inputs: tuple[str | None, ...]
    device_serial: str | None
    station_name: str | None
    acquired_on: str | None
    results: list[Result]


@cache
def methods_digest() -> str:
    """Return the SHA-256 of the names and versions of all methods: any change of a method is a new run of everything."""
    import hashlib  # not where one image is measured: OpenSSL is 3 MB

    lines = (f"{name}|{m.METHOD}|{m.VERSION}" for name, m in sorted(MODULES.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_object(place: bytes | Path) -> Instance | Document:
    """Return the image or the document in a file or in bytes, or raise `Unreadable` with the reason."""
    source = str(place) if isinstance(place, Path) else None
    if isinstance(place, Path):
        with place.open("rb") as f:
            head = f.read(256)
    else:
        head = place[:256]
    if head[128:132] != b"DICM" and looks_like_document(head):
        return read_document(place.read_bytes() if isinstance(place, Path) else place, source)
    return read_file(place) if isinstance(place, Path) else read(place)


def measure_mixed(objects: Sequence[Instance | Document]) -> list[Found]:
    """Return what a heap of objects gives, sorted by itself: each series and each document; never an exception about them."""
    out = []
    groups = grouped([o for o in objects if isinstance(o, Instance)])
    documents = [o for o in objects if isinstance(o, Document)]
    paired: set[int] = set()
    for numbers, result in _registrations(groups):
        paired.update(numbers)
        inputs = tuple(i.source for k in numbers for i in groups[k])
        last = groups[numbers[-1]][0]
        out.append(Found(inputs, last.device_serial, last.station_name, last.acquired_on, [result]))
    used: set[str] = set()
    for k, series in enumerate(groups):
        if k in paired:
            continue
        first = series[0]
        results = measure_instances(series, sheets=documents)
        used.update(kind for r in results if r.procedure in PROCEDURES for kind in PROCEDURES[r.procedure].sheet_kinds)
        inputs = tuple(i.source for i in series)
        out.append(Found(inputs, first.device_serial, first.station_name, first.acquired_on, results))
    for d in documents:
        if d.kind not in used:
            out.append(Found((d.source,), d.device_serial, d.station_name, d.acquired_on, _of_document(d, documents)))
    return out


def _registrations(groups: Sequence[list[Instance]]) -> list[tuple[list[int], Result]]:
    try:
        return registrations(groups)
    except Exception:  # broken headers: each series gives its own reason when it is looked at by itself
        return []


def measure_series(
    instances: Sequence[bytes], analysis: str | None = None, beside: Sequence[bytes] = (), *, off: Mapping[str, str] | None = None
) -> list[Result]:
    """Return one result for each procedure and detector of one series; never an empty list, never an exception about the images.

    Parameters
    ----------
    instances
        The DICOM files of one series, or documents.
    analysis
        "phantom" or "clinical" admits only procedures of that kind; None admits all.
    beside
        What the series is looked at together with: series that may show the same phantom, sheets that tell of it; for a document, the
        earlier ones of its device.
    off
        {procedure: why it is switched off}: its result is that reason, and what is chosen for a series does not run.
    """
    return refuse_switched_off(_together(instances, analysis, beside, off or {}), off or {})


def _together(instances: Sequence[bytes], analysis: str | None, beside: Sequence[bytes], off: Mapping[str, str]) -> list[Result]:
    try:
        objects = [read_object(data) for data in instances]
    except Unreadable as exc:
        return [refused(str(exc))]
    others = _readable(beside)
    documents = [o for o in others if isinstance(o, Document)]
    if len(objects) == 1 and isinstance(objects[0], Document):
        return _of_document(objects[0], [*objects, *documents])  # type: ignore[list-item]
    if any(isinstance(o, Document) for o in objects):
        return [r for found in measure_mixed(objects) for r in found.results]
    series = [o for o in objects if isinstance(o, Instance)]
    groups = [series, *grouped([o for o in others if isinstance(o, Instance)])]
    for numbers, result in _registrations(groups) if len(groups) > 1 else ():
        if numbers[-1] == 0:
            return [result]
        if 0 in numbers:
            last = groups[numbers[-1]][0]
            return [told_elsewhere(PAIRED, f"compared with the {last.modality} series {last.series_uid}, where the values stand")]
    return measure_instances(series, analysis, documents, off=off)


def told_elsewhere(procedure: str, reason: str) -> Result:
    """Return the result of what was measured together with something else, whose result holds the values."""
    module = MODULES[procedure]
    return Result(procedure, MEASURED, reason, None, module.METHOD, module.VERSION)


def _readable(beside: Sequence[bytes]) -> list[Instance | Document]:
    out = []
    for data in beside:
        try:
            out.append(read_object(data))
        except Unreadable:  # says so when it is looked at by itself
            continue
    return out


def measure_instances(
    series: Sequence[Instance],
    analysis: str | None = None,
    sheets: Sequence[Document] = (),
    *,
    off: Mapping[str, str] | None = None,
) -> list[Result]:
    """Return the same for instances that are read already, and for sheets that may tell what no header does."""
    if not series:
        return [refused("the series holds no image")]
    try:
        return _unique(refuse_switched_off(_measured(series, analysis, sheets, off or {}), off or {}))
    except Unreadable as exc:
        return [refused(str(exc))]
    except Exception as exc:  # header values are decoded when they are asked for, and pydicom raises many kinds over broken ones
        return [refused(f"the series cannot be measured: {type(exc).__name__}: {exc}"[:500])]


def _measured(
    series: Sequence[Instance], analysis: str | None, sheets: Sequence[Document], off: Mapping[str, str]
) -> list[Result]:
    first = series[0]
    votes = header_votes(series)
    capture = first.is_capture and "whole_body_bone" not in votes
    if capture:
        return [refused("a Secondary Capture is a picture of a screen, not an image that can be measured")]
    if any((i.rows, i.columns, i.pixel_mm) != (first.rows, first.columns, first.pixel_mm) for i in series):
        return [refused("the images of the series differ in size or spacing")]
    doubt = _doubt(series)
    if doubt:
        return [_without_numbers(next(iter(votes)) if len(votes) == 1 else None, doubt)]
    seen = look(series)
    by_pixels = {name for name, p in PROCEDURES.items() if p.look == seen}
    codes = {c for i in series for c in i.codes}
    by_pixels |= {CODES[c] for c in codes if c in CODES and seen in PROCEDURES[CODES[c]].also}
    choice = choose(codes, CODES, votes, by_pixels, seen)
    if choice.procedure is None:
        return [refused(choice.reason or "no procedure fits")]
    procedure = PROCEDURES[choice.procedure]
    if procedure.analysis == "phantom" and choice.procedure not in by_pixels:
        # code and class agree, yet the wrong object on the table gives numbers that look right
        return [_without_numbers(choice.procedure, f"the order says {choice.procedure}, but the pixels look like {seen}")]
    doubt = _doubt_of_kind(series, procedure, analysis)
    if doubt:
        return [_without_numbers(choice.procedure, doubt)]
    if choice.procedure in off:
        return [_without_numbers(choice.procedure, off[choice.procedure])]
    mine = [d for d in sheets if d.kind in procedure.sheet_kinds]
    results = procedure.with_sheets(series, mine) if procedure.with_sheets and mine else procedure.run(series)
    return [*results, *beside(results)]


def _of_document(document: Document, others: Sequence[Document]) -> list[Result]:
    sheet = SHEETS.get(document.kind)
    if sheet is None:
        name = document.kind.removeprefix("json ")
        if document.kind in TOLD_BY:
            return [
                _without_numbers(
                    name,
                    "the sheet came without the series that it tells of: name it by series_uid, study_uid or accession_number",
                )
            ]
        return [refused(f"no procedure here reads a document of the kind {document.kind!r}")]
    device = (document.device_serial, document.station_name)
    same = [o for o in others if o.kind == document.kind and (o.device_serial, o.station_name) == device]
    same.sort(key=lambda o: (o.acquired_on or "", o.source or ""))
    try:
        return sheet.run(document, same)
    except Unreadable as exc:
        return [_without_numbers(sheet.modules[0].PROCEDURE, str(exc))]
    except Exception as exc:  # readings may be of any type
        return [_without_numbers(sheet.modules[0].PROCEDURE, f"the document cannot be read: {type(exc).__name__}: {exc}"[:500])]


def _without_numbers(procedure: str | None, reason: str) -> Result:
    if procedure is None:
        return refused(reason)
    module = MODULES[procedure]
    return Result(procedure, NOT_MEASURED, reason, None, module.METHOD, module.VERSION)


def _doubt(series: Sequence[Instance]) -> str | None:
    """Return why no procedure can measure a series, or None."""
    told = ({i.modality for i in series}, {i.device_serial for i in series}, {i.station_name for i in series})
    if any(len(names - {None}) > 1 for names in told):
        return "the images of the series name different devices or modalities: whose they are is unknown"
    if any(i.pixel_mm is None for i in series):
        return "PixelSpacing is missing, zero, negative, absurd or not square: no millimetre can be told"
    if any(i.is_clipped for i in series):
        return "clipped pixels: the largest value is the limit of the pixel type"
    return None


PLANAR = ("planar_uniformity", "line_source", "four_bar", "linearity", "quadrant_bar")  # what lives on the height of counts


def _doubt_of_kind(series: Sequence[Instance], procedure: Procedure, asked: str | None) -> str | None:
    """Return why a series of a known procedure must not be measured, or None."""
    kind = procedure.analysis
    if asked not in (None, kind):
        return f"a {kind} series is no {asked} series"
    if kind == "phantom":
        if not procedure.reconstructed and any(i.modality in ("NM", "CT") and i.image_type[:1] == ("DERIVED",) for i in series):
            return "processed pixels (ImageType DERIVED): measure the image as acquired"
        if any(i.is_lossy for i in series):
            return "the pixels went through lossy compression"
        if not procedure.reconstructed and any(i.modality == "NM" and i.pixels.min() < 0 for i in series):
            return "negative counts: the pixels were processed"
        if procedure.module.PROCEDURE in PLANAR and any(is_cut_off(_brightest(i.pixels)) for i in series):
            return "many pixels hold the same largest value: the counts were cut off"
    return None


def _brightest(frames: NDArray) -> NDArray:
    return frames[int(np.argmax(frames.sum((1, 2), dtype=np.int64)))] if len(frames) > 1 else frames[0]


def _unique(results: list[Result]) -> list[Result]:
    """Return results whose detector names differ: two objects of a series may both speak of detector 1."""
    many = Counter((r.procedure, r.detector) for r in results)
    seen: Counter = Counter()
    out = []
    for r in results:
        key = (r.procedure, r.detector)
        seen[key] += 1
        out.append(replace(r, detector=f"{r.detector or 'image'}#{seen[key]}") if many[key] > 1 else r)
    return out


def render(instances: Sequence[bytes], result: Result) -> bytes | None:
    """Return the PNG that shows where the values were found, or None when there is nothing to show.

    A result keeps the arrays of its picture; only one that came without them (from a store) is measured again.
    """
    from spark_jobs.pictures import draw

    if result.figure is None and result.status != NOT_MEASURED:
        again = [r for r in measure_series(instances) if (r.procedure, r.detector) == (result.procedure, result.detector)]
        result = again[0] if again else result
    return draw(result) if result.figure is not None else None

"""From the bytes of one series, or of a folder of mixed files, to results: read, tell the procedure, measure. The one entrance."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from messages import because
from spark_jobs.copies import copied_in, copied_series
from spark_jobs.documents import Document, looks_like_document, read_document
from spark_jobs.energy_windows import Choice, of_photopeak
from spark_jobs.faults import of_method, refuse_no_numbers
from spark_jobs.folder import Heap, Series, heap_of, sheets_for
from spark_jobs.heads_in_series import compared, groups_of_heads
from spark_jobs.procedures import CODES, LOOK_OF_WINDOWS, MODULES, PROCEDURES, SHEETS, TOLD_BY, Procedure, header_votes, look
from spark_jobs.procedures.combined.artefacts import beside
from spark_jobs.procedures.combined.registration import Head, registrations
from spark_jobs.procedures.heads import field_absurd
from spark_jobs.procedures.sheets import tells_of, unread
from spark_jobs.qc.combined.registration import PROCEDURE as PAIRED
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.cut_off import are_cut_off
from spark_jobs.qc.numerics.multiples import counts_factor
from spark_jobs.qc.numerics.wrapped import is_wrapped, may_be_wrapped
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Result, refused
from spark_jobs.reading import Instance, Unreadable, read, read_file
from spark_jobs.selector import choose
from spark_jobs.switched_off import refuse_switched_off

UID = re.compile(r"[0-9.]{1,64}")

__all__ = [
    "Found",
    "measure_heap",
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
    images: tuple[Instance, ...] = field(default=(), repr=False, compare=False)


@cache
def methods_digest() -> str:
    """Return the SHA-256 of the names and versions of all methods: any change of a method is a new run of everything."""
    import hashlib  # not where one image is measured: OpenSSL is 3 MB

    lines = (f"{name}|{m.METHOD}|{m.VERSION}" for name, m in sorted(MODULES.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_object(place: bytes | Path) -> Instance | Document:
    """Return the image or the document in a file or in bytes, or raise `Unreadable` with the reason, whatever is wrong with them."""
    source = str(place) if isinstance(place, Path) else None
    try:
        if isinstance(place, Path):
            with place.open("rb") as f:
                head = f.read(256)
        else:
            head = place[:256]
        if head[128:132] != b"DICM" and looks_like_document(head):
            return read_document(place.read_bytes() if isinstance(place, Path) else place, source)
        return read_file(place) if isinstance(place, Path) else read(place)
    except Unreadable:
        raise
    except Exception as exc:  # a reader that had not foreseen a file never ends the call
        raise Unreadable(of_method(exc, ())) from None


def measure_mixed(objects: Sequence[Instance | Document]) -> list[Found]:
    """Return what a heap of objects gives, sorted by itself: each series and each document; never an exception about them."""
    return list(measure_heap(heap_of(objects)))


def measure_heap(heap: Heap) -> Iterator[Found]:
    """Yield what each pair of series, each series and each document gives; one of them is in memory at a time."""
    series = heap.series
    paired: set[int] = set()
    for numbers, result in registrations([s.head for s in series], lambda k: series[k].opened()):
        paired.update(numbers)
        yield from _found([series[k] for k in numbers], lambda images: [result])  # noqa: B023 (called before the next turn)
    used: set[int] = set()
    beside_it, copied = groups_of_heads(series), copied_series(series)
    for k, one in enumerate(series):
        if k in paired:
            continue
        if k in copied:
            yield from _found([one], lambda images: [_without_numbers(_voted(images), copied[k])])  # noqa: B023
            continue
        group = [j for j in beside_it.get(k, [k]) if j not in paired and j not in copied]
        if group[0] < k:
            continue  # was looked at with the first of its group
        near = sheets_for(group, series, heap.documents)
        sheets = list(near.values())
        for found in _heads([series[j] for j in group], lambda images: measure_instances(images, sheets=sheets)):  # noqa: B023
            told = list(_told(found, near))
            used.update(told)
            yield replace(found, inputs=(*found.inputs, *(heap.documents[n].source for n in told)))
    for number, d in enumerate(heap.documents):
        if number not in used:
            results = _of_documents(d, heap.documents)
            yield Found((d.source,), d.device_serial, d.station_name, d.acquired_on, results)


def _told(found: Found, documents: Mapping[int, Document]) -> Iterator[int]:
    """Yield the numbers of the documents that tell of what was found."""
    kinds = {kind for r in found.results if r.procedure in PROCEDURES for kind in PROCEDURES[r.procedure].sheet_kinds}
    for number, d in documents.items():
        if d.kind in kinds and found.images and tells_of(d.sheet, found.images[0]):
            yield number


def _heads(series: Sequence[Series], measure: Callable[[list[Instance]], list[Result]]) -> Iterator[Found]:
    """Yield what series that may hold the heads of one acquisition give: together where they are known to, else each by itself."""
    if len(series) == 1:
        yield from _found(series, measure)
        return
    alone = [found for one in series for found in _found([one], measure)]
    if not all(found.images for found in alone):
        yield from alone
        return
    results, notes = compared([list(f.images) for f in alone], [f.results for f in alone], measure)
    if results is not None:
        inputs, images = (tuple(x for f in alone for x in getattr(f, name)) for name in ("inputs", "images"))
        copies = _of_copies(series)
        yield replace(alone[-1], inputs=inputs, images=images, results=[_noted(r, copies) for r in results])
        return
    for found, note in zip(alone, notes, strict=True):
        yield replace(found, results=[_noted(r, note) for r in found.results])


def _found(series: Sequence[Series], measure: Callable[[list[Instance]], list[Result]]) -> Iterator[Found]:
    """Yield what one series, or a pair of them, gives, with notes on what became of its files."""
    sources = tuple(source for s in series for source in (*s.sources, *s.copies))
    try:
        images = [i for s in series for i in s.opened()]
    except Unreadable as exc:
        yield Found(sources, None, None, None, [refused(str(exc))])
        return
    last = images[-len(series[-1].sources)]
    results = [replace(r, warnings=(*r.warnings, *_of_copies(series))) for r in measure(images)]
    yield Found(sources, last.device_serial, last.station_name, last.acquired_on, results, tuple(images))
    for s in series:
        s.close()


def _of_copies(series: Sequence[Series]) -> list[str]:
    """Return the notes on files that bear one SOP Instance UID."""
    copies, collided = sum(len(s.copies) for s in series), sum(s.collided for s in series)
    notes: list[str] = [because("series.copies", files=copies)] if copies else []
    if collided:
        notes.append(because("series.uid_reused", files=collided))
    return notes


def _of_documents(document: Document, documents: Sequence[Document]) -> list[Result]:
    """Return the results of a document beside the earliest of its kind and device; of them, none other is opened."""
    same = [d for d in documents if d is not document and _scanner(d) == _scanner(document)]
    first = min((d.acquired_on or "" for d in same), default=None)
    try:
        return _of_document(
            _filled(document), [_filled(d) for d in (document, *same) if d is document or (d.acquired_on or "") == first]
        )
    except Unreadable as exc:
        return [refused(str(exc))]


def _scanner(document: Document) -> tuple[str | None, ...]:
    return document.kind, document.device_serial, document.station_name


def _filled(document: Document) -> Document:
    """Return a document with its contents, from its file where they were let go of."""
    if document.root is not None or document.sheet or document.source is None:
        return document
    again = read_object(Path(document.source))
    if not isinstance(again, Document):
        raise Unreadable(because("file.changed"))
    return again


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
    objects: list[Instance | Document] = []
    broken: dict[str, int] = {}
    for data in instances:
        try:
            objects.append(read_object(data))
        except Unreadable as exc:
            broken[str(exc)] = broken.get(str(exc), 0) + 1
    if not objects and broken:
        return [refused(reason) for reason in broken]
    told = [
        refused(because("series.files_unreadable", unreadable=n, files=len(instances), reason=reason))
        for reason, n in broken.items()
    ]
    return [*_readable_together(objects, analysis, beside, off), *told]


def _readable_together(
    objects: list[Instance | Document], analysis: str | None, beside: Sequence[bytes], off: Mapping[str, str]
) -> list[Result]:
    others = _readable(beside)
    documents = [o for o in others if isinstance(o, Document)]
    if len(objects) == 1 and isinstance(objects[0], Document):
        return _of_document(objects[0], [*objects, *documents])  # type: ignore[list-item]
    if any(isinstance(o, Document) for o in objects):
        return [r for found in measure_mixed(objects) for r in found.results]
    series = [o for o in objects if isinstance(o, Instance)]
    images = heap_of(series)
    if len(images.series) == 1:
        series = images.series[0].opened()
    notes = _of_copies(images.series)
    groups = [series, *(s.opened() for s in heap_of([o for o in others if isinstance(o, Instance)]).series)] if series else []
    heads = [Head.of(g[0]) for g in groups] if len(groups) > 1 else []
    for numbers, result in registrations(heads, lambda k: groups[k]):
        if numbers[-1] == 0:
            return [result]
        if 0 in numbers:
            last = groups[numbers[-1]][0]
            return [told_elsewhere(PAIRED, because("series.compared_with", modality=last.modality, series=_uid(last.series_uid)))]
    return [replace(r, warnings=(*r.warnings, *notes)) for r in measure_instances(series, analysis, documents, off=off)]


def _uid(text: str) -> str:
    """Return a UID as a reason may show it: digits and dots (PS3.5 9.1), or that it is none."""
    return text if UID.fullmatch(text) else because("series.without_uid")


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
        return [refused(because("series.no_image"))]
    try:
        whole, lost = _decodable(series)
        results = refuse_switched_off(_measured(whole, analysis, sheets, off or {}), off or {})
        return refuse_no_numbers(_unique([*results, *lost]))
    except Unreadable as exc:
        return [refused(str(exc))]
    except Exception as exc:  # header values are decoded when they are asked for, and pydicom raises many kinds over broken ones
        return [refused(of_method(exc, [i.dataset for i in series]))]


def _decodable(series: Sequence[Instance]) -> tuple[Sequence[Instance], list[Result]]:
    """Return the images that can be decoded, and refusals of the others; where one image needs the others, all of them as they are."""
    if len(series) == 1 or any(i.modality != "NM" or i.kind not in ("STATIC", "WHOLE BODY") for i in series):
        return series, []
    whole: list[Instance] = []
    reasons: Counter[str] = Counter()
    for instance in series:
        try:
            _ = instance.stored
            whole.append(instance)
        except Unreadable as exc:
            reasons[str(exc)] += 1
    if not whole:
        return series, []
    count = len(series)
    return whole, [
        refused(because("series.files_unreadable", unreadable=n, files=count, reason=reason)) for reason, n in reasons.items()
    ]


def _measured(
    series: Sequence[Instance], analysis: str | None, sheets: Sequence[Document], off: Mapping[str, str]
) -> list[Result]:
    first = series[0]
    votes = header_votes(series)
    capture = first.is_capture and "whole_body_bone" not in votes
    if capture:
        return [refused(because("image.secondary_capture"))]
    if any((i.rows, i.columns, i.pixel_mm) != (first.rows, first.columns, first.pixel_mm) for i in series):
        return [refused(because("series.sizes_differ"))]
    doubt = _doubt(series)
    if doubt:
        return [_without_numbers(_voted(series), doubt)]
    seen: Look | str | None = LOOK_OF_WINDOWS(series)
    window = Choice(list(series))
    asked = {CODES[c] for i in series for c in i.codes if c in CODES}
    try:
        if seen is None:
            window = of_photopeak(series)
            series = window.series
        doubt = _doubt_of_values(series)
        if doubt:
            return [_without_numbers(_voted(series), doubt)]
        if seen is None:
            seen = look(series)
    except Unreadable as exc:
        return [_without_numbers(asked.pop() if len(asked) == 1 else None, str(exc))]
    by_pixels = {name for name, p in PROCEDURES.items() if p.look == seen}
    codes = {c for i in series for c in i.codes}
    by_pixels |= {CODES[c] for c in codes if c in CODES and seen in PROCEDURES[CODES[c]].also}
    choice = choose(codes, CODES, votes, by_pixels, seen)
    if choice.procedure is None and any(i.is_counting and i.pixels.min() < 0 for i in series):
        return [refused(because("image.negative_counts"))]
    if choice.procedure is None:
        return [refused(choice.reason or because("series.no_procedure"))]
    procedure = PROCEDURES[choice.procedure]
    if procedure.analysis == "phantom" and choice.procedure not in by_pixels:
        # code and class agree, yet the wrong object on the table gives numbers that look right
        return [
            _without_numbers(choice.procedure, because("series.order_contradicts_pixels", procedure=choice.procedure, look=seen))
        ]
    doubt = _doubt_of_kind(series, procedure, analysis) or (None if procedure.any_window else window.doubt)
    if doubt:
        return [_without_numbers(choice.procedure, doubt)]
    if choice.procedure in off:
        return [_without_numbers(choice.procedure, off[choice.procedure])]
    mine = [d for d in sheets if d.kind in procedure.sheet_kinds]
    strange = (note for d in mine if tells_of(d.sheet, series[0]) for note in unread(d.sheet, procedure.sheet_keys))
    told = tuple(dict.fromkeys(strange))
    out = []
    each = procedure.analysis == "phantom" and not procedure.any_window
    for one in (window, *(window.further if each else ())):
        doubt = None if one is window else _doubt_of_values(one.series) or _doubt_of_counts(one.series)
        if doubt:
            results = [_without_numbers(choice.procedure, doubt)]
        else:
            results = procedure.with_sheets(one.series, mine) if procedure.with_sheets and mine else procedure.run(one.series)
        notes = (*one.notes, *([one.doubt] if one.doubt else []), *told)
        weak = _weakness(one.series, choice.procedure) or one.weakness
        out += [_weakened(_noted(_of_window(r, one), notes), weak) for r in (*results, *beside(results))]
    return out


def _of_window(result: Result, choice: Choice) -> Result:
    """Return the result of a further energy window under a name that tells it from the one that is measured first ('1#w2')."""
    return result if choice.window is None else replace(result, detector=f"{result.detector or ''}#w{choice.window}")


def _weakness(series: Sequence[Instance], procedure: str) -> str | None:
    """Return why values of a series that live on the height of counts get no verdict, or None."""
    if procedure not in OF_COUNTS:
        return None
    if any(i.is_offset for i in series):
        return because("scale.intercept_unproven", intercept=next(i.scale.intercept for i in series if i.is_offset))
    if procedure == "sensitivity" and any(may_be_wrapped(i.stored, int(i.dataset.get("BitsStored") or 16)) for i in series):
        return because("image.counts_may_wrap")  # whose value is the sum of all counts
    if procedure == FLOOD:
        return None  # the flood itself shows whether its noise is that of the counts behind a factor
    factor = max((counts_factor(f) for i in series if i.is_counting for f in i.pixels), default=1.0)
    return because("image.counts_multiplied", times=factor) if factor > 1 else None


def _weakened(result: Result, reason: str | None) -> Result:
    return replace(result, status=INDICATIVE, reason=reason) if reason and result.status == MEASURED else result


def _noted(result: Result, notes: Sequence[str]) -> Result:
    return result if result.status == NOT_MEASURED or not notes else replace(result, warnings=(*result.warnings, *notes))


def _of_document(document: Document, others: Sequence[Document]) -> list[Result]:
    sheet = SHEETS.get(document.kind)
    if sheet is None:
        name = document.kind.removeprefix("json ")
        if document.kind in TOLD_BY:
            return [
                _without_numbers(
                    name,
                    because("sheet.without_series"),
                )
            ]
        return [refused(because("document.no_procedure"))]
    device = (document.device_serial, document.station_name)
    same = [o for o in others if o.kind == document.kind and (o.device_serial, o.station_name) == device]
    same.sort(key=lambda o: (o.acquired_on or "", o.source or ""))
    try:
        strange = unread(document.sheet, sheet.keys)
        return [_noted(r, strange) for r in refuse_no_numbers(sheet.run(document, same))]
    except Unreadable as exc:
        return [_without_numbers(sheet.modules[0].PROCEDURE, str(exc))]
    except Exception as exc:  # readings may be of any type
        return [_without_numbers(sheet.modules[0].PROCEDURE, of_method(exc, ()))]


def _voted(series: Sequence[Instance]) -> str | None:
    """Return the one procedure that the headers admit, None where it is not one."""
    votes = header_votes(series)
    return next(iter(votes)) if len(votes) == 1 else None


def _without_numbers(procedure: str | None, reason: str) -> Result:
    if procedure is None:
        return refused(reason)
    module = MODULES[procedure]
    return Result(procedure, NOT_MEASURED, reason, None, module.METHOD, module.VERSION)


def _doubt(series: Sequence[Instance]) -> str | None:
    """Return why no procedure can measure a series, or None."""
    told = ({i.modality for i in series}, {i.device_serial for i in series}, {i.station_name for i in series})
    if any(len(names - {None}) > 1 for names in told):
        return because("series.devices_differ")
    if any(i.pixel_mm is None for i in series):
        return because("header.pixel_spacing_unusable")
    absurd = next((a for i in series if (a := field_absurd(i))), None)
    if absurd:
        return absurd
    return copied_in([i for i in series if i.is_counting])


def _doubt_of_values(series: Sequence[Instance]) -> str | None:
    """Return why the values of what is to be measured are not those of the acquisition, or None."""
    if any(i.is_clipped for i in series):
        return because("image.clipped")
    if any(i.is_counting and is_wrapped(i.stored, int(i.dataset.get("BitsStored") or 16)) for i in series):
        return because("image.counts_wrapped")
    return None


FLOOD = "planar_uniformity"
PLANAR = (FLOOD, "line_source", "four_bar", "linearity", "quadrant_bar")  # what lives on the height of counts
OF_COUNTS = (*PLANAR, "sensitivity", "count_rate")  # what multiplied counts make wrong, or surer than it is


def _doubt_of_kind(series: Sequence[Instance], procedure: Procedure, asked: str | None) -> str | None:
    """Return why a series of a known procedure must not be measured, or None."""
    kind = procedure.analysis
    if asked not in (None, kind):
        return because("series.other_analysis", is_of=kind, asked=asked)
    if kind == "phantom":
        if not procedure.reconstructed and any(i.modality in ("NM", "CT") and i.image_type[:1] == ("DERIVED",) for i in series):
            return because("image.derived")
        if any(i.is_lossy for i in series):
            return because("image.lossy")
        if not procedure.reconstructed and any(i.modality == "NM" and i.pixels.min() < 0 for i in series):
            return because("image.negative_counts")
    return _doubt_of_counts(series)


def _doubt_of_counts(series: Sequence[Instance]) -> str | None:
    return because("image.counts_cut_off") if any(i.is_counting and are_cut_off(i.pixels) for i in series) else None


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

"""From the bytes of one series to results: read, tell the procedure, measure. The one entrance of the engine."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from spark_jobs.procedures import CODES, PROCEDURES, Procedure, header_votes, look
from spark_jobs.qc.result import NOT_MEASURED, Result, refused
from spark_jobs.reading import Instance, Unreadable, read
from spark_jobs.selector import choose

__all__ = ["METHODS_DIGEST", "measure_instances", "measure_series", "render"]

METHODS_DIGEST: str = hashlib.sha256(
    "\n".join(f"{name}|{p.module.METHOD}|{p.module.VERSION}" for name, p in sorted(PROCEDURES.items())).encode()
).hexdigest()


def measure_series(instances: Sequence[bytes], analysis: str | None = None) -> list[Result]:
    """Return one result for each procedure and detector of one series; never an empty list, never an exception about the images.

    Parameters
    ----------
    instances
        The DICOM files of one series.
    analysis
        "phantom" or "clinical" admits only procedures of that kind; None admits all.
    """
    try:
        series = [read(data) for data in instances]
    except Unreadable as exc:
        return [refused(str(exc))]
    return measure_instances(series, analysis)


def measure_instances(series: Sequence[Instance], analysis: str | None = None) -> list[Result]:
    """Return the same for instances that are read already."""
    if not series:
        return [refused("the series holds no image")]
    try:
        return _unique(_measured(series, analysis))
    except Unreadable as exc:
        return [refused(str(exc))]
    except Exception as exc:  # header values are decoded when they are asked for, and pydicom raises many kinds over broken ones
        return [refused(f"the series cannot be measured: {type(exc).__name__}: {exc}"[:500])]


def _measured(series: Sequence[Instance], analysis: str | None) -> list[Result]:
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
    return [_without_numbers(choice.procedure, doubt)] if doubt else procedure.run(series)


def _without_numbers(procedure: str | None, reason: str) -> Result:
    if procedure is None:
        return refused(reason)
    module = PROCEDURES[procedure].module
    return Result(procedure, NOT_MEASURED, reason, None, module.METHOD, module.VERSION)


def _doubt(series: Sequence[Instance]) -> str | None:
    """Return why no procedure can measure a series, or None."""
    if any(i.pixel_mm is None for i in series):
        return "PixelSpacing is missing, zero or not square: no millimetre can be told"
    if any(i.is_clipped for i in series):
        return "clipped pixels: the largest value is the limit of the pixel type"
    return None


def _doubt_of_kind(series: Sequence[Instance], procedure: Procedure, asked: str | None) -> str | None:
    """Return why a series of a known procedure must not be measured, or None."""
    kind = procedure.analysis
    if asked not in (None, kind):
        return f"a {kind} series is no {asked} series"
    if kind == "phantom":
        if not procedure.reconstructed and any(i.modality == "NM" and i.image_type[:1] == ("DERIVED",) for i in series):
            return "processed pixels (ImageType DERIVED): measure the image as acquired"
        if any(i.is_lossy for i in series):
            return "the pixels went through lossy compression"
        if not procedure.reconstructed and any(i.modality == "NM" and i.pixels.min() < 0 for i in series):
            return "negative counts: the pixels were processed"
    return None


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

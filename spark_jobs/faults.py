"""Why something could not be read or measured, in words of a closed list: no text of an exception, and nothing of a header but names.

A header may hold a name in any element, and so may the text of an exception about it: what is shown is the keyword of the element by
the standard's dictionary (PS3.6), and numbers.
"""

import errno
import logging
import re
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from messages import because
from spark_jobs.qc.result import Result

__all__ = ["element_at_fault", "no_numbers", "of_file", "of_image", "of_method", "refuse_no_numbers"]

BINARY = {"US", "SS", "UL", "SL", "FL", "FD", "UV", "SV"}
NUMERIC = {"DS", "IS", *BINARY}
KINDS = {*NUMERIC, "DA", "TM", "DT", "SQ"}  # types whose values are no plain text
DEEPEST = 8  # sequences within sequences
DATES = {
    "DA": re.compile(r"\d{8}|\d{4}\.\d\d\.\d\d"),
    "TM": re.compile(r"[\d:.]{2,16}"),
    "DT": re.compile(r"\d{4,14}(\.\d{1,6})?([+-]\d{4})?"),
}
COMMA = re.compile(r"[+-]?\d{1,6},\d{1,6}")  # no name, no number of a person
NO_NUMBER = re.compile(rb"nan|inf", re.IGNORECASE)
SYSTEM = {
    errno.EACCES: "the file cannot be opened: permission is missing",
    errno.EPERM: "the file cannot be opened: permission is missing",
    errno.ENOENT: "the file is no longer there",
    errno.EIO: "the disk cannot read the file",
    errno.ENOSPC: "no space is left on the disk",
    errno.EROFS: "the disk is read-only",
}


def of_file(exc: OSError) -> str:
    """Return why a file cannot be opened, read or written."""
    return SYSTEM.get(exc.errno or 0, because("file.system_error", number=exc.errno))


def element_at_fault(ds: Any) -> str | None:
    """Return the first element of a data set that does not hold what its type says, as a reason; None where all do.

    An empty element that holds numbers elsewhere comes last: a method may live without it.
    """
    empty: list[str] = []
    return _at_fault(ds, empty, 0) or next((because("header.empty", keyword=keyword) for keyword in empty), None)


def _at_fault(ds: Any, empty: list[str], depth: int) -> str | None:
    for tag in list(ds.keys()):
        keyword = _keyword(tag)
        if keyword in ("PixelData", None):
            continue
        try:
            element = ds[tag]
            values = _values(element.value)
        except Exception:
            return _undecodable(str(keyword), ds._dict.get(tag))
        found = _of_another_type(str(keyword), tag, element.VR, len(values)) or _wrong(str(keyword), element.VR, values)
        if element.VR == "SQ" and depth < DEEPEST:
            found = found or next((f for item in values if (f := _at_fault(item, empty, depth + 1))), None)
        if found is not None:
            return found
        if not values and element.VR in NUMERIC:
            empty.append(str(keyword))
    return None


def _of_another_type(keyword: str, tag: int, vr: str, count: int) -> str | None:
    """Return the reason where type or number of values are others than the standard's (PS3.6); kinds of text are one type."""
    from pydicom.datadict import dictionary_VM, dictionary_VR

    expected = dictionary_VR(tag).split(" or ")
    if vr not in expected and (vr in KINDS or set(expected) & KINDS):
        return because("header.type_other", keyword=keyword)
    if dictionary_VM(tag) == "1" and count > 1 and vr != "SQ":
        return because("header.values_many", keyword=keyword)
    return None


def no_numbers(ds: Any) -> str | None:
    """Return the first decimal string at the top of a data set that says NaN or infinity, as a reason; compares bytes, decodes nothing."""
    for tag, element in ds._dict.items():
        value = element.value
        if type(value) is bytes and len(value) < 4096 and element.VR in (None, "DS") and NO_NUMBER.search(value):
            keyword = _keyword(tag)
            if keyword not in (None, "PixelSpacing") and _is_decimal(tag):  # who asks for the spacing says what is wrong with it
                return because("header.no_number", keyword=keyword)
    return None


def of_image(exc: BaseException, datasets: Sequence[Any]) -> str:
    """Return why the header of an image, or of the first such image of a series, cannot be used."""
    if isinstance(exc, OSError) and exc.errno is not None:
        return of_file(exc)
    found = next((f for ds in datasets if (f := element_at_fault(ds)) is not None), None)
    return found or because("header.contradicts_itself")


def of_method(exc: BaseException, datasets: Sequence[Any]) -> str:
    """Return why a method gave nothing: the element of the header that is no value, or that it had not foreseen the image, whose place is logged."""
    if isinstance(exc, OSError) and exc.errno is not None:
        return of_file(exc)
    if isinstance(exc, MemoryError):
        return because("series.memory")
    found = next((f for ds in datasets if (f := element_at_fault(ds)) is not None), None)
    if found is None:
        logging.getLogger(__name__).warning("%s at %s", type(exc).__name__, _place(exc))
    return found or because("series.not_foreseen")


def refuse_no_numbers(results: Sequence[Result]) -> list[Result]:
    """Return the results; one with a value or an uncertainty that is no finite number becomes a refusal that names it."""
    return [_with_numbers(r) for r in results]


def _with_numbers(result: Result) -> Result:
    wrong = [
        m.name
        for m in result.measures
        if not (_finite(m.value) and (m.uncertainty is None or _finite(m.uncertainty)) and _plain(m.at))
    ]
    if not wrong:
        return result
    reason = because("series.no_number", measures=list(dict.fromkeys(wrong)))
    return Result(result.procedure, "not_measured", reason, result.detector, result.method, result.method_version)


def _finite(value: Any) -> bool:
    try:
        return isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _plain(value: Any) -> bool:
    """Return whether a place holds nothing but finite numbers, words and lists of them."""
    if isinstance(value, dict):
        return all(_plain(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(_plain(v) for v in value)
    return not isinstance(value, float) or isfinite(value)


def _undecodable(keyword: str, element: Any) -> str:
    """Return what is wrong with a value that its type cannot hold."""
    value = getattr(element, "value", None)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else ""
    if element is not None and (element.VR in ("DS", "IS") or (element.VR is None and _is_decimal(element.tag))):
        return _no_number(keyword, text.split("\\"))
    return because("header.unreadable", keyword=keyword)


def _no_number(keyword: str, values: Sequence[Any]) -> str:
    """Return the reason for numbers that are none; what is shown of them can be no name and no number of a person."""
    comma = next((text for text in (str(v).strip() for v in values) if COMMA.fullmatch(text)), None)
    return (
        because("header.no_number", keyword=keyword)
        if comma is None
        else because("header.decimal_comma", keyword=keyword, text=comma)
    )


def _wrong(keyword: str, vr: str, values: list[Any]) -> str | None:
    """Return what is wrong with the values of one type."""
    if vr in NUMERIC and not all(_is_number(v) for v in values):
        return _no_number(keyword, values)
    if vr in DATES and any(not DATES[vr].fullmatch(str(v).strip()) for v in values):
        return because("header.no_time", keyword=keyword) if vr == "TM" else because("header.no_date", keyword=keyword)
    return None


def _is_number(value: Any) -> bool:
    try:
        return isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _values(value: Any) -> list[Any]:
    if value is None or value == "" or value == b"":
        return []
    return (
        list(value)
        if not isinstance(value, str | bytes) and hasattr(value, "__iter__") and not hasattr(value, "components")
        else [value]
    )


def _keyword(tag: int) -> str | None:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or None


def _is_decimal(tag: int) -> bool:
    from pydicom.datadict import dictionary_VR

    return dictionary_VR(tag) in ("DS", "FL", "FD")


def _place(exc: BaseException) -> str:
    """Return file and line of this project where an exception arose: places hold nothing of a header."""
    last = "?"
    for name, line in _frames(exc):
        if "spark_jobs" in Path(name).parts:
            last = f"{Path(name).stem}, line {line}"
    return last


def _frames(exc: BaseException) -> Iterator[tuple[str, int]]:
    trace = exc.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next

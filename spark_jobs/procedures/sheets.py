"""Which sheet tells of a series: the one reader of what a sheet names its images by, for all procedures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.documents import DAYS, PERSONAL, SERIES, shown_key
from messages import because
from spark_jobs.documents import Document
from spark_jobs.reading import Instance, Unreadable

__all__ = ["names_images", "sheet_of", "tells_of", "unread"]

ELEMENTS = {"series_uid": "SeriesInstanceUID", "study_uid": "StudyInstanceUID", "accession_number": "AccessionNumber"}
KIND = "procedure"
COMMON = {KIND, "station_name", "device_serial", *DAYS, *SERIES}


def sheet_of(series: Sequence[Instance], sheets: Sequence[Document]) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Return what the sheet of a series says, and notes; None where no sheet is of the series.

    A sheet that names no images is of the one series that came along with it, which is noted.

    Raises
    ------
    Unreadable
        Sheets of the series contradict each other, or one names no images and several series came along.
    """
    mine = [d for d in sheets if tells_of(d.sheet, series[0])]
    told = [{k: v for k, v in d.sheet.items() if k not in (KIND, *SERIES)} for d in mine]
    if any(t != told[0] for t in told):
        raise Unreadable(because("sheet.activities_many", count=len(told)))
    if not mine:
        return None, ()
    if any(_names(d.sheet) for d in mine):
        return mine[0].sheet, ()
    if any(d.of_several for d in mine):
        raise Unreadable(because("sheet.series_unknown"))
    return mine[0].sheet, (because("sheet.series_not_named"),)


def names_images(sheet: Mapping[str, Any]) -> bool:
    """Return whether a sheet names any images."""
    return bool(_names(sheet))


def tells_of(sheet: Mapping[str, Any], image: Instance) -> bool:
    """Return whether every name that a sheet gives is that of a series; a sheet without one tells of whatever came along.

    An element that the header lacks contradicts nothing, but one name at least must agree.
    """
    names = _names(sheet)
    there = {k: str(image.dataset.get(ELEMENTS[k]) or "").strip() for k in names}
    agreeing = [k for k, name in names.items() if there[k] == name]
    return not names or (bool(agreeing) and all(k in agreeing or not there[k] for k in names))


def unread(sheet: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    """Return a note that names what nobody reads of a sheet, by its key at any depth; persons and comments are none of it."""
    strange = [k for k in _keys(sheet) if k not in COMMON and k not in keys and not PERSONAL.search(k)]
    named = list(dict.fromkeys(shown_key(k) for k in strange))
    return (because("sheet.keys_unread", keys=named),) if named else ()


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _keys(one)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            yield from _keys(one)


def _names(sheet: Mapping[str, Any]) -> dict[str, str]:
    given = {k: str(sheet.get(k) or "").strip() for k in SERIES}
    return {k: name for k, name in given.items() if name}

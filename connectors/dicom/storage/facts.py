"""What the header of an object says, in the project's own nouns; header values are never trusted to be well formed."""

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from pydicom import Dataset
from pydicom.encaps import generate_fragments
from pydicom.tag import Tag
from pydicom.uid import UID

from connectors.dicom.storage.texts import codecs_of, raw_of, text_of
from connectors.dicom.wire.structure import Malformed
from connectors.events import utc_text
from connectors.identity import is_phantom
from judgement.days import from_wall, is_doubtful
from judgement.physical import AHEAD
from messages import because

__all__ = ["UID_TEXT", "acquired_at", "check_pixels", "clock_doubts", "number", "series_facts", "text"]

UID_TEXT = re.compile(r"[0-9][0-9.]{0,63}")
TIMES = (
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)
NO_DAY = ("00010101", "00000000")  # what programs write where no date is known
CODES = (
    "PerformedProtocolCodeSequence",
    "ScheduledProtocolCodeSequence",
    "RequestedProcedureCodeSequence",
    "ProcedureCodeSequence",
)
MOST_MINUTES = 14 * 60  # no place on earth is further from UTC
STAMP = re.compile(r"(\d{8})(\d{2})?(\d{2})?(\d{2})?(?:\.(\d{1,6}))?\d*([+-]\d{4})?")


def text(dataset: Dataset, keyword: str, longest: int = 256) -> str | None:
    """Return a value as text, several values joined by a backslash; None when it is absent, empty or cannot be read."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom raises many kinds over values that break their VR
        return None
    if value is None:
        return None
    joined = (
        "\\".join(map(str, value)) if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else str(value)
    )
    return joined.strip(" \0")[:longest] or None


def words(dataset: Dataset, keyword: str) -> str | None:
    """Return a text that people wrote, in the character set that fits it; None when it is absent or empty."""
    return text_of(raw_of(dataset, keyword), codecs_of(dataset), "LO").text.strip(" \0")[:256] or None


def number(dataset: Dataset, keyword: str, default: int) -> int:
    """Return a whole number of the header, `default` when it is absent; raise Malformed when it is none."""
    said = text(dataset, keyword)
    if said is None:
        return default
    if not re.fullmatch(r"\d{1,10}", said):
        raise Malformed(because("dicom.no_whole_number", keyword=keyword))
    return int(said)


def acquired_at(dataset: Dataset, zone: tzinfo) -> datetime | None:
    """Return when the image was acquired (PS3.3 C.7.6.1: AcquisitionDateTime, then date and time, then content, series, study).

    A time without an offset is in the offset that the object states (0008,0201), else in the site's. A day whose time is not told gives
    way to the next pair that tells both; where none does, it is the first moment of the day. None: no usable day.
    """
    return _acquired(dataset, zone)[0]


def clock_doubts(dataset: Dataset, zone: tzinfo, arrived: datetime | None = None) -> list[dict[str, str]]:
    """Return what is doubtful about the acquisition time.

    `clock_change`: it comes twice on the site's wall clock, or does not exist on it; `unreadable`: what stands there is no date, time or
    offset; `other_time`: a day is told without its time, so that another pair or its first moment stands in; `ahead`: it lies after the
    arrival, by more than clocks differ.
    """
    moment, keyword, doubts = _acquired(dataset, zone)
    if moment is not None and arrived is not None and moment > arrived + AHEAD:
        doubts.append({"field": keyword, "doubt": "ahead"})
    return doubts


def _acquired(dataset: Dataset, zone: tzinfo) -> tuple[datetime | None, str, list[dict[str, str]]]:
    """Return the moment in UTC, the attribute of its time, and what is doubtful about it."""
    stated, doubts = _zone(text(dataset, "TimezoneOffsetFromUTC") or ""), list[dict[str, str]]()

    def doubt(field: str, kind: str) -> None:
        doubts.append({"field": field, "doubt": kind})

    if text(dataset, "TimezoneOffsetFromUTC") and stated is None:
        doubt("TimezoneOffsetFromUTC", "unreadable")
    candidates = [("AcquisitionDateTime", "AcquisitionDateTime", text(dataset, "AcquisitionDateTime") or "")]
    candidates += [(d, t, f"{day}{text(dataset, t) or ''}") for d, t in TIMES if (day := text(dataset, d)) and day not in NO_DAY]
    day_alone: tuple[datetime, str] | None = None
    for date, keyword, candidate in candidates:
        match = STAMP.fullmatch(candidate)
        found = _wall(match) if match else None
        if match is None or found is None:
            if candidate:
                doubt(date if _wall(STAMP.fullmatch(candidate[:8])) is None else keyword, "unreadable")
            continue
        named = _zone(match[6] or "") or stated
        try:
            moment = from_wall(found, named or zone)
        except (ValueError, OverflowError):
            doubt(date, "unreadable")
            continue
        if match[2] is None:
            day_alone = day_alone or (moment, keyword)
            continue
        if named is None and is_doubtful(found, zone):
            doubt(keyword, "clock_change")
        if day_alone is not None:
            doubt(day_alone[1], "other_time")
        return moment, keyword, doubts
    if day_alone is None:
        return None, "", doubts
    doubt(day_alone[1], "other_time")
    return *day_alone, doubts


def _wall(match: re.Match[str] | None) -> datetime | None:
    """Return the time on the wall clock, None for one that no clock shows."""
    if match is None:
        return None
    day, hour, minute, second, fraction, _ = match.groups()
    try:
        return datetime.strptime(day, "%Y%m%d").replace(
            hour=int(hour or 0),
            minute=int(minute or 0),
            second=min(int(second or 0), 59),
            microsecond=int((fraction or "0").ljust(6, "0")),
        )
    except ValueError:
        return None


def check_pixels(dataset: Dataset, transfer_syntax: UID) -> None:
    """Raise Malformed when there are fewer pixel data than rows, columns and frames say (PS3.5 section 8)."""
    if Tag("PixelData") not in dataset:
        if "Rows" in dataset and "Columns" in dataset and "BitsAllocated" in dataset and not _has_other_pixels(dataset):
            raise Malformed(because("dicom.pixels_missing"))
        return
    rows, columns = number(dataset, "Rows", 0), number(dataset, "Columns", 0)
    frames = number(dataset, "NumberOfFrames", 1) or 1
    if not rows or not columns:
        raise Malformed(because("dicom.size_missing"))
    value = dataset.get_item("PixelData").value or b""
    if transfer_syntax.is_encapsulated:
        try:
            fragments = sum(1 for _ in generate_fragments(value)) - 1  # the first item is the offset table
        except Exception as exc:
            raise Malformed(because("dicom.pixels_unreadable", problem=exc)) from exc
        if fragments < frames:
            raise Malformed(because("dicom.fragments_few", frames=frames, fragments=max(fragments, 0)))
        return
    bits = number(dataset, "BitsAllocated", 0) * number(dataset, "SamplesPerPixel", 1) * rows * columns * frames
    if (text(dataset, "PhotometricInterpretation") or "").startswith("YBR_FULL_422"):
        bits = bits * 2 // 3
    if bits == 0 or len(value) < (bits + 7) // 8:
        raise Malformed(
            because("dicom.pixels_short", rows=rows, columns=columns, frames=frames, needed=(bits + 7) // 8, there=len(value))
        )


def series_facts(dataset: Dataset, zone: tzinfo) -> dict[str, Any]:
    """Return what a `dicom.series` event says besides its instances; read from the pseudonymised copy of the first instance."""
    acquired = acquired_at(dataset, zone)
    patient = text(dataset, "PatientID")
    codes, frame, requests = _protocol_codes(dataset), text(dataset, "FrameOfReferenceUID"), _requests(dataset)
    return {
        "study_uid": text(dataset, "StudyInstanceUID"),
        "series_uid": text(dataset, "SeriesInstanceUID"),
        "modality": text(dataset, "Modality") or "OT",
        "sop_class_uid": text(dataset, "SOPClassUID"),
        "image_type": text(dataset, "ImageType"),
        "accession_number": text(dataset, "AccessionNumber"),
        "patient_pseudonym": patient,
        "is_phantom": is_phantom(patient or ""),
        "manufacturer": text(dataset, "Manufacturer"),
        "model": text(dataset, "ManufacturerModelName"),
        "station_name": text(dataset, "StationName"),
        "device_serial": text(dataset, "DeviceSerialNumber"),
        "series_description": words(dataset, "SeriesDescription"),
        "protocol_name": words(dataset, "ProtocolName"),
        **({"protocol_codes": codes} if codes else {}),
        **({"frame_of_reference_uid": frame} if frame else {}),
        **({"requests": requests} if requests else {}),
        "acquired_at_utc": utc_text(acquired) if acquired else None,
    }


def _protocol_codes(dataset: Dataset) -> list[str]:
    """Return the code values of our scheme that name what the series is for, sorted; a damaged sequence names nothing."""
    found = set()
    try:
        for owner in [dataset, *(dataset.get("RequestAttributesSequence") or [])]:
            for keyword in CODES:
                for coded in owner.get(keyword) or []:
                    if text(coded, "CodingSchemeDesignator") == "99PHOTOPEAK":
                        found.add(text(coded, "CodeValue", 64))
    except Exception:  # pydicom raises many kinds over values that break their VR
        return []
    return sorted(code for code in found if code)


def _requests(dataset: Dataset) -> list[dict[str, str | None]]:
    """Return which requests an acquisition serves (Request Attributes Sequence, PS3.3 C.7.3.1); a damaged sequence says nothing."""
    names = {"accession_number": "AccessionNumber", "procedure_id": "RequestedProcedureID", "step_id": "ScheduledProcedureStepID"}
    try:
        items = list(dataset.get("RequestAttributesSequence") or [])[:16]
        found = [{name: text(item, keyword, 16) for name, keyword in names.items()} for item in items]
    except Exception:  # pydicom raises many kinds over values that break their VR
        return []
    return [f for f in found if any(f.values())]


def _has_other_pixels(dataset: Dataset) -> bool:
    return any(k in dataset for k in ("FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL"))


def _zone(offset: str) -> timezone | None:
    match = re.fullmatch(r"([+-])(\d{2})(\d{2})", offset)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes > MOST_MINUTES or int(match[3]) > 59:
        return None
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))

"""Counts that were stored twice: no two acquisitions give equal pixels, whatever the headers say of head, window, view or day."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import adler32, crc32

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.folder import Series
from spark_jobs.qc.numerics.multiples import common_factor
from spark_jobs.reading import Instance, read_file

__all__ = ["copied_in", "copied_series"]

FEWEST_COUNTS = 1000  # with fewer, an empty view may be equal to another
Print = tuple[int, int, int]


def copied_in(counting: Sequence[Instance]) -> str | None:
    """Return why two images of a counting series cannot both be measurements, or None: counts are never equal twice."""
    seen: dict[Print, tuple[int, int, int]] = {}
    for k, instance in enumerate(counting):
        heads, windows = instance.vector("DetectorVector").tolist(), instance.vector("EnergyWindowVector").tolist()
        if len(counting) == 1 and len(set(zip(heads, windows, strict=True))) == 1:
            return None
        for frame, head, window in zip(instance.stored, heads, windows, strict=True):
            mark = _print(frame)
            if mark and seen.setdefault(mark, (k, head, window)) != (k, head, window):
                return because("series.images_copied")
    return None


def copied_series(series: Sequence[Series]) -> dict[int, str]:
    """Return for each counting series (by number) that shares an image with another one of its study or folder the reason to refuse it.

    Of an image 24 bytes stay in memory. A single series that is looked at alone (`measure_series`) is compared within itself only.
    """
    counting = [k for k, s in enumerate(series) if s.head.modality == "NM"]
    places: dict[tuple[str, str], list[int]] = {}
    for k in counting:
        for place in _places(series[k]):
            places.setdefault(place, []).append(k)
    together = {place: numbers for place, numbers in places.items() if len(numbers) > 1}
    prints = {k: set(_prints(series[k])) for k in sorted({k for numbers in together.values() for k in numbers})}
    out: dict[int, str] = {}
    for numbers in together.values():
        met: dict[Print, int] = {}
        for k in numbers:
            for mark in prints[k]:
                if (first := met.setdefault(mark, k)) != k:
                    out[first] = out[k] = because("series.images_copied_elsewhere")
    return out


def _places(one: Series) -> Iterator[tuple[str, str]]:
    if one.head.study_uid:
        yield "study", one.head.study_uid
    for folder in {str(Path(source).parent) for source in one.sources if source}:
        yield "folder", folder


def _prints(one: Series) -> Iterator[Print]:
    for number, source in enumerate(one.sources):
        try:
            # opened anew: pixels of what is kept would stay in memory
            instance = read_file(Path(source)) if source else one.kept[number]
            if instance.is_counting:
                yield from (mark for frame in instance.stored if (mark := _print(frame)))
        except Exception:  # whoever measures it says what is wrong with it
            continue


def _print(frame: NDArray) -> Print | None:
    """Return what tells a frame from others, None where it holds too few counts; a copy that was multiplied has the same."""
    total = int(frame.sum(dtype=np.int64))
    if total < FEWEST_COUNTS:
        return None
    factor = common_factor(frame)
    data = np.ascontiguousarray(frame // factor, dtype=np.int64).tobytes()
    return crc32(data), adler32(data), total // factor

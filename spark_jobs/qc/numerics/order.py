"""Median and percentile of all values, as NumPy says them, which loads numpy.ma for it (1.4 MB) and takes ten times as long over a few."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["median", "median_of_parts", "percentile"]


def median(values: ArrayLike) -> float:
    """Return the middle value, or the mean of the two middle ones; NaN where there is no value, or one that is NaN."""
    flat = np.asarray(values).reshape(-1)
    if not flat.size:
        return float("nan")
    half = flat.size // 2
    low, high = _at(flat, half - 1 + flat.size % 2, half)
    return float(low) if flat.size % 2 else float((low + high) / 2)


def median_of_parts(parts: Callable[[], Iterable[NDArray[np.float32]]]) -> float:
    """Return the median of values in single precision that are never in memory together; `parts` gives them anew each time it is called.

    The middle value is found by counting: first the upper halves of the words, ordered as the values are, then the lower ones.
    """
    high = np.zeros(2**16, np.int64)
    for part in parts():
        if np.isnan(part).any():
            return float("nan")
        high += np.bincount(_ordered(part) >> 16, minlength=2**16)
    size = int(high.sum())
    if not size:
        return float("nan")
    places = [(size - 1) // 2, size // 2]
    ends = high.cumsum()
    uppers = [int(np.searchsorted(ends, p, "right")) for p in places]
    words = []
    for upper, place in zip(uppers, places, strict=True):
        low = np.zeros(2**16, np.int64)
        for part in parts():
            word = _ordered(part)
            low += np.bincount(word[word >> 16 == upper] & 0xFFFF, minlength=2**16)
        words.append(upper << 16 | int(np.searchsorted(low.cumsum(), place - (ends[upper] - high[upper]), "right")))
    first, second = (_value(w) for w in words)
    return float(first) if size % 2 else float((first + second) / 2)


def _ordered(part: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the words of values (IEEE 754) so that they are in the order of the values: all bits of negative ones turned, else the sign's."""
    word = np.ascontiguousarray(part, np.float32).reshape(-1).view(np.uint32)
    return np.where(word >> 31, ~word, word | np.uint32(2**31))


def _value(word: int) -> np.float32:
    bits = word & 0x7FFFFFFF if word >> 31 else ~word & 0xFFFFFFFF
    return np.array([bits], np.uint32).view(np.float32)[0]


def percentile(values: ArrayLike, percent: float) -> float:
    """Return the value below which so many percent lie, straight between neighbours; NaN where there is no value, or one that is NaN."""
    flat = np.asarray(values).reshape(-1)
    if not flat.size:
        return float("nan")
    place = (flat.size - 1) * (percent / 100)
    first = min(int(place), flat.size - 1)
    low, high = _at(flat, first, min(first + 1, flat.size - 1))
    part = place - first
    return float(low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part))


def _at(flat: np.ndarray, *places: int) -> tuple[np.floating | int, ...]:
    """Return the values at these places of the order."""
    most = flat.max()
    if most != most:  # NaN
        return tuple(most for _ in places)
    part = np.partition(flat, places)
    return tuple(part[k] if flat.dtype.kind == "f" else int(part[k]) for k in places)  # small integers would wrap

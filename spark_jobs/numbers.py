"""A number of a header: what is there and cannot be read is a reason that names the element, and never an absent value."""

from math import isfinite
from typing import Any

from messages import because
from spark_jobs.decoding import Unreadable

__all__ = ["number_of", "text_of"]


def number_of(ds: Any, keyword: str) -> float:
    """Return a number of a data set, 0 where the element is absent or empty; raise `Unreadable` where it holds no finite number."""
    try:  # pydicom decodes when it is asked, and raises over text in a decimal string
        value = ds.get(keyword)
        number = 0.0 if value is None or value == "" else float(value)
    except (TypeError, ValueError):
        raise Unreadable(because("header.no_number", keyword=keyword)) from None
    if not isfinite(number):
        raise Unreadable(because("header.no_number", keyword=keyword))
    return number


def text_of(header: Any, keyword: str) -> str:
    """Return an element as text, empty where it is absent or cannot be decoded: whoever needs its value says what is wrong with it."""
    try:
        return str(header.get(keyword) or "")
    except Exception:
        return ""

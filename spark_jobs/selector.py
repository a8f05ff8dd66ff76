"""Which procedure a series is for: the order's code, the class of the header and the pixels vote; two of the three must agree.

Header free text (descriptions, names of protocols) has no vote: in real files phantoms carry the description of a bone scan.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from messages import because
from spark_jobs.qc.looks import Look

__all__ = ["Choice", "choose"]


@dataclass(frozen=True)
class Choice:
    """The procedure, or None and the reason why it could not be told."""

    procedure: str | None
    reason: str | None = None


def choose(
    codes: Collection[str], known: Mapping[str, str], header: Collection[str], pixels: Collection[str], look: Look | str
) -> Choice:
    """Return the one procedure that two votes agree on.

    Parameters
    ----------
    codes, known
        Code values found, and the procedures that code values name; unknown ones have no vote.
    header, pixels
        The procedures that the header's class, and the pixels, admit. A class alone names many tests, so it decides only together
        with another vote.
    look
        What the pixels look like, or why they look like nothing known, for the reason.
    """
    ordered = {known[c] for c in codes if c in known}
    if len(ordered) > 1:
        return Choice(None, because("series.order_many", count=len(ordered), procedures=sorted(ordered)))
    if ordered:
        (asked,) = ordered
        if pixels and asked not in pixels:
            return Choice(None, because("series.order_other_test", procedure=asked, others=sorted(pixels)))
        if asked in header or asked in pixels:
            return Choice(asked)
        return Choice(None, because("series.order_contradicts", procedure=asked, look=look))
    agreed = set(header) & set(pixels)
    if len(agreed) == 1:
        return Choice(agreed.pop())
    if agreed:
        return Choice(None, because("series.pixels_fit_many", count=len(agreed), procedures=sorted(agreed)))
    if pixels:
        return Choice(None, because("series.class_contradicts", looks=sorted(pixels)))
    return Choice(None, because("series.looks_like", look=look))

"""How numbers of patients, requests and devices are written, and which texts stand for no number at all.

A number is compared in its plain form (IHE and HL7 leave case, blanks and padding to the sender), never cut. A form without leading zeros and
punctuation is weaker evidence: it joins nothing unless the person agrees.
"""

import re
import unicodedata

__all__ = ["is_placeholder", "loose", "plain"]

_PUNCTUATION = re.compile(r"[-_./\\^]+")
_FILLED = re.compile(r"0+|(.)\1{4,}|[?*X]+")  # 0, 0000, 999999, XXX, ????: whatever fills a field that must not be empty


def plain(text: str | None) -> str:
    """Return a number as it is compared: compatibility characters as one (NFKC), upper case, without blanks and control characters."""
    folded = unicodedata.normalize("NFKC", text or "").upper()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c)[0] != "C")


def loose(text: str | None) -> str:
    """Return a number without punctuation and leading zeros: two that differ in these alone may be one."""
    bare = plain(text)
    return _PUNCTUATION.sub("", bare).lstrip("0") or bare


def is_placeholder(text: str | None, declared: frozenset[str] = frozenset()) -> bool:
    """Return whether a text only fills a field: empty, zeros, one character again and again, or among the plain texts that were `declared`."""
    bare = _PUNCTUATION.sub("", plain(text))
    return not bare or _FILLED.fullmatch(bare) is not None or bare in declared

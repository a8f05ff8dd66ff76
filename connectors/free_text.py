"""What people write about patients, without saying who they are: names and numbers in a free text are replaced before it is kept.

Names are compared by their letters alone: without escapes of ISO 2022, in one form of each character (NFKD: width, accents), whatever
the case, and whatever stands between the parts. The work grows with the length of the text, not with how much is looked for.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import permutations

__all__ = ["BLOT", "MIN_SECRET", "Secrets", "names_of", "without_ids", "without_numbers"]

BLOT = "█"
MIN_SECRET = 4  # a shorter number is found in every second text
LONG = 6  # from here on a number is recognised in groups (88 00 12), and a given name alone
SURE = 8  # letters of a name that chance does not put inside another word
LONGEST = 64  # no name or number of a person is longer; also bounds the work
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,63}")
# an identity card (17 digits and a digit or X) and a mobile phone, as written in China; never a part of a longer number or of a UID
ALONE = r"(?<![\d.])"
NUMBERS = re.compile(
    rf"{ALONE}\d{{6}}[ -]?\d{{8}}[ -]?\d{{3}}[\dXx](?![\dXx])|{ALONE}(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{{4}}[ -]?\d{{4}}(?!\d)"
)
NARROW = {ord("０") + n: str(n) for n in range(10)} | {ord("Ｘ"): "X", ord("ｘ"): "x", ord("－"): "-", ord("　"): " ", ord("＋"): "+"}  # fmt: skip
# a designation of ISO 2022 (ECMA-35), also one that lost its escape
ESCAPES = re.compile("\x1b[ -/]*[0-~]|\\$[()*+,][A-I]")
NO_NAME = frozenset(("Cc", "Co", "Cn", "Cs", "So", "Sm", "Sc"))
PARTS = re.compile(r"[\s,，·•]+")


class Secrets:
    """Names and numbers of persons, prepared once to be looked for in many texts."""

    def __init__(self, names: Iterable[str] = (), numbers: Iterable[str] = ()) -> None:
        self._names = {f for n in names for f in names_of(n)}
        self._numbers = {f for n in numbers if MIN_SECRET <= len(f := _letters(n)) <= LONGEST}
        self._at: dict[str, set[int]] = defaultdict(set)  # first characters → lengths
        for secret in self._names | self._numbers:
            self._at[secret[:2]].add(len(secret))
        self._lengths = {head: sorted(lengths, reverse=True) for head, lengths in self._at.items()}

    @classmethod
    def of(cls, *identities: Mapping[str, str | None]) -> "Secrets":
        """Return the secrets of identities as the vault keeps them."""
        keys = ("patient_id", "other_ids", "national_id", "account", "phone")
        numbers = [n for i in identities for k in keys for n in (i.get(k) or "").split()]
        return cls([i.get(k) or "" for i in identities for k in ("name", "person_name")], numbers)

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def stand_in(self, text: str) -> bool:
        """Return whether one of them stands in a text."""
        return next(self._spans(text), None) is not None

    def blotted(self, text: str, instead: str = BLOT) -> str:
        """Return the text with each of them replaced, the longest first."""
        out, last = [], 0
        for begin, end in self._spans(text):
            out += [text[last:begin], instead]
            last = end
        return "".join([*out, text[last:]])

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield begin and end of each in the text as it stands."""
        if not self._lengths:
            return
        letters, at = _folded(text)
        n = 0
        while n < len(letters):
            for length in self._lengths.get(letters[n : n + 2], ()):
                if self._is_here(letters, at, n, length):
                    yield at[n], at[n + length - 1] + 1
                    n += length - 1
                    break
            n += 1

    def _is_here(self, letters: str, at: list[int], n: int, length: int) -> bool:
        found = letters[n : n + length]
        if len(found) < length:
            return False
        if found in self._numbers and (length >= LONG or at[n + length - 1] - at[n] == length - 1):
            return True
        return found in self._names and (not found.isascii() or length >= SURE or _is_word(letters, at, n, length))


def names_of(person_name: str) -> set[str]:
    """Return the letters of what names a person: family, given and middle name in each order, and what names one alone.

    A group with what no name holds (controls, symbols, what could not be decoded) is none: it was read in a wrong character set.
    Takes DICOM's PN (`Zhang^San=Zhang^San=张^三`) and what was made of HL7's XPN (`张 三`); each group and line by itself.
    """
    found: set[str] = set()
    for group in re.split(r"[=~\n\\]", ESCAPES.sub("", person_name)):
        if any(unicodedata.category(c) in NO_NAME for c in group):
            continue
        parts = [p for p in map(_letters, (group.split("^")[:3] if "^" in group else PARTS.split(group.strip())[:4])) if p]
        if len(parts) > 1:
            found |= {"".join(p) for n in (2, len(parts)) for p in permutations(parts, n) if parts[0] in p or n > 2}
            found |= {p for k, p in enumerate(parts) if (len(p) > 1 if not p.isascii() else k and len(p) >= LONG)}
        elif parts and not parts[0].isascii() and len(parts[0]) <= LONG:  # family name first, or last: nobody knows where it ends
            found |= {parts[0][k:] + parts[0][:k] for k in range(len(parts[0]))}
        elif parts and len(parts[0]) >= MIN_SECRET:
            found.add(parts[0])
    return {name for name in found if 1 < len(name) <= LONGEST}


def without_ids(text: str, pseudonym_of: Callable[[str], str | None]) -> str:
    """Return the text with each word that is the number of a known patient replaced by the pseudonym."""
    return TOKEN.sub(lambda m: pseudonym_of(m[0]) or m[0], text)


def without_numbers(text: str) -> str:
    """Return the text without what looks like an identity card or a mobile phone, also in full-width digits."""
    out, last = [], 0
    for found in NUMBERS.finditer(text.translate(NARROW)):
        out += [text[last : found.start()], BLOT]
        last = found.end()
    return "".join([*out, text[last:]])


def _letters(text: str) -> str:
    return _folded(text)[0]


def _folded(text: str) -> tuple[str, list[int]]:
    """Return letters and digits of a text in one form of each, and where each stands."""
    if "\x1b" in text or "$" in text:
        text = ESCAPES.sub(lambda m: "\0" * len(m[0]), text)
    letters: list[str] = []
    at: list[int] = []
    for place, char in enumerate(text):
        for one in _one_form(char):
            letters.append(one)
            at.append(place)
    return "".join(letters), at


@lru_cache(maxsize=65536)
def _one_form(char: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", char).casefold() if c.isalnum())


def _is_word(letters: str, at: list[int], n: int, length: int) -> bool:
    """Return whether no letter touches what is found, before or behind."""
    end = n + length
    begins = n == 0 or at[n - 1] < at[n] - 1 or not (letters[n - 1].isascii() and letters[n - 1].isalpha())
    ends = end == len(letters) or at[end] > at[end - 1] + 1 or not (letters[end].isascii() and letters[end].isalpha())
    return begins and ends

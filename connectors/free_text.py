"""What people write about patients, without saying who they are: names and numbers in a free text are replaced before it is kept.

Names are compared by their letters alone (`letters.py`), whatever stands between the parts. The work grows with the length of the text,
not with how much is looked for.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise, permutations

from connectors.letters import ESCAPES, folded, letters_of
from connectors.ordinary_words import is_ordinary

__all__ = [
    "BLOT", "MIN_SECRET", "NAME_KEYS", "NUMBER_KEYS", "Secrets", "births_of", "names_of", "parts_of",
    "windows", "windows_alone", "without_ids", "without_numbers",
]  # fmt: skip

BLOT = "█"
# of an identity in the vault: what names somebody (lines), and what numbers somebody (words); former ones too
NAME_KEYS = ("name", "person_name", "readings", "other_names", "former_names")
NUMBER_KEYS = ("patient_id", "other_ids", "national_id", "account", "phone", "former_numbers")
MIN_SECRET = 4  # a shorter number is found in every second text
LONG = 6  # from here on a number is recognised in groups (88 00 12), and a part of anybody's name alone
ALONE_GIVEN, ALONE_FAMILY = 4, 5  # letters of a part of the patient's own name that names one alone
CUT_AT = frozenset(
    (16, 20, 24, 30, 32, 40, 48, 50, 60, 64, 80, 100, 120, 128, 200, 250, 255, 256, 1024)
)  # of VR SH and LO, and of many a table
CUT_LETTERS, CUT_HAN = 4, 2  # so much of a name at the end of a field that was cut is one
SURE = 8  # letters of a name that chance does not put inside another word
LONGEST = 64  # no name or number of a person is longer; also bounds the work
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,63}")
# an identity card (17 digits and a digit or X) and a mobile phone, as written in China; never a part of a longer number or of a UID
ALONE = r"(?<![\d.])"
NUMBERS = re.compile(
    rf"{ALONE}\d{{6}}[ -]?\d{{8}}[ -]?\d{{3}}[\dXx](?![\dXx])|{ALONE}(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{{4}}[ -]?\d{{4}}(?!\d)"
)
NARROW = {ord("０") + n: str(n) for n in range(10)} | {ord("Ｘ"): "X", ord("ｘ"): "x", ord("－"): "-", ord("　"): " ", ord("＋"): "+"}  # fmt: skip
NO_NAME = frozenset(("Cc", "Co", "Cn", "Cs"))
PARTS = re.compile(r"[\s,，·•]+")
WORDS = re.compile(r"[\s,，·•.'’-]+")
# the other way to write an umlaut (German, Danish, Norwegian, Swedish)
UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Ø": "Oe", "Å": "Aa"}
)
DIGRAPHS = re.compile("(?<=[aouAOU])[eE]")
ALONE_SHORT = 3
LATIN = re.compile(r"[^\W\d_\u2e80-\uffff]+(?:['’][^\W\d_\u2e80-\uffff]+)*")
HAN_RUN = re.compile("[\u3400-\u9fff]+")
TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Mister|Madam|Herrn?|Frau|Mme|named|called|name:?)\.? $", re.IGNORECASE)
PERSON_BEFORE = re.compile("(?:患者|病人|病员|伤者|受检者|姓名|名叫|名为)[:：]? ?")
PERSON_BEHIND = re.compile("先生|女士|小姐|同志|阿姨|奶奶|爷爷|大爷|大妈|叔叔|小朋友")
EAST = "\u2e80"  # from here on the scripts that write a word with one or two characters
EASTERN_LONGEST, WORDS_LONGEST = 8, 6  # of a name: characters, words
SEVERAL = 3  # bytes above ASCII that chance does not put behind each other
# bytes of a text in a set that nobody knows: without punctuation, in one case where the set has it 0x20 apart (as most have)
PUNCTUATION = bytes(b for b in range(0x80) if not chr(b).isalnum())
ONE_CASE = bytes(ord(chr(b).lower()) if b < 0x80 else b | 0x20 if b >= 0xC0 else b for b in range(0x100))
BYTE_ESCAPES = re.compile(rb"\x1b[\x20-\x2f]*[\x30-\x7e]")


class Secrets:
    """Names and numbers of persons, prepared once to be looked for in many texts."""

    def __init__(self, names: Iterable[str] = (), numbers: Iterable[str] = (), written: Iterable[bytes] = ()) -> None:
        """Take names and numbers as texts, and names as the bytes that they came in, whose character set may be any."""
        self._written = {f for w in written for f in _bytes_of(w)}
        names = tuple(names)
        self._names = {f for n in names for f in names_of(n)}
        self._whole = {f for n in names for f in names_of(n, alone=False)}
        self._begun = {w[:k] for w in self._whole for k in range(_least_begun(w), len(w))}
        numbers = tuple(numbers)
        whole = {letters_of(n) for n in numbers}
        self._numbers = {f for n in numbers for f in _forms_of(n) if MIN_SECRET <= len(f) <= LONGEST}
        self._bare = self._numbers - whole  # digits of a number that is written with a letter before them
        self._index()

    def _index(self) -> None:
        at: dict[str, set[int]] = defaultdict(set)  # first characters → lengths
        for secret in self._names | self._numbers:
            at[secret[:2]].add(len(secret))
        self._lengths = {head: sorted(lengths, reverse=True) for head, lengths in at.items()}

    @classmethod
    def of(cls, *identities: Mapping[str, str | None]) -> "Secrets":
        """Return the secrets of identities as the vault keeps them."""
        numbers = [n for i in identities for k in NUMBER_KEYS for n in (i.get(k) or "").split()]
        numbers += [n for i in identities for n in births_of(i.get("birth_date") or "")]
        return cls([i.get(k) or "" for i in identities for k in NAME_KEYS], numbers)

    def __or__(self, other: "Secrets") -> "Secrets":
        """Return the secrets of both."""
        both = Secrets()
        both._names, both._whole, both._begun = self._names | other._names, self._whole | other._whole, self._begun | other._begun
        both._numbers, both._written = self._numbers | other._numbers, self._written | other._written
        both._bare = (self._bare | other._bare) - (self._numbers - self._bare) - (other._numbers - other._bare)
        both._index()
        return both

    def only_names(self) -> "Secrets":
        """Return the names without the numbers, for what is itself made of numbers."""
        found = self | Secrets()
        found._numbers = set()
        found._index()
        return found

    def in_terms(self) -> "Secrets":
        """Return what is looked for in a coded term (`NORM`, `CHEST`): whole names that are no ordinary word, and numbers with a digit."""
        found = self | Secrets()
        found._names = {n for n in self._whole if not is_ordinary(n)}
        found._numbers = {n for n in self._numbers if any(c.isdigit() for c in n)}
        found._begun = set()
        found._index()
        return found

    def __bool__(self) -> bool:
        return bool(self._lengths or self._written)

    def stand_in_bytes(self, content: bytes) -> bool:
        """Return whether the bytes of a name stand in the bytes of a text, whatever character set both are in."""
        if not self._written or content.isascii():
            return False
        bare = _one_case(content)
        return any(w in bare for w in self._written)

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
        letters, at = folded(text)
        cut, n = self._cut(text, letters, at), 0
        while n < len(letters):
            if n in cut:
                yield at[n], at[-1] + 1
                return
            for length in self._lengths.get(letters[n : n + 2], ()):
                if self._is_here(letters, at, n, length):
                    yield at[n], at[n + length - 1] + 1
                    n += length - 1
                    break
            n += 1

    def _cut(self, text: str, letters: str, at: list[int]) -> set[int]:
        """Return where the beginning of a name stands that the end of a cut field has cut off; mostly nowhere."""
        if not self._begun or not _is_cut(text):
            return set()
        begins = range(max(0, len(letters) - LONGEST), len(letters))
        found = {n for n in begins if letters[n:] in self._begun and (letters[n] >= EAST or _begins_word(letters, at, n))}
        return {n for n in found if not is_ordinary(letters[n:])}

    def _is_here(self, letters: str, at: list[int], n: int, length: int) -> bool:
        found = letters[n : n + length]
        if len(found) < length:
            return False
        if found in self._numbers and (length >= LONG or at[n + length - 1] - at[n] == length - 1):
            return found not in self._bare or _is_number(letters, at, n, n + length)
        return found in self._names and (not found.isascii() or length >= SURE or _is_word(letters, at, n, length))


def names_of(person_name: str, alone: bool = True) -> set[str]:
    """Return the letters of what names a person: family, given and middle name and their words in each order, and what names one alone.

    A group with what no name holds (controls, what could not be decoded) is none: it was read in a wrong character set. Symbols may be
    letters of another set. Takes DICOM's PN (`Zhang^San=Zhang^San=张^三`) and what was made of HL7's XPN (`张 三`); each group and line
    by itself, with umlauts in both spellings (Müller, Mueller). Not `alone`: whole names only.
    """
    found: set[str] = set()
    for spelling in _spellings(person_name):
        found |= _names_of(spelling, alone)
    return {name for name in found if (1 if name.isascii() or _eastern(name) else MIN_SECRET - 1) < len(name) <= LONGEST}


def _spellings(person_name: str) -> Iterator[str]:
    """Yield each group of a name that was read rightly, with umlauts in both spellings."""
    for group in re.split(r"[=~\n\\]", ESCAPES.sub("", person_name)):
        if "\ufffd" not in group and not any(unicodedata.category(c) in NO_NAME for c in group):
            yield from {group, unicodedata.normalize("NFC", group).translate(UMLAUTS), DIGRAPHS.sub("", group)}


def windows(text: str) -> list[tuple[int, int, str]]:
    """Return begin, end and letters of each piece of a text that may be a whole name: one to six words, or 2 to 8 eastern characters.

    One word in letters is a name when it is long (zhangxiaoming). The work grows with the length of the text.
    """
    letters, at = folded(text)
    begins = [
        n
        for n in range(len(letters))
        if n == 0 or (letters[n] < EAST) != (letters[n - 1] < EAST) or _apart(text[at[n - 1] + 1 : at[n]])
    ]
    ends = [*begins[1:], len(letters)]
    found = [
        (n, n + length)
        for n in range(len(letters))
        for length in range(2, EASTERN_LONGEST + 1)
        if n + length <= len(letters) and all(c >= EAST for c in letters[n : n + length])
    ]
    for k, n in enumerate(begins):
        for words, end in enumerate(ends[k : k + WORDS_LONGEST], 1):
            if (SURE if words == 1 else MIN_SECRET) <= end - n <= LONGEST and letters[n] < EAST:
                found.append((n, end))
    return [(at[n], at[end - 1] + 1, letters[n:end]) for n, end in found]


def parts_of(person_name: str) -> set[str]:
    """Return the letters of what may name a person alone, whoever it is: family, given or middle name, 3 letters or 2 eastern ones."""
    parts = {p for s in _spellings(person_name) if len(said := _said(s)) > 1 for p in map(letters_of, said)}
    parts |= names_of(person_name) - names_of(person_name, alone=False)
    return {p for p in parts if (2 if _eastern(p) else ALONE_SHORT) <= len(p) <= LONGEST}


def windows_alone(text: str) -> list[tuple[int, int, str]]:
    """Return begin, end and letters of each piece of a text that may be a part of somebody's name standing alone.

    A long word or two (Xiaoming), a short one behind a title (Mr Wang), two to four Chinese characters between others or beside a word for a
    person (患者小明). Never an ordinary word.
    """
    words = list(LATIN.finditer(text))
    found = [(w.start(), w.end()) for w in words]
    found += [(a.start(), b.end()) for a, b in pairwise(words) if b.start() - a.end() == 1]
    out = [
        (b, e, letters) for b, e in found if len(letters := letters_of(text[b:e])) >= (ALONE_SHORT if _titled(text[:b]) else LONG)
    ]
    spans = {m.span() for m in HAN_RUN.finditer(text) if 2 <= len(m[0]) <= 4}
    for role in PERSON_BEFORE.finditer(text):
        run = HAN_RUN.match(text, role.end())
        spans |= {(role.end(), role.end() + n) for n in range(2, 5) if run and n <= len(run[0])}
    for title in PERSON_BEHIND.finditer(text):
        spans |= {
            (title.start() - n, title.start())
            for n in range(2, 5)
            if HAN_RUN.fullmatch(text, max(0, title.start() - n), title.start())
        }
    out += [(b, e, letters_of(text[b:e])) for b, e in spans]
    return [(b, e, letters) for b, e, letters in out if not is_ordinary(letters)]


def _titled(before: str) -> bool:
    return TITLE.search(before[-12:]) is not None


def _apart(between: str) -> bool:
    """Return whether what stands between two letters parts words; an accent by itself does not."""
    return any(unicodedata.category(c) not in ("Mn", "Cf") for c in between)


def _said(group: str) -> list[str]:
    return group.split("^")[:3] if "^" in group else PARTS.split(group.strip())[:4]


def _names_of(group: str, alone: bool) -> set[str]:
    said = _said(group)
    pairs = [(p, s) for s in said if (p := letters_of(s))]
    parts = [p for p, _ in pairs]
    found: set[str] = set()
    if len(parts) > 1:
        found |= {"".join(p) for n in (2, len(parts)) for p in permutations(parts, n) if parts[0] in p or n > 2}
        found |= {p for k, (p, s) in enumerate(pairs) if alone and _names_alone(k, p, s)}
    elif parts and _eastern(parts[0]) and len(parts[0]) <= LONG:  # family name first, or last: nobody knows where it ends
        found |= {parts[0][k:] + parts[0][:k] for k in range(len(parts[0]))}
        if alone and len(parts[0]) in (3, 4):  # of three characters the first is the family name, of four most often two
            found.add(parts[0][-2:])
    elif parts and len(parts[0]) >= MIN_SECRET:
        found.add(parts[0])
    words = [p for s in said for w in WORDS.split(s) if (p := letters_of(w))]
    if 2 < len(words) <= 4:
        found |= {"".join(p) for p in permutations(words)}
    elif len(words) > 4:
        found |= {"".join(words[k:] + words[:k]) for k in range(len(words))} | {"".join(reversed(words))}
    return found


def _names_alone(place: int, letters: str, written: str) -> bool:
    """Return whether a part of a name says by itself who it is: long enough, and no ordinary word."""
    if letters.isascii():
        if place > 0 and len(letters) >= (LONG if written.isascii() else MIN_SECRET):
            return True
        return len(letters) >= (ALONE_GIVEN if place > 0 else ALONE_FAMILY) and not is_ordinary(letters)
    return len(letters) >= (2 if _eastern(letters) else MIN_SECRET)


def _eastern(letters: str) -> bool:
    return any(c >= EAST for c in letters)


def _bytes_of(written: bytes) -> set[bytes]:
    """Return the bytes of what names a person, as they stand in a text of the same character set."""
    found: set[bytes] = set()
    for group in re.split(rb"[=~]", written):
        parts = [p for p in map(_one_case, group.split(b"^")[:3] if b"^" in group else group.split()[:4]) if p]
        if len(parts) > 1:
            found |= {b"".join(p) for n in (2, len(parts)) for p in permutations(parts, n) if parts[0] in p or n > 2}
        found |= {p for p in parts if _above(p) > SEVERAL}
    return {f for f in found if _above(f) >= SEVERAL}


def _one_case(content: bytes) -> bytes:
    return BYTE_ESCAPES.sub(b"", content).translate(ONE_CASE, PUNCTUATION)


def _above(content: bytes) -> int:
    return sum(b > 0x7F for b in content)


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


def births_of(day: str) -> set[str]:
    """Return a day of birth (`19630517`, `1963-05-17`) as people write it in texts, empty for anything else; separators do not count."""
    told = re.match(r"(\d{4})[-./]?(\d{2})[-./]?(\d{2})", day)
    if told is None:
        return set()
    y, m, d = told.groups()
    short_m, short_d = m.lstrip("0"), d.lstrip("0")
    return {y + m + d, d + m + y, m + d + y, short_d + short_m + y, f"{y}年{short_m}月{short_d}日", f"{y}年{m}月{d}日"}


def _forms_of(number: str) -> set[str]:
    """Return the letters of a number, also without a letter and zeros before it when enough is left."""
    letters = letters_of(number)
    bare = re.fullmatch(r"[a-z]?0*([1-9]\d*)", letters)
    return {letters, bare[1]} if bare and len(bare[1]) > LONG else {letters}


def _begins_word(letters: str, at: list[int], n: int) -> bool:
    return n == 0 or at[n - 1] < at[n] - 1 or not (letters[n - 1].isascii() and letters[n - 1].isalpha())


def _is_number(letters: str, at: list[int], first: int, end: int) -> bool:
    """Return whether digits stand by themselves, zeros or a word before them: A26033006 is another number, 0026033006 and MRN26033006 are not."""
    while first and letters[first - 1] == "0" and _touches(letters, at, first - 1, first):
        first -= 1
    word = first
    while word and letters[word - 1].isalpha() and _touches(letters, at, word - 1, word):
        word -= 1
    alone = first - word > 1 or not _touches(letters, at, first - 1, first)
    return alone and not _touches(letters, at, end - 1, end)


def _touches(letters: str, at: list[int], one: int, other: int) -> bool:
    """Return whether a letter or digit stands right beside another in the text."""
    return one >= 0 and other < len(letters) and at[other] == at[one] + 1 and letters[one].isascii() and letters[other].isascii()


def _least_begun(name: str) -> int:
    return CUT_HAN if _eastern(name) else CUT_LETTERS


def _is_cut(text: str) -> bool:
    """Return whether a text is as long as a field may be, in characters or bytes; half a character may be lost at its end."""
    if text.endswith(("…", "...")):
        return True
    lengths = {len(text)}
    for codec in () if text.isascii() else ("utf-8", "gb18030"):
        size = len(text.replace("\ufffd", "").encode(codec, "replace"))
        lengths |= {size, size + 1, size + 2} if codec == "utf-8" else {size, size + 1}
    return bool(lengths & CUT_AT)


def _is_word(letters: str, at: list[int], n: int, length: int) -> bool:
    """Return whether no letter touches what is found, before or behind."""
    end = n + length
    begins = n == 0 or at[n - 1] < at[n] - 1 or not (letters[n - 1].isascii() and letters[n - 1].isalpha())
    ends = end == len(letters) or at[end] > at[end - 1] + 1 or not (letters[end].isascii() and letters[end].isalpha())
    return begins and ends

"""Which character set bytes are in, whatever they are declared to be.

A single-byte set fits any bytes, so that its declaration alone proves nothing: it holds where it makes words of its own script. Other text
that is valid in a set of several bytes is read in that, and what was read otherwise than declared is doubtful.
Used by HL7 (MSH-18) and DICOM (0008,0005) alike.
"""

import codecs
import re
from collections.abc import Iterable
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote

__all__ = ["ESCAPE", "SINGLE", "Reading", "coded_twice", "reading", "readings"]

# ISO 2022 designations (ECMA-35): ESC, intermediate bytes, final byte
ESCAPE = re.compile(rb"\x1b[\x20-\x2f]*[\x30-\x7e]")
SEVERAL = ("utf-8", "gb18030", "big5", "cp932", "cp949", "euc_jp")
SEVEN_BITS = ("iso2022_jp_2", "iso2022_kr", "hz")
SINGLE = "iso-8859-1"
SINGLES = ("cp1251", "koi8_r", "iso-8859-5", "iso-8859-7", "iso-8859-2", "iso-8859-9", "tis_620", "cp850")
# letters and the marks on them; of a set of one byte a symbol beside one of its letters, or beside another symbol, is no text
WITHOUT_CAPITALS = ("8859-6", "8859-8", "8859-11", "cp1255", "cp1256", "tis-620")
OTHER_SCRIPTS = (*WITHOUT_CAPITALS, "8859-5", "8859-7", "cp1251", "cp1253")
WORD = re.compile(r"(?:[^\W\d_ªºµ]|[\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0e31-\u0e3a\u0e47-\u0e4e])+")
SYMBOL = r"[\xa0-\xbf\xd7\xf7]"
STRAY = re.compile(rf"{SYMBOL}{{2}}|{SYMBOL}(?=[^\x00-\xbf])|(?<=[^\x00-\xbf]){SYMBOL}")
UNICODE_ESCAPE = re.compile(r"\\[uU]([0-9A-Fa-f]{4})")
WRITTEN_OUT = re.compile(r"&#?\w+;|%[0-9A-Fa-f]{2}|\\[uU][0-9A-Fa-f]{4}")
HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# what stands beside Han characters in a Chinese or Japanese text, and Hangul
EASTERN = re.compile(
    r"[\u2010-\u2027\u2030-\u205e\u2103\u2160-\u2188\u2190-\u21ff\u2460-\u24ff\u2500-\u25ff\u3000-\u9fff\uac00-\ud7a3"
    r"\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U000323af\u00b0\u00b1\u00b7\u00d7\u0370-\u03ff]+"
)
EUROPEAN = re.compile("(?<![^\x00-\x7f])(?:(?<=[A-Za-z])[^\x00-\x7f]|[^\x00-\x7f](?=[A-Za-z]))(?![^\x00-\x7f])")


class Reading(NamedTuple):
    """A text, the codec that gave it, and whether that is another than declared (or than the default, ASCII)."""

    text: str
    codec: str
    doubtful: bool


def reading(content: bytes, declared: str | None) -> Reading:
    """Return the text of bytes that are declared to be in a codec; None: nothing is declared, or nothing that is known.

    Without a declaration ASCII alone is declared, so that every other reading is a guess, and doubtful.
    """
    declared = _canonical(declared)
    if ESCAPE.search(content) is not None and content.isascii():  # seven bits, and yet not ASCII: its bytes may be any separator
        switching = str(declared).startswith("iso2022")
        for codec in (declared,) if switching else ("iso2022_jp_2", "iso2022_kr"):
            if (text := _decoded(content, codec)) is not None:
                return Reading(text, str(codec), not switching)
    try:
        return Reading(content.decode("ascii"), declared or "ascii", False)
    except UnicodeDecodeError:
        pass
    utf8, gb = _decoded(content, "utf-8"), _decoded(content, "gb18030")
    said = _decoded(content, declared) if declared not in (None, "ascii") else None
    if declared == "utf-8" and said is not None:
        return Reading(said, "utf-8", False)
    if declared == "gb18030" and said is not None and (utf8 is None or not HAN.search(utf8) or _common(said)):
        return Reading(said, "gb18030", False)
    if said is not None and not _single(declared) and declared != "gb18030" and (utf8 is None or not HAN.search(utf8)):
        return Reading(said, str(declared), False)
    # two bytes of a common Chinese character can be valid UTF-8, of a letter that no such text holds
    if utf8 is not None and not (gb is not None and not HAN.search(utf8) and _common(gb)):
        return Reading(utf8, "utf-8", True)
    common = gb is not None and _common(gb)
    # of names in scripts without capitals one in fifty is a common Chinese text too, of Cyrillic and Greek ones none in a hundred; of the
    # Chinese names that are declared so, most are
    believed = not common or str(declared).endswith(WITHOUT_CAPITALS)
    if said is not None and believed and _single(declared) and _of_words(said, str(declared)):
        return Reading(said, str(declared), common)
    latin = declared in (None, "ascii", "utf-8") or (_single(declared) and _is_latin(str(declared)))
    if gb is not None and (_chinese(gb) if latin else _common(gb)):
        return Reading(gb, "gb18030", True)
    if gb is not None and said is not None and latin and _all_common(gb):  # beside letters: X光, and no words of the set
        return Reading(gb, "gb18030", True)
    if said is not None:
        return Reading(said, str(declared), _single(declared) and _symbols_alone(said, content))
    latin_text = content.decode(SINGLE)
    is_european = gb is not None and EUROPEAN.search(gb) is not None and all(c.isalpha() for c in latin_text if c > "\x7f")
    if gb is not None and not is_european and re.search(rb"[\x80-\xff]{2}", content):
        return Reading(gb, "gb18030", True)
    return Reading(latin_text, SINGLE, True)


def readings(content: bytes, declared: Iterable[str] = (), every: bool = False) -> tuple[str, ...]:
    """Return every text that bytes can be read as, in any character set that a hospital may write; ASCII is one.

    `every`: also in the sets of one byte where the bytes are valid Chinese; for names, which are short.
    """
    if content.isascii() and b"\x1b" not in content and b"~{" not in content:
        text = content.decode("ascii")
        return (text, *coded_twice(text)) if WRITTEN_OUT.search(text) else (text,)
    bare = ESCAPE.sub(b"", content)
    gb = _decoded(bare, "gb18030")
    # a set of one byte fits everything: its reading is nothing beside a valid text of several bytes
    several = not every and (bool(_decoded(bare, "utf-8")) or (gb is not None and _chinese(gb)))
    found = [_decoded(bare, codec) for codec in SEVERAL] + [_decoded(content, codec) for codec in SEVEN_BITS]
    found += [_decoded(content, codec) for codec in declared if not (several and _single(_canonical(codec)))]
    found += [] if several else [bare.decode(SINGLE), *(_decoded(bare, codec) for codec in SINGLES)]
    # a text cut inside a character, or with one byte of another set: the rest of it can be read
    found += [bare.decode(codec, "replace") for codec in ("utf-8", "gb18030")]
    texts = dict.fromkeys(text for text in found if text is not None)
    return tuple(texts | dict.fromkeys(t for text in tuple(texts) for t in coded_twice(text)))


def coded_twice(text: str) -> tuple[str, ...]:
    """Return what a text was before it was coded again, by a set of one byte, %E7, &#29579; or \\u738b; mostly nothing."""
    found = dict[str, None]()
    if WRITTEN_OUT.search(text):
        plain = unescape(unquote(UNICODE_ESCAPE.sub(lambda m: chr(int(m[1], 16)), text), errors="replace"))
        plain = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        found |= {plain: None} if plain != text else {}
    for outer in (SINGLE, "cp1252"):
        try:
            content = text.encode(outer)
        except UnicodeEncodeError:
            continue
        if not content.isascii():
            found |= dict.fromkeys(
                t for inner in SEVERAL if (t := _decoded(content, inner)) and (inner == "utf-8" or not EUROPEAN.search(t))
            )
    return tuple(found)


def _canonical(codec: str | None) -> str | None:
    """Return one name of each codec; what GB 18030 holds as well is GB 18030."""
    try:
        name = codecs.lookup(codec).name if codec else None
    except LookupError:
        return None
    return "gb18030" if name in ("gbk", "gb2312") else "iso-8859" + name[7:] if name and name.startswith("iso8859") else name


def _decoded(content: bytes, codec: str | None) -> str | None:
    try:
        return content.decode(codec) if codec else None
    except (UnicodeDecodeError, LookupError):
        return None


def _single(codec: str | None) -> bool:
    return str(codec).startswith(("iso-8859", "cp125", "tis"))


def _of_words(text: str, codec: str) -> bool:
    """Return whether a text in a set of one byte is made of words as its languages write them.

    No controls; symbols stand beside digits and blanks, never beside a letter of the set; a word is in one script, and its capitals lead it
    or fill it. A word of a Latin set has letters of ASCII beside its own, or is short and beside such a word: bytes of a Chinese character
    (GB 2312: two above 0xA0, of which the first is mostly a capital or a symbol of such a set) make runs of capitals and symbols instead.
    """
    is_latin = _is_latin(codec)
    if any("\x7f" < c < "\xa0" for c in text) or STRAY.search(text):
        return False
    mixed = not is_latin
    for word in WORD.findall(text):
        if word.isascii():
            continue
        has_ascii = re.search("[A-Za-z]", word) is not None
        parts = re.split("(?<=[a-z])(?=[A-Z][a-z]?)", word) if is_latin else [word]
        if not all(map(_is_cased, parts)) or (has_ascii and not is_latin) or (not has_ascii and is_latin and len(word) > 4):
            return False
        mixed |= has_ascii
    return mixed


def _is_latin(codec: str) -> bool:
    return not codec.endswith(OTHER_SCRIPTS)


def _is_cased(word: str) -> bool:
    """Return whether a word is all small, all capital, capital at its head, or of a script without capitals."""
    cased = [c for c in word if c.upper() != c.lower() and c != "ß"]
    return all(c.islower() for c in cased[1:]) or all(c.isupper() for c in cased)


def _symbols_alone(text: str, content: bytes) -> bool:
    """Return whether a text in a set of one byte is more likely one of two bytes (Big5): controls, or more symbols than letters."""
    above = [c for c in text if c > "\x7f"]
    if any(c < "\xa0" for c in above):
        return True
    rare = [c for c in above if c not in "°±µ²·§½¼" and not c.isalpha()]
    big5 = _decoded(content, "big5")
    letters = sum(c.isalpha() for c in above)
    return len(rare) > 1 and len(rare) >= letters and big5 is not None and bool(HAN.search(big5))


def _common(text: str) -> bool:
    """Return whether a text in GB18030 holds common Chinese characters alone (GB 2312 level 1): what chance does not give."""
    return _chinese(text) and _all_common(text)


def _all_common(text: str) -> bool:
    han = HAN.findall(text)
    return bool(han) and EASTERN.sub("", text).isascii() and all(0xB0 <= _gb2312(c) <= 0xD7 for c in han)


def _gb2312(char: str) -> int:
    try:
        return char.encode("gb2312")[0]
    except UnicodeEncodeError:
        return 0


def _chinese(text: str) -> bool:
    """Return whether what stands above ASCII is a Chinese text: nothing but its characters, and none alone between letters of a word."""
    foreign = EASTERN.sub("", text)
    return foreign.isascii() and bool(HAN.search(text)) and not EUROPEAN.search(text)

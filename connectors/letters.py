"""Letters as names are compared by them: without escapes of ISO 2022, in one form of each character, whatever the case.

One form: NFKD (width, accents), Latin letters without strokes, one of the forms of a Han character (simplified, traditional, Japanese:
`han_forms.txt`) and katakana for both kana.
"""

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

__all__ = ["ESCAPES", "folded", "letters_of"]

# a designation of ISO 2022 (ECMA-35), also one that lost its escape
ESCAPES = re.compile("\x1b[ -/]*[0-~]|\\$[()*+,][A-I]")
# letters that NFKD takes nothing from, and how they are written without them
PLAIN = {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i", "ħ": "h"}
HIRAGANA = {chr(n): chr(n + 0x60) for n in range(0x3041, 0x3097)}
FORMS = Path(__file__).parent / "han_forms.txt"


def letters_of(text: str) -> str:
    """Return letters and digits of a text in one form of each."""
    return folded(text)[0]


def folded(text: str) -> tuple[str, list[int]]:
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
    form = _forms()
    return "".join(form.get(c, c) for c in unicodedata.normalize("NFKD", char).casefold() if c.isalnum())


@cache
def _forms() -> dict[str, str]:
    """Return for each character that has several forms the one that it is compared as."""
    lines = FORMS.read_text(encoding="utf-8").splitlines()
    return PLAIN | HIRAGANA | {form: line[0] for line in lines if not line.startswith("#") for form in line[1:]}

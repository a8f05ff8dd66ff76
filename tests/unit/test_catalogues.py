"""The catalogues: every code in both languages with the same arguments, known kinds of names, no Latin word in a Chinese sentence."""

import re
from string import Formatter

from messages.catalogue import LANGUAGES, codes, names, template
from messages.catalogue import _read as read
from messages.render import LISTS, NUMBER

WORD = re.compile(r"(?<![\w./`{^_-])[A-Za-z][A-Za-z]{2,}(?![\w./}^_-])")
# units, names of things that are written so in Chinese too, keywords of standards
LATIN = {"ACR", "DICOM", "NEMA", "JSON", "XML", "SUV", "FWHM", "MTF", "PET", "SPECT", "ATC", "UTC", "MBq", "min"}


def test_both_languages_hold_the_same_codes_with_the_same_arguments() -> None:
    assert len(codes()) > 20 and set(read("en")["messages"]) == set(read("zh")["messages"])
    wrong = [c for c in sorted(codes()) if _arguments(c, "en") != _arguments(c, "zh")]
    assert wrong == []


def test_codes_are_dotted_and_sorted() -> None:
    for language in LANGUAGES:
        listed = list(read(language)["messages"])
        assert listed == sorted(listed)
        assert [c for c in listed if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", c)] == []


def test_every_format_is_one_of_numbers_or_a_kind_of_names() -> None:
    wrong = []
    for code in sorted(codes()):
        for language in LANGUAGES:
            for _, name, spec, _ in Formatter().parse(template(code, language).replace("[[", "").replace("]]", "")):
                kind, _, joint = (spec or "").partition("|")
                if name is not None and (joint not in LISTS or (kind and not NUMBER.fullmatch(kind) and not names(kind, "zh"))):
                    wrong.append((code, name, spec))
    assert wrong == []


def test_no_latin_word_stands_in_chinese_beside_those_that_chinese_uses() -> None:
    wrong = {}
    for code in sorted(codes()):
        text = re.sub(r"\{[^}]*\}|`[^`]*`", "", template(code, "zh"))
        words = {w for w in WORD.findall(text) if w not in LATIN and not re.search("[a-z][A-Z]|^[A-Z]+[a-z]?$", w)}
        if words:
            wrong[code] = words
    assert wrong == {}


def test_every_name_in_chinese_is_chinese() -> None:
    wrong = [
        (k, key)
        for k, listed in read("zh")["names"].items()
        for key, name in listed.items()
        if not re.search("[\u4e00-\u9fff]", name)
    ]
    assert wrong == []


def _arguments(code: str, language: str) -> set[str]:
    pieces = template(code, language).replace("[[", "").replace("]]", "")
    return {name for _, name, _, _ in Formatter().parse(pieces) if name is not None}

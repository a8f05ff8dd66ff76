"""Reasons in the reader's language: what is stored is English and stays so; Chinese is looked up when it is shown.

`words.zh.json` holds the English as it stands in the code, `{}` in the place of each value, and the Chinese with as many places
(`{1} … {0}` where the order differs). It stands in this room because every room that shows a reason may import this one.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path

from messages import Message, render

__all__ = ["CATALOGUE", "both", "catalogue", "reason"]

CATALOGUE = Path(__file__).resolve().parent / "words.zh.json"
LONGEST = 1_000  # what intakes keep of a reason
DEEPEST = 6  # reasons within reasons
CHINESE = "\u4e00-\u9fff（）：；，、"
WORDLESS = 5  # letters; a template with fewer ("{} of {}") admits values without spaces alone, or it would fit any sentence


def reason(text: str, language: str = "zh") -> str:
    """Return a stored reason, note or name for a reader of `language` ("en", "zh"); what the catalogue does not know stays English."""
    if isinstance(text, Message):
        return render(text, language)
    return _sentence(text) if language == "zh" and text and len(text) <= LONGEST else text


def both(text: str, joint: str = " ") -> str:
    """Return the English and, where the catalogue has it, the Chinese behind it."""
    return joint.join(dict.fromkeys((text, reason(text))))


@lru_cache(maxsize=1)
def catalogue() -> dict[str, str]:
    """Return {English template: Chinese template}."""
    return json.loads(CATALOGUE.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _templates() -> tuple[tuple[str, str, str, str], ...]:
    """Return pattern, longest literal, Chinese and all literals of each template with values; what says most comes first."""
    found = []
    for english, chinese in catalogue().items():
        parts = english.split("{}")
        literal = "".join(parts)
        value = "(.*?)" if sum(c.isalpha() for c in literal) >= WORDLESS else r"(\S+?)"
        unescaped = [p.replace("{{", "{").replace("}}", "}") for p in parts]
        if len(parts) > 1:
            pattern = value.join(re.escape(p) for p in unescaped)
            found.append((-len(literal), english, (pattern, max(unescaped, key=len), chinese, literal)))
    return tuple(row for _, _, row in sorted(found, key=lambda f: f[:2]))


@lru_cache(maxsize=1024)
def _sentence(text: str) -> str:
    chinese = _translated(text, 0) or text
    return re.sub(
        f"(?<=[{CHINESE}]) (?=[{CHINESE}])", "", chinese
    )  # a value that became Chinese stands without the spaces of a number


@lru_cache(maxsize=4096)
def _translated(text: str, depth: int) -> str | None:
    """Return the Chinese, or None when no part of the text is known; joined reasons are looked up one by one."""
    if depth > DEEPEST:
        return None
    parts = list(_split(text))
    out, known, at = [], False, 0
    while at < len(parts):
        # some reasons hold one or two "; " of their own: the longest run of parts that is known counts
        for end in range(min(len(parts), at + 3), at, -1):
            said = _whole("; ".join(parts[at:end]), end - at > 1, depth)
            if said is not None:
                break
        known = known or said is not None
        out.append(said or "; ".join(parts[at:end]))
        at = end
    return "；".join(out) if known else None


def _whole(text: str, joined: bool, depth: int) -> str | None:
    """Return the Chinese of one reason; `joined`: only a template that itself holds "; " may match."""
    known = catalogue().get(text) or _filled(text, joined, True, depth)
    if known is None and not joined:
        known = _named(text, depth)
    known = known or _filled(text, joined, False, depth)
    name, colon, rest = text.partition(": ")
    if known is None and colon and not joined and name in catalogue():
        known = f"{catalogue()[name]}：{rest}"
    return known


def _filled(text: str, joined: bool, colon: bool, depth: int) -> str | None:
    """Return the Chinese of the first template that fits, of those with a ": " of their own or of the others."""
    for pattern, literal, chinese, marks in _templates():
        if (": " in marks) == colon and ("; " in marks or not joined) and literal in text:
            match = re.fullmatch(pattern, text, re.DOTALL)
            if match and all(v.count("(") == v.count(")") for v in match.groups()):
                return chinese.format(*(_value(v, depth + 1) for v in match.groups()))
    return None


def _named(text: str, depth: int) -> str | None:
    """Return the Chinese of "name: reason" where the reason is known and the name is one word or known too, or None."""
    for colon in islice(re.finditer(": ", text), 3):
        rest = _translated(text[colon.end() :], depth + 1)
        name = text[: colon.start()]
        known = name if rest is None else _value(name, depth + 1)
        if rest is not None and (known != name or " " not in name):
            return f"{known}：{rest}"
    return None


def _value(text: str, depth: int) -> str:
    """Return a value of a template: a reason itself, a list of names, or what needs no translation."""
    if not any(c.isalpha() for c in text):
        return text
    lead = "；" if text.startswith("; ") else ""
    said = _translated(text.strip(" ;"), depth)
    if said is not None:
        return lead + said
    for joint, chinese in ((", ", "、"), (" or ", " 或 "), (" and ", " 和 ")):
        names = text.split(joint)
        if len(names) > 1 and any(n in catalogue() for n in names):
            return chinese.join(catalogue().get(n, n) for n in names)
    return text


def _split(text: str) -> Iterator[str]:
    """Yield the parts between "; " that stand in no parentheses."""
    part, depth = "", 0
    for piece in re.split("(; )", text):
        if piece == "; " and depth <= 0:
            yield part
            part, depth = "", 0
        else:
            part += piece
            depth += piece.count("(") - piece.count(")")
    yield part

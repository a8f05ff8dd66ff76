"""From a code and its arguments to a sentence in the reader's language.

A template is text with arguments in braces: `{name}`; `{name:.1f}` formats a number; `{name:step}` names a step (a kind of `names` of the
catalogue), and what a list of them is joined with: `{name:step|or}`; `[[ of {name}]]` is left out where an argument in it is null.
"""

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from messages.catalogue import name_of, template

__all__ = ["EITHER", "JOINED", "NUMBER", "both", "render", "source"]

JOINED, EITHER = "joined", "either"  # of a list of messages under `parts`
JOINTS = {JOINED: {"en": "; ", "zh": "；"}, EITHER: {"en": " or ", "zh": "或"}}
LISTS = {"": {"en": ", ", "zh": "、"}, "or": {"en": " or ", "zh": "或"}, "and": {"en": " and ", "zh": "和"}}
NUMBER = re.compile(r"[-+ ]?0?\d*,?(\.\d+)?[defgx%]?")  # format specifications of numbers that templates may have
SECTION = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
CJK = "\u4e00-\u9fff（）：；，、"
BETWEEN = re.compile(f"(?<=[{CJK}]) (?=[{CJK}])")  # a value that became Chinese stands without the spaces of a number
NOTHING = "–"


def render(message: str, language: str = "en", args: Mapping[str, Any] | None = None) -> str:
    """Return a message in a language ("en", "zh"); plain text, which has no code, stays as it is.

    Parameters
    ----------
    args
        Given: `message` is a code and these are its arguments; a code that the catalogue does not know is a KeyError.
    """
    if args is None:
        code = getattr(message, "code", None)
        return message if code is None else str.__str__(message) if language == "en" else render(code, language, message.args)  # type: ignore[attr-defined]
    if message in JOINTS:
        return JOINTS[message][language].join(_value(part, "", language) for part in args["parts"])
    pattern = template(message, language)
    if pattern is None:
        raise KeyError(message)
    pieces = SECTION.split(pattern)
    text = "".join(_filled(piece, args, language) for k, piece in enumerate(pieces) if k % 2 == 0 or _is_known(piece, args))
    return BETWEEN.sub("", text) if language == "zh" else text


def both(message: str, joint: str = " ") -> str:
    """Return the English and, where it differs, the Chinese behind it, for outputs that are read in both languages."""
    return joint.join(dict.fromkeys((render(message, "en"), render(message, "zh"))))


def source(text: str) -> str:
    """Return where a limit is from, or who approved it, in English and, where it has a name there, in Chinese behind it."""
    return " ".join(dict.fromkeys((text, name_of("source", text, "zh"))))


def _filled(piece: str, args: Mapping[str, Any], language: str) -> str:
    out = []
    for literal, name, spec, conversion in Formatter().parse(piece):
        out.append(literal)
        if name is not None:
            value = args.get(name)
            out.append(repr(value) if conversion == "r" else _value(value, spec or "", language))
    return "".join(out)


def _is_known(piece: str, args: Mapping[str, Any]) -> bool:
    return all(args.get(name) is not None for _, name, _, _ in Formatter().parse(piece) if name is not None)


def _value(value: Any, spec: str, language: str) -> str:
    if value is None:
        return NOTHING
    spec, _, joint = spec.partition("|")
    if isinstance(value, list):
        return LISTS[joint][language].join(_value(v, spec, language) for v in value)
    if isinstance(value, dict):
        return value.get(language) or value.get("en") or NOTHING
    if getattr(value, "code", None) is not None:
        return render(value, language)
    if isinstance(value, str):
        # what names a column or a key may stand in any text: a kind alone says that it is to be named
        return name_of(spec, value, language) if spec else value
    return format(value, spec) if spec and NUMBER.fullmatch(spec) else str(value)

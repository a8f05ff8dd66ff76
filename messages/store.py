"""Messages as they are stored and handed over: the English text beside code, arguments and the version of the catalogue.

In one column or argument a message is the text `{"code": …, "args": {…}}`; what does not look like this is prose, as old data hold it.
"""

import json
from collections.abc import Iterable
from typing import Any

from messages.catalogue import VERSION, template
from messages.message import Message
from messages.render import JOINTS

__all__ = ["columns", "fields", "from_fields", "from_listed", "from_text", "listed", "stored", "to_args", "to_text"]

MARK = '{"code":'


def fields(reason: str | None, name: str = "reason") -> dict[str, Any]:
    """Return `reason` (English), `reason_code` and `reason_args` (an object) as JSON has them; prose has neither code nor arguments."""
    code, args = (reason.code, _plain(reason.args)) if isinstance(reason, Message) else (None, None)
    return {name: None if reason is None else str.__str__(reason), f"{name}_code": code, f"{name}_args": args}


def stored(reason: str | None, name: str = "reason") -> dict[str, Any]:
    """Return the same for what is kept, with the version of the catalogue that it was written by (null for prose)."""
    known = isinstance(reason, Message)
    return {**fields(reason, name), f"{name}_catalogue": VERSION if known else None}


def columns(reason: str | None, name: str = "reason") -> dict[str, Any]:
    """Return the same for a table: the arguments are JSON text."""
    return {**stored(reason, name), f"{name}_args": to_args(reason)}


def from_fields(row: Any, name: str = "reason") -> str | None:
    """Return the message of a row with `reason`, `reason_code` and `reason_args` (an object or its text); its prose where it has no known code."""
    code, args = row.get(f"{name}_code"), row.get(f"{name}_args")
    found = _message(code, json.loads(args) if isinstance(args, str) else args)
    return row.get(name) if found is None else found


def listed(reasons: Iterable[str], name: str = "warning") -> dict[str, list[Any]]:
    """Return `warnings` (English), `warning_codes` and `warning_args` of several messages: lists of one length, null where one is prose."""
    rows = [fields(reason, name) for reason in reasons]
    told = ((f"{name}s", name), (f"{name}_codes", f"{name}_code"), (f"{name}_args", f"{name}_args"))
    return {several: [r[one] for r in rows] for several, one in told}


def from_listed(row: Any, name: str = "warning") -> list[str]:
    """Return the messages of a row with `warnings`, `warning_codes` and `warning_args`."""
    each = zip(row[f"{name}s"], row[f"{name}_codes"], row[f"{name}_args"], strict=True)
    return [from_fields({name: text, f"{name}_code": code, f"{name}_args": args}, name) or "" for text, code, args in each]


def to_args(reason: str | None) -> str | None:
    """Return the arguments of a message as JSON text for a column; null for prose."""
    return json.dumps(_plain(reason.args), ensure_ascii=False, sort_keys=True) if isinstance(reason, Message) else None


def to_text(reason: str | None) -> str | None:
    """Return a message for one column; prose stays as it is."""
    return json.dumps(_plain(reason), ensure_ascii=False, separators=(",", ":")) if isinstance(reason, Message) else reason


def from_text(text: str | None) -> str | None:
    """Return the message that one column holds; of a code that the catalogue does not know its `text`, if it has one; prose stays as it is."""
    if text is None or not text.startswith(MARK):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    found = _message(value.get("code"), value.get("args"))
    return value.get("text", text) if found is None else found


def _plain(value: Any) -> Any:
    """Return an argument as plain JSON."""
    if isinstance(value, Message):
        return {"code": value.code, "args": _plain(value.args)}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _read(value: Any) -> Any:
    """Return an argument from plain JSON; what names a code becomes a message, also as text in text, which SQL makes."""
    if isinstance(value, list):
        return [_read(v) for v in value]
    if isinstance(value, str):
        return from_text(value)
    if isinstance(value, dict) and "code" in value:
        found = _message(value["code"], value.get("args"))
        return value.get("text", value["code"]) if found is None else found
    return value


def _message(code: Any, args: Any) -> Message | None:
    if not isinstance(code, str) or not isinstance(args, dict) or (code not in JOINTS and template(code, "en") is None):
        return None
    return Message(code, {k: _read(v) for k, v in args.items()})

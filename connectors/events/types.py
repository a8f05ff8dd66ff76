"""The types of events, each with its JSON Schema: a file in `schemas/` named for the type is all that a new type needs."""

import json
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from connectors.events.envelope import Event, InvalidEvent

__all__ = ["TYPES", "validate"]

FOLDER = Path(__file__).parent / "schemas"
TYPES = tuple(sorted(p.stem for p in FOLDER.glob("*.json")))


def validate(event: Event) -> None:
    """Raise InvalidEvent unless the schema of the event's type accepts its data.

    The text says place and reason, never the value: it goes to journal, lake and log, and the value may be somebody's name.
    """
    if event.type not in TYPES:
        raise InvalidEvent(f"unknown type {event.type!r}")
    error = best_match(_validator(event.type).iter_errors(event.data))
    if error is not None:
        place = "/".join(map(str, error.absolute_path)) or "data"
        value = repr(error.instance)
        said = f"the value{error.message.removeprefix(value)}" if error.message.startswith(value) else error.message
        raise InvalidEvent(f"{place}: {said[:300]}")


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)

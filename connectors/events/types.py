"""The types of events, each with its JSON Schema: a file in `schemas/` named for the type is all that a new type needs."""

import json
import re
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

from connectors.events.envelope import Event, InvalidEvent
from connectors.nuclides import nuclide_named

__all__ = ["TYPES", "validate"]

# what looks like a nuclide, and so is nobody's name: it may be repeated
NUCLIDE = re.compile(r"\^?[0-9]{1,3}m?\^? ?-?[A-Z][a-z]?|[A-Z][a-z]?[ -]?\^?[0-9]{1,3}m?\^?")
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
        if error.validator == "format" and error.validator_value == "nuclide":
            if NUCLIDE.fullmatch(error.instance):
                raise InvalidEvent(f"{place}: {error.instance} is not in the reference data of nuclides")
            raise InvalidEvent(f"{place}: the value is not in the reference data of nuclides")
        if error.validator in ("additionalProperties", "unevaluatedProperties"):  # their names are a sender's words too
            raise InvalidEvent(f"{place}: a property that this type does not have")
        value = repr(error.instance)
        said = f"the value{error.message.removeprefix(value)}" if error.message.startswith(value) else error.message
        raise InvalidEvent(f"{place}: {said[:300]}")


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    return Draft202012Validator(schema, format_checker=_formats())


@cache
def _formats() -> FormatChecker:
    """Return the formats of JSON Schema, and `nuclide`: a name of the reference table."""
    checker = FormatChecker()
    checker.checkers = dict(Draft202012Validator.FORMAT_CHECKER.checkers)
    checker.checks("nuclide")(lambda value: not isinstance(value, str) or nuclide_named(value) is not None)
    return checker

"""The types of events, each with its JSON Schema: a file in `schemas/` named for the type is all that a new type needs."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match

from connectors.events.envelope import Event, InvalidEvent
from connectors.events.moments import is_far, is_moment
from connectors.nuclides import nuclide_named
from messages import because

__all__ = ["TYPES", "validate"]

# what looks like a nuclide, and so is nobody's name: it may be repeated
NUCLIDE = re.compile(r"\^?[0-9]{1,3}m?\^? ?-?[A-Z][a-z]?|[A-Z][a-z]?[ -]?\^?[0-9]{1,3}m?\^?")
FOLDER = Path(__file__).parent / "schemas"
REASONS = {
    "type": "event.value_type", "enum": "event.value_enum", "minLength": "event.value_short", "minItems": "event.value_short",
    "maxLength": "event.value_long", "maxItems": "event.value_long", "minimum": "event.value_low", "exclusiveMinimum": "event.value_low",
    "maximum": "event.value_high", "exclusiveMaximum": "event.value_high", "pattern": "event.value_pattern", "format": "event.value_format",
    "uniqueItems": "event.value_doubled",
}  # fmt: skip
TYPES = tuple(sorted(p.stem for p in FOLDER.glob("*.json")))


def validate(event: Event) -> None:
    """Raise InvalidEvent unless the schema of the event's type accepts its data.

    The text says place and reason, never the value: it goes to journal, lake and log, and the value may be somebody's name.
    """
    if event.type not in TYPES:
        raise InvalidEvent(because("event.type_unknown", type=event.type))
    error = best_match(_validator(event.type).iter_errors(event.data))
    if error is not None:
        place = "/".join(map(str, error.absolute_path)) or "data"
        if error.validator == "format" and error.validator_value == "nuclide":
            named = NUCLIDE.fullmatch(error.instance)
            raise InvalidEvent(
                because("event.nuclide_unknown", place=place, nuclide=error.instance if named else because("event.the_value"))
            )
        if error.validator in ("additionalProperties", "unevaluatedProperties"):  # their names are a sender's words too
            raise InvalidEvent(because("event.key_unknown", place=place))
        raise InvalidEvent(_told(place, error))


def _told(place: str, error: ValidationError) -> str:
    bound: Any = error.validator_value
    data: Any = error.instance
    if error.validator == "pattern" and place.endswith("/atc"):
        return because("event.no_atc", place=place)
    if error.validator == "format" and isinstance(data, str) and is_far(data):
        return because("event.moment_far", place=place)
    missing = error.validator == "required" and [k for k in bound if k not in data]
    if missing:
        return because("event.key_missing", place=place, keys=missing[:1])
    code = REASONS.get(str(error.validator), "event.value_wrong")
    if not isinstance(bound, int | float):
        told = repr if code in ("event.value_pattern", "event.value_wrong") else str
        bound = [told(b) for b in ([bound] if isinstance(bound, str) else bound)]
    return because(code, place=place, bound=bound)


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.json").read_text())
    return Draft202012Validator(schema, format_checker=_formats())


@cache
def _formats() -> FormatChecker:
    """Return the formats of JSON Schema, with a `date-time` of our own, and `nuclide`: a name of the reference table.

    The library judges a `date-time` only where a further package is installed, and takes every text where it is not.
    """
    checker = FormatChecker()
    checker.checkers = dict(Draft202012Validator.FORMAT_CHECKER.checkers)
    checker.checks("date-time")(lambda value: not isinstance(value, str) or is_moment(value))
    checker.checks("nuclide")(lambda value: not isinstance(value, str) or nuclide_named(value) is not None)
    return checker

"""The catalogues: templates of messages, and names of what messages speak of, a file a language. Read when the first message is made."""

import csv
import json
from functools import lru_cache
from pathlib import Path

__all__ = ["FILES", "LANGUAGES", "VERSION", "codes", "name_of", "names", "template"]

ROOM = Path(__file__).resolve().parent
LANGUAGES = ("en", "zh")
FILES = tuple(ROOM / f"{language}.json" for language in LANGUAGES)
MEASURES = ROOM.parent / "dbt_project" / "seeds" / "measure_names.csv"
VERSION = "1"  # goes up when a code leaves, or its arguments change: what is stored says by which catalogue it was written


def template(code: str, language: str) -> str | None:
    """Return the template of a code, or None when the catalogue does not know it."""
    return _read(language)["messages"].get(code)


def codes() -> frozenset[str]:
    """Return all codes."""
    return frozenset(_read("en")["messages"])


def name_of(kind: str, key: str, language: str) -> str:
    """Return the name of a step, a place, a procedure, a measure …; one that is not listed is its own name.

    Of kinds `a/b` the first that knows it counts; a number behind a name stays there (`gate 3`).
    """
    head, _, number = key.rpartition(" ")
    for one in kind.split("/"):
        for listed in (names(one, language), names(one, "en")):
            if found := listed.get(key) or (number.isdecimal() and listed.get(head)):
                return found if key in listed else f"{found} {number}"
    return key


def names(kind: str, language: str) -> dict[str, str]:
    """Return all names of a kind in a language; an unknown kind has none."""
    if kind == "measure":
        return _measures(language)
    return _read(language)["names"].get(kind, {})


@lru_cache(maxsize=len(LANGUAGES))
def _read(language: str) -> dict[str, dict]:
    return json.loads((ROOM / f"{language}.json").read_text(encoding="utf-8"))


@lru_cache(maxsize=len(LANGUAGES))
def _measures(language: str) -> dict[str, str]:
    with MEASURES.open(encoding="utf-8", newline="") as file:
        return {row["measure"]: row[f"name_{language}"] for row in csv.DictReader(file)}

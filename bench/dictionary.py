"""The data dictionary: marts, events and reference data as their own contracts describe them: `python -m bench.dictionary`."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["main", "page"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "dictionary.md"
MARTS, SEEDS = ROOT / "dbt_project" / "models" / "marts", ROOT / "dbt_project" / "seeds"
EVENTS = ROOT / "connectors" / "events" / "schemas"
HEAD = """# Data dictionary

Made by `make docs` from the contracts of the marts, the JSON Schemas of the events and the tables of reference data; do not edit it by hand.
[Marts](#marts) · [Events](#events) · [Reference data](#reference-data). How the data flow: [architecture.md](architecture.md).
"""


def main() -> None:
    """Write docs/dictionary.md."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(_contracts(MARTS, 'models'))} marts, {len(_schemas())} events, {len(_seeds())} tables")


def page() -> str:
    """Return the whole page as Markdown."""
    return "\n".join((HEAD, *_marts(), *_events(), *_reference_data())).rstrip() + "\n"


def _marts() -> Iterator[str]:
    yield from (
        "## Marts",
        "",
        "Tables of schema `marts` in the warehouse. Times end in `_utc`. An empty description: the name says it.",
        "",
    )
    for model in _contracts(MARTS, "models"):
        meta = model["config"]["meta"]
        about, *steps = _steps(_line(model.get("description", "")))
        key = ", ".join(f"`{c}`" for c in meta["grain"])
        yield from (f"### {model['name']}", "", f"Key: {key}. Owner: {meta['owner']}.", about, "")
        yield from (*(steps if len(steps) > 1 else [f"Steps: {s[3:]}." for s in steps]), "") if steps else ()
        yield from ("| column | type | null | values | description |", "|---|---|---|---|---|")
        for column in model["columns"]:
            null = "no" if {"type": "not_null"} in column.get("constraints", ()) else "yes"
            cells = (column["name"], column.get("data_type", ""), null, _accepted(column), column.get("description", ""))
            yield _row(*cells)
        yield ""


def _steps(description: str) -> list[str]:
    """Return what a mart is, without its grain, and how it is made as a numbered list."""
    about, _, steps = description.partition(" Steps: ")
    found = re.split(r"(?:^|[;,.] )(?=\d\) )", steps)
    return [re.sub(r"^Grain: [^.]*\. ", "", about), *(re.sub(r"^(\d)\) ", r"\1. ", s).rstrip(".") for s in found if s)]


def _events() -> Iterator[str]:
    yield from ("## Events", "", "Immutable facts, in journals and in the lake's `events`: the field `data` of each type.", "")
    for schema in _schemas():
        yield from (f"### {schema['title']}", "", _line(schema.get("description", "")), "")
        yield from ("| field | type | required | description |", "|---|---|---|---|", *_fields(schema, ""), "")


def _fields(schema: dict[str, Any], inside: str) -> Iterator[str]:
    """Yield a row for each property, those of objects and of the items of lists below it."""
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        yield _row(inside + name, _type(field), "yes" if name in required else "no", field.get("description", ""))
        items = field.get("items", {})
        nested, mark = (items, "[].") if "properties" in items else (field, ".")
        yield from _fields(nested, f"{inside}{name}{mark}") if "properties" in nested else ()


def _type(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " / ".join(f"`{'null' if value is None else value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field or "oneOf" in field:
        return " or ".join(dict.fromkeys(_type(f) for f in field.get("anyOf") or field["oneOf"]))
    kind = field.get("type", "any")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{text} ({field['format']})" if "format" in field else text


def _reference_data() -> Iterator[str]:
    yield from ("## Reference data", "", "Tables in `dbt_project/seeds/`, one CSV file each: what a hospital owns.", "")
    for seed in _seeds():
        types = seed.get("config", {}).get("column_types", {})
        described = {c["name"]: c for c in seed.get("columns", ())}
        header = (SEEDS / f"{seed['name']}.csv").read_text(encoding="utf-8").partition("\n")[0].strip().split(",")
        yield from (f"### {seed['name']}.csv", "", _line(seed.get("description", "")), "")
        yield from ("| column | type | values | description |", "|---|---|---|---|")
        for name in header:
            column = described.get(name, {})
            yield _row(name, types.get(name, ""), _accepted(column), column.get("description", ""))
        yield ""


def _contracts(folder: Path, key: str) -> list[dict[str, Any]]:
    """Return the entries of all YAML files below a folder, by name."""
    files = sorted(folder.rglob("*.yml"))
    return sorted(
        (entry for f in files for entry in (yaml.safe_load(f.read_text(encoding="utf-8")) or {}).get(key, ())),
        key=lambda entry: str(entry["name"]),
    )


def _seeds() -> list[dict[str, Any]]:
    return _contracts(SEEDS, "seeds")


def _schemas() -> list[dict[str, Any]]:
    return [json.loads(p.read_text(encoding="utf-8")) for p in sorted(EVENTS.glob("*.json"))]


def _accepted(column: dict[str, Any]) -> str:
    """Return the accepted values of a column, as its test names them."""
    for test in column.get("data_tests", ()):
        if isinstance(test, dict) and "accepted_values" in test:
            return " / ".join(f"`{value}`" for value in test["accepted_values"]["arguments"]["values"])
    return ""


def _row(name: str, *cells: str) -> str:
    return "| " + " | ".join((f"`{name}`", *(_line(c) for c in cells))) + " |"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "¦")


if __name__ == "__main__":
    main()

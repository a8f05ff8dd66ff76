"""Which rows of a large population could break a rule, as a predicate of SQL: so many rows are not read whole.

Great Expectations judges what is read; the predicate only has to leave out nothing that it would fail.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["suspects"]


def suspects(expectations: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the predicate of rows that may break one of the expectations; None when one of them is not about single rows."""
    found = [_one(e["type"].removeprefix("expect_"), e.get("kwargs", {})) for e in expectations]
    return None if None in found else " OR ".join(f"coalesce({p}, true)" for p in found)


def _one(type_: str, given: Mapping[str, Any]) -> str | None:
    column = _name(given.get("column", ""))
    first, second = _name(given.get("column_A", "")), _name(given.get("column_B", ""))
    among = f"{column} IN ({', '.join(map(_value, given.get('value_set', ())))})"
    bounds = [f"{column} {sign} {_value(given[k])}" for k, sign in (("min_value", "<"), ("max_value", ">")) if k in given]
    matches = f"regexp_matches({column}, {_value(_characters(given.get('regex', '')))})"
    columns = ", ".join(_name(c) for c in given.get("column_list", (given.get("column", ""),)))
    return {
        "column_values_to_not_be_null": f"{column} IS NULL",
        "column_values_to_be_null": f"{column} IS NOT NULL",
        "column_values_to_be_in_set": f"{column} IS NOT NULL AND NOT {among}",
        "column_values_to_not_be_in_set": f"{column} IS NOT NULL AND {among}",
        "column_values_to_be_between": f"{column} IS NOT NULL AND ({' OR '.join(bounds) or 'false'})",
        "column_values_to_match_regex": f"{column} IS NOT NULL AND NOT {matches}",
        "column_values_to_not_match_regex": f"{column} IS NOT NULL AND {matches}",
        "column_values_to_be_unique": f"count(*) OVER (PARTITION BY {columns}) > 1",
        "compound_columns_to_be_unique": f"count(*) OVER (PARTITION BY {columns}) > 1",
        "column_pair_values_to_be_equal": f"{first} IS DISTINCT FROM {second}",
        "column_pair_values_a_to_be_greater_than_b": f"NOT {first} {'>=' if given.get('or_equal') else '>'} {second}",
    }.get(type_)


def _characters(regex: str) -> str:
    """Return a regular expression with characters for Python's escapes of them, which DuckDB does not know."""
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), regex)


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"

"""The reference rows that say whether an examination may go on: the seeds that the warehouse judges by, read from the same files."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connectors.settings import ROOT

__all__ = ["SEEDS", "Reference", "Row", "in_force", "read_reference"]

SEEDS = ROOT / "dbt_project" / "seeds"
Row = dict[str, str]  # a row as the file has it; "" is null


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows of exam_plans, exam_forms, exam_preparation, interfering_drugs and rules, all versions."""

    plans: tuple[Row, ...]
    forms: tuple[Row, ...]
    preparation: tuple[Row, ...]
    drugs: tuple[Row, ...]
    rules: tuple[Row, ...]


def read_reference(folder: Path = SEEDS) -> Reference:
    """Return the rows of a folder of seeds; raise OSError when a file is missing."""
    names = ("exam_plans", "exam_forms", "exam_preparation", "interfering_drugs", "rules")
    return Reference(*(_rows(folder / f"{name}.csv") for name in names))


def in_force(rows: Sequence[Row], key: str, day: date) -> list[Row]:
    """Return of each `key` the row with the highest version of those in force on a day, both bounds included."""
    best: dict[str, Row] = {}
    for row in rows:
        if row["valid_from"] > day.isoformat() or (row["valid_until"] and row["valid_until"] < day.isoformat()):
            continue
        if row[key] not in best or int(best[row[key]]["version"]) < int(row["version"]):
            best[row[key]] = row
    return list(best.values())


def _rows(path: Path) -> tuple[Row, ...]:
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))

"""The names of measures in a reader's language; the measure itself keeps its fixed name everywhere."""

import csv
from functools import lru_cache

from spark_jobs.judge import SEEDS

__all__ = ["name_of"]


def name_of(measure: str, language: str = "en") -> str:
    """Return the name of a measure in "en" or "zh", by `measure_names.csv`; one that is not listed is its own name."""
    return _names().get(measure, {}).get(f"name_{language}") or measure


@lru_cache(maxsize=1)
def _names() -> dict[str, dict[str, str]]:
    with (SEEDS / "measure_names.csv").open(encoding="utf-8", newline="") as f:
        return {row["measure"]: row for row in csv.DictReader(f)}

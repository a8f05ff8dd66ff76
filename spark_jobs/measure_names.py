"""The names of measures in a reader's language; the measure itself keeps its fixed name everywhere."""

from judgement import reference
from judgement.rows import MeasureName

__all__ = ["name_of"]


def name_of(measure: str, language: str = "en") -> str:
    """Return the name of a measure in "en" or "zh", by `measure_names.csv`; one that is not listed is its own name."""
    row = next((r for r in reference.read(MeasureName) if r.measure == measure), None)
    return measure if row is None else row.name_zh if language == "zh" else row.name_en

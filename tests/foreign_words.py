"""Latin words that stand in a Chinese sentence although a reader of Chinese should not meet them."""

import re

__all__ = ["LATIN", "foreign"]

WORD = re.compile(r"(?<![\w./`{^:-])[A-Za-z][a-z]+(?:_[a-z0-9]+)*(?![\w./}^:-])|(?<![\w./])[a-z]+(?:_[a-z0-9]+)+(?![\w./])")
# what Chinese writes so too: units, keywords of DICOM and of CloudEvents, names of programs and of phantoms, words of a command
LATIN = {
    "Modality", "cps",
    "Airflow", "Authorization", "Bearer", "Capture", "Columns", "Connect", "Instance", "Jaszczak", "Java", "MBq", "Python", "Rows",
    "SUVType", "Secondary", "Spark", "Units", "application", "ce", "data", "dbt", "dicom", "down", "events", "functional", "groups", "job",
    "json", "kcps", "kcts", "min", "modbus", "nuclide", "photopeak", "root", "siteid", "specversion", "subject", "tar", "time", "venv",
}  # fmt: skip
UNITS = {"mm", "cm", "ml", "kg", "px", "kev", "Pa", "Cel", "uSv", "Sv", "Bq", "Hz", "ps", "ms", "Mcts"}
NAMES = {"Cs", "Tc", "Lu", "Ga", "In", "Co", "Catphan", "Delrin"}  # of nuclides and of products


def foreign(text: str, *, also: set[str] = frozenset()) -> set[str]:  # type: ignore[assignment]
    """Return the words of a Chinese sentence that are neither unit, keyword, product nor an `also` known name (of a hospital, of a sheet)."""
    plain = re.sub(r"`[^`]*`|\b[a-z]+://\S*|\burn:\S*", "", text)
    return {w for w in WORD.findall(plain) if w not in LATIN | UNITS | NAMES | also}

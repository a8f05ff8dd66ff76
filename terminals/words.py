"""The pages' words in English and Chinese, and which of the two a reader gets."""

import json
from pathlib import Path

__all__ = ["HERE", "LANGUAGES", "choose", "texts"]

HERE = Path(__file__).resolve().parent
LANGUAGES = ("en", "zh")


def texts() -> dict[str, dict[str, str]]:
    """Return {language: {key: text}}."""
    return json.loads((HERE / "texts.json").read_text(encoding="utf-8"))


def choose(asked: str | None, accept_language: str) -> str:
    """Return the asked language, else the first of the browser's languages that we have, else English."""
    if asked in LANGUAGES:
        return asked
    weighted = []
    for position, part in enumerate(accept_language.split(",")):
        tag, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            weight = 0.0
        weighted.append((-weight, position, tag.split("-")[0].lower()))
    return next((tag for _, _, tag in sorted(weighted) if tag in LANGUAGES), "en")

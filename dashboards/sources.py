"""What is composed: the sources of datasets, charts and pages, and the hospital's registers that they are laid out by."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["HERE", "LANGUAGES", "Registers", "read_registers", "slug_of", "sources"]

HERE = Path(__file__).resolve().parent
LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Registers:
    """What of the hospital's registers a page is laid out by: names for filters and colours, the clocks of its sites."""

    sites: tuple[dict[str, Any], ...]
    devices: tuple[dict[str, Any], ...]
    rooms: tuple[dict[str, Any], ...]
    measures: tuple[dict[str, Any], ...]


def read_registers(folder: Path | None = None) -> Registers:
    """Return the registers as they lie in the reference data."""
    from judgement.reference import read
    from judgement.rows import Device, MeasureName, Room, Site

    return Registers(*(tuple(asdict(row) for row in read(kind, folder)) for kind in (Site, Device, Room, MeasureName)))  # type: ignore[call-overload]


def sources(folder: str) -> dict[str, dict[str, Any]]:
    """Return {name: what the file says} of `datasets`, `charts` or `dashboards`."""
    return {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in sorted((HERE / folder).rglob("*.yaml"))}


def slug_of(name: str, language: str) -> str:
    """Return the address of a page in a language; the English one has the plain name."""
    return name if language == "en" else f"{name}-{language}"

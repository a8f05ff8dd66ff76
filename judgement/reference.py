"""The one reader of reference data: the only code that opens a table of `dbt_project/seeds/`. A registry will replace this module alone.

Everything else in this room is pure; here files are read. A table is parsed once for each state of its file, so that asking is cheap and an
edit takes effect with the next question.
"""

import csv
import io
import math
import threading
import types
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from judgement.days import site_zone
from judgement.environment import Rules
from judgement.readiness import Requirements
from judgement.rows import Component, Switch
from judgement.switches import unclear
from judgement.worklist import Stations
from messages import because

__all__ = ["SEEDS", "BadReference", "read", "requirements", "rules", "stamp", "stations", "switches"]

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"
R = TypeVar("R")
_LOCK = threading.Lock()
_KEPT: dict[tuple[Path, type], tuple[object, tuple[Any, ...]]] = {}


class BadReference(ValueError):
    """A table of reference data that cannot be used: the text names file, line, column and what is wrong."""


def read(kind: type[R], folder: Path | None = None) -> tuple[R, ...]:
    """Return the rows of a table, in the order of the file.

    Parameters
    ----------
    kind
        A dataclass of `judgement.rows`.
    folder
        Of other seeds than the delivered ones.

    Raises
    ------
    OSError
        The file cannot be read.
    BadReference
        A row is not what its table says: a cell is missing, or is no number or day.
    """
    path = _path(kind, folder)
    written = _written(path)
    with _LOCK:
        kept = _KEPT.get((path, kind))
    if kept is not None and kept[0] == written:
        return kept[1]
    rows = tuple(_parsed(kind, path))
    with _LOCK:
        _KEPT[path, kind] = written, rows
    return rows


def stamp(kinds: Iterable[type], folder: Path | None = None) -> tuple[object, ...]:
    """Return what is another value when a table of these was edited; a table that is not there has None."""
    out: list[object] = []
    for kind in kinds:
        try:
            out.append(_written(_path(kind, folder)))
        except FileNotFoundError:
            out.append(None)
    return tuple(out)


def requirements(folder: Path | None = None) -> Requirements:
    """Return what examinations require before their steps."""
    return Requirements(*(read(kind, folder) for kind in Requirements.TABLES))


def rules(folder: Path | None = None) -> Rules:
    """Return what the rooms' environment is judged by."""
    return Rules.of(*(read(kind, folder) for kind in Rules.TABLES))  # type: ignore[call-arg]


def stations(site_id: str, day: str, folder: Path | None = None) -> Stations:
    """Return who may ask for a worklist at a site on a local day, and the policies then in force."""
    return Stations.of(site_id, day, *(read(kind, folder) for kind in Stations.TABLES))  # type: ignore[call-arg]


def switches(folder: Path | None = None) -> tuple[Switch, ...]:
    """Return the rows of component_switches.csv; one that cannot be obeyed is a BadReference: nothing is guessed about what is off."""
    known, rows = {c.component for c in read(Component, folder)}, read(Switch, folder)
    for n, row in enumerate(rows, 1):
        if wrong := unclear(row, known):
            raise _wrong(f"{Switch.TABLE}.csv", n + 1, because("reference.switch_unclear", columns=wrong))
    return rows


def _path(kind: type, folder: Path | None) -> Path:
    return (folder or SEEDS) / f"{kind.TABLE}.csv"  # type: ignore[attr-defined]


def _written(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _parsed(kind: type[R], path: Path) -> Iterable[R]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadReference(because("reference.no_utf8", file=path.name)) from exc
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = _columns(kind)  # type: ignore[arg-type]
    try:
        missing = [c for c in columns if c not in (reader.fieldnames or ())]
        if missing:
            raise _wrong(path.name, 1, because("reference.no_column", columns=missing))
        for row in reader:
            where = path.name, reader.line_num
            if None in row:  # type: ignore[comparison-overlap]
                raise _wrong(*where, because("reference.cells_many"))
            # cells that a row lacks at its end are empty, as the warehouse reads them
            yield kind(**{name: _cell(row[name] or "", name, into, where) for name, into in columns.items()})
    except csv.Error as exc:
        raise _wrong(path.name, reader.reader.line_num, str(exc)) from exc


def _wrong(file: str, line: int, problem: str) -> BadReference:
    return BadReference(because("reference.in_line", file=file, line=line, problem=problem))


def _cell(text: str, name: str, into: tuple[Callable[[str], Any], bool, str | list[str]], where: tuple[str, int]) -> Any:
    convert, may_be_empty, what = into
    if not text:
        if may_be_empty:
            return None
        raise _wrong(*where, because("reference.cell_empty", column=name))
    try:
        return convert(text)
    except ValueError as exc:
        raise _wrong(*where, because("reference.cell_wrong", column=name, text=text, what=what)) from exc


@cache
def _columns(kind: type) -> dict[str, tuple[Callable[[str], Any], bool, str | list[str]]]:
    """Return of each column how its text is read, whether it may be empty, and what it should be."""
    hints = get_type_hints(kind, include_extras=True)
    out = {}
    for f in fields(kind):
        hint, may_be_empty = hints[f.name], False
        if get_origin(hint) is types.UnionType or type(None) in get_args(hint):
            (hint,) = (a for a in get_args(hint) if a is not type(None))
            may_be_empty = True
        convert, what = (
            _one_of(get_args(hint)) if get_origin(hint) is Literal else _READERS[getattr(hint, "__metadata__", (hint,))[0]]
        )
        out[f.name] = convert, may_be_empty, what
    return out


def _one_of(words: tuple[str, ...]) -> tuple[Callable[[str], str], list[str]]:
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return convert, list(words)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _day(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError(text)
    return text


def _zone(text: str) -> str:
    return site_zone(text).key


_READERS: dict[Any, tuple[Callable[[str], Any], str]] = {
    str: (str, "a text"),
    int: (int, "a whole number"),
    float: (_finite, "a number"),
    date.fromisoformat: (_day, "a day (YYYY-MM-DD)"),
    site_zone: (_zone, "an IANA time zone (as Asia/Shanghai)"),
}

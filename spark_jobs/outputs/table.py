"""Answers of `photopeak analyse` for people and for programs: a table on a terminal, JSON; each answer is printed as it comes."""

import codecs
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from messages import because, both, from_fields, from_listed, name_of

__all__ = ["print_json", "print_table"]

SIGNS = {"≤": "<=", "≥": ">=", "±": "+/-", "…": "..", "·": "-", "–": "-", "×": "x"}
PIPED_WIDTH = 100  # columns, where no terminal says its own
WORDS = {"pass": "合格", "warn": "警告", "fail": "不合格", "none": "无判定"}
STYLE = {"pass": "green", "warn": "yellow", "fail": "bold red", "none": "dim"}


def print_json(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Print one JSON array, each row as it comes, and yield it; the array is closed whatever happens on the way."""
    joint = "[\n"
    try:
        for row in rows:
            sys.stdout.write(joint + _indented(row))
            joint = ",\n"
            yield row
    finally:
        print("[]" if joint == "[\n" else "\n]")


def _indented(row: dict[str, Any]) -> str:
    """Return a row as JSON, with escapes where the output has no letters for what stands in it (another encoding, a file name of bytes)."""
    text = json.dumps(row, ensure_ascii=False, indent=2, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(row, indent=2, allow_nan=False)
    return "\n".join(f"  {line}" for line in text.split("\n"))


def print_table(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Print a table for each row as it comes, and yield it."""
    from rich.console import Console
    from rich.text import Text

    from spark_jobs.pictures import STATUS

    joint = "\n  "  # the JSON keeps the English alone
    codecs.register_error("plain", _plain)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="plain")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    for row in rows:
        name = row["inputs"][0] + (f" and {len(row['inputs']) - 1} more" if len(row["inputs"]) > 1 else "")
        detector = f" · detector {row['detector']}" if row["detector"] else ""
        title = (
            f"{row['procedure']} {name_of('procedure', row['procedure'], 'zh')}"
            if row["procedure"]
            else because("series.procedure_unknown")
        )
        state = f"{row['status']} {STATUS[row['status']]}"
        console.print(Text(f"{title.rstrip()}{detector} · {state} · {name}", style="bold"), soft_wrap=True)
        if row["reason"]:
            console.print(Text(f"  {both(from_fields(row) or '', joint)}", style="yellow"))
        sources = {text: k for k, text in enumerate(dict.fromkeys(map(_source, row["limits"])), 1)}
        if row["measures"]:
            console.print(_measures(row, sources))
        for text, k in sources.items():
            console.print(Text(f"  [{k}] {text}", style="dim"))
        for warning in from_listed(row):
            console.print(Text(f"  note: {both(warning, joint)}", style="dim"))
        for kind in ("picture", "report", "page"):
            if row.get(kind):
                console.print(Text(f"  {kind}: {row[kind]}", style="dim"), soft_wrap=True)
        if row["method"]:
            console.print(Text(f"  method 方法: {row['method']}, version {row['method_version']}", style="dim"))
        overall = row["verdict"]
        console.print(Text(f"  verdict 判定: {overall} {WORDS[overall]}", style=STYLE[overall]))
        console.print()
        yield row


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for a letter that the terminal does not have: signs for a sign, question marks for the rest."""
    assert isinstance(error, UnicodeEncodeError)
    letter = error.object[error.start]
    return SIGNS.get(letter, "??" if "⺀" < letter < "\ud800" else "?"), error.start + 1  # Chinese is two columns wide


def _measures(row: dict[str, Any], sources: dict[str, int]) -> Any:
    """Return the values of a result with their limits as a table; `sources` numbers where the limits come from."""
    from rich.table import Column, Table
    from rich.text import Text

    limits = {(x["measure"], x.get("region")): x for x in row["limits"]}
    table = Table(
        Column("measure\n测量", no_wrap=True),
        Column("value\n值", no_wrap=True),
        Column("±", no_wrap=True),
        Column("unit\n单位", no_wrap=True),
        Column("limit\n限值", overflow="fold"),
        Column("verdict\n判定", no_wrap=True),
        Column("source\n来源", no_wrap=True),
        box=None,
        padding=(0, 1),
    )
    for m in row["measures"]:
        limit = limits.get((m["name"], m.get("region")))
        verdict = limit["verdict"] if limit else "none"
        table.add_row(
            m["name"] + (f" ({m['region']})" if m.get("region") else ""),
            f"{m['value']:.4g}",
            f"{m['uncertainty']:.2g}" if m["uncertainty"] is not None else "",
            "" if m["unit"] == "1" else m["unit"],
            _bounds(limit),
            Text(f"{verdict} {WORDS[verdict]}" if limit else "–", STYLE[verdict]),
            Text(f"[{sources[_source(limit)]}]" if limit else ""),
        )
    return table


def _source(limit: dict[str, Any]) -> str:
    parts = (
        limit["standard"],
        limit["clause"],
        because("limit.version", version=limit["version"], since=limit["valid_from"]),
        limit["approver"],
    )
    return ", ".join(str(p) for p in parts if p)


def _bounds(limit: dict[str, Any] | None) -> str:
    """Return what fails and what warns; a dash where no row is in force, a word where its value is not known yet."""
    if limit is None:
        return "–"
    fail, warn = (_range(limit[f"{kind}_low"], limit[f"{kind}_high"]) for kind in ("fail", "warn"))
    return ", ".join([*([fail] if fail else []), *([f"warn {warn}"] if warn else [])]) or because("limit.value_unknown")


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    return f"≤ {high:g}" if high is not None else f"≥ {low:g}" if low is not None else ""

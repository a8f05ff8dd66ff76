"""`photopeak analyse`: measure and judge images from files, with no server at all."""

import json as json_
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_jobs.documents import Document
    from spark_jobs.reading import Instance

__all__ = ["analyse"]

DONE, NOT_ALL_MEASURED, USAGE = 0, 1, 2
WORDS = {"pass": "合格", "warn": "警告", "fail": "不合格", "none": "无判定"}
STYLE = {"pass": "green", "warn": "yellow", "fail": "bold red", "none": "dim"}


def analyse(paths: list[Path], json: bool = False, picture: Path | None = None) -> int:
    """Measure the files, or the files of the folders, print table or JSON, and return the exit code.

    Returns
    -------
    int
        0 everything measured (or indicative), 1 something not measured, 2 a path that does not exist or cannot be read.
    """
    files = _files(paths)
    if isinstance(files, str):
        print(files, file=sys.stderr)
        return USAGE
    if picture is not None:
        try:
            picture.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            print(f"pictures cannot be written to {picture}: {exc.strerror}", file=sys.stderr)
            return USAGE
    try:
        rows = _rows(files, picture)
    except OSError as exc:
        print(f"{exc.filename} cannot be read or written: {exc.strerror}", file=sys.stderr)
        return USAGE
    if json:
        print(json_.dumps(rows, ensure_ascii=False, indent=2, allow_nan=False))
    else:
        _table(rows)
    return NOT_ALL_MEASURED if any(r["status"] == "not_measured" for r in rows) else DONE


def _files(paths: list[Path]) -> list[Path] | str:
    """Return the files that are meant, or the sentence that says which path is wrong."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            if not inside:
                return f"{path} holds no files: name a DICOM file or a folder of them"
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            return f"{path} does not exist: name a DICOM file or a folder of them"
    return files if files else "no path: name a DICOM file or a folder of them"


def _rows(files: list[Path], picture: Path | None) -> list[dict[str, Any]]:
    from spark_jobs.judge import device_of, judge, read_limits
    from spark_jobs.measure import measure_mixed, read_object
    from spark_jobs.qc.result import refused
    from spark_jobs.reading import Unreadable

    limits = read_limits()
    objects: list[Instance | Document] = []
    rows = []
    for path in dict.fromkeys(files):
        try:
            objects.append(read_object(path))
        except Unreadable as exc:
            rows.append({"inputs": [str(path)], **refused(str(exc)).to_dict(), "verdict": "none", "limits": []})
    number = 0
    for found in measure_mixed(objects):
        device = device_of(found.device_serial, found.station_name)
        for result in found.results:
            number += 1
            verdict, used = judge(result, limits, device, found.acquired_on)
            row = {
                "inputs": list(found.inputs),
                **result.to_dict(),
                "verdict": verdict,
                "limits": used,
                "device_id": device,
            }
            if picture is not None:
                row["picture"] = _picture(result, picture, number)
            rows.append(row)
    return rows


def _picture(result: Any, folder: Path, number: int) -> str | None:
    from spark_jobs.measure import render

    png = render([], result)
    if png is None:
        return None
    path = folder / f"{number:03d}_{result.procedure}{f'_{result.detector}' if result.detector else ''}.png".replace("#", "-")
    path.write_bytes(png)
    return str(path)


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console(highlight=False)
    for row in rows:
        name = row["inputs"][0] + (f" and {len(row['inputs']) - 1} more" if len(row["inputs"]) > 1 else "")
        detector = f" · detector {row['detector']}" if row["detector"] else ""
        console.print(Text(f"{row['procedure'] or 'unknown procedure'}{detector} · {row['status']} · {name}", style="bold"))
        if row["reason"]:
            console.print(Text(f"  {row['reason']}", style="yellow"))
        if row["measures"]:
            limits = {(x["measure"], x.get("region")): x for x in row["limits"]}
            table = Table(
                Column("measure 测量", no_wrap=True),
                "value 值",
                "±",
                "unit 单位",
                "limit 限值",
                "verdict 判定",
                box=None,
                padding=(0, 2),
            )
            for m in row["measures"]:
                limit = limits.get((m["name"], m.get("region")))
                verdict = limit["verdict"] if limit else "none"
                label = m["name"] + (f" ({m['region']})" if m.get("region") else "")
                spread = f"{m['uncertainty']:.2g}" if m["uncertainty"] is not None else ""
                table.add_row(
                    label,
                    f"{m['value']:.4g}",
                    spread,
                    m["unit"],
                    _bounds(limit),
                    Text(f"{verdict} {WORDS[verdict]}", STYLE[verdict]),
                )
            console.print(table)
        for warning in row["warnings"]:
            console.print(Text(f"  note: {warning}", style="dim"))
        if row.get("picture"):
            console.print(Text(f"  picture: {row['picture']}", style="dim"))
        if row["method"]:
            console.print(Text(f"  {row['method']} {row['method_version']}", style="dim"))
        overall = row["verdict"]
        console.print(Text(f"  verdict 判定: {overall} {WORDS[overall]}", style=STYLE[overall]))
        console.print()


def _bounds(limit: dict[str, Any] | None) -> str:
    """Return the fail bounds as text; empty when no row is in force, a word when its value is not known yet."""
    if limit is None:
        return ""
    low, high = limit["fail_low"], limit["fail_high"]
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    if high is not None:
        return f"≤ {high:g}"
    if low is not None:
        return f"≥ {low:g}"
    return "value unknown" if limit["warn_low"] is None and limit["warn_high"] is None else "warning band only"

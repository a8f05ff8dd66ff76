"""`photopeak analyse`: measure and judge images from files, with no server at all."""

import codecs
import json as json_
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.words import both

if TYPE_CHECKING:
    from spark_jobs.documents import Document
    from spark_jobs.reading import Instance

__all__ = ["analyse"]

DONE, NOT_ALL_MEASURED, USAGE = 0, 1, 2
SIGNS = {"≤": "<=", "≥": ">=", "±": "+/-", "…": "..", "·": "-", "–": "-", "×": "x"}
PIPED_WIDTH = 100  # columns, where no terminal says its own
WORDS = {"pass": "合格", "warn": "警告", "fail": "不合格", "none": "无判定"}
STYLE = {"pass": "green", "warn": "yellow", "fail": "bold red", "none": "dim"}


def analyse(
    paths: list[Path], json: bool = False, picture: Path | None = None, sr: Path | None = None, pdf: Path | None = None
) -> int:
    """Measure the files, or the files of the folders, print table or JSON, and return the exit code.

    Parameters
    ----------
    picture, pdf
        Folders for a picture, and a page, of each result.
    sr
        Folder for a DICOM Structured Report of each series.

    Returns
    -------
    int
        0 everything measured (or indicative), 1 something not measured, 2 a path that does not exist or cannot be read.
    """
    files = _files(paths)
    if isinstance(files, str):
        print(both(files, "\n  "), file=sys.stderr)
        return USAGE
    for folder in (picture, sr, pdf):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            print(f"nothing can be written to {folder}: {exc.strerror}", file=sys.stderr)
            return USAGE
    try:
        rows = _rows(files, picture, sr, pdf)
    except OSError as exc:
        print(f"{exc.filename} cannot be read or written: {exc.strerror}", file=sys.stderr)
        return USAGE
    if json:
        print(_json(rows))
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


def _rows(files: list[Path], picture: Path | None, sr: Path | None, pdf: Path | None) -> list[dict[str, Any]]:
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
    heap = measure_mixed(objects)
    number = 0
    for found in heap:
        device = device_of(found.device_serial, found.station_name)
        judged = [(result, *judge(result, limits, device, found.acquired_on)) for result in found.results]
        mine = [o for o in objects if o.source in found.inputs]
        history = [(h.acquired_on, r) for h in heap if _device(h) == _device(found) and h.acquired_on for r in h.results]
        report = _report(mine, judged, device, sr, number + 1) if sr is not None else None
        for result, verdict, used in judged:
            number += 1
            row = {
                "inputs": list(found.inputs),
                **result.to_dict(),
                "verdict": verdict,
                "limits": used,
                "device_id": device,
            }
            if picture is not None:
                row["picture"] = _picture(result, picture, number)
            if sr is not None:
                row["report"] = report
            if pdf is not None:
                row["page"] = _page(result, verdict, used, _facts(found, mine[0], device), history, pdf, number)
            rows.append(row)
    return rows


def _device(found: Any) -> tuple[str | None, str | None]:
    return found.device_serial, found.station_name


def _report(objects: list[Any], judged: list[Any], device: str, folder: Path, number: int) -> str | None:
    """Write the structured report of a series and return its path; None for documents, which are no DICOM objects."""
    from spark_jobs.outputs.structured_report import structured_report
    from spark_jobs.reading import Instance

    series = [o for o in objects if isinstance(o, Instance)]
    if not series:
        return None
    path = folder / f"{number:03d}_{judged[0][0].procedure or 'not_measured'}_sr.dcm"
    path.write_bytes(structured_report(series, judged, device))
    return str(path)


def _picture(result: Any, folder: Path, number: int) -> str | None:
    from spark_jobs.measure import render

    png = render([], result)
    if png is None:
        return None
    path = folder / f"{_stem(result, number)}.png"
    path.write_bytes(png)
    return str(path)


def _page(
    result: Any, verdict: str, limits: list[Any], facts: dict[str, str], earlier: list[Any], folder: Path, number: int
) -> str:
    from spark_jobs.outputs.page import page

    path = folder / f"{_stem(result, number)}.pdf"
    path.write_bytes(page(result, verdict, limits, facts, earlier))
    return str(path)


def _stem(result: Any, number: int) -> str:
    name = f"{number:03d}_{result.procedure or 'not_measured'}{f'_{result.detector}' if result.detector else ''}"
    return "".join(c if c.isalnum() or c in "_-" else "-" for c in name)


def _facts(found: Any, first: Any, device: str) -> dict[str, str]:
    """Return what the page says about an image beside its numbers: of which device, when, which file, made by what."""
    from hashlib import sha256

    header = getattr(first, "dataset", None) or {}
    model = " ".join(str(header.get(k)) for k in ("Manufacturer", "ManufacturerModelName") if header.get(k))
    inputs = [str(i) for i in found.inputs if i]
    name = Path(inputs[0]).name + (f" and {len(inputs) - 1} more" if len(inputs) > 1 else "") if inputs else ""
    digests = sha256("".join(sorted(sha256(Path(i).read_bytes()).hexdigest() for i in inputs)).encode()).hexdigest()
    return {
        "device 设备": device,
        "model 型号": model or "–",
        "serial, station 序列号": ", ".join(x for x in (found.device_serial, found.station_name) if x) or "–",
        "acquired 采集日期": found.acquired_on or "unknown 未知",
        "image 图像": _image(first, len(inputs)),
        "file 文件": os.fsencode(name).decode(errors="replace"),
        "digest of files 校验": digests[:16],
    }


def _image(first: Any, files: int) -> str:
    """Return modality, number and size of the images; a dash for documents."""
    if not hasattr(first, "pixel_mm"):
        return "–"
    frames = files * int(first.dataset.get("NumberOfFrames") or 1)
    pixel = f", {first.pixel_mm:.4g} mm" if first.pixel_mm else ""
    return f"{first.modality} {frames} × {first.rows} × {first.columns}{pixel}"


def _json(rows: list[dict[str, Any]]) -> str:
    """Return the JSON, with escapes where the output has no letters for what stands in it (another encoding, a file name of bytes)."""
    text = json_.dumps(rows, ensure_ascii=False, indent=2, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json_.dumps(rows, indent=2, allow_nan=False)
    return text


def _table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.text import Text

    from spark_jobs.pictures import STATUS, TITLES

    joint = "\n  "  # the JSON keeps the English alone
    codecs.register_error("plain", _plain)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="plain")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    for row in rows:
        name = row["inputs"][0] + (f" and {len(row['inputs']) - 1} more" if len(row["inputs"]) > 1 else "")
        detector = f" · detector {row['detector']}" if row["detector"] else ""
        title = f"{row['procedure']} {TITLES.get(row['procedure'], ('', ''))[1]}" if row["procedure"] else "unknown procedure"
        state = f"{row['status']} {STATUS[row['status']]}"
        console.print(Text(f"{title.rstrip()}{detector} · {state} · {name}", style="bold"), soft_wrap=True)
        if row["reason"]:
            console.print(Text(f"  {both(row['reason'], joint)}", style="yellow"))
        sources = {text: k for k, text in enumerate(dict.fromkeys(map(_source, row["limits"])), 1)}
        if row["measures"]:
            console.print(_measures(row, sources))
        for text, k in sources.items():
            console.print(Text(f"  [{k}] {text}", style="dim"))
        for warning in row["warnings"]:
            console.print(Text(f"  note: {both(warning, joint)}", style="dim"))
        for kind in ("picture", "report", "page"):
            if row.get(kind):
                console.print(Text(f"  {kind}: {row[kind]}", style="dim"), soft_wrap=True)
        if row["method"]:
            console.print(Text(f"  method 方法: {row['method']}, version {row['method_version']}", style="dim"))
        overall = row["verdict"]
        console.print(Text(f"  verdict 判定: {overall} {WORDS[overall]}", style=STYLE[overall]))
        console.print()


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
    parts = (limit["standard"], limit["clause"], f"version {limit['version']} since {limit['valid_from']}", limit["approver"])
    return ", ".join(str(p) for p in parts if p)


def _bounds(limit: dict[str, Any] | None) -> str:
    """Return what fails and what warns; a dash where no row is in force, a word where its value is not known yet."""
    if limit is None:
        return "–"
    fail, warn = (_range(limit[f"{kind}_low"], limit[f"{kind}_high"]) for kind in ("fail", "warn"))
    return ", ".join([*([fail] if fail else []), *([f"warn {warn}"] if warn else [])]) or "value unknown"


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    return f"≤ {high:g}" if high is not None else f"≥ {low:g}" if low is not None else ""

"""One result on one page of A4, to print, sign and file: what was measured, how, against which limit, and why it can be believed.

Chinese and English beside each other; without a font that has Chinese the page is in English alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from messages import because, name_of, render
from messages import both as in_both
from messages import source as in_both_languages
from spark_jobs.outputs.plots import control_chart, image_of, profile
from spark_jobs.pictures import PAINTERS, STATUS, chinese_font
from spark_jobs.pictures.ink import INK, WORST
from spark_jobs.qc.result import INDICATIVE, MEASURED, Measure, Result

__all__ = ["page"]

A4_INCHES = (8.27, 11.69)
LEFT, RIGHT, TOP, BOTTOM = 0.06, 0.94, 0.85, 0.055  # of what lies between the facts and the signature
PICTURES = (0.20, 0.32)  # least and most height
ROW, SMALLEST = 0.0135, 0.0072  # height of a row of the table, and the least that can be read in print
LINE = 0.0118
GREY = "#57606a"
COLOURS = {"pass": "#1a7f37", "warn": "#9a6700", "fail": WORST, "none": GREY}
VERDICTS = {"pass": "合格", "warn": "警告", "fail": "不合格", "none": "无判定"}
BOUNDS = ("warn_low", "warn_high", "fail_low", "fail_high")
COLUMNS = ((0.06, "measure", "测量"), (0.355, "value ± s", "值"), (0.475, "unit", "单位"), (0.585, "warning", "警告限"),
           (0.685, "failure", "不合格限"), (0.785, "verdict", "判定"), (0.875, "source", "来源"))  # fmt: skip
WORTH = {
    MEASURED: (
        "Two of order code, header class and pixels agreed on the procedure. Spacing, clipping, compression and earlier processing were "
        "checked before any number; a wrong phantom, geometry or header gives no number. ± is one standard deviation.",
        "检查类型由医嘱代码、图像头和像素三者中至少两者一致确定；测量前已检查像素间距、截断、压缩和处理痕迹；"
        "模体、几何或图像头有误时不给出数值。± 为一倍标准差。",
    ),
    INDICATIVE: (
        "The values may be looked at, but the image does not carry enough information for a verdict (see the note): none was given.",
        "数值仅供参考：图像信息不足以作出判定（见备注），因此不判定。",
    ),
    "not_measured": (
        "Nothing was measured, for the reason above. That is neither a pass nor a fail: repeat the acquisition or correct the header.",
        "因上述原因未测量。既不算合格也不算不合格：请重新采集或更正图像头。",
    ),
}


@dataclass(frozen=True)
class _Line:
    """A line of the foot, as wide as it may be."""

    text: str
    colour: str = GREY


def page(
    result: Result,
    verdict: str,
    limits: Sequence[Mapping[str, Any]],
    facts: Mapping[str, str],
    earlier: Sequence[tuple[str, Result]] = (),
) -> bytes:
    """Return the PDF of one result.

    Parameters
    ----------
    verdict, limits
        As `judge` returns them.
    facts
        What to print about the image, label to text, in this order.
    earlier
        Days and results of the same procedure, device and detector; those of the same method version make the control chart.
    """
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    family = chinese_font()
    both = bool(family)
    style: Any = {"font.family": [family, "DejaVu Sans"] if family else ["DejaVu Sans"], "font.size": 8, "pdf.fonttype": 3}
    style["text.parse_math"] = False  # a $ in a header or a file name is a $
    with matplotlib.rc_context(style):
        figure = Figure(figsize=A4_INCHES)
        FigureCanvasPdf(figure)
        _head(figure, result, verdict, both)
        _facts(figure, facts, both)
        sources = _sources(limits)
        foot = [part for line in _foot(result, limits, sources, both) for part in _wrapped(line)]
        floor = BOTTOM + LINE * len(foot) + 0.012
        chart = [e for e in earlier if _same_method(e[1], result)]
        room = TOP - floor - 0.03  # for pictures and rows
        drawn = (result.figure or {}).get("kind") in PAINTERS or len({day for day, _ in chart}) > 1
        tall = min(PICTURES[1], max(PICTURES[0], room - ROW * len(result.measures))) if drawn else 0.0
        row = min(ROW, max(SMALLEST, (room - tall) / max(len(result.measures), 1)))
        if drawn:
            _pictures(figure, result, limits, chart, both, tall)
        end = _table(figure, result, limits, sources, both, TOP - tall, row, floor)
        _write(figure, foot, end - 0.012)
        _signature(figure, both)
        out = BytesIO()
        figure.savefig(
            out, format="pdf", metadata={"CreationDate": None, "Title": f"Photopeak: {result.procedure or 'not measured'}"}
        )
    return out.getvalue()


def _same_method(a: Result, b: Result) -> bool:
    return (a.procedure, a.detector, a.method, a.method_version) == (b.procedure, b.detector, b.method, b.method_version)


def _head(figure: Any, result: Result, verdict: str, both: bool) -> None:
    english, chinese = (
        name_of("procedure", result.procedure, x) if result.procedure else render(because("series.procedure_unknown"), x)
        for x in ("en", "zh")
    )
    figure.text(LEFT, 0.958, english, fontsize=16, weight="bold", color=INK)
    state = result.status.replace("_", " ")
    if both:
        figure.text(LEFT, 0.939, chinese, fontsize=11, weight="bold", color=INK)
        state = f"{state} {STATUS[result.status]}"
    detector = f" · detector {'探头 ' if both else ''}{result.detector}" if result.detector else ""
    figure.text(LEFT, 0.922, state + detector, fontsize=9, color=GREY)
    said = "NO VERDICT" if verdict == "none" else verdict.upper()
    box = {"boxstyle": "round,pad=0.5", "fc": COLOURS[verdict], "ec": "none"}
    figure.text(0.93, 0.951, f"{said} {VERDICTS[verdict]}" if both else said, fontsize=14, weight="bold", color="white",
                ha="right", va="center", bbox=box)  # fmt: skip
    _rule(figure, 0.914)


def _rule(figure: Any, y: float) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(Line2D([LEFT, RIGHT], [y, y], color="#d0d7de", lw=0.8))


def _facts(figure: Any, facts: Mapping[str, str], both: bool) -> None:
    pairs = list(facts.items())
    half = (len(pairs) + 1) // 2
    for k, (label, text) in enumerate(pairs):
        x, y = (LEFT, 0.52)[k // half], 0.901 - LINE * (k % half)
        figure.text(x, y, label if both else "".join(c for c in label if c < "⺀").strip(), color=GREY, fontsize=7.5)
        figure.text(x + 0.14, y, _shortened(text, 0.3, 7.5), color=INK, fontsize=7.5)


def _pictures(
    figure: Any, result: Result, limits: Sequence[Mapping[str, Any]], earlier: list[tuple[str, Result]], both: bool, tall: float
) -> None:
    """Draw the procedure's picture, the profile through its worst spot and the control chart, side by side."""
    f = result.figure or {}
    painter = PAINTERS.get(str(f.get("kind")))
    image = image_of(f)
    several = len({day for day, _ in earlier}) > 1
    base, high = TOP - tall + 0.05, tall - 0.06
    if painter is not None:
        axes = figure.add_axes((0.10, base, 0.46 if image is not None or several else 0.84, high))
        painter(axes, f, both)
        axes.title.set_fontsize(8)
    half = (high - 0.075) / 2
    if image is not None:
        profile(
            figure.add_axes((0.67, base + (half + 0.06 if several else 0.0), 0.26, half if several else high * 0.8)),
            image,
            result,
            both,
        )
    if several:
        left, wide = (0.67, 0.26) if painter is not None else (0.10, 0.83)
        control_chart(
            figure.add_axes((left, base, wide, half if image is not None else high * 0.85)), earlier, result, limits, both
        )


def _sources(limits: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the sources of the limits with their numbers on this page."""
    return {text: k for k, text in enumerate(dict.fromkeys(map(_source, limits)), 1)}


def _source(limit: Mapping[str, Any]) -> str:
    parts = (limit["standard"], limit["clause"], because("limit.version", version=limit["version"], since=limit["valid_from"]))
    return ", ".join(str(p) for p in parts if p)


def _table(
    figure: Any,
    result: Result,
    limits: Sequence[Mapping[str, Any]],
    sources: Mapping[str, int],
    both: bool,
    y: float,
    row: float,
    floor: float,
) -> float:
    """Write the rows and return where they end."""
    used = {(x["measure"], x.get("region")): x for x in limits}
    for x, english, chinese in COLUMNS:
        figure.text(x, y, f"{english} {chinese}" if both else english, color=GREY, fontsize=7)
    _rule(figure, y - 0.005)
    y -= 0.006
    size = 7.5 * min(1.0, row / LINE)
    fits = max(int((y - floor) / row), 1)
    shown = result.measures if len(result.measures) <= fits else result.measures[: fits - 1]
    for m in shown:
        y -= row
        _row(figure, y, m, used.get((m.name, m.region)), sources, both, size)
    left = len(result.measures) - len(shown)
    if left:
        more = f"and {left} more values: see the table or the structured report" + (
            "  其余数值见数据表或结构化报告" if both else ""
        )
        y -= row
        figure.text(LEFT, y, more, color=WORST, fontsize=size)
    if not result.measures:
        y -= 0.015
        figure.text(LEFT, y, because("verdict.no_value") + ("  无数值" if both else ""), color=GREY)
    return y


def _row(
    figure: Any, y: float, m: Measure, limit: Mapping[str, Any] | None, sources: Mapping[str, int], both: bool, size: float
) -> None:
    verdict = limit["verdict"] if limit else "none"
    about = [p for p in (m.aspect, m.region) if p and p != "whole"]
    # the fixed name first: that is what limits, JSON and DICOM call it
    label = m.name + (f" ({', '.join(about)})" if about else "")
    named = f"{label} {name_of('measure', m.name, 'zh')}"
    label = named if both and _shortened(named, 0.295, size) == named else label
    weight = "bold" if verdict in ("fail", "warn") else "normal"
    spread = f" ± {m.uncertainty:.2g}" if m.uncertainty is not None else ""
    unknown = limit is not None and all(limit[b] is None for b in BOUNDS)
    none = ("no limit" + (" 无限值" if both else "")) if limit is None else ""
    texts = (
        (_shortened(label, 0.295, size), INK),
        (f"{_figures(m.value)}{spread}", INK),
        ("" if m.unit == "1" else m.unit, INK),
        (none or ((because("limit.value_unknown") + (" 限值待定" if both else "")) if unknown else _bounds(limit, "warn")), GREY),
        ("" if unknown else _bounds(limit, "fail"), GREY),
        ((f"{verdict} {VERDICTS[verdict]}" if both else verdict) if limit else "–", COLOURS[verdict]),
        (f"[{sources[_source(limit)]}]" if limit else "", GREY),
    )
    for (x, *_), (text, colour) in zip(COLUMNS, texts, strict=True):
        figure.text(x, y, text, color=colour, weight=weight if colour != GREY else "normal", fontsize=size)


def _figures(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _bounds(limit: Mapping[str, Any] | None, kind: str) -> str:
    low, high = (limit[f"{kind}_low"], limit[f"{kind}_high"]) if limit else (None, None)
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    return f"≤ {high:g}" if high is not None else f"≥ {low:g}" if low is not None else ""


def _foot(result: Result, limits: Sequence[Mapping[str, Any]], sources: Mapping[str, int], both: bool) -> list[_Line]:
    """Return what stands under the table: sources of the limits, method, notes, and why the numbers can be believed."""
    lines: list[_Line] = []
    if sources:
        lines.append(_Line("   ".join(f"[{k}] {text}" for text, k in sources.items())))
        approvers = sorted({str(x["approver"]) for x in limits if x["approver"]})
        lines.append(
            _Line(
                f"Limits approved{' 限值批准' if both else ''}: {'; '.join(map(in_both_languages, approvers) if both else approvers) or 'nobody'}"
            )
        )
    if result.method:
        lines.append(_Line(f"Method{' 方法' if both else ''}: {result.method}, version {result.method_version}", INK))
    notes = [*([result.reason] if result.reason else []), *result.warnings]
    lines += [
        _Line(f"Note{' 备注' if both else ''}: {in_both(text) if both else text}", WORST if k == 0 and result.reason else INK)
        for k, text in enumerate(notes)
    ]
    english, chinese = WORTH[result.status]
    return [*lines, _Line(english), *([_Line(chinese)] if both else [])]


def _write(figure: Any, lines: Sequence[_Line], y: float) -> None:
    for line in lines:
        y -= LINE
        figure.text(LEFT, y, line.text, color=line.colour, fontsize=7)


def _signature(figure: Any, both: bool) -> None:
    _rule(figure, 0.045)
    reviewed, date = ("reviewed by 审核", "date 日期") if both else ("reviewed by", "date")
    figure.text(LEFT, 0.028, f"{reviewed} ____________________   {date} ______________", color=INK, fontsize=8)
    figure.text(RIGHT, 0.028, "Photopeak", color=GREY, fontsize=8, ha="right")


def _ems(text: str) -> float:
    """Return about how wide a text is, in heights of its font."""
    return sum(1.0 if c > "⺀" else 0.66 if c.isupper() else 0.55 for c in text)


def _shortened(text: str, width: float, size: float) -> str:
    """Return the text, cut where it is wider than that part of the page."""
    room = width * A4_INCHES[0] * 72 / size
    if _ems(text) <= room:
        return text
    while text and _ems(text) > room - 1:
        text = text[:-1]
    return f"{text}…"


def _wrapped(line: _Line, size: float = 7) -> list[_Line]:
    """Return the line in pieces that fit between the margins; Chinese breaks anywhere but before punctuation."""
    room = (RIGHT - LEFT) * A4_INCHES[0] * 72 / size
    out, word = [""], ""
    for c in f"{line.text} ":
        word += c
        if c != " " and c < "⺀":
            continue
        if _ems(out[-1] + word.rstrip()) > room and out[-1] and word[0] not in "，。；：、）":
            out.append("")
        out[-1] += word
        word = ""
    return [_Line(part.rstrip(), line.colour) for part in out]

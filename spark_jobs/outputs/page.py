"""One result on one page of A4, to print, sign and file: what was measured, how, against which limit, and why it can be believed.

Chinese and English beside each other; without a font that has Chinese the page is in English alone.
"""

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from spark_jobs.pictures import PAINTERS, STATUS, TITLES, chinese_font
from spark_jobs.pictures.ink import INK, UFOV, WORST
from spark_jobs.qc.result import INDICATIVE, MEASURED, Measure, Result

__all__ = ["page"]

A4_INCHES = (8.27, 11.69)
GREY = "#57606a"
COLOURS = {"pass": "#1a7f37", "warn": "#9a6700", "fail": WORST, "none": GREY}
VERDICTS = {"pass": "合格", "warn": "警告", "fail": "不合格", "none": "无判定"}
ROWS = 24  # of the table; more do not fit on one page
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
    with matplotlib.rc_context(style):
        figure = Figure(figsize=A4_INCHES)
        FigureCanvasPdf(figure)
        _head(figure, result, verdict, both)
        _facts(figure, facts)
        _pictures(figure, result, limits, [e for e in earlier if _same_method(e[1], result)], both)
        _table(figure, result, limits, both)
        _foot(figure, result, both)
        out = BytesIO()
        figure.savefig(
            out, format="pdf", metadata={"CreationDate": None, "Title": f"Photopeak: {result.procedure or 'not measured'}"}
        )
    return out.getvalue()


def _same_method(a: Result, b: Result) -> bool:
    return (a.procedure, a.detector, a.method, a.method_version) == (b.procedure, b.detector, b.method, b.method_version)


def _head(figure: Any, result: Result, verdict: str, both: bool) -> None:
    english, chinese = TITLES.get(str(result.procedure), ("Unknown procedure", "未能识别的检测"))
    figure.text(0.06, 0.955, f"{english}  {chinese}" if both else english, fontsize=17, weight="bold", color=INK)
    state = f"{result.status.replace('_', ' ')} {STATUS[result.status]}" if both else result.status.replace("_", " ")
    detector = f" · detector {'探头 ' if both else ''}{result.detector}" if result.detector else ""
    figure.text(0.06, 0.933, state + detector, fontsize=10, color=GREY)
    said = f"{verdict.upper()} {VERDICTS[verdict]}" if both else verdict.upper()
    if verdict == "none":
        said = "NO VERDICT 无判定" if both else "NO VERDICT"
    box = {"boxstyle": "round,pad=0.5", "fc": COLOURS[verdict], "ec": "none"}
    figure.text(0.94, 0.952, said, fontsize=15, weight="bold", color="white", ha="right", va="center", bbox=box)
    _rule(figure, 0.922)


def _rule(figure: Any, y: float) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(Line2D([0.06, 0.94], [y, y], color="#d0d7de", lw=0.8))


def _facts(figure: Any, facts: Mapping[str, str]) -> None:
    pairs = list(facts.items())
    half = (len(pairs) + 1) // 2
    for k, (label, text) in enumerate(pairs):
        x, y = (0.06, 0.52)[k // half], 0.908 - 0.0145 * (k % half)
        figure.text(x, y, label, color=GREY, fontsize=7.5)
        figure.text(x + 0.15, y, textwrap.shorten(text, 52, placeholder=" …"), color=INK, fontsize=7.5)


def _pictures(
    figure: Any, result: Result, limits: Sequence[Mapping[str, Any]], earlier: list[tuple[str, Result]], both: bool
) -> None:
    f = result.figure or {}
    painter = PAINTERS.get(str(f.get("kind")))
    wide = painter is not None and _image(f) is None and len(earlier) < 2
    if painter is not None:
        axes = figure.add_axes((0.10, 0.565, 0.84 if wide else 0.46, 0.27))
        painter(axes, f, both)
        axes.title.set_fontsize(8)
    image = _image(f)
    if image is not None:
        _profile(figure.add_axes((0.66, 0.725, 0.28, 0.11)), image, f, both)
    if len(earlier) > 1:
        _chart(figure.add_axes((0.66, 0.565, 0.28, 0.10 if image is not None else 0.27)), earlier, result, limits, both)


def _image(f: Mapping[str, Any]) -> np.ndarray | None:
    image = f.get("image")
    return np.asarray(image, float) if image is not None and np.ndim(image) == 2 else None


def _profile(axes: Any, image: np.ndarray, f: Mapping[str, Any], both: bool) -> None:
    """Draw the row and the column through the worst spot, or through the middle where no spot is marked."""
    worst = f.get("worst")
    at = worst if isinstance(worst, dict) and {"row", "column"} <= set(worst) else {}
    row = int(np.clip(at.get("row", image.shape[0] // 2), 0, image.shape[0] - 1))
    column = int(np.clip(at.get("column", image.shape[1] // 2), 0, image.shape[1] - 1))
    axes.plot(image[row], color=UFOV, lw=0.9, label=f"row {row}" + (" 行" if both else ""))
    axes.plot(image[:, column], color="#bf8700", lw=0.9, label=f"column {column}" + (" 列" if both else ""))
    axes.set_title("profile / pixel" + ("  剖面" if both else ""), fontsize=8, pad=14)
    axes.tick_params(labelsize=6)
    axes.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=2, frameon=False)


def _chart(axes: Any, earlier: list[tuple[str, Result]], result: Result, limits: Sequence[Mapping[str, Any]], both: bool) -> None:
    """Draw the values of one measure over the days: that with the worst verdict, else the first that has a limit."""
    order = ("fail", "warn", "pass", "none")
    known = [x for x in limits if any(x[b] is not None for b in ("warn_low", "warn_high", "fail_low", "fail_high"))]
    chosen = min(known, key=lambda x: order.index(x["verdict"]), default=None)
    first = result.measures[0] if result.measures else None
    name, region = (chosen["measure"], chosen.get("region")) if chosen else (first.name, first.region) if first else (None, None)
    points = [
        (day, m) for day, r in sorted(earlier, key=lambda e: e[0]) for m in r.measures if (m.name, m.region) == (name, region)
    ]
    if len(points) < 2:
        axes.set_axis_off()
        return
    axes.plot(range(len(points)), [m.value for _, m in points], "o-", color=INK, ms=3, lw=0.8)
    for bound, colour in (("warn_low", "#bf8700"), ("warn_high", "#bf8700"), ("fail_low", WORST), ("fail_high", WORST)):
        if chosen and chosen[bound] is not None:
            axes.axhline(chosen[bound], color=colour, lw=0.9, ls="--")
    axes.set_xticks([0, len(points) - 1], [points[0][0], points[-1][0]])
    axes.set_title(f"{name} / {points[0][1].unit}" + ("  控制图" if both else "  control chart"), fontsize=8)
    axes.tick_params(labelsize=6)


def _table(figure: Any, result: Result, limits: Sequence[Mapping[str, Any]], both: bool) -> None:
    used = {(x["measure"], x.get("region")): x for x in limits}
    columns = ((0.06, "measure", "测量"), (0.34, "value ± s", "值"), (0.45, "unit", "单位"), (0.505, "warning", "警告限"),
               (0.605, "failure", "不合格限"), (0.705, "verdict", "判定"), (0.785, "source of the limit", "限值来源"))  # fmt: skip
    y = 0.505
    for x, english, chinese in columns:
        figure.text(x, y, f"{english} {chinese}" if both else english, color=GREY, fontsize=7.5)
    _rule(figure, y - 0.005)
    y -= 0.004
    for m in result.measures[:ROWS]:
        y -= 0.0135
        _row(figure, y, m, used.get((m.name, m.region)), both)
    if len(result.measures) > ROWS:
        figure.text(
            0.06, y - 0.0135, f"and {len(result.measures) - ROWS} more: see the JSON or the structured report", color=GREY
        )
    if not result.measures:
        figure.text(0.06, y - 0.02, "no value" + ("  无数值" if both else ""), color=GREY)


def _row(figure: Any, y: float, m: Measure, limit: Mapping[str, Any] | None, both: bool) -> None:
    verdict = limit["verdict"] if limit else "none"
    label = m.name + (f" ({', '.join(p for p in (m.aspect, m.region) if p)})" if m.aspect or m.region else "")
    weight = "bold" if verdict in ("fail", "warn") else "normal"
    spread = f" ± {m.uncertainty:.2g}" if m.uncertainty is not None else ""
    unknown = limit is not None and all(limit[b] is None for b in ("warn_low", "warn_high", "fail_low", "fail_high"))
    warning = "value unknown" if unknown else _bounds(limit, "warn")
    source = f"{limit['standard'] or ''} {limit['clause'] or ''} v{limit['version']}" if limit else ""
    texts = (
        (0.06, textwrap.shorten(label, 46, placeholder=" …"), INK),
        (0.34, f"{_figures(m.value)}{spread}", INK),
        (0.45, "" if m.unit == "1" else m.unit, INK),
        (0.505, warning, GREY),
        (0.605, "" if unknown else _bounds(limit, "fail"), GREY),
        (0.705, (f"{verdict} {VERDICTS[verdict]}" if both else verdict) if limit else "–", COLOURS[verdict]),
        (0.785, textwrap.shorten(source, 27, placeholder=" …"), GREY),
    )
    for x, text, colour in texts:
        figure.text(x, y, text, color=colour, weight=weight if colour != GREY else "normal", fontsize=7.5)


def _figures(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _bounds(limit: Mapping[str, Any] | None, kind: str) -> str:
    low, high = (limit[f"{kind}_low"], limit[f"{kind}_high"]) if limit else (None, None)
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    return f"≤ {high:g}" if high is not None else f"≥ {low:g}" if low is not None else ""


def _foot(figure: Any, result: Result, both: bool) -> None:
    lines: list[tuple[str, str]] = []
    if result.method:
        lines.append((f"Method{' 方法' if both else ''}: {result.method}, version {result.method_version}", INK))
    lines += [(f"Note{' 备注' if both else ''}: {text}", WORST if k == 0 and result.reason else INK)
              for k, text in enumerate([*([result.reason] if result.reason else []), *result.warnings])]  # fmt: skip
    english, chinese = WORTH[result.status]
    lines += [(english, GREY)] + ([(chinese, GREY)] if both else [])
    y = 0.15
    for text, colour in lines:
        for part in textwrap.wrap(text, 74 if text[:1] > "⺀" else 148):
            figure.text(0.06, y, part, color=colour, fontsize=7)
            y -= 0.0118
    _rule(figure, 0.045)
    signed = (
        "reviewed by 审核 ____________________   date 日期 ______________"
        if both
        else "reviewed by ____________________   date ____________"
    )
    figure.text(0.06, 0.028, signed, color=INK, fontsize=8)
    figure.text(0.94, 0.028, "Photopeak", color=GREY, fontsize=8, ha="right")

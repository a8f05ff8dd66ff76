"""Pictures of results: the image with its field of view and worst spot, or the fitted curve, labelled in English and Chinese."""

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

from messages import both as in_both
from messages import name_of
from spark_jobs.pictures import clinical, combined, ct, gamma_camera, pet, spect
from spark_jobs.pictures.ink import INK
from spark_jobs.qc.result import Result

__all__ = ["PAINTERS", "STATUS", "chinese_font", "draw"]

FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Serif CJK SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei")
STATUS = {"measured": "已测量", "indicative": "仅供参考", "not_measured": "未测量"}
MOST_LINES = 34
ROOM_PT = 330  # of the list and the foot
FAMILIES = (gamma_camera, spect, pet, ct, clinical, combined)
PAINTERS: dict[str, Callable[[Any, dict[str, Any], bool], None]] = {k: p for f in FAMILIES for k, p in f.PAINTERS.items()}


def draw(result: Result) -> bytes | None:
    """Return a PNG of a result that carries its arrays, or None when its procedure has no picture."""
    painter = PAINTERS.get(str((result.figure or {}).get("kind")))
    if painter is None or result.figure is None:
        return None
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    family = chinese_font()
    english, chinese = (name_of("procedure", str(result.procedure), language) for language in ("en", "zh"))
    with matplotlib.rc_context({"font.family": [family, "DejaVu Sans"] if family else ["DejaVu Sans"], "font.size": 9}):
        room = ConstrainedLayoutEngine(rect=(0, 0.03, 1, 0.92))  # titles and marks of square images stand beyond it
        figure = Figure(figsize=(9, 5.6), dpi=110, layout=room)
        FigureCanvasAgg(figure)
        picture, words = figure.subplots(1, 2, width_ratios=[3, 2])
        painter(picture, result.figure, bool(family))
        words.axis("off")
        title = f"{english}  {chinese}" if family else english
        state = f"{result.status}  {STATUS[result.status]}" if family else result.status
        head = [title, state + (f"  detector {result.detector}" if result.detector else "")]
        words.text(0, 1, "\n".join(head), va="top", weight="bold", color=INK, fontsize=11)
        lines = [_line(m) for m in result.measures]
        if len(lines) > MOST_LINES:
            more = f"… and {len(lines) - MOST_LINES + 1} more in the table" + (" 其余见数据表" if family else "")
            lines = [*lines[: MOST_LINES - 1], more]
        size = min(8.0, 8.0 * 22 / max(len(lines), 1))  # a long list is set smaller, so that it ends above the foot
        words.text(0, 0.86, "\n".join(lines), va="top", color=INK, fontsize=size, linespacing=1.5)
        said = [*([result.reason] if result.reason else []), *result.warnings]
        method = f"{result.method} {result.method_version}"
        foot = _wrapped([method, *(part for text in said for part in (in_both(text, "\n") if family else text).split("\n"))])
        if 9 * len(foot) + 1.5 * size * len(lines) > ROOM_PT:  # no place for both languages
            foot = _wrapped([method, *said])
        words.text(0, 0, "\n".join(foot), va="bottom", color="#57606a", fontsize=7.5)
        out = BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def chinese_font() -> str | None:
    """Return a font of this machine that has Chinese, or None."""
    from matplotlib import font_manager

    there = {f.name for f in font_manager.fontManager.ttflist}
    return next((name for name in FONTS if name in there), None)


def _line(m: Any) -> str:
    spread = f" ± {m.uncertainty:.2g}" if m.uncertainty else ""
    region = f" ({m.region})" if m.region else ""
    return f"{m.name}{region} = {m.value:.4g}{spread} {m.unit if m.unit != '1' else ''}".rstrip()


def _wrapped(lines: list[str]) -> list[str]:
    import textwrap

    return [part for line in lines for part in textwrap.wrap(line, 30 if re.search("[\u4e00-\u9fff]", line) else 58)]

"""Pictures of results: the image with its field of view and worst spot, or the fitted curve, labelled in English and Chinese."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np

from spark_jobs.qc.result import Result

__all__ = ["draw"]

FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Serif CJK SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei")
TITLES = {
    "planar_uniformity": ("Planar uniformity", "平面均匀性"),
    "centre_of_rotation": ("Centre of rotation", "旋转中心"),
    "ct_water": ("CT water phantom", "CT 水模"),
    "whole_body_bone": ("Whole-body bone scan", "全身骨显像"),
}
STATUS = {"measured": "已测量", "indicative": "仅供参考", "not_measured": "未测量"}
INK, UFOV, CFOV, WORST = "#1b1f24", "#1f6feb", "#f2a900", "#d1242f"


def draw(result: Result) -> bytes | None:
    """Return a PNG of a result that carries its arrays, or None when its procedure has no picture."""
    painter = PAINTERS.get(str((result.figure or {}).get("kind")))
    if painter is None or result.figure is None:
        return None
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    family = _chinese_font()
    english, chinese = TITLES[str(result.procedure)]
    with matplotlib.rc_context({"font.family": [family, "DejaVu Sans"] if family else ["DejaVu Sans"], "font.size": 9}):
        figure = Figure(figsize=(9, 5.6), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        picture, words = figure.subplots(1, 2, width_ratios=[3, 2])
        painter(picture, result.figure, bool(family))
        words.axis("off")
        title = f"{english}  {chinese}" if family else english
        state = f"{result.status}  {STATUS[result.status]}" if family else result.status
        head = [title, state + (f"  detector {result.detector}" if result.detector else "")]
        words.text(0, 1, "\n".join(head), va="top", weight="bold", color=INK, fontsize=11)
        lines = [_line(m) for m in result.measures]
        words.text(0, 0.86, "\n".join(lines[:26]), va="top", color=INK, fontsize=8, linespacing=1.5)
        foot = [f"{result.method} {result.method_version}", *([result.reason] if result.reason else []), *result.warnings]
        words.text(0, 0, "\n".join(_wrapped(foot)), va="bottom", color="#57606a", fontsize=7.5)
        out = BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _chinese_font() -> str | None:
    from matplotlib import font_manager

    there = {f.name for f in font_manager.fontManager.ttflist}
    return next((name for name in FONTS if name in there), None)


def _line(m: Any) -> str:
    spread = f" ± {m.uncertainty:.2g}" if m.uncertainty else ""
    region = f" ({m.region})" if m.region else ""
    return f"{m.name}{region} = {m.value:.4g}{spread} {m.unit if m.unit != '1' else ''}".rstrip()


def _wrapped(lines: list[str]) -> list[str]:
    import textwrap

    return [part for line in lines for part in textwrap.wrap(line, 58)]


def _flood(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    image, mean = f["image"], float(f["image"][f["cfov"]].mean())
    shown = np.ma.masked_where(~f["ufov"], image / mean)
    drawn = axes.imshow(shown, cmap="viridis", vmin=0.9, vmax=1.1, interpolation="nearest")
    axes.contour(f["ufov"], [0.5], colors=UFOV, linewidths=1.5)
    axes.contour(f["cfov"], [0.5], colors=CFOV, linewidths=1.5)
    worst = f["worst"]
    axes.plot(worst["column"], worst["row"], "o", ms=14, mfc="none", mec=WORST, mew=2)
    note = f"{100 * (worst['relative'] - 1):+.1f} %" + (" 最差点" if chinese else " worst spot")
    axes.annotate(note, (worst["column"], worst["row"]), (8, 10), textcoords="offset points", color=WORST, weight="bold")
    label = "counts ÷ mean of CFOV" + ("  计数 ÷ CFOV 均值" if chinese else "")
    axes.figure.colorbar(drawn, ax=axes, location="bottom", label=label, shrink=0.8)
    axes.set_title(f"UFOV (blue) · CFOV (amber) · {f['pixel_mm']:.2f} mm")
    axes.set_axis_off()


def _rotation(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    pixel_mm, middle = f["pixel_mm"], (f["columns"] - 1) / 2
    a, p, q = f["coefficients"]
    order = np.argsort(f["angles"])
    angles = f["angles"][order]
    fine = np.deg2rad(np.linspace(angles[0], angles[-1], 361))
    axes.plot(
        np.rad2deg(fine),
        (a + p * np.sin(fine) + q * np.cos(fine) - middle) * pixel_mm,
        color=UFOV,
        label="fit" + (" 拟合" if chinese else ""),
    )
    axes.plot(angles, (f["x"][order] - middle) * pixel_mm, ".", color=INK, label="centroid" + (" 质心" if chinese else ""))
    axes.axhline(f["offset"], color=WORST, lw=1.2, label=f"offset {f['offset']:+.2f} mm" + (" 偏移" if chinese else ""))
    axes.axhline(0, color="#8c959f", lw=0.8, ls=":")
    worst = f["worst"]
    axes.plot(f["angles"][worst], (f["x"][worst] - middle) * pixel_mm, "o", ms=12, mfc="none", mec=WORST, mew=1.5)
    axes.set_xlabel("angle / °" + ("  角度" if chinese else ""))
    axes.set_ylabel("x / mm" + ("  位置" if chinese else ""))
    axes.legend(loc="best", fontsize=8)


def _water(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    axes.imshow(f["image"], cmap="gray", vmin=-60, vmax=60, interpolation="nearest")
    names = ["top", "right", "bottom", "left", "centre"]
    for name, (row, column, radius) in zip(names, f["circles"], strict=True):
        axes.add_patch(Circle((column, row), radius, fill=False, lw=1.8, ec=WORST if name == f["worst"] else UFOV))
    axes.set_title("window ±60 HU · red: largest deviation" + ("  红圈：偏差最大" if chinese else ""))
    axes.set_axis_off()


def _bone(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    views = list(f["views"].items())
    image = np.concatenate([v for _, v in views], axis=1).astype(float)
    mask = np.concatenate([f["masks"][k] for k, _ in views], axis=1)
    top = max(float(np.percentile(image, 99.7)), 1.0)
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
    axes.contour(mask, [0.5], colors=UFOV, linewidths=0.8)
    axes.set_title(" · ".join(k for k, _ in views) + ("  体轮廓（蓝）" if chinese else "  outline (blue)"))
    axes.set_axis_off()


PAINTERS: dict[str, Callable[[Any, dict[str, Any], bool], None]] = {
    "planar_uniformity": _flood,
    "centre_of_rotation": _rotation,
    "ct_water": _water,
    "whole_body_bone": _bone,
}

"""Pictures of planar images: the field of view and the worst spot, lines and their profiles, displaced slits."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import CFOV, INK, UFOV, WORST

__all__ = ["PAINTERS", "TITLES"]


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


def _lines(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    axes.set_axis_off()
    picture, inset = axes.inset_axes((0.0, 0.4, 1.0, 0.6)), axes.inset_axes((0.12, 0.06, 0.86, 0.28))
    image = f["image"]
    picture.imshow(image, cmap="gray", vmax=max(float(np.percentile(image, 99.8)), 1.0), interpolation="nearest")
    for x, y in f["lines"]:
        picture.plot(x, y, color=UFOV, lw=0.8, ls="--")
    picture.set_axis_off()
    for (axis, (offset_mm, counts)), colour in zip(sorted(f["profiles"].items()), (WORST, UFOV), strict=False):
        inset.plot(offset_mm, counts / counts.max(), color=colour, lw=1.2, label=axis.upper())
    for part in (0.5, 0.1):
        inset.axhline(part, color=INK, lw=0.6, ls=":")
    inset.set_xlabel("mm")
    inset.set_ylabel("÷ peak" + (" 峰值" if chinese else ""), fontsize=7)
    inset.tick_params(labelsize=7)
    inset.legend(fontsize=7)


def _slits(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    image, rest = f["image"], f["displacement_mm"]
    axes.imshow(image, cmap="gray", vmax=max(float(np.percentile(image, 99.8)), 1.0), interpolation="nearest")
    most = max(float(np.abs(rest).max()), 1e-6)
    drawn = axes.scatter(f["column"], f["row"], c=rest, s=5, cmap="coolwarm", vmin=-most, vmax=most)
    worst = int(np.argmax(np.abs(rest)))
    axes.plot(f["column"][worst], f["row"][worst], "o", ms=14, mfc="none", mec=WORST, mew=2)
    label = f"displacement in {f['axis'].upper()} / mm" + ("  位移" if chinese else "")
    axes.figure.colorbar(drawn, ax=axes, location="bottom", label=label, shrink=0.8)
    axes.set_axis_off()


def _quadrants(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    image = f["image"]
    axes.imshow(image, cmap="gray", vmax=max(float(np.percentile(image, 99.8)), 1.0), interpolation="nearest")
    turn = np.linspace(0, 2 * np.pi, 100)
    for _, row, column, radius, width, mtf in f["disks"]:
        axes.plot(column + radius * np.cos(turn), row + radius * np.sin(turn), color=CFOV, lw=1.5)
        said = {"color": CFOV, "ha": "center", "va": "top", "weight": "bold", "bbox": {"fc": "#000000c0", "ec": "none", "pad": 1}}
        axes.text(column, row + radius + 4, f"{width:.2f} mm\nMTF {mtf:.2f}", fontsize=8, **said)
    axes.set_title("bar width, MTF" + ("  栅条宽度，调制传递" if chinese else ""))
    axes.set_axis_off()


PAINTERS = {
    "planar_uniformity": _flood,
    "line_source": _lines,
    "four_bar": _lines,
    "linearity": _slits,
    "quadrant_bar": _quadrants,
}
TITLES = {
    "planar_uniformity": ("Planar uniformity", "平面均匀性"),
    "line_source": ("Spatial resolution, line source", "空间分辨率（线源）"),
    "four_bar": ("Spatial resolution, four bars", "空间分辨率（四线源）"),
    "linearity": ("Spatial linearity", "空间线性"),
    "quadrant_bar": ("Four-quadrant bar phantom", "四象限铅栅"),
}

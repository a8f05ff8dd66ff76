"""Pictures of planar images and counting tests: the field and its worst spot, lines and slits, the source, the rates, the points."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import CFOV, INK, UFOV, WORST

__all__ = ["PAINTERS"]


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


def _source(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    x, y, radius = f["circle"]
    axes.imshow(f["image"], cmap="gray_r", vmin=0, vmax=float(np.percentile(f["image"], 99.9)) or 1, interpolation="nearest")
    axes.add_patch(Circle((x, y), radius, fill=False, lw=1.6, ec=UFOV))
    axes.set_title("counted inside, background outside" + ("  圈内计数，圈外本底" if chinese else ""))
    axes.set_axis_off()


def _rates(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    supplied, observed = f["input"] / 1000, f["observed"] / 1000
    axes.plot(supplied, observed, ".", color=INK, label="frames" + (" 各帧" if chinese else ""))
    line = np.array([0, float(observed.max())])
    axes.plot(line, line, color="#8c959f", lw=0.8, ls=":", label="no loss" + (" 无丢失" if chinese else ""))
    axes.plot(line / 0.8, line, color=UFOV, lw=0.8, label="20 % loss" + (" 丢失20%" if chinese else ""))
    for name, value in f["values"].items():
        axes.axhline(value / 1000, color=WORST, lw=1, ls="-" if name == "r20_cps" else "--", label=name)
    axes.set_xlim(0, min(float(supplied.max()), 5 * float(observed.max())))
    axes.set_xlabel("input / kcps" + ("  输入计数率" if chinese else ""))
    axes.set_ylabel("observed / kcps" + ("  观测计数率" if chinese else ""))
    axes.legend(loc="best", fontsize=8)


def _points(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    axes.imshow(f["image"], cmap="gray_r", vmin=0, vmax=float(f["image"].max()) or 1, interpolation="nearest")
    for colour, mark, (name, places) in zip(
        (UFOV, "#f2a900", "#1a7f37", INK) * 3, "x+1234" * 2, f["places"].items(), strict=False
    ):
        axes.plot(places[:, 0], places[:, 1], mark, color=colour, ms=8, label=name)
    worst = next(iter(f["places"].values()))[f["worst"]]
    axes.plot(*worst, "o", ms=18, mfc="none", mec=WORST, mew=1.5)
    axes.legend(title="energy window" + (" 能窗" if chinese else ""), fontsize=8)
    axes.set_axis_off()


def _spectrum(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    centre = (f["low"] + f["high"]) / 2
    fine = np.linspace(f["low"][0], f["high"][-1], 400)
    curve = f["area"] * np.exp(-(((fine - f["peak"]) / f["sigma"]) ** 2) / 2) / f["sigma"] / np.sqrt(2 * np.pi)
    axes.plot(centre, f["counts"] / (f["high"] - f["low"]), ".", color=INK, label="windows" + (" 能窗" if chinese else ""))
    axes.plot(fine, curve, color=UFOV, label="fit" + (" 拟合" if chinese else ""))
    axes.axvline(f["peak"], color=WORST, lw=1)
    axes.set_xlabel("energy / keV" + ("  能量" if chinese else ""))
    axes.set_ylabel("counts per keV" + ("  每keV计数" if chinese else ""))
    axes.legend(fontsize=8)


def _scan(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    axes.imshow(f["image"], cmap="gray_r", vmin=0, vmax=float(f["image"].max()) or 1, interpolation="nearest")
    axes.set_title("motion: down the image" + ("  运动方向：纵向" if chinese else ""))
    axes.set_axis_off()


def _activimeter(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    axes.semilogx(f["mbq"], f["residuals"], "o", color=INK)
    axes.axhline(0, color="#8c959f", lw=0.8, ls=":")
    worst = int(np.argmax(np.abs(f["residuals"])))
    axes.plot(f["mbq"][worst], f["residuals"][worst], "o", ms=14, mfc="none", mec=WORST, mew=1.5)
    axes.set_xlabel("reading / MBq" + ("  读数" if chinese else ""))
    axes.set_ylabel("off the decay / %" + ("  偏离衰变线" if chinese else ""))


PAINTERS = {
    "planar_uniformity": _flood,
    "line_source": _lines,
    "four_bar": _lines,
    "linearity": _slits,
    "quadrant_bar": _quadrants,
    "activimeter": _activimeter,
    "energy_resolution": _spectrum,
    "whole_body_scan": _scan,
    "sensitivity": _source,
    "count_rate": _rates,
    "multiple_window_registration": _points,
}

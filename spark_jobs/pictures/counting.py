"""Pictures of counting tests: the source and its circle, observed over input rate, points and where the windows place them."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import INK, UFOV, WORST

__all__ = ["PAINTERS", "TITLES"]


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
    "activimeter": _activimeter,
    "energy_resolution": _spectrum,
    "whole_body_scan": _scan,
    "sensitivity": _source,
    "count_rate": _rates,
    "multiple_window_registration": _points,
}
TITLES = {
    "sensitivity": ("Planar sensitivity", "平面灵敏度"),
    "count_rate": ("Count rate performance", "计数率特性"),
    "multiple_window_registration": ("Multiple-window registration", "多窗空间配准"),
    "energy_resolution": ("Energy resolution", "能量分辨率"),
    "whole_body_scan": ("Whole-body scan resolution", "全身扫描空间分辨率"),
    "activimeter": ("Activimeter", "活度计"),
    "head_sensitivity_match": ("Match of head sensitivities", "探头灵敏度一致性"),
}

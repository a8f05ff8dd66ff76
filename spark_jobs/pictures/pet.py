"""Pictures of PET phantoms, of registration and of daily reports: spheres, the cylinder, the fiducials of two volumes, the blocks."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import CFOV, INK, UFOV, WORST

__all__ = ["PAINTERS"]


def _spheres(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    axes.imshow(f["image"], cmap="gray_r", vmin=0, vmax=float(np.max(f["image"])), interpolation="nearest")
    for circles, colour in ((f["background"], CFOV), (f["spheres"], UFOV)):
        for row, column, radius in circles:
            axes.add_patch(Circle((column, row), radius, fill=False, lw=1.3, ec=colour))
    rows, columns = np.array([c[:2] for c in (*f["spheres"], *f["background"])], float).T
    rim = 0.3 * max(np.ptp(rows), np.ptp(columns))
    axes.set_xlim(max(columns.min() - rim, -0.5), min(columns.max() + rim, f["image"].shape[1] - 0.5))
    axes.set_ylim(min(rows.max() + rim, f["image"].shape[0] - 0.5), max(rows.min() - rim, -0.5))
    axes.set_title("spheres (blue) · background (amber)" + ("  热球（蓝）本底（黄）" if chinese else ""))
    axes.set_axis_off()


def _cylinder(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    mean = f["mean"] or 1.0
    axes.imshow(f["image"] / mean, cmap="viridis", vmin=0.8, vmax=1.2, interpolation="nearest")
    row, column, radius = f["circle"]
    axes.add_patch(Circle((column, row), radius, fill=False, lw=1.8, ec=WORST))
    axes.set_title("voxels ÷ mean, 0.8 … 1.2" + ("  体素 ÷ 均值" if chinese else ""))
    axes.set_axis_off()


def _fiducials(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    """Draw where the fiducials lie in three planes, and how far each moved along x, y and z: too little to be seen in the planes."""
    axes.set_axis_off()
    p, q, worst = f["fixed"], f["moved"], f["worst"]
    names = ("x / mm" + (" 左" if chinese else ""), "y / mm" + (" 背" if chinese else ""), "z / mm" + (" 头" if chinese else ""))
    for (across, up), place in (((0, 1), (0.08, 0.58)), ((0, 2), (0.08, 0.06)), ((1, 2), (0.58, 0.06))):
        plane = axes.inset_axes((*place, 0.4, 0.4))
        plane.plot(p[:, across], p[:, up], "o", ms=8, mfc="none", mec=INK, label=f["names"][0])
        plane.plot(q[:, across], q[:, up], "+", ms=8, color=UFOV, label=f["names"][1])
        label = "largest offset" + (" 偏移最大" if chinese else "")
        plane.plot(p[worst, across], p[worst, up], "o", ms=15, mfc="none", mec=WORST, label=label)
        plane.set_xlabel(names[across], fontsize=7, labelpad=1)
        plane.set_ylabel(names[up], fontsize=7, labelpad=1)
        plane.set_aspect("equal", "datalim")
        plane.tick_params(labelsize=6)
        if up == 1:
            plane.invert_yaxis()
            axes.legend(*plane.get_legend_handles_labels(), loc="upper right", fontsize=7, ncols=3, bbox_to_anchor=(1.0, 1.12))
    moved = axes.inset_axes((0.58, 0.58, 0.4, 0.4))
    number = np.arange(1, len(p) + 1)
    for k, (name, colour) in enumerate(zip("xyz", (UFOV, CFOV, INK), strict=True)):
        moved.bar(number + 0.25 * (k - 1), (q - p)[:, k], 0.25, color=colour, label=f"Δ{name}")
    moved.axhline(0, color=INK, lw=0.6)
    moved.set_xticks(number)
    moved.set_xlabel("fiducial" + (" 标记" if chinese else ""), fontsize=7, labelpad=1)
    moved.set_ylabel("Δ / mm" + (" 偏移" if chinese else ""), fontsize=7, labelpad=1)
    moved.tick_params(labelsize=6)
    moved.legend(fontsize=6, ncols=3)


def _blocks(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    blocks, odd = f["blocks"], np.abs(f["z"]) > f["k"]
    number = np.arange(1, len(blocks) + 1)
    middle = float(np.median(blocks)) or 1.0
    shown = 100 * blocks / middle
    axes.plot(number, shown, ".", ms=4, color=INK, label="block" + (" 探测器块" if chinese else ""))
    axes.plot(number[odd], shown[odd], "o", ms=9, mfc="none", mec=WORST, label="outlier" + (" 离群" if chinese else ""))
    if f.get("change") is not None:
        axes.plot(number, 100 + f["change"], "-", lw=0.8, color=UFOV, label="÷ baseline" + (" ÷ 基线" if chinese else ""))
    axes.axhline(100, color="#8c959f", lw=0.8, ls=":")
    axes.set_xlabel("block" + ("  块号" if chinese else ""))
    axes.set_ylabel("% of the median" + ("  占中位数 %" if chinese else ""))
    axes.legend(loc="best", fontsize=8)


PAINTERS = {
    "pet_nema_iq": _spheres,
    "pet_uniformity": _cylinder,
    "suv_calibration": _cylinder,
    "pet_cross_calibration": _cylinder,
    "registration": _fiducials,
    "pet_daily_qc": _blocks,
    "pet_normalisation": _blocks,
}

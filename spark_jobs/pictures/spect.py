"""Pictures of rotations and of tomograms of phantoms: centroids over the angle; the slice, its field and what was found in it."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import CFOV, INK, UFOV, WORST

__all__ = ["PAINTERS"]


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


def _uniformity(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    row, column = f["axis"]
    axes.imshow(f["image"], cmap="viridis", vmin=0.8, vmax=1.2, interpolation="nearest")
    for radius, colour in ((f["radius"], UFOV), (f["centre"], CFOV)):
        axes.add_patch(Circle((column, row), radius, fill=False, lw=1.5, ec=colour))
    axes.add_patch(Circle((column, row), f["ring_mm"] / f["pixel_mm"], fill=False, lw=1.2, ls=":", ec=WORST))
    worst = f["worst"]
    axes.plot(worst["column"], worst["row"], "o", ms=14, mfc="none", mec=WORST, mew=2)
    note = f"{100 * (worst['relative'] - 1):+.1f} %" + (" 最差点" if chinese else " worst spot")
    axes.annotate(note, (worst["column"], worst["row"]), (8, 10), textcoords="offset points", color=WORST, weight="bold")
    reach = 1.5 * f["radius"]
    axes.set_xlim(column - reach, column + reach)
    axes.set_ylim(row + reach, row - reach)
    axes.set_title("mean of uniform slices ÷ its mean" + ("  均匀层均值" if chinese else ""))
    axes.set_axis_off()
    profile = axes.inset_axes((0.02, 0.01, 0.96, 0.17))
    profile.plot(f["radii_mm"], f["profile"], color=INK, lw=1)
    profile.axvline(f["ring_mm"], color=WORST, lw=1, ls=":")
    profile.tick_params(labelsize=6)
    profile.set_title("radial profile / mm" + ("  径向曲线" if chinese else ""), fontsize=7)


def _contrast(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    (row, column), reach = f["axis"], 1.15 * f["radius"]
    axes.imshow(f["image"], cmap="gray", vmin=0, vmax=1.3, interpolation="nearest")
    for y, x, radius, name in f["circles"]:
        axes.add_patch(Circle((x, y), radius, fill=False, lw=1.3, ec=UFOV))
        said = {"color": CFOV, "ha": "center", "va": "bottom", "bbox": {"fc": "#000000c0", "ec": "none", "pad": 0.5}}
        axes.annotate(f"{name} mm", (x, y - radius), (0, 2), textcoords="offset points", fontsize=7, **said)
    axes.set_xlim(column - reach, column + reach)
    axes.set_ylim(row + reach, row - reach)
    axes.set_title("spheres ÷ mean of uniform slices" + ("  冷球层" if chinese else ""))
    axes.set_axis_off()
    if f["rods"] is not None:
        rods = axes.inset_axes((0.7, 0.0, 0.3, 0.3))
        rods.imshow(f["rods"], cmap="gray", vmin=0.4, vmax=1.1, interpolation="nearest")
        rods.set_xlim(column - reach, column + reach)
        rods.set_ylim(row + reach, row - reach)
        rods.set_title("rods" + ("  棒" if chinese else ""), fontsize=7)
        rods.set_axis_off()


PAINTERS = {
    "centre_of_rotation": _rotation,
    "tomographic_uniformity": _uniformity,
    "tomographic_contrast": _contrast,
}

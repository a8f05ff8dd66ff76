"""Picture of the centre of rotation: centroids over the angle, and the fit."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import INK, UFOV, WORST

__all__ = ["PAINTERS", "TITLES"]


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


PAINTERS = {"centre_of_rotation": _rotation}
TITLES = {"centre_of_rotation": ("Centre of rotation", "旋转中心")}

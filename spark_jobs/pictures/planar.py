"""Pictures of planar images: the field of view and the worst spot."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import CFOV, UFOV, WORST

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


PAINTERS = {"planar_uniformity": _flood}
TITLES = {"planar_uniformity": ("Planar uniformity", "平面均匀性")}

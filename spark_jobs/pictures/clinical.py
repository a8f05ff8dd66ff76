"""Pictures of clinical series: the views and what was found in them."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import UFOV

__all__ = ["PAINTERS", "TITLES"]


def _bone(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    views = list(f["views"].items())
    image = np.concatenate([v for _, v in views], axis=1).astype(float)
    mask = np.concatenate([f["masks"][k] for k, _ in views], axis=1)
    top = max(float(np.percentile(image, 99.7)), 1.0)
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
    axes.contour(mask, [0.5], colors=UFOV, linewidths=0.8)
    axes.set_title(" · ".join(k for k, _ in views) + ("  体轮廓（蓝）" if chinese else "  outline (blue)"))
    axes.set_axis_off()


PAINTERS = {"whole_body_bone": _bone}
TITLES = {"whole_body_bone": ("Whole-body bone scan", "全身骨显像")}

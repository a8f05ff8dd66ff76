"""Pictures of PET phantoms and of registration: spheres and background regions, the cylinder, the fiducials of two volumes."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import CFOV, INK, UFOV, WORST

__all__ = ["PAINTERS", "TITLES"]


def _spheres(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    axes.imshow(f["image"], cmap="gray_r", vmin=0, vmax=float(np.max(f["image"])), interpolation="nearest")
    for circles, colour in ((f["background"], CFOV), (f["spheres"], UFOV)):
        for row, column, radius in circles:
            axes.add_patch(Circle((column, row), radius, fill=False, lw=1.3, ec=colour))
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
    p, q, worst = f["fixed"], f["moved"], f["worst"]
    axes.plot(p[:, 0], p[:, 1], "o", ms=10, mfc="none", mec=INK, label=f["names"][0])
    axes.plot(q[:, 0], q[:, 1], "+", ms=10, color=UFOV, label=f["names"][1])
    axes.plot(
        p[worst, 0], p[worst, 1], "o", ms=18, mfc="none", mec=WORST, label="largest offset" + (" 偏移最大" if chinese else "")
    )
    axes.set_xlabel("x / mm" + ("  左" if chinese else ""))
    axes.set_ylabel("y / mm" + ("  背" if chinese else ""))
    axes.set_aspect("equal", "datalim")
    axes.invert_yaxis()
    axes.legend(loc="best", fontsize=8)


PAINTERS = {
    "pet_nema_iq": _spheres,
    "pet_uniformity": _cylinder,
    "suv_calibration": _cylinder,
    "pet_cross_calibration": _cylinder,
    "registration": _fiducials,
}
TITLES = {
    "pet_nema_iq": ("PET image quality (NEMA)", "PET 图像质量（NEMA）"),
    "pet_uniformity": ("PET uniformity", "PET 均匀性"),
    "suv_calibration": ("SUV calibration", "SUV 校准"),
    "pet_cross_calibration": ("PET cross-calibration", "PET 交叉校准"),
    "registration": ("Image registration", "图像融合配准"),
}

"""Pictures of CT phantoms: the slice and its regions."""

from typing import Any

from spark_jobs.pictures.ink import UFOV, WORST

__all__ = ["PAINTERS", "TITLES"]


def _water(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    axes.imshow(f["image"], cmap="gray", vmin=-60, vmax=60, interpolation="nearest")
    names = ["top", "right", "bottom", "left", "centre"]
    for name, (row, column, radius) in zip(names, f["circles"], strict=True):
        axes.add_patch(Circle((column, row), radius, fill=False, lw=1.8, ec=WORST if name == f["worst"] else UFOV))
    axes.set_title("window ±60 HU · red: largest deviation" + ("  红圈：偏差最大" if chinese else ""))
    axes.set_axis_off()


PAINTERS = {"ct_water": _water}
TITLES = {"ct_water": ("CT water phantom", "CT 水模")}

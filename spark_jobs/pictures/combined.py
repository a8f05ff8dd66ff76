"""Picture of artefacts: the uniform image, and each artefact where it was found."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import CFOV, UFOV, WORST

__all__ = ["PAINTERS"]


def _artefacts(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    image, field, pixel_mm = f["image"], f["field"], f["pixel_mm"]
    inside = image[field]
    spread = max(4 * float(np.std(inside)), 0.01)
    axes.imshow(
        np.ma.masked_where(~field, image),
        cmap="gray",
        vmin=np.mean(inside) - spread,
        vmax=np.mean(inside) + spread,
        interpolation="nearest",
    )
    ys, xs = np.nonzero(field)
    reach = float(max(np.ptp(ys), np.ptp(xs)))
    for k, place in enumerate(f["places"], 1):
        if place["type"] == "ring":
            row, column = f["centre"]
            radius = place["radius_mm"] / pixel_mm
            axes.add_patch(Circle((column, row), radius, fill=False, lw=1.3, ec=WORST))
            spot = (column + radius, row)
        elif place["type"] in ("streak", "band"):
            row, column = place["row"], place["column"]
            a = np.radians(place["angle_deg"])
            dy, dx = reach * np.sin(a), reach * np.cos(a)
            axes.plot([column - dx, column + dx], [row - dy, row + dy], color=CFOV, lw=1.0, ls="--")
            spot = (column, row)
        else:
            row, column = place["row"], place["column"]
            axes.add_patch(Circle((column, row), place["size_mm"] / pixel_mm, fill=False, lw=1.3, ec=UFOV))
            spot = (column, row)
        axes.annotate(f"{k} {place['type']}", spot, (4, 4), textcoords="offset points", color=WORST, fontsize=8, weight="bold")
    axes.set_xlim(xs.min() - 2, xs.max() + 2)
    axes.set_ylim(ys.max() + 2, ys.min() - 2)
    axes.set_title("artefacts, window ± 4 SD" + ("  伪影" if chinese else ""))
    axes.set_axis_off()


PAINTERS = {"artefacts": _artefacts}

"""The small diagrams of a page: the profile through the worst spot, and the control chart over the days."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spark_jobs.pictures.ink import INK, UFOV, WORST
from spark_jobs.qc.result import Result

__all__ = ["control_chart", "image_of", "profile"]

AMBER = "#bf8700"
BOUNDS = {"warn_low": AMBER, "warn_high": AMBER, "fail_low": WORST, "fail_high": WORST}
SEVEREST = ("fail", "warn", "pass", "none")


def image_of(f: Mapping[str, Any]) -> np.ndarray | None:
    """Return the image of a result's figure, rows × columns, or None when it has none."""
    image = f.get("image")
    return np.asarray(image, float) if image is not None and np.ndim(image) == 2 else None


def profile(axes: Any, image: np.ndarray, result: Result, both: bool) -> None:
    """Draw the row and the column through the worst spot, else through the first value or find that has a place, else the middle or the peak."""
    f = result.figure or {}
    finds = f.get("places")
    places = [f.get("worst"), *(m.at for m in result.measures), *(finds if isinstance(finds, list | tuple) else ())]
    row, column = _middle(image)
    for place in places:
        if isinstance(place, dict) and _inside(place, image):
            row, column = round(place["row"]), round(place["column"])
            break
    axes.plot(image[row], color=UFOV, lw=0.9, label=f"row {row}" + (" 行" if both else ""))
    axes.plot(image[:, column], color=AMBER, lw=0.9, label=f"column {column}" + (" 列" if both else ""))
    axes.set_title("profile: value over pixel" + ("  剖面：像素值" if both else ""), fontsize=8, pad=14)
    axes.tick_params(labelsize=6)
    axes.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=2, frameon=False)


def _middle(image: np.ndarray) -> tuple[int, int]:
    """Return the middle of an image, or its peak where there is nothing in the middle."""
    row, column = image.shape[0] // 2, image.shape[1] // 2
    if image[row, column] < image.mean():
        row, column = (int(k) for k in np.unravel_index(image.argmax(), image.shape))
    return row, column


def _inside(place: Mapping[str, Any], image: np.ndarray) -> bool:
    spot = (place.get("row"), place.get("column"))
    return all(isinstance(v, int | float) and -0.5 < v < n - 0.5 for v, n in zip(spot, image.shape, strict=True))


def control_chart(
    axes: Any, earlier: Sequence[tuple[str, Result]], result: Result, limits: Sequence[Mapping[str, Any]], both: bool
) -> None:
    """Draw the values of one measure over the days: that with the worst verdict, else the first that has a limit, else the first.

    A ring marks the result of this page; dashed lines are the limits in force on its day, the dotted one the mean of all values.
    """
    known = [x for x in limits if any(x[b] is not None for b in BOUNDS)]
    chosen = min(known, key=lambda x: SEVEREST.index(x["verdict"]), default=None)
    first = result.measures[0] if result.measures else None
    name, region = (chosen["measure"], chosen.get("region")) if chosen else (first.name, first.region) if first else (None, None)
    points = [
        (day, m, r is result)
        for day, r in sorted(earlier, key=lambda e: e[0])
        for m in r.measures
        if (m.name, m.region) == (name, region)
    ]
    if len(points) < 2:
        axes.set_axis_off()
        return
    values = [m.value for _, m, _ in points]
    axes.plot(range(len(points)), values, "o-", color=INK, ms=3, lw=0.8)
    here = [k for k, (_, _, mine) in enumerate(points) if mine]
    axes.plot(here, [values[k] for k in here], "o", ms=9, mfc="none", mec=UFOV, mew=1.5)
    axes.axhline(float(np.mean(values)), color="#8c959f", lw=0.8, ls=":")
    for bound, colour in BOUNDS.items():
        if chosen and chosen[bound] is not None:
            axes.axhline(chosen[bound], color=colour, lw=0.9, ls="--")
    axes.set_xticks([0, len(points) - 1], [points[0][0], points[-1][0]])
    title = f"{name}{f' ({region})' if region else ''} / {points[0][1].unit}"
    axes.set_title(("control chart 控制图: " if both else "control chart: ") + title, fontsize=7)
    axes.tick_params(labelsize=6)

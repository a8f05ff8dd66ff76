"""Pictures of CT phantoms: the slice and its regions."""

from typing import Any

from spark_jobs.pictures.ink import CFOV, UFOV, WORST

__all__ = ["PAINTERS"]


def _water(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    axes.imshow(f["image"], cmap="gray", vmin=-60, vmax=60, interpolation="nearest")
    names = ["top", "right", "bottom", "left", "centre"]
    for name, (row, column, radius) in zip(names, f["circles"], strict=True):
        axes.add_patch(Circle((column, row), radius, fill=False, lw=1.8, ec=WORST if name == f["worst"] else UFOV))
    axes.set_title("window ±60 HU · red: largest deviation" + ("  红圈：偏差最大" if chinese else ""))
    axes.set_axis_off()


def _catphan(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    from matplotlib.patches import Circle

    axes.imshow(f["image"], cmap="gray", vmin=-250, vmax=450, interpolation="nearest")
    for row, column, label, hu in f["rods"]:
        axes.add_patch(Circle((column, row), f["radius"], fill=False, lw=1.5, ec=UFOV))
        axes.annotate(
            f"{label}\n{hu:.0f}", (column, row), (0, 12), textcoords="offset points", color=CFOV, fontsize=7, ha="center"
        )
    for row, column, _ in f["ramps"]:
        axes.plot(column, row, "+", ms=9, mec=WORST)
    rows, columns = [r[0] for r in f["rods"]], [r[1] for r in f["rods"]]
    half = 110 / f["pixel_mm"]
    middle_row, middle_column = (min(rows) + max(rows)) / 2, (min(columns) + max(columns)) / 2
    axes.set_xlim(max(-0.5, middle_column - half), min(f["image"].shape[1] - 0.5, middle_column + half))
    axes.set_ylim(min(f["image"].shape[0] - 0.5, middle_row + half), max(-0.5, middle_row - half))
    axes.set_title(
        f"{f['phantom']} · {f['roll_deg']:+.1f}° · HU" + ("  材料与斜线（红十字）" if chinese else "  rods, ramps (red crosses)")
    )
    axes.set_axis_off()


PAINTERS = {"ct_water": _water, "catphan": _catphan}

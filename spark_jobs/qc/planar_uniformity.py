"""Integral and differential uniformity of a flood (NEMA NU 1, 2.4), for any pixel size, field shape and depth of defect.

Steps, each part of the method's version: block to the pixel nearest 6.4 mm, find the useful field (UFOV), zero outer pixels
below 75 % of the central mean, peel once from the outside, smooth with the nine-point kernel inside the field, take extremes in
the useful field and in the central field (CFOV, 75 % of its linear dimensions).
"""

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.field import Mask, Shape, covered, declared_shape, hull_shape, lit_area, peel, shifted
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "block_factor", "blocked", "measure"]

PROCEDURE = "planar_uniformity"
METHOD = "NEMA NU 1 2.4"
VERSION = "1.0.1"
NEAREST_MM, SMALLEST_MM, LARGEST_MM = 6.4, 4.48, 8.32
LEAST_DECLARED = 0.8  # of the lit area's extent: without a collimator the crystal is lit some 10 % beyond the useful field
ENOUGH_COUNTS = 10_000  # NU 1: counts per centre pixel of the blocked image
REPLICATES = 12  # Poisson replicates for the uncertainty


def block_factor(pixel_mm: float) -> int | None:
    """Return n so that n pixels are nearest 6.4 mm, within 4.48-8.32 mm; None when no n fits (about 4.16-4.48, above 8.32)."""
    fits = [n for n in range(1, int(LARGEST_MM / pixel_mm) + 1) if SMALLEST_MM <= n * pixel_mm <= LARGEST_MM]
    return min(fits, key=lambda n: abs(n * pixel_mm - NEAREST_MM)) if fits else None


def blocked(image: NDArray, n: int) -> NDArray[np.float64]:
    """Return sums over n × n pixels; the first block starts at (N mod n) // 2 and partial blocks are dropped."""
    oy, ox = (image.shape[0] % n) // 2, (image.shape[1] % n) // 2
    rows, columns = image.shape[0] // n, image.shape[1] // n
    inner = image[oy : oy + rows * n, ox : ox + columns * n]
    return inner.reshape(rows, n, columns, n).sum((1, 3), dtype=np.float64)


def measure(
    image: NDArray,
    pixel_mm: float,
    *,
    field_shape: str | None = None,
    field_mm: tuple[float, ...] = (),
    detector: str | None = None,
) -> Result:
    """Return the uniformity of one flood.

    Parameters
    ----------
    image
        Counts, rows × columns, not negative.
    pixel_mm
        Length of a square pixel's side.
    field_shape, field_mm
        What the header declares: RECTANGLE (two lengths), ROUND or HEXAGONAL (diameter); None: the field is measured.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    n = block_factor(pixel_mm)
    if n is None:
        return refuse(
            f"pixels of {pixel_mm:.3g} mm cannot be blocked to {SMALLEST_MM}-{LARGEST_MM} mm (NU 1 asks for 6.4 mm ± 30 %): "
            "acquire the flood with another matrix"
        )
    blocks = blocked(image, n)
    size_mm = n * pixel_mm
    lit = lit_area(blocks)
    if lit.sum() < 100 or min(np.ptp(np.nonzero(lit), axis=1)) < 10:
        return refuse("no evenly lit field of at least 10 × 10 pixels of 6.4 mm was found: this is no flood image")
    warnings = []
    shape: Shape | None = None
    if field_shape:
        shape, problem = _declared(field_shape, tuple(d / size_mm for d in field_mm), lit, image.shape, n)
        if problem:
            return refuse(problem)
    else:
        warnings.append("field of view measured: the header declares none")
    found = covered(shape, *blocks.shape) if shape else lit
    first_cfov = covered((shape or hull_shape(found)).scaled(0.75), *blocks.shape) & found
    dim = blocks < 0.75 * blocks[first_cfov].mean()
    ufov = peel(found & ~(dim & ~peel(found)))
    cfov = covered((shape or hull_shape(ufov)).scaled(0.75), *blocks.shape) & ufov
    if not cfov.any():
        return refuse("the field of view is too small for a central field: this is no flood image")

    smooth = _smoothed(blocks, ufov)
    values: dict[str, tuple[float, dict | None]] = {}
    for name, mask in (("ufov", ufov), ("cfov", cfov)):
        values |= _extremes(smooth, mask, name)
    replicates = _replicates(blocks, ufov, cfov)
    centre = float(blocks[cfov].mean())
    measures = [
        Measure(
            name,
            round(value, 4),
            "%",
            round(float(np.std([r[name] for r in replicates], ddof=1)), 4),
            _image_pixels(at, image, n),
        )
        for name, (value, at) in values.items()
    ]
    measures += [
        Measure("centre_pixel_counts", round(centre, 1), "counts"),
        Measure("binned_pixel_mm", round(size_mm, 6), "mm"),
    ]
    few = centre < ENOUGH_COUNTS
    reason = (
        f"too few counts for a verdict: {centre:.0f} in a central pixel of {size_mm:.2f} mm, NU 1 asks for {ENOUGH_COUNTS}"
        if few
        else None
    )
    figure = {
        "kind": PROCEDURE,
        "image": smooth,
        "ufov": ufov,
        "cfov": cfov,
        "pixel_mm": size_mm,
        "worst": values["ufov_iu_percent"][1],
    }
    return Result(
        PROCEDURE, INDICATIVE if few else MEASURED, reason, detector, METHOD, VERSION, tuple(measures), tuple(warnings), figure
    )


def _declared(
    kind: str, dimensions: tuple[float, ...], lit: Mask, image_shape: tuple[int, ...], n: int
) -> tuple[Shape | None, str | None]:
    if kind not in ("RECTANGLE", "ROUND", "HEXAGONAL") or not dimensions or min(dimensions) <= 0:
        return None, f"the declared field of view ({kind}, {len(dimensions)} dimensions) is none that DICOM knows"
    ys, xs = np.nonzero(lit)
    middle = (
        (image_shape[1] / 2 - (image_shape[1] % n) // 2) / n - 0.5,
        (image_shape[0] / 2 - (image_shape[0] % n) // 2) / n - 0.5,
    )
    seen = ((xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2)
    off = max(abs(seen[0] - middle[0]), abs(seen[1] - middle[1]))
    # the detector's centre is the image's centre; a field that lies elsewhere on the image (cropped, shifted) is followed
    shape = declared_shape(kind, dimensions, middle if off <= 1 else (float(seen[0]), float(seen[1])), lit)
    for half, extent, pixels in (
        (shape.half_width, np.ptp(xs) + 1, lit.shape[1]),
        (shape.half_height, np.ptp(ys) + 1, lit.shape[0]),
    ):
        if min(2 * half, pixels) - extent > 3:
            return None, "the lit area is smaller than the declared field of view: source, collimator or header is wrong"
        if 2 * half < LEAST_DECLARED * extent:
            return None, "the lit area is much larger than the declared field of view: defects outside it would pass unseen"
    return shape, None


def _smoothed(blocks: NDArray[np.float64], mask: Mask) -> NDArray[np.float64]:
    """Return Σ K·b·m / Σ K·m with K = [[1,2,1],[2,4,2],[1,2,1]]: pixels outside the field neither add nor dilute."""
    total = _nine(np.where(mask, blocks, 0.0))
    weight = _nine(mask.astype(np.float64))
    return np.divide(total, weight, out=np.zeros_like(total), where=mask)


def _nine(a: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = shifted(a, 0, 1) + 2 * a + shifted(a, 0, -1)
    return shifted(rows, 1, 0) + 2 * rows + shifted(rows, -1, 0)


def _extremes(smooth: NDArray[np.float64], mask: Mask, name: str) -> dict[str, tuple[float, dict | None]]:
    inside = smooth[mask]
    high, low = float(inside.max()), float(inside.min())
    mean = float(inside.mean())
    flat = np.where(mask, smooth, mean)
    worst = int(np.argmax(np.abs(flat - mean)))
    row, column = divmod(worst, smooth.shape[1])
    out: dict[str, tuple[float, dict | None]] = {
        f"{name}_iu_percent": (
            _contrast(high, low),
            {"row": row, "column": column, "relative": round(float(flat.flat[worst]) / mean, 4)},
        )
    }
    for axis, image, inner in (("x", smooth, mask), ("y", smooth.T, mask.T)):
        runs = np.lib.stride_tricks.sliding_window_view(image, 5, axis=1)
        whole = np.lib.stride_tricks.sliding_window_view(inner, 5, axis=1).all(-1)
        top, bottom = runs.max(-1), runs.min(-1)
        du = np.where(whole, 100 * (top - bottom) / np.where(top + bottom > 0, top + bottom, 1), -1.0)
        r, c = divmod(int(np.argmax(du)), du.shape[1])
        at = {"row": r, "column": c + 2} if axis == "x" else {"row": c + 2, "column": r}
        out[f"{name}_du_{axis}_percent"] = (float(max(du.max(), 0.0)), at)
    return out


def _contrast(high: float, low: float) -> float:
    return 100 * (high - low) / (high + low) if high + low > 0 else 100.0


def _replicates(blocks: NDArray[np.float64], ufov: Mask, cfov: Mask) -> list[dict[str, float]]:
    """Return the values of images with fresh counting noise; their spread is the uncertainty (parametric bootstrap, seeded)."""
    rng = np.random.default_rng(1)
    out = []
    for _ in range(REPLICATES):
        smooth = _smoothed(rng.poisson(np.maximum(blocks, 0)).astype(np.float64), ufov)
        values = {**_extremes(smooth, ufov, "ufov"), **_extremes(smooth, cfov, "cfov")}
        out.append({k: v[0] for k, v in values.items()})
    return out


def _image_pixels(at: dict | None, image: NDArray, n: int) -> dict | None:
    """Return a place in pixels of the image as stored (0-based centre of the block)."""
    if at is None:
        return None
    oy, ox = (image.shape[0] % n) // 2, (image.shape[1] % n) // 2
    return {**at, "row": oy + at["row"] * n + (n - 1) / 2, "column": ox + at["column"] * n + (n - 1) / 2}

"""Integral and differential uniformity of a flood (NEMA NU 1, 2.4), for any pixel size, field shape and depth of defect.

The steps, each of which is part of the method's version:

1. Sum n × n pixels so that a pixel is nearest 6.4 mm (4.48-8.32 mm).
2. Find the useful field (UFOV): the declared one, else the lit area.
3. Divide the dome out where the source of an intrinsic flood is nearer than five useful fields (`qc/gamma_camera/dome.py`), by the
   declared distance where there is one.
4. Drop outer pixels below 75 % of the mean of the central field, then one layer of pixels all round.
5. Smooth with the nine-point kernel, inside the field only.
6. Take the extremes in the useful field and in the central field (CFOV, 75 % of its linear dimensions).
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.gamma_camera import dome
from spark_jobs.qc.gamma_camera.rim import rim
from spark_jobs.qc.numerics.cut_off import FLAT, is_quiet
from spark_jobs.qc.numerics.field import PIECE, Mask, Shape, covered, declared_shape, hull_shape, lit_and_notches, peel, shifted
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result
from spark_jobs.qc.terms import shown

__all__ = ["METHOD", "PROCEDURE", "VERSION", "block_factor", "blocked", "measure"]

PROCEDURE = "planar_uniformity"
METHOD = "NEMA NU 1 2.4"
VERSION = "1.3.1"
FORMULAE = (
    "integral uniformity: IU = 100 · (max − min) / (max + min), in percent, over the smoothed pixels of the field",
    "differential uniformity: DU = the largest 100 · (max − min) / (max + min) of five neighbours of a row (X) or column (Y), in percent",
    "nine-point kernel [[1, 2, 1], [2, 4, 2], [1, 2, 1]], divided by the sum of the weights that lie inside the field",
    "dome of a near source: counts ∝ R₀ / (R₀² + r²)^1.5, R₀ the source's distance and r the distance from the axis, in mm",
    "uncertainty: standard deviation of the value over 12 images with fresh Poisson noise, in percent",
)
NEAREST_MM, SMALLEST_MM, LARGEST_MM = 6.4, 4.48, 8.32
LEAST_DECLARED = 0.8  # of the lit area's extent: without a collimator the crystal is lit some 10 % beyond the useful field
ENOUGH_COUNTS = 10_000  # NU 1: counts per centre pixel of the blocked image
FAR_FIELDS = 5.0  # NU 1: an intrinsic source is at least five useful fields away
SAME_DEPTH = 0.01  # of the fall-off at the rim, between what is declared and what is seen
RATE_CPS = 20_000.0  # NU 1: the count rate of a flood; the limit that judges it is reference data
ASIDE_BLOCKS = 1.0  # from the middle of the image: half of the width of a strip that is dead, or that the field is moved by
CORNER_BLOCKS, CORNERS_ALIKE = 6, 2.0  # blocks beside a field at a corner of its bounding box; of their root
SCALED = 2.0  # times fewer counts than a pixel's noise tells: structure of the crystal adds to the noise, too
PLAIN = 8.0  # percent: an integral uniformity of more is a fault anyway
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
    intrinsic: bool | None = None,
    source_mm: float | None = None,
    seconds: float | None = None,
) -> Result:
    """Return the uniformity of one flood; the method's name says whether it is intrinsic or extrinsic, where that is known.

    Parameters
    ----------
    image
        Counts, rows × columns, not negative.
    pixel_mm
        Length of a square pixel's side.
    field_shape, field_mm
        What the header declares: RECTANGLE (two lengths), ROUND or HEXAGONAL (diameter); None: the field is measured.
    intrinsic
        True: no collimator; False: with one; None: not declared.
    source_mm
        Declared distance of the point source from the detector; None: not declared.
    seconds
        Duration of the image; None: the count rate is unknown.
    """
    kind = METHOD if intrinsic is None else f"{METHOD}, {'intrinsic' if intrinsic else 'extrinsic'}"

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, kind, VERSION)

    n = block_factor(pixel_mm)
    if n is None:
        return refuse(because("flood.pixels_not_blockable", pixel_mm=pixel_mm, smallest_mm=SMALLEST_MM, largest_mm=LARGEST_MM))
    blocks = blocked(image, n)
    size_mm = n * pixel_mm
    lit, notches = lit_and_notches(blocks)
    if lit.sum() < 100 or min(np.ptp(np.nonzero(lit), axis=1)) < 10:
        return refuse(because("flood.no_field"))
    if (blocks > 0.5 * median(blocks[lit]))[~lit].sum() > PIECE * lit.sum():
        return refuse(because("flood.field_in_pieces"))
    pixel_noise = _pixel_noise(image)
    warnings: list[str] = []
    shape: Shape | None = None
    if field_shape:
        shape, problem = _declared(field_shape, tuple(d / size_mm for d in field_mm), lit, image.shape, n)
        if problem:
            return refuse(problem)
    else:
        warnings.append(because("flood.field_measured"))
    found = covered(shape, *blocks.shape) if shape else lit
    raw = blocks
    outline = shape or hull_shape(found)
    middle = _middle(image.shape, n)
    aside = max(abs(outline.centre[0] - middle[0]), abs(outline.centre[1] - middle[1]))
    axis = _axis(outline, middle)
    longest = 2 * max(outline.half_width, outline.half_height) * size_mm
    distance, notes, problem = _distance(blocks, found, size_mm, axis, FAR_FIELDS * longest, intrinsic, source_mm)
    if problem:
        return refuse(problem)
    warnings += notes
    if distance is not None:
        kind = f"{METHOD}, intrinsic, dome divided out"
        blocks = dome.divided(blocks, size_mm, axis, distance)
    first_cfov = covered(outline.scaled(0.75), *blocks.shape) & found
    dim = blocks < 0.75 * blocks[first_cfov].mean()
    ufov = peel(found & ~(dim & ~peel(found)))
    cfov = covered((shape or hull_shape(ufov)).scaled(0.75), *blocks.shape) & ufov
    if not cfov.any():
        return refuse(because("flood.field_small"))

    smooth = _smoothed(blocks, ufov)
    values: dict[str, tuple[float, dict | None]] = {}
    for name, mask in (("ufov", ufov), ("cfov", cfov)):
        values |= _extremes(smooth, mask, name)
    gain = np.divide(blocks, raw, out=np.ones_like(raw), where=raw > 0)
    replicates = _replicates(raw, gain, ufov, cfov)
    centre = float(raw[cfov].mean())
    measures = [
        Measure(
            name,
            round(value, 4),
            "%",
            round(float(np.std(replicates[name], ddof=1)), 4),
            _image_pixels(at, image, n),
        )
        for name, (value, at) in values.items()
    ]
    measures += [
        Measure("centre_pixel_counts", round(centre, 1), "counts"),
        Measure("binned_pixel_mm", round(size_mm, 6), "mm"),
    ]
    if distance is not None:
        measures.append(Measure("source_distance_mm", round(distance, 1), "mm"))
    if seconds is None:
        warnings.append(because("flood.rate_unknown"))
    else:
        rate = float(image.sum(dtype=np.float64)) / seconds
        measures.append(Measure("count_rate_kcps", round(rate / 1000, 4), "kcps"))
        if rate > RATE_CPS:
            warnings.append(because("flood.rate_high", rate_kcps=rate / 1000, most_kcps=RATE_CPS / 1000))
    reason: str | None = None
    told = centre if pixel_noise == 0 else min(centre, (centre / pixel_noise / n) ** 2)  # counts that such noise would be of
    if centre >= ENOUGH_COUNTS > SCALED * told:
        reason = because("flood.counts_scaled", told=told, counts=centre, least=ENOUGH_COUNTS)
    elif shape and (unseen := _unseen(shape, blocks.shape)) > 1:
        reason = because("flood.field_beyond_image", unseen_mm=unseen * size_mm)
    elif is_quiet(image, raw, cfov, n):
        reason = because("flood.too_little_noise")
    elif np.ptp(raw[ufov]) == 0:
        reason = because(FLAT)
    elif shape is None and aside > ASIDE_BLOCKS and not _is_whole(blocks, found) and raw[ufov].min() > 0.5 * centre:
        reason = because("flood.field_aside", aside_mm=aside * size_mm, strip_mm=2 * aside * size_mm)
    elif shape is None and (found[0].any() or found[-1].any() or found[:, 0].any() or found[:, -1].any()):
        reason = because("flood.cut_by_border")
    elif shape is None and notches.any():
        reason = because("flood.rim_missing", area_cm2=notches.sum() * size_mm**2 / 100)
    elif shape is None and values["ufov_iu_percent"][0] < PLAIN and (edge := rim(raw, found)).is_doubtful:
        # what lies at the rim is left out: a weak part there would be left out with it
        reason = because("flood.rim_weak", dent_mm=edge.dent * size_mm)
    elif centre < ENOUGH_COUNTS:
        reason = because("flood.too_few_counts", counts=centre, size_mm=size_mm, least=ENOUGH_COUNTS)
    elif distance is not None and source_mm is None:
        # a bump wider than three quarters of the field looks the same, and would be divided out with it
        reason = because("flood.dome_unchecked")
    figure = {
        "kind": PROCEDURE,
        "image": smooth,
        "ufov": ufov,
        "cfov": cfov,
        "pixel_mm": size_mm,
        "block": n,
        "first": ((image.shape[0] % n) // 2, (image.shape[1] % n) // 2),
        "worst": values["ufov_iu_percent"][1],
    }
    return Result(
        PROCEDURE, INDICATIVE if reason else MEASURED, reason, detector, kind, VERSION, tuple(measures), tuple(warnings), figure
    )


def _distance(
    blocks: NDArray[np.float64],
    field: Mask,
    size_mm: float,
    axis: tuple[float, float],
    far: float,
    intrinsic: bool | None,
    source_mm: float | None,
) -> tuple[float | None, list[str], str | None]:
    """Return the source's distance whose dome is to be divided out (None: nothing is), notes, and why the header cannot be true."""
    declared_near = source_mm is not None and source_mm < far
    if intrinsic is False or (source_mm is not None and not declared_near):
        return None, [], None
    seen = dome.fit(blocks, peel(field), size_mm, axis)
    near = seen.distance_mm is not None and seen.distance_mm < far and seen.depth > 5 * seen.depth_se
    if declared_near and source_mm is not None:
        differ = abs(dome.fall_off(source_mm, seen.rim_mm) - seen.depth) > max(SAME_DEPTH, 5 * seen.depth_se)
        if intrinsic and seen.is_dome and differ:
            what = because("flood.fall_off_of_source", distance_mm=seen.distance_mm) if near else because("flood.fall_off_flat")
            return None, [], because("flood.distance_contradicts", source_mm=source_mm, what=what)
        if intrinsic or (seen.is_dome and near and not differ):
            how = None if intrinsic else because("flood.no_collimator_declared")
            return source_mm, [because("flood.dome_declared", source_mm=source_mm, how=how)], None
        return None, [], None
    if not near:
        return None, [], None
    if not seen.is_dome:
        return (
            None,
            [because("flood.darker_no_dome")] if intrinsic else [],
            None,
        )
    if intrinsic:
        note = because("flood.dome_fitted", distance_mm=seen.distance_mm, depth_percent=100 * seen.depth)
        return seen.distance_mm, [because("flood.dome_fitted_unchecked", note=note)], None
    note = because("flood.near_source", distance_mm=seen.distance_mm)
    return None, [because("flood.near_source_undeclared", note=note)], None


def _unseen(shape: Shape, size: tuple[int, ...]) -> float:
    """Return by how many blocks a field goes beyond the image, along its longer way."""
    return max(2 * shape.half_width - size[1], 2 * shape.half_height - size[0])


def _pixel_noise(image: NDArray) -> float:
    """Return the noise of a pixel in the middle of an image, by checkerboard differences, which slopes and lines do not reach."""
    rows, columns = image.shape
    part = image[rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4][:128, :128].astype(np.float64)
    checker = part[:-1, :-1] - part[1:, :-1] - part[:-1, 1:] + part[1:, 1:]
    return median(np.abs(checker)) * 1.4826 / 2


def _middle(image_shape: tuple[int, ...], n: int) -> tuple[float, float]:
    """Return the centre of the image (x, y) in blocks."""
    rows, columns = image_shape
    return (columns / 2 - (columns % n) // 2) / n - 0.5, (rows / 2 - (rows % n) // 2) / n - 0.5


def _axis(shape: Shape, middle: tuple[float, float]) -> tuple[float, float]:
    """Return where the detector's axis meets the image: at its centre, unless the field lies elsewhere (cropped, shifted)."""
    near = max(abs(shape.centre[0] - middle[0]), abs(shape.centre[1] - middle[1])) <= 1
    return middle if near else shape.centre


def _is_whole(blocks: NDArray[np.float64], found: Mask) -> bool:
    """Return whether the outline itself shows that no strip is missing at a side: round, hexagonal or with corners that are cut alike.

    A strip that is dead leaves square corners behind. A rectangle has square corners anyway: its outline tells nothing.
    """
    ys, xs = np.nonzero(found)
    part = blocks[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    dark = part <= 0.5 * median(blocks[found])
    high, wide = dark.shape[0] // 2, dark.shape[1] // 2
    corners = [int(c.sum()) for c in (dark[:high, :wide], dark[:high, -wide:], dark[-high:, :wide], dark[-high:, -wide:])]
    return min(corners) >= CORNER_BLOCKS and max(corners) - min(corners) <= CORNERS_ALIKE * float(np.sqrt(max(corners)))


def _declared(
    kind: str, dimensions: tuple[float, ...], lit: Mask, image_shape: tuple[int, ...], n: int
) -> tuple[Shape | None, str | None]:
    if kind not in ("RECTANGLE", "ROUND", "HEXAGONAL") or not dimensions or min(dimensions) <= 0:
        return (
            None,
            because("flood.field_shape_unknown", shape=shown("FieldOfViewShape", kind), dimensions=len(dimensions)),
        )
    ys, xs = np.nonzero(lit)
    middle = _middle(image_shape, n)
    seen = ((xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2)
    off = max(abs(seen[0] - middle[0]), abs(seen[1] - middle[1]))
    # the detector's centre is the image's centre; a field that lies elsewhere on the image (cropped, shifted) is followed
    shape = declared_shape(kind, dimensions, middle if off <= 1 else (float(seen[0]), float(seen[1])), lit)
    for half, extent, pixels in (
        (shape.half_width, np.ptp(xs) + 1, lit.shape[1]),
        (shape.half_height, np.ptp(ys) + 1, lit.shape[0]),
    ):
        # a field that is moved as well as too small has lost a strip at one side
        if min(2 * half, pixels) - extent > (3 if off <= ASIDE_BLOCKS / 2 else 1):
            return None, because("flood.lit_smaller")
        if 2 * half < LEAST_DECLARED * extent:
            return None, because("flood.lit_larger")
    return shape, None


def _smoothed(blocks: NDArray[np.float64], mask: Mask) -> NDArray[np.float64]:
    """Return Σ K·b·m / Σ K·m with K = [[1,2,1],[2,4,2],[1,2,1]]: pixels outside the field neither add nor dilute."""
    total = _nine(np.where(mask, blocks, 0.0))
    weight = _nine(mask.astype(np.float64))
    return np.divide(total, weight, out=np.zeros_like(total), where=np.broadcast_to(mask, total.shape))


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
        du = np.where(_whole(inner), _differential(image), -1.0)
        r, c = divmod(int(np.argmax(du)), du.shape[1])
        at = {"row": r, "column": c + 2} if axis == "x" else {"row": c + 2, "column": r}
        out[f"{name}_du_{axis}_percent"] = (float(max(du.max(), 0.0)), at)
    return out


def _differential(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the contrast of each five neighbours of a row (… × rows × columns - 4)."""
    ends = []
    for pick in (np.maximum, np.minimum):
        two = pick(image[..., :-1], image[..., 1:])
        ends.append(pick(pick(two[..., :-3], two[..., 2:-1]), image[..., 4:]))
    top, bottom = ends
    both = top + bottom
    np.subtract(top, bottom, out=top)
    top *= 100
    return np.divide(top, both, out=top, where=both > 0)


def _whole(mask: Mask) -> Mask:
    """Return where all five neighbours of a row lie inside."""
    return reduce(np.logical_and, [mask[:, k : k + mask.shape[1] - 4] for k in range(5)])


def _contrast(high: float, low: float) -> float:
    return 100 * (high - low) / (high + low) if high + low > 0 else 100.0


def _replicates(blocks: NDArray[np.float64], gain: NDArray[np.float64], ufov: Mask, cfov: Mask) -> dict[str, list[float]]:
    """Return the values of images with fresh counting noise; their spread is the uncertainty (parametric bootstrap, seeded)."""
    rows, columns = np.flatnonzero(ufov.any(1)), np.flatnonzero(ufov.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # nothing outside it counts
    blocks, gain, ufov, cfov = np.maximum(blocks[box], 0), gain[box], ufov[box], cfov[box]
    root = np.sqrt(blocks)
    masks = {"ufov": ufov, "cfov": cfov}
    whole = {(name, axis): _whole(m if axis == "x" else m.T) for name, m in masks.items() for axis in "xy"}
    out: dict[str, list[float]] = {}
    for number in range(REPLICATES):
        noisy = np.maximum(blocks + root * _normal(number, blocks.shape), 0)
        smooth = _smoothed(noisy * gain, ufov)
        along = {"x": _differential(smooth), "y": _differential(np.ascontiguousarray(smooth.T))}
        for name, mask in masks.items():
            inside = smooth[mask]
            out.setdefault(f"{name}_iu_percent", []).append(_contrast(float(inside.max()), float(inside.min())))
            for axis, values in along.items():
                out.setdefault(f"{name}_du_{axis}_percent", []).append(float((values * whole[name, axis]).max()))
    return out


def _normal(stream: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers of a standard normal distribution (Box and Muller), the same on every machine; numpy.random alone is 5 MB."""
    count = int(np.prod(shape))
    first, second = _uniform(2 * stream, (count + 1) // 2), _uniform(2 * stream + 1, (count + 1) // 2)
    radius, angle = np.sqrt(-2 * np.log(first)), 2 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count].reshape(shape)


def _uniform(stream: int, count: int) -> NDArray[np.float64]:
    """Return numbers evenly spread over (0, 1] (SplitMix64: Steele, Lea and Flood 2014)."""
    z = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(stream << 32)
    z *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z ^= z >> np.uint64(shift)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    return (((z >> np.uint64(11)) + np.uint64(1)) * 2.0**-53).astype(np.float64)


def _image_pixels(at: dict | None, image: NDArray, n: int) -> dict | None:
    """Return a place in pixels of the image as stored (0-based centre of the block)."""
    if at is None:
        return None
    oy, ox = (image.shape[0] % n) // 2, (image.shape[1] % n) // 2
    return {**at, "row": oy + at["row"] * n + (n - 1) / 2, "column": ox + at["column"] * n + (n - 1) / 2}

"""Artefacts in the image of a uniform phantom: rings, streaks, bands, spots and hot or cold tubes, found, typed, located, scored.

1. Take away what is smooth: the radial median of a cylinder, a surface of second order of a flood.
2. Filter for each type: means of annuli (rings), of straight strips in all directions (streaks, bands), of small squares (spots) and of
   squares of a photomultiplier's size (tubes), each less the mean of what flanks it.
3. Divide each response by the robust spread (1.4826 × median of the absolute values) of the same filter over the same image. The noise
   of a tomogram, which is alike over many pixels, so counts as what it is.
4. Take the strongest artefact, put its pixels aside and begin again: a spot is not a streak as well.

No standard defines these scores; types and sizes are the engine's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.field import Mask
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.result import MEASURED, NOT_MEASURED, Measure, Result
from spark_jobs.qc.spect.tomogram import boxed

__all__ = ["CT_CONTRAST", "LEAST_CONTRAST", "METHOD", "PROCEDURE", "VERSION", "Artefact", "measure"]

PROCEDURE = "artefacts"
METHOD = "matched filters, robust z"
VERSION = "1.0.1"
FORMULAE = (
    "response = mean inside the filter − mean of its flanks, relative to the mean of the field",
    "score = response / (1.4826 · median |response of the same filter over the image|), after each is divided by its expected noise",
    "an artefact has a score of at least 7 and at least the contrast of its type",
)
LARGEST_GRID = 110  # pixels across the field; finer images are averaged
FOUND_Z = 7.0
SPREAD_FLOOR = 2e-4  # of the mean: rounding is no noise
MOST = 12
ANGLES = 72
STRIPS = (1, 3, 7)  # pixels
SPOTS = (3, 5)
TUBE_MM = 56.0
WIDE = 5  # pixels; a wider strip is a band, a narrower one a streak; along rows and columns of a flood all are bands
LEAST_CONTRAST = {"ring": 0.004, "streak": 0.004, "band": 0.004, "spot": 0.01, "tube": 0.01}
CT_CONTRAST = {**LEAST_CONTRAST, "ring": 0.002, "streak": 0.002, "band": 0.002}  # 2 HU: fainter shades scanners leave in water
ENOUGH_PIXELS = 200


@dataclass(frozen=True)
class Artefact:
    """One artefact: type, score (robust z), contrast relative to its surroundings, and place in pixels of the image."""

    kind: str
    score: float
    contrast: float
    at: dict[str, Any]
    pixels: Mask  # on the working grid


def measure(
    image: NDArray,
    field: Mask,
    pixel_mm: float,
    *,
    centre: tuple[float, float] | None = None,
    detector: str | None = None,
    status: str = MEASURED,
    reason: str | None = None,
    block: int = 1,
    first: tuple[int, int] = (0, 0),
    least: Mapping[str, float] = LEAST_CONTRAST,
) -> Result:
    """Return number and scores of artefacts.

    Parameters
    ----------
    image
        Values proportional to activity or attenuation (HU + 1000), rows × columns.
    field
        Pixels that belong to the uniform part.
    centre
        Row and column of the axis of a cylinder; None for a flood, which has no rings but has tubes.
    status, reason
        Of the result that the image comes from; too few counts for a verdict there are too few here.
    block, first
        Where the image is of sums over block × block stored pixels from `first` on: places are given in stored pixels.
    least
        Contrast below which a type is no artefact, however sure it is.
    """
    ys, xs = np.nonzero(field)
    if len(ys) < ENOUGH_PIXELS:
        return Result(PROCEDURE, NOT_MEASURED, because("artefact.uniform_part_small"), detector, METHOD, VERSION)
    n = max(1, -(-int(max(np.ptp(ys), np.ptp(xs)) + 1) // LARGEST_GRID))
    top, left = int(ys.min()), int(xs.min())
    rows, columns = -(-(int(ys.max()) + 1 - top) // n), -(-(int(xs.max()) + 1 - left) // n)
    values, valid = _coarse(image, field, top, left, rows, columns, n)
    level = median(values[valid])
    if level <= 0:
        return Result(PROCEDURE, NOT_MEASURED, because("artefact.uniform_part_empty"), detector, METHOD, VERSION)
    work = _Work(
        np.where(valid, values / level - 1, 0.0),
        None if centre is None else ((centre[0] - top - (n - 1) / 2) / n, (centre[1] - left - (n - 1) / 2) / n),
        n * pixel_mm,
    )
    kinds = ("ring", "streak", "band", "spot") if centre is not None else ("streak", "band", "spot", "tube")
    scores: dict[str, float] = {}
    found: list[Artefact] = []
    while True:
        seen = [a for a in work.candidates(valid) if a.kind in kinds]
        good = [a for a in seen if a.score >= FOUND_Z and abs(a.contrast) >= least[a.kind]]
        if not good or len(found) == MOST or valid.sum() < ENOUGH_PIXELS:
            for a in seen:
                scores.setdefault(a.kind, a.score)
            break
        best = max(good, key=lambda a: a.score)
        found.append(best)
        scores[best.kind] = max(scores.get(best.kind, 0.0), best.score)
        valid = valid & ~best.pixels
    shown = [{"type": a.kind, "score": round(min(a.score, 999.0), 1), **_placed(a.at, (top, left), n)} for a in found]
    places = [_placed(p, first, block) for p in shown]
    strongest = {p["type"]: p for p in reversed(places)}
    measures = [Measure("artefact_count", float(len(found)), "1", None, {"artefacts": places} if places else None)]
    measures += [Measure(f"{k}_score", round(min(scores.get(k, 0.0), 999.0), 2), "1", None, strongest.get(k)) for k in kinds]
    figure = {"kind": PROCEDURE, "image": image / level, "field": field, "places": shown, "centre": centre, "pixel_mm": pixel_mm}
    return Result(PROCEDURE, status, reason, detector, METHOD, VERSION, tuple(measures), (), figure)


def _coarse(
    image: NDArray, field: Mask, top: int, left: int, rows: int, columns: int, n: int
) -> tuple[NDArray[np.float64], Mask]:
    """Return means over n × n pixels inside the field, and the blocks that lie in it whole."""
    part = np.zeros((rows * n, columns * n))
    mask = np.zeros((rows * n, columns * n))
    inside = field[top : top + rows * n, left : left + columns * n]
    height, width = inside.shape
    part[:height, :width] = np.where(inside, image[top : top + height, left : left + width], 0.0)
    mask[:height, :width] = inside
    total, weight = (a.reshape(rows, n, columns, n).sum((1, 3)) for a in (part, mask))
    return total / np.maximum(weight, 1), weight >= n * n


def _placed(at: dict[str, Any], first: tuple[int, int], n: int) -> dict[str, Any]:
    """Return a place in the pixels of the finer image, whose n × n pixels from `first` on are one here."""
    places = {k: round(f + at[k] * n + (n - 1) / 2, 1) for k, f in zip(("row", "column"), first, strict=True) if k in at}
    return {**at, **places}


class _Work:
    """The working grid: what is smooth is taken away anew whenever pixels were put aside."""

    def __init__(self, values: NDArray[np.float64], centre: tuple[float, float] | None, pixel_mm: float) -> None:
        self.values, self.centre, self.pixel_mm = values, centre, pixel_mm
        self.ys, self.xs = np.mgrid[: values.shape[0], : values.shape[1]].astype(np.float64)
        self.distance = None if centre is None else np.hypot(self.ys - centre[0], self.xs - centre[1])

    def candidates(self, valid: Mask) -> list[Artefact]:
        """Return the strongest artefact of each filter among valid pixels."""
        rest = self._rest(valid)
        out = [*self._strips(rest, valid), self._squares(rest, valid, SPOTS, "spot")]
        if self.distance is None:
            out.append(self._squares(rest, valid, (2 * round(TUBE_MM / self.pixel_mm / 2) + 1,), "tube"))
        else:
            out.append(self._rings(valid))
        return [a for a in out if a is not None]

    def _rest(self, valid: Mask) -> NDArray[np.float64]:
        values = self.values
        if self.distance is not None:
            filled = np.where(valid, values, np.nan)
            values = values - _radial(filled, self.distance)
            terms = np.stack([np.ones_like(self.ys), self.ys, self.xs], -1)
        else:
            y, x = self.ys / self.ys.max() - 0.5, self.xs / self.xs.max() - 0.5
            terms = np.stack([np.ones_like(y), y, x, y * y, x * y, x * x], -1)
        keep = valid
        for _ in range(3):
            t = terms[keep]
            factors = np.linalg.solve(t.T @ t, t.T @ values[keep])
            rest = values - terms @ factors
            spread = max(1.4826 * median(np.abs(rest[keep])), SPREAD_FLOOR)
            keep = valid & (np.abs(rest) < 3 * spread)
            if keep.sum() < ENOUGH_PIXELS:
                keep = valid
        return np.where(valid, rest, 0.0)

    def _strips(self, rest: NDArray[np.float64], valid: Mask) -> list[Artefact]:
        """Return the strongest streak and the strongest band: means of strips less the mean of their flanks."""
        y, x, values = self.ys[valid], self.xs[valid], rest[valid]
        size = int(np.hypot(*rest.shape)) + 4
        middle = (np.array(rest.shape) - 1) / 2
        angles = np.arange(ANGLES) * np.pi / ANGLES
        sums, counts = np.zeros((ANGLES, size)), np.zeros((ANGLES, size))
        for k, a in enumerate(angles):
            offset = np.rint((x - middle[1]) * np.cos(a) + (y - middle[0]) * np.sin(a) + size / 2).astype(np.int64)
            sums[k], counts[k] = np.bincount(offset, values, size), np.bincount(offset, minlength=size)
        longest = counts.max()
        best: dict[str, Artefact] = {}
        for width in STRIPS:
            reach = width + 2 * max(2, width)
            s, c = (boxed(a, (1, width)) * width for a in (sums, counts))
            wide_s, wide_c = (boxed(a, (1, reach)) * reach for a in (sums, counts))
            flank = wide_c - c
            enough = (c >= 0.4 * longest * width) & (flank >= 0.4 * longest * 2 * max(2, width))
            if not enough.any():
                continue
            contrast = np.where(enough, s / np.maximum(c, 1) - (wide_s - s) / np.maximum(flank, 1), 0.0)
            score = _scored(contrast / np.sqrt(1 / np.maximum(c, 1) + 1 / np.maximum(flank, 1)), enough, float(longest * width))
            for axial in (True, False):
                mine = score * ((np.arange(ANGLES) % (ANGLES // 2) == 0) == axial)[:, None]
                k, j = divmod(int(np.argmax(mine)), size)
                kind = "band" if width >= WIDE or (axial and self.distance is None) else "streak"
                if mine[k, j] <= 0 or (kind in best and best[kind].score >= mine[k, j]):
                    continue
                a, shift = float(angles[k]), j - size / 2
                line = (self.xs - middle[1]) * np.cos(a) + (self.ys - middle[0]) * np.sin(a) - shift
                at = {
                    "row": float(middle[0] + shift * np.sin(a)),
                    "column": float(middle[1] + shift * np.cos(a)),
                    "angle_deg": round((float(np.degrees(a)) + 90) % 180, 1),
                    "width_mm": round(width * self.pixel_mm, 1),
                    "contrast_percent": round(100 * float(contrast[k, j]), 2),
                }
                best[kind] = Artefact(kind, float(mine[k, j]), float(contrast[k, j]), at, np.abs(line) <= width / 2 + 1)
        return list(best.values())

    def _squares(self, rest: NDArray[np.float64], valid: Mask, sizes: tuple[int, ...], kind: str) -> Artefact | None:
        """Return the strongest spot: the mean of a square less the mean of what surrounds it."""
        best: Artefact | None = None
        weight = valid.astype(np.float64)
        for size in sizes:
            wide = 2 * size + 1
            edge = wide
            s, c = (boxed(np.pad(a, edge), (size, size))[edge:-edge, edge:-edge] * size**2 for a in (rest, weight))
            ws, wc = (boxed(np.pad(a, edge), (wide, wide))[edge:-edge, edge:-edge] * wide**2 for a in (rest, weight))
            around = wc - c
            enough = valid & (c >= 0.6 * size**2) & (around >= 0.35 * (wide**2 - size**2))
            if enough.sum() < 20:
                continue
            contrast = np.where(enough, s / np.maximum(c, 1) - (ws - s) / np.maximum(around, 1), 0.0)
            score = _scored(contrast * np.sqrt(c / size**2), enough, 1.0)
            y, x = divmod(int(np.argmax(score)), score.shape[1])
            if best is None or score[y, x] > best.score:
                at = {
                    "row": float(y),
                    "column": float(x),
                    "size_mm": round(size * self.pixel_mm, 1),
                    "contrast_percent": round(100 * float(contrast[y, x]), 2),
                    "sign": "hot" if contrast[y, x] > 0 else "cold",
                }
                near = np.hypot(self.ys - y, self.xs - x) <= 0.9 * size + 1
                best = Artefact(kind, float(score[y, x]), float(contrast[y, x]), at, near)
        return best

    def _rings(self, valid: Mask) -> Artefact | None:
        """Return the strongest ring: the mean of an annulus less a line in r² through the annuli at both sides."""
        assert self.distance is not None
        ring = np.rint(self.distance).astype(np.int64)
        counts = np.bincount(ring[valid]).astype(np.float64)
        sums = np.bincount(ring[valid], self.values[valid])
        radii = np.arange(len(counts), dtype=np.float64)
        best: Artefact | None = None
        for width in (1, 3):
            half = width // 2
            centres = [k for k in range(len(radii)) if counts[max(k - half, 0) : k + half + 1].sum() >= 9]
            contrast, noise = np.zeros(len(radii)), np.ones(len(radii))
            usable = np.zeros(len(radii), bool)
            for k in centres:
                away = np.abs(radii - k)
                near = (away > half + 0.5) & (away <= half + 4.5) & (counts > 0)
                if near.sum() < 4 or radii[near].max() <= k + half:
                    continue
                weight = counts[near]
                x, y = radii[near] ** 2 - k * k, sums[near] / weight
                total = weight.sum()
                mx, my = (weight * x).sum() / total, (weight * y).sum() / total
                slope = (weight * (x - mx) * (y - my)).sum() / max((weight * (x - mx) ** 2).sum(), 1e-12)
                mine = slice(max(k - half, 0), k + half + 1)
                own = counts[mine].sum()
                contrast[k] = sums[mine].sum() / own - (my - slope * mx)
                lever = mx * mx / max((weight * (x - mx) ** 2).sum(), 1e-12)
                noise[k] = np.sqrt(1 / own + 1 / total + lever)
                usable[k] = True
            if usable.sum() < 8:
                continue
            score = _scored(contrast / noise, usable, median(counts[usable]) * width)
            k = int(np.argmax(score))
            if best is None or score[k] > best.score:
                at = {
                    "radius_mm": round(k * self.pixel_mm, 1),
                    "width_mm": round(width * self.pixel_mm, 1),
                    "contrast_percent": round(100 * float(contrast[k]), 2),
                }
                best = Artefact("ring", float(score[k]), float(contrast[k]), at, np.abs(self.distance - k) <= half + 1)
        return best


def _scored(response: NDArray[np.float64], usable: Mask, pixels: float) -> NDArray[np.float64]:
    """Return the absolute response in units of its robust spread; `pixels` are those whose mean a response is."""
    spread = 1.4826 * median(np.abs(response[usable]))
    return np.where(usable, np.abs(response), 0.0) / max(spread, SPREAD_FLOOR * np.sqrt(pixels))


def _radial(values: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the radial median of valid pixels (others are NaN)."""
    there = ~np.isnan(values)
    ring = np.rint(distance).astype(np.int64)
    order = np.argsort(ring[there], kind="stable")
    edges = np.searchsorted(ring[there][order], np.arange(ring.max() + 2))
    sorted_values = values[there][order]
    radii = [k for k in range(len(edges) - 1) if edges[k + 1] > edges[k]]
    return np.interp(distance, radii, [median(sorted_values[edges[k] : edges[k + 1]]) for k in radii])

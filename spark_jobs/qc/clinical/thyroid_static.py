"""Quality of static thyroid views: counts, contrast of the lobes, where the gland lies in the field, blur, artefacts.

1. Find the two lobes in each view; a view without them gives only what needs no lobes.
2. Measure counts, noise, banding, dead lines and the hottest pixel of the view.
3. Measure contrast, edge width, place, tilt and asymmetry of the lobes.
4. Count the gland above its surroundings and, with a counted syringe, calculate the uptake.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.clinical import aspects, thyroid_uptake
from spark_jobs.qc.clinical.aspects import ARTEFACT, CONTRAST, COUNTS, MOTION, POSITIONING, TIMING, UNIFORMITY
from spark_jobs.qc.numerics.order import percentile
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "lobes_of", "measure"]

PROCEDURE = "thyroid_static"
METHOD = "paired lobes"
VERSION = "1.2.1"
FORMULAE = (
    "gland/background ratio = mean counts of the lobes / mean counts of a ring around them",
    "lobe asymmetry = 100 · |left − right| / (left + right), in percent",
    "edge width = (90th percentile − background) / steepest gradient · pixel size, in mm",
    "net counts = counts in the region − pixels · counts per pixel around it",
    "uptake = 100 · net counts / (Δt · D · (full − empty syringe)), in percent, syringe rates in cps decayed to the start of the view",
    "D = (1 − e^(−x)) / x, x = ln 2 · Δt / T½",
)
FEWEST_COUNTS = 5_000
SMOOTH_MM = 3.0
MOST_UPTAKE_PERCENT = 100.0


def measure(
    views: Mapping[str, NDArray],
    pixel_mm: float,
    *,
    seconds: float | None = None,
    timing: Sequence[Measure] = (),
    completeness: tuple[int, int] | None = None,
    syringe: thyroid_uptake.Syringe | None = None,
) -> Result:
    """Return the aspects of the views of a thyroid, the counts of its lobes, and the uptake where the syringe was counted.

    Parameters
    ----------
    views
        Counts by name of the view. In a view that shows no two lobes (a marker, an oblique view, a gland without uptake) only what
        needs no lobes is measured.
    seconds
        How long a view was acquired; None: the header does not say.
    syringe
        What the camera counted of the syringe before and after the injection; None: no uptake. Raise ValueError when it contradicts
        itself. The uptake is of the first view that shows both lobes and is not from behind.
    """
    measures: list[Measure] = []
    warnings = []
    fewest = np.inf
    figure = None
    known = False
    for region, image in views.items():
        counts = np.maximum(image, 0).astype(np.float64)
        total = float(counts.sum())
        if total <= 0:
            return Result(PROCEDURE, NOT_MEASURED, because("thyroid.view_empty", view=region), None, METHOD, VERSION)
        fewest = min(fewest, total)
        lobes = lobes_of(counts, pixel_mm)
        body = aspects.body_of(counts)
        bright = lobes[0] | lobes[1] if lobes else body
        noise = 100 * aspects.noise(counts, bright) / max(float(counts[bright].mean()), 1e-9)
        measures += [
            aspects.measure(COUNTS, "view_kcts", total / 1000, "kcts", region),
            aspects.measure(COUNTS, "noise_percent", noise, "%", region),
            aspects.measure(UNIFORMITY, "banding_percent", aspects.banding_percent(counts, body), "%", region),
            aspects.measure(ARTEFACT, "dead_lines_count", aspects.dead_lines(counts, body), "1", region),
            aspects.measure(ARTEFACT, "hottest_pixel_percent", 100 * float(counts.max()) / total, "%", region),
            aspects.measure(POSITIONING, "lobes_in_field_count", 2 if lobes else 0, "1", region),
        ]
        if lobes:
            measures += _gland(counts, lobes, body, pixel_mm, region)
            gland = thyroid_uptake.gland_of(counts, lobes, pixel_mm)
            if gland:
                measures += thyroid_uptake.values(counts, gland, seconds, region)
            if gland and syringe and seconds and not region.startswith("posterior") and not known:
                taken = thyroid_uptake.percent(counts, gland, seconds, syringe, region)
                if taken.value <= MOST_UPTAKE_PERCENT:
                    measures.append(taken)
                else:
                    warnings.append(because("uptake.absurd", percent=taken.value))
                known = True
            figure = figure or {"image": counts, "masks": list(lobes), "roi": gland.mask if gland else None}
        else:
            warnings.append(because("thyroid.no_lobes", view=region))
            figure = figure or {"image": counts, "masks": []}
    if syringe and not known:
        lacks = because("thyroid.no_front_view") if seconds else because("thyroid.duration_missing")
        warnings.append(because("uptake.not_measured", reason=lacks))
    if seconds:
        measures.append(aspects.measure(TIMING, "acquisition_s", seconds, "s"))
    measures += [*timing, *aspects.header(completeness)]
    few = fewest < FEWEST_COUNTS
    reason = because("thyroid.too_few_counts", counts=fewest) if few else None
    state = INDICATIVE if few else MEASURED
    return Result(
        PROCEDURE, state, reason, None, METHOD, VERSION, tuple(measures), tuple(warnings), {"kind": PROCEDURE, **(figure or {})}
    )


def _gland(
    counts: NDArray[np.float64],
    lobes: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    body: NDArray[np.bool_],
    pixel_mm: float,
    region: str,
) -> list[Measure]:
    gland = lobes[0] | lobes[1]
    around = aspects.grown(gland, max(3, round(20 / pixel_mm))) & ~aspects.grown(gland, max(2, round(8 / pixel_mm)))
    level = float(counts[around].mean()) if around.any() else 0.0
    centres = [np.array(np.nonzero(lobe)).mean(1) for lobe in lobes]
    middle = (centres[0] + centres[1]) / 2
    off = middle - (np.array(counts.shape) - 1) / 2
    down, across = centres[1] - centres[0]
    smooth = aspects.binomial(counts, max(1, round(2 * (SMOOTH_MM / pixel_mm) ** 2)))
    top = percentile(smooth[gland], 90)
    gy, gx = np.gradient(smooth, axis=0), np.gradient(smooth, axis=1)
    ring = aspects.grown(gland, max(2, round(8 / pixel_mm)))
    steep = percentile(np.hypot(gy, gx)[ring], 95)
    share = [float(counts[lobe].sum()) for lobe in lobes]
    return [
        aspects.measure(COUNTS, "thyroid_kcts", float(counts[gland].sum()) / 1000, "kcts", region),
        aspects.measure(CONTRAST, "thyroid_background_ratio", float(counts[gland].mean()) / max(level, 1e-3), "1", region),
        aspects.measure(MOTION, "edge_width_mm", (top - level) / max(steep, 1e-9) * pixel_mm, "mm", region),
        aspects.measure(POSITIONING, "centre_offset_mm", float(np.hypot(*off)) * pixel_mm, "mm", region),
        aspects.measure(POSITIONING, "tilt_deg", float(np.rad2deg(np.arctan2(down, across))), "deg", region),
        aspects.measure(POSITIONING, "organ_edge_mm", aspects.edge_distance(gland) * pixel_mm, "mm", region),
        aspects.measure(POSITIONING, "lobe_asymmetry_percent", 100 * abs(share[0] - share[1]) / sum(share), "%", region),
    ]


def lobes_of(image: NDArray[np.float64], pixel_mm: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Return the masks of two lobes, left of the image first, or None.

    Two upright bright regions beside each other: 25–110 mm long, longer than wide, their middles 18–90 mm apart and at like height.
    """
    from scipy import ndimage

    smooth = aspects.binomial(image, int(np.clip(round(2 * (SMOOTH_MM / pixel_mm) ** 2), 1, 12)))
    top = float(smooth.max())
    if top <= 0:
        return None
    for part in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        bright = smooth > part * top
        if bright.mean() > 0.25:
            continue
        labels, _ = ndimage.label(bright)
        found = []
        for k, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
            long, wide = (rows.stop - rows.start) * pixel_mm, (columns.stop - columns.start) * pixel_mm
            mask = labels == k
            if 25 <= long <= 110 and 8 <= wide <= 60 and long > 1.15 * wide:
                found.append((float(smooth[mask].sum()), mask, np.array(ndimage.center_of_mass(mask))))
        found.sort(key=lambda f: -f[0])
        if len(found) < 2:
            continue
        (first, a, ca), (second, b, cb) = found[:2]
        down, across = np.abs(ca - cb) * pixel_mm
        if 18 <= across <= 90 and down <= 25 and second > 0.2 * first:
            return (a, b) if ca[1] < cb[1] else (b, a)
    return None

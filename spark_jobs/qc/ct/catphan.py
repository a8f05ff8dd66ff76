"""CatPhan 503, 504, 600, 604, 700 and ACR phantoms: CT numbers of materials, slice thickness, bars, MTF, noise, low contrast.

1. Find the axis of the phantom and the module with the rods: their places and order tell the kind and how it is turned.
2. Measure the slice thickness from the wire ramps, and check slice positions and thickness of the header by it.
3. Measure the CT number of each rod over the slices within 8 mm of the module's middle, away from the blurred rim.
4. Measure the MTF from the edges of the rods with the highest contrast, and the modulation of the bars.
5. Find uniform and low-contrast modules at their distances: noise, uniformity, noise power, contrast-to-noise ratio.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.acr_modules import acr_measures
from spark_jobs.qc.ct.bar_pattern import bar_modulation, find_bars
from spark_jobs.qc.ct.ct_kinds import ACR, Insert, Model
from spark_jobs.qc.ct.ct_stack import Axis, Stack, axis_of
from spark_jobs.qc.ct.edge_mtf import mtf_at, mtf_of_edges, radial_edge
from spark_jobs.qc.ct.low_contrast import contrast_to_noise
from spark_jobs.qc.ct.noise_power import alike, errors_of_disc, noise_power, patches
from spark_jobs.qc.ct.ramps import Thickness, slice_thickness, unblurred
from spark_jobs.qc.ct.sensitometry import Match, Pose, find_module, fit_pose, module_slices, ring_profile
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import disc
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["METHOD", "PROCEDURE", "VERSION", "measure"]

PROCEDURE = "catphan"
METHOD = "CatPhan and ACR modules, geometry and materials checked"
VERSION = "1.4.0"
FORMULAE = (
    "CT number of a rod = mean of the middle half of its pixels, in HU",
    "slice thickness = FWHM of the wire ramp · tan 23°, in mm",
    "low-contrast visibility = 2 · |HU(polystyrene) − HU(LDPE)| / (noise of one + noise of the other)",
    "contrast-to-noise ratio = |S − B| / σ_B, of each low-contrast disc",
    "MTF = Fourier transform of the derivative of the edge profile of the rods; frequencies at 50 % and 10 %, in 1/mm",
    "uniformity = max |mean of an edge region − mean of the central region|, in HU",
)
RIM_MM, SMALLEST_MM = 1.5, 2.0  # a region stays so far inside the rim of its rod, and keeps this radius
BLUR_SIGMAS = 3.2  # and stays so many σ of the blur away from the rim, as the MTF tells it
HALF_MM = 8.0  # slices so far from the middle of the rods are measured
EDGE_HALF_MM = 3.0
MANY = 5
EDGE_HU = 300.0  # rods whose contrast is at least this give the MTF
CLIMB_PART = 0.15
AGREE_PART, OVERLAP_PART = 0.15, 0.45  # one slice and the mean of three may differ so much in thickness; more: slices overlap
SURE = 2.0  # standard deviations by which a thickness must differ from the header's before it contradicts it
NEAR_MM = 8.0  # a module may lie so far from its place in the table
EVEN_MM, EVEN_HU = 65.0, 15.0
UNIFORM_HALF_MM = 6.0
CENTRE_PART, EDGE_ROI_MM, NOISE_MM = 0.4, 10.0, 60.0
SHIFTED_HU = 8.0  # by which all rods of a slice differ from those of the others
SOFT_HU, OFF_HU, SCALED = 250.0, 20.0, 0.06  # rods that read the same at all voltages; CT numbers that are wrong as a whole
AIR_HU, AIR_BAND_HU = -1000.0, 60.0
AIR_ENDS_HU = -985.0  # scanners cut at -1000 or below
NOISE_HU, PLATEAU_PART = 1.0, 0.2  # noise that whole numbers do not hide, and the part of it that a plateau still has


@dataclass(frozen=True)
class _Rod:
    name: str
    label: str
    hu: float
    noise: float
    error: float
    contrast: float
    row: float
    column: float


@dataclass(frozen=True)
class _Off:
    """What is wrong with CT numbers as a whole: said how, and whether they are scaled."""

    text: str
    scaled: bool


def measure(stack: Stack, *, seen: tuple[Axis, tuple[int, Match]] | None = None, detector: str | None = None) -> Result:
    """Return what the modules in a stack of slices give, or the reason why it is none of the known phantoms.

    `seen` is the axis and the module of rods where somebody has found them already.

    CT numbers need the module with the rods. Every other module that is not in the stack, or not where it must be, gives a warning and
    no number.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    axis = seen[0] if seen else axis_of(stack)
    if isinstance(axis, str):
        return refuse(axis)
    found = seen[1] if seen else find_module(stack, axis)
    if found is None:
        return refuse(because("ct.no_rods"))
    slices = module_slices(stack, axis, *found)
    ends = stack.positions[slices[0]] - NEAR_MM, stack.positions[slices[-1]] + NEAR_MM
    if any(not ends[0] <= stack.positions[k] <= ends[1] for k in found[1].places):
        off = _numbers_off(_profile_rods(stack, axis, *found))
        return refuse(off.text if off else because("ct.rods_scattered"))
    if len(slices) >= MANY:
        slices = slices[1:-1]  # the outermost may hold a little of what comes next
    middle_mm = float((stack.positions[slices[0]] + stack.positions[slices[-1]]) / 2)
    first = [k for k in stack.within(middle_mm, HALF_MM) if k in slices] or [found[0]]
    pose = fit_pose(stack.mean(first), float(np.mean(stack.positions[first])), found[1], axis, stack.pixel_mm)
    if isinstance(pose, str):
        return refuse(pose)
    warnings: list[str] = []
    if pose.mirrored:
        warnings.append(because("ct.mirrored"))
    thickness = slice_thickness(stack, pose, slices) if pose.kind.ramps else because("ct.no_ramps_of_kind")
    if isinstance(thickness, str):
        warnings.append(thickness)
    else:
        if not thickness.in_order:
            return refuse(because("ct.wires_jump"))
        if thickness.climb is not None and abs(thickness.climb - 1) > CLIMB_PART:
            return refuse(because("ct.wires_climb", times=thickness.climb))
        middle_mm = float(stack.positions[thickness.middle])
    used = [k for k in stack.within(middle_mm, HALF_MM) if k in slices] or [found[0]]
    rods, background = _rods(stack, pose, used, pose.kind.insert_mm / 2 - 2 * RIM_MM)
    mtf = _mtf(stack, pose, rods, middle_mm, slices, warnings)
    # 50 % of a Gaussian's MTF lies at √(ln 2 / 2) / (π·σ)
    blur = np.sqrt(np.log(2) / 2) / np.pi / mtf[0].value if mtf else 0.0
    radius_mm = max(SMALLEST_MM, pose.kind.insert_mm / 2 - max(RIM_MM, BLUR_SIGMAS * blur))
    rods, background = _rods(stack, pose, used, radius_mm)
    cut = _cut_off(rods) or _shifted_slice(stack, pose, used, radius_mm)
    if cut:
        return refuse(cut)
    off = _numbers_off([(r.hu, i) for r, i in zip(rods, pose.kind.inserts, strict=True)])
    warnings += [off.text] if off and not off.scaled else []
    air = min(r.hu for r in rods)
    doubt: str | None = because("ct.air_of_rod", hu=air) if abs(air - AIR_HU) > AIR_BAND_HU and not off else None
    doubt = off.text if off and off.scaled else doubt
    measures = [
        Measure(f"{r.name}_hu", round(r.hu, 3), "HU", round(r.error, 3), _at(r.row, r.column, middle_mm), None, r.label)
        for r in rods
    ]
    if isinstance(thickness, Thickness):
        thickness = _believed(stack, thickness, float(blur), warnings)
        if stack.thickness_mm and abs(thickness.mm - stack.thickness_mm) > max(
            AGREE_PART * stack.thickness_mm, SURE * thickness.spread_mm
        ):
            warnings.append(because("ct.thickness_contradicts", header_mm=stack.thickness_mm, ramps_mm=thickness.mm))
        at = {"slice_mm": round(middle_mm, 3), "averaged_slices": thickness.averaged, "tilt_deg": round(thickness.tilt_deg, 2)}
        measures.append(Measure("slice_thickness_mm", round(thickness.mm, 4), "mm", round(thickness.spread_mm, 4), at))
    measures += mtf
    measures += _visibility(rods)
    has_bars = any(m.bars_mm is not None for m in pose.kind.models)
    bars = find_bars(stack, pose, middle_mm) if pose.kind.ramps and has_bars else None
    if pose.kind.ramps and not has_bars:
        warnings.append(because("ct.bars_no_circle"))
    if bars is not None:
        modulation = bar_modulation(stack, pose, [k for k in (bars - 1, bars, bars + 1) if 0 <= k < len(stack.positions)])
        if isinstance(modulation, str):
            warnings.append(modulation)
        elif modulation.half_lp_per_mm is None:
            warnings.append(because("ct.bars_too_clear"))
        else:
            at = {"slice_mm": round(float(stack.positions[bars]), 3)}
            measures.append(Measure("mtf50_bar_lp_per_mm", round(modulation.half_lp_per_mm, 4), "1/mm", None, at))
    layout = _layout(stack, pose, middle_mm, None if bars is None else float(stack.positions[bars]))
    if layout is None:
        warnings.append(because("ct.no_module_for_noise"))
    else:
        measures += _further_modules(stack, pose, middle_mm, layout, warnings)
    figure = {
        "kind": PROCEDURE,
        "image": stack.mean(used),
        "pixel_mm": stack.pixel_mm,
        "phantom": layout[0].name if layout else pose.kind.name,
        "roll_deg": round(pose.roll, 3),
        "radius": radius_mm / stack.pixel_mm,
        "rods": [(r.row, r.column, r.label, r.hu) for r in rods],
        "ramps": thickness.ramps if isinstance(thickness, Thickness) else (),
        "background_hu": background,
    }
    status = INDICATIVE if doubt else MEASURED
    return Result(PROCEDURE, status, doubt, detector, METHOD, VERSION, tuple(measures), tuple(warnings), figure)


def _believed(stack: Stack, thickness: Thickness, sigma_mm: float, warnings: list[str]) -> Thickness:
    """Return the thickness of averaged slices where one slice agrees with it, that of one slice otherwise, and say why."""
    alone = unblurred(thickness, sigma_mm)
    if thickness.averaged > 1:
        away = alone.mm / thickness.mm - 1 if sigma_mm else 0.0
        if abs(away) <= AGREE_PART:
            return thickness
        if away > OVERLAP_PART or away < -AGREE_PART:  # slices that reach into each other are thicker alone, never thinner
            warnings.append(because("ct.ramp_gaps", ramp_mm=alone.mm, header_mm=stack.thickness_mm))
            return alone
        warnings.append(because("ct.ramp_overlap", ramp_mm=alone.mm, header_mm=stack.thickness_mm))
        return replace(thickness, spread_mm=float(np.hypot(thickness.spread_mm, (alone.mm - thickness.mm) / 2)))
    if stack.thickness_mm is None:
        warnings.append(because("ct.thickness_missing"))
    elif stack.spacing_mm is None or abs(stack.spacing_mm / stack.thickness_mm - 1) > AGREE_PART:
        warnings.append(because("ct.thickness_one_slice"))
    if not sigma_mm:
        warnings.append(because("ct.blur_unknown"))
    return alone


def _at(row: float, column: float, position_mm: float) -> dict[str, float]:
    return {"row": round(row, 2), "column": round(column, 2), "slice_mm": round(position_mm, 3)}


def _rods(stack: Stack, pose: Pose, used: list[int], radius_mm: float) -> tuple[list[_Rod], float]:
    """Return each rod with the mean of the middle half of its pixels: neither clipped noise nor a blurred rim moves it."""
    pixels: dict[str, list[NDArray]] = {i.name: [] for i in pose.kind.inserts}
    between: list[NDArray] = []
    radius = radius_mm / stack.pixel_mm
    angles = [i.angle for i in pose.kind.inserts]
    gap = (angles[-1] + angles[-2]) / 2 if len(angles) > 5 else 0.0
    for k in used:
        hu, z = stack.hu(k), float(stack.positions[k])
        shape = (hu.shape[0], hu.shape[1])
        for insert in pose.kind.inserts:
            pixels[insert.name].append(hu[disc(shape, *pose.place(insert.angle, pose.ring_mm, z), radius)])
        between.append(hu[disc(shape, *pose.place(gap, pose.ring_mm, z), radius)])
    background = median(np.concatenate(between))
    together = max(1.0, _alike([pixels[i.name] for i in pose.kind.inserts]))
    out = []
    for insert in pose.kind.inserts:
        values = np.sort(np.concatenate(pixels[insert.name]).astype(np.float64))
        inner = values[len(values) // 4 : len(values) - len(values) // 4]
        noise = float(np.sqrt(np.mean([v.var(ddof=1) for v in pixels[insert.name]])))
        row, column = pose.place(insert.angle, pose.ring_mm, float(np.mean(stack.positions[used])))
        mean = float(inner.mean())
        # the middle half of Gaussian noise is 1.09 times as uncertain as the mean
        error = 1.09 * noise * np.sqrt(together / len(values))
        out.append(_Rod(insert.name, insert.label, mean, noise, float(error), mean - background, row, column))
    return out, background


def _alike(rods: list[list[NDArray]]) -> float:
    """Return how many pixels of a rod vary as one: the variance of its mean from slice to slice against that of independent pixels.

    One slice tells nothing of that, and 1 is returned: the errors are then the least that they can be.
    """
    parts = []
    for r in rods:
        variance = float(np.mean([s.var(ddof=1) for s in r]))
        if len(r) > 1 and variance > 0:
            parts.append(alike(np.array([s.mean() for s in r]), float(np.mean([s.size for s in r])), variance))
    return median(np.array(parts)) if parts else 1.0


def _cut_off(rods: list[_Rod]) -> str | None:
    """Return which end of the rods is a plateau among rods with noise; air may be one, for many scanners cut below it."""
    usual = median([r.noise for r in rods])
    densest, thinnest = max(rods, key=lambda r: r.hu), min(rods, key=lambda r: r.hu)
    if usual > NOISE_HU and densest.noise < PLATEAU_PART * usual:
        return because("ct.cut_off_above")
    if usual > NOISE_HU and thinnest.noise < PLATEAU_PART * usual and thinnest.hu > AIR_ENDS_HU:
        return because("ct.cut_off_below")
    return None


def _shifted_slice(stack: Stack, pose: Pose, used: list[int], radius_mm: float) -> str | None:
    """Return which of at least three slices reads other CT numbers in all rods than the others, or None."""
    if len(used) < 3:
        return None
    levels = []
    for k in used:
        hu, z = stack.hu(k), float(stack.positions[k])
        places = [pose.place(i.angle, pose.ring_mm, z) for i in pose.kind.inserts]
        levels.append([median(hu[disc((hu.shape[0], hu.shape[1]), *p, radius_mm / stack.pixel_mm)]) for p in places])
    table = np.array(levels)
    away = np.median(table - np.median(table, axis=0), axis=1)
    worst = int(np.abs(away).argmax())
    if abs(float(away[worst])) <= SHIFTED_HU:
        return None
    return because("ct.slice_shifted", slice=used[worst] + 1, slices=len(stack.positions), hu=float(away[worst]))


def _profile_rods(stack: Stack, axis: Axis, k: int, match: Match) -> list[tuple[float, Insert]]:
    """Return what the rods of one slice read along its ring."""
    profile = ring_profile(stack.hu(k), axis.at(float(stack.positions[k])), match.kind.ring_mm, stack.pixel_mm)
    sign = -1 if match.mirrored else 1
    return [(float(profile[round(sign * i.angle + match.roll) % 360]), i) for i in match.kind.inserts]


def _numbers_off(rods: list[tuple[float, Insert]]) -> _Off | None:
    """Return how the CT numbers of soft rods (HU, rod) are shifted or scaled as a whole, None where they are right.

    A shift leaves noise, contrast and widths as they are, and the limits of the rods judge it; a scale is in all of them.
    """
    soft = [(hu, i.nominal_hu) for hu, i in rods if abs(i.nominal_hu) < SOFT_HU]
    if len(soft) < 3:
        return None
    read, nominal = np.array(soft).T
    times = float(np.polyfit(nominal, read, 1)[0])
    shift = median(read - nominal)
    if abs(times - 1) > SCALED:
        return _Off(because("ct.numbers_scaled", times=times), True)
    return _Off(because("ct.numbers_shifted", hu=shift), False) if abs(shift) > OFF_HU else None


def _mtf(stack: Stack, pose: Pose, rods: list[_Rod], middle_mm: float, slices: list[int], warnings: list[str]) -> list[Measure]:
    used = [k for k in stack.within(middle_mm, EDGE_HALF_MM) if k in slices] or slices[:1]
    image, z = stack.mean(used), float(np.mean(stack.positions[used]))
    radius = pose.kind.insert_mm / 2
    edges = []
    for rod, insert in zip(rods, pose.kind.inserts, strict=True):
        if abs(rod.contrast) >= EDGE_HU:
            row, column = pose.place(insert.angle, pose.ring_mm, z)
            row, column = _own_centre(image, row, column, radius / stack.pixel_mm)
            edges.append(radial_edge(image, row, column, radius, stack.pixel_mm))
    curve = mtf_of_edges(edges, radius) if edges else None
    half = mtf_at(*curve, 0.5) if curve else None
    if curve is None or half is None:
        warnings.append(because("ct.no_mtf"))
        return []
    tenth = mtf_at(*curve, 0.1)
    at = {"slice_mm": round(z, 3), "edges": len(edges)}
    out = [Measure("mtf50_lp_per_mm", round(half, 4), "1/mm", None, at)]
    return [*out, Measure("mtf10_lp_per_mm", round(tenth, 4), "1/mm", None, at)] if tenth is not None else out


def _own_centre(image: NDArray, row: float, column: float, radius: float) -> tuple[float, float]:
    """Return the centre of one rod: its place in the fit is not sharp enough for an edge."""
    rows, columns = np.nonzero(disc((image.shape[0], image.shape[1]), row, column, 1.6 * radius))
    values = image[rows, columns].astype(np.float64)
    away = np.hypot(rows - row, columns - column)
    background = median(values[away > 1.35 * radius])
    weights = np.clip((values - background) / (median(values[away < 0.5 * radius]) - background), -0.2, 1.2)
    return float((weights * rows).sum() / weights.sum()), float((weights * columns).sum() / weights.sum())


def _visibility(rods: list[_Rod]) -> list[Measure]:
    by = {r.name: r for r in rods}
    if "ldpe" not in by or "poly" not in by:
        return []
    low, high = by["ldpe"], by["poly"]
    noise = low.noise + high.noise
    return [Measure("low_contrast_visibility", round(2 * abs(high.hu - low.hu) / noise, 3), "1")] if noise > 0 else []


def _layout(stack: Stack, pose: Pose, middle_mm: float, bars_mm: float | None) -> tuple[Model, int] | None:
    """Return which model it is, and whether its modules follow with rising (1) or falling (-1) position.

    Bars at their distance, an even slice where the uniform module must be, and discs where the low-contrast module must be, vote.
    """
    best: tuple[int, Model, int] | None = None
    for model in pose.kind.models:
        for way in (1, -1):
            score = 0
            if bars_mm is not None and model.bars_mm is not None:
                if abs(way * (bars_mm - middle_mm) - model.bars_mm) > NEAR_MM:
                    continue
                score += 2
            uniform = middle_mm + way * model.uniform_mm
            score += int(_inside(stack, uniform) and _even(stack, pose, uniform))
            if model.low_contrast_mm is not None and _inside(stack, middle_mm + way * model.low_contrast_mm):
                score += int(contrast_to_noise(stack, pose, middle_mm + way * model.low_contrast_mm) is not None)
            if score and (best is None or score > best[0]):
                best = (score, model, way)
    return (best[1], best[2]) if best else None


def _inside(stack: Stack, position_mm: float) -> bool:
    room = (stack.spacing_mm or 0) / 2
    return bool(stack.positions[0] - room <= position_mm <= stack.positions[-1] + room)


def _even(stack: Stack, pose: Pose, position_mm: float) -> bool:
    """Return whether the slice at a position shows one even material."""
    hu = stack.hu(stack.within(position_mm, 0)[0])
    row, column = pose.axis.at(position_mm)
    step = max(1, round(4.0 / stack.pixel_mm))
    rows, columns = hu.shape[0] // step, hu.shape[1] // step
    blocks = hu[: rows * step, : columns * step].reshape(rows, step, columns, step).mean((1, 3))
    inside = blocks[disc(blocks.shape, (row + 0.5) / step - 0.5, (column + 0.5) / step - 0.5, EVEN_MM / (step * stack.pixel_mm))]
    middle = median(inside)
    spread = 1.4826 * median(np.abs(inside - middle))
    return abs(middle) < 150 and float((np.abs(inside - middle) > EVEN_HU + 4 * spread).mean()) < 0.01


def _further_modules(stack: Stack, pose: Pose, middle_mm: float, layout: tuple[Model, int], warnings: list[str]) -> list[Measure]:
    model, way = layout
    out: list[Measure] = []
    uniform = middle_mm + way * model.uniform_mm
    if _inside(stack, uniform) and _even(stack, pose, uniform):
        out += _uniform(stack, pose, uniform, warnings)
    else:
        warnings.append(because("ct.no_uniform_module"))
    if pose.kind.name == ACR:
        out += acr_measures(stack, pose, middle_mm, way, warnings)
    discs = None
    if model.low_contrast_mm is not None and _inside(stack, middle_mm + way * model.low_contrast_mm):
        discs = contrast_to_noise(stack, pose, middle_mm + way * model.low_contrast_mm)
    if discs is None:
        warnings.append(because("ct.no_low_contrast"))
    else:
        z = float(np.mean(stack.positions[discs[1]]))
        out += [
            Measure("cnr", round(d.cnr, 4), "1", round(d.error, 4), _at(d.row, d.column, z), None, f"{d.diameter_mm:g} mm")
            for d in discs[0]
        ]
    return out


def _uniform(stack: Stack, pose: Pose, position_mm: float, warnings: list[str]) -> list[Measure]:
    """Return noise, uniformity and noise power of the uniform module, means over the slices about its middle."""
    slices = [k for k in stack.within(position_mm, UNIFORM_HALF_MM) if _even(stack, pose, float(stack.positions[k]))]
    places = {"top": -90.0, "right": 0.0, "bottom": 90.0, "left": 180.0}
    centre, variance, regions = [], [], []
    edges: dict[str, list[float]] = {name: [] for name in places}
    images, middles = [stack.hu(k) for k in slices], [pose.axis.at(float(stack.positions[k])) for k in slices]
    radius = CENTRE_PART * pose.axis.diameter_mm / 2 / stack.pixel_mm
    for hu, (row, column) in zip(images, middles, strict=True):
        shape = (hu.shape[0], hu.shape[1])
        roi = hu[disc(shape, row, column, radius)].astype(np.float64)
        centre.append(float(roi.mean()))
        variance.append(float(roi.var(ddof=1)))
        for name, angle in places.items():
            r = pose.kind.uniform_ring_mm / stack.pixel_mm
            y, x = row + r * np.sin(np.deg2rad(angle)), column + r * np.cos(np.deg2rad(angle))
            edges[name].append(float(hu[disc(shape, y, x, EDGE_ROI_MM / stack.pixel_mm)].mean()))
        regions += patches(hu, row, column, NOISE_MM / stack.pixel_mm)
    away_of_slice = np.array(centre) - median(centre)
    if len(centre) > 2 and np.abs(away_of_slice).max() > SHIFTED_HU:
        worst_slice = int(np.abs(away_of_slice).argmax())
        shift = float(away_of_slice[worst_slice])
        warnings.append(because("ct.slice_shifted", slice=slices[worst_slice] + 1, slices=len(stack.positions), hu=shift))
        return []
    middle, noise = float(np.mean(centre)), float(np.sqrt(np.mean(variance)))
    of_middle, of_noise = errors_of_disc(images, middles, radius, noise)
    away = {name: float(np.mean(v)) - middle for name, v in edges.items()}
    worst = max(away, key=lambda name: abs(away[name]))
    at = {"slice_mm": round(float(np.mean(stack.positions[slices])), 3), "slices": len(slices)}
    out = [
        Measure("uniform_hu", round(middle, 3), "HU", round(of_middle, 4), at),
        Measure("noise_hu", round(noise, 4), "HU", round(of_noise, 4), at),
        Measure("uniformity_max_hu", round(abs(away[worst]), 3), "HU", None, {**at, "edge": worst}),
    ]
    if regions:
        power = noise_power(regions, stack.pixel_mm)
        out += [
            Measure("nps_integral_hu2", round(power.integral_hu2, 4), "HU2", None, at),
            Measure("nps_peak_lp_per_mm", round(power.peak_per_mm, 4), "1/mm", None, at),
        ]
    return out

"""Slice thickness from the wire ramps of a sensitometry module: ramp FWHM × tan 23°."""

from dataclasses import dataclass, replace
from math import erf

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.ct_stack import Stack
from spark_jobs.qc.ct.sensitometry import Pose
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import sampled

__all__ = ["Thickness", "slice_thickness", "unblurred"]

ANGLE_DEG = 23.0
PLACES = (-90.0, 0.0, 90.0, 180.0)  # opposite ramps run opposite ways
DISTANCE_MM, HALF_LENGTH_MM, HALF_WIDTH_MM, BAND_MM = 38.0, 24.0, 5.0, 1.0
STEP_MM = 0.25
BOX = 5  # steps over which a profile is smoothed
FWHM_PER_SIGMA = 2.3548
LONGEST_MM = 12.0  # half of the longest image of a ramp that is expected: 10 mm slices
SEEN = 6.0  # a ramp stands out of the noise of its own profile by so many standard deviations
THIN_MM = 3.5  # thinner slices are averaged by three, so that the ramp is longer than the blur
STRAIGHT_MM = 6.5  # from the middle: further away the ends of the ramps come into sight
CLIMB_ALIKE = 0.2  # a ramp that climbs otherwise than the others is disturbed: metal, a streak
STRAY_MM, ORDER_PART = 1.0, 0.35  # off the straight line along a ramp; of the way from slice to slice
EVEN_PART = 0.05  # averaging is allowed where slices are as thick as they are apart


@dataclass(frozen=True)
class Thickness:
    """Slice thickness (mm) with its spread over the ramps, tilt of the phantom along the ramps, slices averaged, and the ramps seen.

    `climb` is the height that the wires climb from slice to slice, by their angle, over the distance of the slices by the header; None
    where fewer than three slices show them. `in_order` is False where a slice shows all wires elsewhere than its neighbours say.
    """

    mm: float
    spread_mm: float
    tilt_deg: float
    averaged: int
    middle: int
    ramps: tuple[tuple[float, float, float], ...]  # row, column, length in mm
    climb: float | None
    single_mm: float | None  # from the middle slice alone, blur and all
    in_order: bool = True


def slice_thickness(stack: Stack, pose: Pose, slices: list[int]) -> Thickness | str:
    """Return the thickness, or why it cannot be told.

    The slice in which opposite ramps stand side by side is the middle of the module. A tilt lengthens one ramp of a pair and shortens
    the other: T = L₁·tan(23° + α) = L₂·tan(23° − α) gives both T and α.
    """
    profiles = {k: _profiles(stack.hu(k), pose, float(stack.positions[k])) for k in slices}
    there = tuple(place in pose.kind.ramps for place in PLACES)
    middle = _middle(profiles, slices, there)
    if middle is None:
        return because("ct.no_ramps")
    spacing, declared = stack.spacing_mm, stack.thickness_mm
    even = spacing is not None and declared is not None and abs(spacing / declared - 1) < EVEN_PART and declared < THIN_MM
    averaged = 3 if even and middle - 1 in profiles and middle + 1 in profiles else 1
    climb, in_order, usable = _climb(stack, profiles, middle, there)
    found = _measured([profiles[k] for k in range(middle - averaged // 2, middle + averaged // 2 + 1)], usable)
    alone = found if averaged == 1 else _measured([profiles[middle]], usable)
    if found is None:
        return because("ct.no_ramps")
    z = float(stack.positions[middle])
    marks = tuple((*pose.place(p, DISTANCE_MM, z), f[1]) for p, f in zip(PLACES, found.ramps, strict=True) if f is not None)
    lengths = np.array([m[2] for m in marks]) * np.tan(np.radians(ANGLE_DEG)) / averaged
    spread = float(lengths.std(ddof=1) / np.sqrt(len(lengths))) if len(lengths) > 1 else 0.0
    single = None if alone is None else alone.mm
    return Thickness(found.mm / averaged, spread, found.tilt_deg, averaged, middle, marks, climb, single, in_order)


def unblurred(thickness: Thickness, sigma_mm: float) -> Thickness:
    """Return the thickness from the middle slice alone, the blur of the image (σ) taken off.

    A ramp is the slice's profile drawn out along the wire, and the image blurs it as it blurs everything. How much that widens it
    depends on the profile: an even one (which is taken) less than a Gaussian one; half of the difference is uncertainty.
    """
    if thickness.single_mm is None:
        return thickness
    tangent = float(np.tan(np.radians(ANGLE_DEG)))
    seen, sigma = thickness.single_mm / tangent, float(np.hypot(sigma_mm, BOX * STEP_MM / np.sqrt(12)))
    even = _even_length(seen, sigma)
    bell = float(np.sqrt(max(seen**2 - (FWHM_PER_SIGMA * sigma) ** 2, 0.0)))
    doubt = float(np.hypot(thickness.spread_mm, (even - bell) / 2 * tangent))
    return replace(thickness, mm=even * tangent, spread_mm=doubt, averaged=1)


def _even_length(fwhm: float, sigma: float) -> float:
    """Return the length of an even profile whose image, blurred by a Gaussian, is so wide at half of its maximum."""
    if sigma <= 0:
        return fwhm
    low, high = 0.0, fwhm
    for _ in range(40):
        length = (low + high) / 2
        edge = sigma * np.sqrt(2.0)
        top = erf(length / 2 / edge)
        there = (erf((fwhm / 2 + length / 2) / edge) - erf((fwhm / 2 - length / 2) / edge)) / 2
        low, high = (length, high) if there < top / 2 else (low, length)
    return (low + high) / 2


@dataclass(frozen=True)
class _Found:
    mm: float
    tilt_deg: float
    ramps: tuple[tuple[float, float] | None, ...]


def _measured(profiles: list[list[NDArray[np.float64]]], usable: tuple[bool, ...]) -> _Found | None:
    """Return thickness (of all these slices together), tilt and ramps from the mean profiles of some slices."""
    found = [_width(np.mean([p[i] for p in profiles], axis=0)) if usable[i] else None for i in range(len(PLACES))]
    tangent = np.tan(np.radians(ANGLE_DEG))
    values, tilts = [], []
    for first, second in ((0, 2), (1, 3)):
        a, b = found[first], found[second]
        if a is not None and b is not None:
            alpha = 0.5 * np.arcsin(np.clip(np.sin(2 * np.radians(ANGLE_DEG)) * (b[1] - a[1]) / (b[1] + a[1]), -1, 1))
            values.append(a[1] * np.tan(np.radians(ANGLE_DEG) + alpha))
            tilts.append(float(np.degrees(alpha)))
    if not values:  # a ramp without its opposite: a tilt would be taken for thickness, but better than nothing
        values = [x[1] * tangent for x in found if x is not None]
    return _Found(float(np.mean(values)), max(tilts, key=abs, default=0.0), tuple(found)) if values else None


def _climb(
    stack: Stack, profiles: dict[int, list[NDArray[np.float64]]], middle: int, there: tuple[bool, ...]
) -> tuple[float | None, bool, tuple[bool, ...]]:
    """Return how fast the wires climb, whether each slice shows them where its neighbours say, and which ramps climb like the others."""
    near = [k for k in sorted(profiles) if abs(stack.positions[k] - stack.positions[middle]) <= STRAIGHT_MM]
    z = {k: float(stack.positions[k]) for k in near}
    slopes: dict[int, float] = {}
    scatter: dict[int, float] = {}
    rest: dict[int, list[float]] = {k: [] for k in near}
    for i in range(len(PLACES)):
        seen = [(k, f[0]) for k in near if there[i] and (f := _width(profiles[k][i])) is not None]
        if len(seen) < 3:
            continue
        at, along = np.array([z[k] for k, _ in seen]), np.array([u for _, u in seen])
        first, second = np.triu_indices(len(at), 1)
        slopes[i] = median((along[second] - along[first]) / (at[second] - at[first]))
        away = along - slopes[i] * at
        away -= median(away)
        scatter[i] = median(np.abs(away))
        for (k, _), value in zip(seen, away, strict=True):
            rest[k].append(float(value))
    if len(slopes) < 2:
        return None, True, there
    usual = median([abs(s) for s in slopes.values()])
    usable = tuple(
        there[i] and (i not in slopes or (abs(abs(slopes[i]) / usual - 1) < CLIMB_ALIKE and scatter[i] < STRAY_MM))
        for i in range(len(PLACES))
    )
    if not any(usable):
        usable = there
    stray = max(STRAY_MM, ORDER_PART * usual * (stack.spacing_mm or 0.0))
    in_order = all(len(r) < 2 or median(np.abs(r)) < stray for r in rest.values())
    return usual * float(np.tan(np.radians(ANGLE_DEG))), in_order, usable


def _profiles(hu: NDArray, pose: Pose, position_mm: float) -> list[NDArray[np.float64]]:
    """Return, for each place, the profile along the ramp: summed over a band about the wire, background taken off."""
    along = np.arange(-HALF_LENGTH_MM, HALF_LENGTH_MM + STEP_MM / 2, STEP_MM)
    across = np.arange(-HALF_WIDTH_MM, HALF_WIDTH_MM + STEP_MM, STEP_MM * 2)
    row, column = pose.axis.at(position_mm)
    sign = -1 if pose.mirrored else 1
    out = []
    for place in PLACES:
        turned = np.deg2rad(sign * place + pose.roll)
        # along runs clockwise in the phantom's own frame, so that a mirror image gives the same profile
        dy, dx = np.sin(turned), np.cos(turned)
        ty, tx = sign * np.cos(turned), -sign * np.sin(turned)
        r = (DISTANCE_MM + across)[:, None]
        rows = row + (r * dy + along[None, :] * ty) / pose.pixel_mm
        columns = column + (r * dx + along[None, :] * tx) / pose.pixel_mm
        box = sampled(hu, rows, columns)
        box = box - median(box)
        strength = np.abs(box.clip(-5000, 5000)).max(1)
        peak = float(across[int(_smooth(strength, 3).argmax())])
        band = np.abs(across - peak) <= BAND_MM
        out.append(box[band].mean(0))
    return out


def _smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    return np.convolve(np.pad(values, width // 2, "edge"), np.ones(width) / width, "valid")


def _width(profile: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return where the middle of a ramp lies and its FWHM, both in mm along the ramp; None when it is lost in the noise."""
    smooth = _smooth(profile, BOX)
    top = int(np.abs(smooth - median(smooth)).argmax())
    outer = smooth[np.abs(np.arange(len(smooth)) - top) * STEP_MM > LONGEST_MM]
    smooth = smooth - median(outer)
    noise = 1.4826 * median(np.abs(outer - median(outer)))
    sign = np.sign(smooth[top])
    smooth = smooth * sign
    if smooth[top] < SEEN * noise or smooth[top] < 10:
        return None
    ends = _crossings(smooth, top, smooth[top] / 2)
    if ends is None:
        return None
    left, right = ends
    return ((left + right) / 2 * STEP_MM - HALF_LENGTH_MM, (right - left) * STEP_MM)


def _crossings(values: NDArray[np.float64], top: int, half: float) -> tuple[float, float] | None:
    left, right = top, top
    while left > 0 and values[left] > half:
        left -= 1
    while right < len(values) - 1 and values[right] > half:
        right += 1
    if left == top or right == top or values[left] > half or values[right] > half:
        return None
    a = left + (half - values[left]) / (values[left + 1] - values[left])
    b = right - (half - values[right]) / (values[right - 1] - values[right])
    return float(a), float(b)


def _middle(profiles: dict[int, list[NDArray[np.float64]]], slices: list[int], there: tuple[bool, ...]) -> int | None:
    """Return the slice in which the ramps stand nearest to the middle of their lines."""
    best: tuple[float, int] | None = None
    for k in slices:
        found = [_width(p) for p, t in zip(profiles[k], there, strict=True) if t]
        seen = [f[0] for f in found if f is not None]
        if len(seen) >= 2:
            # in the phantom's frame all ramps climb clockwise or all counter-clockwise: their mean crosses zero in the middle
            away = float(np.mean(np.abs(seen)))
            if best is None or away < best[0]:
                best = (away, k)
    return best[1] if best is not None else None

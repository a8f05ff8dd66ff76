"""Bars around a circle: how much of their modulation is left, relative to the widest bars. This is no MTF."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.ct_kinds import BAR_GROUPS, CATPHAN_BARS, BarGroup
from spark_jobs.qc.ct.ct_stack import Stack
from spark_jobs.qc.ct.sensitometry import Pose
from spark_jobs.qc.numerics.order import median, percentile
from spark_jobs.qc.numerics.outline import sampled

__all__ = ["Bars", "bar_modulation", "find_bars"]

STEPS = 3600  # samples around the circle
SEEN_HU = 100.0  # bars are metal: what modulates less is no bar pattern
NEAR_MM = 10.0  # from where the bars of a model must be
WIDER_MM = 1.9
SEARCH_DEG = 6.0
SLACK_PART = 0.003  # of the circle: groups may lie so far from their places
# along the bars, as much as the peer's sampling does, so that the numbers can be compared; without it the real series reads 12 % more
SMOOTH_MM = 0.34


@dataclass(frozen=True)
class Bars:
    """Relative modulation by frequency (1/mm), and the frequency at which half of it is left (None: it never falls so low)."""

    lp_per_mm: tuple[float, ...]
    modulation: tuple[float, ...]
    half_lp_per_mm: float | None
    slices: tuple[int, ...]


def find_bars(stack: Stack, pose: Pose, module_mm: float) -> int | None:
    """Return the slice in which the bars stand out most, or None when there is no bar module in the stack."""
    best: tuple[float, int] | None = None
    angles = np.deg2rad(np.arange(0, 360, 0.5))
    places = [m.bars_mm for m in pose.kind.models if m.bars_mm is not None]
    for k, z in enumerate(stack.positions):
        if all(abs(abs(z - module_mm) - place) > NEAR_MM for place in places):
            continue
        row, column = pose.axis.at(float(z))
        r = CATPHAN_BARS / pose.pixel_mm
        ring = sampled(stack.hu(k), row + r * np.sin(angles), column + r * np.cos(angles))
        middle = median(ring)
        strength = percentile(ring, 85) - middle
        if middle > -300 and strength > SEEN_HU and (best is None or strength > best[0]):
            best = (strength, k)
    return best[1] if best else None


def bar_modulation(stack: Stack, pose: Pose, slices: list[int]) -> Bars | str:
    """Return the relative modulation of the bars, each angle at the slice where it is strongest (the sheet of bars is thin)."""
    profile = np.max([_circle(stack.hu(k), pose, float(stack.positions[k])) for k in slices], axis=0)
    found = [m for m in (_groups(profile, forward) for forward in (True, False)) if m is not None]
    if not found:
        return because("bars.pattern_other")
    values = max(found, key=lambda v: v[0] + v[1])
    relative = tuple(float(v / values[0]) for v in values)
    frequencies = tuple(g.lp_per_mm for g in BAR_GROUPS)
    return Bars(frequencies, relative, _half(frequencies, relative), tuple(slices))


def _circle(hu: NDArray, pose: Pose, position_mm: float) -> NDArray[np.float64]:
    """Return the profile along the bars, clockwise in the phantom's own frame from its right."""
    turns = np.arange(STEPS) * 2 * np.pi / STEPS
    turned = (-turns if pose.mirrored else turns) + np.deg2rad(pose.roll)
    row, column = pose.axis.at(position_mm)
    radii = (CATPHAN_BARS + np.linspace(-WIDER_MM, WIDER_MM, 5)) / pose.pixel_mm
    profile = sampled(hu, row + np.outer(radii, np.sin(turned)), column + np.outer(radii, np.cos(turned))).mean(0)
    sigma = SMOOTH_MM / (2 * np.pi * CATPHAN_BARS)
    frequency = np.fft.rfftfreq(STEPS, 1 / STEPS)
    return np.fft.irfft(np.fft.rfft(profile) * np.exp(-2 * (np.pi * frequency * sigma) ** 2), STEPS)


def _groups(profile: NDArray[np.float64], forward: bool) -> list[float] | None:
    """Return the modulation of each group, the pattern beginning at the left and running below, or mirrored; None: it does not fit."""
    # turned so that the pattern begins at sample 0 and runs upwards
    half = STEPS // 2
    turned = np.roll(profile[::-1], 1 + half) if forward else profile
    turned = turned - median(np.roll(turned, -int(0.52 * STEPS))[: int(0.42 * STEPS)])
    shift, best = 0, -np.inf
    reach = int(SEARCH_DEG / 360 * STEPS)
    for s in range(-reach, reach + 1, 6):
        contrast = sum(_contrast(np.roll(turned, -s), g)[2] for g in BAR_GROUPS[:3])
        if contrast > best:
            shift, best = s, contrast
    turned = np.roll(turned, -shift)
    out = []
    for group in BAR_GROUPS:
        peak, valley, _ = _contrast(turned, group)
        out.append(max(0.0, (peak - valley) / (peak + valley)) if peak + valley > 0 else 0.0)
    first = _contrast(turned, BAR_GROUPS[0])
    return out if first[2] > SEEN_HU and out[0] > 0.3 and out[1] > 0.1 else None


def _contrast(turned: NDArray[np.float64], group: BarGroup) -> tuple[float, float, float]:
    """Return mean peak, mean valley and contrast at the comb position (near the group's middle) where the contrast is largest."""
    period = STEPS / (group.lp_per_mm * 2 * np.pi * CATPHAN_BARS)
    slack = min(period * 0.45, SLACK_PART * STEPS)
    offsets = (np.arange(group.bars) - (group.bars - 1) / 2) * period
    gaps = (offsets[1:] + offsets[:-1]) / 2
    places = group.middle * STEPS + np.linspace(-slack, slack, 17)
    index = np.arange(STEPS)
    peaks = np.interp(places[:, None] + offsets, index, turned, period=STEPS).mean(1)
    valleys = np.interp(places[:, None] + gaps, index, turned, period=STEPS).mean(1)
    place = places[int((peaks - valleys).argmax())]
    near = np.linspace(-period / 5, period / 5, 9)[:, None]
    peak = float(np.interp(place + near + offsets, index, turned, period=STEPS).max(0).mean())
    valley = float(np.interp(place + near + gaps, index, turned, period=STEPS).min(0).mean())
    return peak, valley, float((peaks - valleys).max())


def _half(frequencies: tuple[float, ...], relative: tuple[float, ...]) -> float | None:
    for k in range(1, len(relative)):
        if relative[k] < 0.5:
            share = (relative[k - 1] - 0.5) / (relative[k - 1] - relative[k])
            return frequencies[k - 1] + share * (frequencies[k] - frequencies[k - 1])
    return None

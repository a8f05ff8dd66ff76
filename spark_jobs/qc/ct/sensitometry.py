"""The module with rods of known materials: which phantom it is, how it lies, and whether every rod is where and what it must be."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.ct.ct_kinds import KINDS, Insert, Kind
from spark_jobs.qc.ct.ct_stack import Axis, Stack
from spark_jobs.qc.numerics.order import median
from spark_jobs.qc.numerics.outline import disc, sampled

__all__ = ["Match", "Pose", "find_module", "fit_pose", "match_profile", "module_slices", "numbers_of_rods", "ring_profile"]

WRONG_HU, WRONG_PART = 70.0, 0.15  # how far a material may read from nominal before it is another material
ORDER_HU = 15.0  # materials in the order of their density; noise may turn two by this much
BLANK_HU = 50.0  # between the rods there is nothing
DIAMETER_PART = 0.06  # the outline may differ so much from the kind's (housings, shells)
PLACE_MM = 1.5  # a rod further away from its place is a wrong phantom, a bent image or a wrong header
SCALE_PART = 0.03
KNOWN_PLACE_MM = 0.5  # a rod whose place is less certain does not vote on the geometry
COARSE_MM = 4.0
LONGEST_MM = 45.0
TILT_DEG = 5.0
MOST_TIMES, SCALED = 2.0, 0.04  # CT numbers that are scaled by so much, and by so little that a shift tells more of them


@dataclass(frozen=True)
class Match:
    """A kind of phantom on a ring profile: turned by `roll` degrees, mirrored or not; `error` is the mean deviation in tolerances.

    `places` are all slices of the coarse pass that show the same kind.
    """

    kind: Kind
    mirrored: bool
    roll: float
    error: float
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pose:
    """How the phantom lies in the image: the axis, the turn, whether it is a mirror image, and the radius of its ring of rods."""

    kind: Kind
    axis: Axis
    roll: float
    mirrored: bool
    ring_mm: float
    pixel_mm: float

    def place(self, angle: float, distance_mm: float, position_mm: float) -> tuple[float, float]:
        """Return row and column of a place of the phantom in the slice at a position."""
        row, column = self.axis.at(position_mm)
        turned = np.deg2rad((-angle if self.mirrored else angle) + self.roll)
        r = distance_mm / self.pixel_mm
        return float(row + r * np.sin(turned)), float(column + r * np.cos(turned))


def ring_profile(hu: NDArray, centre: tuple[float, float], radius_mm: float, pixel_mm: float) -> NDArray[np.float64]:
    """Return the mean over 5 mm across a ring at whole degrees, clockwise from the right."""
    angles = np.deg2rad(np.arange(360.0))
    radii = (radius_mm + np.linspace(-2.5, 2.5, 5)) / pixel_mm
    rows = centre[0] + np.outer(radii, np.sin(angles))
    columns = centre[1] + np.outer(radii, np.cos(angles))
    return sampled(hu, rows, columns).mean(0)


def match_profile(profile: NDArray[np.float64], kind: Kind) -> Match | None:
    """Return how a kind fits a ring profile, or None when it does not fit in any turn, mirrored or not."""
    if profile.min() > -600 or profile.max() < 400:
        return None
    reach = max(1, round(np.degrees((kind.insert_mm / 2 - 3) / kind.ring_mm)))
    smooth = np.convolve(np.concatenate([profile[-reach:], profile, profile[:reach]]), np.ones(2 * reach + 1), "valid") / (
        2 * reach + 1
    )
    nominal = np.array([i.nominal_hu for i in kind.inserts])
    angles = np.array([i.angle for i in kind.inserts])
    allowed = WRONG_HU + WRONG_PART * np.abs(nominal)
    order = np.argsort(nominal)
    best: Match | None = None
    for mirrored in (False, True):
        sign = -1 if mirrored else 1
        index = (np.arange(360)[:, None] + np.rint(sign * angles)[None, :]).astype(int) % 360
        values = smooth[index]
        away = np.abs(values - nominal) / allowed
        good = (away < 1).all(1) & (np.diff(values[:, order], axis=1) > -ORDER_HU).all(1)
        if not good.any():
            continue
        roll = int(np.where(good, away.mean(1), np.inf).argmin())
        error = float(away[roll].mean())
        if (best is None or error < best.error) and _blank(smooth, kind, sign, roll, reach):
            best = Match(kind, mirrored, float(roll), error)
    return best


def _blank(smooth: NDArray[np.float64], kind: Kind, sign: int, roll: int, reach: int) -> bool:
    """Return whether there is nothing between the rods, and nothing strange at a spare place."""
    half = np.degrees((kind.insert_mm / 2 + 3) / kind.ring_mm) + reach
    taken = [sign * i.angle + roll for i in kind.inserts]
    spare = [sign * a + roll for a in kind.spare]
    degrees = np.arange(360)
    free = np.ones(360, bool)
    for angle in (*taken, *spare):
        free &= np.abs((degrees - angle + 180) % 360 - 180) > half
    background = median(smooth[free])
    if np.abs(smooth[free] - background).max() > BLANK_HU:
        return False
    there = [float(smooth[round(a) % 360]) for a in spare]
    return all(v < -600 or abs(v) < BLANK_HU + 20 or abs(v - background) < BLANK_HU for v in there)


def _best(hu: NDArray, centre: tuple[float, float], stack: Stack, axis: Axis, kinds: tuple[Kind, ...]) -> Match | None:
    profiles = {r: ring_profile(hu, centre, r, stack.pixel_mm) for r in {k.ring_mm for k in kinds}}
    found = [match_profile(profiles[k.ring_mm], k) for k in kinds if abs(axis.diameter_mm / k.diameter_mm - 1) < DIAMETER_PART]
    fits = [m for m in found if m is not None]
    return min(fits, key=lambda m: m.error) if fits else None


def find_module(stack: Stack, axis: Axis) -> tuple[int, Match] | None:
    """Return the slice, of a coarse pass over the stack, in which a known phantom fits best, and how it fits."""
    step = max(1, int(COARSE_MM / stack.spacing_mm)) if stack.spacing_mm else 1
    found: list[tuple[int, Match]] = []
    for k in range(step // 2, len(stack.positions), step):
        match = _best(stack.hu(k), axis.at(float(stack.positions[k])), stack, axis, KINDS)
        if match is not None:
            found.append((k, match))
    if not found:
        return None
    best, match = min(found, key=lambda f: f[1].error)
    return best, replace(match, places=tuple(k for k, m in found if m.kind is match.kind))


def numbers_of_rods(stack: Stack, axis: Axis) -> str | None:
    """Return what is wrong with the CT numbers of rods that lie where those of a known phantom do, None where there are none.

    The darkest and the densest place of the ring are taken for air and for the densest rod of each kind: numbers that fit then were
    shifted or scaled as a whole.
    """
    step = max(1, int(COARSE_MM / stack.spacing_mm)) if stack.spacing_mm else 1
    for k in range(step // 2, len(stack.positions), step):
        hu, centre = stack.hu(k), axis.at(float(stack.positions[k]))
        for kind in KINDS:
            profile = ring_profile(hu, centre, kind.ring_mm, stack.pixel_mm)
            nominal = [i.nominal_hu for i in kind.inserts]
            times = float(np.ptp(profile)) / (max(nominal) - min(nominal))
            if not 1 / MOST_TIMES < times < MOST_TIMES or abs(axis.diameter_mm / kind.diameter_mm - 1) >= DIAMETER_PART:
                continue
            right = (profile - float(profile.min())) / times + min(nominal)
            if match_profile(right, kind) is not None:
                return _numbers(float(profile.min()) - min(nominal), times)
    return None


def _numbers(shift: float, times: float) -> str:
    return because("ct.numbers_shifted", hu=shift) if abs(times - 1) < SCALED else because("ct.numbers_scaled", times=times)


def module_slices(stack: Stack, axis: Axis, start: int, match: Match) -> list[int]:
    """Return the slices about `start` in which all rods are whole."""
    out = [start]
    for way in (-1, 1):
        k = start + way
        while 0 <= k < len(stack.positions) and abs(stack.positions[k] - stack.positions[start]) < LONGEST_MM:
            near = _best(stack.hu(k), axis.at(float(stack.positions[k])), stack, axis, (match.kind,))
            if near is None or near.mirrored != match.mirrored or abs((near.roll - match.roll + 180) % 360 - 180) > 3:
                break
            out.append(k)
            k += way
    return sorted(out)


def fit_pose(image: NDArray, position_mm: float, match: Match, axis: Axis, pixel_mm: float) -> Pose | str:
    """Return how the phantom lies, from the centres of its rods, or the reason why its geometry is not believed.

    A similarity (shift, turn, scale, mirror image) is fitted to the places in the table; what is left over must be small.
    """
    kind = match.kind
    rough = Pose(kind, axis, match.roll, match.mirrored, kind.ring_mm, pixel_mm)
    seen: list[tuple[Insert, complex, complex]] = []
    for insert in kind.inserts:
        row, column = rough.place(insert.angle, kind.ring_mm, position_mm)
        found = _centroid(image, row, column, kind.insert_mm / 2 / pixel_mm, pixel_mm)
        if found is None:
            continue
        angle = np.deg2rad(-insert.angle if match.mirrored else insert.angle)
        seen.append((insert, kind.ring_mm * np.exp(1j * angle), complex(found[1], found[0]) * pixel_mm))
    if len(seen) < 3:
        return because("ct.rods_few")
    table, image_mm = np.array([s[1] for s in seen]), np.array([s[2] for s in seen])
    a, b = table - table.mean(), image_mm - image_mm.mean()
    turn = (np.conj(a) * b).sum() / (np.abs(a) ** 2).sum()
    away = np.abs(b - turn * a)
    worst = int(away.argmax())
    if away[worst] > PLACE_MM:
        return because("ct.rod_elsewhere", rod=seen[worst][0].label, away_mm=away[worst], phantom=kind.name)
    scale = float(np.abs(turn))
    if abs(scale - 1) > SCALE_PART:
        return because("ct.rods_scaled", percent=100 * (scale - 1), phantom=kind.name)
    tilt = axis.tilt_deg(pixel_mm)
    if tilt > TILT_DEG:
        return because("ct.tilted", tilt_deg=tilt)
    middle = (image_mm.mean() - turn * table.mean()) / pixel_mm
    row, column = axis.at(position_mm)
    moved = Axis(
        axis.row + float(middle.imag) - row,
        axis.column + float(middle.real) - column,
        axis.row_per_mm,
        axis.column_per_mm,
        axis.diameter_mm,
    )
    if abs(middle - complex(column, row)) * pixel_mm > 2 * PLACE_MM:
        return because("ct.ring_off_centre")
    return Pose(kind, moved, float(np.degrees(np.angle(turn))), match.mirrored, kind.ring_mm * scale, pixel_mm)


def _centroid(image: NDArray, row: float, column: float, radius: float, pixel_mm: float) -> tuple[float, float] | None:
    """Return the centre of a rod (row, column), None when noise hides it. Lengths in pixels."""
    reach = radius + 5 / pixel_mm
    rows, columns = np.nonzero(disc((image.shape[0], image.shape[1]), row, column, reach))
    values = image[rows, columns].astype(np.float64)
    away = np.hypot(rows - row, columns - column)
    outer = values[away > radius + 2.5 / pixel_mm]
    background = median(outer)
    noise = 1.4826 * median(np.abs(outer - background))
    contrast = median(values[away < 0.6 * radius]) - background
    weights = (values - background) / contrast if contrast else np.zeros_like(values)
    total = float(weights.sum())
    if abs(contrast) < 3 * noise or abs(contrast) < 5 or total < 0.5 * np.pi * radius**2:
        return None
    spread = abs(noise / contrast) * reach / 2 * np.sqrt(len(values)) / total * pixel_mm
    if spread > KNOWN_PLACE_MM:
        return None
    return float((weights * rows).sum() / total), float((weights * columns).sum() / total)

"""Straight bright lines of a planar image, found along rows or columns, with their axis in pixels: geometry before numbers.

A line that runs along the rows' axis (down the image) is written column = offset + slope · row; for lines along the columns' axis
the same is said of the transposed image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median, percentile

__all__ = ["Line", "Pattern", "find_lines", "half_maxima", "line_pattern", "strip_sums"]

STRIP_MM = 8.0  # height of the strips in which lines are looked for
REACH_MM = 25.0  # each side of a peak must fall to half within this distance
WIDEST_MM = 20.0  # a wider ridge is no line source (limbs of a patient are 30 mm and more)
LONGEST_GAP_MM = 45.0  # a crossing line hides this much
SHORTEST_MM = 30.0
STEEPEST = 0.12  # pixels a pixel, about 7°
CROOKED_MM = 1.6  # largest RMS distance of the strips' peaks from the straight line
UNEVEN = 0.6  # largest spread of a line's width from strip to strip
EVEN_PITCH = 0.12  # relative deviation of distances between neighbours
LEAST_LENGTH = 0.4  # of the longest line of the image: blobs at the ends of capillaries are shorter
LEAST_SHARE = 0.5  # of all counts lie in the lines: a test image holds nothing else
LEAST_PITCH = 2.5  # widths between neighbours: bars of a bar phantom touch
LEAST_SLITS = 4
SLENDER = 5.0  # times as long as wide: lobes of a thyroid and spots are not


@dataclass(frozen=True)
class Peaks:
    """Peaks of many profiles: the midpoint between the half maxima, the width there, and the height (of smoothed counts)."""

    strip: NDArray[np.int64]
    column: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One line: column = offset + slope · row over first ≤ row ≤ last; width is a rough full width at half maximum in pixels."""

    offset: float
    slope: float
    first: float
    last: float
    width: float
    height: float  # counts of a pixel on the ridge, mean over a strip
    rows: NDArray[np.float64]  # where it was seen: middle rows of strips, and columns there
    columns: NDArray[np.float64]

    @property
    def length(self) -> float:
        """Return the length along the rows' axis in pixels."""
        return self.last - self.first

    def at(self, row: float) -> float:
        """Return the column at a row."""
        return self.offset + self.slope * row


@dataclass(frozen=True)
class Pattern:
    """The lines that run down an image, those that run across it (of the transposed image), and what they are together.

    `kind` is 'line' (one or two parallel), 'crossed lines' (two and two), 'slits' (many at constant pitch), or None.
    """

    down: list[Line]
    across: list[Line]
    kind: str | None


def strip_sums(image: NDArray, height: int) -> NDArray[np.float64]:
    """Return sums over strips of `height` rows (strips × columns); rows that fill no strip are dropped at the end."""
    count = image.shape[0] // height
    return image[: count * height].reshape(count, height, image.shape[1]).sum(1, dtype=np.float64)


def find_lines(image: NDArray, pixel_mm: float) -> list[Line]:
    """Return the lines that run down an image (rows × columns), from left to right; none is an empty list."""
    height = max(1, min(round(STRIP_MM / pixel_mm), image.shape[0] // 8))
    peaks = _peaks(strip_sums(image, height), pixel_mm)
    lines = (_line(track, peaks, height, pixel_mm) for track in _tracks(peaks, height, pixel_mm))
    return sorted((x for x in lines if x is not None), key=lambda x: x.at(image.shape[0] / 2))


def half_maxima(windows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return distances from the middle sample to the half maximum on the left and right, NaN where it is not reached.

    `windows` is peaks × samples with an odd number of samples and the maximum in the middle; counts between two samples are taken
    as linear.
    """
    middle = windows.shape[1] // 2
    half = windows[:, middle] / 2
    return _fall(windows[:, middle::-1], half), _fall(windows[:, middle:], half)


def _fall(side: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    below = side < level[:, None]
    first = below.argmax(1)
    each = np.arange(len(side))
    high, low = side[each, np.maximum(first - 1, 0)], side[each, first]
    step = np.where(high > low, (high - level) / np.where(high > low, high - low, 1), 0)
    return np.where(below.any(1), first - 1 + step, np.nan)


def _peaks(sums: NDArray[np.float64], pixel_mm: float) -> Peaks:
    """Return the peaks of each strip that are clear of others and fall to half on both sides."""
    near, reach = max(1, round(4 / pixel_mm)), max(3, round(REACH_MM / pixel_mm))
    smooth = sums
    for _ in range(min(2, near // 2)):
        once, smooth = smooth, 2 * smooth
        smooth[:, 1:] += once[:, :-1]
        smooth[:, :-1] += once[:, 1:]
        smooth /= 4
    tops = smooth.max(1)
    lit = tops[tops > 0.05 * tops.max()]
    if lit.size == 0:
        none = np.zeros(0)
        return Peaks(none.astype(np.int64), none, none, none)
    found = smooth > 0.2 * median(lit)
    for k in range(1, near + 1):
        found[:, k:] &= smooth[:, k:] > smooth[:, :-k]
        found[:, :-k] &= smooth[:, :-k] >= smooth[:, k:]
    strip, column = np.nonzero(found)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(smooth, ((0, 0), (reach, reach))), 2 * reach + 1, axis=1)
    left, right = half_maxima(windows[strip, column])
    width = left + right
    good = np.isfinite(width) & (width * pixel_mm <= WIDEST_MM + pixel_mm)
    middle = column + (np.nan_to_num(right) - np.nan_to_num(left)) / 2
    return Peaks(strip[good], middle[good], width[good], smooth[strip, column][good])


def _tracks(peaks: Peaks, height: int, pixel_mm: float) -> list[list[int]]:
    """Return the peaks that follow each other from strip to strip, as indices."""
    gap = max(2, int(LONGEST_GAP_MM / pixel_mm / height))
    slack = max(1.2, 1.5 / pixel_mm)
    done: list[list[int]] = []
    open_: list[list[int]] = []
    columns, strips = peaks.column.tolist(), peaks.strip.tolist()
    order = np.argsort(peaks.strip, kind="stable").tolist()
    k = 0
    while k < len(order):
        strip = strips[order[k]]
        mine = []
        while k < len(order) and strips[order[k]] == strip:
            mine.append(order[k])
            k += 1
        done += [t for t in open_ if strip - strips[t[-1]] > gap]
        open_ = [t for t in open_ if strip - strips[t[-1]] <= gap]
        pairs = sorted(
            (abs(columns[i] - columns[t[-1]]), i, n)
            for n, t in enumerate(open_)
            for i in mine
            if abs(columns[i] - columns[t[-1]]) <= slack + STEEPEST * height * (strip - strips[t[-1]])
        )
        used_peaks: set[int] = set()
        used_tracks: set[int] = set()
        for _, i, n in pairs:
            if i not in used_peaks and n not in used_tracks:
                open_[n].append(i)
                used_peaks.add(i)
                used_tracks.add(n)
        open_ += [[i] for i in mine if i not in used_peaks]
    return done + open_


def _line(track: list[int], peaks: Peaks, height: int, pixel_mm: float) -> Line | None:
    """Return the straight line through a track, or None when it is too short, crooked or uneven to be a line."""
    chosen = np.array(track)
    rows = peaks.strip[chosen] * height + (height - 1) / 2
    columns, widths, tops = peaks.column[chosen], peaks.width[chosen], peaks.height[chosen]
    if len(chosen) < 4:
        return None
    middle = median(widths)
    # strips where another line crosses or a blob lies give other widths
    plain = np.abs(widths - middle) <= max(0.25 * middle, 1.0)
    if plain.sum() < max(4, 0.5 * len(chosen)):
        return None
    slope, offset = np.polyfit(rows[plain], columns[plain], 1)
    residual = columns - (offset + slope * rows)
    kept = plain & (np.abs(residual) <= max(3 * float(np.sqrt((residual[plain] ** 2).mean())), 0.3))
    if kept.sum() < 4:
        return None
    slope, offset = np.polyfit(rows[kept], columns[kept], 1)
    residual = columns[kept] - (offset + slope * rows[kept])
    first, last = float(rows[kept].min() - (height - 1) / 2), float(rows[kept].max() + (height - 1) / 2)
    length = last - first + 1
    spread = (percentile(widths[kept], 90) - percentile(widths[kept], 10)) / max(float(middle), 1.0)
    crooked = float(np.sqrt((residual**2).mean())) > max(CROOKED_MM / pixel_mm, 0.3)
    seen = kept.sum() * height / length
    if (
        length * pixel_mm < SHORTEST_MM
        or length < 3 * middle
        or crooked
        or spread > UNEVEN
        or seen < 0.5
        or abs(slope) > STEEPEST
    ):
        return None
    return Line(
        float(offset),
        float(slope),
        first,
        last,
        float(middle),
        median(tops[kept]) / height,
        rows[kept],
        columns[kept],
    )


def line_pattern(image: NDArray, pixel_mm: float) -> Pattern:
    """Return the lines of an image; those much shorter than the longest are blobs and left out."""
    down, across = find_lines(image, pixel_mm), find_lines(image.T, pixel_mm)
    longest = max((x.length for x in down + across), default=0.0)
    down, across = ([x for x in lines if x.length >= LEAST_LENGTH * longest] for lines in (down, across))
    return Pattern(down, across, _kind(image, pixel_mm, down, across))


def _kind(image: NDArray, pixel_mm: float, down: list[Line], across: list[Line]) -> str | None:
    if not down and not across:
        return None
    if any(_steps(lines).min(initial=np.inf) < LEAST_PITCH * max(x.width for x in lines) for lines in (down, across) if lines):
        return None
    if _share(image, down, across, pixel_mm) < LEAST_SHARE:
        return None
    if len(down) == len(across) == 2:
        a, b = float(_steps(down)[0]), float(_steps(across)[0])
        return "crossed lines" if abs(a - b) <= 0.2 * max(a, b) else None
    if down and across:
        return None
    lines = down or across
    if len(lines) <= 2:
        return "line" if min(x.length / x.width for x in lines) >= SLENDER else None
    steps = _steps(lines)
    even = np.abs(steps - median(steps)).max() <= EVEN_PITCH * median(steps)
    return "slits" if even and len(lines) >= LEAST_SLITS else None


def _steps(lines: list[Line]) -> NDArray[np.float64]:
    """Return the distances between neighbours, in pixels along a row."""
    middle = float(np.mean([(x.first + x.last) / 2 for x in lines]))
    return np.diff([x.at(middle) for x in lines])


def _share(image: NDArray, down: list[Line], across: list[Line], pixel_mm: float) -> float:
    """Return which share of all counts lies within twice the width of the lines."""
    inside = _beside(image.shape[0], image.shape[1], down, pixel_mm) | _beside(image.shape[1], image.shape[0], across, pixel_mm).T
    total = float(image.sum(dtype=np.float64))
    return float(image[inside].sum(dtype=np.float64)) / total if total > 0 else 0.0


def _beside(rows: int, columns: int, lines: list[Line], pixel_mm: float) -> NDArray[np.bool_]:
    inside = np.zeros((rows, columns), bool)
    for line in lines:
        reach = int(np.ceil(2 * line.width + 4 / pixel_mm))
        mine = np.arange(max(0, int(line.first) - reach), min(rows, int(line.last) + reach + 1))
        near = np.rint(line.offset + line.slope * mine).astype(int)[:, None] + np.arange(-reach, reach + 1)
        inside[mine[:, None], np.clip(near, 0, columns - 1)] = True
    return inside

"""Values that were cut off below the limit of the pixel type: noisy values do not pile up at their largest one.

Many pixels pile up in an area that is bright and even. Of a narrow source they are few, but more than hold any value close below.

Nothing here depends on the scale of the values: counts that were multiplied, or divided, before they were cut off are seen as well.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.layers import Values, layers
from spark_jobs.qc.numerics.multiples import common_factor
from spark_jobs.qc.numerics.order import median, percentile

__all__ = ["CUT_OFF", "FLAT", "are_cut_off", "is_cut_off", "is_quiet", "is_tomogram_cut_off", "noise_ratio"]

CUT_OFF = "image.voxels_cut_off"
FLAT = "image.flat"

FEWEST_PIXELS, LEAST_PART = 20, 0.02  # at the largest value; of the pixels above half of it
LEAST_TOP = 10  # of so few counts many pixels share the largest by chance
SOLID = 0.95  # of the neighbours of such pixels are such where a plateau lies
ROUNDED = 0.15  # variance of a pixel: that of rounding to whole numbers is 1/12
# how often checkerboard differences of independent noise, so many rows and columns apart, have one sign: ½ + asin(ρ)/π, ρ = -½, 0, ¼
LAGS = {((0, 1), (1, 0)): 1 / 3, ((0, 2), (2, 0)): 1 / 2, ((1, 1),): 0.58}
FAR: Mapping[tuple[tuple[int, int], ...], float] = {
    ((0, 6), (6, 0)): 1 / 2,
    ((0, 8), (8, 0)): 1 / 2,
}  # smoothing, and enlarging to twice as many pixels, do not reach so far, and structure goes on
REPEATED, OTHERWISE = (
    0.15,
    0.15,
)  # of neighbouring lines are equal, and of them differ, where lines were repeated two to six times
QUIET = 0.4  # of the variance of counts; that of halved counts is a half
NOISY = 1.0  # variance of a pixel, ten times what rounding makes
FEWEST_FLAT = 100  # pixels that tell the scale of the counts
NEAR, SPREAD = 0.06, 0.5
COUNTED = (0.02, 3.0)  # times counting noise: more is the steep rim of a drawn plateau
SAME = 1e-5  # slices that are scaled one by one round the same value differently
LEAST_STEP = 2e-4  # of the largest value
LEAST_PART_OF_VOLUME = 0.005
COMPACT = 0.9  # the same for slices, whose noise is smooth
STEEP = 3.0  # least steps of a value from the plateau to its neighbours: a shape that rounding made flat leaves it by one
FEWEST_TIES = 4  # pixels at the largest value
CHANCE = 1e-6  # that so many share it while the values below it, within half a standard deviation, are so sparse
FEWEST_DIFFERENT, MOST_RIM, DIFFERENT = (
    8,
    300,
    0.7,
)  # pixels of a compact source's flank, and the part of their values that are no repetition
OPPOSITE = 0.4  # of neighbouring second differences have one sign: of noise 0.27, of what is smooth nearly all


def are_cut_off(frames: NDArray) -> bool:
    """Return whether many pixels of a noisy image (frames × rows × columns), of one frame or of all, hold the same largest value."""
    return any(is_cut_off(f) for f in frames) or (len(frames) > 1 and _is_tied(frames))


def is_cut_off(image: NDArray) -> bool:
    """Return whether many pixels of a noisy image (rows × columns) hold the same largest value."""
    return _is_piled(image) or _is_tied(image[None])


def _is_tied(frames: NDArray) -> bool:
    """Return whether more pixels hold the largest value than chance lets, beside how many hold those close below, in noisy frames."""
    top = int(frames.max())
    ties = (frames == top).sum((1, 2))
    piled, frame = int(ties.sum()), frames[int(ties.argmax())]
    if top < LEAST_TOP or piled < FEWEST_TIES or _beside(frames == top) > SOLID * 2 * piled:
        return False
    step = common_factor(frame)
    wide = max(1, int(math.sqrt(top / step) / 2))
    below = int((frames >= top - wide * step).sum()) - piled
    expected = max(below, 1) / wide
    if piled <= expected + 1:
        return False
    odds = piled * math.log(expected) - expected - math.lgamma(piled + 1) - math.log(1 - expected / (piled + 1))
    return odds < math.log(CHANCE) and _shows_noise(frame, top, step)


def _shows_noise(frame: NDArray, top: int, step: int) -> bool:
    """Return whether pixels below the largest value vary by chance: what was drawn is smooth, or repeats its values."""
    if _repeats(frame, top):
        return False
    at_top = frame == top
    flank = (frame > top / 8) & ~at_top
    values = frame.astype(np.float64)
    if _noise(values, flank) is not None or _noise(values, frame <= top / 8) is not None:
        return True
    ways = []
    for part, there in ((values, flank), (values.T, flank.T)):
        three = there[:-2] & there[1:-1] & there[2:]
        second = part[:-2] - 2 * part[1:-1] + part[2:]
        product = (second[1:] * second[:-1])[three[1:] & three[:-1]]
        if product.size > FEWEST_PIXELS:
            product = product[product != 0]  # what repeats itself along a line
            alike = float((product > 0).mean()) + SPREAD / np.sqrt(product.size) if product.size else 1.0
            ways.append((median(second[three] ** 2) / 0.455 / 6, alike))
    if ways and min(ways)[0] > ROUNDED * step**2 and min(ways)[1] < OPPOSITE:  # along a line, not across it
        return True
    rim = values[flank]
    if not FEWEST_DIFFERENT <= rim.size <= MOST_RIM or top < 2 * step * rim.size:
        return False
    beside = np.zeros_like(at_top)
    for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        beside[a] |= at_top[b]
        beside[b] |= at_top[a]
    drop = top - values[beside & ~at_top]
    return len(set(rim.tolist())) > DIFFERENT * rim.size and drop.size > 0 and median(drop) > STEEP * step


def _repeats(frame: NDArray, top: int) -> bool:
    """Return whether a bright row or column is that of another place: chance makes none twice, but what is drawn is even or symmetric."""
    for lines in (frame, frame.T):
        bright = [tuple(line.tolist()) for line in lines if line.max() > top / 2]
        told = [line for line in bright if len(set(line)) >= FEWEST_DIFFERENT]
        if len(set(told)) < len(told):
            return True
    return False


def _is_piled(image: NDArray) -> bool:
    """Return whether so many pixels hold the largest value that they are an area."""
    top = int(image.max())
    at_top = image == top
    piled = int(at_top.sum())
    if top < LEAST_TOP or piled <= FEWEST_PIXELS or piled <= LEAST_PART * int((image > top / 2).sum()):
        return False
    rows, columns = np.nonzero(at_top)
    box = np.s_[max(rows.min() - 16, 0) : rows.max() + 17, max(columns.min() - 16, 0) : columns.max() + 17]
    ratio = _noise(image[box].astype(np.float64), (image[box] > top / 8) & ~at_top[box])
    if _beside(at_top) <= SOLID * 2 * piled:
        return ratio is not None
    # a plateau is one that was drawn, or one whose noisy top was cut off: its rim or the noise around it tells
    if ratio is not None and COUNTED[0] < ratio < COUNTED[1]:
        return True
    return _noise(image.astype(np.float64), image <= top / 8) is not None


def noise_ratio(image: NDArray) -> float | None:
    """Return the variance of bright pixels over their value (1: counts, n: counts times n); None where no random noise is seen."""
    flat = image > 0.6 * percentile(image[image > image.max() / 2], 75)
    for _ in range(2):  # rims make differences of their own
        flat[1:-1, 1:-1] &= flat[:-2, 1:-1] & flat[2:, 1:-1] & flat[1:-1, :-2] & flat[1:-1, 2:]
    flat[[0, -1]] = flat[:, [0, -1]] = False
    return _noise(image.astype(np.float64), flat) if int(flat.sum()) > FEWEST_FLAT else None


def is_quiet(image: NDArray, blocks: NDArray, field: NDArray[np.bool_], n: int) -> bool:
    """Return whether pixels of a flood vary less than counts do while its blocks of n × n show noise: smoothed, enlarged or divided.

    An image without any noise is none: what varies in it goes on over many blocks. Looked at is the middle of the field (of blocks).
    """
    pixels, blocks = _inmost(image, blocks, field, n)
    if _is_repeated(pixels):
        return True
    (pixel, mean, _), (block, _, checker) = _checkers(pixels), _checkers(blocks)
    return pixel < QUIET * mean and block > NOISY * n * n and _is_random(checker, np.ones(checker.shape, bool), FAR)


def _is_repeated(part: NDArray) -> bool:
    """Return whether lines of noisy pixels equal their neighbours by turns: pixels were repeated. Lines that were drawn differ hardly."""
    for lines in (part, part.T):
        differ = (lines[1:] != lines[:-1]).mean(1)
        if (differ == 0).mean() >= REPEATED and (differ > 0.5).mean() >= OTHERWISE:
            return True
    return False


def _inmost(image: NDArray, blocks: NDArray[np.float64], field: NDArray[np.bool_], n: int) -> tuple[NDArray, NDArray[np.float64]]:
    """Return the pixels and the blocks of the inner half of a field's bounding box."""
    box, inner = [], []
    for length, lines in zip(image.shape, np.nonzero(field), strict=True):
        first, last = int(lines.min()), int(lines.max())
        quarter, origin = (last - first) // 4, (length % n) // 2
        box.append(slice(first + quarter, last + 1 - quarter))
        inner.append(slice(origin + n * box[-1].start, origin + n * box[-1].stop))
    return image[tuple(inner)], blocks[tuple(box)]


def _checkers(image: NDArray) -> tuple[float, float, NDArray[np.float64]]:
    """Return the variance of a pixel by checkerboard differences, its mean, and the differences."""
    part = image[:128, :128].astype(np.float64)
    checker = part[:-1, :-1] - part[1:, :-1] - part[:-1, 1:] + part[1:, 1:]
    return median(checker**2) / 0.455 / 4, float(part.mean()), checker


def _noise(part: NDArray[np.float64], fits: NDArray[np.bool_]) -> float | None:
    whole = fits[:-1, :-1] & fits[1:, :-1] & fits[:-1, 1:] & fits[1:, 1:]
    if int(whole.sum()) <= FEWEST_PIXELS:
        return None
    # a checkerboard difference is blind to slopes
    checker = part[:-1, :-1] - part[1:, :-1] - part[:-1, 1:] + part[1:, 1:]
    variance = median(checker[whole] ** 2) / 0.455 / 4
    if variance < ROUNDED or not _is_random(checker, whole):
        return None
    held = part[:-1, :-1] + part[1:, :-1] + part[:-1, 1:] + part[1:, 1:]
    return variance / (float(held[whole].mean()) / 4)


def _beside(at_top: NDArray[np.bool_]) -> int:
    """Return how many pairs of neighbours in rows and columns (… × rows × columns) hold the largest value."""
    return int((at_top[..., 1:, :] & at_top[..., :-1, :]).sum()) + int((at_top[..., 1:] & at_top[..., :-1]).sum())


def _is_random(
    checker: NDArray[np.float64], whole: NDArray[np.bool_], lags: Mapping[tuple[tuple[int, int], ...], float] = LAGS
) -> bool:
    """Return whether neighbouring differences have one sign as often as independent noise makes them, at each of the near distances."""
    for lag, expected in lags.items():
        ends = [np.s_[dy:, dx:] for dy, dx in lag], [np.s_[: -dy or None, : -dx or None] for dy, dx in lag]
        products = [(checker[a] * checker[b])[whole[a] & whole[b]] for a, b in zip(*ends, strict=True)]
        told = np.concatenate([p[p != 0] for p in products])
        if told.size <= FEWEST_PIXELS or abs(float((told > 0).mean()) - expected) > NEAR + 2 * SPREAD / np.sqrt(told.size):
            return False
    return True


def is_tomogram_cut_off(volume: Values) -> bool:
    """Return whether many voxels (slices × rows × columns) hold the same largest value without lying side by side as a plateau does."""
    top = max(float(part.max()) for _, part in layers(volume))
    at_top = np.concatenate([part >= top * (1 - SAME) for _, part in layers(volume)])
    piled = int(at_top.sum())
    if top <= 0 or piled <= FEWEST_PIXELS:
        return False
    if piled <= LEAST_PART_OF_VOLUME * sum(int((part > top / 2).sum()) for _, part in layers(volume)):
        return False
    if _beside(at_top) > COMPACT * 2 * piled:
        return False
    rim = np.zeros_like(at_top)
    rim[:, 1:] |= at_top[:, :-1]
    rim[:, :-1] |= at_top[:, 1:]
    rim[:, :, 1:] |= at_top[:, :, :-1]
    rim[:, :, :-1] |= at_top[:, :, 1:]
    rim &= ~at_top
    beside = np.concatenate([part[rim[some]] for some, part in layers(volume)]).astype(np.float64)
    levels = np.unique(beside)
    step = max(float(np.diff(levels).min(initial=np.inf)), LEAST_STEP * top)
    return median(top - beside) > STEEP * step

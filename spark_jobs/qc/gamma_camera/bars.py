"""Bar patterns of a planar image: where they lie, their direction and their pitch, told from the spectrum of tiles.

Nothing is taken from the header: a quadrant bar phantom may lie at any angle, its quadrants in any order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_jobs.qc.numerics.order import median, percentile

__all__ = ["Bars", "find_bars", "is_quadrant_phantom"]

TILE_MM = 34.0
LEAST_TILE = 16  # pixels
LONGEST_PITCH_MM = 17.0
LEAST_CONTRAST = 0.04
ABOVE_NOISE = 1.5  # times the largest peak that counting noise is expected to make
LIT = 0.4  # of the brightest tenth of tiles
PURE = 0.4
SAME_BIN = 0.3  # frequencies of one pattern differ less than this part of a bin of a tile's spectrum
LEAST_TILES = 3
LEAST_PART = 0.35  # of the tiles of the largest pattern
WHOLE = 0.75  # of the pattern's contrast: a tile below it is only partly covered
WIDEST_SHARE = 0.45  # of the lit tiles: a pattern over half of the field is no quadrant
APART_DEG = 55.0
RIDGE = 1e-9


@dataclass(frozen=True)
class Bars:
    """One pattern: frequency (cycles a pixel along columns and rows), its tiles, and the middle of them in pixels."""

    fx: float
    fy: float
    tiles: NDArray[np.bool_]  # grid of tiles that the pattern fills
    tile: int  # pixels a side
    row: float
    column: float
    contrast: float

    @property
    def pitch(self) -> float:
        """Return the period in pixels."""
        return 1 / float(np.hypot(self.fx, self.fy))


def find_bars(image: NDArray, pixel_mm: float) -> list[Bars]:
    """Return the bar patterns of an image (rows × columns), the largest first."""
    tile = max(LEAST_TILE, round(TILE_MM / pixel_mm))
    ny, nx = image.shape[0] // tile, image.shape[1] // tile
    if min(ny, nx) < 3:
        return []
    tiles = image[: ny * tile, : nx * tile].reshape(ny, tile, nx, tile).swapaxes(1, 2)
    mean = tiles.mean((2, 3), dtype=np.float64)
    lit = mean > LIT * percentile(mean, 90)
    where = np.argwhere(lit)
    if len(where) < 2 * LEAST_TILES:
        return []
    window = np.hanning(tile + 2)[1:-1]
    weight = np.outer(window, window).astype(np.float32)
    level = mean[lit]
    ky, kx = np.fft.fftfreq(tile)[:, None] * tile, np.arange(tile // 2 + 1)[None, :]
    too_long = np.hypot(kx, ky) < max(2.2, tile * pixel_mm / LONGEST_PITCH_MM)
    found = []
    for row in np.flatnonzero(lit.any(1)):  # the spectra of all tiles would be several times the image
        relative = tiles[row, lit[row]].astype(np.float32)
        relative /= mean[row, lit[row], None, None].astype(np.float32)
        relative -= 1
        relative *= weight
        size = np.abs(np.fft.rfft2(relative))
        size[:, too_long] = 0
        found.append((*_peaks(size, tile), np.einsum("ijk,ijk->i", relative, relative)))
    frequency, height, squares = (np.concatenate(part) for part in zip(*found, strict=True))
    contrast = 2 * height / weight.sum()
    noise = 2 * np.sqrt((weight**2).sum() / level * np.log(tile * tile / 2)) / weight.sum()
    # of the variance that counting noise does not explain, a pattern explains nearly all; the rim of a field or a bone does not
    excess = squares / (weight**2).sum() - 1 / level
    strong = (contrast > LEAST_CONTRAST) & (contrast > ABOVE_NOISE * noise) & (contrast**2 / 2 > PURE * excess)
    groups = _groups(frequency, contrast, strong, SAME_BIN / tile)
    out = []
    for group in groups:
        best = percentile(contrast[group], 75)
        whole = group[contrast[group] >= WHOLE * best]
        if len(whole) < LEAST_TILES:
            continue
        mask = np.zeros((ny, nx), bool)
        mask[where[whole, 0], where[whole, 1]] = True
        fx, fy = _refined(tiles, where[whole], weight, frequency[whole].mean(0), tile)
        row, column = (where[whole].mean(0) + 0.5) * tile - 0.5
        out.append(Bars(fx, fy, mask, tile, float(row), float(column), best))
    out.sort(key=lambda b: -int(b.tiles.sum()))
    # tiles on a seam show a false frequency: few, all alike
    return [b for b in out if b.tiles.sum() >= LEAST_PART * out[0].tiles.sum()]


def is_quadrant_phantom(bars: list[Bars], image: NDArray) -> bool:
    """Return whether two to four patterns lie side by side around one centre; patterns too fine to be seen leave their place empty."""
    if not 2 <= len(bars) <= 4:
        return False
    tile = bars[0].tile
    ny, nx = bars[0].tiles.shape
    mean = image[: ny * tile, : nx * tile].reshape(ny, tile, nx, tile).mean((1, 3))
    lit = mean > LIT * percentile(mean, 90)
    if any(b.tiles.sum() > WIDEST_SHARE * lit.sum() for b in bars):
        return False
    places = np.array([(b.row, b.column) for b in bars])
    middle = places.mean(0) if len(bars) == 4 else (np.argwhere(lit).mean(0) + 0.5) * tile - 0.5
    away = places - middle
    distance = np.hypot(*away.T)
    if distance.min() < 0.8 * tile or distance.max() > 1.8 * distance.min():
        return False
    angles = np.sort(np.degrees(np.arctan2(away[:, 0], away[:, 1])))
    steps = np.diff(np.append(angles, angles[0] + 360))
    if len(bars) == 4:
        return bool(steps.min() >= APART_DEG)
    return bool(steps.min() >= APART_DEG and np.abs(steps / 90 - np.rint(steps / 90)).max() <= (90 - APART_DEG) / 90)


def _peaks(size: NDArray[np.float64], tile: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the frequency (fx, fy in cycles a pixel, between bins) of the largest peak of each spectrum, and its height."""
    count, ny, nx = size.shape
    best = size.reshape(count, -1).argmax(1)
    iy, ix = best // nx, best % nx
    each = np.arange(count)
    height = size[each, iy, ix]

    def between(low: NDArray, high: NDArray) -> NDArray:
        bend = low - 2 * height + high
        return np.where(bend < 0, 0.5 * (low - high) / np.where(bend < 0, bend, 1), 0.0)

    left = np.where(ix > 0, size[each, iy, np.maximum(ix - 1, 0)], size[each, -iy % ny, 1])
    right = np.where(ix < nx - 1, size[each, iy, np.minimum(ix + 1, nx - 1)], 0)
    fx = ix + between(left, right)
    fy = np.where(iy > ny // 2, iy - ny, iy) + between(size[each, (iy - 1) % ny, ix], size[each, (iy + 1) % ny, ix])
    # a frequency and its negative are the same pattern: keep one of them
    turn = np.where((fx < 0.5) & (fy < 0), -1, 1)
    return np.stack([fx * turn, fy * turn], 1) / tile, height


def _groups(
    frequency: NDArray[np.float64], contrast: NDArray[np.float64], strong: NDArray[np.bool_], near: float
) -> list[NDArray[np.int64]]:
    """Return groups of tiles of equal frequency, each of at least LEAST_TILES, as indices."""
    left = strong.copy()
    out = []
    while left.sum() >= LEAST_TILES:
        seed = int(np.argmax(np.where(left, contrast, -1)))
        middle = frequency[seed]
        for _ in range(2):
            mine = left & (np.hypot(*(frequency - middle).T) <= near)
            middle = np.array([median(f) for f in frequency[mine].T]) if mine.any() else middle
        left[seed] = False
        if mine.sum() >= LEAST_TILES:
            out.append(np.flatnonzero(mine))
            left &= ~mine
    return out


def _refined(
    tiles: NDArray[np.floating], where: NDArray[np.int64], weight: NDArray[np.floating], start: NDArray[np.float64], tile: int
) -> tuple[float, float]:
    """Return the frequency from how the phase of the pattern grows from tile to tile (least squares over all tiles)."""
    f = start.copy()
    inner = np.arange(tile)
    chosen = tiles[where[:, 0], where[:, 1]].astype(np.float32)
    chosen -= chosen.mean((1, 2), dtype=np.float64).astype(np.float32)[:, None, None]
    chosen *= weight
    places = where[:, ::-1] * float(tile)  # x, y of the first pixel
    for turn in range(3):
        down, along = (np.exp(-2j * np.pi * f[k] * inner).astype(np.complex64) for k in (1, 0))
        # a row at a time along the columns, then down the rows: real and imaginary part are products of matrices
        rows = chosen @ np.stack([along.real, along.imag], 1)
        value = ((rows[..., 0] + 1j * rows[..., 1]) @ down).astype(np.complex128) * np.exp(-2j * np.pi * places @ f)
        if turn == 0:
            f = f + _steps(value, where, tile)
            continue
        phase = np.angle(value * np.conj(value.sum()))
        # least squares of a plane over places about their middle, where its constant is the mean; the ridge is for tiles in one line
        x, y = (places - places.mean(0)).T
        ridge = RIDGE * float(x @ x + y @ y)
        xx, xy, yy, xp, yp = float(x @ x) + ridge, float(x @ y), float(y @ y) + ridge, float(x @ phase), float(y @ phase)
        f = f + np.array([xp * yy - yp * xy, yp * xx - xp * xy]) / (xx * yy - xy**2) / (2 * np.pi)
    return float(f[0]), float(f[1])


def _steps(value: NDArray[np.complex128], where: NDArray[np.int64], tile: int) -> NDArray[np.float64]:
    """Return the change of frequency (x, y) that the phases of neighbouring tiles ask for."""
    known = {(int(r), int(c)): v for (r, c), v in zip(where, value, strict=True)}
    out = np.zeros(2)
    for axis, (dr, dc) in enumerate(((0, 1), (1, 0))):
        total = sum(known[r + dr, c + dc] * np.conj(v) for (r, c), v in known.items() if (r + dr, c + dc) in known)
        out[axis] = np.angle(total) / (2 * np.pi * tile) if total else 0.0
    return out

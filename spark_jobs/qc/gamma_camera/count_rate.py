"""Count rate of one head from a decaying source (NEMA NU 1, 2.6): the largest observed rate, and the rate at 20 % loss.

The input rate follows from decay alone and from the frames with so low a rate that little is lost; R20 is the *observed* rate
where it is 0.8 of the input rate. NU 1 takes the last frame below 4 kcps as free of loss; a detector of 5 µs loses 2 % there, which
moves R20 by 6 %. So the input rate is fitted to all frames of little loss, with the loss (proportional to the rate, whatever the
kind of dead time) fitted beside it. Rates are means over each frame, observed and input alike: NU 1's decay of the observed
counts inside a frame holds only where nothing is lost.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.qc.numerics.decay import mean_factor
from spark_jobs.qc.result import INDICATIVE, MEASURED, NOT_MEASURED, Measure, Result

__all__ = ["FEWEST", "METHOD", "PROCEDURE", "VERSION", "is_approach", "measure", "measure_approach"]

PROCEDURE = "count_rate"
METHOD = "NEMA NU 1 2.6"
VERSION = "1.3.0"
FORMULAE = (
    "observed rate = counts / frame duration, in cps",
    "input rate = scale · e^(−λ(t − t_last)) · (1 − e^(−λΔt)) / (λΔt), in cps, λ = ln 2 / T½; the scale is fitted to the frames of little loss",
    "R20 = the observed rate, in cps, where observed / input = 0.8",
    "maximum rate = the top of a cubic through ln(observed rate) over ln(input rate), in cps; not passed: the largest that was seen",
)
LOW_CPS = 4_000.0  # NU 1: the rate that a test must come down to
LITTLE_LOSS = 0.1
LOSS = 0.2
FEWEST = 8  # frames
APPROACH_S, STILL = (
    300.0,
    0.05,
)  # s where the nuclide is not known, and half-lives: within them a source at rest changes by less than 4 %
LEAST_CPS, RISE, PASSED = (
    20_000.0,
    1.3,
    0.02,
)  # an approach rises so many times to a rate that loses counts, and falls by such a part
JUMP, BEND = (
    0.01,
    0.25,
)  # of the rate beside the decay, and of what the loss changes from frame to frame: a lost quarter of an hour is 3 %
# cps that a head gives in the best case: broken ones end at some thousands, none beyond a few millions (dead times are 0.3 to 5 µs)
POSSIBLE_CPS = (2_000.0, 5_000_000.0)
DECAYS = 0.05  # relative difference between the decay of the tail and that of the nuclide which is still believed


def measure(
    counts: NDArray, starts_s: NDArray, durations_s: NDArray, half_life_s: float, *, detector: str | None = None
) -> Result:
    """Return the count rate performance of one head.

    Parameters
    ----------
    counts, starts_s, durations_s
        Counts, start and duration of each frame.
    half_life_s
        Half-life of the nuclide.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    order = np.argsort(starts_s)
    counts, starts, durations = (np.asarray(v, float)[order] for v in (counts, starts_s, durations_s))
    if len(counts) < FEWEST:
        return refuse(because("count_rate.frames_few", frames=len(counts), least=FEWEST))
    if (counts <= 0).any() or (durations <= 0).any():
        return refuse(because("count_rate.frame_empty"))
    rate = np.log(2) / half_life_s
    observed = counts / durations
    if observed.min() >= LOW_CPS:
        return refuse(because("count_rate.not_low_enough", lowest_kcps=observed.min() / 1000))
    shape = np.exp(-rate * (starts - starts[-1])) * np.array([mean_factor(d, half_life_s) for d in durations])
    jump = _jump(np.log(observed / shape), starts, counts)
    if jump is not None:
        return refuse(because("count_rate.jump", jump_percent=100 * jump[1], frame=jump[0] + 1))
    fitted = _input(observed, counts, shape, starts, rate)
    if isinstance(fitted, str):
        return refuse(fitted)
    scale, scale_se = fitted
    supplied = scale * shape
    measures, warnings = [], [because("count_rate.background_kept")]
    top = _largest(observed, supplied, counts)
    if top is None:
        best = int(np.argmax(observed))
        seen, error = float(observed[best]), float(np.sqrt(counts[best]) / durations[best])
        warnings.append(because("count_rate.maximum_not_passed", cps=f"{seen:.0f}"))
        measures.append(Measure("max_rate_cps", float(f"{seen:.6g}"), "cps", float(f"{error:.3g}"), {"lower_bound": True}))
    else:
        measures.append(
            Measure("max_rate_cps", float(f"{top[0]:.6g}"), "cps", float(f"{top[1]:.3g}"), {"input_cps": round(top[2], 1)})
        )
    loss = _at_loss(observed, supplied, counts, scale_se)
    if loss is None:
        warnings.append(because("count_rate.no_loss"))
    else:
        measures.append(Measure("r20_cps", float(f"{loss[0]:.6g}"), "cps", float(f"{loss[1]:.3g}")))
    if top is None and loss is None:
        return refuse(because("count_rate.source_weak", largest_kcps=observed.max() / 1000))
    figure = {"kind": PROCEDURE, "observed": observed, "input": supplied, "values": {m.name: m.value for m in measures}}
    return _judged(tuple(measures), tuple(warnings), figure, detector)


def is_approach(observed: NDArray, starts_s: NDArray, half_life_s: float | None) -> bool:
    """Return whether rates of frames rise to a largest and fall again within a time in which nothing decays: the source was moved."""
    order = np.argsort(starts_s)
    rates, span = np.asarray(observed, float)[order], float(np.ptp(starts_s))
    if len(rates) < FEWEST or span > (APPROACH_S if half_life_s is None else STILL * half_life_s):
        return False
    top = int(np.argmax(rates))
    return bool(rates[top] >= LEAST_CPS and rates[:top].min(initial=np.inf) <= rates[top] / RISE)


def measure_approach(counts: NDArray, starts_s: NDArray, durations_s: NDArray, *, detector: str | None = None) -> Result:
    """Return the largest observed rate of a head whose source was brought nearer until the rate fell again (IAEA-TECDOC-602).

    Neither nuclide nor decay matter. The rate at 20 % loss needs the input rate, which a source that moves does not tell.
    """

    def refuse(reason: str) -> Result:
        return Result(PROCEDURE, NOT_MEASURED, reason, detector, METHOD, VERSION)

    order = np.argsort(starts_s)
    counts, durations = (np.asarray(v, float)[order] for v in (counts, durations_s))
    if (durations <= 0).any():
        return refuse(because("count_rate.no_duration"))
    observed = counts / durations
    top = int(np.argmax(observed))
    error = float(np.sqrt(counts[top])) / float(durations[top])
    if observed[top + 1 :].min(initial=np.inf) > (1 - PASSED) * float(observed[top]) - 5 * error:
        return refuse(because("count_rate.never_fell", cps=observed[top]))
    measures = (Measure("max_rate_cps", float(f"{observed[top]:.6g}"), "cps", float(f"{error:.3g}"), {"frame": top + 1}),)
    warnings = (
        because("count_rate.source_moved"),
        because("count_rate.may_be_more"),
    )
    figure = {"kind": PROCEDURE, "observed": observed, "input": observed, "values": {m.name: m.value for m in measures}}
    return _judged(measures, warnings, figure, detector)


def _judged(measures: tuple[Measure, ...], warnings: tuple[str, ...], figure: dict[str, Any], detector: str | None) -> Result:
    """Return the result; rates that no head has, as of frame times in another unit, get no verdict."""
    strange = [m.value for m in measures if not POSSIBLE_CPS[0] <= m.value <= POSSIBLE_CPS[1]]
    reason = because("count_rate.no_head", cps=strange[0]) if strange else None
    return Result(PROCEDURE, INDICATIVE if reason else MEASURED, reason, detector, METHOD, VERSION, measures, warnings, figure)


def _jump(left: NDArray[np.float64], starts: NDArray[np.float64], counts: NDArray[np.float64]) -> tuple[int, float] | None:
    """Return the frame at which the log of what is left of the rate leaves its course, and by which part, or None.

    The loss changes smoothly with the rate: each step is held against the steps before and behind it.
    """
    times = np.diff(starts)
    if (times <= 0).any():
        return None
    slopes = np.diff(left) / times
    course = (slopes[:-2] + slopes[2:]) / 2 * times[1:-1]
    noise = np.sqrt(1 / counts[1:-2] + 1 / counts[2:-1])
    beyond = np.diff(left)[1:-1] - course
    over = np.abs(beyond) - BEND * np.abs(course) - 7 * noise
    worst = int(np.argmax(over))
    return (worst + 2, float(np.expm1(beyond[worst]))) if over[worst] > JUMP else None


def _input(
    observed: NDArray[np.float64],
    counts: NDArray[np.float64],
    shape: NDArray[np.float64],
    starts: NDArray[np.float64],
    rate: float,
) -> tuple[float, float] | str:
    """Return the input rate where `shape` is 1 and its relative error, or why the tail is no decay of this nuclide."""
    per = observed / shape
    low = observed < LOW_CPS
    low[: int(np.argmax(observed)) + 1] = False
    if not low.any():
        return because("count_rate.no_low_frame")
    scale = float(np.average(per[low], weights=counts[low]))
    chosen = low
    for _ in range(20):
        wanted = (per > (1 - LITTLE_LOSS) * scale) & (np.arange(len(per)) > int(np.argmax(observed)))
        wanted[-3:] = True  # the weakest frames always count
        if wanted.sum() < 3:
            break
        basis = np.column_stack([np.ones(wanted.sum()), -shape[wanted] / shape[wanted].max()])
        weight = np.sqrt(counts[wanted])
        solution = np.linalg.lstsq(basis * weight[:, None], np.log(per[wanted]) * weight, rcond=None)[0]
        new = float(np.exp(solution[0] if solution[1] > 0 else np.average(np.log(per[wanted]), weights=counts[wanted])))
        same = bool((wanted == chosen).all()) and abs(new / scale - 1) < 1e-6
        scale, chosen = new, wanted
        if same:
            break
    problem = _wrong_decay(observed, counts, starts, rate)
    if problem:
        return problem
    basis = np.column_stack([np.ones(chosen.sum()), -shape[chosen] / shape[chosen].max()])
    covariance = np.linalg.pinv(basis.T @ (basis * counts[chosen][:, None]))
    return scale, float(np.sqrt(covariance[0, 0]))


def _wrong_decay(
    observed: NDArray[np.float64], counts: NDArray[np.float64], starts: NDArray[np.float64], rate: float
) -> str | None:
    """Return why the weak frames are no decay of the nuclide (ln counts over time, the loss in proportion to the rate beside it)."""
    weak = (observed < max(0.1 * float(observed.max()), LOW_CPS)) & (np.arange(len(observed)) > int(np.argmax(observed)))
    if weak.sum() < 4 or float(observed[weak].max() / observed[weak].min()) < 1.5:
        return None
    rates, times = observed[weak], starts[weak] - starts[weak].mean()
    basis = np.column_stack([np.ones_like(times), -rate * times, -rates / rates.max()])
    weight = np.sqrt(counts[weak])
    slope = float(np.linalg.lstsq(basis * weight[:, None], np.log(rates) * weight, rcond=None)[0][1])
    error = float(np.sqrt(np.linalg.pinv(basis.T @ (basis * counts[weak][:, None]))[1, 1]))
    if abs(slope - 1) <= DECAYS + 4 * error:
        return None
    return because("count_rate.decay_other", times=slope)


def _largest(
    observed: NDArray[np.float64], supplied: NDArray[np.float64], counts: NDArray[np.float64]
) -> tuple[float, float, float] | None:
    """Return the largest observed rate, its error and its input rate by a cubic through the frames about it; None: not passed."""
    best = int(np.argmax(observed))
    u = np.log(supplied / supplied[best])
    near = np.abs(u) < 0.6
    if near.sum() < 4:
        near = np.argsort(np.abs(u))[:5]
    u, y, weight = u[near], np.log(observed[near]), np.sqrt(counts[near])
    if u.max() < 0.05 or u.min() > -0.05:
        return None
    terms = np.polyfit(u, y, 3 if u.size > 5 else 2, w=weight)
    fine = np.linspace(u.min(), u.max(), 4001)
    curve = np.polyval(terms, fine)
    top = int(np.argmax(curve))
    if top in (0, fine.size - 1):
        return None
    value = float(np.exp(curve[top]))
    return value, value / float(np.sqrt((weight**2).sum())), float(supplied[best] * np.exp(fine[top]))


def _at_loss(
    observed: NDArray[np.float64], supplied: NDArray[np.float64], counts: NDArray[np.float64], scale_se: float
) -> tuple[float, float] | None:
    """Return the observed rate at 20 % loss and its error: ln(observed/input) against the input rate, a parabola about the place."""
    left = np.log(observed / supplied)
    level = np.log(1 - LOSS)
    if left.min() > level or left.max() < level:
        return None
    near = (left > 2.2 * level) & (left < 0.35 * level)
    if near.sum() < 3 or not (left[near].min() <= level <= left[near].max()):
        near = np.argsort(np.abs(left - level))[:4]
    x, y = supplied[near], left[near]
    terms = np.polyfit(x / x.mean(), y, 2 if len(x) > 4 else 1, w=np.sqrt(counts[near]))
    terms[-1] -= level
    roots = [
        r.real * x.mean() for r in np.roots(terms) if abs(r.imag) < 1e-9 and 0.8 * x.min() <= r.real * x.mean() <= 1.2 * x.max()
    ]
    if not roots:
        return None
    value = (1 - LOSS) * float(min(roots, key=lambda r: abs(r - x.mean())))
    # R20 moves by 1/0.223 − 1 times a relative error of the input rate
    return value, value * 3.5 * float(np.hypot(scale_se, 1 / np.sqrt(counts[near].sum())))

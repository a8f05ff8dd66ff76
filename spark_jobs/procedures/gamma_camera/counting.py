"""Counting: sensitivity, count rate, match of the energy windows, from counts, times and activities."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from connectors.nuclides import photopeaks_kev
from messages import because
from spark_jobs.energy_windows import each_holds_photopeak
from spark_jobs.procedures.gamma_camera.flood import frame_seconds, static
from spark_jobs.procedures.gamma_camera.source import activity, frame_times, half_life, nuclide_of_header, stated_mbq
from spark_jobs.procedures.heads import detector_item
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.clinical.whole_body_bone import looks_like_whole_body
from spark_jobs.qc.gamma_camera import (
    count_rate,
    energy_resolution,
    head_sensitivity_match,
    multiple_window_registration,
    sensitivity,
    whole_body_scan,
)
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.point import find_points
from spark_jobs.qc.result import NOT_MEASURED, Result
from spark_jobs.reading import Instance, frames_of

__all__ = ["ROWS", "look", "look_of_windows"]

CODE_SENSITIVITY, CODE_WINDOWS, CODE_COUNT_RATE = "PP-SENS", "PP-MWR", "PP-COUNTRATE"
CODE_ENERGY, CODE_WHOLE_BODY = "PP-ENERGY", "PP-WBSCAN"
DISH_MM = 40.0  # smallest diameter of a source that is for sensitivity alone: a point may be for the resolution
NARROWEST_SCAN_KEV = 8.0  # windows of a scan are narrower than this
BRIGHT = 0.5  # of the largest rate: frames above it are compared while the source is brought nearer
SAME_SHAPE = 0.25  # largest change of a part of the field, as a part of the brightest part


def look_of_windows(series: Sequence[Instance]) -> Look | None:
    """Return the look of a test that compares energy windows, all of which it is given, or None."""
    first, codes = series[0], {c for i in series for c in i.codes}
    if first.modality != "NM" or first.kind != "STATIC":
        return None
    if codes <= {CODE_ENERGY} and _is_scan(first):
        return Look.SCAN_OF_WINDOWS
    return Look.POINTS_IN_WINDOWS if codes <= {CODE_WINDOWS} and _are_points_in_windows(series) else None


def look(series: Sequence[Instance]) -> Look | None:
    """Return the look of a counting test, or None: these looks leave images alone that an order names for something else."""
    first, codes = series[0], {c for i in series for c in i.codes}
    if first.modality != "NM":
        return None
    if first.kind == "DYNAMIC" and codes <= {CODE_COUNT_RATE} and _is_decaying_source(series):
        return Look.DECAYING_SOURCE
    if first.kind == "WHOLE BODY" and codes <= {CODE_WHOLE_BODY} and _are_sources(series):
        return Look.SOURCES_IN_SCAN
    if first.kind != "STATIC":
        return None
    return Look.COMPACT_SOURCE if codes <= {CODE_SENSITIVITY} and _is_source(series, codes) else None


def _brightest(series: Sequence[Instance]) -> tuple[Instance, int]:
    """Return the instance and the frame with most counts."""
    best = [(int(i.pixels[f].sum(dtype=np.int64)), -n, -f, i) for n, i in enumerate(series) for f in range(len(i.pixels))]
    _, _, frame, instance = max(best, key=lambda b: b[:3])
    return instance, -frame


def _is_source(series: Sequence[Instance], codes: set[str]) -> bool:
    """Return whether there is one compact source of an activity, or a dish where the activity was left out."""
    told = any(stated_mbq(i) for i in series) or bool(codes)
    if not told and not any(i.dataset.get("RadiopharmaceuticalInformationSequence") for i in series):
        return False
    instance, frame = _brightest(series)
    pixel_mm = instance.pixel_mm or 1.0
    source = sensitivity.find_source(instance.pixels[frame], pixel_mm)
    return source is not None and (told or 2 * source.half * pixel_mm >= DISH_MM)


def _are_sources(series: Sequence[Instance]) -> bool:
    pixel_mm = series[0].pixel_mm or 1.0
    return all(
        not looks_like_whole_body(image, pixel_mm) and whole_body_scan.shows_sources(image, pixel_mm)
        for i in series
        for image in i.pixels
    )


def _limits_kev(instance: Instance) -> dict[int, tuple[float, float]]:
    """Return lower and upper limit of each energy window (1-based) that has exactly one range."""
    out = {}
    for number, window in enumerate(instance.dataset.get("EnergyWindowInformationSequence") or [], 1):
        ranges = list(window.get("EnergyWindowRangeSequence") or [])
        if (
            len(ranges) == 1
            and ranges[0].get("EnergyWindowLowerLimit") is not None
            and ranges[0].get("EnergyWindowUpperLimit") is not None
        ):
            out[number] = (float(ranges[0].EnergyWindowLowerLimit), float(ranges[0].EnergyWindowUpperLimit))
    return out


def _is_scan(instance: Instance) -> bool:
    limits = _limits_kev(instance)
    windows = set(instance.vector("EnergyWindowVector").tolist())
    narrow = all(w in limits and limits[w][1] - limits[w][0] <= NARROWEST_SCAN_KEV for w in windows)
    return len(windows) >= energy_resolution.FEWEST_WINDOWS and narrow


def _are_points_in_windows(series: Sequence[Instance]) -> bool:
    first = series[0]
    if any(each_holds_photopeak(i) is False for i in series):
        return False  # a window for scatter beside that of the photopeak
    detectors, windows = first.vector("DetectorVector"), first.vector("EnergyWindowVector")
    for detector in sorted(set(detectors.tolist())):
        mine = np.flatnonzero(detectors == detector)
        if not 1 < len(mine) == len(set(windows[mine].tolist())):
            return False
        widest = multiple_window_registration.WIDEST_MM / (first.pixel_mm or 1.0)
        if any(not find_points(first.pixels[f], multiple_window_registration.MOST_POINTS, widest) for f in mine):
            return False
    return True


def _is_decaying_source(series: Sequence[Instance]) -> bool:
    """Return whether the frames show one thing that only grows weaker (or brighter first, where counts are lost), or is brought nearer."""
    head = series[0].vector("DetectorVector")[0]
    chosen = [np.flatnonzero(i.vector("DetectorVector") == head) for i in series]
    parts = [frames_of(i.pixels, f) for i, f in zip(series, chosen, strict=True)]
    frames = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if len(frames) < count_rate.FEWEST:
        return False
    times = frame_times(series, chosen)
    totals = frames.sum((1, 2), dtype=np.float64) / (1.0 if isinstance(times, str) else times[1])
    first, last = frames[int(np.argmax(totals))], frames[-1]
    if not isinstance(times, str) and _is_approach(series, totals, times[0]):
        bare = all(str(detector_item(i, int(head)).get("CollimatorType") or "").upper() == "NONE" for i in series)
        return bare or all(_alike(first, f) for f in (frames[k] for k in np.flatnonzero(totals > BRIGHT * totals.max())))
    if totals.min() <= 0 or last.sum() <= 0:
        return False
    return _alike(first, last) and bool(totals[-1] < 0.5 * totals.max())


def _is_approach(series: Sequence[Instance], rates: NDArray, starts_s: NDArray) -> bool:
    life = half_life(series[0])
    return count_rate.is_approach(rates, starts_s, None if isinstance(life, str) else life)


def _alike(first: NDArray, other: NDArray) -> bool:
    """Return whether two images have the same shape, within noise."""
    a, b = _parts(first), _parts(other)
    noise = 6 * np.sqrt(np.maximum(b, 1)) / b.sum()
    return bool((np.abs(a / a.sum() - b / b.sum()) <= SAME_SHAPE * (a / a.sum()).max() + noise).all())


def _parts(image: NDArray) -> NDArray[np.float64]:
    rows = np.add.reduceat(image, np.linspace(0, image.shape[0], 9, dtype=int)[:-1], axis=0, dtype=np.float64)
    return np.add.reduceat(rows, np.linspace(0, image.shape[1], 9, dtype=int)[:-1], axis=1)


def _sensitivity(series: Sequence[Instance]) -> list[Result]:
    """Return the sensitivity of each detector, and how they differ; a frame or an object without a source is the background of the one with it."""
    heads: dict[tuple[int, str], list[tuple[Instance, int]]] = {}
    for i in series:
        for f, detector in enumerate(i.vector("DetectorVector").tolist()):
            heads.setdefault((detector, str(detector_item(i, detector).get("DetectorID") or "")), []).append((i, f))
    results: list[Result] = []
    numbers = [number for number, _ in heads]
    for k, (number, frames) in enumerate(zip(numbers, heads.values(), strict=True)):
        nth = numbers[: k + 1].count(number)
        results.append(_one_head(frames, f"{number}#{nth}" if numbers.count(number) > 1 else str(number)))
    good = {str(r.detector): r for r in results if r.status != NOT_MEASURED}
    if len(good) > 1:
        values = {k: next(m for m in r.measures if m.name == "sensitivity_cps_per_mbq") for k, r in good.items()}
        doubt = next((r.reason for r in good.values() if r.reason), None)
        results.append(
            head_sensitivity_match.measure_sensitivities({k: (m.value, m.uncertainty or 0.0) for k, m in values.items()}, doubt)
        )
    return results


def _one_head(frames: list[tuple[Instance, int]], name: str) -> Result:
    found = {(id(i), f): sensitivity.find_source(i.pixels[f], i.pixel_mm or 1.0) for i, f in frames}
    with_source = [(i, f) for i, f in frames if found[(id(i), f)] is not None]
    if len(with_source) != 1:
        words = (
            because("sensitivity.no_source") if not with_source else because("sensitivity.sources_many", count=len(with_source))
        )
        return refusal(sensitivity, words, name)
    (instance, frame), others = with_source[0], [x for x in frames if x != with_source[0]]
    source = found[(id(instance), frame)]
    seconds = frame_seconds(instance)
    if seconds is None:
        return refusal(sensitivity, because("frames.rate_unknown"), name)
    supply = activity(instance)
    if isinstance(supply, str):
        return refusal(sensitivity, supply, name)
    more: dict = {"if_day_before": supply.if_day_before}
    if others:
        if (
            len(others) > 1
            or source is None
            or not sensitivity.is_empty(others[0][0].pixels[others[0][1]], instance.pixel_mm or 1.0, source)
        ):
            return refusal(sensitivity, because("sensitivity.beside_no_background"), name)
        empty, empty_frame = others[0]
        empty_seconds = frame_seconds(empty)
        if empty_seconds is None:
            return refusal(sensitivity, because("sensitivity.background_duration_missing"), name)
        more |= {"background": empty.pixels[empty_frame], "background_seconds": empty_seconds}
    result = sensitivity.measure(
        instance.pixels[frame], instance.pixel_mm or 0.0, seconds, supply.mbq, supply.half_life_s, detector=name, **more
    )
    return _noted(result, supply.notes)


def _count_rate(series: Sequence[Instance]) -> list[Result]:
    results = []
    for detector in sorted({int(d) for i in series for d in i.vector("DetectorVector")}):
        name = str(detector)
        chosen = [np.flatnonzero(i.vector("DetectorVector") == detector) for i in series]
        times = frame_times(series, chosen)
        life = half_life(series[0])
        if isinstance(times, str):
            results.append(refusal(count_rate, times, name))
            continue
        counts = np.concatenate(
            [frames_of(i.pixels, f).sum((1, 2), dtype=np.float64) for i, f in zip(series, chosen, strict=True)]
        )
        if _is_approach(series, counts / times[1], times[0]):
            results.append(count_rate.measure_approach(counts, *times, detector=name))
            continue
        if isinstance(life, str):
            results.append(refusal(count_rate, life, name))
            continue
        results.append(count_rate.measure(counts, *times, life, detector=name))
    return results


def _windows(series: Sequence[Instance]) -> list[Result]:
    results = []
    for instance in series:
        detectors, windows = instance.vector("DetectorVector"), instance.vector("EnergyWindowVector")
        for detector in sorted(set(detectors.tolist())):
            mine = np.flatnonzero(detectors == detector)
            images = {str(windows[f]): instance.pixels[f] for f in mine}
            if len(images) < 2 or len(images) < len(mine):
                reason = because("windows.one_frame_each")
                results.append(refusal(multiple_window_registration, reason, str(detector)))
                continue
            results.append(multiple_window_registration.measure(images, instance.pixel_mm or 0.0, detector=str(detector)))
    return results


def _energy(series: Sequence[Instance]) -> list[Result]:
    results = []
    for instance in series:
        detectors, windows = instance.vector("DetectorVector"), instance.vector("EnergyWindowVector")
        limits, nuclide = _limits_kev(instance), nuclide_of_header(instance)
        peak = next(iter(photopeaks_kev(nuclide)), None)
        for detector in sorted(set(detectors.tolist())):
            mine = np.flatnonzero(detectors == detector)
            if len(set(windows[mine].tolist())) < len(mine) or not set(windows[mine].tolist()) <= set(limits):
                reason = because("energy.one_frame_each")
                results.append(refusal(energy_resolution, reason, str(detector)))
                continue
            counts = instance.pixels[mine].sum((1, 2), dtype=np.float64)
            low, high = (np.array([limits[int(w)][k] for w in windows[mine]]) for k in (0, 1))
            results.append(energy_resolution.measure(counts, low, high, nuclide, peak, detector=str(detector)))
    return results


def _whole_body(series: Sequence[Instance]) -> list[Result]:
    images: dict[str, list[NDArray]] = {}
    for instance in series:
        for image, detector in zip(instance.pixels, instance.vector("DetectorVector").tolist(), strict=True):
            images.setdefault(str(detector), []).append(image)
    return [whole_body_scan.measure(v, series[0].pixel_mm or 0.0, detector=k) for k, v in sorted(images.items())]


def _noted(result: Result, notes: Sequence[str]) -> Result:
    return result if result.status == NOT_MEASURED or not notes else replace(result, warnings=(*result.warnings, *notes))


def _dynamic(instance: Instance) -> bool:
    return instance.modality == "NM" and instance.kind == "DYNAMIC"


ROWS = (
    Procedure(sensitivity, CODE_SENSITIVITY, "phantom", static, Look.COMPACT_SOURCE, _sensitivity),
    Procedure(count_rate, CODE_COUNT_RATE, "phantom", _dynamic, Look.DECAYING_SOURCE, _count_rate, any_window=True),
    Procedure(energy_resolution, CODE_ENERGY, "phantom", static, Look.SCAN_OF_WINDOWS, _energy),
    Procedure(
        whole_body_scan,
        CODE_WHOLE_BODY,
        "phantom",
        lambda i: i.modality == "NM" and i.kind == "WHOLE BODY",
        Look.SOURCES_IN_SCAN,
        _whole_body,
    ),
    Procedure(
        multiple_window_registration,
        CODE_WINDOWS,
        "phantom",
        static,
        Look.POINTS_IN_WINDOWS,
        _windows,
    ),
)

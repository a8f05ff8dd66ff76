"""Planar images of a gamma camera: how static images are looked at, and how each planar procedure takes its input."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.procedures.gamma_camera.flood import floods, static
from spark_jobs.procedures.heads import detector_item, field_of_view
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.combined.appearance import Seen, look_of_static
from spark_jobs.qc.gamma_camera import four_bar, head_sensitivity_match, line_source, linearity, planar_uniformity, quadrant_bar
from spark_jobs.qc.looks import Look
from spark_jobs.qc.numerics.lines import Pattern
from spark_jobs.qc.result import Result
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]


def look(series: Sequence[Instance]) -> Look | None:
    """Return what the frame with most counts of the photopeak looks like, or None when the series holds no planar images."""
    first = series[0]
    if first.modality != "NM" or not (len(first.pixels) == 1 or first.kind in ("STATIC", "WHOLE BODY")):
        return None
    frame = int(np.argmax(first.pixels.sum((1, 2), dtype=np.int64)))
    seen = look_of_static(first.pixels[frame], first.pixel_mm or 1.0)
    first.notes["planar"] = (frame, seen)
    return seen.word


class _Image(NamedTuple):
    """One frame, and what the look found on it; None: it was not looked at."""

    counts: NDArray
    seen: Seen | None


def _images(series: Sequence[Instance]) -> dict[str, list[_Image]]:
    """Return the images of each detector, over all objects of a series."""
    images: dict[str, list[_Image]] = {}
    for instance in series:
        looked, seen = instance.notes.get("planar", (None, None))
        for frame, (image, detector) in enumerate(zip(instance.pixels, instance.vector("DetectorVector").tolist(), strict=True)):
            images.setdefault(str(detector), []).append(_Image(image, seen if frame == looked else None))
    return dict(sorted(images.items()))


def _lines(series: Sequence[Instance]) -> list[Result]:
    pixel_mm = series[0].pixel_mm or 0.0
    return [
        line_source.measure([i.counts for i in images], pixel_mm, detector=name, patterns=_patterns(images))
        for name, images in _images(series).items()
    ]


def _patterns(images: Sequence[_Image]) -> list[Pattern | None]:
    return [i.seen.pattern if i.seen else None for i in images]


def _linearity(series: Sequence[Instance]) -> list[Result]:
    first, out = series[0], []
    for name, images in _images(series).items():
        shape, dimensions = field_of_view(first, detector_item(first, int(name)))
        out.append(
            linearity.measure(
                [i.counts for i in images],
                first.pixel_mm or 0.0,
                field_shape=shape,
                field_mm=dimensions,
                detector=name,
                patterns=_patterns(images),
            )
        )
    return out


def _single(module: ModuleType, known: str) -> Callable[[Sequence[Instance]], list[Result]]:
    """Return the run of a method that takes exactly one image of each detector, and what a look found, by name (None: nothing)."""

    def run(series: Sequence[Instance]) -> list[Result]:
        out = []
        for name, images in _images(series).items():
            if len(images) > 1:
                if series[0].dataset.get("DetectorVector") is None:
                    reason = because("heads.images_without_vector", images=len(images))
                else:
                    reason = because("planar.images_doubled", count=len(images))
                out.append(refusal(module, reason, name))
            else:
                (image,) = images
                about = {known: getattr(image.seen, known) if image.seen else None}
                out.append(module.measure(image.counts, series[0].pixel_mm or 0.0, detector=name, **about))
        return out

    return run


ROWS = (
    Procedure(planar_uniformity, "PP-FLOOD", "phantom", static, Look.PLATEAU, floods, further=(head_sensitivity_match,)),
    Procedure(line_source, "PP-LINE", "phantom", static, Look.LINE, _lines),
    Procedure(four_bar, "PP-FOURBAR", "phantom", static, Look.CROSSED_LINES, _single(four_bar, "pattern")),
    Procedure(linearity, "PP-LINEARITY", "phantom", static, Look.SLITS, _linearity),
    Procedure(quadrant_bar, "PP-QUADRANT", "phantom", static, Look.QUADRANTS, _single(quadrant_bar, "bars")),
)

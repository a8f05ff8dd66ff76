"""Planar images of a gamma camera: how static images are looked at, and how each planar procedure takes its input."""

from collections.abc import Sequence

import numpy as np

from spark_jobs.procedures.flood import floods, static
from spark_jobs.procedures.row import Procedure
from spark_jobs.qc import head_sensitivity_match, planar_uniformity
from spark_jobs.qc.appearance import look_of_static
from spark_jobs.reading import Instance

__all__ = ["ROWS", "look"]


def look(series: Sequence[Instance]) -> str | None:
    """Return what the brightest frame looks like, or None when the series holds no planar images."""
    first = series[0]
    if first.modality != "NM" or not (len(first.pixels) == 1 or first.kind in ("STATIC", "WHOLE BODY")):
        return None
    return look_of_static(first.pixels[int(np.argmax(first.pixels.sum((1, 2), dtype=np.int64)))], first.pixel_mm or 1.0)


ROWS = (Procedure(planar_uniformity, "PP-FLOOD", "phantom", static, "plateau", floods, further=(head_sensitivity_match,)),)

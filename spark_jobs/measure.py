"""From the bytes of one series to results: read, tell the procedure, measure. The one entrance for Spark jobs and the command line."""

import hashlib
from collections.abc import Sequence

from spark_jobs.qc.result import Result

__all__ = ["METHODS_DIGEST", "measure_series", "render"]

METHODS_DIGEST: str = hashlib.sha256(b"").hexdigest()


def measure_series(instances: Sequence[bytes], analysis: str | None = None) -> list[Result]:
    """Return one result for each procedure and detector of one series; never an empty list, never an exception about the images.

    Parameters
    ----------
    instances
        The DICOM files of one series.
    analysis
        "phantom" or "clinical" admits only procedures of that kind; None admits all.
    """
    raise NotImplementedError


def render(instances: Sequence[bytes], result: Result) -> bytes | None:
    """Return the PNG that shows where the values were found, or None when there is nothing to show."""
    raise NotImplementedError

"""Spark's Python daemon with all loaded that a measurement needs: a worker is forked from it and measures at once, not after 3 s of imports.

The server starts it in place of `pyspark.daemon`. What is loaded here must start no thread of its own that a forked worker would miss.
"""

import importlib

from pyspark.daemon import manager

__all__ = ["LOADED", "main"]

LOADED = (
    "matplotlib.backends.backend_agg", "matplotlib.figure", "pandas", "pyspark.worker", "scipy.ndimage", "scipy.optimize",
    "spark_jobs.jobs.analyse",
)  # fmt: skip


def main() -> None:
    """Load, then fork workers until Spark closes the standard input."""
    for name in LOADED:
        importlib.import_module(name)
    manager()


if __name__ == "__main__":
    main()

"""Counting: the match of the heads' sensitivities, and what else is measured from counts and times."""

from spark_jobs.procedures.flood import floods
from spark_jobs.procedures.row import Procedure
from spark_jobs.qc import head_sensitivity_match

__all__ = ["ROWS"]

ROWS = (
    # it comes beside the floods of several heads; alone it is done only where an order names it
    Procedure(
        head_sensitivity_match, "PP-HEADMATCH", "phantom", lambda i: False, "floods of several heads", floods, also=("plateau",)
    ),
)

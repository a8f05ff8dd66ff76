"""Results of procedures that a site has switched off."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from spark_jobs.qc.result import NOT_MEASURED, Result

__all__ = ["refuse_switched_off"]


def refuse_switched_off(results: Iterable[Result], off: Mapping[str, str]) -> list[Result]:
    """Return the results with those of switched-off procedures replaced by the reason, one a procedure; never fewer procedures."""
    out: list[Result] = []
    for r in results:
        if r.procedure is None or r.procedure not in off:
            out.append(r)
        elif not any(o.procedure == r.procedure for o in out):
            out.append(
                replace(r, status=NOT_MEASURED, reason=off[r.procedure], detector=None, measures=(), warnings=(), figure=None)
            )
    return out

"""Say what the designs of the control charts do in simulated series, beside what the reference table promises of them."""

from typing import Any

from messages import because

__all__ = ["table"]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the account of `spark_jobs.jobs.design.prove` as text for a person, a few lines a design, in both languages."""
    from messages import both

    lines = []
    for r in rows:
        about = because(
            "design.row",
            baseline_n=r["baseline_n"],
            cusum=r["cusum_h"],
            ewma=r["ewma_limit"],
            values=r["design_values"],
            series=r["series"],
        )
        lines.append(both(about, "\n"))
        for kind, sign in (("false", "<="), ("detect", ">=")):
            said, error = r[f"simulated_{kind}_percent"], r[f"{kind}_percent_error"]
            lines.append(f"  {kind:<7} {said:6.2f} ± {error:.2f} %   {sign} {r[f'{kind}_percent']:g} %")
        lines.append("  " + both(because("design.keeps") if r["keeps"] else because("design.does_not_keep")))
        tightest = because(
            "design.tightest",
            cusum=r["tightest_cusum_h"],
            ewma=r["tightest_ewma_limit"],
            detect_percent=r["tightest_detect_percent"],
        )
        lines.append("  " + both(tightest, "\n  "))
        lines.append(f"  {' '.join(r['charts'])}")
    return "\n".join(lines)

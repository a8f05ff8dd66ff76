"""Say what the designs of the control charts do in simulated series, beside what the reference table promises of them."""

from typing import Any

__all__ = ["table"]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the account of `spark_jobs.jobs.design.prove` as text for a person, a few lines a design, in both languages."""
    from connectors.words import both

    lines = []
    for r in rows:
        about = f"baseline {r['baseline_n']}, CUSUM {r['cusum_h']:g}, EWMA {r['ewma_limit']:g}, {r['design_values']} values; {r['series']} series"
        lines.append(both(about, "\n"))
        for kind, sign in (("false", "<="), ("detect", ">=")):
            said, error = r[f"simulated_{kind}_percent"], r[f"{kind}_percent_error"]
            lines.append(f"  {kind:<7} {said:6.2f} ± {error:.2f} %   {sign} {r[f'{kind}_percent']:g} %")
        lines.append(f"  {both('the design keeps its promise' if r['keeps'] else 'the design does not keep its promise')}")
        tightest = (
            f"limits as tight as the false rate allows: CUSUM {r['tightest_cusum_h']:.2f}, EWMA {r['tightest_ewma_limit']:.2f}; "
            f"they would detect {r['tightest_detect_percent']:.2f} %"
        )
        lines.append("  " + both(tightest, "\n  "))
        lines.append(f"  {' '.join(r['charts'])}")
    return "\n".join(lines)

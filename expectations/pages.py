"""The auditors' pages, in English and Chinese at once: they need a disk or a web server, no network, and read without scripts."""

import json
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from expectations import evidence, history
from expectations.suites import HERE
from judgement.days import local_text, with_local_times, zone_text
from judgement.limits import number_text
from messages import from_fields, name_of, render

__all__ = ["texts", "write"]

REASONS = ("reason", "reasons", "reason_at_opening")  # sentences; the same in Chinese, or code and arguments, stand beside them
SOURCES = ("standard", "clause", "approver")
BESIDE = ("_zh", "_code", "_args")
# what a reader of a failing row needs first, and what is printed
LEAD = {
    "measured_at_utc", "occurred_at_utc", "administered_at_utc", "started_at_utc", "at_utc", "hour_utc", "day", "month", "ordered_at_utc",
    "received_at_utc", "flagged_at_utc", "next_due_day", "valid_until_utc", "device_id", "room_id", "staff_id", "accession_number",
    "event_number", "subject_id", "step", "procedure", "detector", "aspect", "measure", "quantity", "credential", "value", "value_mean", "unit",
    "limit_low", "limit_high", "limit_text", "deviation_percent", "tolerance_percent", "completeness_percent", "verdict", "state", "outcome",
    "category", "severity", "reason", "reasons", "reason_given", "clause",
}  # fmt: skip
WIDEST = 12  # columns that a page of paper holds


def texts() -> dict[str, dict[str, str]]:
    """Return {language: {key: text}} of the reports; keys that start with `column.` are headings of failing rows."""
    return json.loads((HERE / "texts.json").read_text(encoding="utf-8"))


def write(
    reports: Path,
    run: dict[str, Any],
    seen: list[evidence.Evidence],
    names: dict[str, dict[str, tuple[str, str]]],
    zone: tzinfo,
) -> None:
    """Write the run's page, the front page over all runs, and a page of evidence for each run; times on the clock of the site."""
    environment = _environment(zone)
    rows = history.index(reports)
    summaries = history.runs(rows)[::-1]
    folder = reports / "runs" / run["run_id"]
    suites = {s["name"]: s for s in run["suites"]}
    rules = sorted(run["rules"], key=lambda r: (r["success"], r["severity"] != "integrity", r["suite"], r["rule"]))
    known = {one["run_key"] for one in seen}
    for rule in rules:
        # what says the same in Chinese or as data is shown with the English
        rule["columns"] = [c for c in rule["columns"] if not any(c == f"{r}{b}" for r in REASONS for b in BESIDE)]
        for row in rule["rows"]:
            run_key = row.get("run_key") or Path(row.get("picture_href") or "").stem
            if row.get("picture_href") and not (reports / row["picture_href"]).is_file():
                row["picture_href"] = None
            row["evidence_page"] = f"evidence/{run_key}.html" if run_key in known else None
    page = environment.get_template("run.html").render(run=run, rules=rules, suites=suites, names=names, up="../../")
    history.write_text(folder / "index.html", page)
    newest = history.load(reports, summaries[0]["run_id"])
    broken = sorted(
        (r for r in newest["rules"] if not r["success"]), key=lambda r: (r["severity"] != "integrity", -r["failing"], r["rule"])
    )
    suites = {s["name"]: s for s in newest["suites"]}
    front = environment.get_template("front.html").render(run=newest, broken=broken, suites=suites, summaries=summaries, up="")
    history.write_text(reports / "index.html", front)
    evidence.write(reports, seen, environment.get_template("evidence.html"), names)


def _environment(zone: tzinfo) -> jinja2.Environment:
    clock = zone_text(zone)
    words = texts()

    def both(en: object, zh: object) -> Markup:
        """Return both languages; the style sheet hides one when the reader has chosen."""
        return Markup('<span lang="zh">{}</span> <span lang="en">{}</span>').format(zh, en)

    def t(key: str, **values: object) -> Markup:
        return both(words["en"][key].format(**values), words["zh"][key].format(**values))

    def column(name: str) -> Markup | str:
        key = f"column.{name}"
        if key not in words["en"]:
            return name
        return both(*(words[language][key].replace("UTC", clock) for language in ("en", "zh")))

    def local(text: object) -> str:
        """Return a moment of UTC on the clock of the site."""
        return local_text(datetime.fromisoformat(str(text).removesuffix("Z")), zone)

    def moment(text: object) -> str:
        return f"{local(text)} {clock}" if "T" in str(text) else str(text)

    def word(value: object) -> Markup | str:
        key = f"value.{value}"
        return t(key) if key in words["en"] else str(value)

    def lead(rule: dict[str, Any]) -> list[str]:
        """Return the columns that a reader needs first; the rest opens on demand."""
        shown = [c for c in rule["columns"] if c in LEAD]
        return shown[:WIDEST] if len(shown) > 1 else rule["columns"][:WIDEST]

    def two(text: object, chinese: str | None) -> Markup | str:
        told, translated = (with_local_times(str(said or ""), zone, named=True) for said in (text, chinese))
        return both(told, translated) if translated and translated != told else told

    def why(text: object) -> Markup | str:
        """Return a reason, or where a limit or rule is from, in both languages; prose stays as it is."""
        said = render(str(text), "zh")
        return two(text, said if said != text else name_of("source", str(text), "zh"))

    def cell(
        value: object, name: str, names: dict[str, dict[str, tuple[str, str]]], row: dict[str, Any] | None = None
    ) -> Markup | str:
        if value is None or value == "":
            return "–"
        if name.endswith("_utc"):
            return local(value)
        if name in ("day", "month") or name.endswith("_day"):
            return str(value)[:10]
        register = names.get({"reported_by": "staff_id"}.get(name, name), {})
        if str(value) in register:
            return both(*register[str(value)])
        if name in REASONS:
            return two(value, (row or {}).get(f"{name}_zh") or render(from_fields(row or {}, name) or "", "zh"))
        if name in SOURCES:
            return why(value)
        if isinstance(value, float):
            return number_text(value)
        return {"True": "✓", "False": "✗"}.get(str(value)) or word(value)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(both=both, t=t, column=column, moment=moment, cell=cell, why=why, word=word, lead=lead)
    return environment

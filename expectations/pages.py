"""The auditors' pages, in English and Chinese at once: they need a disk or a web server, no network, no scripts."""

import json
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from connectors.words import reason
from expectations import history
from expectations.suites import HERE

__all__ = ["texts", "write"]

WRITTEN = ("reason", "reasons", "reason_at_opening", "standard", "clause", "limit_text")  # columns of sentences


def texts() -> dict[str, dict[str, str]]:
    """Return {language: {key: text}} of the reports; keys that start with `column.` are headings of failing rows."""
    return json.loads((HERE / "texts.json").read_text(encoding="utf-8"))


def write(reports: Path, run: dict[str, Any]) -> None:
    """Write the run's page and the front page over all runs."""
    environment = _environment()
    rows = history.index(reports)
    summaries = history.runs(rows)[::-1]
    folder = reports / "runs" / run["run_id"]
    suites = {s["name"]: s for s in run["suites"]}
    rules = sorted(run["rules"], key=lambda r: (r["success"], r["severity"] != "integrity", r["suite"], r["rule"]))
    for rule in rules:
        for row in rule["rows"]:
            if row.get("picture_href") and not (reports / row["picture_href"]).is_file():
                row["picture_href"] = None
    page = environment.get_template("run.html").render(run=run, rules=rules, suites=suites, up="../../")
    history.write_text(folder / "index.html", page)
    newest = history.load(reports, summaries[0]["run_id"])
    broken = sorted(
        (r for r in newest["rules"] if not r["success"]), key=lambda r: (r["severity"] != "integrity", -r["failing"], r["rule"])
    )
    suites = {s["name"]: s for s in newest["suites"]}
    front = environment.get_template("front.html").render(run=newest, broken=broken, suites=suites, summaries=summaries, up="")
    history.write_text(reports / "index.html", front)


def _environment() -> jinja2.Environment:
    words = texts()

    def both(en: object, zh: object) -> Markup:
        """Return both languages; the style sheet hides one when the reader has chosen."""
        return Markup('<span lang="zh">{}</span> <span lang="en">{}</span>').format(zh, en)

    def t(key: str, **values: object) -> Markup:
        return both(words["en"][key].format(**values), words["zh"][key].format(**values))

    def column(name: str) -> Markup | str:
        key = f"column.{name}"
        return t(key) if key in words["en"] else name

    def moment(text: object) -> str:
        return str(text).replace("T", " ").replace(".000", "").removesuffix("Z") + " UTC"

    def why(text: object) -> Markup | str:
        """Return what is stored in English with the Chinese beside it where there is one."""
        chinese = reason(str(text))
        return both(text, chinese) if chinese != text else str(text)

    def cell(value: object, name: str) -> Markup | str:
        if value is None:
            return "–"
        if name.endswith("_utc"):
            return str(value).replace("T", " ").replace(".000", "").removesuffix("Z")
        if name == "day" or name == "month":
            return str(value)[:10]
        if name in WRITTEN:
            return why(value)
        if isinstance(value, float):
            return f"{value:.4g}"
        return {"True": "✓", "False": "✗"}.get(str(value), str(value))

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(both=both, t=t, column=column, moment=moment, cell=cell, why=why)
    return environment

"""Great Expectations' own Data Docs, made to work with no network and in both languages: what they load from elsewhere is replaced or dropped."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from expectations.suites import HERE

__all__ = ["install", "localise"]

# what a page loads from elsewhere → the file we ship; everything else that is remote is dropped, because no page of ours needs it
LOCAL = {
    "bootstrap.min.css": "bootstrap-4.6.2.min.css",
    "bootstrap.min.js": "bootstrap-4.6.2.bundle.min.js",
    "jquery-3.7.1.min.js": "jquery-3.7.1.min.js",
}
LOADED = re.compile(
    r"<script[^>]*\ssrc=\"(https?://[^\"]+)\"[^>]*>\s*</script>|<link[^>]*\shref=\"(https?://[^\"]+)\"[^>]*/?>", re.S
)
IMAGE = re.compile(r"<img[^>]*\ssrc=\"https?://[^\"]+\"[^>]*/?>", re.S)
FOOTER = re.compile(r"<footer\b.*?</footer>", re.S)
CSS_URL = re.compile(r"url\(\s*['\"]?https?://[^)]*\)")
TEXT = re.compile(r">(\s*)([^<>]*[^<>\s])(\s*)<")
SCRIPT = re.compile(r"(<(?:script|style|title)\b.*?</(?:script|style|title)>)", re.S)
ICON = re.compile(r"<link rel=\"shortcut icon\"[^>]*>")


def install(draft: Path, reports: Path, run: dict[str, Any]) -> None:
    """Move the run's pages into `reports/data_docs`, localised, and note each suite's page as `docs` in the run."""
    target = reports / "data_docs"
    shutil.copytree(HERE / "assets", reports / "assets", dirs_exist_ok=True)
    for page in sorted(draft.rglob("*.html")):
        where = target / page.relative_to(draft)
        where.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (len(where.relative_to(reports).parts) - 1)
        where.write_text(localise(page.read_text(encoding="utf-8"), up), encoding="utf-8")
    shutil.rmtree(draft, ignore_errors=True)
    for suite in run["suites"]:
        found = sorted((target / "validations" / suite["name"] / run["run_id"]).rglob("*.html"))
        suite["docs"] = found[0].relative_to(reports).as_posix() if found else None
    (target / "index.html").write_text(
        '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=../index.html">\n'
    )


def localise(html: str, up: str) -> str:
    """Return the page without anything that a browser would fetch from another machine; `up` leads to the reports' folder."""

    def local(match: re.Match[str]) -> str:
        name = (match[1] or match[2]).rsplit("/", 1)[-1]
        if name not in LOCAL:
            return ""
        href = f"{up}assets/vendor/{LOCAL[name]}"
        return f'<script src="{href}"></script>' if match[1] else f'<link rel="stylesheet" href="{href}">'

    html = FOOTER.sub("", LOADED.sub(local, html))
    html = ICON.sub("", IMAGE.sub("<strong>Photopeak · Data Docs</strong>", html))
    html = _both(CSS_URL.sub("none", html))
    ours = f'<link rel="icon" href="data:,"><link rel="stylesheet" href="{up}assets/data_docs.css"><script src="{up}assets/report.js"></script>'
    return html.replace("</head>", f"{ours}</head>", 1)


def _both(html: str) -> str:
    """Return the page with the Chinese of Great Expectations' own words beside them; the style sheet shows the reader's language."""
    chinese = json.loads((HERE / "docs.zh.json").read_text(encoding="utf-8"))

    def beside(match: re.Match[str]) -> str:
        before, text, after = match.groups()
        if text not in chinese:
            return match[0]
        return f'>{before}<span lang="en">{text}</span><span lang="zh">{chinese[text]}</span>{after}<'

    return "".join(part if SCRIPT.fullmatch(part) else TEXT.sub(beside, part) for part in SCRIPT.split(html))

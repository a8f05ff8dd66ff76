"""The sentences that the code, the models and the reference data hold, read from their files: what a catalogue must know."""

import ast
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema

__all__ = ["clauses", "literals", "models", "sentences"]

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "dbt_project"
# progress, usage and help on a terminal, words of protocols, and what is bilingual where it stands
ELSEWHERE = (
    "spark_jobs/pictures", "spark_jobs/outputs", "spark_jobs/schemas", "connectors/settings.py", "connectors/dicom/storage/pseudonymise.py",
    "connectors/his/acknowledge.py", "photopeak/demo.py", "photopeak/doctor.py", "photopeak/environments.py", "terminals/headers.py",
    "photopeak/requirements.py", "photopeak/reaper.py", "photopeak/release.py",
)  # fmt: skip
NO_SENTENCE = re.compile(
    r"\s*(select|alter table|insert|pragma|create|begin|rollback|release|where|savepoint|set|drop|case|#!|<|\[|%|usage:|json |xml "
    r"|script-src|style-src)",
    re.I,
)
# names, and the progress of a command
NAMES = {
    "header completeness", "bold red", "no such table", "offset, source, id, sha256, type, site, subject, occurred_at, recorded_at, data",
    "and {} more", "No space left|disk (is )?full|ENOSPC|Errno 28", "longer than usual", "about {} s left",
}  # fmt: skip


ROOMS = ("judgement", "devices", "spark_jobs", "connectors", "photopeak", "terminals", "warehouse")


def sentences() -> dict[str, str]:
    """Return {template: place} of each sentence in the code that somebody may read as a reason, a note or a refusal."""
    found: dict[str, str] = {}
    for path in _files(*ROOMS):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(ELSEWHERE):
            continue
        for line, template, around in _literals(ast.parse(path.read_text(encoding="utf-8"))):
            if is_sentence(template) and template.strip(" ;") not in NAMES and not any(_is_no_reason(node) for node in around):
                found.setdefault(template.strip(" ;"), f"{place}:{line}")
    return found


def literals() -> set[str]:
    """Return every string of the code and of the library that checks events, with {} in the place of values."""
    files = [
        *_files(*ROOMS, "expectations"),
        *Path(jsonschema.__file__).parent.glob("_*.py"),
    ]
    return {t.strip(" ;") for p in files for _, t, _ in _literals(ast.parse(p.read_text(encoding="utf-8")))}


def models() -> list[tuple[str, str]]:
    """Return (file, literal) of each string in the models and macros that make reasons."""
    found = []
    for path in sorted([*(MODELS / "models").rglob("*.sql"), MODELS / "macros" / "judge.sql"]):
        sql = re.sub(r"--[^\n]*|\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        if re.search(r"reason", sql):
            within = r"\\'([^'\\\n]*)\\'"  # strings inside a string that is handed to a macro
            found += [(path.name, s) for s in (*re.findall(within, sql), *re.findall(r"'([^'\n]*)'", re.sub(within, "", sql)))]
    return found


def clauses() -> set[str]:
    """Return standards and clauses of limits, rules and expectations, as the reports show them."""
    found = set()
    for name, columns in (("limits.csv", ("standard", "clause", "approver")), ("rules.csv", ("clause",))):
        with (MODELS / "seeds" / name).open(encoding="utf-8", newline="") as file:
            found |= {row[c] for row in csv.DictReader(file) for c in columns if row[c]}
    for path in (ROOT / "expectations" / "suites").rglob("*.json"):
        found |= {e["meta"]["clause"] for e in json.loads(path.read_text(encoding="utf-8"))["expectations"]}
    return found


def is_sentence(text: str) -> bool:
    """Tell whether a literal is words for people: two of them in lower case, no query, no identifier, nothing bilingual."""
    words = re.findall(r"(?<![\w`./-])[a-z]{2,}(?![\w(./=])", text.replace("{}", " "))
    return len(words) >= 2 and " " in text.strip() and not NO_SENTENCE.match(text) and not re.search("[\u4e00-\u9fff]", text)


def _files(*rooms: str) -> list[Path]:
    return [p for room in rooms for p in sorted((ROOT / room).rglob("*.py"))]


def _is_no_reason(node: ast.AST) -> bool:
    """Tell whether what stands inside a node is for the log, the terminal's help or the name of a method."""
    if isinstance(node, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id == "METHOD" for t in node.targets)
    if isinstance(node, ast.Call):
        f = node.func
        called = f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""
        owner = f.value.id if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) else ""
        return owner in ("log", "logger", "LOG", "typer") or called in ("getLogger", "compile", "Field", "FastAPI", "basicConfig")
    return False


def _literals(tree: ast.AST) -> Iterator[tuple[int, str, list[ast.AST]]]:
    """Yield line, template and surrounding nodes of each string that is no docstring; a sum of strings is one."""
    documented = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    stack: list[tuple[ast.AST, list[ast.AST]]] = [(tree, [])]
    while stack:
        node, around = stack.pop()
        if id(node) in documented and isinstance(node, ast.Constant):
            continue
        template = _template(node)
        if template is not None:
            yield getattr(node, "lineno", 0), template, around
        stack += [(n, [*around, node]) for n in _inside(node, template is not None)]


def _inside(node: ast.AST, read: bool) -> list[ast.AST]:
    """Return what is still to be looked at below a node: of a string that was read as a whole, only its values."""
    if not read:
        return list(ast.iter_child_nodes(node))
    if isinstance(node, ast.FormattedValue):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
    if isinstance(node, ast.BinOp):
        sides = (node.left, node.right)
        return [n for side in sides for n in (_inside(side, True) if _template(side) is not None else [side])]
    return []


def _template(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("{", "{{").replace("}", "}}")
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(v) or "" if isinstance(v, ast.Constant) else "{}" for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _template(node.left), _template(node.right)
        if left is not None or right is not None:
            return ("{}" if left is None else left) + ("{}" if right is None else right)
    return None

"""Documents name what is there: paths, verbs of make, rooms with a README."""

import ast
import re
from pathlib import Path

from bench import dictionary
from spark_jobs.procedures import MODULES

ROOT = Path(__file__).resolve().parents[2]
LONGEST_README = 30
LONGEST_NAME = 80
OF_AN_INSTALLATION = {"warehouse/candidate", "warehouse/current"}  # paths below the home
ROOMS = (
    "bench", "connectors", "dags", "dashboards", "dbt_project", "devices", "docker", "expectations", "judgement", "messages", "photopeak", "plugins",
    "simulator", "spark_jobs", "terminals", "warehouse",
)  # fmt: skip
PATH = re.compile(rf"(?<![\w/<>.~-])((?:{'|'.join(ROOMS)}|docs|tests|requirements)/[\w./-]*\w/?)(?![\w<*{{…])")


def documents() -> list[Path]:
    """Return all documents but the past: decisions and changes name what was there then."""
    found = [
        p for p in ROOT.rglob("*.md") if not any(x.startswith((".venv", "var", ".pytest")) for x in p.relative_to(ROOT).parts)
    ]
    return [p for p in found if p.name != "CHANGELOG.md" and "adr" not in p.parts]


def anchors(document: Path) -> set[str]:
    """Return the anchors that a forge gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", h)).lower().strip().replace(" ", "-") for h in headings}


def test_every_path_that_a_document_names_is_there() -> None:
    lost = []
    for document in documents():
        for found in PATH.finditer(document.read_text(encoding="utf-8")):
            path = found.group(1).rstrip("/")
            if path not in OF_AN_INSTALLATION and not (ROOT / path).exists() and not list(ROOT.glob(path + ".*")):
                lost.append(f"{document.relative_to(ROOT)}: {path}")
    assert lost == []


def test_every_link_of_a_document_leads_somewhere() -> None:
    lost = []
    for document in documents():
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]*))?\)", document.read_text(encoding="utf-8")):
            place = document.parent / target if target else document
            if not place.exists() or (anchor and anchor not in anchors(place)):
                lost.append(f"{document.relative_to(ROOT)}: {target}#{anchor}")
    assert lost == []


def test_every_room_says_in_a_short_readme_what_belongs_there() -> None:
    lines = {room: len((ROOT / room / "README.md").read_text(encoding="utf-8").splitlines()) for room in ROOMS}
    assert {room: n for room, n in lines.items() if n > LONGEST_README} == {}


def test_every_target_of_make_that_a_document_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {t for p in documents() for t in re.findall(r"`make ([a-z-]+)", p.read_text(encoding="utf-8"))}
    assert named and named - targets == set()


def test_every_procedure_has_a_page_of_its_version() -> None:
    pages = {p.stem: p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "methods").glob("*.md")}
    stale = [name for name, module in MODULES.items() if f"version **{module.VERSION}**" not in pages.get(name, "")]
    assert stale == [] and set(pages) == set(MODULES), "make docs"


def test_every_procedure_states_its_formulae() -> None:
    assert [name for name, module in MODULES.items() if not getattr(module, "FORMULAE", ())] == []


def test_the_data_dictionary_is_that_of_the_contracts() -> None:
    stale = dictionary.PAGE.read_text(encoding="utf-8") != dictionary.page()
    assert not stale, "python -m bench.dictionary"


def test_names_of_tests_are_short() -> None:
    trees = [ast.parse(p.read_text(encoding="utf-8")) for p in (ROOT / "tests").rglob("*.py")]
    names = {n.name for tree in trees for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {n for n in names if n.startswith("test_") and len(n) > LONGEST_NAME} == set()

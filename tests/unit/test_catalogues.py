"""The catalogues against the code, the models and the reference data: every code in both languages, the same arguments, none unused."""

import ast
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from foreign_words import LATIN, foreign

from messages import because, render
from messages.catalogue import LANGUAGES, codes, names, template
from messages.catalogue import _read as read
from messages.render import LISTS, NUMBER
from spark_jobs.procedures import PROCEDURES
from spark_jobs.qc.looks import Look

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("photopeak", "terminals", "warehouse", "devices", "judgement", "expectations", "spark_jobs", "connectors")
MODELS = ROOT / "dbt_project"
SHEET_KEYS = {"reference_at", "reference_mbq", "half_life_s"}  # a sender writes them so
WORD = re.compile(r"(?<![\w./`{^_:-])[A-Za-z][A-Za-z]{2,}(?![\w./}^_:-])")


def test_both_languages_hold_the_same_codes_with_the_same_arguments() -> None:
    assert len(codes()) > 700 and set(read("en")["messages"]) == set(read("zh")["messages"])
    assert [c for c in sorted(codes()) if arguments(c, "en") != arguments(c, "zh")] == []


def test_every_code_that_code_and_models_name_is_there_with_its_arguments() -> None:
    wrong, seen = [], 0
    for place, code, given in [*in_code(), *in_models()]:
        seen += 1
        if code not in codes():
            wrong.append((place, code, "unknown"))
        elif given is not None and given != arguments(code, "en"):
            wrong.append((place, code, sorted(given ^ arguments(code, "en"))))
    assert seen > 800 and wrong == []


def test_no_code_is_unused() -> None:
    written = {n.value for _, tree in trees() for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    written |= {code for _, code, _ in in_models()}
    assert sorted(codes() - written) == []


def test_codes_are_dotted_and_sorted() -> None:
    for language in LANGUAGES:
        listed = list(read(language)["messages"])
        assert listed == sorted(listed)
        assert [c for c in listed if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", c)] == []


def test_every_format_is_one_of_numbers_or_a_kind_of_names() -> None:
    wrong = []
    for code in sorted(codes()):
        for language in LANGUAGES:
            for _, name, spec, _ in Formatter().parse(whole(code, language)):
                kinds, _, joint = (spec or "").partition("|")
                named = all(names(kind, "zh") for kind in kinds.split("/"))
                if name is not None and (joint not in LISTS or (kinds and not NUMBER.fullmatch(kinds) and not named)):
                    wrong.append((code, name, spec))
    assert wrong == []


def test_no_latin_word_stands_in_chinese_beside_those_that_chinese_uses() -> None:
    wrong = {}
    for code in sorted(codes()):
        text = re.sub(r"\{[^}]*\}|`[^`]*`|\b[a-z]+://\S*|\burn:\S*", "", template(code, "zh") or "")
        words = {w for w in WORD.findall(text) if w not in LATIN and not re.search("[a-z][A-Z]|^[A-Z]+[a-z]?$", w)}
        if words:
            wrong[code] = words
    assert wrong == {}


def test_no_word_that_code_passes_stands_in_chinese_as_it_is() -> None:
    """Words that are written in a call of `because` are ours: each has its name in Chinese."""
    wrong, seen = [], 0
    for place, code, name, word in words_in_code():
        seen += 1
        said = render(code, "zh", {k: [word] if k == name else "1" for k in arguments(code, "zh")})
        if foreign(said, also=SHEET_KEYS):
            wrong.append((place, code, name, word))
    assert seen > 8 and wrong == []


def test_an_id_that_has_a_name_in_chinese_has_one_in_english() -> None:
    kinds = {k: v for k, v in read("zh")["names"].items() if k not in ("source", "content", "key", "type")}
    ids = [(kind, key) for kind, listed in kinds.items() for key in listed if "_" in key]
    assert len(ids) > 30
    assert [(kind, key) for kind, key in ids if not (name := names(kind, "en").get(key, "")) or "_" in name] == []
    assert set(names("procedure", "en")) == set(names("procedure", "zh"))


def test_every_look_has_its_chinese_and_no_other_is_named() -> None:
    assert set(names("look", "zh")) == set(Look)
    assert {p.look for p in PROCEDURES.values()} <= set(Look)
    said = because("tomogram.looks_differ", looks=[Look.UNIFORM_CYLINDER, because("tomogram.empty")])
    assert render(said, "zh") == "各重建显示的物体不同：均匀圆柱体和体数据没有计数"
    assert type(said.args["looks"][0]) is str  # type: ignore[attr-defined]


def test_every_name_in_chinese_is_chinese() -> None:
    named = [(kind, key, name) for kind, listed in read("zh")["names"].items() for key, name in listed.items()]
    assert [(kind, key) for kind, key, name in named if not re.search("[\u4e00-\u9fff]", name)] == []


def test_standards_clauses_and_approvers_of_the_reference_data_have_their_chinese() -> None:
    known = names("source", "zh")
    sentences = {c for c in sources() if len(re.findall(r"(?<![\w`./-])[a-z]{2,}(?![\w(./=])", c)) >= 2}
    assert len(sentences) > 10 and sorted(sentences - set(known)) == []
    assert sorted(set(known) - sources()) == []


def arguments(code: str, language: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(whole(code, language)) if name is not None}


def whole(code: str, language: str) -> str:
    return (template(code, language) or "").replace("[[", "").replace("]]", "")


def trees() -> Iterator[tuple[str, ast.AST]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def in_code() -> Iterator[tuple[str, str, set[str] | None]]:
    """Yield place, code and names of arguments of each call of `because` (and of doctor's `say`) whose code is written there; None where
    they come from a dict."""
    for place, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("because", "say")
                and node.args
            ):
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    given = [k.arg for k in node.keywords]
                    yield f"{place}:{node.lineno}", str(code.value), None if None in given else {str(k) for k in given}


def words_in_code() -> Iterator[tuple[str, str, str, str]]:
    """Yield place, code, argument and word of each text that a call of `because` writes out."""
    for place, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "because" and node.args:
                code = node.args[0]
                for keyword in node.keywords if isinstance(code, ast.Constant) else ():
                    for word in written(keyword.value):
                        yield f"{place}:{node.lineno}", str(code.value), str(keyword.arg), word  # type: ignore[attr-defined]


def written(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may be, as far as they are written there."""
    match node:
        case ast.Constant(str() as text):
            yield text
        case ast.IfExp():
            yield from [*written(node.body), *written(node.orelse)]
        case ast.List() | ast.Tuple():
            yield from (text for part in node.elts for text in written(part))
        case ast.BoolOp():
            yield from (text for part in node.values for text in written(part))


def in_models() -> Iterator[tuple[str, str, set[str] | None]]:
    for path in sorted(MODELS.rglob("*.sql")):
        sql = path.read_text(encoding="utf-8")
        for found in re.finditer(r"because\('([^']+)'", sql):
            depth, end = 1, found.end()
            while depth:
                depth += {"(": 1, ")": -1}.get(sql[end], 0)
                end += 1
            call = re.sub(r"because\([^()]*\)", "", sql[found.end() : end])
            given = set(re.findall(r"'(\w+)':", call))
            yield path.name, found[1], given if given or "went" not in call else None


def sources() -> set[str]:
    found = set()
    for name, columns in (("limits.csv", ("standard", "clause", "approver")), ("rules.csv", ("clause",))):
        with (MODELS / "seeds" / name).open(encoding="utf-8", newline="") as file:
            found |= {row[c] for row in csv.DictReader(file) for c in columns if row[c]}
    for path in (ROOT / "expectations" / "suites").rglob("*.json"):
        found |= {e["meta"]["clause"] for e in json.loads(path.read_text(encoding="utf-8"))["expectations"]}
    return found

"""Suites, texts and history of the auditors' reports; no Great Expectations here."""

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from expectations import data_docs, history, pages, run, suites

ROOT = Path(__file__).resolve().parents[2]


def finding_rules() -> dict[str, dict]:
    read, _ = suites.read_suites()
    return {e["meta"]["rule"]: e["meta"] for s in read for e in s.expectations if e["meta"]["severity"] == "finding"}


@pytest.mark.req("BIZ-08")
def test_every_rule_of_the_reference_data_is_attested_under_its_clause() -> None:
    with (ROOT / "dbt_project" / "seeds" / "rules.csv").open(encoding="utf-8") as f:
        rules = {r["rule_id"]: r for r in csv.DictReader(f)}
    attested = finding_rules()
    assert set(attested) == set(rules)
    for rule, meta in attested.items():
        assert meta["requirement"] == rules[rule]["requirement"], rule
        assert not rules[rule]["clause"] or meta["clause"] == rules[rule]["clause"], rule


def test_suites_of_all_three_layers_carry_complete_meta() -> None:
    read, digest = suites.read_suites()
    assert {s.layer for s in read} == {"raw", "staging", "marts"} and len(digest) == 64
    for suite in read:
        assert suite.title_en and re.search("[一-鿿]", suite.title_zh), suite.name
        for e in suite.expectations:
            assert all(e["meta"][m] for m in suites.META), (suite.name, e)
            assert re.search("[一-鿿]", e["meta"]["title_zh"]), e["meta"]["rule"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("name"), "not a suite"),
        (lambda t: t.update(name="other"), "its name must be marts_a"),
        (lambda t: t["expectations"][0]["meta"].pop("clause"), "lacks meta clause"),
        (lambda t: t["expectations"][0]["meta"].update(severity="high"), "must be one of integrity, finding"),
        (lambda t: t["expectations"].append(t["expectations"][0]), "stands in"),
    ],
)
def test_a_suite_that_cannot_be_used_is_named(tmp_path: Path, change, says: str) -> None:
    meta = dict.fromkeys(suites.META, "x") | {"severity": "finding"}
    text = {
        "name": "marts_a",
        "meta": {"population": {"title_en": "a", "title_zh": "a", "key": [], "sql": "select 1"}},
        "expectations": [{"type": "expect_column_values_to_be_null", "kwargs": {"column": "a"}, "meta": meta}],
    }
    change(text)
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "a.json").write_text(json.dumps(text))
    with pytest.raises(suites.SuiteError, match=says):
        suites.read_suites(("marts",), tmp_path)


def test_an_empty_folder_of_suites_is_no_pass(tmp_path: Path) -> None:
    with pytest.raises(suites.SuiteError, match="no suite found"):
        suites.read_suites(("marts",), tmp_path)


def test_no_text_of_the_reports_lacks_a_translation() -> None:
    words = pages.texts()
    assert set(words["en"]) == set(words["zh"]) and all(words["en"].values()) and all(words["zh"].values())
    asked = set()
    for template in (ROOT / "expectations" / "templates").glob("*.html"):
        asked |= set(re.findall(r'\bt\("([a-z_]+)"[,)]', template.read_text(encoding="utf-8")))
    assert "as_of" in asked and asked <= set(words["en"])


def result(run_id: str, **success: bool) -> dict:
    fixed = {"suite": "s", "severity": "finding", "population": 3, "failing": 1, "rule_version": "1", "clause": "c"}
    rules = [{**fixed, "rule": rule, "success": held} for rule, held in success.items()]
    return {"run_id": run_id, "as_of_utc": f"as of {run_id}", "rules": rules}


def since(reports: Path, run: dict) -> dict:
    history.store(reports, run, keep=3)
    return {r["rule"]: (r["since"] or {}).get("run_id") for r in run["rules"]}


@pytest.mark.req("AUD-16")
def test_since_is_the_first_run_of_the_unbroken_streak(tmp_path: Path) -> None:
    assert since(tmp_path, result("r1", A=False, B=True)) == {"A": "r1", "B": None}
    assert since(tmp_path, result("r2", A=False, B=False)) == {"A": "r1", "B": "r2"}
    assert since(tmp_path, result("r3", A=True, B=False)) == {"A": None, "B": "r2"}
    assert since(tmp_path, result("r4", A=False, B=False, C=False)) == {"A": "r4", "B": "r2", "C": "r4"}
    assert [r["run_id"] for r in history.runs(history.index(tmp_path))] == ["r2", "r3", "r4"], "only the newest runs are kept"
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"r2", "r3", "r4"}


def test_a_repeated_run_replaces_its_rows_and_keeps_its_place(tmp_path: Path) -> None:
    for name in ("r1", "r2"):
        history.store(tmp_path, result(name, A=False), keep=9)
    history.store(tmp_path, result("r1", A=True), keep=9)
    assert [(r["run_id"], r["success"]) for r in history.index(tmp_path)] == [("r1", True), ("r2", False)]


@pytest.mark.req("AUD-16")
def test_a_busy_day_does_not_push_last_week_out(tmp_path: Path) -> None:
    moments = ["2026-03-01T08", "2026-03-02T08", "2026-03-02T20", "2026-03-03T08", "2026-03-03T09", "2026-03-03T10"]
    for moment in moments:
        history.store(tmp_path, {**result(moment, A=False), "as_of_utc": f"{moment}:00:00Z"}, keep=2, days=3)
    kept = ["2026-03-01T08", "2026-03-02T20", "2026-03-03T09", "2026-03-03T10"]
    assert [r["run_id"] for r in history.runs(history.index(tmp_path))] == kept
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == kept


def test_data_docs_lose_everything_that_comes_from_elsewhere() -> None:
    page = (
        '<html><head><link rel="stylesheet" href="https://a.example/bootstrap/4.3.1/css/bootstrap.min.css"/>'
        '<link rel="stylesheet" href="https://a.example/all.min.css"><script src="https://a.example/vega@5"></script>'
        '<script src="https://a.example/jquery-3.7.1.min.js" integrity="x"></script><style>a{background:url(https://a.example/x.png)}</style>'
        '</head><body><img class="x" src="https://a.example/logo.png" alt=""/><footer>https://a.example</footer></body></html>'
    )
    local = data_docs.localise(page, "../")
    assert "a.example" not in local
    assert '"../assets/vendor/bootstrap-4.6.2.min.css"' in local and '"../assets/vendor/jquery-3.7.1.min.js"' in local
    for name in data_docs.LOCAL.values():
        assert (ROOT / "expectations" / "assets" / "vendor" / name).is_file()


def test_great_expectations_own_words_stand_in_both_languages() -> None:
    local = data_docs.localise(
        "<html><head></head><body><p> Failed Only </p><script>'Home'</script><b>Home</b></body></html>", ""
    )
    assert '<span lang="en">Failed Only</span><span lang="zh">仅显示不符合</span>' in local
    assert "<script>'Home'</script>" in local and "<b><span" in local


def test_a_run_knows_what_the_run_before_found(tmp_path: Path) -> None:
    first, second = result("r1", A=False, B=True), result("r2", A=True, B=False, C=True)
    history.store(tmp_path, first, keep=9)
    history.store(tmp_path, second, keep=9)
    assert first["previous_run_id"] is None and second["previous_run_id"] == "r1"
    before = {r["rule"]: r["before"] and r["before"]["success"] for r in second["rules"]}
    assert before == {"A": False, "B": True, "C": None}


def test_first_and_last_failing_day_come_from_the_rows() -> None:
    rows = pd.DataFrame({"measured_at_utc": pd.to_datetime(["2026-03-09 07:00", None, "2026-03-02 07:00"]), "day": "2026-01-01"})
    assert run._span(rows) == ("2026-03-02T07:00:00", "2026-03-09T07:00:00")
    assert run._span(pd.DataFrame({"day": ["2026-03-03", "2026-03-01"]})) == ("2026-03-01", "2026-03-03")
    assert run._span(pd.DataFrame({"value": [1.0]})) == (None, None)

"""`attest_quality` on a small warehouse whose faults are known, with the real Great Expectations, DuckDB and files."""

import json
from datetime import UTC
from pathlib import Path

import pytest
import sample_warehouse as sample

from connectors.settings import Settings, load
from expectations.pages import texts
from expectations.run import attest

MOMENT = sample.AS_OF.replace(tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home")


def run(settings: Settings) -> tuple[dict, dict]:
    """Attest, and return the job's answer and the stored result by rule."""
    answer = attest(settings, MOMENT, lambda release: sample.publish(settings.warehouse, release)).to_json()
    path = settings.reports / "runs" / answer["run_key"] / "result.json"
    return answer, {r["rule"]: r for r in json.loads(path.read_text(encoding="utf-8"))["rules"]}


def current(settings: Settings) -> str | None:
    link = settings.warehouse / "current"
    return link.resolve().name if link.exists() else None


def test_what_was_attested_is_published_whatever_candidate_names_by_then(settings: Settings) -> None:
    sample.make_release(settings.warehouse, "r1")

    def publish(release: Path) -> None:
        sample.make_release(settings.warehouse, "r2")
        sample.publish(settings.warehouse, release)

    assert attest(settings, MOMENT, publish).more["published"] and current(settings) == "r1"


@pytest.mark.req("AUD-16", "MEC-09", "SYS-10")
def test_faults_are_reported_with_their_rows_and_do_not_block(settings: Settings) -> None:
    sample.make_release(settings.warehouse, "r1")
    picture = sample.write_picture(settings.reports)
    answer, rules = run(settings)
    assert answer["integrity"] and answer["published"] and current(settings) == "r1"
    assert {r: rules[r]["failing"] for r in answer["failing"]} == sample.FAULTS
    assert answer["written"] == len(rules) and all(r["error"] is None for r in rules.values())
    phantom = rules["PHANTOM_LIMIT"]
    assert phantom["population"] == 6 and phantom["rule_version"] == "1" and phantom["clause"] == "WS 523-2019, 5.1"
    (row,) = phantom["rows"]
    assert (row["device_id"], row["detector"], row["value"], row["limit_high"]) == ("GC1", "2", 9.4, 5.0)
    assert (settings.reports / row["picture_href"]) == picture
    assert {"group": "GC1", "population": 2, "failing": 1} in phantom["groups"]

    index = json.loads((settings.reports / "index.json").read_text(encoding="utf-8"))
    keys = {"run_id", "suite", "as_of_utc", "severity", "success", "population", "failing", "rule", "clause", "href"}
    assert len(index) == len(rules) and all(keys <= set(r) for r in index)
    (found,) = [r for r in index if r["rule"] == "PHANTOM_LIMIT"]
    assert not found["success"] and found["as_of_utc"] == "2026-03-10T16:00:00Z"
    page, _, anchor = found["href"].partition("#")
    html = (settings.reports / page).read_text(encoding="utf-8")
    assert f'id="{anchor}"' in html and f"../../pictures/{picture.name}" in html and "模体测量值在限值内" in html

    headings = {
        c for r in rules.values() for c in r["columns"] if not (c.startswith("reason") and c.endswith(("_zh", "_code", "_args")))
    }
    assert {f"column.{c}" for c in headings - {"picture_href"}} <= set(texts()["zh"]), (
        "each column that a report can show has a heading"
    )

    assert attest(settings, MOMENT, pytest.fail).read == 0, "nothing new: neither attested nor published again"


@pytest.mark.req("AUD-16")
def test_failing_since_goes_back_to_the_first_failing_run(settings: Settings) -> None:
    sample.make_release(settings.warehouse, "r1", faults=False)
    clean, rules = run(settings)
    assert clean["failing"] == [] and all(r["success"] and r["since"] is None for r in rules.values())
    sample.make_release(settings.warehouse, "r2")
    first, _ = run(settings)
    sample.make_release(settings.warehouse, "r3")
    second, rules = run(settings)
    assert len({clean["run_key"], first["run_key"], second["run_key"]}) == 3
    assert rules["DOSE_RANGE"]["since"]["run_id"] == first["run_key"]
    front = (settings.reports / "index.html").read_text(encoding="utf-8")
    assert all(f"runs/{a['run_key']}/index.html" in front for a in (clean, first, second)), "earlier runs are still there"


@pytest.mark.req("IF-02")
def test_broken_integrity_blocks_publishing_and_is_tried_again(settings: Settings) -> None:
    sample.make_release(settings.warehouse, "good")
    run(settings)
    sample.make_release(settings.warehouse, "bad", broken_key=True)
    for _ in range(2):
        answer, rules = run(settings)
        assert not answer["integrity"] and not answer["published"] and current(settings) == "good"
        assert "EXAMINATION_KEY" in answer["broken"] and rules["EXAMINATION_KEY"]["failing"] == 2
    front = (settings.reports / "index.html").read_text(encoding="utf-8")
    assert "Not published" in front and front.count(f"<code>{answer['run_key']}</code>") == 1


@pytest.mark.req("DC-15")
def test_a_message_that_the_marts_do_not_account_for_blocks(settings: Settings) -> None:
    path = sample.make_release(settings.warehouse, "r1")
    sample.change(path, "delete from marts.fct_intake_outcome where event_id = 'o3'")
    answer, rules = run(settings)
    assert answer["broken"] == ["INTAKE_ACCOUNTED"] and not answer["published"]
    (row,) = rules["INTAKE_ACCOUNTED"]["rows"]
    assert (row["source_count"], row["stored"], row["duplicate"], row["quarantined"]) == (6, 3, 1, 1)


@pytest.mark.req("DC-11", "BIZ-08")
def test_what_is_wrong_with_our_own_tables_is_caught(settings: Settings) -> None:
    path = sample.make_release(settings.warehouse, "r1", faults=True)
    for statement in (
        "drop table marts.mart_administered_activity",
        "update marts.fct_phantom_test set limit_version = null where device_id = 'GC1' and detector = '1'",
        "update marts.fct_phantom_test set status = 'not_measured' where device_id = 'SPCT1' and detector = '1'",
        "update marts.fct_examination set patient_pseudonym = 'ZHANG^SAN' where accession_number = 'ACC003'",
        "alter table marts.fct_examination add column patient_name varchar",
        "update marts.fct_finding set rule_id = 'NOBODY' where rank = 1",
    ):
        sample.change(path, statement)
    answer, rules = run(settings)
    lost = {"ACTIVITY_KEY", "ACTIVITY_SITE_ID_SET", "ACTIVITY_VERDICT_KNOWN"}
    caught = {"PHANTOM_TEST_JUDGEMENT", "EXAMINATION_PSEUDONYM", "NO_IDENTITY", "FINDING_RULE"}
    assert set(answer["broken"]) == lost | caught and not answer["published"]
    assert {r: rules[r]["failing"] for r in caught} == {"PHANTOM_TEST_JUDGEMENT": 2} | dict.fromkeys(
        caught - {"PHANTOM_TEST_JUDGEMENT"}, 1
    )
    assert not rules["DOSE_RANGE"]["success"] and "could not be read" in rules["DOSE_RANGE"]["error"], "never a silent pass"


def test_an_expectation_that_raises_is_an_error_of_its_own(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from expectations import run as job
    from expectations import suites

    meta = dict.fromkeys(suites.META, "x") | {"severity": "integrity", "rule": "RAISES"}
    wrong = {"type": "expect_column_values_to_be_null", "kwargs": {"column": "not there"}, "meta": meta}
    suite = suites.Suite("marts_x", "marts", "x", "x", "select 1 as a", ("a",), "", (wrong,))
    monkeypatch.setattr(job, "read_suites", lambda layers: ([suite], "0" * 64))
    sample.make_release(settings.warehouse, "r1")
    answer, rules = run(settings)
    assert answer["broken"] == ["RAISES"] and "does not exist" in rules["RAISES"]["error"]


def test_a_rule_out_of_force_is_not_attested_under_a_version_that_does_not_exist(settings: Settings) -> None:
    path = sample.make_release(settings.warehouse, "r1", faults=False)
    sample.change(path, "update marts.dim_rule set version = '7', clause = 'new clause' where rule_id = 'DOSE_RANGE'")
    sample.change(path, "update marts.dim_rule set valid_until = '2026-01-01' where rule_id = 'STEP_ORDER'")
    answer, rules = run(settings)
    assert (rules["DOSE_RANGE"]["rule_version"], rules["DOSE_RANGE"]["clause"]) == ("7", "new clause")
    assert answer["failing"] == ["STEP_ORDER"] and "not in force" in rules["STEP_ORDER"]["error"] and answer["published"]


def test_before_the_first_release_there_is_nothing_to_attest(settings: Settings) -> None:
    answer = attest(settings, MOMENT, pytest.fail).to_json()
    assert (answer["job"], answer["read"], answer["written"]) == ("attest_quality", 0, 0)


def test_a_population_that_is_not_read_whole_is_judged_the_same(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for three rows only: every rule finds what it finds with all rows, where not more than that fail."""
    from expectations import population

    sample.make_release(settings.warehouse, "r1")
    _, whole = run(settings)
    other = load(home=tmp_path / "other")
    sample.make_release(other.warehouse, "r1")
    monkeypatch.setattr(population, "LARGEST", 3)
    read = []
    monkeypatch.setattr(
        population, "_numbered", lambda frame, number=population._numbered: read.append(len(frame)) or number(frame)
    )
    _, part = run(other)
    assert whole.keys() == part.keys() and max(read) <= 3 and sum(r["population"] > 3 for r in part.values()) > 10
    for name, rule in whole.items():
        if rule["failing"] <= 3:
            same = ("success", "population", "failing", "error")
            assert [part[name][k] for k in same] == [rule[k] for k in same], name
            assert part[name]["groups"] == rule["groups"], name

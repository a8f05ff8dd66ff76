"""`photopeak release`: one verb builds, attests and publishes, and says what changed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sample_warehouse as sample

from connectors.account import Account
from connectors.settings import Settings, load
from photopeak import jobs
from photopeak.release import compare, release, table


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "a home")


def change(path: Path, *statements: str) -> Path:
    with duckdb.connect(str(path)) as db:
        for statement in statements:
            db.execute(statement)
    return path


def test_findings_verdicts_and_rows_that_changed_are_named(settings: Settings) -> None:
    before = sample.make_release(settings.warehouse, "r1")
    after = sample.make_release(settings.warehouse, "r2", as_of=sample.AS_OF)
    same = compare(before, after)
    assert same == {"rows": {}, "verdicts": [], "findings": {"new": [], "gone": []}}, (
        "a release's own name and time change nothing"
    )
    change(
        after,
        "UPDATE marts.fct_phantom_test SET verdict = 'warn' WHERE verdict = 'fail'",
        "DELETE FROM marts.mart_device_day WHERE device_id = 'GC1'",
        "UPDATE marts.fct_finding SET finding_id = 'another', subject_id = 'X9' WHERE rule_id = 'DOSE_RANGE'",
        "CREATE TABLE marts.mart_new AS SELECT 'MAIN' AS site_id",
    )
    found = compare(before, after)
    assert {"mart": "fct_phantom_test", "from": "fail", "to": "warn", "rows": 1} in found["verdicts"]
    gone = [v for v in found["verdicts"] if v["mart"] == "mart_device_day"]
    assert gone and {v["to"] for v in gone} == {None}
    assert [f["subject_id"] for f in found["findings"]["new"]] == ["X9"] and len(found["findings"]["gone"]) == 1
    assert found["rows"]["fct_phantom_test"]["new"] == found["rows"]["fct_phantom_test"]["gone"] == 1
    assert found["rows"]["mart_new"] == {"before": None, "after": 1, "new": 1, "gone": 0}
    assert "fct_examination" not in found["rows"]
    first = compare(None, before)
    assert (
        first["findings"]["gone"] == [] and len(first["findings"]["new"]) > 5 and first["rows"]["fct_finding"]["before"] is None
    )


@pytest.mark.parametrize("ended", ["published", "nothing new", "broken"])
def test_what_the_verb_says_and_how_it_ends(settings: Settings, monkeypatch: pytest.MonkeyPatch, ended: str) -> None:
    sample.make_release(settings.warehouse, "r1")
    sample.publish(settings.warehouse)
    asked = []

    def run(_settings: Settings, name: str, request: jobs.Request) -> Any:
        asked.append(name)
        more = {"published": ended == "published", "broken": ["PHANTOM_TEST_KEY"] if ended == "broken" else []}
        account = Account(name, end="2026-03-11T16:00:00Z", seconds=1.2, read=1, written=1, more=more)
        if name == "build_marts" and ended != "nothing new":
            sample.make_release(settings.warehouse, "r2", faults=False, as_of=sample.AS_OF + timedelta(days=1))
        if name == "attest_quality" and ended == "published":
            sample.publish(settings.warehouse)
        codes = {"published": 0, "nothing new": jobs.NOTHING_NEW, "broken": int(name == "attest_quality")}
        return account, codes[ended]

    monkeypatch.setattr(jobs, "run", run)
    found, code = release(settings)
    assert asked == ["build_marts", "attest_quality"] and code == (ended == "broken")
    text = table(found)
    if ended == "published":
        assert (
            (found["release"], found["previous"]) == ("r2", "r1") and found["findings"]["gone"] and not found["findings"]["new"]
        )
        assert "r2" in text and "DOSE_RANGE" in text and "fct_phantom_test" in text and "fail → pass" in text
    elif ended == "nothing new":
        assert "nothing has changed" in text and found["published"]
    else:
        assert (
            not found["published"]
            and "PHANTOM_TEST_KEY" in text
            and "previous release stays" in text
            and found["release"] == "r1"
        )

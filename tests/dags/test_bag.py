"""The bag of DAGs: not empty first, then policy."""

import csv
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.timetables.assets import AssetOrTimeSchedule  # noqa: F401 - the timetable that the schedules become
from photopeak_airflow import schedules
from photopeak_airflow.assets import HOSPITAL_EVENTS, REPORTS

ROOT = Path(__file__).resolve().parents[2]
IDS = {
    "ingest_pacs", "ingest_his", "ingest_sensors", "analyse_phantoms", "analyse_images", "build_marts", "attest_quality", "confirm_devices",
}  # fmt: skip
CLOCK_ALONE = {"confirm_devices"}  # what only the clock tells; the jobs that bring anything else do its work at once


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(ROOT / "dags"))


def test_bag_holds_exactly_the_eight(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert set(bag.dags) == IDS


def test_one_dag_a_file_named_like_it(bag: DagBag) -> None:
    assert {i: Path(d.fileloc).stem for i, d in bag.dags.items()} == {i: i for i in IDS}


@pytest.mark.parametrize("name", sorted(IDS))
def test_policy(bag: DagBag, name: str) -> None:
    dag = bag.dags[name]
    assert dag.tags and set(dag.tags) <= schedules.TAGS
    assert dag.max_active_runs == 1 and dag.catchup is False
    assert dag.doc_md and dag.doc_md.startswith("## Triage")
    for heading in ("## Purpose", "## Back-fill", "## Who is harmed when it is late"):
        assert heading in dag.doc_md
    assert any("\u4e00" <= c <= "\u9fff" for c in dag.doc_md), "a line in Chinese"
    assert [t.job for t in dag.tasks] == [name], "one job of the same name"
    for task in dag.tasks:
        assert task.owner in schedules.OWNERS and task.retries >= 1 and task.execution_timeout is not None


@pytest.mark.parametrize("name", sorted(IDS - CLOCK_ALONE))
def test_woken_by_an_asset_and_tried_again_by_the_clock(bag: DagBag, name: str) -> None:
    timetable = bag.dags[name].timetable
    assert type(timetable).__name__ == "AssetOrTimeSchedule"
    assert timetable.asset_condition and timetable.timetable.expression


def test_assets_lead_from_the_journals_to_the_attestation(bag: DagBag) -> None:
    def woken(name: str) -> set[str]:
        condition = bag.dags[name].timetable.asset_condition
        return {a.uri for a in getattr(condition, "objects", [condition])}

    wakes = {n: {a.uri for t in d.tasks for a in t.outlets if hasattr(a, "uri")} for n, d in bag.dags.items()}
    for name in ("ingest_pacs", "ingest_his", "ingest_sensors"):
        assert woken(name) == {f"photopeak://journal/{name}"}
    assert woken("analyse_images") == wakes["ingest_pacs"]
    assert woken("analyse_phantoms") == wakes["ingest_pacs"] | {REPORTS.uri}
    (task,) = bag.dags["ingest_his"].tasks
    assert [o.name for o in task.outlets] == [HOSPITAL_EVENTS.name, f"{REPORTS.name}-if-any"]
    assert woken("build_marts") == set().union(*(wakes[n] for n in IDS - {"ingest_pacs", "build_marts", "attest_quality"}))
    assert woken("attest_quality") == wakes["build_marts"]


def test_warehouse_is_built_and_attested_one_at_a_time(bag: DagBag) -> None:
    assert {bag.dags[n].tasks[0].pool for n in ("build_marts", "attest_quality")} == {"warehouse"}


def test_dags_name_no_sql_and_import_only_airflow_and_plugins() -> None:
    import ast

    for path in (ROOT / "dags").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.module and node.module.split(".")[0] in ("airflow", "photopeak_airflow"), path
            assert not isinstance(node, ast.Import), path


def test_plugins_import_airflow_and_the_standard_library_only() -> None:
    import ast
    import sys

    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert name.split(".")[0] in {"airflow", "photopeak_airflow", *sys.stdlib_module_names}, f"{path}: {name}"


@pytest.mark.req("ENG-01")
def test_what_computes_takes_turns_and_nothing_runs_for_ever(bag: DagBag) -> None:
    from photopeak_airflow.bootstrap import POOLS

    pools = {n: d.tasks[0].pool for n, d in bag.dags.items()}
    assert {n for n, pool in pools.items() if pool == "spark"} == {"analyse_phantoms", "analyse_images"}
    assert {POOLS[p][0] for p in pools.values() if p in POOLS} == {1}
    assert all(t.execution_timeout <= timedelta(hours=1) for d in bag.dags.values() for t in d.tasks)


@pytest.mark.req("ANA-01")
def test_the_register_of_components_says_what_starts_each_job_and_who_owns_it(bag: DagBag) -> None:
    with (ROOT / "dbt_project" / "seeds" / "analysis_components.csv").open(encoding="utf-8", newline="") as f:
        rows = {r["component"]: r for r in csv.DictReader(f) if r["kind"] == "job"}
    assert set(rows) == IDS
    for name, dag in bag.dags.items():
        if name not in CLOCK_ALONE:
            condition = dag.timetable.asset_condition
            events = sorted(a.uri for a in getattr(condition, "objects", [condition]))
            assert rows[name]["started_by"] == f"event {' '.join(events)}; schedule {dag.timetable.timetable.expression}"
        else:  # only the clock wakes it
            assert rows[name]["started_by"] == f"schedule {dag.timetable.expression}"
        assert rows[name]["owner"] == dag.tasks[0].owner

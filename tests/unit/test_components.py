"""Every procedure and job is a component with an owner; one that is switched off says so and nothing else stops."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from qc_images import dicom, lit, tube
from test_qc_measure_series import FIELD, flood, slices

from connectors.settings import Settings, load
from judgement import reference
from judgement import switches as register
from judgement.rows import Component
from photopeak import jobs, runs
from photopeak.components import components, table
from spark_jobs.jobs.analyse import run_key
from spark_jobs.measure import measure_series
from spark_jobs.procedures import MODULES, PROCEDURES

HEAD = "component,site_id,valid_from,valid_until,approver,reason\n"


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that writes the switches of this test."""
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "analysis_components.csv").write_bytes((reference.SEEDS / "analysis_components.csv").read_bytes())
    monkeypatch.setattr(reference, "SEEDS", tmp_path / "seeds")

    def write(*rows: str) -> None:
        (tmp_path / "seeds" / "component_switches.csv").write_text(HEAD + "".join(f"{r}\n" for r in rows), encoding="utf-8")

    write()
    return write


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home", as_of_utc="2026-03-10T15:00:00Z")


@pytest.mark.req("ANA-01")
def test_the_register_holds_every_procedure_and_job_with_owner_start_and_output() -> None:
    rows = reference.read(Component)
    assert {c.component for c in rows if c.kind == "procedure"} == set(MODULES)
    assert {c.component for c in rows if c.kind == "job"} == set(jobs.JOBS)
    assert len(rows) == len({c.component for c in rows}) and all(all(vars(c).values()) for c in rows)
    for c in rows:
        if c.component in PROCEDURES:
            job = "analyse_images" if PROCEDURES[c.component].analysis == "clinical" else "analyse_phantoms"
            assert c.started_by == f"job {job}" and c.input.removeprefix("series: ") == PROCEDURES[c.component].look
    assert reference.switches() == (), "the product comes with everything on"


@pytest.mark.req("ANA-01")
def test_a_switched_off_procedure_does_not_run_and_the_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    off = {"planar_uniformity": "planar_uniformity is switched off by P01 since 2026-03-10: bad phantom"}
    image, phantom = [dicom(flood(), DetectorInformationSequence=FIELD)], slices()
    (measured,) = [r for r in measure_series(image) if r.procedure == "planar_uniformity"]
    assert measured.status == "measured"
    with monkeypatch.context() as patched:
        patched.setitem(PROCEDURES, "planar_uniformity", _must_not_run())
        (result,) = measure_series(image, "phantom", off=off)
    assert (result.procedure, result.status, result.reason) == ("planar_uniformity", "not_measured", off["planar_uniformity"])
    assert result.measures == () and result.method_version == measured.method_version
    assert measure_series(phantom, "phantom", off=off) == measure_series(phantom, "phantom")
    # what comes along with another procedure is switched off by itself, and not with it
    dead = [
        dicom(np.random.default_rng(0).poisson(tube(2.4, 256, 0, 0, 0.0) * lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 2_000))
    ]
    beside = measure_series(dead, "phantom", off={"artefacts": "off"})
    assert [(r.procedure, r.status) for r in beside] == [("planar_uniformity", "measured"), ("artefacts", "not_measured")]


def _must_not_run():
    from dataclasses import replace

    def run(_series: object) -> list:
        raise AssertionError("a switched-off procedure ran")

    return replace(PROCEDURES["planar_uniformity"], run=run)


@pytest.mark.req("ANA-01")
def test_a_document_of_a_switched_off_procedure_says_so() -> None:
    sheet = json.dumps({"procedure": "activimeter", "device_serial": "A1", "date": "2026-03-10"}).encode()
    (result,) = measure_series([sheet], "phantom", off={"activimeter": "off"})
    assert (result.procedure, result.status, result.reason) == ("activimeter", "not_measured", "off")


@pytest.mark.parametrize(
    ("day", "site", "names"),
    [
        ("2026-03-09", "MAIN", set()), ("2026-03-10", "MAIN", {"ct_water"}), ("2026-03-12", "MAIN", {"ct_water", "catphan"}),
        ("2026-03-13", "MAIN", {"catphan"}), ("2026-03-12", "EAST", {"catphan"}),
    ],
)  # fmt: skip
def test_switches_hold_from_day_to_day_at_their_site(switch, day: str, site: str, names: set[str]) -> None:
    switch("ct_water,MAIN,2026-03-10,2026-03-12,P01,leaks", "catphan,,2026-03-11,,P01,lent out", "build_marts,,2026-01-01,,P01,x")
    off = register.switched_off(reference.switches(), reference.read(Component), site, day)
    assert set(register.reasons(off)) == names
    assert bool(register.said_of(off)) == bool(names)


@pytest.mark.parametrize(
    "row",
    ["ct_watre,,2026-03-10,,P01,x", "ct_water,,10.3.2026,,P01,x", "ct_water,,2026-03-10,soon,P01,x", "ct_water,,2026-03-10,,,x",
     "ct_water,,2026-03-10,,P01,", ",,2026-03-10,,P01,x"],
)  # fmt: skip
def test_an_unclear_switch_stops_the_job_instead_of_being_guessed(switch, settings: Settings, row: str) -> None:
    switch(row)
    with pytest.raises(reference.BadReference, match="line 2"):
        jobs.run(settings, "ingest_pacs", jobs.Request())


def test_the_run_key_changes_with_what_is_off_and_only_then() -> None:
    assert run_key("phantom", ["a"]) == run_key("phantom", ["a"], switched_off=None)
    assert len({run_key("phantom", ["a"], switched_off=off) for off in (None, "x is off", "y is off")}) == 3


@pytest.mark.req("ANA-01", "ENG-01")
def test_a_switched_off_job_does_nothing_and_the_others_run(switch, settings: Settings) -> None:
    switch("ingest_pacs,MAIN,2026-03-10,,data team,scanner upgrade")
    account, code = jobs.run(settings, "ingest_pacs", jobs.Request())
    said = "ingest_pacs is switched off by data team since 2026-03-10: scanner upgrade"
    assert (code, account.more["switched_off"], account.written) == (99, said, 0)
    assert "switched_off" not in jobs.run(settings, "ingest_his", jobs.Request())[0].more
    rows = {r["component"]: r for r in components(settings)}
    assert (rows["ingest_pacs"]["state"], rows["ingest_pacs"]["reason"]) == ("off", said)
    assert (
        rows["ingest_pacs"]["last_outcome"] == "did nothing, switched off" and rows["ingest_his"]["last_outcome"] == "nothing new"
    )
    assert rows["ct_water"]["version"] == MODULES["ct_water"].VERSION and rows["ct_water"]["state"] == "on"
    assert said in table(list(rows.values()))
    switch()  # takes effect without a restart of anything
    assert "switched_off" not in jobs.run(settings, "ingest_pacs", jobs.Request())[0].more


def test_rebuild_drops_nothing_while_a_job_is_off(switch, settings: Settings) -> None:
    from photopeak.rebuild import rebuild

    switch("analyse_phantoms,,2026-03-10,,P01,x")
    with pytest.raises(RuntimeError, match="nothing was dropped"):
        rebuild(settings)


@pytest.mark.req("ENG-01")
def test_every_run_leaves_its_line_also_when_it_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_settings: object, _request: object) -> dict:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(jobs.JOBS, "build_marts", broken)
    with pytest.raises(OSError):
        jobs.run(settings, "build_marts", jobs.Request())
    jobs.run(settings, "ingest_his", jobs.Request())
    with pytest.raises(jobs.JobUsage):
        jobs.run(settings, "ingest_his", jobs.Request(start="yesterday"))
    lines = [json.loads(x) for x in (settings.home / "log" / "jobs.jsonl").read_text().splitlines()]
    assert [(x["job"], x["exit"]) for x in lines] == [("build_marts", 1), ("ingest_his", 99), ("ingest_his", 2)]
    assert "No space left" in lines[0]["reason"]
    last = runs.last_runs(settings)
    assert last["ingest_his"]["exit"] == 99, "a request that began nothing is no run"
    rows = {r["component"]: r for r in components(settings)}
    assert rows["build_marts"]["last_outcome"].startswith("failed: OSError")


def test_the_last_run_of_a_procedure_is_the_newest_series_of_the_published_release(settings: Settings) -> None:
    release = settings.warehouse / "releases" / "1"
    release.mkdir(parents=True)
    with duckdb.connect(str(release / "qc.duckdb")) as db:
        db.execute("CREATE SCHEMA intermediate")
        db.execute(
            "CREATE TABLE intermediate.int_measure__judged AS SELECT 'ct_water' AS procedure, s AS status, t AS series_recorded_at_utc, "
            "c AS is_current FROM (VALUES ('measured', TIMESTAMP '2026-03-08 01:00:00', true), ('not_measured', TIMESTAMP '2026-03-09 01:00:00', "
            "true), ('measured', TIMESTAMP '2026-03-10 01:00:00', false)) AS v(s, t, c)"
        )
    (settings.warehouse / "current").symlink_to(release)
    rows = {r["component"]: r for r in components(settings)}
    assert (rows["ct_water"]["last_run_utc"], rows["ct_water"]["last_outcome"]) == ("2026-03-09T01:00:00Z", "not_measured")
    assert rows["catphan"]["last_run_utc"] is None and "2026-03-09T01:00:00Z not_measured" in table(list(rows.values())).replace(
        "     ", ""
    )

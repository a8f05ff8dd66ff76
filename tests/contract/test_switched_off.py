"""A procedure that is switched off, from the reference data to the register and the due list, and on again: with the job and dbt as they are."""

import hashlib
import shutil
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from lake_fixture import AS_OF, DAY, LakeWriter, at
from unit.qc_images import dicom, item, lit, water
from unit.test_analyse_job import Spark

from connectors.settings import Settings, load
from judgement import reference
from judgement.rows import Switch
from spark_jobs.jobs import analyse
from warehouse.releases import PROJECT, build_marts

SAID = "CT water phantom is switched off by P01 since 2026-03-10: the phantom leaks"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Path]:
    """Return an installation with a flood of GC1 and water of SPCT1 on two days, and its copy of the dbt project."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project)
    monkeypatch.setattr(reference, "SEEDS", project / "seeds")
    monkeypatch.setattr(analyse, "session", lambda _settings: Spark)
    settings = load(home=tmp_path / "var")
    w = LakeWriter()
    flood = np.random.default_rng(0).poisson(lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 2_000)
    field = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]
    for back in (1, 0):
        day = DAY - timedelta(days=back)
        images = {
            "GC1": [dicom(flood + back, DetectorInformationSequence=field)],
            "SPCT1": [
                dicom(np.rint(water(1.0 + back, 5, seed=k) + 1024), modality="CT", kind="AXIAL", pixel_mm=1.0, RescaleSlope="1",
                      RescaleIntercept="-1024", ImagePositionPatient=["0", "0", str(-5 * k)],
                      ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
                for k in range(5)
            ],
        }  # fmt: skip
        for device, files in images.items():
            instances = []
            for n, data in enumerate(files):
                name = f"{device}/{back}.{n}"
                (settings.objects / "clear" / device).mkdir(parents=True, exist_ok=True)
                (settings.objects / "clear" / name).write_bytes(data)
                instances.append(
                    {"sop_instance_uid": f"{back}.{n}", "object_key": name, "sha256": hashlib.sha256(data).hexdigest()}
                )
            w.series(f"{device}.{back}", device, at("07:00", day), instances=instances)
    w.write(settings.lake)
    return settings, project


def switch(project: Path, *rows: str) -> None:
    (project / "seeds" / "component_switches.csv").write_text("\n".join([",".join(f.name for f in fields(Switch)), *rows]) + "\n")


def register(settings: Settings, project: Path) -> dict[str, tuple]:
    """Measure what waits, build the marts, and return of each series what the register shows: statuses, reasons, verdicts."""
    analyse.run(settings, "phantom")
    build_marts(settings, AS_OF, project)
    with duckdb.connect(str(settings.warehouse / "candidate" / "qc.duckdb"), read_only=True) as db:
        rows = db.execute(
            "SELECT series_uid, list(DISTINCT procedure), list(DISTINCT status), list(DISTINCT reason) FILTER (reason IS NOT NULL), "
            "list(DISTINCT verdict ORDER BY verdict) FROM marts.fct_phantom_test WHERE is_current AND procedure <> 'artefacts' GROUP BY 1"
        ).fetchall()
        findings = db.execute("SELECT subject_id FROM marts.fct_finding WHERE reason LIKE '%switched off%'").fetchall()
        due = db.execute(
            "SELECT state, reason FROM marts.mart_phantom_due WHERE device_id = 'SPCT1' AND procedure = 'ct_water'"
        ).fetchone()
        state = db.execute(
            f"SELECT state, reason FROM marts.mart_device_day WHERE device_id = 'SPCT1' AND day = '{DAY}'"
        ).fetchone()
    return {**{r[0]: r[1:] for r in rows}, "findings": [f for (f,) in findings], "due": due, "day": state}


@pytest.mark.timeout(900)
@pytest.mark.req("ANA-01")
def test_one_off_the_others_on_and_on_again(house: tuple[Settings, Path]) -> None:
    settings, project = house
    others = "catphan,,2026-03-02,2026-03-10,Ü. 王,“quoted”; with a semicolon", "ingest_pacs,,2020-01-01,,B,a job"
    switch(project, "ct_water,MAIN,2026-03-10,,P01,the phantom leaks", *others)
    off = register(settings, project)
    assert off["SPCT1.0"] == (["ct_water"], ["not_measured"], [SAID], ["none"])
    assert {k: off[k][:2] for k in ("GC1.0", "GC1.1")} == dict.fromkeys(("GC1.0", "GC1.1"), (["planar_uniformity"], ["measured"]))
    assert off["SPCT1.1"][:2] == (["ct_water"], ["measured"]), "acquired before it was switched off"
    assert off["findings"] == ["SPCT1.0"], "a finding of the register, PHANTOM_NOT_MEASURED"
    assert SAID in off["due"][1] and off["due"][0] == "due"
    assert off["day"][0] == "not_confirmed" and SAID in off["day"][1], "a device is never fit by a test that was not made"
    assert analyse.run(settings, "phantom").read == 0, "what is off does not wait for ever"
    # the run that agrees with the switches is current because both sides know a switch by the same text
    with duckdb.connect(str(settings.warehouse / "candidate" / "qc.duckdb"), read_only=True) as db:
        (said,) = (
            db.execute(
                "SELECT string_agg(DISTINCT sentence, '; ' ORDER BY sentence) FROM intermediate.int_component__switch"
            ).fetchone()
            or ()
        )
        kept = db.execute(
            "SELECT DISTINCT switched_off FROM staging.stg_analysis__measure WHERE series_uid = 'SPCT1.0'"
        ).fetchall()
    assert kept == [(said,)] and "“quoted”; with" in said

    switch(project, "ct_water,MAIN,2026-03-10,2026-03-10,P01,the phantom leaks", *others)  # on again from the next day on
    again = register(settings, project)
    assert {k: again[k] for k in ("SPCT1.0", "SPCT1.1", "GC1.0")} == {k: off[k] for k in ("SPCT1.0", "SPCT1.1", "GC1.0")}, (
        "what was in force"
    )

    switch(project, *others)  # it was an error: the row is taken away
    on = register(settings, project)
    assert on["SPCT1.0"][:2] == (["ct_water"], ["measured"]) and on["findings"] == []
    assert on["GC1.0"] == off["GC1.0"] and on["due"] == ("ok", None)

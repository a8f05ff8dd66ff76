"""Joins in the marts: a lake in which numbers, patients and devices contradict each other, and the exact links that a release makes of it."""

from datetime import timedelta

import duckdb
import pytest
from lake_fixture import AS_OF, LakeWriter, at

from connectors.settings import load
from warehouse.releases import build_marts


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory):
    """Return a question to the release of that lake."""
    settings, w = load(home=tmp_path_factory.mktemp("links")), LakeWriter()
    order = {
        "message_type": "ORM^O01",
        "trigger": "O01",
        "order_control": "NW",
        "exam_name": None,
        "indication": None,
        "prescribed_activity_mbq": None,
    }

    def ordered(number: str, person: str, exam: str = "BONE", placer: str = "", **more: object) -> None:
        about = {
            "accession_number": number,
            "patient_pseudonym": person,
            "exam_code": exam,
            "placer": placer or f"P{number}",
            "scheduled_at_utc": None,
        }
        w.event("his.order", at("06:00"), {**order, "indication": None, "prescribed_activity_mbq": None, **about, **more})

    ordered("A1", "anna")
    ordered("A2", "bruno")
    ordered("A3", "cora", placer="P3A"), ordered("A3", "cora", "THYROID", placer="P3B")  # two procedures under one number
    ordered("A4", "dora", placer="P4A"), ordered("A4", "emil", placer="P4B")  # one number, two patients
    person = {"patient_number": "anna", "patient_issuer": "", "is_joined": True}
    w.event(
        "his.patient",
        at("06:30"),
        {"trigger": "A40", "patient_pseudonym": "em1", "merges": [person], "sex": "F", "birth_year": 1960},
    )
    for uid, number, who, more in (
        ("own", " a1", "anna", {}), ("merged", "A1", "em1", {}), ("swapped", "A1", "bruno", {}), ("both", "A3", "cora", {}),
        ("whose", "A4", None, {}), ("nobody", "ZZ", "zoe", {}), ("replaced", "A2", "bruno", {"device_serial": "SN-NEW"}),
        ("padded", "A2", "bruno", {"device_serial": "0000"}),
    ):  # fmt: skip
        w.series(uid, "GC1", at("09:00"), phantom=False, accession=number, patient_pseudonym=who, **more)
    hold = {"accession_number": "A3", "action": "held", "reason": "x", "policy_id": "P", "policy_version": 1, "approver": "x"}
    w.event("examination.hold", at("08:00"), hold)
    w.event(
        "device.check",
        at("07:00"),
        {"device_id": "gc 1", "check": "touch", "performed_at_utc": at("07:00").isoformat(), "result": "fail"},
    )
    w.step("A4", "injection", at("08:30")), w.step("a1", "injection", at("08:00"), recorded=at("08:00") + timedelta(minutes=9))
    w.write(settings.lake)
    build_marts(settings, AS_OF)
    file = settings.warehouse / "candidate" / "qc.duckdb"

    def ask(sql: str) -> list[tuple]:
        with duckdb.connect(str(file), read_only=True) as db:
            return db.execute(sql).fetchall()

    return ask


@pytest.mark.req("SYS-23")
def test_each_input_is_joined_by_its_evidence_or_told(rows) -> None:
    links = rows(
        "SELECT s.series_uid, l.state, l.accession_number, l.rule FROM intermediate.int_record_link AS l "
        "JOIN staging.stg_dicom__series AS s ON l.record_id = s.record_id ORDER BY 1, 3"
    )
    assert links == [
        ("both", "joined", "A3", "number_and_person"), ("both", "joined", "A3~2", "number_and_person"),
        ("merged", "joined", "A1", "number_and_person"), ("nobody", "orphan", None, None), ("own", "joined", "A1", "number_and_person"),
        ("padded", "joined", "A2", "number_and_person"), ("replaced", "joined", "A2", "number_and_person"),
        ("swapped", "contradicted", None, None), ("whose", "ambiguous", None, None),
    ]  # fmt: skip
    found = rows(
        "SELECT rule_id, subject_id FROM marts.fct_finding WHERE rule_id LIKE 'LINK%' OR rule_id = 'DEVICE_IDENTITY' ORDER BY 1, 2"
    )
    step = rows("SELECT record_id FROM staging.stg_door__step WHERE accession_number = 'A4'")[0][0]
    assert found == [
        ("DEVICE_IDENTITY", "GC1/SN-NEW"), ("LINK_CONTRADICTED", "swapped"), ("LINK_ORPHAN", "nobody"), ("LINK_UNCERTAIN", "A4"),
        ("LINK_UNCERTAIN", "A4~2"), ("LINK_UNCERTAIN", step), ("LINK_UNCERTAIN", "whose"),
    ]  # fmt: skip


def test_what_is_not_joined_counts_for_nobody(rows) -> None:
    assert rows("SELECT accession_number, exam_code, series_count FROM marts.fct_examination ORDER BY 1") == [
        ("A1", "BONE", 2), ("A2", "BONE", 2), ("A3", "BONE", 1), ("A3~2", "THYROID", 1), ("A4", "BONE", 0), ("A4~2", "BONE", 0),
    ]  # fmt: skip
    devices = dict(rows("SELECT series_uid, device_id FROM intermediate.int_series__current"))
    assert (devices["replaced"], devices["padded"]) == ("UNREGISTERED", "GC1")
    assert rows("SELECT DISTINCT accession_number FROM marts.fct_examination_step WHERE state = 'done'") == [("A1",)]
    (state,) = rows("SELECT reason FROM marts.mart_device_day WHERE device_id = 'GC1' ORDER BY day DESC LIMIT 1")
    assert "touch" in state[0], "a check of a device in another writing is one of it"

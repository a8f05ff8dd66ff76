"""Who is offered what: state and policy and override to a decision, each change told once, orders that are over."""

import io
import json
import shutil
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from connectors.dicom.worklist.answer import Worklist
from connectors.dicom.worklist.blocks import Blocks
from connectors.dicom.worklist.holds import Holds
from connectors.dicom.worklist.orders import Orders
from connectors.dicom.worklist.states import read_states
from connectors.events import Event, utc_text, validate
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.memory import MemoryJournal
from connectors.stores.journal.port import JournalError
from judgement.reference import SEEDS
from judgement.rows import Policy
from judgement.worklist import Override, State, decide

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 of the site's clock
DAY = "2026-03-02"
FIT, BAD, OPEN = State("fit", ""), State("not_fit", "ct_water failed"), State("not_confirmed", "ct_water is missing")
POLICIES = (
    Policy("NF", 1, None, None, "not_fit", "hold", "2000-01-01", None, "physicist"),
    Policy("NC", 1, None, None, "not_confirmed", "warn", "2000-01-01", None, "physicist"),
)
FIELDS = {
    "message_type": "ORM", "trigger": "O01", "patient_pseudonym": "PT-1", "exam_name": "骨显像", "indication": None, "placer": None,
    "prescribed_activity_mbq": None,
}  # fmt: skip


def override(minutes: float, ago: float = 5) -> Override:
    return Override("o1", "GC1", "P01", "emergency", NOW - timedelta(minutes=ago), NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "states, policies, over, action",
    [
        ({"GC1": FIT}, POLICIES, None, "offered"), ({"GC1": BAD}, POLICIES, None, "held"), ({"GC1": OPEN}, POLICIES, None, "warned"),
        # nobody knows: not confirmed
        ({}, POLICIES, None, "warned"), ("unreadable", POLICIES, None, "warned"),
        # no policy, or one that cannot be understood: held, unless all is well
        ({"GC1": BAD}, (), None, "held"), ("unreadable", (), None, "held"), ({"GC1": FIT}, (), None, "offered"),
        ({"GC1": OPEN}, (Policy("NC", 1, None, None, "not_confirmed", "wran", "2000-01-01", None, "p"),), None, "held"),
        # a device's own row goes before the site's, then the highest version
        ({"GC1": OPEN}, (*POLICIES, Policy("NC-GC1", 1, None, "GC1", "not_confirmed", "hold", "2000-01-01", None, "p")), None, "held"),
        ({"GC1": OPEN}, (*POLICIES, Policy("NC-P", 1, None, "PETCT1", "not_confirmed", "hold", "2000-01-01", None, "p")), None, "warned"),
        ({"GC1": BAD}, (*POLICIES, Policy("NF", 2, None, None, "not_fit", "warn", "2020-01-01", None, "p")), None, "warned"),
        # an override lifts a hold while it lasts
        ({"GC1": BAD}, POLICIES, override(1), "offered"), ({"GC1": BAD}, POLICIES, override(0), "held"),
        ({"GC1": BAD}, POLICIES, override(60, ago=-1), "held"),
    ],
)  # fmt: skip
def test_a_state_a_policy_and_an_override_make_a_decision(states: Any, policies: Any, over: Any, action: str) -> None:
    assert decide("GC1", states, policies, over, NOW).action == action


@pytest.mark.parametrize(
    "text, why",
    [
        (None, "no device state of today"), ("{", "cannot be read"), ("[]", "cannot be read"), ("{}", "cannot be read"),
        ('{"version": 1, "site_id": "MAIN", "day": "2026-03-01", "devices": {}}', "are of 2026-03-01"),
        ('{"version": 2, "site_id": "MAIN", "day": "2026-03-02", "devices": {}}', "another version"),
        ('{"version": 1, "site_id": "EAST", "day": "2026-03-02", "devices": {}}', "another version or site"),
        ('{"version": 1, "site_id": "MAIN", "day": "2026-03-02", "devices": {"GC1": {"state": "good", "reason": null, "tests": []}}}', "cannot"),
        ('{"version": 1, "site_id": "MAIN", "day": "2026-03-02", "devices": {"GC1": 3}}', "cannot be read"),
    ],
)  # fmt: skip
def test_states_that_are_old_or_broken_are_none(tmp_path: Path, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / "s.json").write_text(text)
    assert why in str(read_states(tmp_path / "s.json", "MAIN", DAY))


class House:
    """A node without its wire: what the hospital says goes in, what a station is offered comes out."""

    def __init__(self, home: Path) -> None:
        self.seeds, self.unsigned = home / "seeds", set[str]()
        self.medication: list[dict[str, str]] = []
        self.seeds.mkdir()
        for name in ("worklist_stations", "worklist_policies", "devices", "staff"):
            shutil.copy(SEEDS / f"{name}.csv", self.seeds)
        # what a release's moment is pinned to is nothing to a scanner
        self.settings, self.now = load(home=home, as_of_utc=NOW - timedelta(days=30)), NOW
        self.journal, self.hl7, self.door = MemoryJournal(), MemoryJournal(), MemoryJournal()
        keys = Keys.of(self.settings)
        self.vault = Vault.of(self.settings, keys)
        self.start()

    def start(self, limit: int = 500) -> None:
        self.holds = Holds(self.settings, self.journal, self.door, lambda: self.now, self.seeds)
        self.blocks = Blocks(self.settings, self, self.journal, lambda: self.now)  # type: ignore[arg-type]
        self.worklist = Worklist(self.settings, Orders(self.hl7, self.door), self.holds, self.blocks, self.vault, limit)

    def events(self, accession: str) -> list[Event]:
        """Stand in for `Examinations`: what the journals hold of an examination, its forms signed unless a test says otherwise."""
        form = {"form": "", "signed_at_utc": utc_text(NOW), "complete": True, "accession_number": accession, "staff_id": "N01"}
        signed = [
            Event("form.signed", "urn:t", f, "MAIN", accession, NOW, NOW, {**form, "form": f})
            for f in ("consent", "checklist", "pregnancy")
            if f not in self.unsigned
        ]
        if self.medication:
            data = {
                "accession_number": accession,
                "asked_at_utc": utc_text(NOW),
                "staff_id": "N01",
                "medication": self.medication,
            }
            signed.append(Event("examination.preparation", "urn:t", "p", "MAIN", accession, NOW, NOW, data))
        return [*(e for e in (*self.hl7.events, *self.door.events) if e.data.get("accession_number") == accession), *signed]

    of = events

    def states(self, day: str = DAY, **of: State) -> None:
        self.settings.worklist.mkdir(exist_ok=True)
        devices = {d: {"state": s.state, "reason": s.reason, "tests": list(s.tests)} for d, s in of.items()}
        draft = self.settings.worklist / "draft"
        draft.write_text(json.dumps({"version": 1, "site_id": "MAIN", "day": day, "devices": devices}))
        draft.replace(self.settings.worklist / "states.json")

    def order(
        self, number: str, code: str = "BONE", control: str = "NW", at: datetime = NOW, said: datetime = NOW, **more: Any
    ) -> None:
        data = {
            **FIELDS,
            "order_control": control,
            "accession_number": number,
            "exam_code": code,
            "scheduled_at_utc": utc_text(at),
            **more,
        }
        event = Event("his.order", "urn:his", f"m{self.hl7.head()}", "MAIN", number, said, NOW, data)
        validate(event)
        self.hl7.append([event])
        self.vault.remember(
            "PT-1", "hl7", {"patient_id": "H4711", "person_name": "Zhang^San=张^三", "birth_date": "19500102", "sex": "F"}
        )

    def tell(self, type_: str, at: datetime = NOW, **data: Any) -> None:
        event = Event(type_, "urn:photopeak:tablet", f"e{self.door.head()}", "MAIN", "x", at, NOW, data)
        validate(event)
        self.door.append([event])
        self.holds._seen = (
            None  # the node sees the door's journal by the times of its file, which an in-memory journal does not have
        )

    def ask(self, station: str, cancelled: bool = False, **keys: Any) -> tuple[list[int], list[Dataset]]:
        wanted = Dataset()
        for keyword in ("PatientName", "PatientID", "AccessionNumber"):
            setattr(wanted, keyword, "")
        wanted.ScheduledProcedureStepSequence = []
        for keyword, value in keys.items():
            setattr(wanted, keyword, value)
        answers = list(self.worklist.find(station, lambda: wanted, lambda: cancelled))
        return [s.Status if isinstance(s, Dataset) else s for s, _ in answers], [d for _, d in answers if d is not None]

    def offered(self, station: str) -> list[str]:
        return [d.AccessionNumber or d.PatientID for d in self.ask(station)[1]]

    def holds_told(self) -> list[tuple[str, str, str]]:
        return [(e.subject, e.data["action"], e.data["state"]) for e in self.journal.events if e.type == "device.hold"]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_an_order_is_offered_with_the_real_name_to_the_stations_that_do_it(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT, PETCT1=FIT)
    house.order("A1", weight_kg=61.5)
    house.order("F1", "FDG", at=NOW + timedelta(hours=1))
    house.order("S1", stations=["PETCT1"], study_uid="1.2.3", step_id="SPS7")
    (one,) = (d for d in house.ask("GC1")[1] if d.AccessionNumber == "A1")
    assert (str(one.PatientName), one.PatientID, one.SpecificCharacterSet) == ("Zhang^San=张^三", "H4711", "ISO_IR 192")
    step = one.ScheduledProcedureStepSequence[0]
    assert (step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == ("20260302", "090000")
    assert (list(step.ScheduledStationAETitle), step.Modality) == (["GC1", "SPCT1"], "NM")
    assert house.offered("SPCT1") == ["A1", "S1", "F1"]  # what is for others may be asked for; a key narrows it
    assert house.ask("PETCT1")[1][0].ScheduledProcedureStepSequence[0].Modality == "NM"
    (theirs,) = (d for d in house.ask("PETCT1")[1] if d.AccessionNumber == "S1")
    assert theirs.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID == "SPS7"


def test_an_examination_that_no_station_is_said_to_do_is_lost_to_none_of_them(house: House) -> None:
    house.states(GC1=FIT, SPCT1=BAD, PETCT1=FIT)
    house.order("X1", "STRANGE")
    assert house.offered("PETCT1") == ["X1"] and house.offered("GC1") == ["X1"] and house.offered("SPCT1") == []


def test_no_entry_holds_anything_of_another_patient(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    for n in (1, 2, 3, 4):
        house.order(f"A{n}", at=NOW + timedelta(minutes=n), patient_pseudonym=f"PT-{n}", weight_kg=50.0 + n if n != 2 else None)
    for n, born in enumerate(("19500102", None, "19710304", "18000101"), 1):
        who = {"patient_id": f"H{n}", "person_name": f"N{n}^X", "birth_date": born, "sex": "F" if born else None}
        house.vault.remember(f"PT-{n}", "hl7", who)
    wanted = dict.fromkeys(("PatientBirthDate", "PatientSex", "StudyInstanceUID"), "") | {"PatientWeight": None}
    for _ in range(2):
        found = house.ask("GC1", **wanted)[1]
        names = ("AccessionNumber", "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientWeight")
        assert [tuple("" if d[n].value is None else str(d[n].value) for n in names) for d in found] == [
            ("A1", "H1", "N1^X", "19500102", "F", "51"),
            ("A2", "H2", "N2^X", "", "", ""),
            ("A3", "H3", "N3^X", "19710304", "F", "53"),
            ("A4", "H4", "N4^X", "", "F", "54"),  # a placeholder is nobody's birth
        ]
        assert len({d.StudyInstanceUID for d in found}) == 4


@pytest.mark.parametrize("control", ["CA", "OC", "CR", "DC", "OD", "DR", "RP", "UA", "HD"])
def test_orders_that_are_over_are_not_offered(house: House, control: str) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1")
    house.order("A2")
    assert house.offered("GC1") == ["A1", "A2"]
    house.order("A1", control=control, said=NOW + timedelta(minutes=1))
    assert house.offered("GC1") == ["A2"]
    house.order("A2", control="SC", order_status="CM", said=NOW + timedelta(minutes=1))
    assert house.offered("GC1") == []
    house.order("A1", control="NW", said=NOW - timedelta(minutes=1))  # late: it says nothing new
    assert house.offered("GC1") == []


def test_what_was_acquired_is_done_and_what_nobody_did_for_a_week_is_old(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1")
    house.order("A2", at=NOW - timedelta(days=6))
    house.order("A3", at=NOW - timedelta(days=8))
    step = {
        "accession_number": "A1", "step": "acquisition", "occurrence": 1, "started_at_utc": utc_text(NOW), "ended_at_utc": utc_text(NOW),
        "staff_id": "T01", "device_id": "GC1", "room_id": None, "note": None,
    }  # fmt: skip
    house.tell("examination.step", **step, result="aborted")
    assert house.offered("GC1") == ["A2", "A1"]
    house.tell("examination.step", **step, result="done")
    assert house.offered("GC1") == ["A2"]


def test_a_held_device_is_offered_its_phantoms_alone_and_others_their_patients(house: House) -> None:
    due = {"procedure": "planar_uniformity", "code": "PP-UNI", "reason": "planar_uniformity failed"}
    house.states(GC1=State("not_fit", "planar_uniformity failed", (due,)), SPCT1=FIT)
    house.order("A1")
    status, (phantom,) = house.ask("GC1")
    assert status == [0xFF00] and (phantom.PatientID, str(phantom.PatientName)) == ("QC^SN-GC1", "QC^SN-GC1")
    step = phantom.ScheduledProcedureStepSequence[0]
    assert step.ScheduledProcedureStepDescription == "HELD: planar_uniformity failed"
    coded = step.ScheduledProtocolCodeSequence[0]
    assert (coded.CodeValue, coded.CodingSchemeDesignator) == ("PP-UNI", "99PHOTOPEAK")
    (there,) = house.ask("SPCT1")[1]
    assert there.ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "SPCT1"  # not GC1, which is held
    house.states(GC1=BAD, SPCT1=BAD, PETCT1=FIT)
    assert house.offered("PETCT1") == []  # nobody may have it fetched by another station
    house.states(GC1=FIT, SPCT1=FIT)
    assert house.offered("GC1") == ["A1"]


@pytest.mark.req("ANA-06")
def test_each_change_is_told_once_with_who_what_when_why_also_over_a_restart(house: House) -> None:
    house.states(GC1=BAD, SPCT1=FIT, PETCT1=FIT)
    house.order("A1")
    assert house.offered("GC1") == [] and house.offered("GC1") == []
    assert house.holds_told() == [("GC1", "held", "not_fit")]  # that others are offered is no change
    first = house.journal.events[0]
    validate(first)
    assert (first.data["reason"], first.data["policy_id"], first.data["policy_version"]) == ("ct_water failed", "HOLD-NOT-FIT", 1)
    assert first.data["approver"] and first.recorded_at == NOW
    house.start()
    assert house.offered("GC1") == [] and len(house.holds_told()) == 1
    word = {"device_id": "GC1", "staff_id": "P01", "reason": "one emergency", "until_utc": "2026-03-02T02:00:00Z"}
    house.tell("device.hold_override", **{**word, "staff_id": "NOBODY"})
    assert house.offered("GC1") == []
    house.tell("device.hold_override", **word)
    assert house.offered("GC1") == ["A1"]
    told = house.journal.events[-1].data
    assert (told["action"], told["state"], told["overridden_by"], told["override_reason"]) == (
        "offered",
        "not_fit",
        "P01",
        "one emergency",
    )
    house.now = NOW + timedelta(hours=1, seconds=1)
    house.start()
    assert house.offered("GC1") == [] and house.holds_told()[-1] == ("GC1", "held", "not_fit")
    house.states(GC1=FIT, SPCT1=FIT, PETCT1=FIT)
    assert house.offered("GC1") == ["A1"] and house.holds_told()[-1] == ("GC1", "offered", "fit")


def test_states_of_yesterday_confirm_nothing(house: House) -> None:
    (house.seeds / "worklist_policies.csv").write_text(
        "policy_id,version,site_id,device_id,state,action,valid_from,valid_until,approver\nNC,1,MAIN,,not_confirmed,hold,2000-01-01,,p\n"
    )
    house.order("A1")
    house.states("2026-03-01", GC1=FIT)
    assert house.offered("GC1") == [] and house.holds_told()[0] == ("GC1", "held", "not_confirmed")
    house.states(GC1=FIT)
    assert house.offered("GC1") == ["A1"]
    (house.settings.worklist / "states.json").write_bytes(b"\xff")
    assert house.offered("GC1") == []
    (house.settings.worklist / "states.json").unlink()
    assert house.offered("GC1") == []


def test_a_hold_begins_without_a_record_but_does_not_end_without_one(house: House) -> None:
    house.order("A1")
    house.states(GC1=FIT)
    assert house.offered("GC1") == ["A1"]
    house.journal.fail_with = "disk full"
    house.states(GC1=BAD)
    assert house.ask("GC1")[0] == [0xC001] and house.holds._now["GC1"].action == "held"
    house.states(GC1=FIT)
    assert house.ask("GC1")[0] == [0xC001] or house.offered("GC1") == ["A1"]
    house.journal.fail_with = None
    assert house.offered("GC1") == ["A1"]
    with pytest.raises(JournalError):
        house.journal.fail_with = "x"
        house.journal.append([])


def test_an_examination_that_is_blocked_is_not_offered_and_the_journal_says_why(house: House) -> None:
    def told() -> list[tuple[str, str, str | None]]:
        events = [e for e in house.journal.events if e.type == "examination.hold"]
        [validate(e) for e in events]
        return [(e.subject, e.data["action"], e.data["policy_id"]) for e in events]

    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1", "THYROID")
    house.order("A2", "THYROID")
    assert house.offered("GC1") == ["A1", "A2"] and told() == []
    house.medication = [{"atc": "H03AA", "last_taken_at_utc": utc_text(NOW - timedelta(days=3))}]
    assert house.offered("GC1") == [] and house.offered("SPCT1") == []
    assert told() == [(a, "held", "HOLD-BLOCKED") for a in ("A1", "A2")]
    assert "Thyroid hormones" in house.journal.events[-1].data["reason"]
    house.start()  # a restart tells nothing again
    assert house.offered("GC1") == [] and len(told()) == 2
    injected = {
        "accession_number": "A1", "step": "injection", "occurrence": 1, "started_at_utc": utc_text(NOW), "ended_at_utc": utc_text(NOW),
        "staff_id": "N01", "device_id": None, "room_id": None, "note": None, "result": "done",
    }  # fmt: skip
    house.tell("examination.step", **injected)
    assert house.offered("GC1") == ["A1"]  # what the injection needed keeps nobody from the scan
    house.medication = []
    assert house.offered("GC1") == ["A1", "A2"] and told()[2:] == [("A1", "offered", None), ("A2", "offered", None)]
    house.unsigned = {"consent"}  # it may still be signed: the policy that is delivered only warns
    assert house.offered("GC1") == ["A1", "A2"] and told()[4:] == [("A2", "warned", "HOLD-FORMS-MISSING")]
    text = (house.seeds / "worklist_policies.csv").read_text().replace("forms_missing,warn", "forms_missing,hold")
    (house.seeds / "worklist_policies.csv").write_text(text)
    assert house.offered("GC1") == ["A1"] and told()[5:] == [("A2", "held", "HOLD-FORMS-MISSING")]


def test_strangers_are_refused_and_counted_and_missing_reference_data_refuses_all(house: House) -> None:
    house.states(GC1=FIT)
    house.order("A1")
    assert [house.ask("NOBODY") for _ in range(3)] == [([0xC010], [])] * 3
    house.holds._show()
    assert json.loads((house.settings.worklist / "holds.json").read_text())["refused"] == {"NOBODY": 3}
    (house.seeds / "worklist_stations.csv").unlink()
    assert house.ask("GC1") == ([0xC001], [])


def test_statuses_of_a_limit_a_cancel_and_keys_that_cannot_be_used(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    for n in range(4):
        house.order(f"A{n}", at=NOW + timedelta(minutes=n))
    house.start(limit=3)
    assert house.ask("GC1")[0] == [0xFF00] * 3 + [0xA700]
    assert house.ask("GC1", cancelled=True) == ([0xFE00], [])
    assert house.ask("GC1", AccessionNumber="A1")[0] == [0xFF00]
    assert house.ask("GC1", AccessionNumber="A1", IssuerOfPatientID="")[0] == [0xFF01]
    assert house.ask("GC1", PatientBirthDate="19500102-19500101-1")[0] == [0xA900]

    def broken() -> Dataset:
        raise ValueError("bytes")

    assert [s.Status for s, _ in house.worklist.find("GC1", broken, lambda: False)] == [0xA900]


@pytest.mark.parametrize(
    "asked, used",
    [
        ("", "ISO_IR 192"), ("GB18030", "GB18030"), ("ISO_IR 100", "ISO_IR 192"), ("GBK", "GBK"), ("nonsense", "ISO_IR 192"),
        (["", "ISO 2022 IR 58"], ["", "ISO 2022 IR 58"]), (["ISO 2022 IR 6", "ISO 2022 IR 58"], ["ISO 2022 IR 6", "ISO 2022 IR 58"]),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_answer_is_in_the_requested_character_set_when_it_holds_the_text(house: House, asked: Any, used: Any) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1")
    (said,) = house.ask("GC1", SpecificCharacterSet=asked)[1]
    assert said.SpecificCharacterSet == used


def test_a_chinese_name_is_found_and_answered_in_iso_2022_ir_58(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1")
    sets = ["", "ISO 2022 IR 58"]

    def read(raw: bytes) -> Dataset:
        said = b"\\ISO 2022 IR 58"
        coded = [(b"\x08\x00\x05\x00CS", said + b" " * (len(said) % 2)), (b"\x10\x00\x10\x00PN", raw + b" " * (len(raw) % 2))]
        return dcmread(io.BytesIO(b"".join(t + struct.pack("<H", len(v)) + v for t, v in coded)), force=True)

    zhang, san = (b"\x1b$)A" + c.encode("gb2312") for c in "张三")
    for key in (zhang + b"*", zhang + b"^" + san, b"Zhang^San=" + zhang + b"^" + san, b"zhang*", b""):
        (found,) = [d for _, d in house.worklist.find("GC1", lambda key=key: read(key), lambda: False) if d is not None]  # type: ignore[misc]
        assert (str(found.PatientName), list(found.SpecificCharacterSet)) == ("Zhang^San=张^三", sets)
        written = io.BytesIO()
        found.save_as(written, implicit_vr=False, little_endian=True, enforce_file_format=False)
        assert b"Zhang^San=" + zhang + b"^" + san in written.getvalue()
    other = b"\x1b$)A" + "李".encode("gb2312")
    assert [d for _, d in house.worklist.find("GC1", lambda: read(other + b"*"), lambda: False) if d is not None] == []


def test_an_unknown_patient_and_a_number_that_would_be_cut_are_not_offered(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1", patient_pseudonym="PT-2")
    house.order("A" * 17)
    house.order("A2")
    assert house.offered("GC1") == ["A2"]
    house.holds._show()
    shown = json.loads((house.settings.worklist / "holds.json").read_text())
    codes = {r["accession_number"]: r["reason_code"] for r in shown["not_offered"]}
    assert codes == {"A1": "worklist.patient_unknown", "A" * 17: "intake.accession_too_long"} and shown["not_offered_count"] == 2
    house.order("A1", control="CA", patient_pseudonym="PT-2")
    assert house.offered("GC1") == ["A2"]
    house.holds._show()
    shown = json.loads((house.settings.worklist / "holds.json").read_text())
    assert [r["accession_number"] for r in shown["not_offered"]] == ["A" * 17]


@pytest.mark.parametrize(("control", "status"), [("SC", "LOCAL"), ("DE", ""), ("ZZ", "")])
def test_an_order_under_a_code_that_nobody_knows_is_listed_with_the_reason(house: House, control: str, status: str) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1")
    house.order("A2", control=control, order_status=status, said=NOW - timedelta(minutes=1))
    house.order("A3", control="HD")
    assert house.offered("GC1") == ["A1"]
    house.holds._show()
    shown = json.loads((house.settings.worklist / "holds.json").read_text())
    assert [(r["accession_number"], r["reason_code"]) for r in shown["not_offered"]] == [("A2", "order.state_unknown")]
    assert shown["not_offered_count"] == 1
    house.order("A2")
    assert house.offered("GC1") == ["A1", "A2"]
    house.holds._show()
    assert json.loads((house.settings.worklist / "holds.json").read_text())["not_offered"] == []


def test_an_order_without_a_time_is_offered_on_each_day_of_a_week_and_says_so(house: House) -> None:
    step = Dataset()
    step.ScheduledProcedureStepStartDate = step.ScheduledProcedureStepStartTime = step.ScheduledProcedureStepDescription = ""
    house.order("A1", scheduled_at_utc=None, exam_name="Bone scan")
    house.order("A2", exam_name="Bone scan")

    def said() -> dict[str, tuple[str, str, str]]:
        house.states(f"{house.now.astimezone(house.settings.zone):%Y-%m-%d}", GC1=FIT, SPCT1=FIT)
        step.ScheduledProcedureStepStartDate = f"{house.now.astimezone(house.settings.zone):%Y%m%d}"
        found = house.ask("GC1", ScheduledProcedureStepSequence=[step])[1]
        items = {d.AccessionNumber: d.ScheduledProcedureStepSequence[0] for d in found}
        return {
            a: (s.ScheduledProcedureStepStartDate, s.ScheduledProcedureStepStartTime, s.ScheduledProcedureStepDescription)
            for a, s in items.items()
        }

    assert said() == {"A1": ("20260302", "090000", "NO TIME: Bone scan"), "A2": ("20260302", "090000", "Bone scan")}
    house.now = NOW + timedelta(days=3)
    assert said() == {"A1": ("20260305", "000000", "NO TIME: Bone scan")}
    house.now = NOW + timedelta(days=7, seconds=1)
    assert said() == {}


def test_an_order_of_a_day_says_so_and_one_for_no_station_is_listed(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    house.order("A1", scheduled_precision="day", exam_name="Bone scan")
    house.order("A2", stations=["gc1"], exam_name="Bone scan")
    house.order("A3", stations=["GC9"], at=NOW + timedelta(days=3))
    step = Dataset()
    step.ScheduledProcedureStepDescription = ""
    found = house.ask("GC1", ScheduledProcedureStepSequence=[step])[1]
    assert {d.AccessionNumber: d.ScheduledProcedureStepSequence[0].ScheduledProcedureStepDescription[:9] for d in found} == {
        "A1": "NO TIME: ", "A2": "Bone scan",
    }  # fmt: skip
    house.holds._show()
    shown = json.loads((house.settings.worklist / "holds.json").read_text())["not_offered"]
    assert [(r["accession_number"], r["reason_code"]) for r in shown] == [("A3", "worklist.order_for_no_station")]


def test_a_cancellation_by_bare_date_ends_the_order_and_an_older_one_does_not(house: House) -> None:
    house.states(GC1=FIT, SPCT1=FIT)
    for accession, before in (("A1", 0), ("A2", 1)):
        house.order(accession, occurred_precision="second")
        day = NOW.replace(hour=0, minute=0, second=0) - timedelta(days=before)
        house.order(accession, control="CA", said=day, occurred_precision="day")
    assert house.offered("GC1") == ["A2"]

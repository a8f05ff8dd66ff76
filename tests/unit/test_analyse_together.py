"""Reports and pairs go the way of every image: door, journal, lake, job; what comes late is looked at again, and nothing twice."""

import base64
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from pet_images import iq_phantom, slices
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian
from test_analyse_job import Spark
from test_qc_pet_reports import blocks, report
from test_qc_registration import PLACES, ct, spect

from connectors.dicom.storage.intake import Intake, Received
from connectors.dicom.storage.series import series_event
from connectors.http.door import Door
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.lake.ingest import ingest_his, ingest_pacs
from connectors.stores.object_store.files import FileObjectStore
from photopeak.jobs import Request, _recorded
from spark_jobs.jobs import analyse, picture
from spark_jobs.jobs.work import waiting

SENDER = "console"


class Hospital:
    """The doors of an installation in this process, and its analysis with a stand-in for Spark."""

    def __init__(self, home):
        self.settings = load(home=home, min_free_mib=0)
        keys = Keys.of(self.settings)
        sealed = FileObjectStore(self.settings.objects / "sealed", keys.seal, keys.unseal).open()
        clear = FileObjectStore(self.settings.objects / "clear").open()
        self.images, self.events = (SqliteJournal(self.settings.journals / f"{n}.db") for n in ("dicom", "events"))
        SqliteJournal(self.settings.journals / "hl7.db").close()
        self.sealed, self.clear, self.time = sealed, clear, datetime(2026, 4, 1, 1, tzinfo=UTC)
        self.intake = Intake(self.settings, self.images, sealed, clear, Vault.of(self.settings, keys), keys)
        self.door = Door(self.settings, self.events, sealed, clear, Vault.of(self.settings, keys), keys, self.tick)

    def tick(self):
        self.time += timedelta(seconds=1)
        return self.time

    def send(self, content, device="", id_=None):
        event = {
            "specversion": "1.0", "type": "device.report", "source": f"urn:photopeak:{SENDER}", "subject": device,
            "id": id_ or f"r{self.tick().timestamp()}", "time": "2026-04-01T09:00:00+08:00",
        }  # fmt: skip
        said = {"data": content} if isinstance(content, dict) else {"data_base64": base64.b64encode(content).decode()}
        account = self.door.take([{**event, **said}], SENDER).to_json()
        ingest_his(self.settings)
        return account

    def store(self, files, **tags):
        """Hand a series in, as a phantom of one SPECT/CT unless the tags say otherwise, and return its UID."""
        facts = {"PatientID": "QC^REG", "StationName": "SPCT1", "AcquisitionTime": "083000", **tags}
        for file in files:
            ds = pydicom.dcmread(BytesIO(file))
            for name, value in facts.items():
                setattr(ds, name, value)
            out = DicomBytesIO()
            out.is_implicit_VR, out.is_little_endian = False, True
            write_dataset(out, ds)
            request = Received(str(ds.SOPClassUID), str(ds.SOPInstanceUID), ExplicitVRLittleEndian, "TEST", out.getvalue())
            answer = self.intake.store(request, self.tick())
            assert answer.status == 0, answer
        uid = str(ds.SeriesInstanceUID)
        self.images.append([series_event(self.settings, self.images, self.clear, uid, self.tick())])
        ingest_pacs(self.settings)
        return uid

    def analyse(self):
        """Run the job, and return the rows that it wrote."""
        work = waiting(self.settings, "phantom")
        before = set(self.settings.lake.glob("measures/site_id=*/day=*/*.parquet"))
        if work:
            analyse._measure(Spark, self.settings, "phantom", work)
        assert waiting(self.settings, "phantom") == [], "nothing is done twice"
        new = set(self.settings.lake.glob("measures/site_id=*/day=*/*.parquet")) - before
        return [row for path in sorted(new) for row in pq.ParquetFile(path).read().to_pylist()]


@pytest.fixture
def hospital(tmp_path):
    made = Hospital(tmp_path / "home")
    yield made
    made.images.close()
    made.events.close()


def values(rows, procedure, **of):
    return {
        r["measure"]: r["value"]
        for r in rows
        if r["procedure"] == procedure and r["measure"] and all(r[k] == v for k, v in of.items())
    }


@pytest.mark.req("TST-03")
def test_a_daily_report_with_a_dead_block_is_in_the_lake_with_its_device_day_and_map(hospital):
    dead = blocks()
    dead[49] = 0
    first, second = report(blocks(), date="2026-03-30T07:30:00+08:00"), report(dead, factor=2.9e7)
    assert hospital.send(second)["stored"] == 1
    alone = hospital.analyse()
    assert values(alone, "pet_normalisation")["dead_blocks_count"] == 1
    assert {r["station_name"] for r in alone} == {"PETCT1"} and {r["modality"] for r in alone} == {"DOC"}
    assert {r["acquired_at_utc"] for r in alone} == {datetime(2026, 3, 31, 23, 30, tzinfo=UTC)}
    odd = next(r for r in alone if r["measure"] == "block_efficiency_outliers_count" and r["procedure"] == "pet_normalisation")
    assert json.loads(odd["at"])["blocks"] == [50]
    assert (hospital.settings.reports / odd["picture"]).read_bytes().startswith(b"\x89PNG")
    # the report of two days before comes late: this one has a baseline now, and its newer run holds
    hospital.send(first)
    rows = hospital.analyse()
    again = [r for r in rows if r["series_uid"] == odd["series_uid"]]
    assert len({r["series_uid"] for r in rows}) == 2 and {r["run_key"] for r in again} != {odd["run_key"]}
    assert values(again, "pet_daily_qc")["calibration_change_percent"] == pytest.approx(100 * (2.9 / 2.7 - 1), abs=1e-3)
    assert min(r["series_recorded_at_utc"] for r in again) > odd["series_recorded_at_utc"]
    key = again[0]["run_key"]
    (hospital.settings.reports / "pictures" / f"{key}.png").unlink()
    assert picture.draw(hospital.settings, key).is_file()
    assert set(_recorded(hospital.settings, "phantom", Request())) == {r["series_uid"] for r in rows}


def test_a_report_is_stored_once_without_names_and_an_unreadable_one_quarantined(hospital):
    text = report(blocks()).replace(
        b"<bScandate>", b"<OperatorName>Li Si</OperatorName><bComments>for Zhang San</bComments><bScandate>"
    )
    assert hospital.send(text, id_="one") == {"stored": 1, "duplicate": 0, "quarantined": []}
    assert hospital.send(text, id_="one") == {"stored": 0, "duplicate": 1, "quarantined": []}
    (event,) = [e for _, e in hospital.events.read(0, 100) if e.type == "device.report"]
    assert hospital.sealed.get(event.data["sealed_key"]) == text
    copy = hospital.clear.get(event.data["object_key"])
    assert b"Li Si" not in copy and b"Zhang" not in copy and b"PETCT1" in copy
    assert b"Li Si" not in json.dumps(event.data).encode()
    for bad, word in (
        (b"<a>", "damaged"),
        (b'<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>', "entity"),
        (b"tea at four", "neither DICOM nor readable JSON"),
        ({"value": 3}, "does not say which"),
        (b"", "neither DICOM nor readable JSON"),
    ):
        (told,) = hospital.send(bad)["quarantined"]
        assert word in told["reason"], told
    assert len(hospital.analyse()) > 0


def test_an_activimeter_sheet_is_of_the_device_that_its_sender_names(hospital):
    part = [{"nuclide": "Cs-137", "reference_mbq": 9.25, "reference_at": "2026-03-01T00:00:00", "readings_mbq": [9.7]}]
    sheet = {"procedure": "activimeter", "measured_at": "2026-04-01T08:00:00", "measured_by": "Li Si", "accuracy": part}
    hospital.send(sheet, device="AC-1")
    (row,) = hospital.analyse()
    assert (row["procedure"], row["measure"], row["station_name"]) == ("activimeter", "accuracy_error_percent", "AC-1")
    assert row["value"] == pytest.approx(100 * (9.7 / 9.25 - 1), abs=0.3)
    assert row["acquired_at_utc"] == datetime(2026, 4, 1, tzinfo=UTC), "a time without an offset is the site's"
    # to another device: another run of the same report, which holds
    hospital.send(sheet, device="AC-2")
    (other,) = hospital.analyse()
    assert (other["station_name"], other["series_uid"]) == ("AC-2", row["series_uid"]) and other["run_key"] != row["run_key"]
    # a report of one registered device, sent as another's, is of nobody
    hospital.send(report(blocks()), device="GC1")
    (refused,) = hospital.analyse()
    assert refused["status"] == "not_measured" and "PETCT1" in refused["reason"] and "GC1" in refused["reason"]
    assert refused["reason_code"] == "report.device_contradicts", "what was found before Spark keeps its code"


@pytest.mark.req("TST-05")
def test_two_series_of_a_phantom_give_their_offset_whichever_comes_first(hospital):
    fixed = hospital.store(ct(PLACES))
    (early,) = hospital.analyse()
    assert early["status"] == "not_measured", "alone it is no test"
    moved = hospital.store(spect(PLACES + np.array([3.0, 0, 0]), backwards=False), AcquisitionTime="090000")
    rows = hospital.analyse()
    found = values(rows, "registration", series_uid=moved)
    assert found["offset_x_mm"] == pytest.approx(3.0, abs=0.1) and found["max_offset_mm"] == pytest.approx(3.0, abs=0.1)
    (told,) = [r for r in rows if r["series_uid"] == fixed]
    assert (told["procedure"], told["measure"], told["value"]) == ("registration", None, None) and moved in told["reason"]
    assert told["series_recorded_at_utc"] > early["series_recorded_at_utc"], "the newer run holds"
    assert len({r["run_key"] for r in rows}) == 2


def test_series_of_another_time_device_or_patient_are_no_pair(hospital):
    hospital.store(ct(PLACES))
    hospital.store(spect(PLACES, backwards=False), AcquisitionTime="133100")
    hospital.store(spect(PLACES, backwards=False), SeriesInstanceUID="1.9.8", PatientID="4711", SOPInstanceUID="1.9.8.1")
    other = {"StationName": "GC1", "FrameOfReferenceUID": "7.7", "SeriesInstanceUID": "1.9.7", "SOPInstanceUID": "1.9.7.1"}
    hospital.store(spect(PLACES, backwards=False), **other)
    assert not any(w.beside for w in waiting(hospital.settings, "phantom"))
    rows = hospital.analyse()
    assert len(rows) == 4 and not values(rows, "registration") and {r["status"] for r in rows} == {"not_measured"}


def test_a_late_sheet_of_activities_joins_its_series_and_a_correction_replaces_it(hospital):
    files = slices(iq_phantom(), (3.0, 3.0, 3.0), StudyInstanceUID="1.7.7", Units="BQML", DecayCorrection="START")
    uid = hospital.store(files, PatientID="IQ-7", StationName="PETCT1", AccessionNumber="A77")
    assert {r["status"] for r in hospital.analyse()} == {"indicative"}
    sheet = {"procedure": "pet_nema_iq", "background_bq_per_ml": 5_000, "series_uid": uid}
    found = []
    for spheres in (40_000, 44_000):
        hospital.send({**sheet, "spheres_bq_per_ml": spheres}, device="PETCT1")
        rows = hospital.analyse()
        assert {r["status"] for r in rows if r["series_uid"] == uid} == {"measured"}
        told = [(r["procedure"], r["measure"], uid in r["reason"]) for r in rows if r["series_uid"] != uid]
        assert set(told) == {("pet_nema_iq", None, True)}
        assert {r["reason_code"] for r in rows if r["series_uid"] != uid} == {"series.values_elsewhere"}
        found.append([r["value"] for r in rows if r["series_uid"] == uid])
    assert all(found[0]) and found[0] != found[1]


def test_a_sheet_may_name_study_or_accession_and_says_so_when_its_series_never_came(hospital):
    sheet = {"procedure": "pet_nema_iq", "spheres_bq_per_ml": 4, "background_bq_per_ml": 1}
    hospital.send({**sheet, "series_uid": "9.9"})
    (row,) = hospital.analyse()
    assert row["status"] == "not_measured" and "without the series" in row["reason"]
    uid = hospital.store(spect(PLACES, backwards=False), StudyInstanceUID="1.7.7", AccessionNumber="A77")
    (alone,) = waiting(hospital.settings, "phantom")
    for name in ({"study_uid": "1.7.7"}, {"accession_number": "A77"}):
        hospital.send({**sheet, **name})
        work = waiting(hospital.settings, "phantom")
        (series,) = [w for w in work if w.series_uid == uid]
        assert series.run_key != alone.run_key
        assert sum(uid in (w.elsewhere or "") for w in work) == len(work) - 1

"""The newest phantom tests of the landing page: judged from the lake, attested by a release, waiting while they wait."""

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.events import Event
from connectors.settings import Settings, load
from connectors.stores.journal.sqlite import SqliteJournal
from judgement import reference
from judgement.days import site_zone
from judgement.rows import Limit
from judgement.verdicts import judged, summary
from spark_jobs.schemas.measures import MEASURES
from terminals.phantoms import Phantoms

CHINA = site_zone("Asia/Shanghai")

NOW = datetime(2026, 4, 2, 1, 0, tzinfo=UTC)
ACQUIRED = datetime(2026, 4, 1, 23, 50, tzinfo=UTC)
FLOOD = {
    "procedure": "planar_uniformity",
    "status": "measured",
    "detector": "1",
    "unit": "%",
    "method": "m",
    "method_version": "1",
}


class Hospital:
    """A journal and a lake of which a test says what comes in."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.journal = settings, SqliteJournal(settings.journals / "dicom.db")
        self.door = SqliteJournal(settings.journals / "events.db")
        self.count, self.images = 0, Counter[str]()

    def image(self, series: str, ago_s: float, ae: str = "GC1") -> None:
        self.count += 1
        self.images[series] += 1
        at = NOW - timedelta(seconds=ago_s)
        data = {"calling_ae": ae, "modality": "NM", "sha256": f"{self.count:064x}"}
        self.journal.append(
            [Event("dicom.instance", "urn:photopeak:dicom", f"i{self.count}", "MAIN", series, ACQUIRED, at, data)]
        )

    def close(self, series: str, ago_s: float, **facts: Any) -> int:
        """Return how many images the series has now."""
        self.count += 1
        at = NOW - timedelta(seconds=ago_s)
        about = {"is_phantom": True, "accession_number": None, "device_serial": "SN-GC1", "station_name": "GC1", "modality": "NM"}
        data = {**about, "series_uid": series, "instances": [{}] * self.images[series], **facts}
        self.journal.append([Event("dicom.series", "urn:photopeak:dicom", f"s{self.count}", "MAIN", series, ACQUIRED, at, data)])
        return self.images[series]

    def report(self, digest: str, ago_s: float, device: str | None = "PETCT1", **facts: Any) -> str:
        """Return the name under which the report is measured."""
        self.count += 1
        at = NOW - timedelta(seconds=ago_s)
        data = {
            "kind": "xml SystemQualityReport",
            "device_id": device,
            "device_serial": None,
            "station_name": None,
            "sha256": digest,
            **facts,
        }
        self.door.append([Event("device.report", "urn:photopeak:qc", f"r{self.count}", "MAIN", device or "", ACQUIRED, at, data)])
        return f"report/{digest}"

    def declare(
        self, serial: str, check: str = "phantom_used", device: str = "GC1", at: str = "2026-04-01T23:00:00Z", ago_s: float = 900
    ) -> None:
        self.count += 1
        data = {"device_id": device, "check": check, "performed_at_utc": at, "staff_id": "T01", "result": "pass", "note": serial}
        moment = NOW - timedelta(seconds=ago_s)
        self.door.append([Event("device.check", "urn:photopeak:tablet", f"c{self.count}", "MAIN", device, moment, moment, data)])

    def measure(self, series: str, images: int, *rows: dict[str, Any], analysis: str = "phantom", key: str = "") -> str:
        key = key or f"{len(list(self.settings.lake.rglob('*.parquet'))) + 1:064x}"
        base = {"site_id": "MAIN", "run_key": key, "analysis": analysis, "series_uid": series, "acquired_at_utc": ACQUIRED}
        base |= {"series_recorded_at_utc": NOW, "instance_count": images, "picture": f"pictures/{key}.png"}
        folder = self.settings.lake / "measures" / "site_id=MAIN" / "day=2026-04-01"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([{**base, **r} for r in rows], schema=MEASURES), folder / f"{key}.parquet")
        return key

    def measured(self, series: str, ago_s: float, *rows: dict[str, Any], **facts: Any) -> str:
        self.image(series, ago_s + 3)
        return self.measure(series, self.close(series, ago_s, **facts), *rows)


def flood(iu: float = 3.5, **more: Any) -> dict[str, Any]:
    return {**FLOOD, "measure": "ufov_iu_percent", "value": iu, **more}


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    # the lake's files are written now, which is after NOW less a day
    return Hospital(load(home=tmp_path))


@pytest.fixture
def page(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    phantoms = Phantoms(hospital.settings)
    return lambda: phantoms.newest(NOW)


def test_it_arrives_waits_and_is_judged_as_soon_as_it_is_measured(hospital: Hospital, page: Callable) -> None:
    assert page() == {"waiting": [], "more": 0, "done": [], "haste": False}
    hospital.image("1.1", 20)
    assert [(w["state"], w["device_id"]) for w in page()["waiting"]] == [("arriving", "GC1")] and page()["haste"]
    images = hospital.close("1.1", 17)
    assert [w["state"] for w in page()["waiting"]] == ["waiting"] and page()["done"] == []
    key = hospital.measure("1.1", images, flood(5.5), flood(4.0, measure="cfov_iu_percent"))
    now = page()
    (done,) = now["done"]
    assert now["waiting"] == [] and not now["haste"]
    assert (done["state"], done["attested"], done["run_key"], done["procedures"]) == ("fail", False, key, ["planar_uniformity"])
    assert (done["worst"]["measure"], done["worst"]["value"], done["worst"]["high"]) == ("ufov_iu_percent", 5.5, 5.0)
    assert done["seconds"] is not None and done["picture"]


def test_a_late_image_makes_it_wait_again_and_no_old_verdict_is_shown(hospital: Hospital, page: Callable) -> None:
    hospital.measured("1.1", 600, flood())
    assert [d["state"] for d in page()["done"]] == ["warn"]
    hospital.image("1.1", 30)
    assert (page()["done"], [w["state"] for w in page()["waiting"]]) == ([], ["arriving"])
    images = hospital.close("1.1", 20)
    assert (page()["done"], [w["state"] for w in page()["waiting"]]) == ([], ["waiting"])
    hospital.measure("1.1", images, flood(2.0))
    assert [d["state"] for d in page()["done"]] == ["pass"]


def test_nothing_that_was_refused_or_cannot_be_judged_reads_as_a_pass() -> None:
    refused = {**flood(), "measure": None, "value": None, "status": "not_measured", "reason": "wrong phantom"}
    few = flood(1.0, status="indicative", reason="too few counts", detector="2")
    own = flood(1.0, measure="of_no_limit")
    cases = [
        ([flood(1.0)], "pass", None), ([flood(1.0), refused], "not_measured", "wrong phantom"), ([flood(9.0), refused], "fail", "wrong phantom"),
        ([flood(1.0), few], "indicative", "too few counts"), ([few, refused], "not_measured", "wrong phantom"), ([own], "none", None),
        ([flood(3.5), own], "warn", None),
    ]  # fmt: skip
    for rows, state, reason in cases:
        given = [{**r, "acquired_at_utc": ACQUIRED.replace(tzinfo=None), "region": None, "reason": r.get("reason")} for r in rows]
        got = summary(judged(given, reference.read(Limit), "GC1", CHINA))
        assert (got["state"], got["reason"]) == (state, reason)
        assert (got["worst"] is None) == (state in ("not_measured", "indicative", "none"))
    undated = [{**flood(1.0), "acquired_at_utc": None, "region": None, "reason": None}]
    assert summary(judged(undated, reference.read(Limit), "GC1", CHINA))["state"] == "none"


def test_patients_are_no_phantoms_and_yesterday_is_gone(hospital: Hospital, page: Callable) -> None:
    patient = {"is_phantom": False, "accession_number": "A1"}
    hospital.measured("1.0", 25 * 3600, flood())
    hospital.close("1.2", 100, **patient)
    hospital.measured("1.3", 90, {"status": "not_measured", "reason": "no phantom"}, **patient)
    hospital.measure("1.4", hospital.close("1.4", 80, is_phantom=False), flood(), analysis="clinical")
    assert (page()["waiting"], page()["done"]) == ([], [])
    hospital.close("1.5", 70, is_phantom=False, device_serial="X1", station_name="HERE")
    assert [(w["device_id"], w["station"]) for w in page()["waiting"]] == [("UNREGISTERED", "HERE")]


def test_a_handful_of_each_device_and_all_that_wait_are_counted(hospital: Hospital, page: Callable) -> None:
    for n in range(6):
        hospital.measured(f"1.{n}", 600 - n, flood())
    hospital.measured("2.1", 700, flood(), device_serial="SN-SPCT1")
    for n in range(15):
        hospital.close(f"3.{n}", 500 - n)
    now = page()
    assert [d["series_uid"] for d in now["done"]] == ["1.5", "1.4", "1.3", "1.2", "2.1"]
    assert (len(now["waiting"]), now["more"]) == (12, 3)


def test_a_release_that_holds_the_run_attests_it_and_says_the_last_word(hospital: Hospital, page: Callable) -> None:
    key = hospital.measured("1.1", 600, flood(1.0))
    other = hospital.measured("1.2", 500, flood(1.0))
    assert [d["attested"] for d in page()["done"]] == [False, False]
    folder = hospital.settings.warehouse / "releases" / "1"
    folder.mkdir(parents=True)
    columns = "run_key, procedure, detector, region, measure, value, unit, status, reason, picture_href, verdict, phantom_state, "
    columns += "warn_low, warn_high, limit_low, limit_high"
    with duckdb.connect(str(folder / "qc.duckdb")) as db:
        db.execute("CREATE SCHEMA marts")
        db.execute(
            f"CREATE TABLE marts.fct_phantom_test AS SELECT * FROM (VALUES ('{key}', 'planar_uniformity', '1', NULL, 'ufov_iu_percent', 1.0, "
            f"'%', 'measured', 'phantom P9 was out of calibration', 'p.png', 'none', 'expired', NULL, 3.0, NULL, 5.0)) t({columns})"
        )
    (hospital.settings.warehouse / "current").symlink_to(Path("releases") / "1")
    newest, first = page()["done"]
    assert (newest["run_key"], newest["attested"], newest["state"]) == (other, False, "pass")
    assert (first["attested"], first["state"], first["reason"]) == (True, "not_measured", "phantom P9 was out of calibration")


def test_a_look_reads_only_what_is_new(hospital: Hospital, page: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from terminals import phantoms

    for n in range(5):
        hospital.measured(f"1.{n}", 600 - n, flood())
    first, asked = page(), []
    ask = phantoms._ask
    monkeypatch.setattr(phantoms, "_ask", lambda sql, given, *more: asked.append(given) or ask(sql, given, *more))
    assert page() == first and asked == []
    key = hospital.measured("1.9", 10, flood())
    assert page()["done"][0]["run_key"] == key
    files = [f for given in asked for f in given.get("files", [given.get("file")])]
    assert {Path(f).stem for f in files} == {key}


def test_a_report_from_the_http_door_waits_and_is_judged_as_a_series_is(hospital: Hospital, page: Callable) -> None:
    hospital.report("d" * 64, 25 * 3600)
    assert page()["waiting"] == []
    name = hospital.report("a" * 64, 20)
    (waiting,) = page()["waiting"]
    assert (waiting["series_uid"], waiting["device_id"], waiting["state"], waiting["is_report"]) == (
        name,
        "PETCT1",
        "waiting",
        True,
    )
    assert page()["haste"]
    row = {**FLOOD, "detector": None, "measure": "ufov_iu_percent", "value": 9.0}
    hospital.measure(name, 1, row)
    now = page()
    (done,) = now["done"]
    assert (now["waiting"], done["device_id"], done["state"], done["is_report"]) == ([], "PETCT1", "fail", True)
    assert done["seconds"] is not None
    other = hospital.report("b" * 64, 10, device=None, device_serial="SN-SPCT1")
    stranger = hospital.report("c" * 64, 5, device="ELSEWHERE")
    assert {w["series_uid"]: (w["device_id"], w["station"]) for w in page()["waiting"]} == {
        other: ("SPCT1", "SN-SPCT1"), stranger: ("UNREGISTERED", "ELSEWHERE"),
    }  # fmt: skip
    hospital.measure(
        other, 1, {**row, "measure": None, "value": None, "reason": "its values stand with the series that it tells of, 1.2"}
    )
    hospital.measure(stranger, 1, {"status": "not_measured", "reason": "the report is of another device"})
    assert [d["series_uid"] for d in page()["done"]] == [stranger, name], "what tells of a series is shown with that series"


def test_the_page_shows_reports_and_says_so(hospital: Hospital) -> None:
    """The words of the page itself, in both languages."""
    from fastapi.testclient import TestClient

    from terminals.status import create_app

    hospital.report("a" * 64, (NOW - datetime.now(UTC)).total_seconds() + 5)
    with TestClient(create_app(hospital.settings, list)) as client:
        for language, words in (("en", "PET/CT 1 · report"), ("zh", "1 号 PET/CT · 报告")):
            assert words in client.get(f"/?lang={language}").text


@pytest.mark.parametrize("first", ["declared", "measured"])
def test_a_test_with_an_expired_or_unknown_phantom_never_reads_as_a_pass(
    hospital: Hospital, page: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: str
) -> None:

    seeds = tmp_path / "seeds"
    shutil.copytree(reference.SEEDS, seeds)
    (seeds / "phantoms.csv").write_text(
        "phantom_serial,site_id,calibrated_on,valid_until\nOLD,MAIN,2024-01-01,2026-04-01\nGOOD,MAIN,2024-01-01,\nFAR,EAST,2024-01-01,\n"
    )
    monkeypatch.setattr(reference, "SEEDS", seeds)
    if first == "declared":
        hospital.declare("OLD")
    hospital.measured("1.1", 600, flood(1.0))
    if first == "measured":
        assert [d["state"] for d in page()["done"]] == ["pass"]
        hospital.declare("OLD")

    def now() -> tuple[str, str | None]:
        (done,) = page()["done"]
        return done["state"], done["reason"]

    assert now() == ("not_measured", "phantom OLD was out of calibration (valid 2024-01-01 to 2026-04-01)")
    hospital.declare("GOOD", at="2026-04-01T23:10:00Z")
    assert now() == ("pass", None), "the latest word holds"
    hospital.declare("NOBODY", check="phantom_used/planar_uniformity")
    assert now() == ("not_measured", "phantom NOBODY is not in the register")
    hospital.declare("FAR", check="phantom_used/planar_uniformity", at="2026-04-01T23:10:00Z")
    assert now() == ("not_measured", "phantom FAR is not in the register"), "of another site"
    hospital.declare("GOOD", check="phantom_used/planar_uniformity", at="2026-04-01T23:20:00Z")
    hospital.declare("NOBODY", check="phantom_used/centre_of_rotation", at="2026-04-01T23:30:00Z")
    hospital.declare("NOBODY", at="2026-04-02T23:30:00Z")
    hospital.declare("NOBODY", at="2026-03-31T15:00:00Z")
    hospital.declare("NOBODY", device="SPCT1")
    assert now() == ("pass", None), "of another procedure, day or device"


def test_a_release_unaware_of_an_expired_phantom_does_not_have_the_last_word(hospital: Hospital, page: Callable) -> None:
    key = hospital.measured("1.1", 600, flood(1.0))
    folder = hospital.settings.warehouse / "releases" / "1"
    folder.mkdir(parents=True)
    columns = "run_key, procedure, detector, region, measure, value, unit, status, reason, picture_href, verdict, phantom_state, "
    columns += "warn_low, warn_high, limit_low, limit_high"
    with duckdb.connect(str(folder / "qc.duckdb")) as db:
        db.execute("CREATE SCHEMA marts")
        db.execute(
            f"CREATE TABLE marts.fct_phantom_test AS SELECT * FROM (VALUES ('{key}', 'planar_uniformity', '1', NULL, 'ufov_iu_percent', 1.0, "
            f"'%', 'measured', NULL, 'p.png', 'pass', NULL, NULL, 3.0, NULL, 5.0)) t({columns})"
        )
    (hospital.settings.warehouse / "current").symlink_to(Path("releases") / "1")
    assert [(d["state"], d["attested"]) for d in page()["done"]] == [("pass", True)]
    hospital.declare("NOBODY")
    assert [(d["state"], d["attested"]) for d in page()["done"]] == [("not_measured", False)]

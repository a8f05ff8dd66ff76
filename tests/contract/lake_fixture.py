"""A small lake of known content: a clean examination, and each rule broken once. Written with the real tables of the lake."""

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.events.envelope import Event
from connectors.stores.lake.files import FileLake
from connectors.stores.lake.tables import EVENTS, READINGS, ensure_tables
from spark_jobs.schemas.measures import MEASURES

__all__ = ["AS_OF", "DAY", "PLAN", "LakeWriter", "at", "hospital"]

SITE = "MAIN"
DAY = date(2026, 3, 10)  # the live day, a Tuesday
AS_OF = datetime(2026, 3, 10, 16, 0, tzinfo=UTC)  # its end on the site's wall clock (+08:00)
PLAN = ("identity_check", "dose_preparation", "injection", "uptake_end", "positioning", "acquisition", "image_review", "report")
STAFF = {"identity_check": "N01", "dose_preparation": "RP01", "injection": "N01", "uptake_end": "N01", "positioning": "T01"}
STAFF |= {"acquisition": "T01", "image_review": "D01", "report": "D01"}
AGENT = {"BONE": ("Tc-99m MDP", "Tc-99m", 21624.12, 700.0), "FDG": ("F-18 FDG", "F-18", 6586.2, 300.0)}
AGENT |= {"THYROID": ("Tc-99m pertechnetate", "Tc-99m", 21624.12, 150.0)}
UPTAKE = {"BONE": 180, "FDG": 60, "THYROID": 22}


def at(clock: str, day: date = DAY) -> datetime:
    """Return the UTC moment of a time on the site's wall clock."""
    return datetime.combine(day, time.fromisoformat(clock), UTC) - timedelta(hours=8)


class LakeWriter:
    """Collects facts, then writes them as the ingest jobs and the analyses would."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.readings: list[dict[str, Any]] = []
        self.measures: list[dict[str, Any]] = []

    def event(
        self,
        type_: str,
        occurred: datetime,
        data: dict[str, Any],
        recorded: datetime | None = None,
        id_: str = "",
        site: str = SITE,
    ) -> None:
        """Add one event; its offset in the journal `events` is its place in the list."""
        offset = len(self.events) + 1
        e = Event(type_, "urn:photopeak:test", id_ or f"e{offset}", site, "", occurred, recorded or occurred, data)
        self.events.append(
            {
                "event_id": e.id, "source": e.source, "type": type_, "subject": "", "site_id": site, "occurred_at_utc": occurred,
                "recorded_at_utc": e.recorded_at, "sha256": e.sha256(), "journal": "events", "journal_offset": offset,
                "data": json.dumps(data, sort_keys=True),
            }
        )  # fmt: skip

    def order(self, accession: str, code: str, scheduled: datetime, control: str = "NW", sent: datetime | None = None) -> None:
        """Add an order message."""
        self.event("his.order", sent or scheduled - timedelta(days=1), {
            "message_type": "ORM^O01", "trigger": "O01", "order_control": control, "accession_number": accession,
            "patient_pseudonym": f"p-{accession}", "exam_code": code, "exam_name": code.title(), "indication": "staging",
            "scheduled_at_utc": text(scheduled), "placer": "X", "prescribed_activity_mbq": AGENT.get(code, ("", "", 1, 100.0))[3],
        })  # fmt: skip

    def arrival(self, accession: str, moment: datetime) -> None:
        """Add the registration of the examination's patient."""
        self.event("his.patient", moment, {
            "message_type": "ADT^A04", "trigger": "A04", "patient_pseudonym": f"p-{accession}", "sex": "F", "birth_year": 1960,
            "visit_number": "V", "location": None,
        })  # fmt: skip

    def step(self, accession: str, step: str, start: datetime, minutes: float = 3, **more: Any) -> None:
        """Add a step; `more` replaces its fields, `recorded` says when the platform was told."""
        recorded = more.pop("recorded", None)
        data = {
            "accession_number": accession, "step": step, "occurrence": 1, "started_at_utc": text(start),
            "ended_at_utc": text(start + timedelta(minutes=minutes)), "staff_id": STAFF[step], "device_id": None,
            "room_id": "WAITING",
            "result": "done", "note": None,
        }  # fmt: skip
        self.event("examination.step", start, {**data, **more}, recorded)

    def dose(self, accession: str, code: str, moment: datetime, factor: float = 1.0, **more: Any) -> None:
        """Add a dose record that puts `factor` x prescribed MBq in at `moment`, with 2 % left in the syringe then."""
        agent, nuclide, half_life, prescribed = AGENT[code]
        before, after = timedelta(minutes=8), timedelta(minutes=6)
        given, left = factor * prescribed, 0.02 * prescribed
        data = {
            "accession_number": accession, "agent": agent, "nuclide": nuclide, "prescribed_mbq": prescribed,
            "assayed_mbq": (given + left) * 2 ** (before.total_seconds() / half_life), "assayed_at_utc": text(moment - before),
            "residual_mbq": left * 2 ** (-after.total_seconds() / half_life), "residual_at_utc": text(moment + after),
            "administered_at_utc": text(moment), "lot": "L1", "lot_expires_at_utc": text(moment + timedelta(hours=4)),
            "route": "IV",
            "staff_id": "N01",
        }  # fmt: skip
        self.event("examination.dose", moment, {**data, **more})

    def ready(self, accession: str, code: str, injected: datetime) -> None:
        """Add forms and preparation with which an injection may be given."""
        for form in ("consent", "checklist"):
            signed = injected - timedelta(minutes=12)
            self.event("form.signed", signed, {
                "accession_number": accession, "form": form, "signed_at_utc": text(signed), "staff_id": "N01", "complete": True,
            })  # fmt: skip
        asked = injected - timedelta(minutes=11)
        self.event("examination.preparation", asked, {
            "accession_number": accession, "asked_at_utc": text(asked), "staff_id": "N01", "hydration_ml": 400, "medication": [],
            "fasting_since_utc": text(injected - timedelta(hours=8)), "glucose_mmol_per_l": 5.5 if code == "FDG" else None,
        })  # fmt: skip

    def examination(
        self, accession: str, code: str, device: str, arrived: datetime, *, skip: tuple[str, ...] = (), factor: float = 1.0,
        uptake_min: float | None = None, staff: dict[str, str] | None = None, moved: dict[str, datetime] | None = None,
    ) -> None:  # fmt: skip
        """Add an examination from order to report; the keyword arguments break it in one way each."""
        self.order(accession, code, arrived)
        self.arrival(accession, arrived - timedelta(minutes=2))
        injected = arrived + timedelta(minutes=15)
        scan = injected + timedelta(minutes=uptake_min or UPTAKE[code])
        begun = {
            "identity_check": arrived, "dose_preparation": arrived + timedelta(minutes=5), "injection": injected,
            "uptake_end": scan - timedelta(minutes=4), "positioning": scan - timedelta(minutes=3), "acquisition": scan,
            "image_review": scan + timedelta(minutes=30), "report": scan + timedelta(minutes=60),
        } | (moved or {})  # fmt: skip
        self.ready(accession, code, injected)
        for step in PLAN:
            if step not in skip:
                on = {"device_id": device, "room_id": f"ROOM-{device}"} if step in ("positioning", "acquisition") else {}
                self.step(accession, step, begun[step], staff_id=(staff or {}).get(step, STAFF[step]), **on)
        self.dose(accession, code, injected, factor)

    def series(
        self,
        uid: str,
        device: str | None,
        acquired: datetime | None,
        *,
        phantom: bool = True,
        accession: str | None = None,
        **more: Any,
    ) -> None:
        """Add the event of a series that has come to rest."""
        recorded = more.pop("recorded", None) or (acquired or at("12:00")) + timedelta(minutes=1)
        data = {
            "study_uid": f"{uid}.0", "series_uid": uid, "modality": "NM", "sop_class_uid": "1.2", "image_type": "ORIGINAL",
            "accession_number": accession, "patient_pseudonym": None if phantom else f"p-{accession}", "is_phantom": phantom,
            "manufacturer": "M", "model": "X", "station_name": device, "device_serial": f"SN-{device}" if device else None,
            "series_description": None, "protocol_name": None, "acquired_at_utc": text(acquired) if acquired else None,
            "instances": [{"sop_instance_uid": f"{uid}.1", "object_key": "a/b", "sha256": "0" * 64}],
        }  # fmt: skip
        self.event("dicom.series", acquired or recorded, {**data, **more}, recorded)

    def measure(
        self, uid: str, device: str | None, acquired: datetime | None, procedure: str | None, values: dict[str, float | None], *,
        analysis: str = "phantom", run: str = "", unit: str = "%", **more: Any,
    ) -> None:  # fmt: skip
        """Add the rows of one run on one series; no values at all means that it could not be measured."""
        base = {
            "site_id": SITE, "run_key": run or f"run-{uid}", "analysis": analysis, "study_uid": f"{uid}.0", "series_uid": uid,
            "station_name": device, "device_serial": f"SN-{device}" if device else None, "manufacturer": "M", "model": "X",
            "modality": "NM", "procedure": procedure, "status": "measured", "method": "m", "method_version": "1.0.0",
            "acquired_at_utc": acquired, "series_recorded_at_utc": (acquired or at("12:00")) + timedelta(minutes=1),
            "instance_count": 1, "picture": f"pictures/run-{uid}.png",
        } | more  # fmt: skip
        rows = [{**base, "measure": m, "value": v, "unit": unit} for m, v in values.items()]
        self.measures += rows or [{**base, "status": "not_measured", "method": None, "method_version": None, "picture": None}]

    def phantom(
        self, uid: str, device: str, acquired: datetime, procedure: str, values: dict[str, float | None], **more: Any
    ) -> None:
        """Add a phantom series with its measures."""
        self.series(uid, device, acquired)
        self.measure(uid, device, acquired, procedure, values, **more)

    def sensor(
        self,
        sensor_id: str,
        first: datetime,
        last: datetime,
        value: float,
        unit: str,
        but: dict[datetime, float | None] | None = None,
    ) -> None:
        """Add a reading each ten minutes, `last` not included; `but` replaces values, None leaves the reading out."""
        room_id, quantity = sensor_id.split("/")
        moment = first
        while moment < last:
            one = (but or {}).get(moment, value)
            if one is not None:
                self.readings.append(
                    {
                        "event_id": f"batch-{moment:%Y%m%d}", "site_id": SITE, "room_id": room_id, "sensor_id": sensor_id,
                        "quantity": quantity,
                        "value": one, "unit": unit, "quality": "good", "read_at_utc": moment, "recorded_at_utc": moment,
                        "journal_offset": 1,
                    }
                )  # fmt: skip
            moment += timedelta(minutes=10)

    def outcome(self, message_id: str, outcome: str, reason: str | None = None, sender: str = "HIS") -> None:
        """Add what became of one arrival."""
        self.event("intake.outcome", at("09:00"), {
            "channel": "hl7", "message_id": message_id, "outcome": outcome, "reason": reason, "sha256": "1" * 64,
            "size_bytes": 10, "sender": sender,
        })  # fmt: skip

    def credential(self, staff_id: str, start: str, end: str, **more: Any) -> None:
        """Add a credential that holds from one day until another."""
        data = {"staff_id": staff_id, "role": "technologist", "credential": "licence", "issuer": "office"}
        self.event(
            "staff.credential",
            at("08:00", date(2025, 12, 1)),
            {**data, "valid_from_utc": f"{start}T00:00:00Z", "valid_until_utc": f"{end}T00:00:00Z", **more},
        )

    def write(self, root: Path, name: str = "events-1-999") -> None:
        """Write everything below `root`, a folder a day as the ingest jobs lay it."""
        lake = FileLake(root)
        ensure_tables(lake, {"measures": MEASURES})
        groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[dict[str, Any]]] = {}
        for row in self.events:
            place = (("type", row["type"]), ("site_id", row["site_id"]), ("day", f"{row['occurred_at_utc']:%Y-%m-%d}"))
            groups.setdefault(("events", place), []).append(row)
        for row in self.readings:
            groups.setdefault(("readings", (("site_id", SITE), ("day", f"{row['read_at_utc']:%Y-%m-%d}"))), []).append(row)
        schemas = {"events": EVENTS, "readings": READINGS}
        for (table, partition), rows in groups.items():
            lake.put(table, dict(partition), name, pa.Table.from_pylist(rows, schema=schemas[table]))
        for run in {r["run_key"] for r in self.measures}:
            rows = [r for r in self.measures if r["run_key"] == run]
            day = f"{rows[0]['acquired_at_utc'] or at('12:00'):%Y-%m-%d}"
            lake.put("measures", {"site_id": SITE, "day": day}, run, pa.Table.from_pylist(rows, schema=MEASURES))


def text(moment: datetime) -> str:
    """Return the moment as intake writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def hospital() -> LakeWriter:
    """Return a day with one clean examination, and each rule broken once; three quiet days before it."""
    w = LakeWriter()
    for staff in ("T01", "N01", "D01", "RP01"):
        w.credential(staff, "2026-01-01", "2027-01-01")
    w.credential("T04", "2025-01-01", "2026-03-01")
    for back in range(3, -1, -1):
        day = DAY - timedelta(days=back)
        for device in ("GC1", "SPCT1"):
            if (device, back) != ("GC1", 1):  # that morning's flood of GC1 was not made
                iu = 7.5 if (device, back) == ("GC1", 0) else 3.0
                w.phantom(
                    f"flood.{device}.{back}",
                    device,
                    at("07:00", day),
                    "planar_uniformity",
                    {"ufov_iu_percent": iu, "cfov_iu_percent": 2.0},
                )
            if back == 3:
                w.phantom(f"cor.{device}", device, at("07:10", day), "centre_of_rotation", {"cor_offset_mm": 0.2}, unit="mm")
        w.phantom(f"water.SPCT1.{back}", "SPCT1", at("07:20", day), "ct_water", {"water_hu": 1.0}, unit="HU")
        w.phantom(
            f"water.PETCT1.{back}", "PETCT1", at("07:20", day), "ct_water", {"water_hu": 4.5 if back == 2 else 0.5}, unit="HU"
        )
    yesterday = DAY - timedelta(days=1)
    w.examination("A0", "THYROID", "GC1", at("09:00", yesterday))
    w.series("flood.bad", "SPCT1", at("07:30"))
    w.measure("flood.bad", "SPCT1", at("07:30"), None, {}, reason="pixels cannot be blocked")
    w.series("bone.bad", "SPCT1", at("11:50"), phantom=False)
    w.measure("bone.bad", "SPCT1", at("11:50"), None, {}, analysis="clinical", reason="clipped pixels")

    w.examination("A1", "BONE", "SPCT1", at("08:30"))  # clean
    w.examination("A2", "FDG", "PETCT1", at("08:40"), factor=0.72)
    w.examination("A3", "FDG", "PETCT1", at("09:40"), staff={"acquisition": "T04"})
    w.examination("A4", "BONE", "SPCT1", at("08:50"), skip=("identity_check",))
    w.examination("A5", "THYROID", "SPCT1", at("09:00"), moved={"identity_check": at("09:20")})
    w.examination("A6", "BONE", "SPCT1", at("09:10"), uptake_min=110)
    w.order("A7", "BONE", at("10:00"))
    w.order("A7", "BONE", at("10:00"), control="CA", sent=at("09:00"))
    w.order("A8", "BONE", at("09:00", DAY + timedelta(days=1)))
    w.event("adverse.event", at("10:00"), {
        "event_number": "AE1", "accession_number": "A2", "device_id": "PETCT1", "room_id": "INJECTION",
        "category": "extravasation",
        "severity": "minor", "occurred_at_utc": text(at("09:00")), "reported_at_utc": text(at("09:30")), "reported_by": "N01",
        "description": "swelling",
    })  # fmt: skip

    for accession, kcts in (("A1", 900.0), ("A4", 300.0)):
        w.series(f"bone.{accession}", "SPCT1", at("11:45"), phantom=False, accession=accession)
        w.measure(
            f"bone.{accession}", "SPCT1", at("11:45"), "whole_body_bone", {"view_kcts": kcts}, analysis="clinical", unit="kcts",
            accession_number=accession, aspect="counts", region="anterior",
        )  # fmt: skip
    # a patient's thyroid image was tried as a phantom, and a stranger's flood is bad: neither is a finding
    w.series("thyroid.A5", "SPCT1", at("09:45"), phantom=False, accession="A5")
    w.measure("thyroid.A5", "SPCT1", at("09:45"), None, {}, accession_number="A5", reason="no phantom")
    w.series("flood.stranger", "ELSEWHERE", datetime(2011, 5, 5, tzinfo=UTC), phantom=False)
    w.measure("flood.stranger", "ELSEWHERE", datetime(2021, 5, 5, tzinfo=UTC), "planar_uniformity", {"ufov_iu_percent": 9.0})

    start = at("00:00", DAY - timedelta(days=1))
    humid = {at("13:00") + timedelta(minutes=10 * i): 71.0 for i in range(12)}
    gap: dict[datetime, float | None] = {at("03:20"): None, at("03:30"): None}
    w.sensor("ROOM-GC1/temperature", start, AS_OF, 22.0, "Cel", gap)
    w.sensor("ROOM-SPCT1/humidity", start, AS_OF, 45.0, "%", {**humid})
    w.sensor("WAITING/temperature", at("10:30"), AS_OF, 23.0, "Cel")  # began in the middle of a day: no gap
    w.sensor(
        "WAITING/temperature", AS_OF + timedelta(hours=9), AS_OF + timedelta(hours=9, minutes=20), 23.0, "Cel"
    )  # live, after the pin

    w.outcome("M1", "stored")
    w.outcome("M1", "duplicate")
    w.outcome("M2", "quarantined", "no accession number")
    w.outcome("M2", "quarantined", "no patient", sender="LIS")  # its own message of this name
    return w

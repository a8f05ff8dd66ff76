"""Three months of plausible marts for the dashboards' tests: the columns of the dbt contracts, seeded, with faults whose counts are known."""

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

__all__ = ["AS_OF", "DAYS", "FAILING", "columns_of_marts", "make_warehouse"]

MARTS = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "marts"
AS_OF = datetime(2026, 3, 10, 16, 0)
DAYS = 60
DEVICES = {"GC1": "ROOM-GC1", "SPCT1": "ROOM-SPCT1", "PETCT1": "ROOM-PETCT1"}
ROOMS = [*DEVICES.values(), "HOTLAB", "INJECTION", "WAITING"]
FAILING = 6  # findings of severity fail, below
BANDS = {
    "temperature": ("Cel", 22, 18, 26),
    "humidity": ("%", 45, 30, 60),
    "dose_rate": ("uSv/h", 1.2, None, 10),
    "pressure_difference": ("Pa", -12, None, -5),
}
AGENTS = {
    "BONE": ("Tc-99m MDP", "Tc-99m", 740.0),
    "FDG": ("F-18 FDG", "F-18", 370.0),
    "THYROID": ("Tc-99m pertechnetate", "Tc-99m", 185.0),
}


def columns_of_marts() -> dict[str, dict[str, str]]:
    """Return {mart: {column: type}} as the dbt contracts declare them."""
    models = [
        m for path in sorted(MARTS.rglob("*.yml")) for m in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or []
    ]
    return {m["name"]: {c["name"]: c["data_type"] for c in m["columns"]} for m in models}


def make_warehouse(home: Path, name: str = "1", *, extra_findings: int = 0) -> Path:
    """Build a release below `home/warehouse`, publish it by the link `current`, and return its file."""
    folder = home / "warehouse" / "releases" / name
    folder.mkdir(parents=True)
    contracts = columns_of_marts()
    with duckdb.connect(str(folder / "qc.duckdb")) as c:
        c.execute("create schema marts")
        for mart, columns in contracts.items():
            c.execute(f"create table marts.{mart} ({', '.join(f'{n} {t}' for n, t in columns.items())})")
        for mart, rows in _rows(extra_findings).items():
            for row in rows:
                unknown = set(row) - set(contracts[mart])
                assert not unknown, f"{mart} has no column {unknown}"
            names = sorted({n for row in rows for n in row})
            c.executemany(
                f"insert into marts.{mart} ({', '.join(names)}) values ({', '.join('?' * len(names))})",
                [[row.get(n) for n in names] for row in rows],
            )
    draft = home / "warehouse" / ".current"
    draft.symlink_to(Path("releases") / name)
    draft.replace(home / "warehouse" / "current")
    return folder / "qc.duckdb"


def _rows(extra_findings: int) -> dict[str, list[dict[str, Any]]]:
    r = random.Random(7)
    days = [AS_OF - timedelta(days=n, hours=14) for n in range(DAYS)][::-1]  # 10:00 of the site's clock
    out: dict[str, list[dict[str, Any]]] = {}
    _devices(out, r, days)
    _examinations(out, r, days)
    _rooms(out, r)
    _findings(out, extra_findings)
    out["mart_release"] = [
        {
            "release_id": "r1",
            "as_of_utc": AS_OF,
            "built_at_utc": AS_OF,
            "lake_head": "{}",
            "examinations": len(out["fct_examination"]),
            "series": 400,
            "findings": 9,
        }
    ]
    for rows in out.values():
        for row in rows:
            row["site_id"] = "MAIN"
    # one row of another campus: nobody of MAIN may see it
    out["fct_finding"].append(
        {**out["fct_finding"][0], "finding_id": "elsewhere", "site_id": "ELSEWHERE", "reason": "ELSEWHERE-ONLY"}
    )
    return out


def _devices(out: dict[str, list], r: random.Random, days: list[datetime]) -> None:
    tests, states = out.setdefault("fct_phantom_test", []), out.setdefault("mart_device_day", [])

    def test(
        device: str,
        when: datetime,
        procedure: str,
        measure: str,
        unit: str,
        value: float,
        detector: str | None,
        high: float | None,
        low: float | None,
        warn: float | None,
    ) -> str:
        bad = (high is not None and value > high) or (low is not None and value < low)
        verdict = "fail" if bad else "warn" if warn is not None and value > warn else "none" if high is None else "pass"
        key = f"{len(tests):064x}"
        tests.append(
            {
                "run_key": key,
                "procedure": procedure,
                "detector": detector,
                "measure": measure,
                "device_id": device,
                "series_uid": f"1.2.{len(tests)}",
                "value": value,
                "unit": unit,
                "status": "measured",
                "method": "m",
                "method_version": "1",
                "measured_at_utc": when - timedelta(hours=3),
                "recorded_at_utc": when,
                "limit_low": low,
                "limit_high": high,
                "warn_high": warn,
                "limit_version": 1,
                "verdict": verdict,
                "is_current": True,
                "reason": f"{value:.2f} {unit} is outside the limit" if bad else None,
                "picture_href": f"pictures/{key}.png",
            }
        )
        return verdict

    for i, when in enumerate(days):
        for device in DEVICES:
            verdicts = []
            skipped = device == "PETCT1" and i == DAYS - 9
            if device != "PETCT1":
                for head in ("1", "2"):
                    value = r.gauss(2.3, 0.2) + (4 if device == "GC1" and head == "2" and i >= DAYS - 2 else 0)
                    verdicts.append(test(device, when, "planar_uniformity", "ufov_iu_percent", "%", value, head, 5, None, 3))
                    test(device, when, "planar_uniformity", "cfov_iu_percent", "%", value - 0.2, head, 5, None, 3)
                    test(device, when, "planar_uniformity", "binned_pixel_mm", "mm", 6.4, head, None, None, None)
                    if i % 7 == 0:
                        verdicts.append(
                            test(
                                device,
                                when,
                                "centre_of_rotation",
                                "cor_offset_mm",
                                "mm",
                                r.gauss(0, 0.15) + (3 if device == "SPCT1" and i > DAYS - 10 else 0),
                                head,
                                1,
                                -1,
                                None,
                            )
                        )
            if device != "GC1" and not skipped:
                verdicts.append(
                    test(
                        device,
                        when,
                        "ct_water",
                        "water_hu",
                        "HU",
                        r.gauss(0, 0.6) + (6 if device == "PETCT1" and i == DAYS - 1 else 0),
                        None,
                        5,
                        -5,
                        None,
                    )
                )
            state = (
                "not_confirmed"
                if skipped
                else "not_fit"
                if "fail" in verdicts
                else "conditional"
                if "warn" in verdicts
                else "fit"
            )
            states.append(
                {
                    "device_id": device,
                    "day": (when + timedelta(hours=8)).date(),
                    "state": state,
                    "tests_due": 2,
                    "tests_done": len(verdicts),
                    "tests_failed": verdicts.count("fail"),
                    "reason": None
                    if state == "fit"
                    else "a due test is missing"
                    if skipped
                    else "a test of the day failed or warned",
                    "examinations": 8,
                }
            )
    months = sorted({d["day"].replace(day=1) for d in states})
    out["mart_device_month"] = [
        {
            "device_id": d,
            "month": m,
            "examinations": r.randint(120, 260),
            "series": 300,
            "phantom_tests": 40,
            "phantom_fails": r.randint(0, 2),
            "image_quality_mean": r.uniform(82, 99),
            "image_quality_n": 40,
            "days_fit": 28,
            "days_not_fit": 1,
            "days_not_confirmed": 0,
        }
        for d in DEVICES
        for m in months
    ]


def _examinations(out: dict[str, list], r: random.Random, days: list[datetime]) -> None:
    exams, doses, quality, intake = [], [], [], []
    for i, when in enumerate(days):
        for j, (code, (agent, nuclide, mbq)) in enumerate(AGENTS.items()):
            number, device = f"ACC{i:03d}{j}", list(DEVICES)[j]
            at = when + timedelta(minutes=30 * j)
            given = mbq * (0.7 if i == DAYS - 1 and j == 0 else r.gauss(1, 0.03))
            verdict = "fail" if given < 0.9 * mbq else "none" if i == DAYS - 1 else "pass"
            exams.append(
                {
                    "accession_number": number,
                    "exam_code": code,
                    "status": "done",
                    "ordered_at_utc": at,
                    "device_id": device,
                    "room_id": DEVICES[device],
                    "agent": agent,
                    "findings": 0,
                    "verdict": verdict,
                }
            )
            doses.append(
                {
                    "accession_number": number,
                    "agent": agent,
                    "nuclide": nuclide,
                    "prescribed_mbq": mbq,
                    "administered_mbq": given,
                    "deviation_percent": 100 * (given / mbq - 1),
                    "tolerance_percent": 10,
                    "drl_mbq": mbq,
                    "drl_ratio": given / mbq,
                    "administered_at_utc": at,
                    "staff_id": "N01",
                    "verdict": "fail" if given < 0.9 * mbq else "pass",
                    "reason": "30 % below the prescription" if given < 0.9 * mbq else None,
                }
            )
            intake += [
                {
                    "event_id": f"{number}{k}",
                    "channel": ch,
                    "message_id": number,
                    "outcome": "stored",
                    "size_bytes": 900,
                    "received_at_utc": at,
                }
                for k, ch in enumerate(("dicom", "hl7", "events"))
            ]
            if code == "BONE":
                for aspect in ("anterior", "posterior"):
                    kcts = r.gauss(1100, 90) - (500 if i == DAYS - 3 else 0)
                    quality.append(
                        {
                            "run_key": f"{i:064x}",
                            "series_uid": f"1.3.{i}",
                            "aspect": aspect,
                            "region": "whole body",
                            "measure": "view_kcts",
                            "device_id": device,
                            "accession_number": number,
                            "value": kcts,
                            "unit": "kcts",
                            "status": "measured",
                            "method": "m",
                            "method_version": "1",
                            "measured_at_utc": at,
                            "limit_low": 750,
                            "limit_version": 1,
                            "verdict": "fail" if kcts < 750 else "pass",
                            "is_current": True,
                            "picture_href": f"pictures/{i:064x}.png",
                        }
                    )
    intake[3].update(outcome="duplicate", reason="same bytes again")
    intake[4].update(outcome="quarantined", reason="truncated image")
    out.update(fct_examination=exams, mart_administered_activity=doses, fct_image_quality=quality, fct_intake_outcome=intake)
    months = sorted({e["ordered_at_utc"].date().replace(day=1) for e in exams})
    staff = {"T01": "technologist", "T02": "technologist", "N01": "nurse", "D01": "physician"}
    out["mart_staff_month"] = [
        {
            "staff_id": s,
            "staff_role": role,
            "month": m,
            "steps_total": 100 + i,
            "steps_compliant": 97 - i,
            "steps_credential_invalid": 0,
            "steps_credential_unknown": 0,
            "compliance_percent": 97.0,
        }
        for i, (s, role) in enumerate(staff.items())
        for m in months
    ]
    out["mart_credential_validity"] = [
        {
            "staff_id": s,
            "credential": "radiation_worker",
            "role": role,
            "issuer": "Bureau",
            "valid_from_utc": AS_OF - timedelta(days=700),
            "valid_until_utc": AS_OF + timedelta(days=d),
            "days_left": d,
            "state": "expired" if d < 0 else "expires_soon" if d < 30 else "valid",
            "steps_while_invalid": 4 if d < 0 else 0,
        }
        for (s, role), d in zip(staff.items(), (-12, 20, 300, 400), strict=True)
    ]
    out["fct_adverse_event"] = [
        {
            "event_number": "AE-1",
            "accession_number": "ACC0500",
            "device_id": "GC1",
            "room_id": "INJECTION",
            "category": "extravasation",
            "severity": "minor",
            "occurred_at_utc": days[50],
            "reported_at_utc": days[50],
            "reported_by": "N02",
            "description": "Extravasation at the injection site 注射部位外渗",
        }
    ]


def _rooms(out: dict[str, list], r: random.Random) -> None:
    rows = []
    for room in ROOMS:
        for quantity, (unit, centre, low, high) in BANDS.items():
            if quantity == "pressure_difference" and room != "HOTLAB":
                continue
            top = 25 if quantity == "dose_rate" and not room.startswith("ROOM") else high
            for h in range(24 * DAYS):
                at = AS_OF - timedelta(hours=24 * DAYS - h)
                wet = room == "ROOM-SPCT1" and quantity == "humidity" and 24 * 40 <= h < 24 * 40 + 5
                gap = room == "ROOM-PETCT1" and quantity == "temperature" and 24 * 30 <= h < 24 * 30 + 8
                mean = None if gap else centre + r.gauss(0, abs(centre) * 0.02) + (25 if wet else 0)
                got = 0 if gap else 6
                rows.append(
                    {
                        "room_id": room,
                        "quantity": quantity,
                        "hour_utc": at,
                        "sensor_id": f"{room}/{quantity}",
                        "unit": unit,
                        "value_min": mean,
                        "value_mean": mean,
                        "value_max": mean,
                        "slots_expected": 6,
                        "slots_received": got,
                        "completeness_percent": 100 * got / 6,
                        "limit_low": low,
                        "limit_high": top,
                        "limit_version": 1,
                        "verdict": "none" if gap else "fail" if wet else "pass",
                        "reason": None,
                    }
                )
    out["mart_environment_hour"] = rows


def _findings(out: dict[str, list], extra: int) -> None:
    rules = {
        "PHANTOM_LIMIT": (
            "fail",
            "A phantom measure is outside its limit",
            "体模测试结果超出限值",
            "GC1",
            None,
            "ufov_iu_percent 6.41 % is outside the limit of 5 %",
            "at most 5 %",
        ),
        "DOSE_RANGE": (
            "fail",
            "Administered activity is outside the prescribed range",
            "给药活度超出处方允许范围",
            "GC1",
            None,
            "518 MBq given, 740 MBq prescribed",
            "± 10 %",
        ),
        "CREDENTIAL_INVALID": (
            "fail",
            "A step was done by staff without a valid credential",
            "操作人员当时资质无效",
            "SPCT1",
            None,
            "T01: credential expired 12 days before",
            None,
        ),
        "STEP_MISSING": (
            "fail",
            "A mandatory step is missing",
            "必做步骤缺失",
            "PETCT1",
            None,
            "step identity_check was never done",
            None,
        ),
        "PHANTOM_MISSING": (
            "fail",
            "A device was used without its due phantom test",
            "设备在未完成应做体模测试的情况下使用",
            "PETCT1",
            None,
            "ct_water was due",
            None,
        ),
        "ENVIRONMENT_LIMIT": (
            "fail",
            "A room was outside its band",
            "房间环境超出允许范围",
            None,
            "ROOM-SPCT1",
            "humidity 70 % for 5 h",
            "30 to 60 %",
        ),
        "ENVIRONMENT_GAP": (
            "warn",
            "A sensor has a gap",
            "传感器数据有缺口",
            None,
            "ROOM-PETCT1",
            "480 minutes without readings",
            "at least 99 %",
        ),
        "ADVERSE_EVENT": ("warn", "An adverse event was reported", "报告了不良事件", "GC1", "INJECTION", "extravasation", None),
        "INTAKE_DUPLICATE": ("info", "A message or image came twice", "消息或影像重复到达", None, None, "same bytes again", None),
    }
    picture = out["fct_phantom_test"][0]["picture_href"]
    rows = []
    for i, (rule, (severity, en, zh, device, room, reason, limit)) in enumerate(
        [*rules.items(), *list(rules.items())[:1] * extra]
    ):
        rows.append(
            {
                "finding_id": str(i),
                "rule_id": rule,
                "rule_version": 1,
                "severity": severity,
                "subject_kind": "x",
                "subject_id": f"S{i}",
                "device_id": device,
                "room_id": room,
                "occurred_at_utc": AS_OF - timedelta(days=1 + 7 * i),
                "limit_text": limit,
                "title_en": en,
                "title_zh": zh,
                "reason": reason,
                "rank": i + 1,
                "source_mart": "m",
                "picture_href": picture if rule == "PHANTOM_LIMIT" else None,
            }
        )
    out["fct_finding"] = rows


if __name__ == "__main__":
    import sys

    print(make_warehouse(Path(sys.argv[1])))

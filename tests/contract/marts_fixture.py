"""Three months of plausible marts for the dashboards' tests: the columns of the dbt contracts, seeded, with faults whose counts are known."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml
from marts_rows import AS_OF, DAYS, DEVICES, devices, examinations, trends

__all__ = ["AS_OF", "DAYS", "FAILING", "columns_of_marts", "make_warehouse"]

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
MARTS = PROJECT / "models" / "marts"
REGISTERS = ("sites", "exams", "measure_names")  # as dbt loads them into the schema `reference`
ROOMS = [*DEVICES.values(), "HOTLAB", "INJECTION", "WAITING"]
FAILING = 6  # findings of severity fail, below
BANDS = {
    "temperature": ("Cel", 22, 18, 26),
    "humidity": ("%", 45, 30, 60),
    "dose_rate": ("uSv/h", 1.2, None, 10),
    "pressure_difference": ("Pa", -12, None, -5),
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
        c.execute("create schema marts; create schema reference")
        for register in REGISTERS:
            c.execute(f"create table reference.{register} as select * from read_csv('{PROJECT}/seeds/{register}.csv')")
        for mart, columns in contracts.items():
            c.execute(f"create table marts.{mart} ({', '.join(f'{n} {t}' for n, t in columns.items())})")
        for mart, rows in _rows(extra_findings).items():
            for row in rows:
                unknown = set(row) - set(contracts[mart])
                assert not unknown, f"{mart} has no column {unknown}"
            names = sorted({n for row in rows for n in row})
            c.register(
                "these", pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows])
            )  # row by row takes minutes
            c.execute(f"insert into marts.{mart} ({', '.join(names)}) select {', '.join(names)} from these")
            c.unregister("these")
        for mart, register in (("dim_device", "devices"), ("dim_room", "rooms"), ("dim_staff", "staff")):
            c.execute(f"insert into marts.{mart} by name from read_csv('{PROJECT}/seeds/{register}.csv', all_varchar = true)")
    draft = home / "warehouse" / ".current"
    draft.symlink_to(Path("releases") / name)
    draft.replace(home / "warehouse" / "current")
    return folder / "qc.duckdb"


def _rows(extra_findings: int) -> dict[str, list[dict[str, Any]]]:
    r = random.Random(7)
    days = [AS_OF - timedelta(days=n, hours=14) for n in range(DAYS)][::-1]  # 10:00 of the site's clock
    out: dict[str, list[dict[str, Any]]] = {}
    devices(out, r, days)
    examinations(out, r, days)
    trends(out, random.Random(8), days)
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
            "模体测试结果超出限值",
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
            "设备在未完成应做模体测试的情况下使用",
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
        "INTAKE_DUPLICATE": ("info", "A message or image came twice", "消息或图像重复到达", None, None, "same bytes again", None),
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

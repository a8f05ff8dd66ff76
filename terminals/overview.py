"""What the landing page says of the hospital: the published release in one look, and how far intake is ahead of it."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb

from connectors.settings import Settings
from connectors.stores.journal.port import JournalError
from connectors.stores.journal.sqlite import head_of
from judgement import reference
from judgement.days import present_day
from judgement.rows import Consequence, Device, Member, Room
from messages import from_fields

__all__ = ["consequences", "intake_now", "names_of", "overview", "states_today", "worklists"]

FINDINGS = """
select f.severity, f.rule_id, f.rule_version, f.title_en, f.title_zh, f.subject_id, f.device_id, f.room_id, f.accession_number, f.staff_id,
  f.occurred_at_utc, f.value, f.unit, f.limit_text, f.reason, to_json(f) ->> 'reason_code' as reason_code,
  to_json(f) ->> 'reason_args' as reason_args, f.picture_href, f.rank,
  coalesce(d.name_en, f.device_id) as device_en, coalesce(d.name_zh, f.device_id) as device_zh,
  coalesce(r.name_en, f.room_id) as room_en, coalesce(r.name_zh, f.room_id) as room_zh,
  coalesce(s.name_en, f.staff_id) as staff_en, coalesce(s.name_zh, f.staff_id) as staff_zh
from marts.fct_finding f
left join marts.dim_device d on d.site_id = f.site_id and d.device_id = f.device_id
left join marts.dim_room r on r.site_id = f.site_id and r.room_id = f.room_id
left join marts.dim_staff s on s.site_id = f.site_id and s.staff_id = f.staff_id
where f.severity <> 'info' order by f.rank
"""
DEVICES = """
select d.device_id, d.name_en, d.name_zh, y.day, coalesce(y.state, 'not_confirmed') as state, y.reason,
  to_json(y) ->> 'reason_code' as reason_code,
  to_json(y) ->> 'reason_args' as reason_args,
  y.tests_due, y.tests_done, y.examinations
from marts.dim_device d
left join (
  select * from marts.mart_device_day qualify row_number() over (partition by device_id order by day desc) = 1
) y using (device_id)
where d.device_id <> 'UNREGISTERED'
order by
  list_position(['not_fit', 'not_confirmed', 'conditional', 'fit'], coalesce(y.state, 'not_confirmed')), d.device_id
"""
INTAKE = """
select channel, count(*) filter (where outcome = 'stored') as stored, count(*) filter (where outcome = 'duplicate') as duplicate,
  count(*) filter (where outcome = 'quarantined') as quarantined, max(received_at_utc) as last_received_at_utc
from marts.fct_intake_outcome group by channel order by channel
"""
JOURNALS = ("dicom", "hl7", "events", "modbus")


def overview(warehouse: Path) -> dict[str, Any] | None:
    """Return release, counts, findings, devices and intake of the published release; None before the first one.

    The link is resolved and the file opened read-only for this one answer: the next release is another file.
    """
    path = warehouse / "current" / "qc.duckdb"
    return _of_release(path.resolve(), path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(1)
def _of_release(path: Path, changed: int) -> dict[str, Any]:
    """Return the overview of one file, which no build ever changes: who looks again every few seconds gets what was read."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'; set threads = 1")

        def ask(sql: str) -> list[dict[str, Any]]:
            cursor = connection.execute(sql)
            names = [d[0] for d in cursor.description or []]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            return [row | {"reason": from_fields(row)} if "reason" in row else row for row in rows]

        release = ask("select * from marts.mart_release")
        counts = {r["severity"]: r["n"] for r in ask("select severity, count(*) as n from marts.fct_finding group by severity")}
        return {
            "release": release[0] if release else None,
            "counts": {s: counts.get(s, 0) for s in ("fail", "warn", "info")},
            "findings": ask(FINDINGS), "devices": ask(DEVICES), "intake": ask(INTAKE),
        }  # fmt: skip


def intake_now(journals: Path, lake_head: str | None) -> dict[str, dict[str, int | None]]:
    """Return by journal how many events it holds now and how many of them are not in the release yet (None: not known)."""
    try:
        heads = json.loads(lake_head or "{}")
    except ValueError:
        heads = {}
    found: dict[str, dict[str, int | None]] = {}
    for name in JOURNALS:
        path = journals / f"{name}.db"
        if not path.exists():
            continue
        try:
            now: int | None = head_of(path)
        except JournalError:
            now = None
        known = heads.get(name) if isinstance(heads, dict) else None
        waiting = max(0, now - known) if now is not None and isinstance(known, int) else None
        found[name] = {"events": now, "waiting": waiting}
    return found


def worklists(folder: Path) -> dict[str, Any] | None:
    """Return what the DICOM node does about each device's worklist, held ones first, how often it refused strangers, and which
    orders it can offer to nobody.

    None when it never said, or cannot be read.
    """
    order = ("held", "warned", "offered")
    try:
        told = json.loads((folder / "holds.json").read_text(encoding="utf-8"))
        names = {d.device_id: {"name_en": d.name_en, "name_zh": d.name_zh} for d in reference.read(Device)}
        staff = {m.staff_id: {"by_en": m.name_en, "by_zh": m.name_zh} for m in reference.read(Member)}
        rows = [
            {
                "name_en": d,
                "name_zh": d,
                **names.get(d, {}),
                **row,
                **staff.get(row.get("overridden_by"), {}),
                "reason": from_fields(row),
            }
            for d, row in told["devices"].items()
        ]
        rows.sort(key=lambda r: (order.index(r["action"]), r["device_id"]))
        left_out = [{"accession_number": r["accession_number"], "reason": from_fields(r)} for r in told.get("not_offered", [])]
        return {
            "devices": rows, "refused": sum(told["refused"].values()),
            "not_offered": left_out, "not_offered_count": told.get("not_offered_count", 0),
        }  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def states_today(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return today's state of each device with its due tests that have no pass; {} when nobody knows: then the page says not confirmed."""
    try:
        told = json.loads((settings.worklist / "states.json").read_text(encoding="utf-8"))
        of_today = told["site_id"] == settings.site_id and told["day"] == str(present_day(settings.now(), settings.zone))
        return {d: {"tests": (), **s, "reason": from_fields(s)} for d, s in told["devices"].items()} if of_today else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def consequences() -> dict[str, str]:
    """Return whom the findings of each rule may harm; {} when that cannot be read: the page comes up in any case."""
    try:
        return {r.rule_id: r.consequence for r in reference.read(Consequence)}
    except (OSError, ValueError):
        return {}


def names_of(kind: type[Device] | type[Room]) -> dict[str, dict[str, str]]:
    """Return {id: its names in both languages} of the devices or rooms; {} when they cannot be read: the page comes up in any case."""
    try:
        rows = reference.read(kind)
    except (OSError, ValueError):
        return {}
    return {r.device_id if isinstance(r, Device) else r.room_id: {"name_en": r.name_en, "name_zh": r.name_zh} for r in rows}

"""`watch`: the state of each room's environment now, by the stream in `spark_jobs/jobs/supervise.py`."""

import json
import time
import warnings
from typing import Any

from connectors.settings import Settings
from judgement import reference
from judgement.environment import WORST_FIRST
from messages import because, both, from_fields
from spark_jobs.jobs.supervise import changes, supervised

__all__ = ["current", "run", "table"]

LOOK_S = 0.5
NOT_HEARD = "not_heard"  # registered, and no reading yet
CHINESE = {
    "normal": "正常", "abnormal": "异常", "overload": "过载", "bad_quality": "数据不可用", "silent": "无数据", "no_limit": "无限值",
    "unknown": "未登记", NOT_HEARD: "尚未收到数据",
}  # fmt: skip
Row = dict[str, Any]


def run(settings: Settings, once: bool, as_json: bool) -> None:
    """Watch until interrupted and tell each change; `once`: take what waits. Print the state of all rooms, first or at the end.

    JSON is one array with `once`, and a line a row without.
    """
    warnings.filterwarnings("ignore", r"\[RETRIES_EXCEEDED")  # that Spark is gone is said in a sentence of ours
    seen = changes(settings)
    if not once:
        print("\n".join(map(_json, current(settings, seen))) if as_json else table(current(settings, seen)), flush=True)
    with supervised(settings, once) as query:
        while True:
            running = query.isActive
            fresh = changes(settings, seen[-1]["batch"] if seen else -1)
            seen += fresh
            for row in fresh if not once else ():
                print(_json(row) if as_json else _line(row), flush=True)
            if not running:
                break
            time.sleep(LOOK_S)
        failure = query.exception()
        if failure is not None:
            raise RuntimeError(_innermost(str(failure)))
    if once:
        rows = current(settings, seen)
        print(json.dumps(rows, indent=1, default=str, ensure_ascii=False) if as_json else table(rows))


def current(settings: Settings, seen: list[Row]) -> list[Row]:
    """Return a row for each sensor, registered or not: its last change, or that nothing is known of it; by room, the worst first."""
    last = {(r["site_id"], r["room_id"], r["quantity"], r["sensor_id"]): r for r in seen}
    rules = reference.rules()
    for s in rules.of_site(settings.site_id):
        key = (settings.site_id, s.room_id, s.quantity, s.sensor_id)
        about: Row = dict(zip(("site_id", "room_id", "quantity", "sensor_id"), key, strict=True))
        nothing = dict.fromkeys(("value", "unit", "since_utc", "reason"))
        last.setdefault(key, {**about, "devices": rules.devices.get(s.room_id, ""), "state": NOT_HEARD, **nothing})
    order = (*WORST_FIRST[:-1], NOT_HEARD, WORST_FIRST[-1])
    return sorted(last.values(), key=lambda r: (r["room_id"], order.index(r["state"]), r["quantity"], r["sensor_id"]))


def table(rows: list[Row]) -> str:
    """Return the rows as text for a person, room by room."""
    lines, room = [], None
    for r in rows:
        if r["room_id"] != room:
            room = r["room_id"]
            lines.append(f"{room} ({r['devices']})" if r["devices"] else room)
        lines.append("  " + _line(r))
    return "\n".join(lines)


def _json(row: Row) -> str:
    return json.dumps(row, default=str, ensure_ascii=False)


def _line(row: Row) -> str:
    since = f"since 自 {row['since_utc']:%Y-%m-%d %H:%M:%S} UTC" if row["since_utc"] else ""
    value = f", then 当时 {row['value']:g} {row['unit']}" if row["value"] is not None else ""
    head = f"{row['sensor_id']:<28} {row['state'] + ' ' + CHINESE[row['state']]:<18} {since}{value}".rstrip()
    return head + (f"\n      {both(from_fields(row) or '', chr(10) + '      ')}" if row["reason"] else "")


def _innermost(text: str) -> str:
    """Return the sentence of the error that ended the query, without Spark's and Python's frames around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [
        line for line in lines if line.startswith(("OSError: ", "RuntimeError: ", "connectors.", "ValueError: ", "KeyError: "))
    ]
    return said[-1].partition(": ")[2] if said else (lines[0] if lines else because("environment.query_ended"))[:500]

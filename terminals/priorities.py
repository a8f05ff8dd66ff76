"""What stands first on the status page: devices and what holds them, findings by whom they may harm, rooms with an alarm, the headline."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

__all__ = ["CONSEQUENCES", "devices_now", "grouped", "headline", "rooms_with_alarm"]

CONSEQUENCES = (
    "patient",
    "image",
    "staff",
    "records",
)  # gravest first; what no row of rule_consequences names is a matter of records
SHOWN = 10  # findings that are seen without opening anything; of each consequence at least the gravest
ALARMS = ("ENVIRONMENT_LIMIT", "ENVIRONMENT_SILENT")
Row = dict[str, Any]


def devices_now(
    worklists: Row | None, states: Row, released: Iterable[Row], findings: Iterable[Row], images: set[str]
) -> list[Row]:
    """Return a row a device, held ones first: what it is offered and its state now; what is not known now is the release's.

    Parameters
    ----------
    worklists
        Of `overview.worklists`; None when the node never said.
    states
        Today's states by device, with the due tests that have no pass.
    released
        The devices of the release, with their newest day.
    findings
        All findings of the release, gravest first; those about a device's images are named at it.
    images
        The rules whose findings are about images.
    """
    by_release = {r["device_id"]: r for r in released}
    by_node = {r["device_id"]: r for r in (worklists or {"devices": []})["devices"]}
    said: dict[str, dict[str, Row]] = {}
    for f in findings:
        if f["device_id"] and f["rule_id"] in images:
            mine = said.setdefault(f["device_id"], {})
            kept = mine.setdefault(
                f["rule_id"], {"title_en": f["title_en"], "title_zh": f["title_zh"], "anchor": f"finding-{f['rank']}", "n": 0}
            )
            kept["n"] += 1
    rows = []
    for device in {**by_node, **by_release}:
        node, release, state = by_node.get(device), by_release.get(device, {}), states.get(device, {})
        now = node or {k: state[k] for k in ("state", "reason") if k in state}
        row = {
            "device_id": device, "name_en": device, "name_zh": device, "action": None, "override_id": None, "policy_id": None,
            "day": None, "tests_due": None, "tests_done": None, "state": "not_confirmed", "reason": None, **release, **now,
            "findings": list(said.get(device, {}).values())[:4],
        }  # fmt: skip
        due = list(state.get("tests", ()))
        row["tests"] = [t["procedure"] for t in due if t.get("state") == row["state"]] or [t["procedure"] for t in due]
        rows.append(row)
    order = {"held": 0, "warned": 2, "offered": 3, None: 3}
    states_in_order = {"not_fit": 0, "not_confirmed": 1, "conditional": 2, "fit": 3}
    return sorted(rows, key=lambda r: (order[r["action"]], states_in_order[r["state"]], r["device_id"]))


def grouped(findings: list[Row], consequences: dict[str, str]) -> list[Row]:
    """Return the findings by consequence, gravest consequence first; nothing is left out.

    Returns
    -------
    list of dict
        `consequence`, `n`, `shown` (ordered by device, then rank) and `rest`: [{"name", "findings"}] a device or room; `rest_n`.
    """
    of = {f["rank"]: consequences.get(f["rule_id"], "records") for f in findings}
    first = [next((f for f in findings if of[f["rank"]] == c), None) for c in CONSEQUENCES]
    seen = [f["rank"] for f in first if f is not None]
    seen += [f["rank"] for f in findings if f["rank"] not in seen][: max(0, SHOWN - len(seen))]
    out = []
    for consequence in CONSEQUENCES:
        mine = [f for f in findings if of[f["rank"]] == consequence]
        best: dict[str, int] = {}
        for f in mine:
            best.setdefault(_place(f), f["rank"])
        mine.sort(key=lambda f: (best[_place(f)], f["rank"]))
        rest: dict[str, list[Row]] = {}
        for f in mine:
            if f["rank"] not in seen:
                rest.setdefault(_place(f), []).append(f)
        if mine:
            out.append(
                {
                    "consequence": consequence, "n": len(mine), "shown": [f for f in mine if f["rank"] in seen],
                    "rest": [{"name": name, "findings": some} for name, some in rest.items()], "rest_n": sum(map(len, rest.values())),
                }
            )  # fmt: skip
    return out


def rooms_with_alarm(findings: list[Row], release: Row | None, names: dict[str, Row]) -> list[Row]:
    """Return the rooms that are outside their band or not heard on the last day of the release, with why."""
    if release is None or release["as_of_utc"] is None:
        return []
    since = release["as_of_utc"] - timedelta(days=1)
    rooms: dict[str | None, list[Row]] = {}
    for f in findings:
        if f["rule_id"] in ALARMS and (
            f["rule_id"] == "ENVIRONMENT_SILENT" or (f["occurred_at_utc"] and f["occurred_at_utc"] >= since)
        ):
            rooms.setdefault(f["room_id"], []).append(f)
    unnamed = {"name_en": None, "name_zh": None}
    return [{"room_id": room, **unnamed, **names.get(room or "", {}), "alarms": some} for room, some in rooms.items()]


def headline(
    t: dict[str, str], counts: Row | None, devices: list[Row], rooms: list[Row], services: list[Row], tests_known: bool
) -> Row:
    """Return `level` (bad, warn, good or ""), `alarms` (what must be acted on, gravest first), `lines` and `text` where there is no alarm."""
    loud = sum(d["action"] == "held" or d["state"] == "not_fit" for d in devices)
    broken = [s for s in services if s.get("state") in ("down", "failed") or s.get("reason")]
    told = (
        ("devices", loud), ("fail", (counts or {}).get("fail", 0)), ("rooms", len(rooms)), ("services", len(broken)),
    )  # fmt: skip
    alarms = [t[f"lead_{name}_one"] if n == 1 else t[f"lead_{name}"].format(n=n) for name, n in told if n]
    if not tests_known:
        alarms.append(t["lead_unknown"])
    warned = (counts or {}).get("warn", 0) or any(d["state"] in ("not_confirmed", "conditional") for d in devices)
    text = t["no_release"] if counts is None else t["lead_warn"].format(n=counts["warn"]) if warned else t["lead_good"]
    level = "bad" if alarms else "" if counts is None else "warn" if warned else "good"
    return {"level": level, "alarms": alarms, "text": text, "lines": [s["reason"] for s in broken if s.get("reason")][:3]}


def _place(finding: Row) -> str:
    return finding["device_id"] or finding["room_id"] or ""

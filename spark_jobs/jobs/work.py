"""What waits to be measured: each series and each report, with what it has to be looked at together; found without opening an image.

Two series of one phantom (registration), a report and the first of its scanner (baseline), a series and the sheet of its activities:
what comes late gives what was there another run key, so that it is measured again and the newer run holds.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.settings import Settings
from judgement import reference
from judgement.days import local_day
from judgement.devices import UNREGISTERED, device_of
from judgement.rows import Component, Device, Switch
from judgement.switches import reasons, said_of, switched_off
from messages import because
from spark_jobs.jobs.work_item import WorkItem, utc
from spark_jobs.measure import methods_digest
from spark_jobs.procedures import TOLD_BY
from spark_jobs.procedures.clinical.header import CLASSES

__all__ = ["is_clinical", "recorded", "run_key", "waiting"]

SERIES, REPORT = "dicom.series", "device.report"
NEWEST = """
SELECT site_id, recorded_at_utc, occurred_at_utc, data FROM read_parquet($glob, hive_partitioning = false, union_by_name = true)
QUALIFY row_number() OVER (PARTITION BY site_id, json_extract_string(data, $identity) ORDER BY journal_offset DESC) = 1
ORDER BY recorded_at_utc, journal_offset"""
PAIR_WITHIN = timedelta(hours=4)  # between the acquisitions of two series that are compared
NAMES = ("series_uid", "study_uid", "accession_number")  # by which a sheet names the series that it tells of
AS_THEY_ARE = (
    "site_id", "day", "series_uid", "modality", "study_uid", "accession_number", "station_name", "device_serial", "manufacturer", "model",
    "kind", "refusal", "elsewhere",
)  # fmt: skip
Facts = dict[str, Any]


def waiting(settings: Settings, analysis: str, series: str | None = None) -> list[WorkItem]:
    """Return the newest state of each series and report of this analysis whose run key has no file in the lake, oldest first.

    Parameters
    ----------
    series
        Return this one alone, also when it was measured before.
    """
    if not (settings.lake / "events").is_dir():
        return []
    states = [s for s in _series(settings) if is_clinical(s) == (analysis == "clinical")]
    if analysis == "phantom":
        reports = _reports(settings)
        states = sorted(_with_sheets(_paired(states), reports) + _reported(reports, states), key=lambda s: s["recorded_at_utc"])
    switches, components = reference.switches(), reference.read(Component)
    done = {p.stem for p in (settings.lake / "measures").glob("site_id=*/day=*/*.parquet")}
    out = []
    for facts in states:
        if series in (None, facts["series_uid"]):
            acquired = utc(datetime.fromisoformat(facts["acquired_at_utc"])) if facts.get("acquired_at_utc") else None
            # by the day of acquisition, as limits are: a rebuild years later finds the same procedures off
            day = str(local_day(acquired or facts["recorded_at_utc"], settings.zone))
            off = switched_off(switches, components, facts["site_id"], day)
            key = run_key(analysis, _digests(facts), [i["sha256"] for i in facts.get("beside", ())], said_of(off))
            if key not in done or series:
                out.append(_item(facts, key, acquired, off))
    return out


def _item(facts: Facts, key: str, acquired: datetime | None, off: Sequence[Switch]) -> WorkItem:
    same: Facts = {name: facts.get(name) for name in AS_THEY_ARE}
    objects, beside = (tuple(i["object_key"] for i in facts.get(name, ())) for name in ("instances", "beside"))
    return WorkItem(
        key, recorded_at=facts["recorded_at_utc"], acquired_at=acquired, objects=objects, beside=beside, off=reasons(off),
        switched_off=said_of(off), **same,
    )  # fmt: skip


def recorded(settings: Settings, analysis: str, first: datetime | None, last: datetime | None) -> list[str]:
    """Return the series and reports of this analysis of which a state was recorded from `first` on until before `last`, oldest first."""
    import duckdb

    sql = "SELECT data, recorded_at_utc FROM read_parquet($glob, hive_partitioning = false) ORDER BY recorded_at_utc"
    wanted: dict[str, datetime] = {}
    for type_ in (SERIES, REPORT) if analysis == "phantom" else (SERIES,):
        if not (settings.lake / "events" / f"type={type_}").is_dir():
            continue
        for text, moment in duckdb.sql(sql, params={"glob": f"{settings.lake}/events/type={type_}/**/*.parquet"}).fetchall():
            facts, at = json.loads(text), utc(moment)
            if (first is None or at >= first) and (last is None or at < last):
                if type_ == REPORT:
                    wanted.setdefault(f"report/{facts['sha256']}", at)
                elif is_clinical(facts) == (analysis == "clinical"):
                    wanted.setdefault(facts["series_uid"], at)
    return sorted(wanted, key=lambda uid: wanted[uid])


def run_key(analysis: str, sha256s: Iterable[str], beside: Iterable[str] = (), switched_off: str | None = None) -> str:
    """Return the SHA-256 of the analysis, the digest of all method versions and the sorted digests of the inputs.

    `beside` are the digests of what the inputs are looked at together with: they follow, sorted, after a line of their own;
    so does what was switched off, if anything was.
    """
    others = sorted(beside)
    lines = [analysis, methods_digest(), *sorted(sha256s), *(["beside", *others] if others else [])]
    lines += ["off", switched_off] if switched_off else []
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def is_clinical(facts: Facts) -> bool:
    """Return whether a series goes to the clinical analysis; everything else is tried as a phantom.

    Whole bodies and gated tomograms of patients do; other classes only when an order or protocol names an examination that this class
    of image is measured for, because a clinical image that could not be measured is a finding.
    """
    if facts["is_phantom"]:
        return False
    values = (facts.get("image_type") or "").upper().split("\\")
    kind = values[2].strip() if len(values) > 2 else None
    if facts["modality"] == "NM" and ("WHOLE BODY" in values or kind in (None, "GATED TOMO")):
        return True
    asked = [CLASSES[code] for code in facts.get("protocol_codes") or () if code in CLASSES]
    return any(facts["modality"] == modality and (not kinds or kind in kinds) for modality, kinds in asked)


def _series(settings: Settings) -> list[Facts]:
    return _newest(settings, SERIES, "$.series_uid")


def _reports(settings: Settings) -> list[Facts]:
    """Return the reports, in the form of series of one object: `report/<digest>` stands for the UID, modality DOC for a document."""
    out = []
    if (settings.lake / "events" / f"type={REPORT}").is_dir():  # a lake of before has none
        for facts in _newest(settings, REPORT, "$.sha256"):
            instance = {"object_key": facts["object_key"], "sha256": facts["sha256"]}
            named = {f"of_{k}": facts.pop(k) for k in NAMES}
            own = {"series_uid": f"report/{facts['sha256']}", "modality": "DOC", "is_phantom": True, "instances": [instance]}
            out.append({**facts, **named, **own, **_device(facts)})
    return out


def _newest(settings: Settings, type_: str, identity: str) -> list[Facts]:
    import duckdb  # here, not above: it starts a thread, and Spark's workers are forked from a process that has loaded this module

    glob = f"{settings.lake}/events/type={type_}/**/*.parquet"
    rows = duckdb.sql(NEWEST, params={"glob": glob, "identity": identity}).fetchall()
    return [
        {**json.loads(text), "recorded_at_utc": utc(recorded), "day": f"{utc(occurred):%Y-%m-%d}", "site_id": site_id}
        for site_id, recorded, occurred, text in rows
    ]


def _device(facts: Facts) -> Facts:
    """Return the device of a report: what the sender named when it is registered, else what the document says of itself."""
    said = facts["device_serial"], facts["station_name"]
    declared = facts["device_id"]
    devices = reference.read(Device)
    own = device_of(*said, devices) if any(said) else UNREGISTERED
    named = device_of(None, declared, devices) if declared else UNREGISTERED
    if named == UNREGISTERED or own == named:
        return {} if any(said) else {"station_name": declared}
    if own != UNREGISTERED:
        return {"refusal": because("report.device_contradicts", named=own, sent_as=named)}
    return {"station_name": declared, "device_serial": None}


def _digests(facts: Facts) -> list[str]:
    """Return the digests of the inputs; to whom a sender says that a report belongs is one."""
    device = [f"device {facts['device_id']}"] if facts.get("device_id") else []
    return [*(i["sha256"] for i in facts["instances"]), *device]


def _paired(states: Sequence[Facts]) -> list[Facts]:
    """Return the series, each phantom's with those of another modality that may show the same phantom in the same place."""
    near: dict[tuple[str, ...], list[Facts]] = defaultdict(list)
    for s in states:
        if s["is_phantom"] and s["modality"] in ("CT", "NM", "PT"):
            for place in _places(s):
                near[place].append(s)
    out = []
    for s in states:
        found = {o["series_uid"]: o for place in _places(s) for o in near.get(place, ()) if _may_be_pair(s, o)}
        out.append(_beside(s, [found[uid] for uid in sorted(found)]))
    return out


def _places(facts: Facts) -> list[tuple[str, ...]]:
    """Return what two series must share to be of one place: the frame of reference, or study and device."""
    frame = facts.get("frame_of_reference_uid")
    devices = [f"serial {facts['device_serial']}"] if facts["device_serial"] else []
    devices += [f"station {facts['station_name']}"] if facts["station_name"] else []
    return [
        *([(facts["site_id"], "frame", frame)] if frame else []),
        *((facts["site_id"], "study", facts["study_uid"], d) for d in devices),
    ]


def _may_be_pair(one: Facts, other: Facts) -> bool:
    if not one["is_phantom"] or "CT" not in (one["modality"], other["modality"]) or one["modality"] == other["modality"]:
        return False
    kinds = {s["modality"]: (s.get("image_type") or "").upper() for s in (one, other)}
    if "LOCALIZER" in kinds["CT"] or "RECON TOMO" not in kinds.get("NM", "RECON TOMO"):
        return False
    times = [s["acquired_at_utc"] for s in (one, other)]
    if not all(times):
        return False
    first, second = (utc(datetime.fromisoformat(t)) for t in times)
    return abs(first - second) <= PAIR_WITHIN


def _with_sheets(states: Sequence[Facts], reports: Sequence[Facts]) -> list[Facts]:
    """Return the series, each with the newest sheet of each kind that names it."""
    sheets: dict[tuple[str, ...], dict[str, Facts]] = defaultdict(dict)
    for r in reports:  # oldest first
        name = _name(r)
        if name:
            sheets[name][r["kind"]] = r
    return [_beside(s, [r for k in NAMES for r in sheets.get((s["site_id"], k, s.get(k) or ""), {}).values()]) for s in states]


def _name(report: Facts) -> tuple[str, str, str] | None:
    """Return by which name and value a sheet names its series; None for a report that stands for itself."""
    if report["kind"] not in TOLD_BY:
        return None
    return next(((report["site_id"], k, report[f"of_{k}"]) for k in NAMES if report[f"of_{k}"]), None)


def _reported(reports: Sequence[Facts], states: Sequence[Facts]) -> list[Facts]:
    """Return the reports: each with the earliest of its kind and device, or with the name of the series that it tells of."""
    known = {(s["site_id"], k, s.get(k) or ""): s for s in states for k in NAMES}
    earliest: dict[tuple[Any, ...], Facts] = {}
    for r in sorted(reports, key=lambda r: (r["acquired_at_utc"], r["sha256"])):
        earliest.setdefault(_scanner(r), r)
    out = []
    for r in reports:
        name = _name(r)
        series = known.get(name) if name else None
        first = earliest[_scanner(r)]
        if series is not None:
            told = because("series.values_elsewhere", series=series["series_uid"])
            out.append({**_beside(r, [series]), "elsewhere": told})
        else:
            out.append(_beside(r, [first] if first["acquired_at_utc"] < r["acquired_at_utc"] else []))
    return out


def _scanner(report: Facts) -> tuple[Any, ...]:
    return tuple(report[k] for k in ("site_id", "kind", "device_serial", "station_name"))


def _beside(facts: Facts, others: Sequence[Facts]) -> Facts:
    """Return a series with what it is looked at together; it counts as recorded when the last of them was."""
    if not others:
        return facts
    beside = [*facts.get("beside", ()), *(i for o in others for i in o["instances"])]
    return {**facts, "beside": beside, "recorded_at_utc": max(s["recorded_at_utc"] for s in (facts, *others))}

"""Rows of devices and examinations for `marts_fixture`."""

import random
from datetime import datetime, timedelta

__all__ = ["AS_OF", "DAYS", "DEVICES", "devices", "examinations", "trends"]

AS_OF = datetime(2026, 3, 10, 16, 0)
DAYS = 60
DEVICES = {"GC1": "ROOM-GC1", "SPCT1": "ROOM-SPCT1", "PETCT1": "ROOM-PETCT1"}
AGENTS = {
    "BONE": ("Tc-99m MDP", "Tc-99m", 740.0),
    "FDG": ("F-18 FDG", "F-18", 370.0),
    "THYROID": ("Tc-99m pertechnetate", "Tc-99m", 185.0),
}


def devices(out: dict[str, list], r: random.Random, days: list[datetime]) -> None:
    """Add phantom tests, device-days and device-months."""
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


def examinations(out: dict[str, list], r: random.Random, days: list[datetime]) -> None:
    """Add examinations, doses, image quality, intake, staff and adverse events."""
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
    out["fct_examination_step"] = [
        {"accession_number": "ACC0500", "step": step, "occurrence": 1, "state": state, "started_at_utc": days[50], "staff_id": "T01",
         "credential_valid": True, "device_id": "GC1"}
        for step, state in (("injection", "done"), ("positioning", "out_of_order"))
    ]  # fmt: skip
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
            "description": "Extravasation at the injection site",
        }
    ]


def trends(out: dict[str, list], r: random.Random, days: list[datetime]) -> None:
    """Add what is charted: GC1 drifts from the 45th day on, its health follows, one test is overdue, one device has peers."""
    points = out.setdefault("mart_trend_point", [])
    for device in ("GC1", "SPCT1"):
        for n, when in enumerate(days, 1):
            drifting = device == "GC1" and n > 45
            trend = {"trend_id": f"t-{device}", "subject_kind": "device", "subject_id": device, "procedure": "planar_uniformity"}
            measured = 1.8 + r.gauss(0, 0.05) + 0.15 * drifting
            value = {"measure": "cfov_iu_percent", "detector": "1", "value": measured, "unit": "%"}
            chart: dict = {"is_baseline": n <= 30, "is_beyond": device == "GC1" and n > 50}
            if n > 30:  # the first thirty are the baseline
                chart |= {"baseline_value": 1.8, "baseline_sigma": 0.05, "z": (measured - 1.8) / 0.05}
            points.append({**trend, **value, **chart, "n": n, "measured_at_utc": when, "day": when.date()})
    points[45]["device_event"] = "maintenance"
    out["fct_device_event"] = [
        {"event_id": f"e{n}", "device_id": "GC1", "kind": kind, "started_at_utc": days[44], "occurred_at_utc": days[44] + timedelta(hours=n),
         "staff_id": staff, "note": note, "recorded_at_utc": days[45]}
        for n, (kind, staff, note) in enumerate((("calibration", "P01", None), ("maintenance", "P01", "yearly"), ("held", None, None)), 1)
    ]  # fmt: skip
    moved = {
        "state": "drift",
        "direction": "up",
        "start_at_utc": days[45],
        "flagged_at_utc": days[50],
        "shift": 0.15,
        "matters": True,
    }
    same = {
        "subject_kind": "device",
        "procedure": "planar_uniformity",
        "measure": "cfov_iu_percent",
        "is_current": True,
        "unit": "%",
    }
    reason = "cfov_iu_percent of 1 went up from 1.8 by 0.15 %"
    out["mart_drift"] = [
        {**same, **moved, "trend_id": "t-GC1", "subject_id": "GC1", "baseline_value": 1.8, "reason": reason},
        {**same, "state": "in_control", "trend_id": "t-SPCT1", "subject_id": "SPCT1", "baseline_value": 1.8},
    ]
    out["mart_device_health"] = [
        {
            "device_id": device,
            "day": when.date(),
            "contribution": contribution,
            "points_lost": 15.0 if (lost := device == "GC1" and n > 50) and contribution == "drift" else 0.0,
            "at_most": 30.0,
            "score": 85.0 if lost else 100.0,
            "reason": reason if lost and contribution == "drift" else None,
        }
        for device in DEVICES
        for n, when in enumerate(days, 1)
        for contribution in ("phantom", "drift", "environment", "faults")
    ]
    today = AS_OF.date()
    out["mart_phantom_due"] = [
        {"device_id": d, "procedure": "centre_of_rotation", "every_days": 7, "next_due_day": today + timedelta(days=left),
         "days_left": left, "state": "overdue" if left < 0 else "ok", "last_result": "pass", "last_test_at_utc": AS_OF - timedelta(days=7 - left)}
        for d, left in (("GC1", -2), ("SPCT1", 3))
    ]  # fmt: skip
    out["mart_peer_position"] = [
        {"device_id": d, "procedure": "ct_water", "measure": "water_hu", "peer_group": "g", "measured_at_utc": days[-1], "value": v,
         "unit": "HU", "peers": n, "peer_median": 0.1 if n > 2 else None, "robust_z": z, "position": p, "matters": p == "outlier", "reason": why}
        for d, v, n, z, p, why in (
            ("PETCT1", 4.0, 3, 6.5, "outlier", "4 HU against a median of 0.1 HU"), ("SPCT1", 0.2, 1, None, "too_few", "fewer than three peers"))
    ]  # fmt: skip

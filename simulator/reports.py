"""The PET scanner's own report of its daily check, as its vendor writes it: an XML file that somebody hands in after the check."""

import base64
import hashlib
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from simulator.events import event
from simulator.hospital import LOCAL
from simulator.plan import Plan, dice

__all__ = ["DEAD_BLOCK", "day_reports", "report_sha256"]

DEVICE = "PETCT1"
BLOCKS, DEAD_BLOCK = 192, 50  # 1-based


def day_reports(plan: Plan, day: date) -> list[dict[str, Any]]:
    """Return the reports of one day: of the first, and of the live one, whose report shows a dead block."""
    if day not in (plan.working[0], plan.day):
        return []
    content = _report(plan, day)
    out = event("device.report", f"report/{DEVICE}/{day}", DEVICE, _moment(day), {})
    del out["data"]
    return [{**out, "datacontenttype": "application/xml", "data_base64": base64.b64encode(content).decode()}]


def report_sha256(plan: Plan, day: date) -> str:
    """Return the digest by which the platform knows the report."""
    return hashlib.sha256(_report(plan, day)).hexdigest()


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(7, 15), LOCAL)


def _report(plan: Plan, day: date) -> bytes:
    rng = dice(plan.seed, "daily", day)
    blocks = 0.5 * (1 + 0.01 * np.clip(rng.standard_normal(BLOCKS), -2.5, 2.5))
    if day == plan.day:
        blocks[DEAD_BLOCK - 1] = 0
    at = _moment(day)
    values = "".join(f"<bValue>{v:.4f}</bValue>" for v in blocks)
    items = [
        _item("eScatterRatio", 31 + rng.uniform(-0.3, 0.3), "%", 28, 35),
        _item("fECF", 2.76e7 * (1 + rng.uniform(-0.005, 0.005)), "Bq*s/ECAT counts", 2e7, 4e7),
        _item("lTAResidual", 1.1 + rng.uniform(-0.1, 0.1), "mm", 0, 2),
    ]
    return (
        f'<?xml version="1.0" encoding="utf-8"?><SystemQualityReport><BlockEfficiency><aBlockNumber>{BLOCKS}</aBlockNumber>'
        f"<bValues>{values}</bValues></BlockEfficiency><aTitle>SystemQuality</aTitle><bScandate>{at.isoformat()}</bScandate>"
        rf"<dInputforComputation><aDailySinoLocation>\\{DEVICE}\QC\{day:%Y%m%d}.s</aDailySinoLocation><cLastSuccessfulSetup>"
        f"<LastSetupDateTime>{(at - timedelta(days=3)).isoformat()}</LastSetupDateTime></cLastSuccessfulSetup>"
        f"<dICSName>{DEVICE}</dICSName></dInputforComputation><eResults><aSystemQualityResults>Passed</aSystemQualityResults>"
        f"</eResults><fDetailedSystemQualityReport><aItem>{''.join(items)}</aItem></fDetailedSystemQualityReport></SystemQualityReport>"
    ).encode()


def _item(tag: str, value: float, unit: str, low: float, high: float) -> str:
    def amount(name: str, number: float) -> str:
        return f"<{name}><aValue>{number:.6g}</aValue><bMeasure>{unit}</bMeasure></{name}>"

    inside = amount("aUpperBound", high) + amount("bLowerBound", low) + amount("cBlkValue", value)
    return f"<{tag}>{inside}<dDecision>Passed</dDecision></{tag}>"

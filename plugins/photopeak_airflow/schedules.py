"""What all DAGs of the platform have in common, said once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.definitions.asset import BaseAsset

__all__ = ["COMMON", "OWNERS", "TAGS", "woken_by"]

TAGS = frozenset({"intake", "analysis", "warehouse", "attestation"})  # a DAG takes its tags from here
OWNERS = frozenset({"data-team"})
COMMON: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,  # every job does all that waits: a missed run needs no run of its own
    "max_active_runs": 1,
    "default_args": {
        "owner": "data-team",
        "retries": 3,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(hours=1),
    },
}


def woken_by(assets: BaseAsset, otherwise: str) -> AssetOrTimeSchedule:
    """Return a schedule that runs when an asset is updated, and also by the clock, which tries a failed run again."""
    return AssetOrTimeSchedule(timetable=CronTriggerTimetable(otherwise, timezone="UTC"), assets=assets)

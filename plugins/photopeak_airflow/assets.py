"""The assets through which DAGs wake each other. An event says "look", never at what: each job finds its own work."""

from airflow.sdk import Asset, AssetWatcher

from photopeak_airflow.triggers import JournalTrigger

__all__ = ["CANDIDATE", "HOSPITAL_EVENTS", "IMAGE_MEASURES", "PACS_EVENTS", "PHANTOM_MEASURES", "READINGS", "REPORTS", "journal"]

PACS_EVENTS = Asset("lake-events-dicom", uri="photopeak://lake/events/dicom")
HOSPITAL_EVENTS = Asset("lake-events-hospital", uri="photopeak://lake/events/hospital")
REPORTS = Asset("lake-events-report", uri="photopeak://lake/events/report")
READINGS = Asset("lake-readings", uri="photopeak://lake/readings")
PHANTOM_MEASURES = Asset("lake-measures-phantom", uri="photopeak://lake/measures/phantom")
IMAGE_MEASURES = Asset("lake-measures-clinical", uri="photopeak://lake/measures/clinical")
CANDIDATE = Asset("warehouse-candidate", uri="photopeak://warehouse/candidate")


def journal(consumer: str, journals: dict[str, float], quiet_s: float = 3.0, at_once: str | None = None) -> Asset:
    """Return the asset of what a consumer has still to read; its watcher wakes the DAG within seconds.

    Parameters
    ----------
    journals
        Journal name: the least seconds between two wake-ups that this journal alone may cause.
    quiet_s
        A burst wakes once, when nothing has come for so long (at the latest after half a minute).
    at_once
        A type of event that wakes without waiting for rest.
    """
    trigger = JournalTrigger(consumer=consumer, journals=journals, quiet_s=quiet_s, at_once=at_once)
    return Asset(
        f"journal-{consumer}",
        uri=f"photopeak://journal/{consumer}",
        watchers=[AssetWatcher(name=f"watch-{consumer}", trigger=trigger)],
    )

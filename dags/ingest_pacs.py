"""## Triage

1. `journal dicom ends at …, but ingest_pacs has read up to …`: the journal was removed or replaced. Restore it, or run
   `photopeak rebuild`.
2. `the disk is full`: free space; the run goes on with the range that it had recorded.
3. `another run … is at work`: somebody runs it by hand. Nothing to do.
4. No run although images came in: is `airflow-triggerer` up in `photopeak status`?

## Purpose

Brings the DICOM journal (objects stored, series closed, refusals) into the lake, each event once.

## Back-fill

`photopeak job ingest_pacs --from 1 --to 500` writes the files of these journal offsets again; they replace themselves.

## Who is harmed when it is late

A technologist who waits for the verdict on this morning's flood, and the patient who waits for the camera.
延误时：等待质控判定的技师与待检患者受影响。
"""

from airflow.sdk import DAG
from photopeak_airflow.assets import PACS_EVENTS, journal
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON, woken_by

with DAG(
    "ingest_pacs",
    # somebody waits for the verdict on a closed series: at once. Images alone: rest longer than a series takes to close (10 s), or they
    # cause a release of their own
    schedule=woken_by(journal("ingest_pacs", {"dicom": 10}, quiet_s=12, at_once="dicom.series"), otherwise="7 * * * *"),
    doc_md=__doc__,
    tags=["intake"],
    **COMMON,
):
    JobOperator(
        task_id="ingest_pacs",
        job="ingest_pacs",
        outlets=[PACS_EVENTS],
    )

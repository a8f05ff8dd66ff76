"""## Triage

1. `journal hl7 (or events) ends at …`: the journal was removed or replaced. Restore it, or run `photopeak rebuild`.
2. `the disk is full`: free space; the run goes on with the range that it had recorded.
3. Many `quarantined` in the account: the reasons are in `marts.fct_intake_outcome` and in the auditors' reports.

## Purpose

Brings orders, arrivals and results (HL7) and what people and devices report (HTTP door) into the lake, each event once.

## Back-fill

`photopeak job ingest_his --from 1 --to 500` writes the files of these journal offsets again; they replace themselves.

## Who is harmed when it is late

The ward: an examination looks unordered or a step looks missing. 延误时：病区与质控办公室看到的检查步骤不完整。
"""

from airflow.sdk import DAG
from photopeak_airflow.assets import HOSPITAL_EVENTS, REPORTS, journal
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON, woken_by

with DAG(
    "ingest_his",
    schedule=woken_by(journal("ingest_his", {"hl7": 20, "events": 20}), otherwise="11 * * * *"),
    doc_md=__doc__,
    tags=["intake"],
    **COMMON,
):
    JobOperator(
        task_id="ingest_his",
        job="ingest_his",
        outlets=[HOSPITAL_EVENTS],
        besides={"reports": REPORTS},  # of device tests: the analysis need not look after every step of an examination
    )

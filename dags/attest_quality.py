"""## Triage

1. `code 1` with `"broken": [...]` in the log: an integrity rule fails, so the release is not published. Open the reports,
   look at that rule's failing rows.
   Findings about the hospital never block.
2. `there is no candidate release`: run `build_marts` first.
3. A rule could not be tried at all: its error stands in the report; mostly a renamed column.

## Purpose

Attests the candidate with Great Expectations, writes the auditors' reports, and publishes the release unless integrity is
broken.

## Back-fill

`photopeak job attest_quality` attests the candidate that stands; older runs stay in the reports.

## Who is harmed when it is late

Auditors and managers: they see the previous release. 延误时：审核员与管理者看到上一版本。
"""

from airflow.sdk import DAG
from photopeak_airflow.assets import CANDIDATE
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON, woken_by

with DAG(
    "attest_quality",
    schedule=woken_by(CANDIDATE, otherwise="29 * * * *"),
    doc_md=__doc__,
    tags=["attestation"],
    **COMMON,
):
    JobOperator(
        task_id="attest_quality",
        job="attest_quality",
        pool="warehouse",
    )

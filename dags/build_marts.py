"""## Triage

1. The message names the failing model or test: `photopeak job build_marts` repeats it, `log/dbt/dbt.log` has the SQL.
2. A row of reference data was edited last: look for a missing column or a duplicate key in `dbt_project/seeds/`.
3. `another run of build_marts is at work`: nothing to do, this task tries again by itself.
The published release stays as it was until a new one is attested.

## Purpose

Builds a candidate release of the warehouse: staging, intermediate and marts, with their tests.

## Back-fill

Releases are built whole: `photopeak job build_marts --to 2026-01-31T16:00:00Z` builds one as of that moment.

## Who is harmed when it is late

Managers decide on yesterday's numbers; the page says as of when. 延误时：管理者看到的是旧数据（页面注明时点）。
"""

from airflow.sdk import DAG
from photopeak_airflow.assets import CANDIDATE, HOSPITAL_EVENTS, IMAGE_MEASURES, PHANTOM_MEASURES, READINGS
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON, woken_by

with DAG(
    "build_marts",
    schedule=woken_by(PHANTOM_MEASURES | IMAGE_MEASURES | HOSPITAL_EVENTS | READINGS, otherwise="23 * * * *"),
    doc_md=__doc__,
    tags=["warehouse"],
    **COMMON,
):
    JobOperator(
        task_id="build_marts",
        job="build_marts",
        outlets=[CANDIDATE],
        pool="warehouse",
    )

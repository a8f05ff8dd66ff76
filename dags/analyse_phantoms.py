"""## Triage

1. `no Spark Connect server answers`: `photopeak status` shows `spark`; `photopeak up spark` starts it.
2. One series fails alone: it is in the marts as `not_measured` with the reason. Try it by hand: `photopeak analyse FILE
   --picture .`
3. A method was edited: restart `spark`, because its workers keep the code that they loaded.

## Purpose

Measures phantom images, pairs of series and reports (PET daily QC, activimeter) of which the lake has no measures yet.

## Back-fill

`photopeak job analyse_phantoms --series UID`, or `--from 2026-01-01 --to 2026-02-01` by the moment of recording.

## Who is harmed when it is late

The next patient on a camera that nobody has confirmed as fit. 延误时：设备状态未确认即检查的患者受影响。
"""

from airflow.sdk import DAG
from photopeak_airflow.assets import PACS_EVENTS, PHANTOM_MEASURES, REPORTS
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON, woken_by

with DAG(
    "analyse_phantoms",
    schedule=woken_by(PACS_EVENTS | REPORTS, otherwise="17 * * * *"),
    doc_md=__doc__,
    tags=["analysis"],
    **COMMON,
):
    JobOperator(
        task_id="analyse_phantoms",
        job="analyse_phantoms",
        outlets=[PHANTOM_MEASURES],
        pool="spark",
        priority_weight=10,  # before the images of patients: a camera waits for its verdict
        nothing_new_wakes=True,  # refusals at the door are judged too
    )

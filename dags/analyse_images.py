"""## Triage

1. `no Spark Connect server answers`: `photopeak status` shows `spark`; `photopeak up spark` starts it.
2. One series fails alone: it is in the marts as `not_measured` with the reason. Try it by hand: `photopeak analyse FILE
   --picture .`
3. A method was edited: restart `spark`, because its workers keep the code that they loaded.

## Purpose

Scores patients' images (whole-body bone) of every series that has no measures yet.

## Back-fill

`photopeak job analyse_images --series UID`, or `--from 2026-01-01 --to 2026-02-01` by the moment of recording.

## Who is harmed when it is late

The patient who has left before anybody sees that the image must be repeated. 延误时：图像需重做而患者已离开。
"""

from airflow.sdk import DAG
from photopeak_airflow.assets import IMAGE_MEASURES, PACS_EVENTS
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON, woken_by

with DAG(
    "analyse_images",
    schedule=woken_by(PACS_EVENTS, otherwise="19 * * * *"),
    doc_md=__doc__,
    tags=["analysis"],
    **COMMON,
):
    JobOperator(
        task_id="analyse_images",
        job="analyse_images",
        outlets=[IMAGE_MEASURES],
        pool="spark",
        nothing_new_wakes=True,  # refusals at the door are judged too
    )

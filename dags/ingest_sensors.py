"""## Triage

1. `journal modbus (or events) ends at …`: the journal was removed or replaced. Restore it, or run `photopeak rebuild`.
2. Runs are fine but a room is empty: does `modbus` say in its log that the gateway is silent? Is the sensor in
   `config/sensors.csv`?
3. `the disk is full`: free space; the run goes on with the range that it had recorded.

## Purpose

Brings sensor readings (Modbus poller, batches from the HTTP door) into the lake, a row each. Live readings come every few
seconds: they wake this DAG every 30 minutes at most, batches at once.

## Back-fill

`photopeak job ingest_sensors --from 1 --to 500` writes the files of these journal offsets again; they replace themselves.

## Who is harmed when it is late

Whoever works in a room that is too hot, too humid or too active. 延误时：在超限环境中工作的人员受影响。
"""

from airflow.sdk import DAG
from photopeak_airflow.assets import READINGS, journal
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON, woken_by

with DAG(
    "ingest_sensors",
    schedule=woken_by(journal("ingest_sensors", {"modbus": 1800, "events": 20}), otherwise="13 * * * *"),
    doc_md=__doc__,
    tags=["intake"],
    **COMMON,
):
    JobOperator(
        task_id="ingest_sensors",
        job="ingest_sensors",
        outlets=[READINGS],
    )

"""## Triage

1. `Permission denied` or `No space left`: `worklist/states.json` cannot be written; the node goes on with the states of today that
   it has, and from midnight on takes every device for not confirmed.
2. A device is not confirmed although it was tested: look at the newest tests on the landing page; a test that could not be
   measured, a phantom out of calibration or another phantom than the declared one confirms nothing.
3. Held and a patient must be examined: an event `device.hold_override` at the HTTP door (README, "The worklist").

## Purpose

Writes today's state of each device (fit, conditional, not fit, not confirmed) for the DICOM node, which holds worklists by it.
`analyse_phantoms` and `ingest_his` write it at once when they bring something; this run is for what only the clock tells: a new
day, the opening time, a limit or schedule that was changed.

## Back-fill

None: the states are of now. Those of past days are in `mart_device_day`.

## Who is harmed when it is late

The first patient on a device that nobody has tested today. 延误时：当日未经检测的设备上的第一位患者受影响。
"""

from airflow.sdk import DAG, CronTriggerTimetable
from photopeak_airflow.operators import JobOperator
from photopeak_airflow.schedules import COMMON

with DAG(
    "confirm_devices",
    schedule=CronTriggerTimetable("0,30 * * * *", timezone="UTC"),  # devices open at full and half hours
    doc_md=__doc__,
    tags=["analysis"],
    **COMMON,
):
    JobOperator(task_id="confirm_devices", job="confirm_devices")

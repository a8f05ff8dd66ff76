"""Rebuild beside a running Airflow, which the empty lake wakes."""

import threading
import time

from connectors.settings import load
from connectors.stores.lake.lock import locked
from photopeak import rebuild


def test_a_job_that_airflow_runs_already_is_waited_for(tmp_path, monkeypatch):
    settings, ran, held = load(home=tmp_path), [], threading.Event()
    names = ("ingest_pacs", "build_marts")

    def run(_settings, name, _request):
        with locked(settings.consumers, name):
            ran.append(name)
        return {"written": 0, "seconds": 0}, 99

    def airflow():
        held.wait()
        with locked(settings.consumers, "ingest_pacs"):
            held.clear()
            time.sleep(0.3)

    def drop(_settings):  # the lake is empty, its locks are free: Airflow is first
        held.set()
        while held.is_set():
            time.sleep(0.01)

    monkeypatch.setattr(rebuild, "JOBS", names)
    monkeypatch.setattr(rebuild, "run", run)
    monkeypatch.setattr("photopeak.warehouse.clear", drop)
    other = threading.Thread(target=airflow)
    other.start()
    rebuild.rebuild(settings)
    other.join()
    assert ran == list(names)

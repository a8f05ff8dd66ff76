"""Rebuild beside a running Airflow, which the empty lake wakes."""

import socket
import threading
import time

import pytest

from connectors.account import Account
from connectors.settings import load
from connectors.stores.lake.lock import locked
from photopeak import rebuild
from spark_jobs.jobs.analyse import SparkUnreachable


def test_a_job_that_airflow_runs_already_is_waited_for(tmp_path, monkeypatch):
    settings, ran, held = load(home=tmp_path), [], threading.Event()
    names = ("ingest_pacs", "build_marts")

    def run(_settings, name, _request):
        with locked(settings.consumers, name):
            ran.append(name)
        return Account(name), 99

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
    monkeypatch.setattr("warehouse.releases.clear", drop)
    monkeypatch.setattr("spark_jobs.jobs.analyse.require_spark", lambda _settings: "")
    other = threading.Thread(target=airflow)
    other.start()
    rebuild.rebuild(settings)
    other.join()
    assert ran == list(names)


def test_nothing_is_dropped_while_spark_does_not_answer(tmp_path):
    with socket.socket() as taken:  # bound, not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        settings = load(home=tmp_path, spark_remote=f"sc://127.0.0.1:{taken.getsockname()[1]}")
        kept = [settings.lake / "measures" / "a.parquet", settings.reports / "index.json"]
        for path in kept:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        with pytest.raises(SparkUnreachable, match="photopeak up spark"):  # exit 3, as of every job
            rebuild.rebuild(settings)
    assert all(path.exists() for path in kept)

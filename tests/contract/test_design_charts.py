"""The search over the limits of control charts iterates in memory: equal rows on one process and on a cluster, and the event log to prove it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract.dicom_parrot import free_port
from contract.test_spark_cluster import cluster, process

from connectors.settings import ROOT, load
from photopeak.doctor import find_java
from photopeak.services import services
from spark_jobs.jobs.design import BLOCK, STEPS, designs, farthest

pytestmark = [pytest.mark.timeout(900), pytest.mark.skipif(find_java() is None, reason="no Java 17 here")]
SERIES = 20_000
CLOCK = ("simulated_s", "searched_s")


def proved(home: Path, master: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run the command through a Connect server on this master; return its rows, and the events of Spark's log."""
    settings = load(home=home, spark_port=free_port(), spark_master=master)
    spark = services(settings)["spark"]
    for name in ("tmp", "user", "conf", "events"):
        (home / name).mkdir(parents=True)
    options = {
        "enabled": "true",
        "dir": (home / "events").as_uri(),
        "logBlockUpdates.enabled": "true",
        "rolling.enabled": "false",
        "compress": "false",
    }
    (home / "conf" / "spark-defaults.conf").write_text("".join(f"spark.eventLog.{k} {v}\n" for k, v in options.items()))
    environment = {**spark.environment, "PYTHONPATH": str(ROOT), "SPARK_CONF_DIR": str(home / "conf")}
    with process(spark.command, environment, settings.spark_port, home / "spark.log"):
        said = {"PHOTOPEAK_HOME": str(home), "PHOTOPEAK_SPARK_PORT": str(settings.spark_port), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "photopeak", "design", "--series", str(SERIES), "--json"]
        done = subprocess.run(command, env={**os.environ, **said}, capture_output=True, text=True, cwd=ROOT, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:] + (home / "spark.log").read_text()[-3000:]
    assert not [p for p in home.iterdir() if p.name in ("lake", "warehouse", "objects")], (
        "nothing is written, between steps or after them"
    )
    (log,) = (home / "events").iterdir()
    return json.loads(done.stdout), [json.loads(line) for line in log.read_text().splitlines()]


def told(events: list[dict[str, Any]]) -> dict[str, int]:
    """Return what the log says of simulating, caching and reading the cache, in tasks and blocks."""
    tasks = [e for e in events if e["Event"] == "SparkListenerTaskEnd"]
    blocks = [e["Block Updated Info"] for e in events if e["Event"] == "SparkListenerBlockUpdated"]
    cached = [b for b in blocks if b["Block ID"].startswith("rdd_") and b["Memory Size"] > 0]
    names = [{a.get("Name") for a in t["Task Info"]["Accumulables"]} for t in tasks]
    reads = [t["Task Metrics"]["Input Metrics"]["Bytes Read"] > 0 for t in tasks]
    return {
        "simulating": sum("data sent to Python workers" in n for n in names),
        "cached": len(cached), "on_disk": sum(b["Disk Size"] > 0 for b in blocks if b["Block ID"].startswith("rdd_")),
        "from_memory": sum(read for read, n in zip(reads, names, strict=True) if "data sent to Python workers" not in n),
        "spilled": sum(t["Task Metrics"]["Disk Bytes Spilled"] + t["Task Metrics"]["Output Metrics"]["Bytes Written"] for t in tasks),
    }  # fmt: skip


@pytest.mark.req("ENG-02")
def test_it_is_simulated_once_and_every_step_reads_memory_also_on_a_cluster(tmp_path: Path) -> None:
    alone, log = proved(tmp_path / "local", "local[2]")
    with cluster(tmp_path) as master:
        spread, log_there = proved(tmp_path / "cluster", master)
    assert [{k: v for k, v in r.items() if k not in CLOCK} for r in spread] == [
        {k: v for k, v in r.items() if k not in CLOCK} for r in alone
    ]
    for seen in (told(log), told(log_there)):
        assert seen["simulating"] == seen["cached"] == 4, "one task a partition, once"
        assert seen["on_disk"] == seen["spilled"] == 0
        assert seen["from_memory"] >= 4 * (STEPS + 1), seen
    assert all(r["keeps"] for r in alone)
    # the same counts without Spark
    for n, (design, row) in enumerate(zip(designs(), alone, strict=True)):
        blocks = [farthest(design, n, True, b) for b in range(SERIES // BLOCK)]
        seen = sum(int(((c > design.chart.h) | (e > design.chart.limit)).sum()) for c, e in blocks)
        assert row["simulated_detect_percent"] == pytest.approx(100 * seen / SERIES, abs=1e-9)

"""The measuring job on Spark in one process and on a stand-alone cluster: one setting differs, and no byte of the rows."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyspark
import pytest
from contract.dicom_parrot import free_port
from lake_fixture import DAY, LakeWriter, at
from unit.qc_images import dicom, item, lit, rotation, water

from connectors.settings import ROOT, load
from photopeak.doctor import find_java
from photopeak.services import services

pytestmark = [pytest.mark.timeout(900), pytest.mark.skipif(find_java() is None, reason="no Java 17 here")]
SPARK = Path(pyspark.__file__).parent


def make_hospital(home: Path) -> None:
    """Write floods, a rotation, water and a file that is no image, as intake leaves them."""
    w, objects = LakeWriter(), home / "objects" / "clear"
    objects.mkdir(parents=True)
    flat = lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 2_000
    field = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]
    series = {f"flood.{k}": [dicom(np.random.default_rng(k).poisson(flat), DetectorInformationSequence=field)] for k in range(4)}
    views, _ = rotation(1.0, background=0.5)
    turns = [item(AngularStep="6", RotationDirection="CC", ScanArc="360", StartAngle="0", NumberOfFramesInRotation=60)]
    series["cor"] = [dicom(views, kind="TOMO", pixel_mm=4.0, RotationInformationSequence=turns)]
    scale = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}
    series["water"] = [
        dicom(np.rint(water(1, 5, seed=k) + 1024), modality="CT", kind="AXIAL", pixel_mm=1.0, ImagePositionPatient=["0", "0", str(-5 * k)], **scale)
        for k in range(5)
    ]  # fmt: skip
    series["spoilt"] = [b"no image at all"]
    for uid, files in series.items():
        instances = []
        for n, data in enumerate(files):
            (objects / f"{uid}.{n}").write_bytes(data)
            instances.append(
                {"sop_instance_uid": f"{uid}.{n}", "object_key": f"{uid}.{n}", "sha256": hashlib.sha256(data).hexdigest()}
            )
        w.series(uid, "GC1", at("07:00", DAY), instances=instances)
    w.write(home / "lake")


@contextmanager
def process(command: list[str], environment: dict[str, str], port: int, log: Path) -> Iterator[None]:
    """Run a process until the block ends; it begins when the port answers."""
    with log.open("wb") as out:
        run = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        for _ in range(240):
            assert run.poll() is None, log.read_text()[-3000:]
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise AssertionError(log.read_text()[-3000:])
        yield
    finally:
        run.terminate()
        try:
            run.wait(30)
        except subprocess.TimeoutExpired:
            run.kill()


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Run a stand-alone master with one worker of two cores, and give the master's address."""
    port, worker = free_port(), free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SPARK")},
        "SPARK_HOME": str(SPARK), "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_NO_DAEMONIZE": "1", "SPARK_WORKER_DIR": str(folder / "work"), "OMP_NUM_THREADS": "1",
        "JAVA_HOME": str(Path(find_java() or "").resolve().parents[1]),
    }  # fmt: skip
    start = [str(SPARK / "bin" / "spark-class")]
    master = [
        *start,
        "org.apache.spark.deploy.master.Master",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--webui-port",
        str(free_port()),
    ]
    work = [
        *start,
        "org.apache.spark.deploy.worker.Worker",
        "--host",
        "127.0.0.1",
        "--port",
        str(worker),
        "--webui-port",
        str(free_port()),
    ]
    work += ["--cores", "2", "--memory", "1500m", f"spark://127.0.0.1:{port}"]
    with (
        process(master, environment, port, folder / "master.log"),
        process(work, environment, worker, folder / "worker.log"),
    ):
        yield f"spark://127.0.0.1:{port}"


def measured(folder: Path, hospital: Path, master: str) -> tuple[dict[str, bytes], str]:
    """Run the job through a Connect server on this master; return the files of measures, and what the job said."""
    shutil.copytree(hospital, folder)
    settings = load(home=folder, spark_port=free_port(), spark_master=master)
    spark = services(settings)["spark"]
    for name in ("tmp", "user"):
        (folder / name).mkdir()
    environment = {**spark.environment, "PYTHONPATH": str(ROOT)}  # this checkout, wherever the package is installed from
    with process(spark.command, environment, settings.spark_port, folder / "spark.log"):
        command = [sys.executable, "-m", "photopeak", "job", "analyse_phantoms", "--json"]
        said = {"PHOTOPEAK_HOME": str(folder), "PHOTOPEAK_SPARK_PORT": str(settings.spark_port), "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env={**os.environ, **said}, capture_output=True, text=True, cwd=ROOT, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:] + (folder / "spark.log").read_text()[-3000:]
    files = {p.relative_to(settings.lake).as_posix(): p.read_bytes() for p in (settings.lake / "measures").rglob("*.parquet")}
    return files, done.stdout


def test_one_process_and_a_stand_alone_cluster_give_the_same_bytes(tmp_path: Path) -> None:
    make_hospital(tmp_path / "hospital")
    alone, said = measured(tmp_path / "local", tmp_path / "hospital", "local[2]")
    assert '"read": 7' in said and len(alone) >= 7
    with cluster(tmp_path) as master:
        spread, told = measured(tmp_path / "cluster", tmp_path / "hospital", master)
    assert list((tmp_path / "work").glob("app-*")), "an executor of the cluster did the work"
    assert spread == alone
    assert [json.loads(t)["run_key"] for t in (said, told)] == [json.loads(said)["run_key"]] * 2

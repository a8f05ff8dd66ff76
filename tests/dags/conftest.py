"""The DAG bag is read in Airflow's own environment: `.venv-airflow/bin/python -m pytest tests/dags`. Without Airflow nothing here is collected."""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HAS_AIRFLOW = importlib.util.find_spec("airflow") is not None
collect_ignore_glob = [] if HAS_AIRFLOW else ["test_*.py"]

if HAS_AIRFLOW:  # before Airflow is imported, which reads its settings then
    folder = tempfile.mkdtemp(prefix="photopeak-dags-")
    os.environ.update(
        AIRFLOW_HOME=folder, AIRFLOW__CORE__LOAD_EXAMPLES="False", AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"), AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{folder}/airflow.db",
        AIRFLOW__CORE__UNIT_TEST_MODE="False", AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False", PHOTOPEAK_HOME=folder,
    )  # fmt: skip
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(ROOT / "plugins"))

"""The service list: what runs, how it is started, with which environment, on which port. One more service is one more row here."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.settings import ROOT, Settings

__all__ = ["MARK", "NAMES", "PASSWORDS", "EnvironmentLacks", "Service", "airflow_environment", "services", "superset_environment"]

MARK = "PHOTOPEAK_SUPERVISED"  # in the environment of everything that the supervisor starts, so that leftovers can be found
NAMES = (
    "dicom", "hl7", "modbus", "events", "spark", "airflow-api", "airflow-scheduler", "airflow-processor", "airflow-triggerer",
    "superset", "reports", "status",
)  # fmt: skip
PASSWORDS = ("airflow-admin", "airflow-engineer", "airflow-viewer", "superset-admin", "superset-manager")
KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "JAVA_HOME", "OPENBLAS_CORETYPE")
OPENED = [
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.ref",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
]


class EnvironmentLacks(RuntimeError):
    """The machine lacks something; the text says what and what to do (exit 3)."""


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the platform."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(repr=False)
    port: int | None = None  # None: it listens nowhere
    setting: str = ""  # the environment variable that moves the port
    url: str | None = None
    health: str | None = None  # path that answers 200 when the service is ready; None: listening is enough
    heartbeat: str | None = None  # job type in Airflow's metadata, for what listens nowhere


def services(settings: Settings) -> dict[str, Service]:
    """Return all services by name, in the order in which `status` lists them."""
    pipeline = _pipeline(settings)
    airflow, superset = airflow_environment(settings), superset_environment(settings)
    python, host = sys.executable, near(settings)

    def ours(name: str, *module: str, **more: object) -> Service:
        return Service(name, [python, "-m", *module], pipeline, **more)  # type: ignore[arg-type]

    def of_airflow(name: str, *arguments: str, **more: object) -> Service:
        # `-m` instead of the console script: its first line breaks at 127 bytes and with spaces
        return Service(name, [str(ROOT / ".venv-airflow/bin/python"), "-m", "airflow", *arguments], airflow, **more)  # type: ignore[arg-type]

    def http(port: int) -> str:
        return f"http://{host}:{port}"

    rows = [
        ours("dicom", "connectors.dicom", port=settings.dicom_port, setting="PHOTOPEAK_DICOM_PORT",
             url=f"dicom://{settings.dicom_ae_title}@{host}:{settings.dicom_port}"),
        ours("hl7", "connectors.his", port=settings.hl7_port, setting="PHOTOPEAK_HL7_PORT", url=f"mllp://{host}:{settings.hl7_port}"),
        ours("modbus", "connectors.sensors"),
        ours("events", "connectors.http", port=settings.events_port, setting="PHOTOPEAK_EVENTS_PORT",
             url=http(settings.events_port), health="/health"),
        Service("spark", _spark(settings), pipeline, port=settings.spark_port, setting="PHOTOPEAK_SPARK_PORT", url=settings.spark_url),
        of_airflow("airflow-api", "api-server", port=settings.airflow_port, setting="PHOTOPEAK_AIRFLOW_PORT",
                   url=http(settings.airflow_port), health="/api/v2/version"),
        of_airflow("airflow-scheduler", "scheduler", "--skip-serve-logs", heartbeat="SchedulerJob"),
        of_airflow("airflow-processor", "dag-processor", heartbeat="DagProcessorJob"),
        of_airflow("airflow-triggerer", "triggerer", "--skip-serve-logs", heartbeat="TriggererJob"),
        Service("superset", _superset(settings), superset, port=settings.superset_port, setting="PHOTOPEAK_SUPERSET_PORT",
                url=http(settings.superset_port), health="/login/"),
        ours("reports", "photopeak.serve", "reports", port=settings.reports_port, setting="PHOTOPEAK_REPORTS_PORT",
             url=http(settings.reports_port), health="/"),
        ours("status", "photopeak.serve", "status", port=settings.status_port, setting="PHOTOPEAK_STATUS_PORT",
             url=http(settings.status_port)),
    ]  # fmt: skip
    return {row.name: row for row in rows}


def near(settings: Settings) -> str:
    """Return the address by which this machine reaches its own services."""
    return "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host


def _common(settings: Settings) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in KEPT or k.startswith("PHOTOPEAK_")}
    return {
        **kept,
        MARK: str(settings.home),
        "PHOTOPEAK_HOME": str(settings.home),
        "HOME": str(settings.home / "user"),  # caches and dot files of libraries stay with the installation
        "TMPDIR": str(settings.home / "tmp"),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "MALLOC_ARENA_MAX": "2",
        "OMP_NUM_THREADS": "1",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
    }


def _pipeline(settings: Settings) -> dict[str, str]:
    common = _common(settings)
    return {
        **common,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{common.get('PATH', os.defpath)}",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": near(settings),
        "SPARK_LOCAL_DIRS": str(settings.home / "tmp"),
    }


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of Airflow's four processes: everything that airflow.cfg would say."""
    common, home, base = _common(settings), settings.home / "airflow", f"http://{near(settings)}:{settings.airflow_port}"
    given = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "API__HOST": settings.host,
        "API__PORT": str(settings.airflow_port),
        "API__BASE_URL": base,
        "API__WORKERS": "1",
        "API__ENABLE_SWAGGER_UI": "False",  # its page loads from a CDN
        "API__EXPOSE_CONFIG": "False",
        "API__SECRET_KEY": settings.secret("airflow-session"),
        "API_AUTH__JWT_SECRET": settings.secret("airflow-tokens"),
        "CORE__FERNET_KEY": _fernet(settings),
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        # A file that was edited is read again at once, but not when what it imports was mended, nor when its result was lost: until it is
        # read again its DAG is off and its watcher gone. At 30 s that was 6 % of a core at rest.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "50",
        "DAG_PROCESSOR__FILE_PARSING_SORT_MODE": "modified_time",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "2",
        "SCHEDULER__CATCHUP_BY_DEFAULT": "False",
        "TRIGGERER__CAPACITY": "100",
        "LOGGING__BASE_LOG_FOLDER": str(settings.home / "log" / "airflow"),
        "LOGGING__LOGGING_LEVEL": "INFO",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        **common,
        "AIRFLOW_HOME": str(home),
        "PATH": f"{ROOT / '.venv-airflow' / 'bin'}{os.pathsep}{common.get('PATH', os.defpath)}",
        "PYTHONDONTWRITEBYTECODE": "1",  # dags/ and plugins/ lie in the checkout
        **{f"AIRFLOW__{k}": v for k, v in given.items()},
    }


def superset_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of Superset and of its bootstrap."""
    common = _common(settings)
    return {
        **common,
        "PATH": f"{ROOT / '.venv-superset' / 'bin'}{os.pathsep}{common.get('PATH', os.defpath)}",
        "SUPERSET_HOME": str(settings.home / "superset"),
        "SUPERSET_CONFIG_PATH": str(ROOT / "dashboards" / "superset_config.py"),
        "FLASK_APP": "superset.app:create_app()",
        "PHOTOPEAK_SITE_ID": settings.site_id,
        "PHOTOPEAK_REPORTS_URL": f"http://{near(settings)}:{settings.reports_port}",
        "PHOTOPEAK_STATUS_URL": f"http://{near(settings)}:{settings.status_port}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _superset(settings: Settings) -> list[str]:
    options = [
        "-w",
        "1",
        "-k",
        "gthread",
        "--threads",
        "8",
        "--timeout",
        "120",
        "--graceful-timeout",
        "10",
        "--no-control-socket",
    ]
    shared = ["--worker-tmp-dir", "/dev/shm"] if os.access("/dev/shm", os.W_OK) else []
    bind = f"{settings.host}:{settings.superset_port}"
    return [str(ROOT / ".venv-superset/bin/python"), "-m", "gunicorn", *options, *shared, "-b", bind, "superset.app:create_app()"]


def _spark(settings: Settings) -> list[str]:
    from photopeak.doctor import find_java

    jars = (
        ROOT / ".venv" / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages" / "pyspark" / "jars"
    )
    conf = {
        "spark.connect.grpc.binding.port": settings.spark_port,
        "spark.connect.grpc.binding.address": settings.host,
        "spark.driver.bindAddress": near(settings),
        "spark.driver.host": near(settings),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.warehouse.dir": settings.home / "spark",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.master": settings.spark_master,
        "spark.app.name": "photopeak",
        "spark.python.daemon.module": "spark_jobs.jobs.daemon",
        "spark.connect.session.manager.defaultSessionTimeout": "30d",  # the first phantom of a morning finds the session of yesterday
    }
    machine = [
        *(part for name in OPENED for part in ("--add-opens", f"java.base/{name}=ALL-UNNAMED")),
        "-XX:+IgnoreUnrecognizedVMOptions", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g", "-XX:MaxMetaspaceSize=512m",
        "-Djdk.reflect.useDirectMethodHandle=false", f"-Djava.io.tmpdir={settings.home / 'tmp'}", f"-Duser.home={settings.home / 'user'}",
    ]  # fmt: skip
    server = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    options = [part for k, v in conf.items() for part in ("--conf", f"{k}={v}")]
    return [find_java() or "java", *machine, "-cp", f"{jars}/*", "org.apache.spark.deploy.SparkSubmit", *options, *server]


def _fernet(settings: Settings) -> str:
    """Return Airflow's key for connections, in the form that it wants."""
    import base64

    return base64.urlsafe_b64encode(bytes.fromhex(settings.secret("airflow-connections"))).decode()

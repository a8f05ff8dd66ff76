"""The only reader of the environment: every path, port and URL of the platform, typed, built once at the edge and passed down."""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from judgement.days import site_zone
from messages import because

__all__ = ["ROOT", "Settings", "load"]

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Settings of one installation; each can be set by `PHOTOPEAK_<NAME>` or by a line of `<home>/photopeak.env`."""

    model_config = SettingsConfigDict(env_prefix="PHOTOPEAK_", extra="ignore", frozen=True)

    home: Path = ROOT / "var"
    host: str = "127.0.0.1"
    site_id: str = "MAIN"
    time_zone: str = "Asia/Shanghai"  # IANA name of the site's wall clock, which DICOM and HL7 times without an offset are in
    utc_offset_minutes: str = Field(default="", description="refused: an offset knows no daylight saving", repr=False)
    as_of_utc: datetime | None = None  # of releases, pinned while the demo runs; None: the moment a job starts

    dicom_port: int = 11112
    dicom_ae_title: str = "PHOTOPEAK"
    series_quiet_s: float = 10.0
    hl7_port: int = 2575
    events_port: int = 8070
    spark_port: int = 15002
    airflow_port: int = 8080
    superset_port: int = 8088
    reports_port: int = 8090
    status_port: int = 8091
    modbus_map: Path = Path("sensors.csv")  # relative: inside <home>/config; copied from connectors/sensors at the first start

    object_store_url: str = ""  # "": file://<home>/objects
    lake_url: str = ""  # "": file://<home>/lake
    spark_remote: str = ""  # "": sc://<host>:<spark_port>
    spark_master: str = "local[2]"  # what the Connect server computes on; a stand-alone cluster: spark://<host>:<port>
    min_free_mib: int = Field(default=500, description="intake refuses below this much free space")

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        return site_zone(value).key

    @field_validator("utc_offset_minutes")
    @classmethod
    def _replaced(cls, value: str) -> str:
        if value:
            raise ValueError(because("site.offset_setting"))
        return value

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone of the site's wall clock."""
        return site_zone(self.time_zone)

    @property
    def journals(self) -> Path:
        """Return the folder of the intake journals, one file per intake process: dicom, hl7, modbus, events."""
        return self.home / "journal"

    @property
    def objects(self) -> Path:
        """Return the folder of the embedded object store."""
        return Path(self.object_store_url.removeprefix("file://")) if self.object_store_url else self.home / "objects"

    @property
    def lake(self) -> Path:
        """Return the folder of the lake."""
        return Path(self.lake_url.removeprefix("file://")) if self.lake_url else self.home / "lake"

    @property
    def consumers(self) -> Path:
        """Return the folder where each consumer keeps its committed offset, its pending range and its lock."""
        return self.home / "consumers"

    @property
    def warehouse(self) -> Path:
        """Return the folder of warehouse releases; `current` in it is the published one."""
        return self.home / "warehouse"

    @property
    def worklist(self) -> Path:
        """Return the folder of the devices' states of today and of what the worklist does about them."""
        return self.home / "worklist"

    @property
    def reports(self) -> Path:
        """Return the folder that the reports service shows."""
        return self.home / "reports"

    @property
    def sensor_map(self) -> Path:
        """Return the mapping file that the Modbus poller reads, and reads again when it changes."""
        return self.modbus_map if self.modbus_map.is_absolute() else self.home / "config" / self.modbus_map

    @property
    def spark_url(self) -> str:
        """Return the address of the Spark Connect server."""
        return self.spark_remote or f"sc://{self.host}:{self.spark_port}"

    def secret(self, name: str, size: int = 32) -> str:
        """Return a secret of this installation as hexadecimal text, made at the first call (two callers get the same one)."""
        path = self.home / "secrets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
                f.write(secrets.token_hex(size))
                f.flush()
                os.fsync(f.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text().strip()

    def device_tokens(self) -> dict[str, str]:
        """Return the tokens of the HTTP event door: {token: device name}; one file a device under `<home>/secrets/devices/`."""
        folder = self.home / "secrets" / "devices"
        files = sorted(folder.glob("*")) if folder.is_dir() else []
        return {p.read_text().strip(): p.name for p in files if not p.name.startswith(".")}

    def as_of(self) -> datetime:
        """Return the moment that a release speaks of: the pinned one, else the present one."""
        return self.as_of_utc or self.now()

    def now(self) -> datetime:
        """Return the present moment, also while a release's moment is pinned: today, holds and overrides go by it."""
        return datetime.now(UTC)


def load(**overrides: object) -> Settings:
    """Build the settings from overrides, the environment and `<home>/photopeak.env`, in this order of precedence."""
    home = Path(str(overrides.get("home") or os.environ.get("PHOTOPEAK_HOME") or ROOT / "var")).expanduser().absolute()
    return Settings(_env_file=home / "photopeak.env", **{**overrides, "home": home})  # type: ignore[arg-type, call-arg]

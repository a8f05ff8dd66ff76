"""Superset's settings: a server for readers on loopback, whose whole state lies under `<home>/superset`."""

import os
import sys
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine
from superset.config import TALISMAN_CONFIG as _TALISMAN_DEFAULT

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE))
sys.path.append(str(_HERE.parent))  # Superset's environment holds none of our rooms
import answers  # type: ignore[import-not-found]  # noqa: E402
import clock  # type: ignore[import-not-found]  # noqa: E402
import landing  # type: ignore[import-not-found]  # noqa: E402
import releases  # type: ignore[import-not-found]  # noqa: E402
import warm  # type: ignore[import-not-found]  # noqa: E402

_HOME = Path(os.environ["PHOTOPEAK_HOME"])
_STATE = Path(os.environ.get("SUPERSET_HOME") or _HOME / "superset")
_KEY = Path(os.environ.get("PHOTOPEAK_SUPERSET_SECRET_KEY_FILE") or _HOME / "secrets" / "superset_secret_key")
if not _KEY.exists():
    raise SystemExit(f"Superset has no secret key at {_KEY}; run dashboards/bootstrap.py first (photopeak up does).")

SECRET_KEY = _KEY.read_text().strip()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_STATE}/superset.db?check_same_thread=false"
SQLALCHEMY_ENGINE_OPTIONS = {"connect_args": {"timeout": 30}}
SQLALCHEMY_TRACK_MODIFICATIONS = False


@event.listens_for(Engine, "connect")
def _write_ahead(connection: Any, _record: Any) -> None:
    """Let readers of the metadata go on while one thread writes."""
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


def DB_CONNECTION_MUTATOR(uri: Any, params: dict, _user: Any, _security: Any, _source: Any) -> tuple:
    """Return the address of the release that `current` points to now: an open DuckDB file never changes under its reader."""
    if uri.drivername.startswith("duckdb") and uri.database and uri.database != ":memory:":
        uri = uri.set(database=os.path.realpath(uri.database))
    return uri, params


def _cache(name: str, seconds: int) -> dict[str, Any]:
    folder = str(_STATE / "cache" / name)
    return {
        "CACHE_TYPE": "FileSystemCache",
        "CACHE_DIR": folder,
        "CACHE_DEFAULT_TIMEOUT": seconds,
        "CACHE_THRESHOLD": 2000,
        "CACHE_KEY_PREFIX": f"{name}_",
    }


CACHE_CONFIG = _cache("meta", 86_400)
# the key of an answer names its release (`releases.py`): it holds until the next one is published, a day at the most
DATA_CACHE_CONFIG = _cache("data", 86_400)
DASHBOARD_AUTO_REFRESH_MODE = "fetch"  # a page that stays open asks as a person does, not past the cache
FILTER_STATE_CACHE_CONFIG = _cache("filter", 90 * 86_400)
EXPLORE_FORM_DATA_CACHE_CONFIG = _cache("explore", 7 * 86_400)
RATELIMIT_STORAGE_URI = "memory://"


def FLASK_APP_MUTATOR(app: Any) -> None:
    """Key what is cached by release and fill it when one is published, say which moment is pinned, show each reader the pages of one language."""
    releases.key_by_release(_HOME / "warehouse" / "current")
    answers.install(app, lambda: releases.release_key(_HOME / "warehouse" / "current"))
    warm.install(app, _STATE, _HOME / "warehouse" / "current")
    clock.install(app, _WORDS["pinned"], lambda: clock.pinned(_HOME))
    landing.install(app, tuple(p.stem for p in (_HERE / "dashboards").glob("*.yaml")))


APP_NAME = "Photopeak"
_WORDS = yaml.safe_load((_HERE / "words.yaml").read_text(encoding="utf-8"))
_TONES = {name: tone["colour"] for name, tone in _WORDS["tones"].items()}
EXTRA_CATEGORICAL_COLOR_SCHEMES = [{"id": "photopeak", "label": "Photopeak", "isDefault": True, "colors": _WORDS["series"]}]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {"id": "photopeakStates", "label": "States", "colors": [_TONES[t] for t in ("bad", "unsure", "attention", "good")]},
    {"id": "photopeakShare", "label": "Share", "colors": ["#D55E00", "#F0C27A", "#9CC9E3", "#0072B2"]},
]
LANGUAGES = {"en": {"flag": "us", "name": "English"}, "zh": {"flag": "cn", "name": "中文"}}
FEATURE_FLAGS = {
    "DASHBOARD_RBAC": False,
    "EMBEDDED_SUPERSET": False,
    "ALERT_REPORTS": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
    "DASHBOARD_VIRTUALIZATION_DEFER_DATA": True,  # what is out of sight is asked for when it comes near
}
SQLLAB_BACKEND_PERSISTENCE = False
PUBLIC_ROLE_LIKE = None
AUTH_USER_REGISTRATION = False
DEFAULT_TIME_FILTER = "No filter"
ROW_LIMIT = 50_000
NATIVE_FILTER_DEFAULT_ROW_LIMIT = 1000

# pages ask this server only: no telemetry pixel, no map tiles, no fonts from elsewhere
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    **_TALISMAN_DEFAULT,
    "content_security_policy": {
        **_TALISMAN_DEFAULT["content_security_policy"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "connect-src": ["'self'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "frame-src": ["'self'"],
        "media-src": ["'self'"],
    },
    "session_cookie_secure": False,  # loopback speaks plain HTTP; a proxy with TLS in front sets it
}
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True

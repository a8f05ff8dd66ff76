"""The bundle as text: fill in what differs between machines, tell whether anything changed. Standard library only."""

import hashlib
import os
from pathlib import Path

__all__ = ["FOLDERS", "PLACEHOLDERS", "digest", "fill", "placeholders"]

FOLDERS = ("databases", "datasets", "charts", "dashboards")
PLACEHOLDERS = ("PHOTOPEAK_DATABASE_URI", "PHOTOPEAK_REPORTS_URL", "PHOTOPEAK_STATUS_URL")


def placeholders(home: Path, environment: dict[str, str] | None = None) -> dict[str, str]:
    """Return what stands for each placeholder of the bundle on this machine."""
    env = dict(os.environ) if environment is None else environment
    host = env.get("PHOTOPEAK_HOST", "127.0.0.1")
    warehouse = home / "warehouse" / "current" / "qc.duckdb"
    return {
        "PHOTOPEAK_DATABASE_URI": f"duckdb:///{warehouse}?access_mode=read_only",
        "PHOTOPEAK_REPORTS_URL": env.get("PHOTOPEAK_REPORTS_URL") or f"http://{host}:{env.get('PHOTOPEAK_REPORTS_PORT', '8090')}",
        "PHOTOPEAK_STATUS_URL": env.get("PHOTOPEAK_STATUS_URL") or f"http://{host}:{env.get('PHOTOPEAK_STATUS_PORT', '8091')}",
    }


def fill(texts: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """Return {path inside the bundle: text} with placeholders replaced."""
    for name, value in values.items():
        texts = {path: text.replace(name, value) for path, text in texts.items()}
    return texts


def digest(texts: dict[str, str], *more: str) -> str:
    """Return one hash of the bundle and of whatever else decides what a bootstrap would do."""
    h = hashlib.sha256()
    for part in (*(x for item in sorted(texts.items()) for x in item), *more):
        h.update(part.encode() + b"\0")
    return h.hexdigest()

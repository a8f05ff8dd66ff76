"""Bring Superset to what this checkout says, in one process: tables, permissions, dashboards, roles, users. Returns at once when nothing changed.

PHOTOPEAK_HOME=… .venv-superset/bin/python dashboards/bootstrap.py
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # Superset's environment holds none of our rooms

import sync  # noqa: E402

from dashboards import bundle, sources  # noqa: E402
from dashboards.compose import compose  # noqa: E402

__all__ = ["bootstrap"]

STAMP = "bootstrap.json"


def secret_file(path: Path) -> str:
    """Return the text of a secret, made at random and readable by the owner only when there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
            f.write(secrets.token_hex(16))
            f.flush()
            os.fsync(f.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    text = path.read_text(encoding="utf-8").strip()
    if not text:
        raise SystemExit(f"{path} is empty; delete it or write a password into it.")
    return text


def sites() -> list[str]:
    """Return the sites of the reference data, and the one of this installation."""
    own = os.environ.get("PHOTOPEAK_SITE_ID", "MAIN")
    return sorted({*(row["site_id"] for row in sources.read_registers().sites), own})


def bootstrap(*, force: bool = False) -> int:
    """Return 0 when Superset holds the bundle; skip all work when the stamp says so already."""
    if not os.environ.get("PHOTOPEAK_HOME"):
        print("Set PHOTOPEAK_HOME to the folder that holds the platform's state.", file=sys.stderr)
        return 3
    began = time.monotonic()
    home = Path(os.environ["PHOTOPEAK_HOME"]).expanduser().absolute()
    state = Path(os.environ.get("SUPERSET_HOME") or home / "superset")
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["SUPERSET_HOME"] = str(state)
    os.environ["PHOTOPEAK_HOME"] = str(home)
    os.environ["SUPERSET_CONFIG_PATH"] = str(HERE / "superset_config.py")

    folder = home / "secrets"
    secret_file(Path(os.environ.get("PHOTOPEAK_SUPERSET_SECRET_KEY_FILE") or folder / "superset_secret_key"))
    passwords = {
        name: secret_file(
            Path(os.environ.get(f"PHOTOPEAK_SUPERSET_{name.upper()}_PASSWORD_FILE") or folder / "passwords" / f"superset-{name}")
        )
        for name in ("admin", "manager")
    }
    texts = bundle.fill(compose(), bundle.placeholders(home))
    code = [(HERE / name).read_text(encoding="utf-8") for name in ("bootstrap.py", "sync.py", "roles.py")]
    marks = {name: hashlib.sha256(f"{name}:{password}".encode()).hexdigest() for name, password in passwords.items()}
    want = {
        "digest": bundle.digest(texts, *code, *sites(), os.environ.get("PHOTOPEAK_SITE_ID", "MAIN"), version("apache-superset")),
        "passwords": marks,
        "uuids": sync.uuids(texts),
    }

    with (state / ".bootstrap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = state / STAMP
        done = json.loads(stamp.read_text()) if stamp.exists() and (state / "superset.db").exists() else {}
        if done == want and not force:
            print("dashboards: nothing changed")
            return 0
        reset = {n for n in marks if done and done.get("passwords", {}).get(n) != marks[n]}
        # the migrations talk; what they say is of use only when one fails
        with (state / "bootstrap.log").open("w", encoding="utf-8") as log, contextlib.redirect_stdout(log):
            counts = _apply(texts, passwords, reset, set(done.get("uuids", [])))
        draft = stamp.with_name(f".{STAMP}")
        draft.write_text(json.dumps(want))
        draft.replace(stamp)
    print(f"dashboards: {', '.join(f'{n} {k}' for k, n in counts.items())} in {time.monotonic() - began:.0f} s")
    return 0


def _apply(texts: dict[str, str], passwords: dict[str, str], reset: set[str], former: set[str]) -> dict[str, int]:
    import logging

    logging.disable(logging.WARNING)  # some thousand lines about permissions; failures still raise
    import roles
    import superset
    from flask import g
    from flask_migrate import upgrade
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        from superset import security_manager as sm

        upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
        app.appbuilder.add_permissions(update_perms=True)
        sm.sync_role_definitions()
        roles.apply_roles([])
        site = os.environ.get("PHOTOPEAK_SITE_ID", "MAIN")
        if sm.find_user("admin") is None:
            roles.apply_users({"admin": passwords["admin"]}, site, set())
        g.user = sm.find_user("admin")
        counts = sync.import_bundle(texts, former)
        unknown = roles.apply_roles(sites())
        roles.apply_users(passwords, site, reset)
        if unknown:
            raise SystemExit(
                f"This version of Superset does not know these permissions, correct dashboards/roles.py: {', '.join(unknown)}"
            )
    return counts


if __name__ == "__main__":
    sys.exit(bootstrap())

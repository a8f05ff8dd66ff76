"""Build the Python environments that the platform runs in. Standard library only: it runs before anything is installed.

    python3 photopeak/environments.py pipeline airflow superset [peers]

Each environment is made from its hashed requirement file and stamped with that file's digest, so that a second call does
nothing and a changed file makes the environment anew in place.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["ENVIRONMENTS", "ROOT", "build", "main"]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run as a file, from nowhere: the room beside it is found all the same

from photopeak.doctor import say  # noqa: E402

ENVIRONMENTS = {"pipeline": ".venv", "airflow": ".venv-airflow", "superset": ".venv-superset", "peers": ".venv-peers"}
MINUTES = {"pipeline": 3, "airflow": 1, "superset": 1, "peers": 1}


def main(names: list[str]) -> int:
    """Build the named environments; 0 done, 2 an unknown name, 3 what the machine lacks."""
    unknown = [n for n in names if n not in ENVIRONMENTS]
    if unknown or not names:
        print(f"usage: environments.py {' '.join(ENVIRONMENTS)}", file=sys.stderr)
        return 2
    # pipeline first: it holds uv, which installs the others
    todo = [n for n in ENVIRONMENTS if n in {*names, "pipeline"} and not is_current(n)]
    left = sum(MINUTES[n] for n in todo)
    for name in todo:
        print("[setup] " + say("setup.left", name=name, minutes=left), flush=True)
        try:
            build(name)
        except subprocess.CalledProcessError as failed:
            command = " ".join(map(str, failed.cmd))[:200]
            print("[setup] " + say("setup.failed", name=name, command=command), file=sys.stderr)
            return 3
        left -= MINUTES[name]
    return 0


def digest(name: str) -> str:
    """Return the SHA-256 of what the environment is made from, its own place included (scripts hold absolute paths)."""
    parts = [(ROOT / "requirements" / f"{name}.txt").read_bytes(), str(ROOT).encode()]
    if name == "pipeline":
        parts.append((ROOT / "pyproject.toml").read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_current(name: str) -> bool:
    """Return whether the environment was completed from the requirement file as it stands."""
    stamp = ROOT / ENVIRONMENTS[name] / "photopeak.sha256"
    return stamp.exists() and stamp.read_text() == digest(name)


def build(name: str) -> None:
    """Make or complete one environment; a stamp is written last, so an interrupted build is simply run again."""
    began, folder = time.monotonic(), ROOT / ENVIRONMENTS[name]
    python = folder / "bin" / "python"
    requirements = ROOT / "requirements" / f"{name}.txt"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", *([] if name == "pipeline" else ["--without-pip"]), folder], check=True)
    uv = ROOT / ENVIRONMENTS["pipeline"] / "bin" / "uv"
    if name == "pipeline":
        pin = re.search(r"^uv==\S+( \\\n\s+--hash=\S+)+", requirements.read_text(), re.M)
        assert pin, "requirements/pipeline.txt pins uv"
        only = folder / "uv.txt"
        only.write_text(pin.group(0) + "\n")
        subprocess.run([python, "-m", "pip", "install", "-q", "--require-hashes", "-r", only], check=True)
    env = {**os.environ, "UV_COMPILE_BYTECODE": "1", "UV_HTTP_TIMEOUT": "180", "VIRTUAL_ENV": str(folder)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # else nothing is compiled, and Great Expectations imports in 8 s instead of 3
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", requirements], check=True, env=env)
    if name == "pipeline":
        subprocess.run([uv, "pip", "install", "-q", "--python", python, "--no-deps", "-e", ROOT], check=True, env=env)
    (folder / "photopeak.sha256").write_text(digest(name))
    print(f"[setup] {name}: done in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

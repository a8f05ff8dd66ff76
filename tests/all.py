"""Everything that `make test` checks, in order; the last line counts. Standard library only.

.venv/bin/python tests/all.py
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
RESULTS = ROOT / "var" / "test"


def main() -> int:
    """Return 0 when every check and test passed; all of them run in any case, so that one look shows everything."""
    began, failed = time.monotonic(), []
    python, airflow = str(BIN / "python"), str(ROOT / ".venv-airflow/bin/python")
    rooms = [
        "photopeak",
        "connectors",
        "spark_jobs",
        "expectations",
        "dashboards",
        "simulator",
        "dags",
        "plugins",
        "bench",
        "tests",
    ]
    checks: dict[str, list[str]] = {
        "ruff check": [python, "-m", "ruff", "check", *rooms],
        "ruff format": [python, "-m", "ruff", "format", "--check", *rooms],
        "mypy": [python, "-m", "mypy"],
        "import rules": [python, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        "tests": [python, "-m", "pytest", "-q", "--ignore=tests/dags"],
        "tests of DAGs": [
            airflow,
            "-m",
            "pytest",
            "-q",
            "-c",
            "tests/dags/pytest.ini",
            "--rootdir",
            ".",
            "-p",
            "no:cacheprovider",
            "tests/dags",
        ],
    }
    counts: dict[str, int] = {}
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name, command in checks.items():
        since = time.monotonic()
        print(f"[test] {name} …", flush=True)
        code, text = run(command, f"{name.replace(' ', '-')}.json")
        for number, what in re.findall(r"(\d+) (passed|failed|skipped|errors?)\b", text.splitlines()[-1] if text.strip() else ""):
            counts[what.rstrip("s") if what.startswith("error") else what] = counts.get(what, 0) + int(number)
        if code:
            failed.append(name)
        print(f"[test] {name}: {'FAILED' if code else 'ok'} in {time.monotonic() - since:.0f} s", flush=True)
    merge()
    told = ", ".join(f"{n} {what}" for what, n in counts.items())
    print(f"[test] {told}; {len(checks) - len(failed)} of {len(checks)} checks ok in {time.monotonic() - began:.0f} s"
          + (f"; FAILED: {', '.join(failed)}" if failed else ""), flush=True)  # fmt: skip
    return 1 if failed else 0


def run(command: list[str], results: str) -> tuple[int, str]:
    """Run one check, show its output as it comes, and return its code and its output."""
    dropped = ("PHOTOPEAK_", "AIRFLOW", "SUPERSET")  # an installation's settings must not reach the tests
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped) or k == "PHOTOPEAK_REAL_DATA"}
    environment |= {
        "PHOTOPEAK_TEST_RESULTS": results,
        "PYTHONNOUSERSITE": "1",
        "OMP_NUM_THREADS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    environment["PATH"] = f"{BIN}{os.pathsep}{environment.get('PATH', os.defpath)}"
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
    return process.returncode, "".join(lines)


def merge() -> None:
    """Write the outcomes of all runs into the one file that `photopeak requirements` reads."""
    together: dict[str, dict[str, str]] = {}
    for name in ("tests.json", "tests-of-DAGs.json"):
        path = RESULTS / name
        if path.exists():
            for id_, tests in json.loads(path.read_text()).items():
                together.setdefault(id_, {}).update(tests)
            path.unlink()
    (RESULTS / "requirements.json").write_text(json.dumps(together, indent=1, sort_keys=True))


if __name__ == "__main__":
    sys.exit(main())

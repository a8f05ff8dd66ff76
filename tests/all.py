"""Everything that `make test` checks, two at a time; the last line counts. Standard library only.

.venv/bin/python tests/all.py
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
RESULTS = ROOT / "var" / "test"

WORKERS = 2  # cores of the smallest machine that runs the tests
PYTHON, AIRFLOW = str(BIN / "python"), str(ROOT / ".venv-airflow/bin/python")
ROOMS = [
    *(
        "messages",
        "judgement",
        "devices",
        "photopeak",
        "terminals",
        "warehouse",
        "connectors",
        "spark_jobs",
        "expectations",
        "dashboards",
        "simulator",
    ),
    *("dags", "plugins", "bench", "tests"),
]
PYTEST = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
CONTRACTS = {  # a group is one run of pytest; files that are named nowhere are a group of their own
    "marts": ["marts", "marts_devices", "marts_device_history", "examinations", "design_charts"],
    "judgement": ["judgement"],
    "pairs and switches": ["reports_and_pairs", "switched_off"],
    "Superset": ["superset"],
    "the environment": ["environment_stream"],
    "reports and cluster": ["reports_attest", "reports_service", "spark_cluster"],
}


def checks() -> dict[str, list[str]]:
    """Return what is run, the longest first: two workers take the next one whenever they are free, so that both end together."""
    groups = {name: [f"tests/contract/test_{n}.py" for n in files] for name, files in CONTRACTS.items()}
    others = [f"--ignore={path}" for paths in groups.values() for path in paths]
    return {
        "ruff check": [PYTHON, "-m", "ruff", "check", *ROOMS],
        "ruff format": [PYTHON, "-m", "ruff", "format", "--check", *ROOMS],
        "mypy": [PYTHON, "-m", "mypy"],
        "sqlfluff": [str(ROOT / ".venv-peers/bin/python"), "-m", "sqlfluff", "lint", "--disable-progress-bar", "dbt_project/models"],
        "import rules": [PYTHON, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        "unit tests": [*PYTEST, "tests/unit"],
        "whole chain": [*PYTEST, "tests/end_to_end"],
        "contract tests": [*PYTEST, "tests/contract", *others],
        **{f"contract tests of {name}": [*PYTEST, *paths] for name, paths in groups.items()},
        "tests of DAGs": [
            AIRFLOW, "-m", "pytest", "-q", "-c", "tests/dags/pytest.ini", "--rootdir", ".", "-p", "no:cacheprovider", "tests/dags",
        ],
    }  # fmt: skip


def main() -> int:
    """Return 0 when every check and test passed; all of them run in any case, so that one look shows everything."""
    began = time.monotonic()
    RESULTS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(WORKERS) as pool:
        done = dict(pool.map(told, checks().items()))
    merge()
    counts: Counter[str] = Counter()
    for _, text in done.values():
        for number, what in re.findall(r"(\d+) (passed|failed|skipped|error)s?\b", text.splitlines()[-1] if text.strip() else ""):
            counts[what] += int(number)
    failed = [name for name, (code, _) in done.items() if code]
    said = ", ".join(f"{n} {what}" for what, n in counts.items())
    print(f"[test] {said}; {len(done) - len(failed)} of {len(done)} checks ok in {time.monotonic() - began:.0f} s"
          + (f"; FAILED: {', '.join(failed)}" if failed else ""), flush=True)  # fmt: skip
    return 1 if failed else 0


def told(check: tuple[str, list[str]]) -> tuple[str, tuple[int, str]]:
    """Run one check, say when it begins and ends, and return its name, its code and its output."""
    name, command = check
    since = time.monotonic()
    print(f"[test] {name} …", flush=True)
    outcome = run(name, command)
    print(f"[test] {name}: {'FAILED' if outcome[0] else 'ok'} in {time.monotonic() - since:.0f} s", flush=True)
    return name, outcome


def run(name: str, command: list[str]) -> tuple[int, str]:
    """Run one check, show its output as it comes, and return its code and its output."""
    dropped = ("PHOTOPEAK_", "AIRFLOW", "SUPERSET")  # an installation's settings must not reach the tests
    environment = {k: v for k, v in os.environ.items() if not k.startswith(dropped) or k == "PHOTOPEAK_REAL_DATA"}
    environment |= {
        "PHOTOPEAK_TEST_RESULTS": f"{name.replace(' ', '-')}.json",
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
            print(f"[{name}] {line}", end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def merge() -> None:
    """Write the outcomes of all runs into the one file that `photopeak requirements` reads."""
    together: dict[str, dict[str, str]] = {}
    for path in sorted(RESULTS.glob("*.json")):
        if path.name != "requirements.json":
            for id_, tests in json.loads(path.read_text()).items():
                together.setdefault(id_, {}).update(tests)
            path.unlink()
    (RESULTS / "requirements.json").write_text(json.dumps(together, indent=1, sort_keys=True))


if __name__ == "__main__":
    sys.exit(main())

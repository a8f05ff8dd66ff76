"""What the engine says of images, in the same form as `peer.py`: jobs as JSON on standard input, answers as JSON."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

__all__ = ["main"]

BEGAN = time.process_time()


def answer(job: dict) -> dict:
    """Return what one series gives: values by `name` or `name region`, and the CPU time of reading with measuring, and of the method.

    `codes` of the job are those that an order would bring.
    """
    from spark_jobs.measure import measure_instances
    from spark_jobs.procedures import PROCEDURES
    from spark_jobs.reading import read_file

    path = Path(job["path"])
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    best = method = float("inf")
    results, series = [], []
    for _ in range(job.get("repeats", 1)):
        began = time.process_time()
        series = [replace(i, codes=(*i.codes, *job.get("codes", ()))) for i in map(read_file, files)]
        results = measure_instances(series)
        best = min(best, time.process_time() - began)
        row = PROCEDURES.get(results[0].procedure or "")
        if row and results[0].status != "not_measured":
            for instance in series:
                instance.notes.clear()  # what the look found: the method alone pays for all that it needs
            began = time.process_time()
            row.run(series)
            method = min(method, time.process_time() - began)
    peak = peak_mb()
    values: dict[str, float] = {}
    for r in results:
        for m in r.measures:
            values.setdefault(f"{m.name} {m.region}" if m.region else m.name, m.value)
            if r.detector:
                values[f"{m.name} detector {r.detector}"] = m.value
    first = results[0]
    return {
        "procedure": first.procedure,
        "status": first.status,
        "reason": first.reason,
        "values": values,
        "seconds": best,
        "analyse_seconds": method if method < float("inf") else None,
        "peak_mb": peak,
    }


def peak_mb() -> float:
    """Return the most memory that this program held; `ru_maxrss` would begin with that of the program which started it."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Answer all jobs."""
    jobs = json.load(sys.stdin)
    import spark_jobs.measure  # noqa: F401

    imported = time.process_time() - BEGAN
    from spark_jobs.lean_pydicom import load_pydicom

    load_pydicom()  # the engine does when it reads the first file: memory of the imports, not of the work

    base = peak_mb()
    json.dump([{**answer(job), "import_seconds": imported, "base_mb": base} for job in jobs], sys.stdout)


if __name__ == "__main__":
    main()

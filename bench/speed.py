"""Time and memory beside pylinac: `python -m bench.speed`. Each image and each side in a fresh process; the least of a few runs counts.

Goals of the engine: a method of nuclear medicine takes a tenth of pylinac's time or 20 ms, a CT phantom a fifth; a quarter of its memory;
the engine is imported in 0.5 s, and one flood is answered from the shell in 1.0 s. Exit code 1 when a goal is missed. Times are CPU
times, because pylinac and Photopeak run one after the other and a busy machine would favour one of them.
"""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import page
from bench.accuracy import OWN, PEER, ask
from bench.cases import DATA, ROOT, Case, dicom, item, lit, real, rotation, simulated

__all__ = ["main"]

ENOUGH_S, FASTER, FASTER_CT, MEMORY, IMPORT_S, SHELL_S = 0.020, 10, 5, 4, 0.5, 1.0
REPEATS = 5
CODES = {
    "tomographic_uniformity": "PP-TOMOUNI",
    "tomographic_contrast": "PP-TOMOCON",
}  # one image serves both: an order tells which
TABLE = [
    "CPU time in ms, the least of a few runs. *method*: on decoded pixels, with all that it has to find on them. *all*: read, tell what it is,",
    "measure, look for artefacts; of pylinac: construct and analyse. *peak*: the most memory of the process in MB; *above*: what of it came",
    "after the imports (Python, NumPy and pydicom alone are some 38 MB; pylinac brings SciPy, scikit-image, Matplotlib, pydantic).",
    "",
    "| image | method | all | pylinac | time | peak | pylinac | memory | above | pylinac | goals |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
]


def main() -> int:
    """Print the table and write it to docs/speed.md; 0 all goals met, 1 a goal missed, 3 the peer's environment is not there."""
    if not Path(PEER[0]).exists():
        print("the environment .venv-peers is not there: `make bench` installs it", file=sys.stderr)
        return 3
    before = page.load()
    missed: list[str] = []
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    for line in TABLE:
        say(line)
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            *_sizes(Path(folder)),
            *[
                replace(c, title=f"{c.family}: {c.title}")
                for c in simulated(Path(folder) / "s")
                if "paralysable" in c.title or "hour" in c.title
            ],
        ]
        cases += [*[c for c in real() if c.peer], *_jaszczak()]
        imports = []
        for case in cases:
            codes = [CODES[case.peer]] if case.peer in CODES else []
            (own,) = ask(OWN, [{"path": str(case.path), "repeats": REPEATS, "codes": codes}])
            repeats = 1 if case.path.is_dir() else REPEATS
            (peer,) = ask(PEER, [{"kind": case.peer, "path": str(case.path), "repeats": repeats, "options": case.options}])
            imports.append((own["import_seconds"], peer["import_seconds"]))
            line, those = _line(case, own, peer)
            say(line)
            missed += those
        wall, cpu = _shell(next(c.path for c in cases if "256" in c.title))
    say("")
    missed += [] if wall <= SHELL_S else ["shell"]
    say(
        f"- `photopeak analyse` of one flood from the shell: {wall:.2f} s, {cpu:.2f} s of it CPU time (goal {SHELL_S}): {_said(wall <= SHELL_S)}"
    )
    ours, theirs = (min(x) for x in zip(*imports, strict=True))
    missed += [] if ours <= IMPORT_S else ["import"]
    say(f"- import of the engine {ours:.2f} s CPU time (goal {IMPORT_S}), of pylinac {theirs:.2f} s: {_said(ours <= IMPORT_S)}")
    say(f"- {len(missed)} goals missed" + (": " + "; ".join(missed) if missed else ""))
    page.write("Beside pylinac", lines, (before, page.load()))
    return 1 if missed else 0


def _sizes(folder: Path) -> list[Case]:
    out = []
    rng = np.random.default_rng(0)
    for n in (64, 256, 1024):
        pixel_mm = 614 / n
        image = rng.poisson(lit("RECTANGLE", (545.0, 399.0), pixel_mm, n) * 40_000 * (pixel_mm / 6.4) ** 2) if n > 64 else None
        if image is None:
            pixel_mm = 8.0
            image = np.minimum(rng.poisson(lit("RECTANGLE", (440.0, 330.0), pixel_mm, n) * 40_000), 65_000)
        path = folder / f"flood{n}.dcm"
        path.write_bytes(dicom(image, pixel_mm=pixel_mm, NumberOfFrames=1, Manufacturer="Simulated"))
        out.append(Case("speed", f"planar uniformity {n} × {n}", path, peer="uniformity"))
    for views, n in ((60, 128), (120, 256)):
        frames, _ = rotation(2.0, n=n, pixel_mm=512 / n, views=views, step=360 / views, background=0.2)
        turn = item(AngularStep=str(360 / views), RotationDirection="CC", StartAngle="0")
        path = folder / f"rotation{n}.dcm"
        about = {
            "RotationInformationSequence": [turn],
            "AngularViewVector": list(range(1, views + 1)),
            "Manufacturer": "Simulated",
        }
        path.write_bytes(dicom(frames, kind="TOMO", pixel_mm=512 / n, **about))
        out.append(Case("speed", f"centre of rotation {views} × {n}²", path, peer="rotation"))
    return out


def _jaszczak() -> list[Case]:
    path = DATA / "nm_phantoms" / "jaszczak.dcm"
    # whoever orders the contrast gets the uniformity as well: pylinac's time is of the contrast alone
    named = (
        ("tomographic uniformity", "tomographic_uniformity"),
        ("tomographic contrast and uniformity", "tomographic_contrast"),
    )
    return [Case("speed", f"{title} 45 × 128²", path, peer=kind) for title, kind in named] if path.exists() else []


def _line(case: Case, own: dict[str, Any], peer: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the row of one image, and the goals that it missed."""
    if own["analyse_seconds"] is None or "error" in peer:
        why = own["reason"] if own["analyse_seconds"] is None else peer["error"]
        return f"| {case.title} | | | | | | | | | | not compared: {why} |", [f"comparison of {case.title}"]
    ct = case.path.is_dir()
    faster = peer["seconds"] / own["seconds"]
    fast = faster >= (FASTER_CT if ct else FASTER) or (not ct and own["analyse_seconds"] <= ENOUGH_S)
    small = own["peak_mb"] * MEMORY <= peer["peak_mb"]
    row = (
        f"| {case.title} | {1000 * own['analyse_seconds']:.1f} | {1000 * own['seconds']:.1f} | {1000 * peer['seconds']:.1f} | {faster:.1f}× "
        f"| {own['peak_mb']:.0f} | {peer['peak_mb']:.0f} | {peer['peak_mb'] / own['peak_mb']:.1f}× "
        f"| {own['peak_mb'] - own['base_mb']:.0f} | {peer['peak_mb'] - peer['base_mb']:.0f} | time {_said(fast)}, memory {_said(small)} |"
    )
    return row, [f"{what} of {case.title}" for what, good in (("time", fast), ("memory", small)) if not good]


def _shell(flood: Path) -> tuple[float, float]:
    """Return how long one command took, and its CPU time: each the least of a few."""
    times = []
    for _ in range(REPEATS):
        began, used = time.perf_counter(), _used()
        subprocess.run([sys.executable, "-m", "photopeak", "analyse", str(flood)], capture_output=True, cwd=ROOT)
        times.append((time.perf_counter() - began, _used() - used))
    wall, cpu = (min(x) for x in zip(*times, strict=True))
    return wall, cpu


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _said(good: bool) -> str:
    return "met" if good else "MISSED"


if __name__ == "__main__":
    sys.exit(main())

"""Time and memory beside pylinac: `python -m bench.speed`. Each image and each side in a fresh process; the least of a few runs counts.

Goals of the engine: a method of nuclear medicine takes a tenth of pylinac's time or 20 ms, a CT phantom a fifth; a quarter of its memory;
the engine is imported in 0.5 s, and one flood is answered from the shell in 1.0 s. Exit code 1 when a goal is missed.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy import OWN, PEER, ask
from bench.cases import DATA, ROOT, Case, dicom, item, lit, real, rotation, simulated

__all__ = ["main"]

ENOUGH_S, FASTER, FASTER_CT, MEMORY, IMPORT_S, SHELL_S = 0.020, 10, 5, 4, 0.5, 1.0
REPEATS = 3


def main() -> int:
    """Print the table; 0 all goals met, 1 a goal missed, 3 the peer's environment is not there."""
    if not Path(PEER[0]).exists():
        print("the environment .venv-peers is not there: `make bench` installs it", file=sys.stderr)
        return 3
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            *_sizes(Path(folder)),
            *[c for c in simulated(Path(folder) / "s") if "paralysable" in c.title or "hour" in c.title],
        ]
        cases += [*[c for c in real() if c.peer], *_jaszczak()]
        print("method: ours with decoded pixels; all: read and measure, or construct and analyse; ms, least of a few runs")
        print(f"{'image':<42} {'method':>9} {'all':>9} {'peer all':>9} {'ratio':>7} {'MB':>6} {'peer MB':>8} {'ratio':>6}  goals")
        imports = []
        for case in cases:
            (own,) = ask(OWN, [{"path": str(case.path), "repeats": REPEATS}])
            (peer,) = ask(
                PEER,
                [
                    {
                        "kind": case.peer,
                        "path": str(case.path),
                        "repeats": 1 if case.path.is_dir() else REPEATS,
                        "options": case.options,
                    }
                ],
            )
            imports.append((own["import_seconds"], peer["import_seconds"]))
            missed += _line(case, own, peer)
        flood = next(c.path for c in cases if "256" in c.title)
        missed += _shell(flood)
    ours, theirs = (min(x) for x in zip(*imports, strict=True))
    print(f"import of the engine {ours:.2f} s (goal {IMPORT_S}), of pylinac {theirs:.2f} s: {_said(ours <= IMPORT_S)}")
    missed += [] if ours <= IMPORT_S else ["import"]
    print(f"{len(missed)} goals missed" + (": " + "; ".join(missed) if missed else ""))
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
    named = (("tomographic uniformity", "tomographic_uniformity"), ("tomographic contrast", "tomographic_contrast"))
    return [Case("speed", f"{title} 45 × 128²", path, peer=kind) for title, kind in named] if path.exists() else []


def _line(case: Case, own: dict[str, Any], peer: dict[str, Any]) -> list[str]:
    if own["analyse_seconds"] is None or "error" in peer:
        why = own["reason"] if own["analyse_seconds"] is None else peer["error"]
        print(f"{case.title[:42]:<42} not compared: {why}")
        return []
    ct = case.path.is_dir()
    faster = peer["seconds"] / own["seconds"]
    fast = faster >= (FASTER_CT if ct else FASTER) or (not ct and own["analyse_seconds"] <= ENOUGH_S)
    small = own["peak_mb"] * MEMORY <= peer["peak_mb"]
    print(
        f"{case.title[:42]:<42} {1000 * own['analyse_seconds']:>9.1f} {1000 * own['seconds']:>9.1f} {1000 * peer['seconds']:>9.1f} "
        f"{faster:>6.1f}× {own['peak_mb']:>6.0f} {peer['peak_mb']:>8.0f} {peer['peak_mb'] / own['peak_mb']:>5.1f}×  "
        f"time {_said(fast)}, memory {_said(small)}"
    )
    return [f"{what} of {case.title}" for what, good in (("time", fast), ("memory", small)) if not good]


def _shell(flood: Path) -> list[str]:
    times = []
    for _ in range(REPEATS + 2):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "photopeak", "analyse", str(flood)], capture_output=True, cwd=ROOT)
        times.append(time.perf_counter() - began)
    good = min(times) <= SHELL_S
    print(f"photopeak analyse of one flood from the shell {min(times):.2f} s (goal {SHELL_S}): {_said(good)}")
    return [] if good else ["shell"]


def _said(good: bool) -> str:
    return "met" if good else "MISSED"


if __name__ == "__main__":
    sys.exit(main())

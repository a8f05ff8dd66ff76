"""The standard protocol in numbers: what each procedure says of one seeded image. `python tests/unit/golden_cases.py` writes it anew.

The file is `tests/golden/measures.json`: method, version, unit and value (six significant digits) of every measure. Where a number moved and
its method kept its version, the command writes nothing and says which: a changed number is a new VERSION and a line in CHANGELOG.md.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import families  # noqa: F401
import numpy as np
from clinical_images import NM_HEAD, dynamic, heart, heart_views, hepatic, pet, pet_volume, renal, thyroid
from ct_phantom import Scan, files
from line_images import down, noisy, quadrants, slits, square
from pet_images import cylinder as even
from pet_images import dosed, iq_phantom
from pet_images import slices as pet_slices
from qc_images import body, dicom, item, lit, tube
from test_qc_activimeter import sheet
from test_qc_counting import decay, dish, expected_counts, header, points, scan, spectrum, whole_body
from test_qc_counting import dynamic as decaying
from test_qc_measure_series import slices as water
from test_qc_measure_series import tomo
from test_qc_pet_reports import blocks, report
from test_qc_registration import PLACES, ct, pt
from tomo_images import cylinder, recon, ring_of, rod_places

from spark_jobs.measure import measure_mixed, read_object

__all__ = ["CASES", "GOLDEN", "difference", "measured"]

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "measures.json"
FIELD = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])]
DIGITS, RELATIVE, ABSOLUTE = 6, 2e-5, 1e-6  # processors differ in the last digits of a fit, methods in the first


def _flood() -> list[bytes]:
    pattern = lit("RECTANGLE", (545.0, 399.0), 2.4, 256)
    heads = [
        np.random.default_rng(k).poisson(pattern * tube(2.4, 256, 60, -40, left) * 2_000) for k, left in ((0, 0.3), (1, 1.0))
    ]
    about = {"DetectorVector": [1, 2], "DetectorInformationSequence": FIELD * 2, "ActualFrameDuration": 600_000}
    return [dicom(np.stack(heads), **about)]


def _sensitivity() -> list[bytes]:
    return [dicom(np.random.default_rng(1).poisson(expected_counts(2.0) * dish()), pixel_mm=4.0, **header())]


def _count_rate() -> list[bytes]:
    counts, _, _ = decay(4e-6, 60.0, 4e5, 48.0, 1800.0)
    phase = [item(ActualFrameDuration=60_000, PauseBetweenFrames=1_740_000, NumberOfFramesInPhase=len(counts))]
    about = {k: v for k, v in header().items() if k != "ActualFrameDuration"}
    return [decaying(counts, PhaseInformationSequence=phase, **about)]


def _windows() -> list[bytes]:
    frames = np.stack([points(0.0), points(0.7, seed=1)])
    return [dicom(frames, EnergyWindowVector=[1, 2], DetectorVector=[1, 1])]


def _scan() -> list[bytes]:
    return [dicom(whole_body(4.2, 3.4, pixel_mm=2.4, shape=(583, 208)), kind="WHOLE BODY", pixel_mm=2.4)]


def _tomogram(**about: Any) -> list[bytes]:
    return [recon(np.random.default_rng(0).poisson(np.maximum(cylinder(**about), 0) * 600))]


CASES: dict[str, Callable[[], list[bytes]]] = {
    "flood of two heads, a weak tube": _flood,
    "rotation of two heads": lambda: [tomo([2.0, -3.0])],
    "line": lambda: [dicom(noisy(down(6.0)), pixel_mm=1.0)],
    "four bars": lambda: [dicom(noisy(square(6.0)), pixel_mm=1.0)],
    "slits": lambda: [dicom(noisy(slits(lambda y: 0.5 * np.sin(y / 95.0 * 2 * np.pi), peak=300)), pixel_mm=0.8)],
    "bars in quadrants": lambda: [dicom(noisy(quadrants((2.0, 2.5, 3.0, 3.5), 3.5, n=320, counts=5_000)), pixel_mm=1.0)],
    "dish": _sensitivity,
    "decaying source": _count_rate,
    "points in two windows": _windows,
    "scan of windows": lambda: [scan(*spectrum())],
    "points in a whole-body scan": _scan,
    "uniform cylinder": _tomogram,
    "system phantom": lambda: _tomogram(spheres=ring_of(), rods=rod_places()),
    "water": water,
    "catphan": lambda: files(Scan(pixel=0.9, n=256, count=17, blur_mm=0.8)),
    "spheres in a body": lambda: pet_slices(iq_phantom(fwhm=7.0), (3.0, 3.0, 3.0), Units="BQML"),
    "cylinder of known activity": lambda: pet_slices(even(noise=0.01), (4.0, 4.0, 4.0), **dosed()),
    "daily report": lambda: [report(np.where(np.arange(192) == 7, 0.0, blocks()))],
    "fiducials in PET and CT": lambda: [*ct(PLACES), *pt(PLACES + np.array([3.0, -2.0, 1.0]))],
    "activimeter": lambda: [json.dumps(sheet()).encode()],
    "bone": lambda: [dicom(body()[None], kind="WHOLE BODY", pixel_mm=2.26)],
    "thyroid": lambda: [dicom(thyroid(), pixel_mm=2.2, **NM_HEAD)],
    "kidneys": lambda: [dynamic(renal())],
    "liver and bile": lambda: [dynamic(hepatic(), ((60, 60.0),))],
    "heart": lambda: [heart(heart_views())],
    "patient in a PET": lambda: pet(pet_volume()),
}


def measured(case: str) -> dict[str, dict[str, Any]]:
    """Return {procedure and detector: status, method, version and measures {name and region: [value, unit]}} of one case."""
    out: dict[str, dict[str, Any]] = {}
    for found in measure_mixed([read_object(data) for data in CASES[case]()]):
        for r in found.results:
            values = {
                " @ ".join(filter(None, (m.name, m.aspect, m.region))): [float(f"{m.value:.{DIGITS}g}"), m.unit]
                for m in r.measures
            }
            assert len(values) == len(r.measures), (case, r.procedure)
            told = {"status": r.status, "method": r.method, "version": r.method_version, "measures": values}
            out[" @ ".join(filter(None, (r.procedure, r.detector)))] = told
    return out


def difference(golden: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Return what one result says otherwise than before, None when nothing."""
    if golden["status"] != now["status"]:
        return f"status {golden['status']} is {now['status']}"
    if set(golden["measures"]) != set(now["measures"]):
        return f"other measures: {sorted(set(golden['measures']) ^ set(now['measures']))}"
    for name, (value, unit) in golden["measures"].items():
        other, other_unit = now["measures"][name]
        if unit != other_unit or not np.isclose(other, value, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
            return f"{name} was {value} {unit} and is {other} {other_unit}"
    return None


def main() -> int:
    """Write the file; 1 when a number moved under the same version of its method."""
    before = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    now = {case: measured(case) for case in CASES}
    moved = [
        f"{case}, {name}: {why}"
        for case, results in now.items()
        for name, r in results.items()
        if (old := before.get(case, {}).get(name))
        and (old["method"], old["version"]) == (r["method"], r["version"])
        and (why := difference(old, r))
    ]
    if moved:
        print(
            "\n".join([*moved, "nothing was written: give each of these methods a new VERSION, and CHANGELOG.md a line"]),
            file=sys.stderr,
        )
        return 1
    GOLDEN.write_text(json.dumps(now, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(now)} cases written to {GOLDEN.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

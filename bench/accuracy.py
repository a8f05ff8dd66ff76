"""Truth against Photopeak against pylinac: `python -m bench.accuracy` writes docs/accuracy.md anew; every result in it is computed.

Exit code 1 when Photopeak misses a truth; a procedure that is not there yet is said to be so.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from bench.accuracy_cases import further
from bench.cases import DATA, ROOT, Case, Truth, real, simulated
from bench.clinical_cases import clinical
from bench.nuclear_cases import nuclear
from bench.wrong_passes import wrong_passes
from photopeak.analyse import analyse

__all__ = ["ask", "main"]

PEER = (str(ROOT / ".venv-peers" / "bin" / "python"), str(ROOT / "bench" / "peer.py"))
OWN = (sys.executable, "-m", "bench.own")
REAL = "real images"
HEAD = """# Accuracy

Made by `make docs`: nothing below is typed by hand. Images with known truth are simulated by generators that know nothing of the
engine, written as DICOM files, and given to Photopeak and, in an environment of its own, to pylinac {peer}. A value is right when it
lies within the tolerance. Photopeak {passed} of {total} right; pylinac {peer_right} of {peer_total} of the values that it reports.

- *indicative*, *not measured* are right answers where the image asks for them: a value without a verdict, or a reason instead of a value.
- pylinac reports the residual of the fit as centre of rotation and no offset; it is compared with the offset, because that is what is asked.
  Where there is no offset its residual leads to the right verdict all the same.
- Real images have no truth: their rows hold what other tools or hands found on them, to notice a change. Methods differ: pylinac bins the
  flood to 8.26 mm and fits Gaussians to the bars, Photopeak bins to 6.20 mm and interpolates at half and tenth maximum, as NU 1 says.
  Their bands were chosen with both values in view: they notice a change, and prove nothing.
- The spheres of the PET phantom are judged against the closed form of a blurred sphere, SUV against decay worked out by hand, registration
  against the motion that was put in. pylinac's CatPhan 604 is asked for the same simulated phantom; it places its regions without checking
  that the rods lie there.
"""


def main() -> int:
    """Write the report; 0 all right, 1 a miss of ours, 3 the peer's environment is not there."""
    if not Path(PEER[0]).exists():
        print("the environment .venv-peers is not there: `make docs` installs it", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as folder:
        more = [*further(Path(folder)), *nuclear(Path(folder)), *clinical(Path(folder)), *wrong_passes(Path(folder))]
        cases = [*simulated(Path(folder)), *real()]
        own = [*ask(OWN, [{"path": str(c.path)} for c in cases]), *(analysed(c.path) for c in more)]
        cases += more
        theirs = ask(
            PEER, [{"kind": c.peer, "path": str(c.path), "options": c.options} if c.peer else {"kind": "none"} for c in cases]
        )
    rows = [row for c, o, p in zip(cases, own, theirs, strict=True) for row in compared(c, o, p)]
    target = ROOT / "docs" / "accuracy.md"
    target.write_text(report(rows), encoding="utf-8")
    misses = [r for r in rows if r["right"] is False]
    print(
        f"{target.relative_to(ROOT)}: {len(rows)} rows, {len(misses)} missed"
        + "".join(f"\n  {r['title']}: {r['measure']}" for r in misses)
    )
    return 1 if misses else 0


def ask(command: Sequence[str], jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers of one fresh process to the jobs."""
    done = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{command[-1]} ended with {done.returncode}: {done.stderr[-500:]}")
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def analysed(path: Path) -> dict[str, Any]:
    """Return what `photopeak analyse --json` says of a folder, in the form of the other answers; the first result is the main one."""
    said = StringIO()
    with redirect_stdout(said):
        analyse([path], json=True)
    rows = json.loads(said.getvalue())
    values: dict[str, float] = {}
    for m in (m for row in rows for m in row["measures"]):
        values.setdefault(f"{m['name']} {m['region']}" if m.get("region") else m["name"], m["value"])
    return {"procedure": rows[0]["procedure"] or "", "status": rows[0]["status"], "reason": rows[0]["reason"], "values": values}


def compared(case: Case, own: dict[str, Any], peer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of one image, one for each thing known of it."""
    rows = []
    for truth in case.truths:
        value = own["values"].get(truth.measure)
        their = peer.get("values", {}).get(truth.peer) if truth.peer else None
        none = math.isnan(truth.value)
        there = own["status"] == case.status and (value is None) == none
        right = there and (value is None or abs(value - truth.value) <= truth.within)
        rows.append(
            {
                "family": case.family,
                "title": case.title,
                "measure": truth.measure,
                "truth": truth,
                "own": _own(own, value, case),
                "right": right if own["procedure"] is not None or case.status == "not_measured" else None,
                "peer": _peer(peer, their, truth),
                "peer_right": None
                if their is None or case.family == REAL
                else not none and abs(their - truth.value) <= truth.within,
            }
        )
    return rows


def _own(own: dict[str, Any], value: float | None, case: Case) -> str:
    if own["procedure"] is None and case.status != "not_measured":
        return "not measured: no such procedure yet"
    status = "" if own["status"] == "measured" else f" ({own['status'].replace('_', ' ')})"
    return f"{own['reason'] or 'no such value'}{status}" if value is None else f"{value:.4g}{status}"


def _peer(peer: dict[str, Any], value: float | None, truth: Truth) -> str:
    if truth.peer is None or peer.get("error", "").startswith("KeyError: 'none'"):
        return "–"
    if value is None:
        return peer.get("error", "no such value").replace("|", " ")
    return f"{value:.4g}"


def report(rows: list[dict[str, Any]]) -> str:
    """Return the page."""
    version = subprocess.run(
        [PEER[0], "-c", "from importlib.metadata import version; print(version('pylinac'))"], capture_output=True, text=True
    )
    counted = [r for r in rows if r["right"] is not None]
    theirs = [r["peer_right"] for r in rows if r["peer_right"] is not None]
    text = [
        HEAD.format(
            peer=version.stdout.strip(),
            passed=sum(r["right"] for r in counted),
            total=len(counted),
            peer_right=sum(theirs),
            peer_total=len(theirs),
        )
    ]
    families = dict.fromkeys(r["family"] for r in rows)
    for family in sorted(families, key=lambda f: f == REAL):
        text += [
            f"\n## {family[:1].upper()}{family[1:]}\n",
            "| image | measure | truth | within | Photopeak | | pylinac | |",
            "|---|---|--:|--:|--:|---|--:|---|",
        ]
        for r in rows:
            if r["family"] == family:
                t: Truth = r["truth"]
                told = "no number | " if math.isnan(t.value) else f"{t.value:.4g} | ± {t.within:.2g}"
                words = {True: "right", False: "**wrong**", None: ""}
                text.append(
                    f"| {r['title']} | `{r['measure']}` | {told} | {r['own']} | {words[r['right']]} "
                    f"| {r['peer']} | {words[r['peer_right']]} |"
                )
    if not DATA.exists():
        text.append("\nThe folder with real images is not there: their rows are missing.")
    return "\n".join(text) + "\n"


if __name__ == "__main__":
    sys.exit(main())

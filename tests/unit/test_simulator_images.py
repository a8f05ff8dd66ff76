"""Images of the pretend hospital: valid DICOM, the same bytes for the same seed, and the truth that is said to be in them."""

import hashlib
import io
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest

from simulator import phantoms
from simulator.__main__ import main
from simulator.images import make
from simulator.plan import build_plan

DAY = date(2026, 3, 3)
DCIODVFY = shutil.which("dciodvfy") or str(Path(sys.executable).parent / "dciodvfy")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("images")
    assert main(["images", "--out", str(folder)]) == 0
    return {p.stem: p for p in folder.glob("*.dcm")}


@pytest.mark.req("ENB-08")
def test_every_kind_passes_dciodvfy(examples: dict[str, Path]) -> None:
    assert len(examples) == 14
    for path in examples.values():
        run = subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True)
        said = (run.stdout + run.stderr).splitlines()
        assert any(line in ("NMImage", "CTImage") for line in said), said
        assert not [line for line in said if line.startswith("Error")], path.name


@pytest.mark.req("ENB-08")
def test_same_seed_same_bytes() -> None:
    def digests(seed: int) -> list[str]:
        plan = build_plan(seed, DAY, 7)
        out = []
        for job in plan.images[-14:]:
            buffer = io.BytesIO()
            make(plan, job).save_as(buffer, enforce_file_format=True)
            out.append(hashlib.sha256(buffer.getvalue()).hexdigest())
        return out

    first = digests(3)
    assert first == digests(3)
    assert not set(first) & set(digests(4))


def test_objects_are_told_apart_but_for_the_edited_one() -> None:
    plan = build_plan(3, DAY, 30)
    uids = [plan.sop_uid(j.key) for j in plan.images if "edited" not in j.fault]
    assert len(uids) == len(set(uids)) and all(len(u) <= 64 for u in uids)
    assert [plan.sop_uid(j.key) in uids for j in plan.images if "edited" in j.fault] == [True]


def test_flood_holds_its_counts_and_only_the_dead_tube_is_cold() -> None:
    good = phantoms.flood(np.random.default_rng(1), 7).astype(float)
    dead = phantoms.flood(np.random.default_rng(1), 7, dead_pmt=0.1).astype(float)
    assert abs(good.sum() / 80e6 - 1) < 0.001
    ratio = _blocks(dead)[20:64, 12:74] / _blocks(good)[20:64, 12:74]
    row, column = np.unravel_index(ratio.argmin(), ratio.shape)
    assert ratio.min() < 0.2
    y, x = np.mgrid[: ratio.shape[0], : ratio.shape[1]]
    assert ratio[np.hypot(y - row, x - column) * 7.2 > 90].min() > 0.95


def test_rotation_offset_is_the_mean_of_conjugate_views() -> None:
    frames = phantoms.cor(np.random.default_rng(1), offset_mm=3.0).astype(float)
    profile = np.clip(frames.sum(1) - 0.2 * 128, 0, None)
    profile[profile < 60] = 0
    centroid = (profile * np.arange(128)).sum(1) / profile.sum(1)
    offset = ((centroid[:30] + centroid[30:]) / 2 - 63.5).mean() * 4.8
    assert offset == pytest.approx(3.0, abs=0.05)


def test_water_has_its_number_and_its_noise() -> None:
    stored = phantoms.ct_water(np.random.default_rng(1), hu=6.0)
    centre = stored[216:296, 216:296].astype(float) - 1024
    assert centre.mean() == pytest.approx(6.0, abs=0.2) and centre.std() == pytest.approx(5.0, rel=0.05)
    assert stored[:20, :20].mean() - 1024 == pytest.approx(-1000, abs=1)


def test_bone_scan_has_two_views_and_few_counts_when_told(examples: dict[str, Path]) -> None:
    good, low = (pydicom.dcmread(examples[n]).pixel_array.sum((1, 2)) for n in ("whole_body_bone", "whole_body_bone_low_counts"))
    assert good.shape == (2,) and (good > 1.85e6).all() and (low < 0.6e6).all()


def _blocks(image: np.ndarray) -> np.ndarray:
    return image[:255, :255].reshape(85, 3, 85, 3).sum((1, 3)) + 1e-9


def test_the_planted_drift_lies_inside_the_limits_and_the_chart_finds_it() -> None:
    """No single value tells of it: only the chart does, and not before it began."""
    from spark_jobs.measure import measure_series
    from spark_jobs.qc.numerics.drift import Chart, find_drift

    plan = build_plan(20260331, DAY, 90)
    jobs = [j for j in plan.images if j.kind == "ct_water" and j.device_id == "SPCT1" and "edited" not in j.fault]
    values, begun = [], None
    for n, job in enumerate(jobs):
        buffer = io.BytesIO()
        make(plan, job).save_as(buffer, enforce_file_format=True)
        values.append(measure_series([buffer.getvalue()])[0].value("water_hu"))
        begun = n if begun is None and job.fault else begun
    assert begun and jobs[begun].acquired.date() == plan.faults["drift"] and max(map(abs, values)) < 3 < 5
    chart = Chart(k=0.5, h=12, weight=0.1, limit=4.6, clip=4, baseline=30, floor=0.1)
    found = find_drift(np.array(values), chart)
    assert found and found.direction == "up" and found.flagged is not None and found.start is not None
    assert abs(found.start - begun) <= 3 and begun <= found.flagged <= begun + 8
    assert 0.9 < np.mean(values[found.start :]) - found.mean < 1.5
    calm = find_drift(np.array(values[:begun]), chart)
    assert calm and calm.flagged is None

"""Aspects of bone scans follow graded degradations monotonously."""

import numpy as np
import pytest
from qc_images import body, dicom, item
from scipy.ndimage import gaussian_filter

from judgement import reference
from judgement.limits import judge
from judgement.rows import Limit
from spark_jobs.measure import measure_series
from spark_jobs.qc.clinical import whole_body_bone as method


def aspects(image: np.ndarray) -> dict[str, float]:
    result = method.measure({"anterior": image}, 2.26)
    assert result.status == "measured", result.reason
    assert all(m.aspect and m.region == "anterior" for m in result.measures)
    return {m.name: m.value for m in result.measures}


@pytest.mark.req("ANA-02")
def test_fewer_counts_give_more_noise_and_fewer_counts():
    read = [aspects(body(c)) for c in (4e6, 2e6, 1e6, 5e5)]
    noise = [r["noise_percent"] for r in read]
    assert noise == sorted(noise) and noise[-1] / noise[0] == pytest.approx(np.sqrt(8), rel=0.1)
    assert [r["view_kcts"] for r in read] == pytest.approx([4000, 2000, 1000, 500], rel=0.01)
    assert [r["sharpness_ratio"] for r in read] == sorted((r["sharpness_ratio"] for r in read), reverse=True)


@pytest.mark.req("ANA-02")
def test_blur_bend_and_truncation_are_graded():
    rng = np.random.default_rng(1)
    sharp = [aspects(rng.poisson(gaussian_filter(body(4e6).astype(float), s)))["sharpness_ratio"] for s in (1, 2, 4)]
    assert sharp == sorted(sharp, reverse=True)
    bend = [aspects(body(bend=b))["axis_bend_mm"] for b in (0.0, 8.0, 20.0)]
    assert bend == sorted(bend) and bend[-1] > 2 * max(bend[0], 5)
    cut = [aspects(body(shift=s))["truncation_percent"] for s in (0, 95, 110)]
    assert cut[0] == 0 and cut == sorted(cut) and cut[-1] > 10


@pytest.mark.req("ANA-02")
def test_an_empty_view_is_refused():
    result = method.measure({"posterior": np.zeros((1024, 256))}, 2.26)
    assert result.status == "not_measured" and "no body" in result.reason


@pytest.mark.req("EXM-01", "ANA-02")
def test_extravasation_is_the_share_of_the_injection_site():
    plain = body(2e6).astype(float)
    y, x = np.mgrid[: plain.shape[0], : plain.shape[1]]
    spot = np.exp(-((y - 430) ** 2 + (x - 127.5 - 66) ** 2) / 30)
    read = []
    for share in (0.0, 0.02, 0.05, 0.15):
        image = np.random.default_rng(3).poisson(plain + spot / spot.sum() * plain.sum() * share / (1 - share))
        read.append(aspects(image))
    assert [r["extravasation_percent"] for r in read] == pytest.approx([0, 2, 5, 15], abs=0.4)
    assert [r["axis_tilt_deg"] for r in read] == pytest.approx([read[0]["axis_tilt_deg"]] * 4, abs=0.5)


@pytest.mark.req("EXM-01", "ANA-02")
def test_a_table_that_stalls_is_found_and_a_body_has_no_steps():
    sharp = gaussian_filter(body(4e6).astype(float), 1.8)  # organs end no sharper than the camera's blur lets them
    read = []
    for part in (1.0, 0.85, 0.7, 0.5, 0.2):
        stalled = sharp.copy()
        stalled[420:427] *= part
        read.append(aspects(np.random.default_rng(5).poisson(stalled))["line_step_percent"])
    assert read[0] == 0 and read == sorted(read) and read[2] > 25 and read[4] > 100
    for total in (3e6, 5e5, 1e5):
        assert aspects(np.random.default_rng(6).poisson(sharp * total / sharp.sum()))["line_step_percent"] == 0
    slower = sharp.copy()
    slower[500:] *= 0.8  # the table goes on faster
    assert aspects(np.random.default_rng(7).poisson(slower))["line_step_percent"] == pytest.approx(22, abs=6)


@pytest.mark.req("EXM-01", "ANA-02", "ENG-09")
def test_bands_dead_lines_stray_light_tilt_and_offset_are_told_apart():
    plain = aspects(body(4e6))
    assert plain["banding_percent"] < 0.5 and plain["dead_lines_count"] == 0 and plain["outside_percent"] < 0.1
    bands = []
    for depth in (0.02, 0.05, 0.1):
        image = body(4e6).astype(float)
        image[::2] *= 1 - depth
        bands.append(aspects(np.random.default_rng(0).poisson(image))["banding_percent"])
    assert bands == sorted(bands) and bands[0] > plain["banding_percent"]
    dead = body(4e6)
    dead[300:303] = 0
    assert aspects(dead)["dead_lines_count"] == 3
    stray = body(4e6)
    stray[700:710, 10:20] += 200
    assert aspects(stray)["outside_percent"] == pytest.approx(100 * 20_000 / 4.02e6, rel=0.2)
    moved = aspects(body(4e6, shift=20))
    assert moved["axis_offset_mm"] - plain["axis_offset_mm"] == pytest.approx(20 * 2.26, abs=1)
    rows = np.arange(1024)
    lean = np.stack([np.roll(line, round(0.05 * (r - 512))) for r, line in zip(rows, body(4e6), strict=True)])
    assert aspects(lean)["axis_tilt_deg"] == pytest.approx(np.rad2deg(np.arctan(0.05)), abs=0.3)


@pytest.mark.req("EXM-01")
def test_speed_waiting_time_and_counts_of_the_header_and_their_limit():
    given = [item(RadiopharmaceuticalStartTime="070000")]
    head = {"ScanVelocity": "2.5", "AcquisitionTime": "100000", "RadiopharmaceuticalInformationSequence": given}
    (result,) = measure_series([dicom(body(6e5), kind="WHOLE BODY", pixel_mm=2.26, **head)])
    assert result.value("scan_speed_cm_per_min") == pytest.approx(15) and result.value("uptake_min") == pytest.approx(180)
    verdict, rows = judge(result, reference.read(Limit), None, "2026-04-01")
    assert verdict == "fail" and {r["measure"] for r in rows if r["verdict"] == "fail"} == {"view_kcts"}
    (enough,) = measure_series([dicom(body(9e5), kind="WHOLE BODY", pixel_mm=2.26, **head)])
    assert judge(enough, reference.read(Limit), None, "2026-04-01")[0] == "pass"

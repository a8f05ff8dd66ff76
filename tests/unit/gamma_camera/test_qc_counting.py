"""Sensitivity, count rate, match of energy windows: known truth, made without the engine, over the whole range."""

import json
import time
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise

import numpy as np
import pydicom
import pytest
from clinical_images import thyroid
from qc_images import body, code, dicom, grid, item, lit
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from connectors.nuclides import known_nuclides
from judgement.limits import judge
from judgement.rows import Limit
from judgement.verdicts import judged
from spark_jobs.measure import measure_series, render
from spark_jobs.procedures.gamma_camera.source import activity
from spark_jobs.qc.clinical.whole_body_bone import looks_like_whole_body
from spark_jobs.qc.gamma_camera import count_rate, energy_resolution, sensitivity
from spark_jobs.qc.gamma_camera import multiple_window_registration as windows
from spark_jobs.qc.numerics.cut_off import is_cut_off, noise_ratio
from spark_jobs.reading import read

LIFE = 6.0067 * 3600


def dish(pixel_mm=4.0, n=128, diameter=100.0, sigma_mm=4.0, at=(12.0, -20.0)):
    """Parts of a dish's counts in each pixel; they add up to 1."""
    sub = 5
    x, y = grid(pixel_mm / sub, n * sub)
    if diameter:
        fine = (np.hypot(x - at[0], y - at[1]) < diameter / 2).astype(float)
        fine = gaussian_filter(fine, sigma_mm / pixel_mm * sub, truncate=8)
    else:
        fine = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2 / sigma_mm**2)
    shape = fine.reshape(n, sub, n, sub).sum((1, 3))
    return shape / shape.sum()


def header(mbq="400", assay="20260401083000", life=None, **tags):
    source = {"RadionuclideTotalDose": mbq, "RadiopharmaceuticalStartDateTime": assay}
    source["RadionuclideCodeSequence"] = [item(CodeValue="72454006", CodingSchemeDesignator="SCT", CodeMeaning="^99m^Technetium")]
    about = {"AcquisitionDate": "20260401", "AcquisitionTime": "093000", "ActualFrameDuration": 3_600_000}
    about["RadiopharmaceuticalInformationSequence"] = [item(**{k: v for k, v in source.items() if v is not None})]
    return {**about, **tags}


def expected_counts(sensitivity_cps, mbq=400.0, wait=3600.0, seconds=3600.0):
    """Integral of the decaying rate over the scan."""
    rate = np.log(2) / LIFE
    return sensitivity_cps * mbq * (np.exp(-rate * wait) - np.exp(-rate * (wait + seconds))) / rate


@pytest.mark.req("ENG-03", "ENG-06")
@pytest.mark.parametrize("background", [0.0, 0.2])
@pytest.mark.parametrize(
    ("pixel_mm", "n", "diameter", "sigma"), [(4.0, 128, 100, 4), (2.4, 256, 150, 5), (4.8, 128, 0, 8), (6.4, 64, 60, 3)]
)
def test_sensitivity_is_recovered_over_an_hour_with_background(pixel_mm, n, diameter, sigma, background):
    net = expected_counts(85.0)
    shape = dish(pixel_mm, n, diameter, sigma)
    area = max(np.pi * diameter**2 / 4, 4 * np.pi * sigma**2) / pixel_mm**2
    image = net * shape + background * net / area  # 20 % of the source's own counts, under the source
    scale = 2.0 ** max(np.ceil(np.log2(image.max() / 60_000)), 0)  # a stored pixel holds 16 bits
    for seed in (None, 1):
        stored = np.rint(image / scale) if seed is None else np.random.default_rng(seed).poisson(image / scale)
        about = header(str(400 / scale))
        (result,) = measure_series([dicom(stored, pixel_mm=pixel_mm, **about)])
        assert (result.procedure, result.status) == ("sensitivity", "measured"), result.reason
        noise = 0 if seed is None else 4 * next(m.uncertainty for m in result.measures if m.name == "sensitivity_cps_per_mbq")
        assert result.value("sensitivity_cps_per_mbq") == pytest.approx(85.0, abs=0.085 + noise)
        assert result.value("net_rate_cps") == pytest.approx(net / scale / 3600, rel=0.001, abs=noise * 400)
    assert render([], result).startswith(b"\x89PNG")


@pytest.mark.parametrize("background", [0.0, 3.0, 20.0])
def test_a_dish_whose_counts_were_cut_off_or_scaled_gets_no_verdict(background):
    whole = np.random.default_rng(0).poisson(expected_counts(2.0) * dish() + background)
    assert measure_series([dicom(whole, pixel_mm=4.0, **header())])[0].status == "measured"
    for part in (0.8, 0.9) if background < 1 else (0.3, 0.5, 0.8, 0.9):
        (result,) = measure_series([dicom(np.minimum(whole, int(part * whole.max())), pixel_mm=4.0, **header())])
        assert result.status == "not_measured" and "cut off" in result.reason, part
    for times in (0.25, 4.0):
        (result,) = measure_series([dicom(np.rint(whole * times), pixel_mm=4.0, **header())])
        assert result.status == "indicative" and "scaled" in result.reason, times


@pytest.mark.parametrize(
    ("pixel_mm", "n", "diameter", "sigma"), [(4.0, 128, 100, 4), (2.4, 256, 150, 5), (8.0, 64, 70, 0.5), (6.4, 64, 60, 3)]
)
def test_a_dish_without_noise_or_with_a_hard_rim_is_neither_cut_off_nor_scaled(pixel_mm, n, diameter, sigma):
    for net in (2e4, 5e5, 2e7):
        shape = dish(pixel_mm, n, diameter, sigma) * net
        for image in (np.rint(shape), np.rint(shape + 3), np.random.default_rng(1).poisson(shape + 0.5)):
            ratio = noise_ratio(image)
            assert not is_cut_off(image) and (ratio is None or 0.5 < ratio < 2.2)


@pytest.mark.req("ENG-03")
def test_a_second_frame_is_the_background():
    net = expected_counts(85.0, seconds=600.0)
    rng = np.random.default_rng(3)
    level = 300.0 * (1 + 0.05 * np.linspace(-1, 1, 128)) + np.zeros((128, 128))  # uneven: only the second frame takes it away
    frames = np.stack([rng.poisson(net * dish() + level), rng.poisson(level)])
    (result,) = measure_series([dicom(frames, pixel_mm=4.0, **header(ActualFrameDuration=600_000))])
    assert result.value("sensitivity_cps_per_mbq") == pytest.approx(85.0, rel=0.002)
    even = np.stack([rng.poisson(net * dish() + 300), rng.poisson(np.full((128, 128), 300.0))])
    (result,) = measure_series([dicom(even, pixel_mm=4.0, **header(ActualFrameDuration=600_000))])
    assert result.value("sensitivity_cps_per_mbq") == pytest.approx(85.0, rel=0.002)
    (result,) = measure_series([dicom(even[[0, 0]], pixel_mm=4.0, **header())])
    assert result.status == "not_measured" and "two candidates" in result.reason


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize(
    ("start", "told", "status", "value", "reason"),
    [
        ("20260401083000", 85.0, "measured", 85.0, None),
        ("20260331083000", 85.0, "measured", 85.0, None),  # the day is told
        ("083000", 85.0, "measured", 85.0, "has no day"),  # a day earlier it would be 1360, which no camera has
        ("083000", 30.0, "indicative", 30.0, "if a day earlier"),
        ("bare, a day old", 85.0, "indicative", 85 / 16.0, "85"),
        ("bare, a day old", 400.0, "indicative", 25.0, "a day earlier"),
        ("20260401083000", 0.085, "indicative", 0.085, "no camera's"),  # Bq, kBq, a minute for a second
        ("20260401083000", 1300.0, "indicative", 1300.0, "no camera's"),
    ],
)
def test_a_sensitivity_of_an_unknown_day_or_of_no_camera_gets_no_verdict(start, told, status, value, reason):
    """A day is 4 half-lives of Tc-99m: a factor of 16."""
    old = start.startswith("bare")
    net = expected_counts(told, wait=3600.0 + 86_400 * (old or start.startswith("20260331")), mbq=400.0)
    scale = max(net * dish().max() / 60_000, 1.0)
    about = header("400", None if len(start) < 14 or old else start)
    source = about["RadiopharmaceuticalInformationSequence"][0]
    if old or len(start) == 6:
        source.RadiopharmaceuticalStartTime = "083000"
    source.RadionuclideTotalDose = f"{400 / scale:.9g}"
    (result,) = measure_series([dicom(np.random.default_rng(4).poisson(net / scale * dish()), **about)])
    assert result.status == status, result.reason
    assert result.value("sensitivity_cps_per_mbq") == pytest.approx(value, rel=0.02)
    assert reason is None or any(reason in t for t in (result.reason or "", *result.warnings))


NAMELESS = item(RadionuclideTotalDose="400", RadiopharmaceuticalStartTime="083000")
TWICE = item(
    RadionuclideTotalDose="400",
    RadionuclideHalfLife="21624",
    RadiopharmaceuticalStartTime="073000",
    RadiopharmaceuticalStartDateTime="20260401083000",
)
REFUSED = {
    "absent": (header("0.0"), "activity absent"),
    "no time": (header(assay=None), "moment of the activity"),
    "two moments": (header(RadiopharmaceuticalInformationSequence=[TWICE]), "contradict each other"),
    "after": (header(assay="20260401100000"), "does not come before"),
    "long ago": (header(assay="20250401093000"), "half-lives"),
    "no duration": (header(ActualFrameDuration=None), "ActualFrameDuration"),
    "no acquisition": (header(AcquisitionTime=None), "AcquisitionTime"),
    "no nuclide": (header(RadiopharmaceuticalInformationSequence=[NAMELESS]), "nuclide"),
}


@pytest.mark.req("ENG-03", "ANA-05")
@pytest.mark.parametrize("name", REFUSED)
def test_a_sensitivity_without_its_facts_says_which_one_is_missing(name):
    about, word = REFUSED[name]
    image = np.rint(30_000_00 * dish() + 5)
    (result,) = measure_series([dicom(image, pixel_mm=4.0, PerformedProtocolCodeSequence=code("PP-SENS"), **about)])
    assert result.status == "not_measured" and word in result.reason and not result.measures


@pytest.mark.req("ENG-03")
def test_midnight_and_becquerels_and_a_stated_half_life():
    image = np.rint(expected_counts(85.0) / 4 * dish())
    source = {
        "RadionuclideTotalDose": "100000000",
        "RadiopharmaceuticalStartTime": "233000",
        "RadionuclideHalfLife": f"{LIFE:.2f}",
    }
    about = header(AcquisitionTime="003000", RadiopharmaceuticalInformationSequence=[item(**source)])
    (result,) = measure_series([dicom(image, pixel_mm=4.0, **about)])
    assert result.value("sensitivity_cps_per_mbq") == pytest.approx(85.0, rel=0.001)
    assert any("Bq" in w for w in result.warnings)


def source_of(nuclide, **tags):
    """What the header of one image says of its source."""
    about = {"RadionuclideTotalDose": "400", **{k: v for k, v in tags.items() if k.startswith("Radio")}}
    about["RadionuclideCodeSequence"] = [item(CodeValue=nuclide, CodeMeaning="")]
    facts = {k: v for k, v in tags.items() if not k.startswith("Radio")}
    facts = {"AcquisitionDate": "20260401", "AcquisitionTime": "093000", **facts}
    image = dicom(np.full((64, 64), 9), pixel_mm=4.0, RadiopharmaceuticalInformationSequence=[item(**about)], **facts)
    return activity(read(image))


DT, TM = "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"


@pytest.mark.req("ENG-03", "ANA-05")
@pytest.mark.parametrize(
    ("nuclide", "tags", "seconds"),
    [
        ("Tc-99m", {DT: "20260401083000"}, 3600),
        ("Tc-99m", {TM: "083000"}, 3600),
        ("Tc-99m", {DT: "20260401003000+0000", "TimezoneOffsetFromUTC": "+0800"}, 3600),
        ("Tc-99m", {DT: "20260401093000+0900", "AcquisitionDateTime": "20260401093000+0800"}, 3600),
        ("Tc-99m", {TM: "233000", "AcquisitionTime": "003000"}, 3600),
        ("Tc-99m", {DT: "20260330233000", "AcquisitionTime": "003000"}, 90_000),
        ("I-131", {DT: "20260325083000"}, 7 * 86_400 + 3600),
        ("Co-57", {DT: "20250401093000"}, 365 * 86_400),
    ],
)
def test_the_activity_of_a_source_is_decayed_from_its_moment_to_the_scan(nuclide, tags, seconds):
    found = source_of(nuclide, **tags)
    assert not isinstance(found, str), found
    assert found.mbq == pytest.approx(400 * 0.5 ** (seconds / known_nuclides()[nuclide].half_life_s), rel=1e-6)


@pytest.mark.req("ENG-03", "ANA-05")
@pytest.mark.parametrize(
    ("nuclide", "tags", "reason"),
    [
        ("I-131", {TM: "083000"}, "the day must be given"),
        ("Co-57", {TM: "083000"}, "the day must be given"),
        ("I-123", {TM: "083000"}, "the day must be given"),
        ("Tc-99m", {TM: "094500"}, "lies after the scan"),
        ("I-131", {TM: "094500"}, "lies after the scan"),
        ("Tc-99m", {DT: "20260401003000+0000"}, "in UTC"),
        ("Tc-99m", {DT: "20260401"}, "no date and time"),
        ("Tc-99m", {DT: "20260301083000"}, "half-lives before the scan"),
        ("Tc-99m", {DT: "20260401083000", "AcquisitionDateTime": "20260401113000"}, "contradict each other"),
        ("Tc-99m", {}, "moment of the activity is missing"),
    ],
)
def test_an_activity_whose_moment_cannot_be_known_is_refused(nuclide, tags, reason):
    found = source_of(nuclide, **tags)
    assert isinstance(found, str) and reason in found, found


@pytest.mark.req("ENG-03", "ANA-05")
def test_other_images_are_not_taken_for_a_source():
    flood = np.random.default_rng(0).poisson(lit("ROUND", (400.0,), 4.0, 128) * 20_000)
    assert measure_series([dicom(flood, pixel_mm=4.8, **header())])[0].procedure == "planar_uniformity"
    two = np.rint(3e6 * (dish(at=(-90, 0)) + dish(at=(90, 0))))
    assert sensitivity.find_source(two, 4.0) is None
    cut = np.rint(3e6 * dish(at=(230, 0)))
    assert sensitivity.find_source(cut, 4.0) is None
    x, y = grid(4.0, 128)
    lobes = np.exp(-((x - 25) ** 2) / 300 - y**2 / 900) + np.exp(-((x + 25) ** 2) / 300 - y**2 / 900)
    assert sensitivity.find_source(np.rint(3000 * lobes + 100), 4.0) is None
    for contrast in (1.0, 4.0):  # a gland of two lobes, one of them alone
        gland = thyroid(contrast=contrast)
        assert sensitivity.find_source(gland, 2.2) is None
        gland[:, 64:] = np.random.default_rng(0).poisson(float(np.median(gland)), (128, 64))
        assert sensitivity.find_source(gland, 2.2) is None


def decay(tau, frame_s=300.0, start_cps=600_000.0, hours=56.0, step_s=900.0, *, seed=None, plain=False):
    """Counts of a detector with dead time under a decaying source, by fine integration; starts and durations."""
    rate = np.log(2) / LIFE
    starts = np.arange(0, hours * 3600, step_s)
    fine = starts[:, None] + (np.arange(200) + 0.5) / 200 * frame_s
    true = start_cps * np.exp(-rate * fine)
    seen = true / (1 + true * tau) if plain else true * np.exp(-true * tau)
    counts = seen.mean(1) * frame_s
    counts = np.rint(counts) if seed is None else np.random.default_rng(seed).poisson(counts).astype(float)
    return counts, starts, np.full(len(starts), frame_s)


@pytest.mark.req("ENG-03", "ENG-06")
@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("frame_s", [60.0, 600.0])
@pytest.mark.parametrize("tau", [1e-6, 2e-6, 5e-6, 10e-6])
def test_count_rate_of_a_paralysable_detector(tau, frame_s, seed):
    result = count_rate.measure(*decay(tau, frame_s, 2 / tau, 50.0 + 8 * np.log2(1e-6 / tau + 1), seed=seed), LIFE)
    assert result.status == "measured", result.reason
    assert result.value("r20_cps") == pytest.approx(0.1785 / tau, rel=0.01)
    assert result.value("max_rate_cps") == pytest.approx(1 / (np.e * tau), rel=0.01)


@pytest.mark.req("ENG-03")
def test_count_rate_of_other_detectors_and_short_series():
    result = count_rate.measure(*decay(2e-6, plain=True), LIFE)
    assert result.value("r20_cps") == pytest.approx(0.8 * 0.25 / 2e-6, rel=0.01)  # non-paralysable: n·tau = 0.25
    (seen,) = (m for m in result.measures if m.name == "max_rate_cps")
    assert seen.at == {"lower_bound": True} and any("lower bound of the maximum rate" in w for w in result.warnings)
    few = count_rate.measure(*(v[::12] for v in decay(2e-6)), LIFE)
    assert few.value("r20_cps") == pytest.approx(0.1785 / 2e-6, rel=0.02)
    assert "4 kcps" in count_rate.measure(*decay(2e-6, hours=30.0), LIFE).reason
    assert "too weak" in count_rate.measure(*decay(2e-6, start_cps=20_000.0, hours=30), LIFE).reason
    assert "decay" in count_rate.measure(*decay(2e-6), 6586.2).reason
    assert "decay" in count_rate.measure(*decay(2e-6), LIFE * 1.2).reason


@pytest.mark.req("ENG-03", "ANA-05")
def test_a_source_that_was_moved_during_its_decay_gives_no_count_rate():
    counts, starts, durations = decay(2e-6, seed=1)
    half = counts * np.where(np.arange(len(counts)) < 120, 1.0, 0.5)
    assert "moved" in count_rate.measure(half, starts, durations, LIFE).reason
    lost = np.delete(counts, 60)
    assert "moved" in count_rate.measure(lost, starts[:-1], durations[:-1], LIFE).reason


@pytest.mark.req("ENG-03")
def test_the_largest_rate_that_was_seen_is_a_lower_bound_that_no_limit_judges():
    limits = [
        Limit("MAX", 1, "count_rate", "max_rate_cps", None, None, None, None, None, low, None, "2000-01-01", *[None] * 5)
        for low in (100e3, 400e3)
    ] + [Limit("R20", 1, "count_rate", "r20_cps", None, None, None, None, None, 50e3, None, "2000-01-01", *[None] * 5)]
    counts, starts, durations = decay(2e-6, start_cps=4e5)
    result = count_rate.measure(counts, starts, durations, LIFE)
    (seen,) = (m for m in result.measures if m.name == "max_rate_cps")
    assert seen.value == pytest.approx(4e5 * np.exp(-4e5 * 2e-6), rel=0.002) and seen.uncertainty > 0
    for limit in limits[:2]:
        verdict, rows = judge(result, [limit, limits[2]], None, "2026-04-01")
        assert {r["limit_id"]: r["verdict"] for r in rows} == {"MAX": "none", "R20": "pass"} and verdict == "pass"
        row = {"procedure": "count_rate", "measure": "max_rate_cps", "value": seen.value, "status": "measured", "detector": None,
               "region": None, "acquired_at_utc": datetime(2026, 4, 1, tzinfo=UTC), "at": json.dumps(seen.at)}  # fmt: skip
        assert judged([row], [limit], "", UTC)[0]["verdict"] == "none"


def dynamic(counts, n=64, **tags):
    x, y = grid(1.0, n)
    shape = np.exp(-(x**2 + y**2) / 2 / 14.0**2)
    frames = np.random.default_rng(2).poisson(counts[:, None, None] * shape / shape.sum())
    return dicom(frames, kind="DYNAMIC", pixel_mm=8.0, **tags)


@pytest.mark.req("ENG-03")
def test_count_rate_takes_its_times_from_the_header():
    counts, _, _ = decay(4e-6, 60.0, 4e5, 48.0, 1800.0)
    phase = [item(ActualFrameDuration=60_000, PauseBetweenFrames=1_740_000, NumberOfFramesInPhase=len(counts))]
    about = {k: v for k, v in header().items() if k != "ActualFrameDuration"}
    data = dynamic(counts, PhaseInformationSequence=phase, **about)
    (result,) = measure_series([data])
    assert (result.procedure, result.status) == ("count_rate", "measured"), result.reason
    assert result.value("r20_cps") == pytest.approx(0.1785 / 4e-6, rel=0.01)
    assert result.value("max_rate_cps") == pytest.approx(1 / (np.e * 4e-6), rel=0.01)
    assert render([], result).startswith(b"\x89PNG")
    phase[0].NumberOfFramesInPhase = 7
    assert "PhaseInformationSequence" in measure_series([dynamic(counts, PhaseInformationSequence=phase, **about)])[0].reason
    assert "ActualFrameDuration" in measure_series([dynamic(counts, **about)])[0].reason
    assert "nuclide" in measure_series([dynamic(counts, ActualFrameDuration=60_000)])[0].reason


@pytest.mark.req("ENG-03", "ANA-05")
def test_a_dynamic_of_a_patient_is_no_decaying_source():
    rng = np.random.default_rng(0)
    x, y = grid(1.0, 64)
    kidney, bladder = np.exp(-((x - 12) ** 2 + y**2) / 30), np.exp(-(x**2 + (y - 22) ** 2) / 40)
    t = np.arange(40)[:, None, None]
    frames = rng.poisson(60 * kidney * np.exp(-t / 8) + 40 * bladder * (1 - np.exp(-t / 10)) + 1)
    result = measure_series([dicom(frames, kind="DYNAMIC", pixel_mm=8.0, **header())])[0]
    assert result.procedure != "count_rate" and result.status == "not_measured"


def points(shift_mm, pixel_mm=2.4, n=256, counts=40_000, seed=0, background=0.5, spacing=90.0):
    rng = np.random.default_rng(seed)
    x, y = grid(pixel_mm, n)
    image = np.zeros((n, n))
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            scale = 1.0 if shift_mm is None else 1 + shift_mm / (spacing * np.sqrt(2))  # grows outwards: corners move most
            image += np.exp(-((x - i * spacing * scale) ** 2 + (y - j * spacing * scale) ** 2) / 2 / 3.5**2)
    return rng.poisson(image / image.sum() * counts * 9 + background)


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize("pixel_mm", [1.2, 2.4, 4.0])
@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5, 4.0])
def test_the_largest_displacement_between_windows(shift, pixel_mm):
    n = int(600 / pixel_mm)
    frames = np.stack([points(0.0, pixel_mm, n), points(shift, pixel_mm, n, seed=1), points(shift / 2, pixel_mm, n, seed=2)])
    (result,) = measure_series([dicom(frames, pixel_mm=pixel_mm, EnergyWindowVector=[1, 2, 3], DetectorVector=[1, 1, 1])])
    assert (result.procedure, result.status) == ("multiple_window_registration", "measured"), result.reason
    assert result.value("max_displacement_mm") == pytest.approx(shift, abs=0.1)
    assert result.value("points_count") == 9 and result.warnings == ()
    assert render([], result).startswith(b"\x89PNG")


@pytest.mark.req("ENG-03", "ANA-05")
def test_windows_that_show_other_things_are_refused():
    other = np.roll(points(0.0, seed=1), 60, axis=1)
    for images in ({"1": points(0.0), "2": other}, {"1": points(0.0), "2": points(0.0)[:, ::-1] * 0}):
        result = windows.measure(images, 2.4)
        assert result.status == "not_measured" and "same points" in result.reason
    even = lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 2_000
    floods = np.random.default_rng(0).poisson(np.stack([even, even]))
    (result,) = measure_series([dicom(floods, EnergyWindowVector=[1, 2], DetectorVector=[1, 1])])
    assert result.status == "not_measured" and "which of 2 energy windows" in result.reason
    faint = windows.measure({"1": points(0.0, counts=150, background=0), "2": points(0.0, counts=150, background=0, seed=4)}, 2.4)
    assert faint.status in ("indicative", "not_measured")


def spectrum(fwhm=13.5, peak=140.5, width=2.0, counts=2e6, tail=0.0, first=110.0, last=170.0, seed=0):
    """Counts in contiguous windows of a Gaussian photopeak over a scatter tail below it."""
    edges = np.arange(first, last + width / 2, width)
    sigma = fwhm / 2.3548
    mean = counts * np.diff(ndtr((edges - peak) / sigma)) + tail * counts / sigma * np.diff(np.minimum(edges, peak)) * 0.02
    return np.random.default_rng(seed).poisson(mean), edges


def scan(counts, edges, **tags):
    rng = np.random.default_rng(1)
    frames = np.stack([rng.poisson(lit("RECTANGLE", (545.0, 399.0), 9.6, 64) * c / 2300) for c in counts])
    windows = [
        item(EnergyWindowRangeSequence=[item(EnergyWindowLowerLimit=str(low), EnergyWindowUpperLimit=str(high))])
        for low, high in pairwise(edges)
    ]
    order = np.random.default_rng(5).permutation(len(counts))  # frames lie in any order
    about = {
        "EnergyWindowInformationSequence": windows,
        "EnergyWindowVector": (order + 1).tolist(),
        "DetectorVector": [1] * len(counts),
    }
    return dicom(frames[order], pixel_mm=9.6, **{**header(), **about, **tags})


@pytest.mark.req("ENG-03", "ENG-06")
@pytest.mark.parametrize("width", [1.0, 2.0, 4.0])
@pytest.mark.parametrize(("fwhm", "peak"), [(13.5, 140.5), (12.0, 143.0), (16.0, 138.2)])
def test_energy_resolution_from_a_scan_of_windows(fwhm, peak, width):
    (result,) = measure_series([scan(*spectrum(fwhm, peak, width))])
    assert (result.procedure, result.status) == ("energy_resolution", "measured"), result.reason
    assert result.value("energy_resolution_percent") == pytest.approx(100 * fwhm / 140.5, rel=0.01)
    assert result.value("peak_shift_kev") == pytest.approx(peak - 140.5, abs=0.05)
    assert render([], result).startswith(b"\x89PNG")


@pytest.mark.req("ENG-03", "ANA-05")
def test_windows_that_are_no_spectrum_are_refused():
    counts, edges = spectrum()
    low = energy_resolution.measure(counts[:16], edges[:16], edges[1:17], "Tc-99m", 140.5)
    assert low.status == "not_measured" and "cut" in low.reason
    apart = energy_resolution.measure(counts, edges[:-1], edges[1:] - 0.5, "Tc-99m", 140.5)
    assert apart.status == "not_measured" and "no spectrum" in apart.reason
    assert "Co-57" in energy_resolution.measure(counts, edges[:-1], edges[1:], "Co-57", 122.06).reason
    assert "unknown" in energy_resolution.measure(counts, edges[:-1], edges[1:], None, None).reason


@pytest.mark.req("ENG-03", "ANA-05")
def test_a_photopeak_that_is_no_gaussian_gives_no_width():
    counts, edges = spectrum()
    short, twins = counts.copy(), spectrum(10.0, 134.0)[0] + spectrum(10.0, 147.0)[0]
    short[15] //= 2  # a window that was counted for half of the time
    for wrong in (short, twins, counts[[*range(15), 17, 16, 15, *range(18, 30)]]):
        result = energy_resolution.measure(wrong, edges[:-1], edges[1:], "Tc-99m", 140.5)
        assert result.status == "not_measured" and "no Gaussian" in result.reason, result
    tail = energy_resolution.measure(*(lambda c, e: (c, e[:-1], e[1:]))(*spectrum(tail=0.3)), "Tc-99m", 140.5)
    assert tail.status == "measured", tail.reason


def whole_body(sigma_along, sigma_across, kind="points", pixel_mm=2.4, shape=(800, 256), level=3000.0):
    y, x = np.mgrid[: shape[0], : shape[1]] * 1.0
    y, x = (y - shape[0] / 2 + 0.3) * pixel_mm, (x - shape[1] / 2 - 0.2) * pixel_mm
    if kind == "points":
        image = sum(
            np.exp(-((y - a) ** 2) / 2 / sigma_along**2 - (x - b) ** 2 / 2 / sigma_across**2)
            for a in (-300, 0, 310)
            for b in (-120, 100)
        )
    elif kind == "along":
        image = np.exp(-(x**2) / 2 / sigma_across**2) * (abs(y) < 150)
    else:
        image = np.exp(-(y**2) / 2 / sigma_along**2) * (abs(x) < 150)
    return np.random.default_rng(0).poisson(level * image)


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize("pixel_mm", [1.2, 2.4])
def test_whole_body_resolution_along_and_across_the_motion(pixel_mm):
    along, across = 10.0, 8.0
    size = (int(1400 / pixel_mm), int(500 / pixel_mm))
    image = whole_body(along / 2.3548, across / 2.3548, pixel_mm=pixel_mm, shape=size)
    (result,) = measure_series([dicom(image, kind="WHOLE BODY", pixel_mm=pixel_mm)])
    assert (result.procedure, result.status) == ("whole_body_scan", "measured"), result.reason
    # the simulation samples, it does not integrate over pixels: the fit takes a pixel's width away that is not there
    assert result.value("fwhm_along_mm") == pytest.approx(np.sqrt(along**2 - pixel_mm**2 / 12 * 5.545), rel=0.02)
    assert result.value("fwhm_across_mm") == pytest.approx(np.sqrt(across**2 - pixel_mm**2 / 12 * 5.545), rel=0.02)
    assert render([], result).startswith(b"\x89PNG")
    for kind, name, truth in (("along", "fwhm_across_mm", across), ("across", "fwhm_along_mm", along)):
        lines = whole_body(along / 2.3548, across / 2.3548, kind, pixel_mm, size)
        (result,) = measure_series([dicom(lines, kind="WHOLE BODY", pixel_mm=pixel_mm)])
        assert result.value(name) == pytest.approx(truth, rel=0.03), kind
        assert len(result.measures) == 1 and len(result.warnings) == 1


@pytest.mark.req("ENG-03")
@pytest.mark.parametrize("background", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("kind", ["points", "along"])
def test_sources_over_sparse_counts_are_no_patient(background, kind):
    clean = np.random.default_rng(4).poisson(background, (800, 256)) + whole_body(4.6, 3.8, kind)
    assert not looks_like_whole_body(clean, 2.4)


@pytest.mark.req("ANA-05", "SYS-22")
@pytest.mark.parametrize(("n", "level"), [(128, 0.3), (128, 3.0), (256, 0.1), (512, 0.05)])
def test_an_image_of_sparse_counts_is_refused_at_once(n, level):
    began = time.perf_counter()
    (result,) = measure_series([dicom(np.random.default_rng(0).poisson(level, (n, n)), pixel_mm=614.0 / n)])
    assert result.status == "not_measured" and time.perf_counter() - began < 5


@pytest.mark.req("ENG-03", "ANA-05")
def test_a_patient_and_a_dish_without_activity_are_told():
    patient = measure_series([dicom(body()[None], kind="WHOLE BODY", pixel_mm=2.26)])[0]
    assert patient.procedure == "whole_body_bone"
    (result,) = measure_series([dicom(np.rint(3e6 * dish() + 5), pixel_mm=4.0, **header("0.0"))])
    assert (result.procedure, result.status) == ("sensitivity", "not_measured") and "activity absent" in result.reason


def approach(rates_kcps, **tags):
    """1-s frames of an intrinsic head whose source is brought nearer."""
    field = gaussian_filter(lit("RECTANGLE", (480.0, 360.0), 8.0, 64), 0.5)
    frames = [np.random.default_rng(k).poisson(1000 * r * field / field.sum()) for k, r in enumerate(rates_kcps)]
    phase = [item(ActualFrameDuration=1000, NumberOfFramesInPhase=len(frames), PhaseDelay=0)]
    about = {"PhaseInformationSequence": phase, "DetectorInformationSequence": [item(CollimatorType="NONE")]}
    return dicom(np.stack(frames), kind="DYNAMIC", pixel_mm=8.0, **{**header(ActualFrameDuration=None), **about, **tags})


RISE = [160, 162, 162, 166, 191, 214, 240, 260, 281, 302, 319, 334, 349, 358, 356, 343]


@pytest.mark.parametrize("end", [[198, 0.2, 0.2, 0.4], [330, 310], [120, 0, 0, 0]])
@pytest.mark.parametrize("tags", [{}, {"RadiopharmaceuticalInformationSequence": None}, {"DetectorInformationSequence": None}])
def test_the_largest_rate_of_a_source_that_is_brought_nearer(end, tags):
    (result,) = measure_series([approach([*RISE, *end], **tags)])
    assert (result.procedure, result.status) == ("count_rate", "measured"), result.reason
    assert result.value("max_rate_cps") == pytest.approx(358_000, rel=0.01)
    assert {m.name for m in result.measures} == {"max_rate_cps"} and any("r20_cps" in w for w in result.warnings)
    assert render([], result).startswith(b"\x89PNG")


def test_a_rate_that_never_falls_again_is_no_largest_rate():
    (result,) = measure_series([approach(RISE[:14])])
    assert (result.procedure, result.status) == ("count_rate", "not_measured") and "nearer" in result.reason


@pytest.mark.parametrize("count", [1, 2])
def test_two_heads_count_their_frames_alone_or_together(count):
    counts, _, _ = decay(4e-6, 60.0, 4e5, 48.0, 1800.0)
    frames = np.random.default_rng(6).poisson(pydicom.dcmread(BytesIO(dynamic(counts))).pixel_array)
    phase = [item(ActualFrameDuration=60_000, PauseBetweenFrames=1_740_000, NumberOfFramesInPhase=count * len(counts))]
    vectors = {"DetectorVector": [1] * len(counts) + [2] * len(counts), "TimeSliceVector": [*range(1, len(counts) + 1)] * 2}
    about = {k: v for k, v in header().items() if k != "ActualFrameDuration"}
    data = dicom(
        np.concatenate([frames, frames[..., ::-1]]),
        kind="DYNAMIC",
        pixel_mm=8.0,
        PhaseInformationSequence=phase,
        **vectors,
        **about,
    )
    results = measure_series([data])
    assert [r.detector for r in results] == ["1", "2"]
    assert [r.value("max_rate_cps") for r in results] == pytest.approx([1 / (np.e * 4e-6)] * 2, rel=0.01)


def test_frame_time_is_how_far_frames_lie_apart():
    counts, _, _ = decay(4e-6, 60.0, 4e5, 48.0, 1800.0)
    (result,) = measure_series([dynamic(counts, FrameTime="1800000", **header(ActualFrameDuration=60_000))])
    assert result.value("max_rate_cps") == pytest.approx(1 / (np.e * 4e-6), rel=0.01)


@pytest.mark.parametrize("layout", ["one head", "each head's frames", "both heads' frames", "FrameTime"])
def test_the_largest_rate_of_each_head_where_the_peak_was_not_passed(layout):
    tau, life = 2e-6, 6586.2
    supplied = 400e3 * 2 ** (-np.arange(40) * 1200.0 / life)
    seen = supplied * np.exp(-supplied * tau)
    y = np.arange(64) - 31.5
    shape = np.exp(-(y[:, None] ** 2 + y[None] ** 2) / 2 / 20**2)
    rng, heads = np.random.default_rng(2), (1.0,) if layout in ("one head", "FrameTime") else (1.0, 0.97)
    frames = np.concatenate([rng.poisson(seen[:, None, None] * 10 * part * shape / shape.sum()) for part in heads])
    about = {
        "ActualFrameDuration": 10_000 if layout == "FrameTime" else None,
        "DetectorVector": np.repeat(np.arange(len(heads)) + 1, 40).tolist(),
        "TimeSliceVector": [*range(1, 41)] * len(heads),
        "RadiopharmaceuticalInformationSequence": [
            item(RadionuclideCodeSequence=[item(CodeValue="C-111A1", CodingSchemeDesignator="SRT", CodeMeaning="^18^Fluorine")])
        ],
    }
    if layout == "FrameTime":
        about["FrameTime"] = "1200000"
    else:
        told = 40 * len(heads) if layout == "both heads' frames" else 40
        about["PhaseInformationSequence"] = [
            item(PhaseDelay=0, ActualFrameDuration=10_000, PauseBetweenFrames=1_190_000, NumberOfFramesInPhase=told)
        ]
    results = measure_series([dicom(frames, kind="DYNAMIC", pixel_mm=8.0, **about)])
    assert len(results) == len(heads)
    for result, part in zip(results, heads, strict=True):
        (largest,) = (m for m in result.measures if m.name == "max_rate_cps")
        assert abs(largest.value - part * seen[0]) < 4 * largest.uncertainty and largest.uncertainty < 0.001 * largest.value
        assert largest.at == {"lower_bound": True} and any("not passed" in w for w in result.warnings)


@pytest.mark.parametrize(("unit", "status"), [(1.0, "measured"), (1000.0, "indicative"), (0.001, "indicative")])
def test_rates_that_no_head_has_get_no_verdict(unit, status):
    """Durations of frames in seconds where the header asks for milliseconds, and the reverse."""
    rates = np.concatenate([np.linspace(50e3, 300e3, 20), np.linspace(290e3, 100e3, 10)])
    result = count_rate.measure_approach(rates, np.arange(30.0), np.full(30, unit))
    assert result.status == status and (status == "measured" or "in another unit" in result.reason)

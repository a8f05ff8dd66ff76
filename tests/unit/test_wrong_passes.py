"""What once passed and must not: copies, overflowed, multiplied and scattered values. Each truth is known by construction."""

import json

import numpy as np
import pytest
from line_images import down, noisy, slits, square
from pet_images import iq_phantom
from qc_images import body, dicom, grid, item, lit, rotation, tube
from qc_images import water as water_slice
from test_qc_counting import dish, expected_counts, header
from test_qc_measure_series import tomo

from spark_jobs.measure import measure_mixed, measure_series, read_object
from spark_jobs.qc.clinical import aspects, whole_body_bone
from spark_jobs.qc.ct import ct_water
from spark_jobs.qc.gamma_camera import linearity, planar_uniformity
from spark_jobs.qc.numerics.cut_off import are_cut_off
from spark_jobs.qc.numerics.multiples import counts_factor
from spark_jobs.qc.numerics.wrapped import is_wrapped
from spark_jobs.qc.pet import pet_nema_iq

FIELD = [item(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=["533", "387"])] * 2
RNG = np.random.default_rng(7)


def flood(counts: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * counts)


def heads(first, second, **tags) -> list:
    about = {"DetectorVector": [1, 2], "EnergyWindowVector": [1, 1], "DetectorInformationSequence": FIELD, **tags}
    return measure_series([dicom(np.stack([first, second]), **about)], "phantom")


def test_equal_images_of_two_heads_or_windows_are_copies():
    one, two = flood(2_000, 0), flood(2_000, 1)
    assert {r.status for r in heads(one, two) if r.procedure == "planar_uniformity"} == {"measured"}
    for tags in ({}, {"DetectorVector": [1, 1], "EnergyWindowVector": [1, 2]}):
        (result,) = heads(one, one, **tags)
        assert (result.status, result.measures) == ("not_measured", ()) and "one is a copy of the other" in result.reason
    files = [dicom(i, SOPInstanceUID=f"2.25.{k}", DetectorVector=[k + 1], NumberOfFrames=1) for k, i in enumerate((one, one))]
    assert "one is a copy of the other" in measure_series(files, "phantom")[0].reason


@pytest.mark.parametrize("bits", [16, 8])
def test_counts_that_overflowed_are_seen_wherever_they_do(bits):
    size = 2**bits
    y, x = np.mgrid[:64, :64] - 31.5
    for width in (3.0, 8.0) if bits == 16 else (8.0,):
        source = np.exp(-(x**2 + y**2) / 2 / width**2)
        for top in (0.9, 1.2, 1.9, 2.6):
            counts = RNG.poisson(source * top * size)[None]
            assert is_wrapped(counts % size, bits) is (top > 1)
    rim = np.clip((28 - np.hypot(x, y)) / 4, 0, 1)
    assert is_wrapped(RNG.poisson(rim * 1.5 * size)[None] % size, bits)
    hot = np.full((1, 64, 64), size // 8)
    hot[0, 30, 30] = size - 5
    assert not is_wrapped(hot, bits), "a hot pixel is none"


def test_a_wrapped_flood_and_a_wrapped_source_have_no_numbers():
    for counts in (flood(70_000, 0), np.random.default_rng(0).poisson(lit("ROUND", (60.0,), 2.4, 256) * 90_000)):
        blurred = counts.astype(float)
        for axis in (0, 1):
            blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
        for result in measure_series(
            [dicom(np.rint(blurred).astype(int) % 65_536, DetectorInformationSequence=FIELD[:1])], "phantom"
        ):
            assert result.status == "not_measured" and "began at 0 again" in result.reason


@pytest.mark.parametrize("peak", [5, 300])
@pytest.mark.parametrize("tilt", [0.0, 2.0])
def test_multiplied_counts_have_no_verdict_in_linearity(peak, tilt):
    base = slits(lambda v: 0.5 * np.sin(v / 12), peak=peak, tilt_deg=tilt)
    for factor in (1, 2, 3.5, 10):
        counts = np.rint(np.random.default_rng(0).poisson(base / factor) * factor)
        assert linearity.counts_scale(counts) == pytest.approx(factor, rel=0.15)
        result = linearity.measure([counts], 0.8)
        assert result.status == ("measured" if factor == 1 else "indicative"), result.reason


def readings(*mbq: float, at: list[str] | None = None) -> list:
    given = [{"mbq": m, "at": t} for m, t in zip(mbq, at, strict=True)] if at else list(mbq)
    part = {"nuclide": "Cs-137", "reference_mbq": 10.0, "reference_at": "2026-03-01T00:00:00", "readings": given}
    sheet = {"procedure": "activimeter", "device_serial": "AC-1", "measured_at": "2026-03-01T08:00:00"}
    return measure_series([json.dumps({**sheet, "accuracy": [part]}).encode()])


@pytest.mark.parametrize("around", [(0.95, 1.05), (0.94, 1.0, 1.06), (0.96, 1.04, 0.95, 1.05)])
def test_few_readings_that_scatter_about_the_reference_have_no_verdict(around):
    (result,) = readings(*(10 * f for f in around))
    assert result.status == "indicative" and "scatter" in result.reason
    (near,) = readings(*(10 * (1 + (f - 1) / 10) for f in around))
    assert near.status == "measured"
    (one,) = readings(10.0)
    assert one.status == "measured"


@pytest.mark.parametrize("voxel", [(3.0, 3.0, 3.0), (5.0, 4.0, 4.0)])
@pytest.mark.parametrize("cold", [0, 2])
def test_spheres_in_slices_of_a_wrong_distance_have_no_verdict(voxel, cold):
    volume, filling = iq_phantom(fwhm=7.0, voxel=voxel, cold=cold, noise=0.05), pet_nema_iq.Filling(40_000.0, 5_000.0)
    for factor in (0.8, 1.0, 1.2):
        result = pet_nema_iq.measure(volume, (voxel[0] * factor, *voxel[1:]), filling=filling)
        assert result.status == ("measured" if factor == 1 else "indicative") or (factor != 1 and result.status == "not_measured")


FIELDS = [("RECTANGLE", (533.0, 387.0)), ("ROUND", (400.0,)), ("HEXAGONAL", (450.0,))]


@pytest.mark.parametrize(("kind", "size"), FIELDS)
@pytest.mark.parametrize(("depth", "left"), [(2.0, 0.3), (2.0, 0.5), (2.5, 0.6), (2.5, 0.7), (3.0, 0.65)])
@pytest.mark.parametrize("half_mm", [20.0, 60.0])
def test_a_weak_rim_two_blocks_deep_of_an_undeclared_field_never_passes(kind, size, depth, left, half_mm):
    x, y = grid(2.4, 256)
    whole = lit(kind, size, 2.4, 256)
    for seed, degrees in enumerate((0, 45, 90, 200)):
        ray = np.deg2rad(degrees)
        steps = np.arange(150.0, 330.0, 0.5)
        on = [whole[round(127.5 + r * np.sin(ray) / 2.4), round(127.5 + r * np.cos(ray) / 2.4)] > 0.5 for r in steps if r < 300]
        rim = steps[on.index(False)] if False in on else 300.0
        near = np.hypot(x - rim * np.cos(ray), y - rim * np.sin(ray)) < half_mm
        inner = lit(kind, tuple(s - 2 * depth * 7.2 for s in size), 2.4, 256) < 0.5
        image = np.random.default_rng(seed).poisson(3000 * whole * np.where(near & inner, left, 1.0))
        declared = planar_uniformity.measure(image, 2.4, field_shape=kind, field_mm=size)
        undeclared = planar_uniformity.measure(image, 2.4)
        if declared.measures and declared.value("ufov_iu_percent") > 5:
            assert undeclared.status == "indicative" or undeclared.value("ufov_iu_percent") > 5, (degrees, rim)


@pytest.mark.parametrize(("kind", "size"), FIELDS)
@pytest.mark.parametrize("pixel_mm", [1.2, 2.4, 3.9, 4.8, 6.4])
@pytest.mark.parametrize("counts", [11_000, 40_000])
def test_an_even_flood_of_an_undeclared_field_keeps_its_verdict(kind, size, pixel_mm, counts):
    n, block = int(640 / pixel_mm), planar_uniformity.block_factor(pixel_mm)
    for seed, move in enumerate(((0, 0), (2, 3))):
        even = np.roll(lit(kind, size, pixel_mm, n), move, (0, 1)) * counts / block**2
        result = planar_uniformity.measure(np.random.default_rng(seed).poisson(even), pixel_mm)
        aside = "beside the middle" in (result.reason or "")  # as before
        assert result.status == "measured" or aside, result.reason


@pytest.mark.parametrize("sigma", [2.0, 4.0, 8.0])
@pytest.mark.parametrize(("height", "radius_mm", "slices"), [(2.0, 40, 1), (3.0, 40, 1), (2.0, 70, 5), (1.5, 40, 5)])
def test_an_insert_that_cancels_the_cupping_has_no_verdict(sigma, height, radius_mm, slices):
    x, y = grid(1.0, 256)
    inside = np.hypot(x - 3, y + 2) < radius_mm
    cupping = height / (0.66 - 0.08)  # the middle reads what the rim reads
    for seed in range(3):
        cups = [water_slice(0.0, sigma, cupping=cupping, seed=10 * seed + k) for k in range(slices)]
        hidden = ct_water.measure([c + height * inside for c in cups], 1.0)
        assert hidden.status != "measured", hidden.value("water_hu")
        flat = ct_water.measure([water_slice(0.0, sigma, seed=10 * seed + k) for k in range(slices)], 1.0)
        assert flat.status == "measured", flat.reason


@pytest.mark.parametrize("factor", [1.5, 2, 4, 10])
@pytest.mark.parametrize("added", [0, 1])
def test_multiplied_counts_have_no_verdict_by_the_numbers_that_are_missing(factor, added):
    assert counts_factor(flood(2_000, 0)) == counts_factor(flood(2_000, 0) + added) == 1
    counts = np.rint(flood(2_000, 0) * factor).astype(int) + added
    assert counts_factor(counts) == pytest.approx(factor, rel=0.02)
    (result,) = measure_series([dicom(counts, DetectorInformationSequence=FIELD[:1])], "phantom")
    if added or factor == 1.5:
        assert result.status == "indicative" and result.reason.code == "image.counts_multiplied"


@pytest.mark.req("ENG-05")
@pytest.mark.parametrize("factor", [2, 4, 10])
@pytest.mark.parametrize(("level", "status"), [(2_000, "measured"), (700, "indicative")])
def test_a_flood_of_multiples_is_judged_by_the_counts_behind_them(factor, level, status):
    """9 pixels a block: 18 000 counts behind the values, or 6 300, whatever they were multiplied with."""
    plain, multiplied = (
        measure_series([dicom(k * flood(level, 0), DetectorInformationSequence=FIELD[:1])], "phantom")[0] for k in (1, factor)
    )
    assert multiplied.status == plain.status == status and multiplied.measures == plain.measures
    assert f"multiples of {factor}, and vary as such counts do" in multiplied.warnings[-1]
    if status == "indicative":
        assert multiplied.reason == plain.reason and multiplied.reason.code == "flood.too_few_counts"


def test_a_flood_that_was_rounded_to_multiples_keeps_its_counts():
    counts = np.rint(flood(2_000, 0) / 5).astype(int) * 5
    (result,) = measure_series([dicom(counts, DetectorInformationSequence=FIELD[:1])], "phantom")
    assert result.status == "measured" and result.value("centre_pixel_counts") == pytest.approx(18_000, rel=0.01)
    assert "rounded" in result.warnings[-1]
    smooth = np.rint(np.full((250, 250), 2_000) + 10 * np.random.default_rng(0).standard_normal((250, 250))).astype(int) * 5
    (result,) = measure_series([dicom(smooth, DetectorInformationSequence=FIELD[:1])], "phantom")
    assert result.status != "measured"


def test_a_head_that_is_the_other_one_multiplied_is_a_copy():
    one = flood(2_000, 0)
    assert "one is a copy of the other" in heads(one, 2 * one)[0].reason
    assert "one is a copy of the other" in heads(3 * one, one)[0].reason


def steep(counts: float, fwhm_mm: float, at: tuple[float, float]) -> np.ndarray:
    y, x = np.mgrid[:128, :128] - 63.5
    shape = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2 / (fwhm_mm / 2.3548 / 4.0) ** 2)
    return np.random.default_rng(2).poisson(shape / shape.sum() * counts + 0.05)


@pytest.mark.parametrize("at", [(0.0, 0.0), (0.5, 0.5), (0.3, 0.1)])
@pytest.mark.parametrize("fwhm_mm", [13.0, 16.0, 20.0])
def test_a_steep_source_that_overflowed_is_seen_and_a_sharp_one_stays(fwhm_mm, at):
    for counts in (1e5, 3e5, 1e6, 1.5e6, 3e6):
        image = steep(counts, fwhm_mm, at)
        assert is_wrapped(image[None] % 65_536, 16) is bool(image.max() >= 65_536), (counts, image.max())


@pytest.mark.parametrize("moments", [2, 3])
def test_linearity_of_an_activimeter_needs_four_moments(moments):
    def sheet(count: int) -> list:
        given = [
            {"mbq": 1000 * 0.5 ** (6 * k / 6.0067), "at": f"2026-03-0{1 + 6 * k // 24}T{6 * k % 24:02d}:0{again}:00"}
            for k in range(count)
            for again in range(3)
        ]
        part = {"nuclide": "Tc-99m", "readings": given}
        about = {"procedure": "activimeter", "device_serial": "AC-1", "measured_at": "2026-03-01T08:00:00"}
        return measure_series([json.dumps({**about, "linearity": part}).encode()])

    (result,) = sheet(moments)
    assert result.status == "not_measured" and "different moments" in result.reason
    assert sheet(4)[0].status == "measured"


@pytest.mark.parametrize("place", ["study", "folder"])
@pytest.mark.parametrize("factor", [1, 2])
def test_equal_images_in_two_series_of_one_study_or_folder_are_copies(tmp_path, place, factor):
    one, other = flood(2_000, 0), flood(2_000, 1)

    def found(second):
        for k, pixels in enumerate((one, second)):
            about = {"DetectorVector": k + 1, "SeriesInstanceUID": f"2.25.{10 + k}", "SOPInstanceUID": f"2.25.{20 + k}"}
            about |= {"StudyInstanceUID": "2.25.1" if place == "study" else f"2.25.{30 + k}"}
            file = tmp_path / (f"{k}/image" if place == "study" else f"{k}")
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(dicom(pixels, DetectorInformationSequence=FIELD[:1], **about))
        files = [p for p in sorted(tmp_path.rglob("*")) if p.is_file()]
        return [r for f in measure_mixed([read_object(p) for p in files]) for r in f.results]

    copies = found(one * factor)
    assert [r.status for r in copies] == ["not_measured"] * 2 and {r.reason.code for r in copies} == {
        "series.images_copied_elsewhere"
    }
    assert all(r.status == "measured" for r in found(other) if r.procedure == "planar_uniformity")


def test_an_image_that_cannot_be_decoded_does_not_hide_the_others_of_its_series():
    files = [dicom(flood(2_000, k), DetectorVector=k + 1, DetectorInformationSequence=FIELD[:1]) for k in range(2)]
    broken = files[1].replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.9\x00")
    good, *rest = measure_series([files[0], broken], "phantom")
    assert (good.procedure, good.status) == ("planar_uniformity", "measured"), good.reason
    assert [(r.status, r.reason.code) for r in rest] == [("not_measured", "series.files_unreadable")]


@pytest.mark.req("ENG-05")
@pytest.mark.parametrize("fwhm_px", [1.2, 1.5, 2.0, 2.4])
@pytest.mark.parametrize("peak", [1.1, 1.45, 1.6, 1.9, 2.6, 3.4, 4.1])
def test_a_narrow_source_that_overflowed_has_no_sensitivity_to_judge(fwhm_px, peak):
    for seed in range(3):
        at = np.random.default_rng(seed).uniform(-12, 12, 2)
        shape = dish(4.8, 128, 0, fwhm_px * 4.8 / 2.3548, at)
        counts = np.random.default_rng(seed).poisson(shape / shape.max() * peak * 65_536)
        about = header(f"{counts.sum() / 85 / 3600 * 1.15:.6g}")
        for result in measure_series([dicom(counts % 65_536, pixel_mm=4.8, **about)]):
            assert result.status != "measured"


@pytest.mark.parametrize(
    ("fwhm_px", "peak", "status"), [(2.0, 0.1, "measured"), (2.0, 0.5, "indicative"), (4.0, 0.9, "measured")]
)
def test_a_bright_source_is_judged_where_its_flank_shows_that_it_did_not_overflow(fwhm_px, peak, status):
    shape = dish(4.8, 128, 0, fwhm_px * 4.8 / 2.3548)
    counts = np.random.default_rng(1).poisson(shape / shape.max() * peak * 65_536)
    (result,) = measure_series([dicom(counts, pixel_mm=4.8, **header(f"{counts.sum() / 85 / 3600 * 1.15:.6g}"))])
    assert result.procedure == "sensitivity" and result.status == status, result.reason
    assert status == "measured" or result.reason.code == "image.counts_may_wrap"


@pytest.mark.parametrize("gain", [1.05, 1.1, 1.2, 1.6])
@pytest.mark.parametrize("mbq", [None, "370"])
def test_a_flood_with_a_hot_photomultiplier_stays_a_flood(gain, mbq):
    """One disc of 34 mm radius that is brighter: IU = 100 · (gain − 1) / (gain + 1) and the noise; with or without an activity."""
    image = np.random.default_rng(3).poisson(lit("RECTANGLE", (533.0, 387.0), 4.8, 128) * tube(4.8, 128, 60, -40, gain) * 15_000)
    about = header(mbq) if mbq else {}
    (result, *_) = measure_series([dicom(image, pixel_mm=4.8, DetectorInformationSequence=FIELD[:1], **about)], "phantom")
    assert (result.procedure, result.status) == ("planar_uniformity", "measured"), result.reason
    assert result.value("ufov_iu_percent") == pytest.approx(100 * (gain - 1) / (gain + 1), abs=1.5)


def cut(image, part):
    return np.minimum(image, int(part * image.max()))


@pytest.mark.parametrize("part", [0.4, 0.7, 0.9])
@pytest.mark.parametrize("source", ["line", "lines", "dish", "small dish", "point", "decay"])
def test_counts_that_were_cut_off_are_seen_in_narrow_sources_and_single_frames(source, part):
    rng = np.random.default_rng(4)
    if source == "decay":
        levels = 400.0 * 0.97 ** np.arange(40)
        frames = rng.poisson(lit("ROUND", (400.0,), 9.6, 64)[None] * levels[:, None, None])
    elif source == "point":
        frames, _ = rotation(0.5, n=64, seed=2)
    else:
        image = {
            "line": lambda: down(8.0, pixel_mm=2.0, shape=(256, 256), at_mm=11, peak=9_000),
            "lines": lambda: square(7.5, pixel_mm=2.0, peak=8_000),
            "dish": lambda: expected_counts(1.0) * dish(4.8, 128, 100.0, 7.0),
            "small dish": lambda: expected_counts(0.1) * dish(4.8, 128, 30.0, 7.0),
        }[source]()
        frames = noisy(image)[None]
        assert not are_cut_off(np.rint(image)[None])
    assert not are_cut_off(frames) and are_cut_off(cut(frames, part))


@pytest.mark.parametrize("counts", [49_000, 60_000, 63_500])
def test_a_full_flood_is_none_that_overflowed(counts):
    image = np.random.default_rng(5).poisson(lit("RECTANGLE", (533.0, 387.0), 4.8, 128) * counts)
    (result, *_) = measure_series([dicom(image, pixel_mm=4.8, DetectorInformationSequence=FIELD[:1])], "phantom")
    assert image.max() < 65_535 and (result.procedure, result.status) == ("planar_uniformity", "measured"), result.reason


@pytest.mark.parametrize(
    ("counts", "gain"), [(45_000, 1.5), (40_000, 1.7), (30_000, 2.3), (30_000, 2.6), (42_900, 1.98), (31_900, 2.46)]
)
def test_an_area_that_overflowed_with_sharp_edges_has_no_numbers(counts, gain):
    image = np.random.default_rng(6).poisson(lit("RECTANGLE", (533.0, 387.0), 4.8, 128) * tube(4.8, 128, 60, 0, gain) * counts)
    assert is_wrapped(image[None] % 65_536, 16) and not is_wrapped(image[None] // 2, 16)
    dead = np.random.default_rng(6).poisson(lit("RECTANGLE", (533.0, 387.0), 4.8, 128) * tube(4.8, 128, 60, 0, 0.06) * counts)
    assert not is_wrapped(dead[None], 16), "a dead photomultiplier is as noisy as its counts"


@pytest.mark.parametrize("left", [0.02, 0.3, 0.6])
def test_a_dead_photomultiplier_in_a_full_flood_did_not_overflow(left):
    image = np.random.default_rng(8).poisson(lit("ROUND", (400.0,), 4.8, 128) * tube(4.8, 128, 60, 0, left) * 60_000)
    assert image.max() < 65_536 and not is_wrapped(image[None], 16)


@pytest.mark.parametrize(("minutes", "status"), [(10, "indicative"), (50, "indicative"), (70, "measured"), (180, "measured")])
def test_a_view_soon_after_the_injection_is_no_bone_scan(minutes, status):
    uptake = aspects.measure("timing", "uptake_min", float(minutes), "min")
    result = whole_body_bone.measure({"anterior": body(seed=1)}, 2.26, timing=[uptake])
    assert result.status == status and (status == "measured" or "blood pool" in result.reason)


@pytest.mark.parametrize("pixel_mm", [0.02, 0.1, 0.48])
def test_an_image_too_narrow_for_a_gamma_camera_has_no_numbers(pixel_mm):
    """A spacing in cm makes a centre of rotation of 6 mm one of 0.6 mm."""
    (result,) = measure_series([tomo([6.0], pixel_mm=pixel_mm)])
    assert result.status == "not_measured" and "mm" in result.reason
    assert measure_series([tomo([6.0])])[0].value("cor_offset_mm") == pytest.approx(6.0, abs=0.05)

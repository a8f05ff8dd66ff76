"""CatPhan and ACR: materials, thickness, MTF, noise and contrast as put in; another phantom, place, order or header is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ct_phantom import RODS_504, RODS_604, RODS_ACR, Scan, files, positions, volume
from qc_images import DATA, water

from photopeak.analyse import analyse
from spark_jobs.measure import measure_series, render
from spark_jobs.qc.ct.catphan import measure
from spark_jobs.qc.ct.ct_stack import Stack
from spark_jobs.reading import read_file

real = pytest.mark.skipif(not DATA.exists(), reason="the folder with real images is not there")


def run(scan: Scan, images=None):
    images = volume(scan) if images is None else images
    return measure(Stack(lambda k: images[k], positions(scan), scan.pixel, scan.slice_mm))


def check(result, rods, tolerance=0.5):
    assert result.status == "measured", result.reason
    for name, (_, hu) in rods.items():
        assert result.value(f"{name}_hu") == pytest.approx(hu, abs=tolerance), name


TURNED = {
    "as it lies": Scan(),
    "turned": Scan(roll=37),
    "upside down": Scan(roll=180),
    "mirrored": Scan(mirrored=True, roll=-12),
    "shifted": Scan(shift_mm=(14, -17), n=370),
    "large field": Scan(pixel=0.97, n=450, blur_mm=0.8, noise=2),
    "small field": Scan(pixel=0.42, n=490, shift_mm=(1, 1), count=11, first_mm=-10),
    "thick slices": Scan(slice_mm=5, first_mm=-15, count=7),
    "no ramps, no second air, in water": Scan(ramps=False, second_air=False, background=0),
}


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("name", TURNED)
def test_ct_numbers_come_back_however_the_phantom_lies(name):
    result = run(TURNED[name])
    check(result, TURNED[name].rods)
    assert any("mirror image" in w for w in result.warnings) == TURNED[name].mirrored


@pytest.mark.req("ANA-05")
def test_other_kinds_are_told_apart():
    old = run(Scan(rods=RODS_504))
    check(old, RODS_504)
    with pytest.raises(KeyError):
        old.value("bone_50_hu")
    acr = run(Scan(rods=RODS_ACR, ring_mm=63, rod_mm=25, background=0, ramps=False))
    check(acr, RODS_ACR)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("slice_mm", [1.5, 2.0, 5.0])
@pytest.mark.parametrize("tilt", [0.0, 2.0, -2.0])
def test_slice_thickness_survives_a_tilt(slice_mm, tilt):
    count = 2 * int(16 / slice_mm) + 1
    scan = Scan(slice_mm=slice_mm, first_mm=-(count // 2) * slice_mm, count=count, tilt=tilt)
    result = run(scan)
    assert result.status == "measured", result.reason
    assert result.value("slice_thickness_mm") == pytest.approx(slice_mm, rel=0.03)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("slice_mm", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("blur", [0.6, 0.9])
def test_the_thickness_of_one_slice_needs_no_header_and_says_its_doubt(slice_mm, blur):
    count = 2 * int(12 / slice_mm) + 1
    scan = Scan(slice_mm=slice_mm, first_mm=-(count // 2) * slice_mm, count=count, blur_mm=blur)
    images = volume(scan)
    told = measure(Stack(lambda k: images[k], positions(scan), scan.pixel, slice_mm))
    untold = measure(Stack(lambda k: images[k], positions(scan), scan.pixel, None))
    alone = measure(Stack(lambda k: images[count // 2], np.array([0.0]), scan.pixel, None))

    def doubt(result):
        return next(m.uncertainty for m in result.measures if m.name == "slice_thickness_mm")

    for result in (untold, alone):
        assert result.value("slice_thickness_mm") == pytest.approx(slice_mm, rel=0.1)
        assert abs(result.value("slice_thickness_mm") - slice_mm) < 2 * doubt(result) and doubt(result) > 3 * doubt(told)
        assert any("SliceThickness is missing" in w for w in result.warnings)


def test_slices_that_overlap_are_not_averaged_whatever_the_header_says():
    """Slices of 4 mm every 2 mm, sold as 2 mm: means over the thin slices of a phantom, odd in number."""
    fine = Scan(slice_mm=0.5, first_mm=-12, count=49, noise=0, pixel=0.8, n=270)
    thin = np.array(volume(fine), np.float32)
    places = np.arange(-8, 8.1, 2.0)
    images = [thin[abs(positions(fine) - z) < 1.9].mean(0) for z in places]
    result = measure(Stack(lambda k: images[k], places, 0.8, 2.0))
    assert result.value("slice_thickness_mm") == pytest.approx(3.5, rel=0.1)
    assert any("contradict" in w or "overlap" in w for w in result.warnings)


@pytest.mark.req("ANA-05", "TST-04")
@pytest.mark.parametrize("blur", [0.5, 0.7, 1.0, 1.4])
def test_mtf_of_a_gaussian_blur(blur):
    scan = Scan(pixel=0.45, n=500, blur_mm=blur, count=9, first_mm=-8, noise=6)
    result = run(scan)
    sigma = np.sqrt(blur**2 + scan.pixel**2 / 12)  # rims are drawn by the part of a pixel that they cover
    assert result.value("mtf50_lp_per_mm") == pytest.approx(np.sqrt(np.log(2) / 2) / (np.pi * sigma), rel=0.03)
    assert result.value("mtf10_lp_per_mm") == pytest.approx(np.sqrt(np.log(10) / 2) / (np.pi * sigma), rel=0.05)
    check(result, scan.rods, 2.0 if blur > 1 else 1.0)


@pytest.mark.req("ANA-05")
def test_noise_power_and_contrast_of_the_other_modules():
    scan = Scan(pixel=0.8, n=300, slice_mm=4, first_mm=-96, count=29, discs_mm=-40, noise=5, blur_mm=0)
    for way in (1, -1):
        images = volume(scan)[::way]
        turned = replace(scan, first_mm=-96 if way == 1 else -16)
        result = run(turned, images)
        assert result.status == "measured", result.reason
        assert result.value("noise_hu") == pytest.approx(5, rel=0.02)
        assert result.value("nps_integral_hu2") == pytest.approx(25, rel=0.02)
        assert result.value("uniform_hu") == pytest.approx(55, abs=0.5)
        assert result.value("uniformity_max_hu") < 1
        for size in (15, 9, 8):
            assert result.value("cnr", f"{size} mm") == pytest.approx(10 / 5, abs=0.35)


def swapped(a: str, b: str) -> dict[str, tuple[float, float]]:
    return {**RODS_604, a: (RODS_604[a][0], RODS_604[b][1]), b: (RODS_604[b][0], RODS_604[a][1])}


WRONG = {
    "one rod 3 mm off": Scan(moved={"acrylic": (3, 0)}),
    "one rod 8 mm off": Scan(moved={"teflon": (0, 8)}),
    "air rod off": Scan(moved={"air": (0, -5)}),
    "two swapped": Scan(rods=swapped("pmp", "ldpe")),
    "strong two swapped": Scan(rods=swapped("teflon", "delrin")),
    "another material": Scan(rods={**RODS_604, "acrylic": (60, 340.0)}),
    "a rod is missing": Scan(rods={k: v for k, v in RODS_604.items() if k != "teflon"}),
    "one rod more": Scan(rods={**RODS_604, "strange": (150, 300.0)}),
    "larger ring": Scan(ring_mm=64),
    "tilted far": Scan(tilt=8, first_mm=-30, count=31),
}


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_where_and_what_it_must_be_gives_no_number(name):
    result = run(WRONG[name])
    assert result.status == "not_measured" and result.reason and not result.measures


def test_values_that_were_cut_off_below_the_limit_of_the_type_give_no_number():
    scan = Scan(noise=6)
    images = [np.minimum(image, 850) for image in volume(scan)]
    result = measure(Stack(lambda k: images[k], positions(scan), scan.pixel, 2.0))
    assert result.status == "not_measured" and "cut off" in result.reason and not result.measures


@pytest.mark.req("ANA-05")
def test_a_wrong_spacing_in_the_header_is_not_believed():
    scan, images = Scan(), volume(Scan())
    for pixel in (0.66, 0.74):
        result = measure(Stack(lambda k: images[k], positions(scan), pixel, 2.0))
        assert result.status == "not_measured" and not result.measures
    result = measure(Stack(lambda k: images[k], positions(scan) * 1.5, scan.pixel, 3.0))
    assert result.status == "not_measured" and "climb" in result.reason


@pytest.mark.req("ANA-05", "ENG-03")
def test_a_series_is_told_by_its_pixels_and_refused_where_its_header_contradicts():
    scan = Scan(pixel=0.9, n=256, count=17, blur_mm=0.8)
    plain = files(scan)
    (result,) = measure_series(plain)
    assert result.procedure == "catphan"
    check(result, scan.rods, 1.0)
    assert measure_series([plain[k] for k in (*range(15, 0, -2), *range(0, 17, 2))]) == [result]
    assert render([], result).startswith(b"\x89PNG")
    images = volume(scan)

    def reason(**tags):
        (found,) = measure_series(files(scan, images, **tags))
        assert found.status == "not_measured" and not found.measures
        return found.reason

    assert "Rescale" in reason(RescaleSlope=None)
    assert "lossy" in reason(LossyImageCompression="01")
    assert "RescaleType" in reason(RescaleType="ED")
    assert "same position" in reason(ImagePositionPatient=["0", "0", "3"])
    mixed = [*files(scan, images[:9], ConvolutionKernel="B30f"), *files(scan, images, ConvolutionKernel="B70f")[9:]]
    assert "ConvolutionKernel" in measure_series(mixed)[0].reason
    marked = np.zeros(images[0].shape)
    marked[100:104, 100:104] = 3000
    clipped = [np.minimum(i + marked, 2047 - 1024) for i in images]
    assert "clipped" in measure_series(files(scan, clipped, RescaleIntercept="-1024", BitsStored=11, HighBit=10))[0].reason


@pytest.mark.req("ANA-05")
def test_water_head_and_other_objects_are_no_catphan():
    y, x = np.mgrid[-128:128, -128:128]
    head = np.where((x / 75.0) ** 2 + (y / 95.0) ** 2 < 1, 900.0, -1000.0)
    head[(x / 68.0) ** 2 + (y / 88.0) ** 2 < 1] = 35
    for image in (water(), head, np.full((256, 256), -1000.0)):
        result = measure(Stack(lambda k, image=image: image, np.arange(9) * 2.0, 1.0, 2.0))
        assert result.status == "not_measured" and not result.measures


@real
@pytest.mark.req("ANA-05")
def test_the_real_catphan_gives_its_regression_values(capsys):
    """Origin: pylinac 3.49 on this series. Its thickness takes 0.42 for tan 23° (0.4245); its Teflon region lies 0.9 mm off the rod."""
    code = analyse([DATA / "ct_catphan604"], json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert code == 0 and (row["procedure"], row["status"], row["verdict"]) == ("catphan", "measured", "none")
    value = {m["name"]: m["value"] for m in row["measures"]}
    assert value["air_hu"] == pytest.approx(-1000, abs=1)
    assert value["acrylic_hu"] == pytest.approx(119, abs=1)
    assert value["teflon_hu"] == pytest.approx(963, abs=6)
    assert value["slice_thickness_mm"] == pytest.approx(1.921, rel=0.03)
    assert value["mtf50_bar_lp_per_mm"] == pytest.approx(0.287, abs=0.003)
    assert 0.30 < value["mtf50_lp_per_mm"] < 0.36


@real
@pytest.mark.req("ANA-05")
def test_the_real_catphan_turned_or_flipped_gives_the_same_and_altered_nothing():
    slices = sorted((read_file(p) for p in (DATA / "ct_catphan604").glob("*.dcm")), key=lambda i: i.position_mm)
    images = np.array([i.hu for i in slices], np.float32)
    z, pixel = np.array([i.position_mm for i in slices]), slices[0].pixel_mm

    def values(changed, pixel=pixel):
        result = measure(Stack(lambda k: changed[k], z, pixel, 1.98849))
        return result, {(m.name, m.region): m.value for m in result.measures}

    _, plain = values(images)
    assert {"noise_hu", "mtf50_bar_lp_per_mm", "nps_integral_hu2"} <= {name for name, _ in plain}
    for changed in (np.rot90(images, 1, (1, 2)), images[:, :, ::-1], images[::-1], np.roll(images, (20, -15), (1, 2))):
        result, found = values(changed)
        assert set(found) == set(plain), result.warnings
        for key, value in plain.items():
            assert found[key] == pytest.approx(value, rel=0.01, abs=0.02), key
    swapped = images.copy()
    swapped[:, 190:212, 278:298], swapped[:, 300:322, 278:298] = images[:, 300:322, 278:298], images[:, 190:212, 278:298]
    for result, found in (values(swapped), values(images, pixel * 1.05)):
        assert result.status == "not_measured" and not found

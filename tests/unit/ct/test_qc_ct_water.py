"""CT water: HU, noise and uniformity as put in; what is no water phantom is refused."""

import numpy as np
import pytest
from qc_images import dicom, grid, water
from scipy.ndimage import gaussian_filter

from spark_jobs.measure import measure_series
from spark_jobs.qc.ct import ct_water as method


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize("hu", [-12.0, 0.0, 6.0, 20.0])
@pytest.mark.parametrize("sigma", [2.0, 5.0, 12.0])
def test_hu_and_noise_are_recovered(hu, sigma):
    result = method.measure([water(hu, sigma, seed=s, n=400, pixel_mm=0.6) for s in range(3)], 0.6)
    assert result.status == "measured", result.reason
    assert result.value("water_hu") == pytest.approx(hu, abs=0.5)
    assert result.value("noise_hu") == pytest.approx(sigma, rel=0.02)
    assert result.value("noise_percent") == pytest.approx(100 * sigma / (1000 + hu), rel=0.02)
    assert result.value("uniformity_max_hu") < 3 * sigma / 10


@pytest.mark.req("ANA-05")
def test_cupping_is_seen_at_the_edge():
    flat, cupped = (method.measure([water(0, 3, cupping=c)], 1.0).value("uniformity_max_hu") for c in (0.0, 12.0))
    assert flat < 1
    # edge ROI: 10 mm wide rim, centre at 80 mm; central ROI reaches 40 mm: 12·(0.64 + 0.005 − 0.08)
    assert cupped == pytest.approx(12 * (0.64 + 0.005 - 0.08), abs=1.0)


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize(("grain_px", "copies"), [(0.0, 1), (1.2, 1), (0.6, 4)])
def test_uncertainties_are_the_scatter_of_values_also_of_correlated_pixels(grain_px, copies):
    found = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 1, (256, 256))
        noise = gaussian_filter(noise, grain_px) if grain_px else noise
        result = method.measure([water(0, 0) + noise * 6 / noise.std()] * copies, 1.0)
        found.append([v for m in result.measures if m.name in ("water_hu", "noise_hu") for v in (m.value, m.uncertainty)])
    values = np.array(found)
    for k in (0, 2):
        said = np.sqrt((values[:, k + 1] ** 2).mean())
        assert 0.6 < said / values[:, k].std(ddof=1) < 1.8


@pytest.mark.req("ANA-05")
def test_wrong_geometry_or_filling_is_refused():
    x, y = grid(1.0, 256)
    inserts = water(0, 5)
    for angle in range(0, 360, 45):
        inserts[np.hypot(x - 58 * np.cos(np.deg2rad(angle)), y - 58 * np.sin(np.deg2rad(angle))) < 7] = 900
    single = water(0, 5)
    single[np.hypot(x - 45, y) < 10] = 100
    ellipse = np.where((x / 110) ** 2 + (y / 70) ** 2 < 1, 0.0, -1000.0)
    for image, word in (
        (inserts, "insert"),
        (single, "not homogeneous"),
        (ellipse, "not round"),
        (np.full((256, 256), -1000.0), "no object"),
        (water(200, 5), "not filled with water"),
        (water(-80, 5), "not filled with water"),
        (np.where(np.hypot(x, y) < 25, 0.0, -1000.0), "no water phantom"),
    ):
        result = method.measure([image], 1.0)
        assert result.status == "not_measured" and word in result.reason and not result.measures


@pytest.mark.req("ANA-05")
def test_wall_and_couch_do_not_count():
    image = water(4, 3)
    x, y = grid(1.0, 256)
    r = np.hypot(x - 3, y + 2)
    image[(r >= 100) & (r < 106)] = 120
    image[250:254] = 150
    result = method.measure([image], 1.0)
    assert result.status == "measured", result.reason
    assert result.value("water_hu") == pytest.approx(4, abs=0.5)
    assert result.value("uniformity_max_hu") < 1


def series(images, pixel_mm=1.0, signed=False, slope=1.0, offset=1024, **tags):
    out = []
    for k, image in enumerate(images):
        stored = np.rint((image + (0 if signed else offset)) / slope).clip(-1024 if signed else 0)
        facts = {
            "ImagePositionPatient": ["0", "0", str(5.0 * k)],
            "SliceThickness": "5",
            "RescaleSlope": str(slope),
            "RescaleIntercept": str(0 if signed else -offset),
        }
        out.append(dicom(stored, modality="CT", kind="AXIAL", pixel_mm=pixel_mm, signed=signed, **{**facts, **tags}))
    return out


def on_couch(hu: float, sigma: float, diameter: float, pixel_mm: float, n: int, at: tuple[float, float], seed: int = 0):
    """A cylinder in a wall of acrylic on a couch that runs out of the field."""
    x, y = grid(pixel_mm, n)
    r = np.hypot(x - at[0], y - at[1])
    image = np.where(r < diameter / 2, hu, np.where(r < diameter / 2 + 5, 118.0, -1000.0))
    under = (y > at[1] + diameter / 2 + 5) & (y < at[1] + diameter / 2 + 13)
    image = np.where(under, 80.0, image)
    return image + np.random.default_rng(seed).normal(0, sigma, image.shape)


CASES = {
    "small phantom, small field": (100, 0.35, 420, (2, 0)),
    "large phantom, large field": (320, 0.97, 400, (-6, -12)),
    "off centre": (180, 0.8, 512, (70, -60)),
    "coarse pixels": (200, 1.9, 128, (3, -4)),
}


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("signed", [True, False])
def test_size_place_couch_and_kind_of_pixel_do_not_count(name, signed):
    diameter, pixel_mm, n, at = CASES[name]
    images = [on_couch(3.4, 6, diameter, pixel_mm, n, at, seed) for seed in range(3)]
    (result,) = measure_series(series(images[::-1], pixel_mm, signed))
    assert (result.procedure, result.status) == ("ct_water", "measured"), result.reason
    assert result.value("water_hu") == pytest.approx(3.4, abs=0.5)
    assert result.value("noise_hu") == pytest.approx(6, rel=0.025 if n > 200 else 0.05)
    assert result.value("uniformity_max_hu") < 1.5
    assert result.value("noise_10mm_percent") == pytest.approx(result.value("noise_percent") * np.sqrt(0.5), rel=1e-3)


@pytest.mark.req("ANA-05")
def test_one_slice_is_enough_and_white_noise_keeps_its_power():
    for sigma in (3.0, 8.0):
        (result,) = measure_series(series([water(0, sigma, n=512, pixel_mm=0.5, seed=4)], 0.5))
        assert result.status == "measured", result.reason
        assert result.value("water_hu") == pytest.approx(0, abs=0.5)
        assert result.value("nps_integral_hu2") == pytest.approx(sigma**2, rel=0.02)
        assert np.sqrt(result.value("nps_integral_hu2")) == pytest.approx(result.value("noise_hu"), rel=0.02)


@pytest.mark.req("ANA-05")
def test_a_series_that_contradicts_itself_gives_no_number():
    images = [water(0, 5, seed=s) for s in range(4)]
    wrong = {
        "ConvolutionKernel": [*series(images[:2], ConvolutionKernel="B31s"), *series(images, ConvolutionKernel="B60s")[2:]],
        "SliceThickness": [*series(images[:2]), *series(images, SliceThickness="2")[2:]],
        "Rescale": series(images, RescaleIntercept=None),
        "RescaleType": series(images, RescaleType="Z_EFF"),
        "lossy": series(images, LossyImageCompression="01"),
        "clipped": series([np.minimum(i + np.where(i > 20, 5000, 0), 3071) for i in images], BitsStored=12, HighBit=11),
    }
    for word, files in wrong.items():
        (result,) = measure_series(files)
        assert result.status == "not_measured" and word in result.reason and not result.measures, (word, result)


def put(images, x_mm, y_mm, radius_mm, hu, *, only=None):
    """The images with a disc that reads so much more than the water, in all slices or in one."""
    x, y = grid(1.0, 256)
    inside = np.hypot(x - x_mm, y - y_mm) < radius_mm
    return [i + hu * inside if only in (None, k) else i for k, i in enumerate(images)]


OBJECTS = {
    "bubble in the middle": (3, -2, 3, -1000.0),
    "bubble beside the regions": (50, 20, 2, -1000.0),
    "bubble under the wall": (3, -96, 5, -1000.0),
    "insert of 5 HU": (-60, 40, 10, 5.0),
    "insert of -4 HU": (50, 20, 8, -4.0),
    "insert of 3 HU": (20, -40, 15, 3.0),
    "wide insert": (50, 20, 25, 4.0),
}


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("name", OBJECTS)
def test_a_bubble_or_a_faint_insert_in_the_water_gives_no_number(name):
    images = [water(0, 5, seed=s) for s in range(5)]
    (result, *_) = measure_series(series(put(images, *OBJECTS[name])))
    assert result.procedure == "ct_water" and result.status == "not_measured" and not result.measures
    assert "foreign object" in result.reason


@pytest.mark.req("ANA-05")
def test_a_bubble_in_one_slice_is_enough():
    (result, *_) = measure_series(series(put([water(0, 5, seed=s) for s in range(5)], 40, 30, 4, -900.0, only=2)))
    assert result.status == "not_measured" and "foreign object" in result.reason


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("shade", ["cupped", "tilted", "ring", "streak", "grainy", "single"])
def test_noise_and_shades_of_the_scanner_are_no_objects(shade):
    x, y = grid(1.0, 256)
    r = np.hypot(x - 3, y + 2)
    add = {
        "cupped": 20 * (r / 100) ** 2,
        "tilted": 8 * x / 100,
        "ring": 6.0 * (abs(r - 50) < 1.6),
        "streak": 8.0 * (abs(0.8 * x + 0.6 * y) < 2),
    }
    images = [water(0, 5, seed=s) + add.get(shade, 0.0) * (r < 100) for s in range(1 if shade == "single" else 5)]
    if shade == "grainy":
        images = [
            np.where(r < 100, 25 * gaussian_filter(np.random.default_rng(s).normal(0, 1, r.shape), 1.5), -1000) for s in range(5)
        ]
    result = measure_series(series(images))[0]
    assert result.status == "measured", result.reason


CUT = {
    "above +3 HU": lambda i: np.minimum(i, 3),
    "above +8 HU": lambda i: np.minimum(i, 8),
    "below -4 HU": lambda i: np.where(i > -500, np.maximum(i, -4), i),
    "to both sides": lambda i: np.where(i > -500, np.clip(i, -6, 6), i),
    "air, to -600": lambda i: np.maximum(i, -600),
    "air, to -850": lambda i: np.maximum(i, -850),
    "air, to 0": lambda i: np.where(i < -500, 0, i),
}


@pytest.mark.req("ANA-05", "ENG-03")
@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("signed", [True, False])
def test_values_that_were_cut_off_within_the_range_of_the_type_give_no_number(name, signed):
    images = [CUT[name](np.rint(water(0, 5, seed=s))) for s in range(3)]
    (result, *_) = measure_series(series(images, signed=signed))
    assert result.status == "not_measured" and not result.measures
    assert ("read" in result.reason or "border" in result.reason) if name.startswith("air") else "clipped" in result.reason


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("cut", [-1000, -1024])
def test_air_that_ends_where_scanners_end_it_is_air(cut):
    images = [np.maximum(on_couch(1.0, 6, 200, 1.0, 256, (3, -2), s), cut) for s in range(3)]
    result = measure_series(series(images))[0]
    assert result.status == "measured" and result.value("water_hu") == pytest.approx(1, abs=0.5)


def head(brain: float, bone: float, thick: float, scalp: float, seed: int, ventricles: float = 0.0):
    """A round head of 150 mm inside its skull, in a U of carbon that holds it."""
    x, y = grid(1.0, 256)
    r = np.hypot(x - 3, y + 2)
    image = np.where(r < 75 + thick + scalp, 40.0, -1000.0)
    image = np.where(r < 75 + thick, bone, image)
    image = np.where(r < 75, brain, image)
    image[(abs(x - 3) < 12) & (abs(y + 2) < 18)] -= ventricles
    rest = (abs(r - 110) < 3) & (y > 0)
    return np.where(rest, -100.0, image) + np.random.default_rng(seed).normal(0, 4, image.shape)


@pytest.mark.req("ANA-05")
@pytest.mark.parametrize("brain", [0.0, 20.0, 35.0])
@pytest.mark.parametrize("bone, thick", [(900.0, 7.0), (600.0, 4.0), (350.0, 3.0)])
@pytest.mark.parametrize("scalp", [0.0, 6.0])
def test_a_round_head_is_no_water_phantom(brain, bone, thick, scalp):
    (result, *_) = measure_series(series([head(brain, bone, thick, scalp, s) for s in range(3)]))
    assert result.status == "not_measured" and "bone" in result.reason and not result.measures
    plastic = measure_series(series([head(0.0, 125.0, thick, 0.0, s) for s in range(3)]))[0]
    assert plastic.status == "measured", plastic.reason
    soft = measure_series(series([head(0.0, 125.0, thick, 0.0, s, 12.0) for s in range(3)]))[0]
    assert soft.status == "not_measured" and "foreign object" in soft.reason


@pytest.mark.parametrize("shift", [60, 150, 300])
def test_ct_numbers_that_are_shifted_as_a_whole_are_measured(shift):
    (result,) = measure_series(
        series([np.maximum(water(3.0, 5, seed=k) + shift, -1500) for k in range(5)], signed=True, offset=0)
    )
    assert (result.procedure, result.status) == ("ct_water", "measured"), result.reason
    assert result.value("water_hu") == pytest.approx(3 + shift, abs=0.6)
    assert result.value("noise_percent") == pytest.approx(0.5, rel=0.05)
    assert any("shifted as a whole" in w for w in result.warnings)


@pytest.mark.parametrize(
    ("scale", "shift", "least"), [(1, -60, -1024), (1, -150, -1024), (0.8, 0, -3000), (0.5, 0, -3000), (1, 0, -850)]
)
def test_ct_numbers_that_cannot_be_water_in_air_are_named_as_wrong(scale, shift, least):
    (result,) = measure_series(
        series([np.maximum(water(3.0, 5, seed=k) * scale + shift, least) for k in range(5)], signed=True, offset=0)
    )
    assert result.status == "not_measured" and "CT numbers are wrong" in result.reason
    shifted = method.measure([np.where(water(0, 0) > -500, water(60.0, 5), water(0, 5))], 1.0)
    assert shifted.status == "not_measured" and "not filled with water" in shifted.reason  # resin in true air

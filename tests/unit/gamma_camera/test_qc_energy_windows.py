"""The photopeak's window is measured, whatever holds most counts: by ranges and nuclide, else by names, else nothing is."""

import numpy as np
import pytest
from qc_images import dicom, item, lit, rotation, tube

from spark_jobs.measure import measure_series

CODES = {
    "Tc-99m": "C-163A8", "I-123": "C-114A4", "In-111": "C-145A4", "Ga-67": "C-131A2", "Tl-201": "C-138A9", "Lu-177": "C-101ED", "I-131": "C-114B1",
    "Co-57": "C-144A3",
}  # fmt: skip
PEAK, SCATTER = (126.5, 154.5), (90.0, 126.0)


def window(*ranges, name=None):
    limits = [item(EnergyWindowLowerLimit=str(low), EnergyWindowUpperLimit=str(high)) for low, high in ranges]
    return item(**({"EnergyWindowRangeSequence": limits} if ranges else {}), **({"EnergyWindowName": name} if name else {}))


def nuclide(*names):
    codes = [item(CodeValue=CODES[n], CodingSchemeDesignator="SRT", CodeMeaning=n) for n in names]
    return [item(RadionuclideCodeSequence=[c]) for c in codes]


def even(counts=3_000, seed=0):
    return np.random.default_rng(seed).poisson(lit("RECTANGLE", (533.0, 387.0), 2.4, 250) * counts)


def dull(counts=5_000, seed=1):
    """What scatter shows: brighter, and darker towards the rim by a tenth."""
    y, x = np.mgrid[-1:1:250j, -1:1:250j]
    return np.random.default_rng(seed).poisson(lit("RECTANGLE", (533.0, 387.0), 2.4, 250) * counts * (1 - 0.1 * (x**2 + y**2)))


def flood(frames, windows, names=("Tc-99m",), **tags):
    about = {
        "EnergyWindowInformationSequence": windows,
        "NumberOfEnergyWindows": len(windows),
        "EnergyWindowVector": list(range(1, len(frames) + 1)),
        "DetectorVector": [1] * len(frames),
        "RadiopharmaceuticalInformationSequence": nuclide(*names),
        "ActualFrameDuration": 4_000_000,
    }
    return dicom(np.stack(frames), pixel_mm=2.4, **{**about, **tags})


ALONE = measure_series([flood([even()], [window(PEAK)])])[0].value("ufov_iu_percent")
CHOSEN = {
    "scatter first": ([dull(), even()], [window(SCATTER), window(PEAK)], ("Tc-99m",)),
    "scatter last": ([even(), dull()], [window(PEAK), window(SCATTER)], ("Tc-99m",)),
    "two scatter windows": ([dull(), even(), dull(seed=3)], [window((114, 126)), window(PEAK), window((155, 167))], ("Tc-99m",)),
    "In-111": ([dull(), even()], [window((189, 220)), window((154, 188), (221, 270))], ("In-111",)),
    "Lu-177": ([dull(), even()], [window((60, 100)), window((187, 229))], ("Lu-177",)),
    "the weaker photopeak of Lu-177": ([dull(), even()], [window((102, 124)), window((187, 229))], ("Lu-177",)),
    "Ga-67": ([even(), dull(), dull(seed=3)], [window((84, 102)), window((166, 203)), window((270, 330))], ("Ga-67",)),
    "Tl-201": ([dull(), even()], [window((150, 184)), window((60, 82))], ("Tl-201",)),
    "I-123": ([dull(), even()], [window((500, 560)), window((143, 175))], ("I-123",)),
    "all energies": ([dull(), even()], [window((50, 600)), window(PEAK)], ("Tc-99m",)),
    "names alone": ([dull(), even()], [window(name="Tc99m SCATTER"), window(name="Tc99m")], ()),
    "names beside an unknown nuclide": ([dull(), even()], [window(SCATTER, name="Compton"), window(PEAK, name="Peak")], ()),
    "the name gives the nuclide": ([dull(), even()], [window(SCATTER, name="w1"), window(PEAK, name="Tc-99m")], ()),
}


FURTHER = {"the weaker photopeak of Lu-177": 1, "Ga-67": 2, "Tl-201": 1}  # windows that hold a photopeak as well


@pytest.mark.parametrize("name", CHOSEN)
def test_the_window_of_the_photopeak_is_measured(name):
    result, *further = measure_series([flood(*CHOSEN[name])])
    assert all(r.detector in ("1#w1", "1#w2", "1#w3") for r in further) and len(further) == FURTHER.get(name, 0)
    assert (result.procedure, result.status) == ("planar_uniformity", "measured"), result.reason
    assert result.value("ufov_iu_percent") == pytest.approx(ALONE, abs=1e-6)
    assert sum("was measured" in w for w in result.warnings) == 1


UNKNOWN = {
    "no names, no ranges": ([dull(), even()], [window(), window()], ("Tc-99m",)),
    "no nuclide": ([dull(), even()], [window(SCATTER), window(PEAK)], ()),
    "two isotopes": ([even(), even(seed=5)], [window(PEAK), window((143, 175))], ("Tc-99m", "I-123")),
    "no photopeak": ([dull(), dull()], [window(SCATTER), window((155, 170))], ("Tc-99m",)),
    "scatter alone": ([dull()], [window(SCATTER)], ("Tc-99m",)),
    "scatter alone by its name": ([dull()], [window(name="Scatter")], ()),
    "one window twice": ([even(), even()], [window(PEAK), window(PEAK)], ("Tc-99m",)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_the_photopeak_is_unknown_nothing_is_measured(name):
    (result,) = measure_series([flood(*UNKNOWN[name])])
    assert result.status == "not_measured" and not result.measures
    assert "energy window" in result.reason, result.reason


def test_a_window_in_an_object_of_its_own_is_left_out():
    about = {"EnergyWindowVector": [1]}
    scatter, peak = flood([dull()], [window(SCATTER)], **about), flood([even()], [window(PEAK)], **about)
    for files in ([scatter, peak], [peak, scatter]):
        (result,) = measure_series(files)
        assert result.value("ufov_iu_percent") == pytest.approx(ALONE, abs=1e-6)
        assert any("left out" in w for w in result.warnings)


def test_a_missing_or_wrong_vector_of_windows_is_named():
    frames, windows = [dull(), even()], [window(SCATTER), window(PEAK)]
    for tags, words in (
        ({"EnergyWindowVector": None}, "EnergyWindowVector is missing"),
        ({"EnergyWindowVector": [0, 1]}, "counts from 0"),
        ({"EnergyWindowVector": [1, 3]}, "describes 2"),
    ):
        (result,) = measure_series([flood(frames, windows, **tags)])
        assert result.status == "not_measured" and words in result.reason, result.reason


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_centre_of_rotation_is_of_the_photopeak(order):
    peak, _ = rotation(1.0, n=64, pixel_mm=4.8)
    scatter, _ = rotation(4.0, n=64, pixel_mm=4.8, counts=60_000, seed=3)
    both, limits = [peak, scatter], [window((187, 229)), window((60, 100))]
    data = dicom(
        np.concatenate([both[k] for k in order]),
        kind="TOMO",
        pixel_mm=4.8,
        EnergyWindowVector=[1] * 60 + [2] * 60,
        DetectorVector=[1] * 120,
        RotationVector=[1] * 120,
        AngularViewVector=list(range(1, 61)) * 2,
        RotationInformationSequence=[item(AngularStep="6", RotationDirection="CC", StartAngle="0")],
        EnergyWindowInformationSequence=[limits[k] for k in order],
        RadiopharmaceuticalInformationSequence=nuclide("Lu-177"),
    )
    (result,) = measure_series([data])
    assert result.value("cor_offset_mm") == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("name", "weak", "both"), [("Co-57", (126.0, 154.0), (108.0, 146.0)), ("Tl-201", (150.0, 184.0), (60.0, 82.0))]
)
def test_a_window_with_a_weak_photopeak_alone_has_no_verdict(name, weak, both):
    (result,) = measure_series([flood([even()], [window(weak)], (name,))])
    assert result.status == "indicative" and result.reason.code == "window.main_photopeak_missed"
    assert measure_series([flood([even()], [window(both)], (name,))])[0].status == "measured"


@pytest.mark.parametrize(
    ("name", "windows"),
    [("Tc-99m", [(92, 125), (126, 154)]), ("Tc-99m", [(120, 126), (126, 154), (154, 160)]), ("Lu-177", [(60, 100), (187, 229)])],
)
def test_a_point_in_photopeak_and_scatter_is_no_match_of_windows(name, windows):
    y, x = np.mgrid[:128, :128] - 63.5
    shape = np.exp(-(x**2 + y**2) / 2 / 1.5**2)
    image = np.random.default_rng(0).poisson(200_000 * shape / shape.sum() + 0.05)
    dose = [item(RadionuclideCodeSequence=nuclide(name)[0].RadionuclideCodeSequence, RadionuclideTotalDose="20")]
    dose[0].RadiopharmaceuticalStartDateTime = "20260401110000"
    about = {"RadiopharmaceuticalInformationSequence": dose, "AcquisitionTime": "110000", "ActualFrameDuration": 100_000}
    about |= {"PixelSpacing": ["4", "4"]}
    (result,) = measure_series([flood([image + k for k in range(len(windows))], [window(w) for w in windows], **about)])
    assert result.procedure == "sensitivity", result


@pytest.mark.parametrize(
    ("windows", "names"),
    [
        ([window((154, 188)), window((220, 270))], ("In-111",)),
        ([window((63, 80)), window((150, 184))], ("Tl-201",)),
        ([window(PEAK), window((130, 151))], ("Tc-99m",)),
    ],
)
def test_a_fault_in_another_window_of_the_photopeaks_is_told_beside_an_even_flood(windows, names):
    bad = np.random.default_rng(2).poisson(lit("RECTANGLE", (533.0, 387.0), 2.4, 250) * tube(2.4, 250, 60, -40, 0.8) * 3_000)
    results = measure_series([flood([even(), bad], windows, names)])
    first, second = (r for r in results if r.procedure == "planar_uniformity")
    assert (first.detector, second.detector) == ("1", "1#w2")
    assert first.value("ufov_iu_percent") == pytest.approx(ALONE, abs=1e-6) and second.value("ufov_iu_percent") > 8
    assert (first.status, second.status) == ("measured", "measured") and "window" not in (second.reason or "")


def test_the_window_that_is_not_measured_decides_nothing():
    """Scatter so bright that it reached the limit of the pixel, or went beyond it."""
    for bright in (np.minimum(dull(62_000), 65_535), dull(70_000) % 65_536):
        (result,) = measure_series([flood([bright, even()], [window(SCATTER), window(PEAK)])])
        assert result.status == "measured" and result.value("ufov_iu_percent") == pytest.approx(ALONE, abs=1e-6)

"""Dynamic, gated and rotating studies, on one head or two: the photopeak's window is measured, and the values are those of it alone."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from clinical_images import dynamic, heart, heart_views, hepatic, renal, thyroid
from qc_images import dicom, item
from test_qc_energy_windows import PEAK, SCATTER, nuclide, window

from spark_jobs.measure import measure_series
from spark_jobs.reading import read

VECTORS = (
    "EnergyWindowVector", "DetectorVector", "RotationVector", "PhaseVector", "RRIntervalVector", "TimeSlotVector", "AngularViewVector",
    "TimeSliceVector",
)  # fmt: skip
VIEWS = heart_views()
BILIARY = ((60, 60.0),)
STUDIES = {
    "renal": lambda: dynamic(renal()),
    "hepatobiliary": lambda: dynamic(hepatic(), BILIARY),
    "heart": lambda: heart(VIEWS),
    "gated heart": lambda: heart(VIEWS, gates=4),
    "thyroid": lambda: dicom(thyroid(), pixel_mm=2.2, EnergyWindowVector=[1], DetectorVector=[1]),
}


def two_windows(data, peak_first, interleaved=False, names=("Tc-99m",), windows=(PEAK, SCATTER)):
    """The same study with a scatter window that is brighter and blurred: 1.5 times the counts, spread over 9 × 9 pixels."""
    from scipy.ndimage import uniform_filter

    image = read(data)
    frames = image.pixels
    scatter = np.random.default_rng(9).poisson(1.5 * np.maximum(uniform_filter(frames.astype(float), (1, 9, 9)), 0))
    both = np.concatenate([frames, scatter] if peak_first else [scatter, frames])
    order = np.arange(len(both))
    if interleaved:
        order = order.reshape(2, -1).T.ravel()
    ds = pydicom.dcmread(BytesIO(data))
    for name in VECTORS[1:]:
        if ds.get(name) is not None:
            setattr(ds, name, np.tile(np.atleast_1d(ds.get(name)), 2)[order].tolist())
    ds.EnergyWindowVector = np.repeat([1, 2], len(frames))[order].tolist()
    ds.EnergyWindowInformationSequence = [window(w) for w in (windows if peak_first else windows[::-1])]
    ds.NumberOfEnergyWindows, ds.NumberOfFrames = 2, len(both)
    ds.RadiopharmaceuticalInformationSequence = nuclide(*names)
    ds.PixelData = both[order].astype("<u2").tobytes()
    out = BytesIO()
    ds.save_as(out)
    return out.getvalue()


SIDES = [("R-10206", "anterior"), ("R-10214", "posterior")]


def two_heads(data):
    """The same study seen by a second, weaker head behind, whose frames follow those of the first."""
    frames = read(data).pixels
    behind = np.random.default_rng(3).poisson(0.6 * frames[:, :, ::-1])
    ds = pydicom.dcmread(BytesIO(data))
    for name in VECTORS:
        if ds.get(name) is not None:
            setattr(ds, name, np.tile(np.atleast_1d(ds.get(name)), 2).tolist())
    ds.DetectorVector = np.repeat([1, 2], len(frames)).tolist()
    ds.DetectorInformationSequence = [
        item(ViewCodeSequence=[item(CodeValue=code, CodingSchemeDesignator="SRT", CodeMeaning=side)]) for code, side in SIDES
    ]
    ds.NumberOfDetectors, ds.NumberOfFrames = 2, 2 * len(frames)
    ds.PixelData = np.concatenate([frames, behind]).astype("<u2").tobytes()
    out = BytesIO()
    ds.save_as(out)
    return out.getvalue()


def values(results):
    return [
        (r.procedure, r.detector, r.status, [(m.name, m.value) for m in r.measures if m.name != "header_percent"])
        for r in results
    ]


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize(("peak_first", "interleaved"), [(True, False), (False, False), (False, True)])
@pytest.mark.parametrize("study", STUDIES)
def test_the_photopeak_of_a_study_is_measured_whatever_window_is_brighter(study, peak_first, interleaved, heads):
    data = STUDIES[study]() if heads == 1 else two_heads(STUDIES[study]())
    alone = measure_series([data])
    results = measure_series([two_windows(data, peak_first, interleaved)])
    strip = lambda rs: [(p, d, s, [v for v in m if "complete" not in v[0]]) for p, d, s, m in values(rs)]  # noqa: E731
    assert strip(results) == strip(alone) and alone[0].status == "measured"
    assert any("photopeak" in str(w) for w in results[0].warnings)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_without_a_window_of_the_photopeak_is_refused(study):
    (result,) = measure_series([two_windows(STUDIES[study](), True, windows=((70.0, 90.0), SCATTER))])
    assert result.status == "not_measured" and "photopeak" in result.reason


@pytest.mark.parametrize("study", STUDIES)
def test_a_window_in_an_object_of_its_own_is_left_out_of_a_study(study):
    data = STUDIES[study]()
    apart = []
    for w, seed in ((SCATTER, 1), (PEAK, 2)):
        ds = pydicom.dcmread(BytesIO(data))
        ds.EnergyWindowInformationSequence, ds.RadiopharmaceuticalInformationSequence = [window(w)], nuclide("Tc-99m")
        ds.SOPInstanceUID = f"2.25.{seed}"
        if w is SCATTER:
            ds.PixelData = np.random.default_rng(seed).poisson(1.5 * read(data).pixels).astype("<u2").tobytes()
        out = BytesIO()
        ds.save_as(out)
        apart.append(out.getvalue())
    assert [v[:3] for v in values(measure_series(apart))] == [v[:3] for v in values(measure_series([data]))]

"""Two series of one phantom: offset and rotation are found again, whatever order, direction or modality; too little is refused."""

import numpy as np
import pytest
from pet_images import axes, points, slices
from qc_images import dicom, item
from scipy.spatial.transform import Rotation

from spark_jobs.measure import measure_mixed, read_object, render
from spark_jobs.qc.combined import registration

PLACES = np.array([[-60.0, -40, -50], [70, -30, 0], [0, 60, 30], [10, 10, 60]])
SAME = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4"}


def ct(places, *, water: bool = False, **tags) -> list[bytes]:
    voxel, shape = (2.5, 2.0, 2.0), (72, 110, 110)
    volume = points(places, height=1200, fwhm=6, shape=shape, voxel=voxel)
    if water:
        _, y, x = axes(shape, voxel)
        volume += ((y[:, None] ** 2 + x**2 < 100**2) * 1000.0)[None]
    noise = np.random.default_rng(3).normal(0, 8, shape)
    return slices(np.maximum(volume - 1000 + noise, -1000), voxel, modality="CT", **{**SAME, **tags})


def pt(places, *, middle=(0.0, 0.0, 0.0), **tags) -> list[bytes]:
    height = np.random.default_rng(4).uniform(6e3, 1e4, len(places))
    volume = points(places - np.array(middle), height=height, fwhm=7, shape=(62, 80, 80))
    volume = np.random.default_rng(5).poisson(volume / 10) * 10.0
    return slices(volume, (3.0, 3.0, 3.0), middle_mm=middle, **{**SAME, **tags})


def spect(places, *, backwards: bool) -> list[bytes]:
    """One multi-frame reconstruction; its slices may run against the normal, which the sign of the spacing says."""
    shape, v = (56, 64, 64), 4.0
    volume = points(places, height=3e4, fwhm=12, shape=shape, voxel=(v, v, v))
    first = [-(64 - 1) / 2 * v, -(64 - 1) / 2 * v, (1 if backwards else -1) * (56 - 1) / 2 * v]
    head = item(ImagePositionPatient=first, ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    facts = {
        "SliceVector": list(range(1, 57)),
        "SpacingBetweenSlices": str(-v if backwards else v),
        "DetectorInformationSequence": [head],
    }
    stored = np.rint(volume[::-1] if backwards else volume)
    return [dicom(stored, kind="RECON TOMO", pixel_mm=v, SeriesInstanceUID="1.9.9", **{**SAME, **facts})]


def run(files):
    return measure_mixed([read_object(f) for f in files])


def check(result, places, moved, angles=(0.0, 0.0, 0.0)):
    assert (result.procedure, result.status) == ("registration", "measured"), result.reason
    delta = moved - places
    assert [result.value(f"offset_{a}_mm") for a in "xyz"] == pytest.approx(list(delta.mean(0)), abs=0.1)
    assert result.value("max_offset_mm") == pytest.approx(np.linalg.norm(delta, axis=1).max(), abs=0.1)
    assert [result.value(f"rotation_{a}_deg") for a in "xyz"] == pytest.approx(list(angles), abs=0.1)
    assert result.value("residual_rms_mm") < 0.1


@pytest.mark.req("TST-05")
@pytest.mark.parametrize(
    "offset, angles", [((0, 0, 0), (0, 0, 0)), ((3, 0, 0), (0, 0, 0)), ((-6, 5, 6), (1, -2, 5)), ((1, 2, -3), (5, 4, -5))]
)
def test_a_pet_against_its_ct_gives_back_the_motion(offset, angles):
    moved = Rotation.from_euler("xyz", angles, degrees=True).apply(PLACES) + np.array(offset)
    files = [*ct(PLACES), *pt(moved[[2, 0, 3, 1]])[::-1]]
    (found,) = run(files)
    check(found.results[0], PLACES, moved, angles)
    assert len(found.inputs) == len(files)
    again = run(files[::-1])[0].results[0]
    assert again == found.results[0], "order of files is no matter"
    assert render([], found.results[0]).startswith(b"\x89PNG")


@pytest.mark.req("TST-05")
@pytest.mark.parametrize("backwards", [False, True])
def test_a_spect_stack_against_its_ct_keeps_its_direction(backwards):
    moved = PLACES + np.array([3.0, -2.0, 4.0])
    (found,) = run([*ct(PLACES), *spect(moved, backwards=backwards)])
    check(found.results[0], PLACES, moved)


def test_volumes_with_other_middles_and_three_fiducials_in_water():
    places = PLACES[:3] * 0.8
    (found,) = run([*ct(places, water=True), *pt(places + np.array([0, 3.0, 0]), middle=(12.0, -7.0, 9.0))])
    check(found.results[0], places, places + np.array([0, 3.0, 0]))


@pytest.mark.req("TST-05")
@pytest.mark.parametrize(
    "fixed, moved, word",
    [
        (PLACES[:2], PLACES[:2], "at least three"),
        (PLACES, PLACES[:3], "shows 4 fiducials"),
        (np.array([[-60.0, 0, 0], [0, 0, 0], [50, 0, 0]]), np.array([[-60.0, 0, 0], [0, 0, 0], [50, 0, 0]]), "one line"),
        (PLACES, PLACES * 0.7, "do not fit"),
    ],
)
def test_too_little_or_another_phantom_is_refused(fixed, moved, word):
    (found,) = run([*ct(fixed), *pt(moved)])
    (result,) = found.results
    assert (result.procedure, result.status) == ("registration", "not_measured") and word in result.reason and not result.measures


def test_series_of_other_studies_and_series_without_fiducials_are_no_pair():
    for files in ([*ct(PLACES), *pt(PLACES, StudyInstanceUID="7", FrameOfReferenceUID="8")], pt(PLACES)):
        results = [r for f in run(files) for r in f.results]
        assert all(r.status == "not_measured" and r.procedure != "registration" for r in results)


def test_a_third_volume_of_fiducials_is_one_too_many():
    (found,) = run([*ct(PLACES), *pt(PLACES), *pt(PLACES)])
    assert found.results[0].status == "not_measured" and "3 series" in found.results[0].reason


def test_shuffled_places_of_a_symmetric_phantom_take_the_smallest_motion():
    square = np.array([[50.0, 50, 0], [-50, 50, 0], [-50, -50, 0], [50, -50, 0]])
    moved = Rotation.from_euler("z", 4, degrees=True).apply(square) + np.array([0, 0, 2.0])
    result = registration.measure(square, moved[[3, 1, 0, 2]])
    assert result.value("rotation_z_deg") == pytest.approx(4, abs=1e-3) and result.value("offset_z_mm") == pytest.approx(
        2, abs=1e-3
    )

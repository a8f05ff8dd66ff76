"""Contrast of cold spheres against the integral of a ball folded with the blur, by quadrature; geometry and sizes decide first."""

from functools import cache

import numpy as np
import pytest
from qc_images import DATA, code
from tomo_images import DELUXE, LARGE, cylinder, recon, ring_of, rod_places

from spark_jobs.measure import measure_series, render
from spark_jobs.qc.spect import tomographic_contrast as method
from spark_jobs.qc.spect.spheres import sampled

real = pytest.mark.skipif(not DATA.is_dir(), reason="the real images of ../shared/data are not here")
CONTRASTS = ("contrast_michelson_percent", "contrast_acr_percent")


@cache
def phantom(**about):
    about = {"spheres": ring_of(), "rods": rod_places(), **about}
    return cylinder(**about)


def ring(**about) -> tuple:
    return tuple(ring_of(**about))


def noisy(volume: np.ndarray, counts: float = 600.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(np.maximum(volume, 0) * counts)


def truth(diameter: float, fwhm_mm: float, fill: float, voxel_mm: float) -> tuple[float, float]:
    """Michelson contrast of the mean, and ACR's, of a ball folded with a Gaussian (blur, and the width of a voxel)."""
    sigma2 = (fwhm_mm / 2.3548) ** 2 + voxel_mm**2 / 12
    s = (np.arange(4000) + 0.5) * diameter / 2 / 4000
    r = (np.arange(300) + 0.5) * diameter / 2 / 300
    kernel = np.exp(-((r[:, None] - s) ** 2) / (2 * sigma2)) - np.exp(-((r[:, None] + s) ** 2) / (2 * sigma2))
    ball = (kernel * s).sum(1) * (s[1] - s[0]) / (r * np.sqrt(2 * np.pi * sigma2))
    values = 1 - (1 - fill) * ball
    mean = float((values * r**2).sum() / (r**2).sum())
    return 100 * (1 - mean) / (1 + mean), 100 * (1 - float(values[0]))


RANGE = {
    "usual": ({}, DELUXE, 0.0),
    "sharp": ({"fwhm_mm": 7.0, "pixel_mm": 3.0, "slice_mm": 3.0, "n": 90, "slices": 64}, DELUXE, 0.0),
    "blunt": ({"fwhm_mm": 14.0, "sphere_z_mm": -34.0}, DELUXE, 0.0),
    "large set, scatter": ({"fwhm_mm": 10.0}, LARGE, 0.25),
    "other way round, other start, leaning": ({"start_deg": 200.0, "sign": -1, "lean": 0.03}, DELUXE, 0.0),
    "large pixels": ({"pixel_mm": 4.8, "slice_mm": 4.8, "n": 60, "slices": 40, "fwhm_mm": 12.0}, LARGE, 0.0),
}


@pytest.mark.req("TST-08")
@pytest.mark.parametrize("name", RANGE)
def test_contrasts_are_the_analytic_ones(name):
    about, names, fill = RANGE[name]
    about = dict(about)
    spheres = ring(diameters=names, start_deg=about.pop("start_deg", 5.0), sign=about.pop("sign", 1))
    volume = cylinder(spheres=list(spheres), rods=rod_places(), fill=fill, sub=3, **about)
    pixel_mm, slice_mm = about.get("pixel_mm", 4.0), about.get("slice_mm", 4.0)
    result = method.measure(volume, pixel_mm, slice_mm)
    assert result.status == "measured", result.reason
    for d in names:
        expected = truth(d, about.get("fwhm_mm", 10.0), fill, pixel_mm)
        assert result.value("sphere_diameter_mm", f"{d:g} mm") == d
        for measure, value in zip(CONTRASTS, expected, strict=True):
            assert result.value(measure, f"{d:g} mm") == pytest.approx(value, rel=0.02, abs=0.15), (measure, d)


@pytest.mark.req("TST-08")
def test_places_noise_and_rods():
    volume = noisy(phantom())
    result = method.measure(volume, 4.0, 4.0)
    for (d, x, y), m in zip(ring_of(), [m for m in result.measures if m.name == "sphere_diameter_mm"], strict=True):
        assert m.region == f"{d:g} mm"
        if d > 12:
            assert m.at["column"] == pytest.approx(35.5 + (x - 1.9) / 4, abs=0.5)
            assert m.at["row"] == pytest.approx(35.5 + (y + 2.7) / 4, abs=0.5)
            assert m.at["slice"] == pytest.approx(23.5 - 30 / 4, abs=0.5)
    assert result.value("noise_percent") == pytest.approx(100 / np.sqrt(600), rel=0.05)
    assert result.value("smallest_rod_mm") in (7.9, 6.4)
    sharp = method.measure(noisy(phantom(fwhm_mm=6.0, pixel_mm=3.0, slice_mm=4.0, n=90)), 3.0, 4.0)
    blunt = method.measure(noisy(phantom(fwhm_mm=16.0)), 4.0, 4.0)
    assert sharp.value("smallest_rod_mm") in (4.8, 6.4) and blunt.value("smallest_rod_mm") in (11.1, 12.7)
    bare = method.measure(noisy(phantom(rods=None)), 4.0, 4.0)
    assert bare.status == "measured" and "no section of rods" in str(bare.warnings)
    assert not any(m.name == "smallest_rod_mm" for m in bare.measures)


@pytest.mark.req("TST-08")
def test_order_mirrors_turns_shifts_scale_and_half_counts_change_little():
    volume = noisy(phantom())
    first = method.measure(volume, 4.0, 4.0)
    changed = (
        volume[::-1],
        volume[:, ::-1],
        volume[:, :, ::-1],
        volume.swapaxes(1, 2),
        np.roll(volume, (4, -3), (1, 2)),
        volume * 5,
    )
    for other in changed:
        result = method.measure(other, 4.0, 4.0)
        for d in DELUXE[:4]:
            for measure in CONTRASTS:
                assert result.value(measure, f"{d:g} mm") == pytest.approx(first.value(measure, f"{d:g} mm"), rel=0.03)
    half = method.measure(np.random.default_rng(1).binomial(volume, 0.5), 4.0, 4.0)
    for d in DELUXE[:3]:
        assert half.value(CONTRASTS[0], f"{d:g} mm") == pytest.approx(first.value(CONTRASTS[0], f"{d:g} mm"), abs=2.0)


@pytest.mark.req("TST-08")
def test_uncertainty_is_what_other_noise_does():
    read = [method.measure(noisy(phantom(), seed=s), 4.0, 4.0) for s in range(8)]
    for d in (31.8, 19.1):
        spread = np.std([r.value(CONTRASTS[0], f"{d:g} mm") for r in read], ddof=1)
        claimed = next(m.uncertainty for m in read[0].measures if m.name == CONTRASTS[0] and m.region == f"{d:g} mm")
        assert spread / 2 < claimed < 6 * spread


@pytest.mark.req("TST-08", "TST-02")
def test_a_system_phantom_gives_contrast_and_uniformity_without_a_code():
    file = recon(noisy(phantom(), 1000))
    results = measure_series([file])
    by_name = {r.procedure: r for r in results}
    assert by_name["tomographic_contrast"].status == by_name["tomographic_uniformity"].status == "measured"
    assert by_name["tomographic_uniformity"].value("iu_percent") < 5
    assert all(render([file], r).startswith(b"\x89PNG") for r in by_name.values())
    assert measure_series([recon(noisy(phantom(), 1000), PerformedProtocolCodeSequence=code("PP-TOMOCON"))]) == results
    wrong = measure_series([recon(noisy(cylinder()), PerformedProtocolCodeSequence=code("PP-TOMOCON"))])
    assert [r.status for r in wrong] == ["not_measured"] and "look like Tomographic uniformity" in str(wrong[0].reason)


@pytest.mark.req("TST-08")
def test_few_counts_are_indicative_or_refused_but_never_measured():
    few = method.measure(noisy(phantom(), 22), 4.0, 4.0)
    assert few.status == "indicative" and "too few counts" in few.reason
    assert method.measure(noisy(phantom(), 1), 4.0, 4.0).status == "not_measured"


def moved(**about):
    """The ring with its first sphere 16 mm off its place."""
    spheres = ring_of(**about)
    d, x, y = spheres[0]
    return [(d, x + 3, y + 16.0), *spheres[1:]]


REFUSALS = {
    "a sphere off its place": (lambda: cylinder(spheres=moved()), "from its place on the ring"),
    "a ring near the axis": (lambda: cylinder(spheres=ring_of(radius_mm=33.0)), "not the ring"),
    "equal spheres": (lambda: cylinder(spheres=ring_of((22.0,) * 6)), "sizes of the spheres"),
    "small spheres": (lambda: cylinder(spheres=ring_of(tuple(0.72 * d for d in DELUXE)), fwhm_mm=6.0), "sphere"),
    "another cylinder": (lambda: cylinder(spheres=ring_of(), diameter_mm=260.0, n=84), "no Jaszczak phantom"),
    "cut through the spheres": (lambda: phantom(ends_mm=None, rods=None)[14:], "truncated"),
    "no uniform part": (lambda: phantom()[10:24], "uniform"),
    "tilted": (lambda: phantom(lean=0.1), "tilted"),
    "hot spheres": (lambda: cylinder(spheres=ring_of(), fill=6.0), "hot spheres"),
}


@pytest.mark.req("TST-08", "ANA-05")
@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_whole_jaszczak_phantom_gives_no_contrast(name):
    make, word = REFUSALS[name]
    results = measure_series([recon(noisy(make()))])
    assert not any(r.measures for r in results if r.procedure in (None, "tomographic_contrast"))
    reasons = " ".join(str(r.reason) for r in results)
    assert word in reasons, reasons


@pytest.mark.req("TST-08", "ANA-05")
@pytest.mark.parametrize(
    ("pixel_mm", "slice_mm", "word"), [(4.0, 8.0, "distance of slices"), (4.8, 4.8, "pixel spacing"), (4.0, 2.0, "")]
)
def test_wrong_spacing_is_seen(pixel_mm, slice_mm, word):
    result = method.measure(noisy(phantom()), pixel_mm, slice_mm)
    assert result.status == "not_measured" and word in result.reason


@real
@pytest.mark.req("TST-08")
def test_the_real_phantom_beside_the_other_tool():
    """Origin: the other tool's mean contrasts of spheres 1-6, which it takes where each contrast is largest within 5 pixels.

    Ours lie at the places that the ring gives, so that noise does not raise the small ones; the first two, which stand out, agree.
    """
    peer = (35.8, 23.6, 17.1, 15.1, 17.0, 10.1)
    results = measure_series([(DATA / "nm_phantoms" / "jaszczak.dcm").read_bytes()])
    result = next(r for r in results if r.procedure == "tomographic_contrast")
    assert result.status == "measured"
    ours = [m.value for m in result.measures if m.name == CONTRASTS[0]]
    assert ours == pytest.approx([34.51, 22.95, 13.29, 9.95, 11.90, 7.48], abs=0.02)
    assert ours[:2] == pytest.approx(peer[:2], abs=1.5)
    assert all(a < b for a, b in zip(ours, peer, strict=True))
    assert [m.value for m in result.measures if m.name == "sphere_diameter_mm"] == list(LARGE)
    assert result.value("smallest_rod_mm") == 9.5


def test_a_sphere_of_a_linear_volume_reads_the_value_of_its_centre():
    z, y, x = np.mgrid[:20, :20, :20].astype(float)
    mean, lowest = sampled(3 * z - y + 2 * x, (9.3, 10.2, 8.8), 12.0, (4.0, 3.0, 3.0))
    assert mean == pytest.approx(3 * 9.3 - 10.2 + 2 * 8.8, abs=0.01)
    assert lowest < mean


@pytest.mark.parametrize("tags", [{"pixel_mm": 4.8, "slice_mm": 4.8}, {"pixel_mm": 2.0, "slice_mm": 2.0}, {"slice_mm": 8.0}])
@pytest.mark.parametrize("ordered", [None, "PP-TOMOCON", "PP-TOMOUNI"])
def test_geometry_that_one_part_proves_wrong_refuses_all_parts(tags, ordered):
    header = {} if ordered is None else {"PerformedProtocolCodeSequence": code(ordered)}
    results = measure_series([recon(noisy(phantom(), 1000), **tags, **header)])
    assert len(results) >= 1 and {r.status for r in results} == {"not_measured"}
    assert len({r.reason for r in results}) == 1 and ("spacing" in results[0].reason or "distance" in results[0].reason)
    assert not any(r.measures for r in results)


def test_a_slightly_wrong_cylinder_gives_values_without_a_verdict():
    results = {r.procedure: r for r in measure_series([recon(noisy(phantom(), 1000), pixel_mm=4.2, slice_mm=4.2)])}
    assert results["tomographic_contrast"].status == "indicative" and "216" in results["tomographic_contrast"].reason
    assert results["tomographic_uniformity"].status == "measured"

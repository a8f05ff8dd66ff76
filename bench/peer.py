"""What pylinac says of images; runs in .venv-peers, knows nothing of the project. Jobs as JSON on standard input, answers as JSON.

A job is {"kind", "path", "repeats", "options"}; an answer {"values", "seconds" (construct and analyse, the least), "analyse_seconds",
"peak_mb", "base_mb"} or {"error"}. Seconds are of CPU time: what else the machine does is not in them.
"""

import contextlib
import importlib
import json
import os
import sys
import time
import warnings

os.environ.setdefault("MPLBACKEND", "Agg")
warnings.simplefilter("ignore")
BEGAN = time.process_time()


def uniformity(path, **_):
    from pylinac.nuclear import PlanarUniformity

    test = PlanarUniformity(path)
    began = time.process_time()
    test.analyze()
    (data, *_rest) = test.results_data().values()
    return began, {
        "ufov_iu_percent": data.ufov_integral_uniformity,
        "cfov_iu_percent": data.cfov_integral_uniformity,
        "ufov_du_percent": data.ufov_differential_uniformity,
    }


def rotation(path, **_):
    from pylinac.nuclear import CenterOfRotation

    test = CenterOfRotation(path)
    began = time.process_time()
    test.analyze()
    data = test.results_data()
    return began, {
        "cor_offset_mm": data.x_deviation_mm,
        "cor_max_residual_mm": data.x_deviation_mm,
        "axial_mm": data.y_deviation_mm,
    }


def four_bar(path, separation_mm=100, **_):
    from pylinac.nuclear import FourBarResolution

    test = FourBarResolution(path)
    began = time.process_time()
    test.analyze(separation_mm=separation_mm)
    d = test.results_data()
    return began, {
        "fwhm_x_mm": d.x_fwhm,
        "fwhm_y_mm": d.y_fwhm,
        "fwtm_x_mm": d.x_fwtm,
        "fwtm_y_mm": d.y_fwtm,
        "pixel_size_x_mm": d.x_measured_pixel_size,
        "pixel_size_y_mm": d.y_measured_pixel_size,
    }


def quadrant(path, bar_widths=(4.23, 3.18, 2.54, 2.12), **_):
    from pylinac.nuclear import QuadrantResolution

    test = QuadrantResolution(path)
    began = time.process_time()
    test.analyze(bar_widths=bar_widths)
    found = test.results_data().quadrants.values()
    out = {}
    for width, q in zip(bar_widths, found, strict=True):
        out[f"mtf_published {width:g} mm"] = q["mtf"]
        out[f"fwhm_published_mm {width:g} mm"] = q["fwhm"]
    return began, out


def tomographic_uniformity(path, **_):
    from pylinac.nuclear import TomographicUniformity

    test = TomographicUniformity(path)
    began = time.process_time()
    test.analyze(**_)
    d = test.results_data()
    return began, {"iu_percent": d.ufov_integral_uniformity, "centre_border_ratio": d.center_border_ratio}


def tomographic_contrast(path, **_):
    from pylinac.nuclear import TomographicContrast

    test = TomographicContrast(path)
    began = time.process_time()
    test.analyze()
    return began, {f"mean_contrast sphere {k}": roi.mean_contrast for k, roi in test.rois.items()}


def count_rate(path, frame_duration=1.0, **_):
    from pylinac.nuclear import MaxCountRate

    test = MaxCountRate(path)
    began = time.process_time()
    test.analyze(frame_duration)
    return began, {"max_rate_cps": float(test.max_countrate)}


def sensitivity(path, activity_mbq=400.0, **_):
    from pylinac.nuclear import Nuclide, SimpleSensitivity

    test = SimpleSensitivity(path)
    began = time.process_time()
    test.analyze(activity_mbq, Nuclide.Tc99m)
    return began, {"sensitivity_cps_per_mbq": test.results_data().sensitivity_mbq}


def catphan(path, **_):
    from pylinac import CatPhan604

    test = CatPhan604(path)
    began = time.process_time()
    test.analyze()
    d = test.results_data()
    out = {f"{k.lower()}_hu": r.value for k, r in d.ctp404.hu_rois.items()}
    out["slice_thickness_mm"] = d.ctp404.measured_slice_thickness_mm
    half = test.ctp528.mtf.relative_resolution(50)
    if half is not None:  # no bars were seen
        out["mtf50_bar_lp_per_mm"] = float(half)
    return began, out


def acr(path, **_):
    from pylinac import ACRCT

    test = ACRCT(path)
    began = time.process_time()
    test.analyze()
    data = test.results_data()
    rods = {"Air": "air_hu", "Poly": "polyethylene_hu", "Acrylic": "acrylic_hu", "Bone": "bone_hu", "Water": "water_hu"}
    found = {rods[name]: hu for name, hu in data.ct_module.rois.items()}
    found["noise_hu"] = data.uniformity_module.center_roi_stdev
    found["bead_distance_mm"] = data.uniformity_module.bb_distance_mm
    half = test.spatial_resolution_module.mtf.relative_resolution(50)
    return began, {**found, "mtf50_bar_lp_per_mm": half} if half is not None else found


KINDS = {
    f.__name__: f
    for f in (
        uniformity,
        rotation,
        four_bar,
        quadrant,
        tomographic_uniformity,
        tomographic_contrast,
        count_rate,
        sensitivity,
        catphan,
        acr,
    )
}


def peak_mb():
    """Return the most memory that this program held; `ru_maxrss` would begin with that of the program which started it."""
    with open("/proc/self/status") as f:  # noqa: PTH123
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


def answer(job):
    best, best_analyse, values = float("inf"), float("inf"), {}
    for _ in range(job.get("repeats", 1)):
        began = time.process_time()
        started, values = KINDS[job["kind"]](job["path"], **job.get("options", {}))
        ended = time.process_time()
        best, best_analyse = min(best, ended - began), min(best_analyse, ended - started)
    peak = peak_mb()
    return {"values": {k: float(v) for k, v in values.items()}, "seconds": best, "analyse_seconds": best_analyse, "peak_mb": peak}


def main():
    jobs = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        importlib.import_module("pylinac")
        importlib.import_module("pylinac.nuclear")

        imported, base = time.process_time() - BEGAN, peak_mb()
        out = []
        for job in jobs:
            try:
                out.append({**answer(job), "import_seconds": imported, "base_mb": base})
            except Exception as exc:
                said = (str(exc).splitlines() or [""])[0][:120]
                out.append({"error": f"{type(exc).__name__}: {said}", "import_seconds": imported})
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()

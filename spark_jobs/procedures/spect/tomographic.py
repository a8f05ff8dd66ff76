"""Reconstructed tomograms of phantoms: slices in the order of their places, and which phantom they show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.procedures.row import Procedure, refusal
from spark_jobs.qc.looks import Look
from spark_jobs.qc.result import Result
from spark_jobs.qc.spect import tomographic_contrast, tomographic_uniformity
from spark_jobs.qc.spect.tomogram import Phantom, find_phantom
from spark_jobs.qc.spect.tomographic_contrast import Misfit, Spheres, find_spheres
from spark_jobs.qc.spect.uniform_slices import UniformSlices, uniform_slices
from spark_jobs.reading import Instance, Unreadable
from spark_jobs.scales import Scale

__all__ = ["ROWS", "Volume", "look", "volumes"]

FEWEST_SLICES = 6


@dataclass(frozen=True)
class Volume:
    """One reconstruction: slices × rows × columns, with the rescale of the header, and the distance of its slices."""

    values: NDArray
    pixel_mm: float
    slice_mm: float
    detector: str | None = None


def look(series: Sequence[Instance]) -> Look | str | None:
    """Return which phantom the tomogram shows, or None when the series is no reconstruction."""
    if not _reconstruction(series[0]):
        return None
    shown = sorted({p if isinstance(p, str) else p.kind for _, p in _phantoms(series)})
    return shown[0] if len(shown) == 1 else because("tomogram.looks_differ", looks=shown)


def _phantoms(series: Sequence[Instance]) -> list[tuple[Volume, Phantom | str]]:
    """Return each volume and its phantom, or why it has none; what the look found is kept for the run that follows."""
    found = volumes(series)
    key = tuple(i.sop_uid for i in series)
    kept = series[0].notes.get("tomogram")
    if kept is None or kept[0] != key:
        kept = series[0].notes["tomogram"] = (key, [find_phantom(v.values, v.pixel_mm, v.slice_mm) for v in found])
    return list(zip(found, kept[1], strict=True))


def volumes(series: Sequence[Instance]) -> list[Volume]:
    """Return the reconstructions of a series; objects of one frame each are the slices of one volume.

    The frames of an object are put in the order of the slice vector; the number of frames in a rotation has nothing to say about
    a reconstruction, and real files have it wrong. The sign of the spacing only says which way slices run, which no value here
    depends on.
    """
    if len(series) > 1 and all(len(i.pixels) == 1 for i in series):
        ordered = sorted(series, key=lambda i: i.position_mm)
        places = np.array([i.position_mm for i in ordered])
        if (np.diff(places) <= 0).any():
            raise Unreadable(because("tomogram.slices_doubled"))
        values = np.concatenate([_rescaled(i) for i in ordered])
        return [Volume(values, series[0].pixel_mm or 0.0, _slice_mm(series[0]))]
    out = []
    for k, instance in enumerate(series):
        order = instance.vector("SliceVector")
        if instance.dataset.get("SliceVector") is not None and len(np.unique(order)) < len(order):
            raise Unreadable(because("tomogram.slice_vector_doubled"))
        if instance.dataset.get("SliceVector") is not None and np.ptp(order) >= len(order):
            raise Unreadable(because("tomogram.slices_missing", slices=np.ptp(order) + 1, there=len(order)))
        if len(order) < FEWEST_SLICES:
            raise Unreadable(because("tomogram.slices_few", slices=len(order)))
        values = _rescaled(instance)[np.argsort(order, kind="stable")]
        detector = f"reconstruction {k + 1}" if len(series) > 1 else None
        out.append(Volume(values, instance.pixel_mm or 0.0, _slice_mm(instance), detector))
    return out


def _slice_mm(instance: Instance) -> float:
    """Return the distance of slices: the spacing where it is given, else the thickness."""
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        value = instance.dataset.get(name)
        if value is not None and abs(float(value)) > 0:
            return abs(float(value))
    raise Unreadable(because("tomogram.distance_unknown"))


def _rescaled(instance: Instance) -> NDArray:
    scale = instance.scale
    return instance.stored if scale == Scale() else instance.stored.astype(np.float32) * scale.slope + scale.intercept


def _reconstruction(instance: Instance) -> bool:
    return instance.modality == "NM" and instance.kind == "RECON TOMO"


def _uniformity(series: Sequence[Instance]) -> list[Result]:
    return [_measured(*one, contrast=False)[-1] for one in _phantoms(series)]


def _system(series: Sequence[Instance]) -> list[Result]:
    """Return contrast and uniformity: a system phantom has slices for both."""
    return [result for one in _phantoms(series) for result in _measured(*one)]


def _measured(v: Volume, found: Phantom | str, contrast: bool = True) -> list[Result]:
    """Return the uniformity of one volume, behind the contrast of a system phantom where that is asked for.

    Spheres that prove the geometry wrong refuse both: the field of the uniformity would lie elsewhere than it says.
    """
    about = (v.values, v.pixel_mm, v.slice_mm)
    if isinstance(found, str):
        return [refusal(m, found, v.detector) for m in (tomographic_contrast, tomographic_uniformity)]
    over: UniformSlices | str | None = None
    before = []
    if found.kind == Look.SYSTEM_PHANTOM:
        spheres = find_spheres(*about, phantom=found)
        before = [tomographic_contrast.measure(*about, spheres=spheres, detector=v.detector)] if contrast else []
        if isinstance(spheres, Misfit) and spheres.geometry:
            return [*before, refusal(tomographic_uniformity, spheres.reason, v.detector)]
        over = spheres.over if isinstance(spheres, Spheres) else None
    over = over or uniform_slices(*about, found)
    return [*before, tomographic_uniformity.measure(*about, over=over, detector=v.detector)]


ROWS = (
    Procedure(
        tomographic_uniformity,
        "PP-TOMOUNI",
        "phantom",
        _reconstruction,
        Look.UNIFORM_CYLINDER,
        _uniformity,
        reconstructed=True,
        also=(Look.SYSTEM_PHANTOM,),
    ),
    Procedure(
        tomographic_contrast,
        "PP-TOMOCON",
        "phantom",
        _reconstruction,
        Look.SYSTEM_PHANTOM,
        _system,
        reconstructed=True,
    ),
)

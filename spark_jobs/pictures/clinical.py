"""Pictures of clinical series: the views and what was found in them."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import UFOV, WORST

__all__ = ["PAINTERS"]


def _bone(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    views = list(f["views"].items())
    image = np.concatenate([v for _, v in views], axis=1).astype(float)
    mask = np.concatenate([f["masks"][k] for k, _ in views], axis=1)
    top = max(float(np.percentile(image, 99.7)), 1.0)
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
    axes.contour(mask, [0.5], colors=UFOV, linewidths=0.8)
    axes.set_title(" · ".join(k for k, _ in views) + ("  体轮廓（蓝）" if chinese else "  outline (blue)"))
    axes.set_axis_off()


def _heart(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    sinogram, breaks = f["sinogram"], f["breaks"]
    axes.imshow(
        sinogram, cmap="gray_r", aspect="auto", interpolation="nearest", extent=(-0.5, sinogram.shape[1] - 0.5, len(sinogram), 0)
    )
    size = np.hypot(breaks[:, 0], breaks[:, 1])
    middle = np.arange(len(size)) + 0.5
    beside = axes.twiny()
    beside.plot(size, middle, color=UFOV, lw=1.2)
    worst = int(size.argmax())
    beside.plot(size[worst], middle[worst], "o", ms=10, mfc="none", mec=WORST, mew=1.5)
    beside.set_xlim(0, max(4.0, 2.5 * float(size.max())))
    beside.set_xlabel("shift / px" + ("  移动" if chinese else ""), color=UFOV)
    axes.set_xlabel("column" + ("  列" if chinese else ""))
    axes.set_ylabel("view" + ("  投影" if chinese else ""))


def _dynamic(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    axes.set_axis_off()
    picture, curves = axes.inset_axes((0.0, 0.42, 1.0, 0.58)), axes.inset_axes((0.12, 0.08, 0.86, 0.28))
    image = f["image"]
    picture.imshow(image, cmap="gray_r", vmin=0, vmax=max(float(np.percentile(image, 99.7)), 1e-9), interpolation="nearest")
    for mask in f["masks"]:
        picture.contour(mask, [0.5], colors=UFOV, linewidths=1.2)
    picture.set_axis_off()
    for colour, (name, counts) in zip((UFOV, WORST), f["curves"].items(), strict=False):
        curves.plot(f["minutes"], counts / f["durations"], color=colour, lw=1.2, label=name)
    curves.set_xlabel("min" + ("  分钟" if chinese else ""))
    curves.set_ylabel("counts/s" + ("  计数率" if chinese else ""))
    if f["curves"]:
        curves.legend(loc="best", fontsize=7)


def _thyroid(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    image = f["image"]
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=max(float(np.percentile(image, 99.8)), 1.0), interpolation="nearest")
    for mask in f["masks"]:
        axes.contour(mask, [0.5], colors=UFOV, linewidths=1.2)
    if f.get("roi") is not None:
        axes.contour(f["roi"], [0.5], colors=WORST, linewidths=1.0)
    axes.set_title("lobes (blue) · region counted (red)" + ("  腺叶（蓝）计数区（红）" if chinese else ""))
    axes.set_axis_off()


def _pet(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    image, (slice_mm, _, column_mm) = f["image"], f["voxel_mm"]
    top = max(float(np.percentile(image, 99.5)), 1e-9)
    axes.imshow(image[::-1], cmap="gray_r", vmin=0, vmax=top, aspect=slice_mm / column_mm, interpolation="nearest")
    axes.contour(f["mask"][::-1], [0.5], colors=UFOV, linewidths=0.8)
    if f["liver"] is not None:
        axes.plot(f["liver"][2], len(image) - 1 - f["liver"][0], "o", ms=12, mfc="none", mec=WORST, mew=1.5)
    axes.set_title("mean of rows · outline (blue) · liver (red)" + ("  轮廓（蓝）肝（红）" if chinese else ""))
    axes.set_axis_off()


PAINTERS = {
    "pet_patient": _pet,
    "thyroid_static": _thyroid,
    "whole_body_bone": _bone,
    "myocardial_projections": _heart,
    "renal_dynamic": _dynamic,
    "hepatobiliary_dynamic": _dynamic,
}

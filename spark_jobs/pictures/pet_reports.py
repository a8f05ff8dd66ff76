"""Pictures of PET reports: the block efficiencies and what stands out of them."""

from typing import Any

import numpy as np

from spark_jobs.pictures.ink import INK, UFOV, WORST

__all__ = ["PAINTERS", "TITLES"]


def _blocks(axes: Any, f: dict[str, Any], chinese: bool) -> None:
    blocks, odd = f["blocks"], np.abs(f["z"]) > f["k"]
    number = np.arange(1, len(blocks) + 1)
    middle = float(np.median(blocks)) or 1.0
    shown = 100 * blocks / middle
    axes.plot(number, shown, ".", ms=4, color=INK, label="block" + (" 探测器块" if chinese else ""))
    axes.plot(number[odd], shown[odd], "o", ms=9, mfc="none", mec=WORST, label="outlier" + (" 离群" if chinese else ""))
    if f.get("change") is not None:
        axes.plot(number, 100 + f["change"], "-", lw=0.8, color=UFOV, label="÷ baseline" + (" ÷ 基线" if chinese else ""))
    axes.axhline(100, color="#8c959f", lw=0.8, ls=":")
    axes.set_xlabel("block" + ("  块号" if chinese else ""))
    axes.set_ylabel("% of the median" + ("  占中位数 %" if chinese else ""))
    axes.legend(loc="best", fontsize=8)


PAINTERS = {"pet_daily_qc": _blocks, "pet_normalisation": _blocks}
TITLES = {
    "pet_daily_qc": ("PET daily quality report", "PET 每日质控报告"),
    "pet_normalisation": ("PET normalisation", "PET 归一化校正"),
}

"""Radioactive decay: half-lives by nuclide, decayed activity, and the mean of a decaying rate over a time.

Half-lives are evaluated nuclear data (Decay Data Evaluation Project, rounded); the codes are those of DICOM CID 18 and CID 4020.
"""

import math
import re
from collections.abc import Iterable

__all__ = ["HALF_LIFE_S", "decayed", "half_life_s", "mean_factor", "nuclide_of"]

MINUTE, HOUR, DAY, YEAR = 60.0, 3_600.0, 86_400.0, 365.2422 * 86_400.0
HALF_LIFE_S: dict[str, float] = {
    "C-11": 20.361 * MINUTE,
    "N-13": 9.967 * MINUTE,
    "O-15": 2.041 * MINUTE,
    "F-18": 109.77 * MINUTE,
    "Na-22": 2.6029 * YEAR,
    "P-32": 14.284 * DAY,
    "Cr-51": 27.704 * DAY,
    "Co-57": 271.81 * DAY,
    "Co-60": 5.2711 * YEAR,
    "Cu-64": 12.7004 * HOUR,
    "Ga-67": 3.2613 * DAY,
    "Ga-68": 67.71 * MINUTE,
    "Ge-68": 270.95 * DAY,
    "Kr-81m": 13.1,
    "Rb-82": 76.38,
    "Sr-89": 50.57 * DAY,
    "Zr-89": 78.41 * HOUR,
    "Y-90": 64.05 * HOUR,
    "Mo-99": 65.94 * HOUR,
    "Tc-99m": 6.0067 * HOUR,
    "In-111": 2.8049 * DAY,
    "I-123": 13.2234 * HOUR,
    "I-124": 4.176 * DAY,
    "I-125": 59.388 * DAY,
    "I-131": 8.0233 * DAY,
    "Ba-133": 10.539 * YEAR,
    "Xe-133": 5.2474 * DAY,
    "Cs-137": 30.05 * YEAR,
    "Gd-153": 240.4 * DAY,
    "Sm-153": 46.284 * HOUR,
    "Ho-166": 26.795 * HOUR,
    "Lu-177": 6.6463 * DAY,
    "Re-186": 3.7186 * DAY,
    "Re-188": 17.005 * HOUR,
    "Tl-201": 3.0421 * DAY,
    "Ra-223": 11.43 * DAY,
}
# SNOMED CT and the older SNOMED-RT style codes
CODES = {
    "40565003": "C-11", "C-105A1": "C-11", "21576001": "N-13", "C-107A1": "N-13", "129504001": "O-15", "C-B1038": "O-15",
    "77004003": "F-18", "C-111A1": "F-18", "71633006": "Na-22", "C-155A1": "Na-22", "32505007": "P-32", "C-106A1": "P-32",
    "52745005": "Cr-51", "C-129A2": "Cr-51", "27054007": "Co-57", "C-144A3": "Co-57",
    "3027009": "Ba-133", "C-122A5": "Ba-133", "C-144A6": "Co-60",
    "3932008": "Cu-64", "C-127A2": "Cu-64", "2008008": "Ga-67", "C-131A2": "Ga-67", "35337001": "Ga-68", "C-131A3": "Ga-68",
    "53315004": "Ge-68", "C-128A2": "Ge-68", "61716009": "Kr-81m", "C-173A5": "Kr-81m", "79197006": "Rb-82", "C-159A2": "Rb-82",
    "7770004": "Sr-89", "C-158A6": "Sr-89", "63360001": "Zr-89", "C-168A4": "Zr-89", "14691008": "Y-90", "C-162A7": "Y-90",
    "72454006": "Tc-99m", "C-163A8": "Tc-99m", "56609000": "In-111", "C-145A4": "In-111", "21572004": "I-123",
    "C-114A4": "I-123", "40937006": "I-124", "C-114A5": "I-124", "68630002": "I-125", "C-114A6": "I-125", "1368003": "I-131",
    "C-114B1": "I-131", "80751004": "Xe-133", "C-172A8": "Xe-133", "14529005": "Gd-153", "C-178A8": "Gd-153",
    "419804008": "Sm-153", "C-B1134": "Sm-153", "C1943": "Ho-166", "447553000": "Lu-177", "C-101ED": "Lu-177",
    "395865006": "Re-186", "C-11906": "Re-186", "423578007": "Re-188", "C-1018D": "Re-188", "60057003": "Tl-201",
    "C-138A9": "Tl-201", "24853006": "Ra-223", "C-136A2": "Ra-223",
}  # fmt: skip
ELEMENTS = {
    "carbon": "C", "nitrogen": "N", "oxygen": "O", "fluorine": "F", "sodium": "Na", "phosphorus": "P", "chromium": "Cr",
    "cobalt": "Co", "copper": "Cu", "gallium": "Ga", "germanium": "Ge", "krypton": "Kr", "rubidium": "Rb", "strontium": "Sr",
    "zirconium": "Zr", "yttrium": "Y", "molybdenum": "Mo", "technetium": "Tc", "indium": "In", "iodine": "I", "barium": "Ba",
    "xenon": "Xe", "caesium": "Cs", "cesium": "Cs", "gadolinium": "Gd", "samarium": "Sm", "holmium": "Ho", "lutetium": "Lu",
    "rhenium": "Re", "thallium": "Tl", "radium": "Ra",
}  # fmt: skip
SYMBOLS = {s.lower(): s for s in ELEMENTS.values()}
SAME = 0.02  # a stated half-life that differs more from the table belongs to another nuclide


def nuclide_of(name: str | None) -> str | None:
    """Return the nuclide ("Tc-99m") that a code value or a code meaning names, or None.

    Understood are codes of CID 18 and CID 4020, and names in any order: Tc-99m, 99mTc, ^99m^Technetium, Technetium Tc^99m^.
    """
    text = str(name or "").strip()
    if text in CODES:
        return CODES[text]
    words = re.findall(r"[a-z]+|\d+(?:m(?=tc|kr|in|sr|[^a-z]|$))?", text.lower())
    masses = {w for w in words if w[0].isdigit()}
    symbols = {ELEMENTS.get(w) or SYMBOLS.get(w) for w in words if not w[0].isdigit()} - {None}
    return f"{symbols.pop()}-{masses.pop()}" if len(masses) == len(symbols) == 1 else None


def half_life_s(names: Iterable[str | None] = (), stated_s: float | None = None) -> float | None:
    """Return a half-life in seconds, or None when it is not known.

    Parameters
    ----------
    names
        Code value, code meaning or other names of the nuclide; what is not understood does not count.
    stated_s
        RadionuclideHalfLife of the header; None or not positive: not stated. It goes before the table, because the vendor
        corrected with it.

    Raises
    ------
    ValueError
        The names mean two nuclides, or the stated half-life is none of the named nuclide.
    """
    nuclides = {n for n in map(nuclide_of, names) if n}
    if len(nuclides) > 1:
        raise ValueError(f"the header names two nuclides: {', '.join(sorted(nuclides))}")
    nuclide = next(iter(nuclides), None)
    known = HALF_LIFE_S.get(nuclide) if nuclide else None
    if stated_s is None or not stated_s > 0:
        return known
    if known is not None and abs(stated_s / known - 1) > SAME:
        raise ValueError(f"the stated half-life of {stated_s:g} s is not that of {nuclide} ({known:g} s)")
    return float(stated_s)


def decayed(activity: float, seconds: float, half_life_s: float) -> float:
    """Return an activity (any unit) `seconds` later; negative seconds look back."""
    return activity * math.exp(-math.log(2) * seconds / half_life_s)


def mean_factor(seconds: float, half_life_s: float) -> float:
    """Return D = (1 − e⁻ˣ)/x, x = ln 2·seconds/half-life: the mean activity over a time from its start, over that at its start."""
    x = math.log(2) * seconds / half_life_s
    return -math.expm1(-x) / x if abs(x) > 1e-12 else 1.0

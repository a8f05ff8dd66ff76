"""Nuclides: half-life, photopeaks and names, from the reference table `dbt_project/seeds/nuclides.csv`, the only place that has them.

Doors, measurements and models read the same rows. A nuclide that is not in the table has no half-life here: nothing is decayed by a guess.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from judgement import reference
from judgement.rows import NuclideRow
from messages import because

__all__ = [
    "Nuclide",
    "half_life_s",
    "kept_as",
    "known_nuclides",
    "nuclide_named",
    "nuclide_of",
    "photopeaks_kev",
    "weak_photopeaks_kev",
]

UNITS_S = {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "a": 365.2422 * 86_400.0}
SAME = 0.02  # a stated half-life that differs more from the table belongs to another nuclide
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"  # what a word processor makes of a hyphen
# elements as Chinese writes them (the naming of the China National Committee for Terms in Sciences and Technologies), of clinical nuclides
CHINESE = {
    "锝": "Tc", "碘": "I", "氟": "F", "镓": "Ga", "铟": "In", "铊": "Tl", "镥": "Lu", "钇": "Y", "镭": "Ra", "锶": "Sr", "钐": "Sm", "磷": "P",
    "铼": "Re", "铬": "Cr", "钴": "Co", "锗": "Ge", "锆": "Zr", "铜": "Cu", "铷": "Rb", "碳": "C", "氮": "N", "氧": "O", "氙": "Xe", "氪": "Kr",
    "锕": "Ac", "铽": "Tb", "钬": "Ho", "砹": "At", "铅": "Pb", "铋": "Bi", "钍": "Th", "铯": "Cs", "钡": "Ba", "钪": "Sc", "硒": "Se", "溴": "Br",
    "铒": "Er", "钆": "Gd", "钠": "Na", "铁": "Fe", "锰": "Mn", "铕": "Eu", "镅": "Am", "金": "Au", "银": "Ag", "钼": "Mo", "铱": "Ir", "氡": "Rn",
    "氢": "H", "钾": "K", "锌": "Zn", "钛": "Ti", "钒": "V", "砷": "As", "铥": "Tm", "镱": "Yb", "镝": "Dy", "铈": "Ce", "镧": "La", "钯": "Pd",
    "钨": "W", "钌": "Ru",
}  # fmt: skip
LABEL = re.compile(r"\[\s*([^\[\]]+?)\s*\]\s*-?[A-Za-z][A-Za-z0-9-]*")
BEHIND = re.compile(r"^(\d+)([a-z]{1,2})m$")
LONGEST_NAME = 3  # parts of a name that belong together: 99, m, Tc


@dataclass(frozen=True, slots=True)
class Nuclide:
    """One row of the table.

    `photopeaks_kev` are the photons that images are made with, the most used first; in equilibrium with the daughters where those emit
    them. Empty: it has none (a pure beta emitter). `weak_kev` are those of them that no image is made with alone.
    """

    name: str
    half_life_s: float
    source: str
    photopeaks_kev: tuple[float, ...]
    weak_kev: tuple[float, ...] = ()


@cache
def known_nuclides() -> Mapping[str, Nuclide]:
    """Return the nuclides of the reference table by their name ("Tc-99m")."""
    return _table()[0]


def nuclide_named(text: str) -> str | None:
    """Return the nuclide whose name or code this is, whole and without another word; None for everything else.

    Understood: symbol or name of the element and mass in any order, with any dash, `99Tcm`, the element twice (USAN `Technetium Tc 99m`, INN
    `Technetium (99mTc)`, Chinese pharmacopoeia `锝[99mTc]`), and a label before a compound in its brackets (IUPAC: [18F]FDG); letters of
    other scripts are no part of a name but for the Chinese names of the elements.
    """
    _, names, codes = _table()
    text = unicodedata.normalize("NFKC", text).strip()
    if text.upper() in codes:
        return codes[text.upper()]
    label = LABEL.fullmatch(text)
    plain = _latin(label[1] if label else text)
    if not plain.isascii():
        return None
    parts = re.findall("[a-z0-9]+", plain.lower())
    for begin in range(len(parts)):
        for end in range(begin + 1, min(begin + LONGEST_NAME, len(parts)) + 1):
            nuclide = _named("".join(parts[begin:end]))
            mass = (nuclide or "").partition("-")[2]
            if nuclide and all(names.get(p + mass) == nuclide for p in (*parts[:begin], *parts[end:])):
                return nuclide
    return None


def _named(word: str) -> str | None:
    """Return the nuclide of letters and digits alone; the `m` of an excited state may stand behind the symbol."""
    names = _table()[1]
    return names.get(word) or names.get(BEHIND.sub(r"\1m\2", word))


def kept_as(text: str) -> str:
    """Return a nuclide's text as an event keeps it: as it is said where its letters and digits are a name, else the name of the table.

    The models read names by letters and digits alone.
    """
    known = "".join(filter(str.isalnum, text.lower())) in _table()[1]
    return text if known else nuclide_named(text) or text


def nuclide_of(name: str | None) -> str | None:
    """Return the nuclide ("Tc-99m") that a code value or a text names, or None.

    Understood are the code values of DICOM CID 18 and CID 4020 (PS3.16), and names in any order and among other words: Tc-99m, 99mTc,
    Tc99m, ^99m^Technetium, Technetium Tc^99m^ medronate. A text that names two nuclides names none.
    """
    text = unicodedata.normalize("NFKC", str(name or "")).strip()
    if whole := nuclide_named(text):
        return whole
    parts = re.findall("[a-z0-9]+", _latin(text).lower())
    pieces = ("".join(parts[k : k + n]) for n in range(1, LONGEST_NAME + 1) for k in range(len(parts) - n + 1))
    found = {n for n in map(_named, pieces) if n}
    return found.pop() if len(found) == 1 else None


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
        raise ValueError(because("header.nuclides_two", nuclides=sorted(nuclides)))
    nuclide = next(iter(nuclides), None)
    known = known_nuclides()[nuclide].half_life_s if nuclide else None
    if stated_s is None or not stated_s > 0:
        return known
    if known is not None and abs(stated_s / known - 1) > SAME:
        raise ValueError(because("header.half_life_contradicts", stated_s=stated_s, nuclide=nuclide, known_s=known))
    return float(stated_s)


def photopeaks_kev(nuclide: str | None) -> tuple[float, ...]:
    """Return the energies (keV) that a nuclide is imaged with, the most used first; empty where it has none or is not known."""
    row = known_nuclides().get(nuclide or "")
    return row.photopeaks_kev if row else ()


def weak_photopeaks_kev(nuclide: str | None) -> tuple[float, ...]:
    """Return those of `photopeaks_kev` that are no main photopeak: a window that holds such a one alone is not set on the nuclide."""
    row = known_nuclides().get(nuclide or "")
    return row.weak_kev if row else ()


def _latin(text: str) -> str:
    return "".join("-" if c in DASHES else CHINESE.get(c, c) for c in text)


@cache
def _table() -> tuple[dict[str, Nuclide], dict[str, str], dict[str, str]]:
    """Return the rows by nuclide, and the nuclide by each of its names (letters and digits, lower case) and codes."""
    rows: dict[str, Nuclide] = {}
    names: dict[str, str] = {}
    codes: dict[str, str] = {}
    for row in reference.read(NuclideRow):
        nuclide = row.nuclide
        listed = (row.photopeaks_kev or "").split()
        energies = tuple(float(v.strip("()")) for v in listed)
        weak = tuple(float(v.strip("()")) for v in listed if v.startswith("("))
        rows[nuclide] = Nuclide(nuclide, row.half_life * UNITS_S[row.unit], row.source, energies, weak)
        names |= dict.fromkeys(row.names.split(), nuclide)
        codes |= dict.fromkeys((row.codes or "").split(), nuclide)
    return rows, names, codes

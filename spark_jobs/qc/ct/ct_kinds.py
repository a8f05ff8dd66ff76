"""CT phantoms as data: where inserts, bars and modules lie, and what the materials read.

Angles are degrees clockwise as the image is shown (0 to the right, 90 down), lengths mm, CT numbers HU. Nominal numbers are the middle
of the ranges in the manufacturer's manual (CatPhan) and in the instructions of the ACR; they tell materials apart and judge nothing.
"""

from dataclasses import dataclass

__all__ = ["ACR", "BAR_GROUPS", "CATPHAN_BARS", "KINDS", "BarGroup", "Insert", "Kind", "Model"]


@dataclass(frozen=True)
class Insert:
    """One rod of the sensitometry module. `name` begins the name of its measure: air gives air_hu."""

    name: str
    label: str
    angle: float
    nominal_hu: float


@dataclass(frozen=True)
class BarGroup:
    """Bars of one frequency: part of the full circle at which the middle of the group lies, and how many bars it holds."""

    lp_per_mm: float
    middle: float
    bars: int


@dataclass(frozen=True)
class Model:
    """Where the other modules of one model lie, mm from the sensitometry module, bars counted positive; None: it has no such module.

    `bars_forward` tells on which side of the module the bar pattern is cut: the same circle runs the other way from behind.
    """

    name: str
    bars_mm: float | None
    low_contrast_mm: float | None
    uniform_mm: float
    bars_forward: bool = True


@dataclass(frozen=True)
class Kind:
    """Phantoms that share one sensitometry module.

    `spare` are angles at which there may be air, a vial or nothing; `low_contrast` are (angle, distance, diameter) of discs, the
    largest first; `ramps` are the angles at which wire ramps lie.
    """

    name: str
    diameter_mm: float
    ring_mm: float
    insert_mm: float
    inserts: tuple[Insert, ...]
    spare: tuple[float, ...]
    models: tuple[Model, ...]
    low_contrast: tuple[tuple[float, float, float], ...]
    uniform_ring_mm: float
    ramps: tuple[float, ...]


AIR, TEFLON = Insert("air", "Air", -90, -1000), Insert("teflon", "Teflon", -60, 1000)
PMP, LDPE, POLY = Insert("pmp", "PMP", -120, -196), Insert("ldpe", "LDPE", 180, -104), Insert("poly", "Poly", 120, -47)
ACRYLIC, DELRIN = Insert("acrylic", "Acrylic", 60, 115), Insert("delrin", "Delrin", 0, 365)
BONE_50, BONE_20 = Insert("bone_50", "Bone 50 %", -150, 725), Insert("bone_20", "Bone 20 %", 30, 237)

CATPHAN_BARS = 47.0  # mm from the centre to the middle of the bars
BAR_GROUPS = (
    BarGroup(0.1, 0.074, 2),
    BarGroup(0.2, 0.141, 3),
    BarGroup(0.3, 0.2075, 4),
    BarGroup(0.4, 0.2605, 4),
    BarGroup(0.5, 0.311, 4),
    BarGroup(0.6, 0.363, 5),
    BarGroup(0.7, 0.4105, 5),
    BarGroup(0.8, 0.461, 5),
)
ACR = "ACR 464"
FOUR_RAMPS = (-90.0, 0.0, 90.0, 180.0)
SUPRA_SLICE = ((-87.4, 50, 15), (-69.1, 50, 9), (-52.7, 50, 8), (-38.5, 50, 7), (-25.1, 50, 6), (-12.9, 50, 5))

KINDS = (
    Kind(
        "CatPhan 604",
        200,
        58.4,
        12,
        (AIR, PMP, BONE_50, LDPE, POLY, ACRYLIC, BONE_20, DELRIN, TEFLON),
        (90,),
        (Model("CatPhan 604", 40, -40, -80),),
        SUPRA_SLICE,
        53,
        FOUR_RAMPS,
    ),
    Kind(
        # the ring of the 600 is this ring upside down, with a vial of water where the others have the second air
        "CatPhan 503/504/600",
        200,
        58.4,
        12,
        (AIR, PMP, LDPE, POLY, ACRYLIC, DELRIN, TEFLON),
        (90,),
        (
            Model("CatPhan 504", 30, -30, -65),
            Model("CatPhan 503", 30, None, 110, bars_forward=False),
            Model("CatPhan 600", 70, 110, 160, bars_forward=False),
        ),
        SUPRA_SLICE,
        53,
        FOUR_RAMPS,
    ),
    Kind(
        # ramps of beads lie to the left and right; the bars lie in blocks, not around a circle
        "CatPhan 700",
        200,
        58.7,
        12,
        (
            Insert("air", "Air", -90, -1000),
            Insert("pmp", "PMP", -60, -196),
            Insert("lung_7112", "Lung #7112", -15, -868),
            Insert("delrin", "Delrin", 15, 365),
            Insert("poly", "Poly", 60, -47),
            Insert("teflon", "Teflon", 90, 1000),
            Insert("bone_20", "Bone 20 %", 120, 237),
            Insert("ldpe", "LDPE", 165, -104),
            Insert("bone_50", "Bone 50 %", -165, 725),
            Insert("acrylic", "Acrylic", -120, 115),
        ),
        (),
        (Model("CatPhan 700", None, 80, 160),),
        tuple((a + 180, d, size) for a, d, size in SUPRA_SLICE),
        53,
        (-90.0, 90.0),
    ),
    Kind(
        ACR,
        200,
        63,
        25,
        (
            Insert("air", "Air", 45, -1000),
            Insert("polyethylene", "Polyethylene", 225, -95),
            Insert("acrylic", "Acrylic", 135, 120),
            Insert("bone", "Bone", -45, 955),
            Insert("water", "Water", 180, 0),
        ),
        (),
        (Model(ACR, 120, 35, 70),),
        ((-90, 60, 25),),
        66,
        (),
    ),
)

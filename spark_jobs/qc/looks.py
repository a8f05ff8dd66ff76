"""What pixels may look like: one of the three votes for a procedure. A new look is a member here and its Chinese name in `messages/zh.json`."""

from enum import StrEnum

__all__ = ["Look"]


class Look(StrEnum):
    """What a look at the pixels of a series found; the value is its English name."""

    PLATEAU = "plateau"
    PATTERN = "pattern"
    QUADRANTS = "quadrants"
    LINE = "line"
    CROSSED_LINES = "crossed lines"
    SLITS = "slits"
    SPOTS = "spots"
    SCAN_OF_WINDOWS = "scan of energy windows"
    POINTS_IN_WINDOWS = "points in several energy windows"
    DECAYING_SOURCE = "decaying source"
    COMPACT_SOURCE = "compact source of known activity"
    SOURCES_IN_SCAN = "sources in a whole-body scan"
    UNIFORM_CYLINDER = "uniform cylinder"
    SYSTEM_PHANTOM = "system phantom"
    CT_RODS = "rods of a CatPhan or ACR phantom"
    CT_INSERTS = "a phantom with inserts"
    CT_CYLINDER = "homogeneous cylinder"
    PET_SPHERES = "six spheres in a body phantom"
    PET_CYLINDER = "an even cylinder of activity"
    FIDUCIALS = "fiducials"
    WHOLE_BODY = "whole_body"
    LOBES = "two lobes of a thyroid"
    KIDNEYS = "two kidneys over time"
    LIVER = "a liver over time"
    HEART = "a heart in projections"
    PATIENT = "a patient in a PET volume"
    FOR_ARTEFACTS = "an image that an order names for artefacts"
    OTHER = "none of the known test images"

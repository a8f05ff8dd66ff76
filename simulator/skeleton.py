"""The body of a bone scan: soft tissue and bones as thick lines and ellipses, in millimetres from the top of the head."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["body"]

ROWS, COLUMNS, PIXEL_MM, TOP_MM = 1024, 256, 2.4, 340.0
Line = tuple[float, float, float, float, float, float]  # x1, y1, x2, y2, half width, weight; mirrored to the other side
SOFT: tuple[Line, ...] = (
    (0, 110, 0, 120, 95, 1.0),
    (0, 200, 0, 260, 60, 1.0),
    (70, 330, 60, 720, 105, 1.0),
    (80, 760, 80, 880, 95, 1.0),
    (100, 880, 85, 1250, 70, 1.0),
    (85, 1250, 80, 1600, 45, 1.0),
    (80, 1630, 110, 1690, 35, 1.0),
    (185, 330, 215, 620, 42, 1.0),
    (215, 620, 230, 860, 34, 1.0),
    (230, 860, 232, 960, 30, 1.0),
)
BONES: tuple[Line, ...] = (
    (30, 300, 175, 310, 7, 2.0),  # clavicle
    (180, 320, 212, 610, 13, 1.8),  # humerus
    (215, 640, 228, 850, 10, 1.6),  # forearm
    (230, 880, 232, 940, 18, 1.5),  # hand
    (40, 800, 120, 730, 22, 4.5),  # ilium
    (20, 880, 80, 900, 12, 3.0),  # pubis, ischium
    (95, 870, 90, 880, 25, 3.0),  # hip
    (105, 900, 85, 1230, 15, 1.8),  # femur
    (85, 1245, 85, 1290, 30, 2.2),  # knee
    (82, 1300, 80, 1590, 13, 1.8),  # tibia
    (80, 1620, 108, 1690, 20, 1.9),  # foot
    (170, 320, 172, 335, 24, 3.0),  # shoulder
)
VIEWS = {  # weights of what lies in front and behind
    "anterior": {
        "spine": 2.6,
        "ribs": 1.6,
        "sternum": 4.0,
        "skull": 2.6,
        "kidneys": 0.8,
        "bladder": 9.0,
        "sacrum": 2.4,
        "scapula": 0.6,
    },
    "posterior": {
        "spine": 5.5,
        "ribs": 1.9,
        "sternum": 0.4,
        "skull": 2.4,
        "kidneys": 4.0,
        "bladder": 4.0,
        "sacrum": 5.0,
        "scapula": 2.2,
    },
}


def body(view: str) -> NDArray[np.floating]:
    """Return the activity of one view (`anterior`, `posterior`), rows × columns, soft tissue = 1, without blur."""
    weights = VIEWS[view]
    y = np.arange(ROWS)[:, None] * PIXEL_MM - TOP_MM
    x = (np.arange(COLUMNS)[None, :] - (COLUMNS - 1) / 2) * PIXEL_MM
    image = np.zeros((ROWS, COLUMNS))
    for line in SOFT:
        np.maximum(image, _tube(x, y, *line), out=image)
    for x1, y1, x2, y2, half, weight in BONES:
        image += _tube(x, y, x1, y1, x2, y2, half, weight)
    image += _disc(x, y, 0, 95, 75, 95, weights["skull"]) + _disc(x, y, 0, 200, 35, 22, 2.0)
    image += _tube(x, y, 0, 220, 0, 740, 17, weights["spine"])
    image += _tube(x, y, 0, 320, 0, 470, 13, weights["sternum"])
    for rib in range(9):
        top, reach = 330 + rib * 30, 95 + 45 * np.sin((rib + 1) / 9 * np.pi / 2)
        image += _tube(x, y, 20, top, reach * 0.75, top + 18, 5, weights["ribs"])
        image += _tube(x, y, reach * 0.75, top + 18, reach, top + 50, 5, weights["ribs"])
    image += _tube(x, y, 110, 360, 95, 450, 22, weights["scapula"])
    image += _disc(np.abs(x), y, 65, 610, 30, 52, weights["kidneys"])
    image += _disc(x, y, 0, 800, 38, 55, weights["sacrum"]) + _disc(x, y, 0, 880, 40, 32, weights["bladder"])
    return image + 0.004


def _tube(
    x: NDArray[np.floating], y: NDArray[np.floating], x1: float, y1: float, x2: float, y2: float, half: float, weight: float
) -> NDArray[np.floating]:
    """Return a round-ended thick line and its mirror image, thicker in the middle as a projected cylinder is."""
    u, v = np.abs(x) - x1, y - y1
    dx, dy = x2 - x1, y2 - y1
    length = dx * dx + dy * dy
    t = np.clip((u * dx + v * dy) / length, 0, 1) if length else 0.0
    distance = np.hypot(u - t * dx, v - t * dy) / half
    return weight * np.sqrt(np.clip(1 - distance**2, 0, None))


def _disc(
    x: NDArray[np.floating], y: NDArray[np.floating], cx: float, cy: float, rx: float, ry: float, weight: float
) -> NDArray[np.floating]:
    return weight * np.sqrt(np.clip(1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2, 0, None))

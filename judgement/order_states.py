"""Whether an order may be acted on: HL7 v2 order control (ORC-1, table 0119) and order status (ORC-5, table 0038) in one table.

Intake, worklist and readiness read this one; the macro `order_state` of the warehouse holds the same codes, and a test compares them.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["CONTROLS", "STATUSES", "order_state", "state_of"]

# asked for, told and answered alike: cancelled, discontinued, replaced by another order, not accepted; held; still to be done. What could
# not be done (UC, UD, UH, UM, UX …) leaves an order as it is; one that could not be released (UR) stays on hold
_CONTROLS = {
    "ended": "CA OC CR CP DC OD DR RP RU RQ UA",
    "held": "HD OH HR UR",
    "open": "NW OK XO XR XX UX RL OE OR RO SC SN NA SR SS PA CH CN RE RR PR OP PY OF AF RF FU MC LI UN UC UD UF UH UM UU",
    "unknown": "DE DF",
}
_STATUSES = {"ended": "CA DC RP", "completed": "CM", "held": "HD", "open": "A IP SC", "unknown": "ER"}
CONTROLS = {code: state for state, codes in _CONTROLS.items() for code in codes.split()}
STATUSES = {code: state for state, codes in _STATUSES.items() for code in codes.split()}
WORST = ("ended", "completed", "held", "unknown", "open")


def order_state(control: str, status: str | None = None) -> str:
    """Return `open`, `held`, `ended`, `completed`, or `unknown` for a code that the tables do not hold; the worse of the two counts."""
    told = {CONTROLS.get(control.strip().upper(), "unknown")}
    if status and status.strip():
        told.add(STATUSES.get(status.strip().upper(), "unknown"))
    return min(told, key=WORST.index)


def state_of(order: Mapping[str, Any]) -> str:
    """Return the state that the data of a `his.order` event say."""
    return order_state(order["order_control"], order.get("order_status"))

"""Whether an order may be acted on: HL7 v2 order control (ORC-1, table 0119) and order status (ORC-5, table 0038) in one table.

Intake, worklist and readiness read this one; the macro `order_state` of the warehouse holds the same codes, and a test compares them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["CONTROLS", "STATUSES", "WHOLE", "order_state", "state_of", "whole"]

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
WHOLE = ("NW", "XO", "XX", "RO")  # these tell an examination; without one the sender has forgotten it
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


def whole(orders: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the order that several tellings make, given with the newest last: its state by the newest of all, None without any.

    One that names no examination (a cancellation, a hold or its release in an ORC alone) changes the state and nothing else.
    """
    if not orders:
        return None
    newest = orders[-1]
    told = next((o for o in reversed(orders) if o["exam_code"]), newest)
    return {**told, "order_control": newest["order_control"], "order_status": newest.get("order_status")}

"""Whether an order may be acted on: what each message about it does to its state, and what all of them make of it.

HL7 v2.5.1 chapter 4: order control (ORC-1, table 0119) asks for something, tells it or answers; order status (ORC-5, table 0038) says how the
order stands. A code that only asks for the status, gives a number or tells that a request could not be met leaves an order as it is: it
neither ends nor revives it. Intake, worklist and readiness read this one; the macros of `order.sql` say the same in the warehouse, and a test
plays generated histories through both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from judgement.newest import Place, Telling, Tellings, happened_at, precision_s

__all__ = ["CONTROLS", "STATUSES", "WHOLE", "History", "effect_of", "order_state"]

_CONTROLS = {
    "open": "NW RO",
    # asked for by the placer: unable to cancel, discontinue or replace (UC, UD, UM) takes it back
    "end_asked": "CA DC RP",
    "end_refused": "UC UD UM",
    "ended": "OC CR CP OD DR RQ RU UA",
    # of an order that is open; what was ended, completed or replaced is not made less so by a hold
    "hold_asked": "HD",
    "hold_refused": "UH",
    "hold": "OH HR UR",
    "release": "RL OE OR",  # ends a hold and nothing else
    "nothing": "OK XO XR XX UX SC SN NA SR SS PA CH CN RE RR PR OP PY OF AF RF FU MC LI UN UF UU",
    "unclear": "DE DF",
}
_STATUSES = {"ended": "CA DC RP", "completed": "CM", "held": "HD", "open": "A IP SC", "unclear": "ER"}
CONTROLS = {code: effect for effect, codes in _CONTROLS.items() for code in codes.split()}
STATUSES = {code: effect for effect, codes in _STATUSES.items() for code in codes.split()}
WHOLE = ("NW", "XO", "XX", "RO")  # these tell an examination; without one the sender has forgotten it
SETS = ("open", "ended", "completed", "held")
OPENS = ("open", "release", "end_refused", "hold_refused")  # told again with its old time it opens nothing a second time
KEPT = ("scheduled_at_utc", "weight_kg", "indication", "stations", "procedure_id", "step_id", "study_uid")
OF_EXAM = ("exam_name", "prescribed_activity_mbq")  # not kept when another examination is ordered instead


class _Told(NamedTuple):
    place: Place
    effect: str
    yields: bool  # to what says otherwise of the same moment
    data: Mapping[str, Any]


def effect_of(control: str, status: str | None = None) -> str:
    """Return what a message does to the state of its order, a key of the tables; of control and status the worse counts."""
    asked = CONTROLS.get(control.strip().upper(), "unclear")
    told = STATUSES.get(status.strip().upper(), "unclear") if status and status.strip() else ""
    if asked in ("end_asked", "ended"):
        return asked
    if told in ("ended", "completed", "held"):
        return told
    if asked in ("hold_asked", "hold"):
        return asked
    for effect in ("unclear", "open"):
        if effect in (asked, told):
            return effect
    return asked


def order_state(control: str, status: str | None = None) -> str:
    """Return the state of an order of which nothing else is told: `open`, `held`, `ended`, `completed`, or `unknown` for a strange code."""
    return _state([effect_of(control, status)])


class History:
    """What is told of one order, message by message as they arrive; `newest.py` says in which order they count."""

    def __init__(self) -> None:
        self._tellings, self._told = Tellings(), list[_Told]()
        self._opened = set[tuple[Any, ...]]()

    def add(self, event: Telling) -> Place:
        """Take in a `his.order` event; return where it stands."""
        control, status = (str(event.data.get(n) or "").strip().upper() for n in ("order_control", "order_status"))
        effect, precision = effect_of(control, status), precision_s(event)
        if effect in OPENS:
            same = event.occurred_at, precision, control, status
            effect = "nothing" if same in self._opened else effect
            self._opened.add(same)
        place = self._tellings.place(happened_at(event), precision)
        self._told.append(_Told(place, effect, effect == "open" and control != "RO", event.data))
        return place

    def state(self) -> str:
        """Return `open`, `held`, `ended`, `completed` or `unknown`."""
        ordered = sorted(self._told, key=lambda t: (t.place.at, not t.yields, t.place.behind, t.place.arrival))
        return _state([t.effect for t in ordered])

    def whole(self) -> dict[str, Any] | None:
        """Return the order that the messages make, None without any: of each field what the newest says that does not leave it empty.

        Examination and patient are those of the newest message that names an examination. `deleted` lists fields that a message takes back.
        """
        told = [t.data for t in sorted(self._told, key=lambda t: t.place)]
        if not told:
            return None
        newest = next((d for d in reversed(told) if d["exam_code"]), told[-1])
        made = {**newest, "order_control": told[-1]["order_control"], "order_status": told[-1].get("order_status")}
        mine = [d for d in told if d["patient_pseudonym"] == newest["patient_pseudonym"]]
        for name in (*KEPT, *OF_EXAM):
            saying = (d for d in reversed(mine) if d.get(name) not in (None, "", []) or name in d.get("deleted", ()))
            if name in OF_EXAM:
                saying = (d for d in saying if d["exam_code"] in (None, newest["exam_code"]))
            said = next(saying, {})
            made[name] = None if name in said.get("deleted", ()) else said.get(name)
            if name == "scheduled_at_utc":
                made["scheduled_precision"] = said.get("scheduled_precision")
        return made


def _state(effects: Sequence[str]) -> str:
    state, unclear = "open", False
    for effect in _standing(effects):
        if effect in (*SETS, "end_asked"):
            state, unclear = "ended" if effect == "end_asked" else effect, False
        elif state in ("open", "held"):
            unclear |= effect == "unclear"
            if effect in ("hold", "hold_asked"):
                state = "held"
            elif effect == "release":
                state = "open"
    return "unknown" if unclear else state


def _standing(effects: Sequence[str]) -> list[str]:
    """Return the effects without the requests that were refused before anything else was told of them."""
    out, answer = list(effects), {"end_asked": "", "hold_asked": ""}
    for n, effect in reversed(list(enumerate(effects))):
        if effect in answer and answer[effect] == effect.replace("asked", "refused"):
            out[n] = "nothing"
        if effect in (*SETS, "end_refused"):
            answer["end_asked"] = effect
        if effect in (*SETS, "hold", "release", "hold_refused"):
            answer["hold_asked"] = effect
    return out

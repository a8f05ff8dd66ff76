"""Whether a step of an examination may begin: forms, preparation and interfering drugs against the reference rows of the day.

Pure: events, rows and a moment in, an answer out. The models `int_requirement__*` judge the same afterwards, by the same rows and in the
same words; `tests/contract/test_readiness.py` plays the same cases through both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connectors.events import Event, utc_text
from connectors.events.newest import in_order, precision_s
from connectors.exam_reference import Reference, Row, in_force
from connectors.words import reason

__all__ = ["CANCELLED", "Clue", "Readiness", "readiness"]

CANCELLED = ("CA", "OC", "DC")
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Clue:
    """One requirement that is not met, and by which version of which rule; `known` False: nobody asked, measured or ordered."""

    rule_id: str
    rule_version: int
    requirement_id: str
    requirement_version: int
    subject: str
    known: bool
    title_en: str
    title_zh: str
    reason_en: str
    reason_zh: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer; `permitted` False: something forbids it; None: nothing does, but something that must be known is not."""

    accession_number: str
    exam_code: str | None
    step: str
    at: datetime
    permitted: bool | None
    blocks: tuple[Clue, ...]
    warnings: tuple[Clue, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the body of the answer at the door."""
        rest = {k: [asdict(c) for c in getattr(self, k)] for k in ("blocks", "warnings")}
        return {
            "accession_number": self.accession_number, "exam_code": self.exam_code, "step": self.step, "at_utc": utc_text(self.at),
            "permitted": self.permitted, **rest,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Shortfall:
    rule_id: str
    row: Row
    subject: str
    effect: str  # block | warn
    known: bool
    reason: str


def readiness(
    accession: str,
    events: Iterable[Event],
    reference: Reference,
    at: datetime,
    utc_offset_minutes: int,
    step: str = "injection",
) -> Readiness:
    """Return whether a step of an examination may begin at a moment.

    Parameters
    ----------
    events
        Of this accession number and its patient, in the order of their recording: `his.order`, `his.patient`, `his.observation`,
        `form.signed`, `examination.preparation`; other types are passed over.
    at
        Aware. What was signed, asked or measured later does not count; rows in force on the local day of this moment do.
    """
    told = _Told(list(events), at)
    day = (at + timedelta(minutes=utc_offset_minutes)).date()
    order = told.order()
    code = order["exam_code"] if order else None
    unknown = _unplanned(order, reference, day, step)
    if unknown is not None:
        found = [unknown]
    else:
        found = [*_forms(told, reference, code, step, at, day), *_preparation(told, reference, code, step, at, day)]
        found += _drugs(told, reference, code, step, at, day)
    rules = {r["rule_id"]: r for r in in_force(reference.rules, "rule_id", day)}
    blocks = tuple(_clue(f, rules[f.rule_id]) for f in found if f.rule_id in rules and f.effect == "block")
    warnings = tuple(_clue(f, rules[f.rule_id]) for f in found if f.rule_id in rules and f.effect == "warn")
    permitted = False if any(c.known for c in blocks) else None if blocks else True
    return Readiness(accession, code, step, at, permitted, blocks, warnings)


def _unplanned(order: dict[str, Any] | None, reference: Reference, day: date, step: str) -> _Shortfall | None:
    """Return why nothing can be said about a step, None when order and plan say what it needs."""

    def because(known: bool, why: str) -> _Shortfall:
        return _Shortfall("ORDER_IN_FORCE", {}, "order", "block", known, why)

    if order is None:
        return because(False, "no order is known")
    if order["order_control"] in CANCELLED:
        return because(True, "the order was cancelled")
    plans = [p for p in reference.plans if p["exam_code"] == order["exam_code"] and p["valid_from"] <= day.isoformat()]
    if not plans:
        return because(False, f"no plan is known for examination {order['exam_code']}")
    newest = max(p["valid_from"] for p in plans)
    if step not in {p["step"] for p in plans if p["valid_from"] == newest}:
        return because(False, f"the plan of examination {order['exam_code']} has no step {step}")
    return None


class _Told:
    """What the events say as of a moment."""

    def __init__(self, events: Sequence[Event], at: datetime) -> None:
        self._events, self._at = events, at

    def order(self) -> dict[str, Any] | None:
        """Return the newest order."""
        orders = in_order((e.occurred_at, precision_s(e), e) for e in self._of("his.order") if e.occurred_at <= self._at)
        return orders[-1][1].data if orders else None

    def person(self) -> tuple[str | None, int | None]:
        """Return sex and year of birth as the newest message that says them has it."""
        sex, born = None, None
        for _, event in in_order((e.occurred_at, precision_s(e), e) for e in self._of("his.patient")):
            sex = event.data.get("sex") or sex
            born = event.data.get("birth_year") or born
        return sex, born

    def form(self, name: str) -> tuple[datetime, bool] | None:
        """Return when a form was last signed, and whether it was complete."""
        past = self._past("signed_at_utc", (e for e in self._of("form.signed") if e.data["form"] == name))
        return (past[-1][0], bool(past[-1][1].data["complete"])) if past else None

    def answer(self, name: str) -> Any:
        """Return the newest answer to a question of the preparation; None: it was never asked."""
        past = self._past("asked_at_utc", (e for e in self._of("examination.preparation") if e.data.get(name) is not None))
        return past[-1][1].data[name] if past else None

    def since(self, name: str) -> datetime | None:
        """Return the newest answer that is a moment."""
        told = (e for e in self._of("examination.preparation") if _moment(e.data.get(name)) is not None)
        past = self._past("asked_at_utc", told)
        return _moment(past[-1][1].data[name]) if past else None

    def observed(self, codes: str, unit: str) -> tuple[datetime, float] | None:
        """Return the newest laboratory value under one of the codes, when it is a number in this unit."""
        found = []
        for e in self._of("his.observation"):
            observed = _moment(e.data.get("observed_at_utc"))
            moment = observed or e.occurred_at
            precision = precision_s(e, "observed_precision" if observed else "occurred_precision")
            for o in e.data["observations"]:
                value = _number(o.get("value"))
                if o["code"] in codes.split() and o.get("unit") == unit and value is not None and moment <= self._at:
                    found.append((moment, precision, replace(e, data={"value": value})))
        placed = in_order(found)
        return (placed[-1][0], placed[-1][1].data["value"]) if placed else None

    def asked(self, name: str) -> datetime | None:
        """Return when the newest answer to a question was given."""
        past = self._past("asked_at_utc", (e for e in self._of("examination.preparation") if e.data.get(name) is not None))
        return past[-1][0] if past else None

    def _past(self, when: str, events: Iterable[Event]) -> list[tuple[datetime, Event]]:
        """Return the events that say a time before the moment, the newest last."""
        timed = [(t, e) for e in events if (t := _moment(e.data.get(when))) is not None and t <= self._at]
        return sorted(timed, key=lambda s: (s[0], s[1].recorded_at))

    def _of(self, kind: str) -> Iterator[Event]:
        return (e for e in self._events if e.type == kind)


def _forms(told: _Told, reference: Reference, code: str | None, step: str, at: datetime, day: date) -> Iterator[_Shortfall]:
    sex, born = told.person()
    for row in _of(reference.forms, code, step, day):
        if not _concerns(row, sex, born, day):
            continue
        name = f"{row['name_en']} / {row['name_zh']}"
        signed = told.form(row["form"])
        if signed is None:
            why = f"the form {name} is not signed"
        elif not signed[1]:
            why = f"the form {name} is signed but not complete"
        elif (at - signed[0]).total_seconds() > float(row["valid_hours"]) * 3600:
            why = f"the form {name} was signed at {signed[0]:%Y-%m-%dT%H:%MZ}, which is more than {_rounded(row['valid_hours'])} h before"
        else:
            continue
        yield _Shortfall("FORM_MISSING", row, row["form"], row["on_missing"], True, why)


def _concerns(row: Row, sex: str | None, born: int | None, day: date) -> bool:
    """Return whether a form is asked of a person; who is not known to be excepted is asked."""
    if row["sex"] and sex in ("M", "F") and sex != row["sex"]:
        return False
    if born is None:
        return True
    oldest = day.year - born  # the birthday may still be to come
    return not (row["age_min"] and oldest < int(row["age_min"])) and not (row["age_max"] and oldest - 1 > int(row["age_max"]))


def _preparation(told: _Told, reference: Reference, code: str | None, step: str, at: datetime, day: date) -> Iterator[_Shortfall]:
    for row in _of(reference.preparation, code, step, day):
        value, name = _value(told, row, at), f"{row['name_en']} / {row['name_zh']}"
        if value is None:
            if row["on_unknown"] in ("block", "warn"):
                why = f"{name}: not asked or measured"
                yield _Shortfall("PREPARATION", row, row["item"], row["on_unknown"], False, why)
            continue
        for effect in ("block", "warn"):
            low, high = _number(row[f"{effect}_low"]), _number(row[f"{effect}_high"])
            if (low is not None and value < low) or (high is not None and value > high):
                said = f"{_rounded(value)} {row['unit']}"
                why = f"{name}: a value of {said} is outside {_limits(low, high, row['unit'])}"
                yield _Shortfall("PREPARATION", row, row["item"], effect, True, why)
                break


def _value(told: _Told, row: Row, at: datetime) -> float | None:
    """Return the value of an item of the preparation; of the two witnesses of a laboratory value the newer one."""
    item = row["item"]
    if item == "medication":  # its drugs are judged one by one; here it counts that somebody asked
        return None if told.answer("medication") is None else 0.0
    if item == "fasting_h":
        since = told.since("fasting_since_utc")
        return None if since is None else (at - since).total_seconds() / 3600
    said, measured = told.answer(item), told.observed(row["observation_codes"], row["unit"]) if row["observation_codes"] else None
    when = told.asked(item)
    if measured is not None and (when is None or measured[0] > when):
        return measured[1]
    return None if said is None else float(said)


def _drugs(told: _Told, reference: Reference, code: str | None, step: str, at: datetime, day: date) -> Iterator[_Shortfall]:
    rows = _of(reference.drugs, code, step, day)
    worst: dict[str, tuple[float, _Shortfall]] = {}
    for taken in told.answer("medication") or []:
        row = _row_of(rows, taken["atc"])
        if row is None:
            continue
        name = f"{row['name_en']} / {row['name_zh']} (ATC {taken['atc']})"
        needed, last = float(row["withhold_days"]), _moment(taken.get("last_taken_at_utc"))
        days = -1.0 if last is None else (at - last).total_seconds() / DAY_S
        if days >= needed:
            continue
        if last is None:
            why = f"{name}: when it was last taken is not known, {_rounded(needed)} days without it are needed"
        else:
            why = f"{name}: last taken {_rounded(days)} days before, {_rounded(needed)} days without it are needed"
        found = _Shortfall("DRUG_INTERFERENCE", row, taken["atc"], row["effect"], last is not None, why)
        if taken["atc"] not in worst or days < worst[taken["atc"]][0]:
            worst[taken["atc"]] = (days, found)
    yield from (found for _, found in worst.values())


def _row_of(rows: Sequence[Row], atc: str) -> Row | None:
    """Return the most specific row of a drug; told only by its group, a drug may be the worst of that group."""
    named = [r for r in rows if atc.startswith(r["atc"])]
    if named:
        return max(named, key=lambda r: len(r["atc"]))
    return max((r for r in rows if r["atc"].startswith(atc)), key=lambda r: (float(r["withhold_days"]), r["atc"]), default=None)


def _of(rows: Sequence[Row], code: str | None, step: str, day: date) -> list[Row]:
    return [r for r in in_force(rows, "requirement_id", day) if r["exam_code"] == code and r["before_step"] == step]


def _clue(found: _Shortfall, rule: Row) -> Clue:
    row = found.row
    own = (row["requirement_id"], int(row["version"])) if row else (found.subject, 1)
    said = (rule["title_en"], rule["title_zh"], found.reason, reason(found.reason))
    return Clue(rule["rule_id"], int(rule["version"]), *own, found.subject, found.known, *said)


def _limits(low: float | None, high: float | None, unit: str) -> str:
    if low is not None and high is not None:
        return f"{_rounded(low)} … {_rounded(high)} {unit}"
    return f"≥ {_rounded(low)} {unit}" if low is not None else f"≤ {_rounded(high)} {unit}"


def _rounded(value: Any) -> str:
    return str(round(float(value), 3))


def _number(said: Any) -> float | None:
    try:
        return float(said)
    except (TypeError, ValueError):
        return None


def _moment(said: Any) -> datetime | None:
    """Return an aware moment, UTC where the text has no offset (as the warehouse reads it); None for a text that is no time."""
    try:
        moment = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

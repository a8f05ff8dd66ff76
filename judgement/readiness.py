"""What is permitted: whether a step of an examination may begin, by forms, preparation and interfering drugs and the rows of the day.

The models `int_requirement__*` judge the same afterwards, by the same rows and in the same words; `tests/contract/test_examinations.py` and
`test_judgement.py` play the same cases through both.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from typing import Any, ClassVar, Protocol, TypeVar

from judgement.days import local_day
from judgement.laboratory import Range, Result, exactly, is_result, result, verdict
from judgement.newest import happened_at, in_order, precision_s, told_at
from judgement.order_states import History
from judgement.physical import physical_range
from judgement.rows import Drug, Form, LaboratoryUnit, PhysicalRange, Plan, Preparation, Rule
from judgement.validity import in_force, newest
from messages import because

__all__ = ["Clue", "Fact", "Readiness", "Requirements", "next_step", "readiness", "undecided", "worst"]

DAY_S = 86_400.0
Row = Form | Preparation | Drug
R = TypeVar("R", Form, Preparation, Drug)


class Fact(Protocol):
    """What an event says; `connectors.events.Event` is one."""

    @property
    def type(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Requirements:
    """All versions of the rows that say what a step needs."""

    TABLES: ClassVar[tuple[type, ...]] = (Plan, Form, Preparation, Drug, Rule, LaboratoryUnit, PhysicalRange)
    plans: tuple[Plan, ...]
    forms: tuple[Form, ...]
    preparation: tuple[Preparation, ...]
    drugs: tuple[Drug, ...]
    rules: tuple[Rule, ...]
    units: tuple[LaboratoryUnit, ...]
    ranges: tuple[PhysicalRange, ...]


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
    reason: str


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


@dataclass(frozen=True, slots=True)
class _Shortfall:
    rule_id: str
    row: Row | None
    subject: str
    effect: str  # block | warn
    known: bool
    reason: str


def readiness(
    accession: str,
    events: Iterable[Fact],
    required: Requirements,
    at: datetime,
    zone: tzinfo,
    step: str = "injection",
) -> Readiness:
    """Return whether a step of an examination may begin at a moment.

    Parameters
    ----------
    events
        Of this accession number and its patient, in the order of their recording: `his.order`, `his.patient`, `his.observation`,
        `form.signed`, `examination.preparation`; other types are passed over.
    at
        Aware. What was signed, asked or measured later does not count; rows in force on the local day of this moment do. What a
        sender dates later than it arrived counts from its arrival: its clock is fast.
    """
    told = _Told(list(events), at)
    day = local_day(at, zone)
    order, state = told.order()
    code = order["exam_code"] if order else None
    unknown = _unplanned(order, state, required, day, step)
    if unknown is not None:
        found = [unknown]
    else:
        found = [*_forms(told, required, code, step, at, day), *_preparation(told, required, code, step, at, day)]
        found += _drugs(told, required, code, step, at, day)
    return _answered(accession, code, step, at, found, required, day)


def undecided(accession: str, required: Requirements, at: datetime, zone: tzinfo, step: str, why: str) -> Readiness:
    """Return the answer where nobody can tell which examination is meant, and why."""
    found = _Shortfall("ORDER_IN_FORCE", None, "order", "block", False, why)
    return _answered(accession, None, step, at, [found], required, local_day(at, zone))


def worst(answers: Sequence[Readiness]) -> Readiness:
    """Return one answer for several procedures that are done together: what any of them forbids is forbidden."""
    first, *more = answers
    if not more:
        return first
    permitted = [a.permitted for a in answers]
    return replace(
        first,
        permitted=False if False in permitted else None if None in permitted else True,
        blocks=tuple(dict.fromkeys(c for a in answers for c in a.blocks)),
        warnings=tuple(dict.fromkeys(c for a in answers for c in a.warnings)),
    )


def _answered(
    accession: str, code: str | None, step: str, at: datetime, found: Iterable[_Shortfall], required: Requirements, day: date
) -> Readiness:
    found = list(found)
    rules = newest(in_force(required.rules, day), lambda r: r.rule_id)
    blocks = tuple(_clue(f, rules[f.rule_id]) for f in found if f.rule_id in rules and f.effect == "block")
    warnings = tuple(_clue(f, rules[f.rule_id]) for f in found if f.rule_id in rules and f.effect == "warn")
    permitted = False if any(c.known for c in blocks) else None if blocks else True
    return Readiness(accession, code, step, at, permitted, blocks, warnings)


def next_step(events: Iterable[Fact]) -> str:
    """Return the step that is asked about next: the injection until it is done, then the acquisition."""
    done = any(
        e.type == "examination.dose"
        or (e.type == "examination.step" and e.data["step"] == "injection" and e.data["result"] == "done")
        for e in events
    )
    return "acquisition" if done else "injection"


def _unplanned(order: dict[str, Any] | None, state: str, required: Requirements, day: date, step: str) -> _Shortfall | None:
    """Return why nothing can be said about a step, None when order and plan say what it needs."""

    def order_is(known: bool, why: str) -> _Shortfall:
        return _Shortfall("ORDER_IN_FORCE", None, "order", "block", known, why)

    if order is None:
        return order_is(False, because("order.unknown"))
    match state:
        case "ended":
            return order_is(True, because("order.cancelled"))
        case "completed":
            return order_is(True, because("order.completed"))
        case "held":
            return order_is(True, because("order.held"))
        case "unknown":
            return order_is(False, because("order.state_unknown"))
    if order["exam_code"] is None:  # nobody has told what was ordered
        return order_is(False, because("order.unknown"))
    plans = in_force((p for p in required.plans if p.exam_code == order["exam_code"]), day)
    if not plans:
        return order_is(False, because("plan.unknown", exam=order["exam_code"]))
    latest = max(p.valid_from for p in plans)
    if step not in {p.step for p in plans if p.valid_from == latest}:
        return order_is(False, because("plan.no_step", exam=order["exam_code"], step=step))
    return None


class _Told:
    """What the events say as of a moment."""

    def __init__(self, events: Sequence[Fact], at: datetime) -> None:
        self._events, self._at = events, at

    def order(self) -> tuple[dict[str, Any] | None, str]:
        """Return the order as its tellings have it, and its state."""
        history = History()
        for event in self._of("his.order"):
            if happened_at(event) <= self._at:
                history.add(event)
        return history.whole(), history.state()

    def person(self) -> tuple[str | None, int | None]:
        """Return sex and year of birth as the newest message about the patient that says them has it, the order's included."""
        sex, born, whose = None, None, (self.order()[0] or {}).get("patient_pseudonym")
        told = (
            e for e in self._events if e.type == "his.patient" or (e.type == "his.order" and e.data["patient_pseudonym"] == whose)
        )
        for _, event in in_order((happened_at(e), precision_s(e), e) for e in told):
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
        return _moment(past[-1][1].data[name]) if (past := self._past("asked_at_utc", told)) else None

    def observed(self, row: Preparation, units: Sequence[LaboratoryUnit]) -> tuple[datetime, datetime, float, Result] | None:
        """Return the newest laboratory result of an item: when it counts from, when it was measured, to how many seconds, and its value."""
        found, codes = [], (row.observation_codes or "").split()
        bounds = [b for b in (row.block_low, row.block_high, row.warn_low, row.warn_high) if b is not None]
        for e in self._of("his.observation"):
            observed = _moment(e.data.get("observed_at_utc"))
            moment = told_at(e, observed or e.occurred_at)
            precision = precision_s(e, "observed_precision" if observed else "occurred_precision")
            for o in e.data["observations"]:
                if o["code"] in codes and is_result(o) and moment <= self._at:
                    found.append((moment, precision, (moment, precision, result(o, row.item, row.unit, units, bounds))))
        placed = in_order(found)
        return (placed[-1][0], *placed[-1][1]) if placed else None

    def asked(self, name: str) -> datetime | None:
        """Return when the newest answer to a question was given."""
        past = self._past("asked_at_utc", (e for e in self._of("examination.preparation") if e.data.get(name) is not None))
        return past[-1][0] if past else None

    def _past(self, when: str, events: Iterable[Fact]) -> list[tuple[datetime, Fact]]:
        """Return the events that say a time before the moment, the newest last."""
        told = ((_moment(e.data.get(when)), e) for e in events)
        timed = [(m, e) for t, e in told if t is not None and (m := told_at(e, t)) <= self._at]
        return sorted(timed, key=lambda s: (s[0], s[1].recorded_at))

    def _of(self, kind: str) -> Iterator[Fact]:
        return (e for e in self._events if e.type == kind)


def _forms(told: _Told, required: Requirements, code: str | None, step: str, at: datetime, day: date) -> Iterator[_Shortfall]:
    sex, born = told.person()
    for row in _of(required.forms, code, step, day):
        if not _concerns(row, sex, born, day):
            continue
        signed = told.form(row.form)
        if signed is None:
            why = because("form.not_signed", form=_named(row))
        elif not signed[1]:
            why = because("form.not_complete", form=_named(row))
        elif (at - signed[0]).total_seconds() > row.valid_hours * 3600:
            why = because(
                "form.too_old", form=_named(row), signed_at=f"{signed[0]:%Y-%m-%dT%H:%MZ}", valid_hours=round(row.valid_hours, 3)
            )
        else:
            continue
        yield _Shortfall("FORM_MISSING", row, row.form, row.on_missing, True, why)


def _concerns(row: Form, sex: str | None, born: int | None, day: date) -> bool:
    """Return whether a form is asked of a person; who is not known to be excepted is asked."""
    if row.sex and sex in ("M", "F") and sex != row.sex:
        return False
    if born is None:
        return True
    oldest = day.year - born  # the birthday may still be to come
    return not (row.age_min is not None and oldest < row.age_min) and not (row.age_max is not None and oldest - 1 > row.age_max)


def _preparation(
    told: _Told, required: Requirements, code: str | None, step: str, at: datetime, day: date
) -> Iterator[_Shortfall]:
    for row in _of(required.preparation, code, step, day):
        got = _value(told, row, at, required)
        if got is None:
            if row.on_unknown in ("block", "warn"):
                why = because("preparation.not_asked", item=_named(row))
                yield _Shortfall("PREPARATION", row, row.item, row.on_unknown, False, why)
            continue
        said = got.said
        for effect in ("block", "warn"):
            low, high = getattr(row, f"{effect}_low"), getattr(row, f"{effect}_high")
            within = verdict(said, low, high) if said else None
            if within is None:
                if row.on_unknown in ("block", "warn"):
                    yield _Shortfall("PREPARATION", row, row.item, row.on_unknown, False, _unusable(row, got))
                break
            if not within:
                limit = _limits(low, high, row.unit)
                why = because("preparation.outside", item=_named(row), value=_shown(said), unit=row.unit, limit=limit)
                yield _Shortfall("PREPARATION", row, row.item, effect, True, why)
                break


def _unusable(row: Preparation, got: Result) -> str:
    more: dict[str, Any] = {"unit": row.unit, "told": got.unit} if got.why == "result_unusable" else {}
    if got.why == "result_too_old" and row.valid_hours is not None:
        more = {"valid_hours": round(row.valid_hours, 3)}
    return because(f"preparation.{got.why}", item=_named(row), **more)


def _shown(said: Range | None) -> float | str:
    """Return a value as a reason has it: a number, with its sign where it is only known to lie beyond it."""
    least, most = said or (math.nan, math.nan)
    if math.isinf(most):
        return f"> {_rounded(least)}"
    return f"< {_rounded(most)}" if math.isinf(least) else round(least, 3)


def _value(told: _Told, row: Preparation, at: datetime, required: Requirements) -> Result | None:
    """Return what an item of the preparation can be, None where nobody asked.

    Of the two witnesses of a laboratory value the newer one counts. It is nothing when it is older than the row lets it be, or told to a
    longer time than that, and when it lies outside what its quantity can be.
    """
    item = row.item
    if item == "medication":  # its drugs are judged one by one; here it counts that somebody asked
        return None if told.answer("medication") is None else exactly(0.0)
    if item == "fasting_h":
        since = told.since("fasting_since_utc")
        if since is None:
            return None
        return exactly((at - since).total_seconds() / 3600) if since <= at else Result(None, None, "since_ahead")
    said, measured = told.answer(item), told.observed(row, required.units)
    when = told.asked(item)
    if measured is not None and (when is None or measured[0] > when):
        _, moment, precision, got = measured
    elif said is not None and when is not None:
        moment, precision, got = when, 0.0, exactly(float(said))
    else:
        return None
    low, high = physical_range(item, "", required.ranges)
    if got.said is not None and not all(low <= v <= high for v in got.said if math.isfinite(v)):
        return Result(None, None, "result_impossible")
    if got.said is not None and row.valid_hours is not None:
        if precision > row.valid_hours * 3600:
            return Result(None, None, "result_time_coarse")
        if (at - moment).total_seconds() > row.valid_hours * 3600:
            return Result(None, None, "result_too_old")
    return got


def _drugs(told: _Told, required: Requirements, code: str | None, step: str, at: datetime, day: date) -> Iterator[_Shortfall]:
    rows = _of(required.drugs, code, step, day)
    worst: dict[str, tuple[float, _Shortfall]] = {}
    for taken in told.answer("medication") or []:
        row = _row_of(rows, taken["atc"])
        if row is None:
            continue
        about = {"drug": _named(row), "atc": taken["atc"], "withhold_days": round(row.withhold_days, 3)}
        needed, last = row.withhold_days, _moment(taken.get("last_taken_at_utc"))
        days = -1.0 if last is None else (at - last).total_seconds() / DAY_S
        if days >= needed:
            continue
        why = because("drug.unknown_time", **about) if last is None else because("drug.too_recent", days=round(days, 3), **about)
        found = _Shortfall("DRUG_INTERFERENCE", row, taken["atc"], row.effect, last is not None, why)
        if taken["atc"] not in worst or days < worst[taken["atc"]][0]:
            worst[taken["atc"]] = (days, found)
    yield from (found for _, found in worst.values())


def _row_of(rows: Sequence[Drug], atc: str) -> Drug | None:
    """Return the most specific row of a drug; told only by its group, a drug may be the worst of that group."""
    named = [r for r in rows if atc.startswith(r.atc)]
    if named:
        return max(named, key=lambda r: len(r.atc))
    return max((r for r in rows if r.atc.startswith(atc)), key=lambda r: (r.withhold_days, r.atc), default=None)


def _of(rows: Iterable[R], code: str | None, step: str, day: date) -> list[R]:
    """Return the rows of an examination's step: of each requirement the newest version in force."""
    now = newest(in_force(rows, day), lambda r: r.requirement_id)
    return [r for r in now.values() if r.exam_code == code and r.before_step == step]


def _clue(found: _Shortfall, rule: Rule) -> Clue:
    own = (found.row.requirement_id, found.row.version) if found.row else (found.subject, 1)
    return Clue(rule.rule_id, rule.version, *own, found.subject, found.known, rule.title_en, rule.title_zh, found.reason)


def _named(row: Row) -> dict[str, str]:
    """Return what a hospital named, for readers of either language."""
    return {"en": row.name_en, "zh": row.name_zh}


def _limits(low: float | None, high: float | None, unit: str | None) -> str:
    bounds = f"{_rounded(low)} … {_rounded(high)}" if low is not None and high is not None else ""
    bounds = bounds or (f"≥ {_rounded(low)}" if low is not None else f"≤ {_rounded(high)}")
    return f"{bounds} {unit}" if unit else bounds


def _rounded(value: Any) -> str:
    return str(round(float(value), 3))


def _moment(said: Any) -> datetime | None:
    """Return an aware moment, UTC where the text has no offset (as the warehouse reads it); None for a text that is no time."""
    try:
        moment = datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

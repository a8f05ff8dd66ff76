"""The room of decisions and the marts, held together: generated limits, requirements, persons, phantoms and days through both."""

import json
import math
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lake_fixture import AS_OF, DAY, LakeWriter, at, text

from connectors.events import Event, utc_text
from connectors.settings import load
from devices.states import states
from judgement import reference
from judgement.days import local_day, site_zone
from judgement.limits import limit_of, verdict
from judgement.phantoms import Declarations, Word
from judgement.readiness import readiness
from judgement.rows import Form, Limit, Phantom
from messages import from_text
from warehouse.releases import PROJECT, build_marts

CHINA = site_zone("Asia/Shanghai")
EXAMINATIONS, MEASURES = 160, 400
EDGES = (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1))  # a version begins or ends around the day of the questions
OWN = ",house,somebody"
VALUES = (-3.0, -2.0, -1.5, -1.0, 0.0, 1.0, 1.0000001, 1.5, 2.0, 3.0, None, math.nan)
PROCEDURE, MEASURE = "planar_uniformity", "ufov_iu_percent"


class Made:
    """A hospital of generated rows and facts, its release, and what the same facts are as events."""

    def __init__(self, root: Path) -> None:
        self.dice, self.other, self.lake = random.Random(17), random.Random(18), LakeWriter()
        self.project, self.settings = root / "project", load(home=root / "var")
        self.seeds = self.project / "seeds"
        shutil.copytree(PROJECT, self.project)
        self._limits()
        self._requirements()
        self._phantoms()
        self._devices()
        self.asked = {f"E{n}": self._examination(f"E{n}") for n in range(EXAMINATIONS)}
        self._measures()
        self.lake.write(self.settings.lake)
        build_marts(self.settings, AS_OF, self.project)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse / "candidate" / "qc.duckdb"), read_only=True) as db:
            return db.execute(sql).fetchall()

    def events(self, accession: str) -> list[Event]:
        """Return what the journals would hold of an examination."""
        out = []
        for row in self.lake.events:
            data = json.loads(row["data"])
            if data.get("accession_number") == accession or data.get("patient_pseudonym") == f"p-{accession}":
                moments = row["occurred_at_utc"], row["recorded_at_utc"]
                out.append(Event(row["type"], row["source"], row["event_id"], row["site_id"], "", *moments, data))
        return out

    def _write(self, name: str, rows: list[str]) -> None:
        head = (self.seeds / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0]
        (self.seeds / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")

    def _span(self) -> str:
        """Return first and last day of a version: around the day, or open."""
        first = self.dice.choice(("2020-01-01", "2020-01-01", *(str(d) for d in EDGES)))
        return f"{first},{self.dice.choice(['', '', *(str(d) for d in EDGES if str(d) >= first)])}"

    def _one(self, *choices: Any) -> Any:
        return self.dice.choice(choices)

    def _limits(self) -> None:
        rows = []
        for n in range(40):
            device, detector, region = self._one("", "", "GC1", "SPCT1"), self._one("", "", "1"), self._one("", "", "a")
            bounds = f"{self._one('', -1)},{self._one('', 1)},{self._one('', -2)},{self._one('', 2)}"
            rows.append(
                f"L{n % 9},{n},{PROCEDURE},{MEASURE},{device},{detector},{region},{bounds},{self._span()},s,c,TST-02,somebody"
            )
        self._write("limits", rows)

    def _requirements(self) -> None:
        forms, preparation, drugs = [], [], []
        items = (
            ("fasting_h", "h", ""),
            ("hydration_ml", "mL", ""),
            ("glucose_mmol_per_l", "mmol/L", "GLU LAB"),
            ("medication", "", ""),
        )
        for n in range(24):  # four versions each
            code, k = ("BONE", "THYROID")[n % 2], n // 2 % 3
            age = f"{self._one('', '', 12, 40)},{self._one('', '', 40, 55)}"
            about = f"F{n % 6},{n},{code},form{k},injection,{self._one('', '', 'F', 'M')},{age}"
            forms.append(f"{about},{self._one(24, 24, 168)},{self._one('block', 'warn')},Form {n},表 {n},{self._span()}{OWN}")
            item, unit, codes = items[n // 2 % 4]
            bounds = (
                [self._one("", 4), self._one("", 8), self._one("", 2), self._one("", 12)] if item != "medication" else [""] * 4
            )
            about = f"P{n % 8},{n},{code},{item},injection,Item {n},项 {n},{unit},{','.join(map(str, bounds))}"
            preparation.append(
                f"{about},{self._one('block', 'warn', 'ignore')},{codes},{('', '', 1)[n % 3] if codes else ''},{self._span()}{OWN}"
            )
        for n in range(30):
            code, atc = ("BONE", "THYROID")[n % 2], ("H03", "H03AA", "H03AA01", "H03AA02", "V08")[n // 2 % 5]
            about = f"D{n % 10},{n},{code},{atc},Drug {n},药 {n}"
            drugs.append(f"{about},{self._one(2, 14, 28)},{self._one('block', 'warn')},injection,{self._span()}{OWN}")
        for name, rows in (("exam_forms", forms), ("exam_preparation", preparation), ("interfering_drugs", drugs)):
            self._write(name, rows)

    def _phantoms(self) -> None:
        edge = ["", *(str(d) for d in EDGES)]
        self.serials = [f"S{n}" for n in range(8)]
        rows = [
            f"{s},{self._one('MAIN', 'MAIN', 'EAST')},water,x,x,{PROCEDURE},x,none,,{self._one(*edge)},{self._one(*edge)},,nobody"
            for s in self.serials
        ]
        self._write("phantoms", rows)

    def _devices(self) -> None:
        """Register devices whose every day is another combination of verdicts, days and schedules."""
        rows = (self.seeds / "devices.csv").read_text(encoding="utf-8").splitlines()[1:]
        self.devices = [f"X{n}" for n in range(40)]
        rows += [f"{d},MAIN,x,x,gamma_camera,NM,Maker,Model,{d},SN-{d},,2020-01-01,2026-02-01" for d in self.devices]
        self._write("devices", rows)
        schedule = [f"{d},ct_water,{self._one(1, 3, 7)},2026-01-01" for d in self.devices[:34]]
        schedule += [f"{d},catphan,1,{DAY - timedelta(days=1)}" for d in self.devices[:6]]
        self._write("phantom_schedule", schedule)
        extra = [
            "W,1,ct_water,water_hu,,,,-4,4,-5,5,2020-01-01,,s,c,TST-02,x",
            "C,1,catphan,slice_mm,,,,-4,4,-5,5,2020-01-01,,s,c,TST-02,x",
        ]
        with (self.seeds / "limits.csv").open("a", encoding="utf-8") as f:
            f.write("\n".join(extra) + "\n")
        for d in self.devices:
            for n in range(self.dice.randrange(6)):
                when = at(self._one("07:00", "07:10", "00:00", "23:30"), DAY - timedelta(days=self.dice.randrange(9)))
                if when < AS_OF:
                    procedure, measure = self._one(("ct_water", "water_hu"), ("catphan", "slice_mm"))
                    value = self._one(0.0, 0.0, 0.0, 4.5, 4.5, 9.0, None)
                    self.lake.phantom(
                        f"x.{d}.{n}",
                        d,
                        when,
                        procedure,
                        {measure: value} if value is not None else {},
                        unit="1",
                        reason="no pixels",
                    )
            for result in ("pass", "fail")[: self._one(0, 0, 0, 1, 2)]:
                self._check(d, "display", at("06:00") + timedelta(minutes=self.dice.randrange(90)), result)
        for n, d in enumerate(self.devices):  # failed days ago: as it is, passed since, or another check passed since
            if n % 5 < 3:
                self._check(d, "peaking", at("06:30", DAY - timedelta(days=5 + n % 40)), "fail")
            if n % 5 in (1, 2):
                self._check(d, "peaking" if n % 5 == 1 else "energy", at("06:30", DAY - timedelta(days=1 + n % 3)))

    def _check(self, device: str, check: str, when: datetime, result: str = "pass", note: str | None = None) -> None:
        said = {
            "device_id": device,
            "check": check,
            "performed_at_utc": text(when),
            "staff_id": "T01",
            "result": result,
            "note": note,
        }
        self.lake.event("device.check", when, said)

    def _examination(self, accession: str) -> datetime:
        """Tell an examination with some of its forms, answers and drugs; return when the injection began."""
        code, begun = self._one("BONE", "THYROID"), at(self._one("00:00", "09:00", "23:50"))
        self.lake.order(accession, code, begun, sent=begun - timedelta(days=2))
        for n in range(self.dice.randrange(3)):
            said = {"sex": self._one("F", "M", "O", None), "birth_year": self._one(None, 1960, 1971, 1986, 2013, 2014)}
            visit = {
                "message_type": "ADT",
                "trigger": "A04",
                "patient_pseudonym": f"p-{accession}",
                "visit_number": None,
                "location": None,
                **said,
            }
            self.lake.event("his.patient", begun - timedelta(hours=3 - n), visit)
        for n in range(self.dice.randrange(5)):
            signed = begun - self._one(
                timedelta(hours=24), timedelta(hours=24, seconds=1), timedelta(hours=168), timedelta(0), timedelta(seconds=-1)
            )
            form = {"accession_number": accession, "form": f"form{n % 3}", "signed_at_utc": text(signed), "staff_id": "N01"}
            self.lake.event("form.signed", begun, {**form, "complete": self._one(True, True, False)})
        for _ in range(self.dice.randrange(3)):
            asked = begun - timedelta(minutes=self._one(60, 30, 0, -1))
            taken = [
                {
                    "atc": self._one("H03", "H03AA01", "H03AA02", "V08AB02", "N02"),
                    "last_taken_at_utc": last and text(begun - last),
                }
                for last in [
                    self._one(None, timedelta(days=2), timedelta(days=14), timedelta(days=14, seconds=-1), timedelta(days=30))
                    for _ in range(2)
                ]
            ]
            answers = {
                "fasting_since_utc": text(begun - timedelta(hours=self._one(1, 2, 4, 8, 12, 13))), "hydration_ml": self._one(1, 2, 4, 8, 12, 500),
                "glucose_mmol_per_l": self.other.choice((*[self._one(1.9, 2, 4, 8, 12, 12.1)] * 4, 0)), "medication": taken[: self.dice.randrange(3)],
            }  # fmt: skip
            said = {k: self._one(v, None) for k, v in answers.items()}
            self.lake.event(
                "examination.preparation",
                begun,
                {"accession_number": accession, "asked_at_utc": text(asked), "staff_id": "N01", **said},
            )
        for _ in range(self.dice.randrange(3)):
            when = begun - timedelta(minutes=self._one(90, 45, 30, -1))
            one = {
                "code": self._one("GLU", "LAB", "NA"),
                "value": self.other.choice((self._one("5.5", "12.5", "1", "high", "nan"), "0", "> 33", "< 1", "900", "5")),
                "status": self.other.choice(("F", "F", None, "N", "Z", "f")),
                "unit": self._one("mmol/L", "mmol/L", "mg/dL"),
            }
            values = {
                "message_type": "ORU",
                "trigger": "R01",
                "accession_number": accession,
                "patient_pseudonym": f"p-{accession}",
                "observations": [one],
            }
            values["observed_precision"] = self.other.choice(("second", "second", "day"))
            self.lake.event("his.observation", when, {**values, "observed_at_utc": self._one(text(when), None)})
        self.lake.step(accession, "injection", begun)
        return begun

    def _measures(self) -> None:
        for n in range(MEASURES):
            device = self._one("GC1", "SPCT1", "PETCT1", "NOBODY")
            when = at(self._one("00:00", "12:00", "23:59:59.999999"), self._one(*EDGES, DAY - timedelta(days=2)))
            about = {"detector": self._one(None, "1", "2"), "region": self._one(None, "a", "b")}
            values = {MEASURE: self._one(*VALUES)}
            self.lake.measure(
                f"m.{n}", device, when, PROCEDURE, values, status=self._one("measured", "measured", "indicative"), **about
            )
        for _ in range(60):
            procedure = self._one("", "", f"/{PROCEDURE}", "/ct_water")
            when = at(self._one("00:00", "08:00", "08:00"), self._one(*EDGES))
            self._check(
                self._one("GC1", "SPCT1", "PETCT1"),
                f"phantom_used{procedure}",
                when,
                note=self._one(*self.serials, "S99", " S1 ", ""),
            )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return the generated hospital after its marts were built."""
    return Made(tmp_path_factory.mktemp("judgement"))


def test_every_measure_has_the_same_limit_and_verdict(made: Made) -> None:
    limits = reference.read(Limit, made.seeds)
    columns = "series_uid, device_id, detector, region, value, status, acquired_at_utc, limit_id, limit_version, verdict"
    rows = made.rows(f"SELECT {columns} FROM intermediate.int_measure__judged WHERE series_uid LIKE 'm.%'")
    assert len(rows) == MEASURES
    for uid, device, detector, region, value, status, acquired, *theirs in rows:
        limit = limit_of(limits, PROCEDURE, MEASURE, device, detector, local_day(acquired, CHINA), region)
        ours = [limit and limit.limit_id, limit and limit.version, verdict(value, status, limit)]
        assert ours == theirs, uid
    assert {r[-1] for r in rows} == {"pass", "warn", "fail", "none"} and len({r[-3:-1] for r in rows}) > 12


def test_what_may_begin_is_what_the_marts_find_met(made: Made) -> None:
    required, seen = reference.requirements(made.seeds), defaultdict(set)
    columns = "accession_number, requirement_id, requirement_version, subject, effect, is_known, reason"
    models = {"FORM_MISSING": "form", "PREPARATION": "preparation", "DRUG_INTERFERENCE": "drug"}
    for rule, name in models.items():
        for accession, *found in made.rows(
            f"SELECT {columns} FROM intermediate.int_requirement__{name} WHERE effect IS NOT NULL"
        ):
            seen[accession].add((rule, *found[:-1], str(from_text(found[-1]))))
    kinds = set()
    for accession, begun in made.asked.items():
        answer = readiness(accession, made.events(accession), required, begun, CHINA)
        ours = {
            (c.rule_id, c.requirement_id, c.requirement_version, c.subject, effect, c.known, str(c.reason))
            for effect, clues in (("block", answer.blocks), ("warn", answer.warnings))
            for c in clues
        }
        assert ours == seen[accession], accession
        kinds |= {(c[0], c[4], c[5]) for c in ours}
        assert answer.permitted is (False if any(c[4:6] == ("block", True) for c in ours) else None if answer.blocks else True)
    assert len(kinds) == 10, kinds  # a form is always known to be missing; the others may be unknown


def test_a_declared_phantom_is_believed_by_both_or_by_neither(made: Made) -> None:
    declared, register = Declarations("MAIN", CHINA), reference.read(Phantom, made.seeds)
    declared.add(words(made))
    theirs = {
        (device, day, procedure or ""): (state, from_text(reason))
        for device, day, procedure, state, reason in made.rows(
            "SELECT device_id, day, procedure, phantom_state, phantom_reason FROM intermediate.int_phantom__declared"
        )
    }
    for (device, day, procedure), (state, reason) in theirs.items():
        got = declared.doubt(device, at("12:00", day), procedure or "another", register)
        assert got == (None if state == "valid" else (state, reason)), (device, day, procedure)
    assert {s for s, _ in theirs.values()} == {"valid", "unknown", "expired"}


def words(made: Made) -> Iterator[Word]:
    for e in made.lake.events:
        if e["type"] == "device.check":
            said = json.loads(e["data"])
            when = datetime.fromisoformat(said["performed_at_utc"])
            yield Word(e["event_id"], utc_text(e["recorded_at_utc"]), said["device_id"], said["check"], when, said["note"])


def test_a_device_is_as_fit_now_as_its_day_says(made: Made) -> None:
    """Nobody was examined that day, so what counts now and what counted before the first patient are the same; but a check that passed since."""
    told = states(made.settings, AS_OF, made.seeds)
    columns = "device_id, state, reason"
    marts = {
        d: (s, r)
        for d, s, r in made.rows(f"SELECT {columns} FROM marts.mart_device_day WHERE day = '{DAY}' AND device_id LIKE 'X%'")
    }
    mended = {
        json.loads(e["data"])["device_id"]
        for e in made.lake.events
        if e["type"] == "device.check"
        and json.loads(e["data"])["result"] == "fail"
        and datetime.fromisoformat(json.loads(e["data"])["performed_at_utc"]) > at("00:00")
    }
    assert set(marts) == set(made.devices)
    for device, (state, reason) in marts.items():
        if device in mended:
            continue
        ours = told[device]["reason"] and told[device]["reason"].replace("was not tested by the opening time", "is missing")
        assert (told[device]["state"], "; ".join(sorted((ours or "").split("; ")))) == (
            state,
            "; ".join(sorted((reason or "").split("; "))),
        ), device
    assert {s for s, _ in marts.values()} == {"fit", "conditional", "not_fit", "not_confirmed"}


def test_versions_that_begin_or_end_around_the_day_are_told_apart(made: Made) -> None:
    forms = reference.read(Form, made.seeds)
    assert {f.valid_from for f in forms} >= {str(DAY)} and {f.valid_until for f in forms} > {None}
    assert date.fromisoformat(forms[0].valid_from)

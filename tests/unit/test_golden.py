"""A number that changes without a new version of its method is found here.

When this fails and you meant the change: raise VERSION in the method's module, add a line to CHANGELOG.md that says how past numbers move, then
`.venv/bin/python tests/unit/golden_cases.py`, and commit `tests/golden/measures.json` with it. When you did not mean it, it is a defect.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from foreign_words import foreign
from golden_cases import CASES, GOLDEN, difference, measured

from messages import message, render
from spark_jobs.procedures import MODULES

BEFORE = json.loads(GOLDEN.read_text(encoding="utf-8"))
SHEET_KEYS = {"empty_at", "empty_cps", "full_at", "full_cps", "reference_at", "reference_mbq"}  # a sender writes them so


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Return, as it grows, {Chinese sentence: its foreign words} of the messages that are made while an image is measured."""
    found: dict[str, set[str]] = {}

    def looked_at(code: str, language: str, args: Mapping[str, Any]) -> str:
        chinese = render(code, "zh", args)
        if words := foreign(chinese, also=SHEET_KEYS):
            found[chinese] = words
        return render(code, language, args)

    monkeypatch.setattr(message, "render", looked_at)
    return found


@pytest.mark.req("ENG-05")
def test_every_procedure_has_its_numbers_on_record() -> None:
    on_record = {name.split(" @ ")[0] for results in BEFORE.values() for name, r in results.items() if r["measures"]}
    assert on_record == set(MODULES), "one seeded image more in golden_cases.py"
    versions = {name.split(" @ ")[0]: (r["method"], r["version"]) for results in BEFORE.values() for name, r in results.items()}
    stale = [name for name, (_, version) in versions.items() if version != MODULES[name].VERSION]
    assert stale == [], "a new VERSION: write the numbers anew with golden_cases.py"


@pytest.mark.req("ENG-05")
@pytest.mark.parametrize("case", CASES)
def test_the_numbers_are_those_on_record(case: str, said: dict[str, set[str]]) -> None:
    now = measured(case)
    assert said == {}, "give the argument a kind of names in messages/"
    assert set(now) == set(BEFORE[case])
    assert {name: why for name, r in BEFORE[case].items() if (why := difference(r, now[name]))} == {}


@pytest.mark.req("ENG-05")
def test_a_number_a_name_or_a_unit_that_moved_is_seen() -> None:
    one = {"status": "measured", "measures": {"iu_percent": [2.0, "%"], "off_mm": [0.0, "mm"]}}
    assert difference(one, {**one, "measures": {"iu_percent": [2.00001, "%"], "off_mm": [1e-9, "mm"]}}) is None
    for value, unit, name in (
        (2.001, "%", "iu_percent"),
        (2.0, "1", "iu_percent"),
        (2.0, "%", "iu"),
        (float("nan"), "%", "iu_percent"),
    ):
        assert difference(one, {**one, "measures": {name: [value, unit], "off_mm": [0.0, "mm"]}})
    assert difference(one, {**one, "status": "indicative"})

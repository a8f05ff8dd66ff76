"""What an event says must be sayable: moments are RFC 3339 with an offset, activities are what a syringe can hold."""

import json
from datetime import UTC, datetime

import pytest

from connectors.events import TYPES, Event, InvalidEvent, from_cloudevent, validate
from connectors.events.moments import is_moment
from connectors.events.types import FOLDER
from connectors.http.door import Door
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.memory import MemoryJournal
from connectors.stores.object_store.memory import MemoryObjectStore

NOW = datetime(2026, 11, 30, 2, tzinfo=UTC)
NO_MOMENT = [
    "", "1764464400", "2026-02-30T01:00:00Z", "2026-W49-1T01:00:00Z", "2026-11-30T01:00:00+25:00", "2026-11-30T01:00:00", "2026-11-30",
    "2026-11-30T25:00:00Z", "2026-11-30T01:00:60Z", "20261130T010000Z", "2026-11-30 01:00:00Z", "2026-11-30T01:00Z", "1970-01-01T00:00:00Z",
    "9999-12-31T00:00:00Z", "2026-11-30T01:00:00+14:01", "2026-11-30T01:00:00+08", "２０２６-11-30T01:00:00Z", "2026-11-30T01:00:00Z ", "now",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_MOMENT)
def test_what_is_no_moment_is_none(text):
    assert not is_moment(text)


@pytest.mark.parametrize(
    "text", ["2026-11-30T01:00:00Z", "2026-11-30T09:00:00+08:00", "2026-11-30T01:00:00.123456Z", "2024-02-29T00:00:00-00:00"]
)
def test_a_moment_is_one(text):
    assert is_moment(text)


def moments(schema, path=()):
    """Yield the paths of the values that are moments; `*` is an item of a list."""
    for key, one in schema.get("properties", {}).items():
        if one.get("format") == "date-time":
            yield (*path, key)
        yield from moments(one, (*path, key))
    if "items" in schema:
        yield from moments(schema["items"], (*path, "*"))


ALL = [(t, p) for t in TYPES for p in moments(json.loads((FOLDER / f"{t}.json").read_text()))]


def test_every_field_of_an_event_that_says_when_is_a_moment():
    assert len(ALL) >= 19
    for type_ in TYPES:
        text = (FOLDER / f"{type_}.json").read_text()
        assert "[0-9]{4}-[0-9]{2}" not in text, f"{type_}: one rule for moments is enough"


DOSE = {
    "accession_number": "A1", "agent": "x", "nuclide": "Tc-99m", "lot": "L", "route": "iv", "staff_id": "P01", "prescribed_mbq": 100,
    "assayed_mbq": 101, "residual_mbq": 1, **{f"{k}_at_utc": "2026-11-30T01:00:00Z" for k in ("assayed", "residual", "administered")},
    "lot_expires_at_utc": "2026-12-30T00:00:00Z",
}  # fmt: skip


def dose(**data):
    return Event("examination.dose", "urn:photopeak:t", "1", "s", "A1", NOW, NOW, {**DOSE, **data})


@pytest.mark.parametrize("text", NO_MOMENT)
@pytest.mark.parametrize("field", [k for k in DOSE if k.endswith("_utc")])
def test_a_time_of_a_dose_that_is_no_moment_is_refused_by_its_name(field, text):
    is_far = text.startswith(("1970", "9999"))
    why = "the moment lies before 2000 or after 2100" if is_far else "the value is not a date-time"
    with pytest.raises(InvalidEvent, match=f"{field}: {why}"):
        validate(dose(**{field: text}))


@pytest.mark.parametrize("text", ["2026-11-30t01:00:00z", "2026-11-30T01:00:00z", "2026-11-30t09:00:00.000+08:00"])
def test_small_letters_of_a_moment_are_read_as_capitals(text):
    body = {"specversion": "1.0", "id": "1", "source": "urn:photopeak:t", "type": "examination.dose", "time": text}
    event = from_cloudevent({**body, "data": {**DOSE, "assayed_at_utc": text, "agent": "z"}}, NOW, "s")
    validate(event)
    assert event.occurred_at == datetime(2026, 11, 30, 1, tzinfo=UTC) and event.data["agent"] == "z"
    assert event.data["assayed_at_utc"] == text.upper() and is_moment(event.data["assayed_at_utc"])


def test_reasons_say_what_is_wrong_in_words():
    body = {"specversion": "1.0", "id": "1", "source": "urn:photopeak:t", "type": "examination.dose", "data": {}}
    with pytest.raises(InvalidEvent, match="time: the moment lies before 2000 or after 2100"):
        from_cloudevent({**body, "time": "1970-01-01T00:00:00Z"}, NOW, "s")
    drug = {"atc": "h03", "last_taken_at_utc": None}
    asked = {"accession_number": "A1", "asked_at_utc": "2026-11-30T01:00:00Z", "staff_id": "N01", "medication": [drug]}
    with pytest.raises(InvalidEvent, match=r"medication/0/atc: the value is no ATC code \(such as H03"):
        validate(Event("examination.preparation", "urn:photopeak:t", "1", "s", "A1", NOW, NOW, asked))


@pytest.mark.parametrize("field", ["prescribed_mbq", "assayed_mbq", "residual_mbq"])
@pytest.mark.parametrize("value", [-5, -1e-9, 1e12, 1_000_001])
def test_an_activity_that_no_syringe_holds_is_refused_by_its_name(field, value):
    with pytest.raises(InvalidEvent, match=f"{field}: the value is (less|more|greater)"):
        validate(dose(**{field: value}))


def test_an_ordinary_dose_passes():
    validate(dose())
    validate(dose(residual_mbq=0, assayed_mbq=999_999.9, assayed_at_utc="2026-11-30T09:00:00.5+08:00"))


@pytest.mark.parametrize("text", [t for t in NO_MOMENT if t])
def test_the_time_of_an_event_is_a_moment(text):
    body = {"specversion": "1.0", "id": "1", "source": "s", "type": "examination.dose", "time": text, "data": DOSE}
    with pytest.raises(InvalidEvent, match=r"^time"):
        from_cloudevent(body, NOW, "MAIN")


@pytest.fixture
def house(tmp_path):
    settings = load(home=tmp_path)
    keys, journal = Keys.of(settings), MemoryJournal()
    return Door(settings, journal, MemoryObjectStore(), MemoryObjectStore(), Vault.of(settings, keys), keys, lambda: NOW), journal


@pytest.mark.parametrize(
    ("said", "kept"),
    [("Tc99m", "Tc99m"), ("⁹⁹ᵐTc", "Tc-99m"), ("锝-99m", "Tc-99m"), ("[18F]FDG", "F-18"), ("72454006", "Tc-99m")],
)
def test_a_nuclide_is_kept_so_that_the_models_find_it(house, said, kept):
    door, journal = house
    body = {
        "specversion": "1.0", "id": "d", "source": "urn:photopeak:t", "type": "examination.dose", "time": "2026-11-30T01:59:00Z",
        "data": {**DOSE, "nuclide": said},
    }  # fmt: skip
    assert door.take([body], "t").stored == 1 and door.take([body], "t").duplicate == 1
    assert next(e.data for _, e in journal.read(0) if e.id == "d")["nuclide"] == kept


def test_a_reading_that_cannot_be_one_is_kept_without_its_value(house):
    door, journal = house
    good = {
        "sensor_id": "ROOM-GC1/temperature", "quantity": "temperature", "value": 22, "unit": "Cel", "quality": "good",
        "time": "2026-11-30T01:59:00Z",
    }  # fmt: skip
    wrong = [
        {"value": None}, {"quality": "invalid"}, {"unit": "%"}, {"sensor_id": "ROOM-GC1/humidity"}, {"sensor_id": "HOTLAB/temperature"},
        {"time": "2027-01-01T00:00:00Z"}, {"value": -300},
    ]  # fmt: skip
    body = {
        "specversion": "1.0", "id": "r", "source": "urn:photopeak:t", "type": "sensor.readings", "time": "2026-11-30T01:59:00Z",
        "data": {"room_id": "ROOM-GC1", "readings": [good, {**good, "sensor_id": "X/y"}, *({**good, **w} for w in wrong)]},
    }  # fmt: skip
    assert door.take([body], "t").stored == 1
    kept = next(e.data for _, e in journal.read(0) if e.id == "r")["readings"]
    assert kept[:2] == body["data"]["readings"][:2]
    assert all(r["value"] is None and r["quality"] == "invalid" and r["reason"] and r["reason_code"] for r in kept[2:])

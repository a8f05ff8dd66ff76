"""Who somebody is does not stand in a free text that is kept."""

import base64
import hashlib
import json
import sqlite3
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.documents import parsed
from connectors.events import canonical
from connectors.free_text import BLOT, Secrets, names_of, without_numbers
from connectors.his.facts import patient
from connectors.his.message import parse
from connectors.http.door import Door
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.memory import MemoryJournal
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.object_store.memory import MemoryObjectStore

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
WHO = {"patient_id": "M0047110", "name": "WANG^XIAOMING=王^小明", "phone": "01065551234", "national_id": "11010119900307721X"}
EVENT = {
    "event_number": "AE1", "accession_number": "ACC1", "device_id": "GC1", "room_id": None, "category": "fall", "severity": "minor",
    "occurred_at_utc": "2026-03-10T07:00:00Z", "reported_at_utc": "2026-03-10T07:30:00Z", "reported_by": "N01",
}  # fmt: skip


@pytest.fixture
def house(tmp_path):
    """Return what the door has journalled and sealed, a function that hands an event in, and the keys."""
    settings = load(home=tmp_path)
    keys, journal, sealed = Keys.of(settings), MemoryJournal(), MemoryObjectStore()
    intake, vault = Vault.of(settings, keys), Vault.of(settings, keys)  # another process wrote what the door reads
    intake.remember(keys.pseudonym("M0047110"), "hl7", WHO, "ACC1")
    intake.remember(keys.pseudonym("M0099999"), "dicom", {"patient_id": "M0099999", "name": "LI^SI"}, "ACC2")
    clear = MemoryObjectStore()
    door = Door(settings, journal, sealed, clear, vault, keys, lambda: NOW)

    def hand_in(type_="adverse.event", **data):
        body = {
            "specversion": "1.0", "id": f"e{journal.head()}", "source": "urn:photopeak:tablet", "type": type_,
            "time": "2026-03-10T07:30:00Z", "data": data,
        }  # fmt: skip
        assert door.take([body], "tablet").stored == 1
        return next(e.data for _, e in journal.read(0) if e.id == body["id"])

    hand_in.journal, hand_in.door, hand_in.clear, hand_in.vault = journal, door, clear, intake
    return hand_in, sealed, keys


def test_the_patient_of_the_examination_is_replaced_however_the_name_is_written(house):
    hand_in, _, keys = house
    alias = keys.pseudonym("M0047110")
    for name in ("王小明", "Wang Xiaoming", "XIAOMING, WANG", "wang^xiaoming", "M0047110", "01065551234", "11010119900307721X"):
        kept = hand_in(**EVENT, description=f"患者{name}在候诊室跌倒 near the door.")
        assert kept["description"] == f"患者{alias}在候诊室跌倒 near the door.", name


def test_what_was_changed_is_kept_as_it_came_in_sealed_bytes_only(house):
    hand_in, sealed, _ = house
    hand_in(**EVENT, description="王小明跌倒")
    hand_in(**{**EVENT, "event_number": "AE2"}, description="stumbled")
    (raw,) = sealed.objects.values()
    assert "王小明".encode() in raw


def test_the_number_of_any_known_patient_is_replaced_and_other_words_stay(house):
    hand_in, _, keys = house
    kept = hand_in(
        **{**EVENT, "accession_number": None}, description="M0099999 got the syringe of M0047110; lot LOT12345, 740 MBq"
    )
    one, two = keys.pseudonym("M0099999"), keys.pseudonym("M0047110")
    assert kept["description"] == f"{one} got the syringe of {two}; lot LOT12345, 740 MBq"


@pytest.mark.parametrize(
    "written", ["Li Si", "SI, LI", "王小明", "小明 王", "Wang Xiaoming", "wangxiaoming", "王　小明", "Ｗａｎｇ Ｘｉａｏ-ming"]
)
def test_the_whole_name_of_any_known_patient_goes_without_an_accession_number(house, written):
    hand_in, sealed, _ = house
    kept = hand_in(**{**EVENT, "accession_number": None}, description=f"he saw {written}, at noon: 患者{written}跌倒 at the door")
    assert (
        written not in kept["description"]
        and kept["description"].startswith(f"he saw {BLOT}, at noon: ")
        and "跌倒 at the door" in kept["description"]
        and sealed.objects
    )
    check = {"device_id": "GC1", "performed_at_utc": "2026-03-10T00:30:00Z", "staff_id": "T01", "result": "pass"}
    note = hand_in("device.check", **check, check="warm_up", note=f"before {written}")["note"]
    assert note == f"before {BLOT}"


@pytest.mark.parametrize(
    "text",
    ["Li said six", "Lisi and si", "王医生 Wang", "小明胶 wangxi", "大小明暗", "patient Wang, Zhou", "三 stumbled 740 MBq"],
)
def test_what_is_no_whole_name_stays_without_an_accession_number(house, text):
    assert house[0](**{**EVENT, "accession_number": None}, description=text)["description"] == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Xiaoming Zhang", "█ Zhang"), ("he saw Xiao Ming, at noon", "he saw █, at noon"), ("小明 跌倒", "█ 跌倒"), ("患者小明跌倒", "患者█跌倒"),
        ("跌倒，小明，注射室", "跌倒，█，注射室"), ("小明先生晕针", "█先生晕针"), ("Mr Wang fell", "Mr █ fell"),
    ],
)  # fmt: skip
def test_a_part_of_any_known_name_goes_where_it_stands_alone(house, text, kept):
    assert house[0](**{**EVENT, "accession_number": None}, description=text)["description"] == kept


@pytest.mark.parametrize("name", ["WALKER^SUMMER", "STONE^PALMER", "张^明显", "李^国庆"])
def test_a_part_that_is_an_ordinary_word_names_nobody_alone(tmp_path, name):
    keys = Keys("MAIN", b"p" * 32, b"s" * 32)
    vault = Vault(tmp_path / "v.db", keys)
    vault.remember(keys.pseudonym("M1"), "dicom", {"patient_id": "M1", "name": name})
    for text in ("fell from the walker in summer", "palmer view of a kidney stone", "注射部位 明显 肿胀", "国庆 停机"):
        assert vault.names_in(text) == []
    assert vault.names_in(f"{name.replace('^', ' ')} fell")[0][0] == 0
    vault.close()


@pytest.mark.parametrize(
    "text", ["BONE ZHUGE KONGM", "WB LATE ZHUGE KO", "BONE SCAN W ZHUG", "SPECT 1 kongmi", "骨显像检查诸葛孔", "late, ZHUG…"]
)
def test_the_beginning_of_a_name_goes_from_the_end_of_a_field_that_was_cut(text):
    text = text if "…" in text or not text.isascii() else text.rjust(16, "x")
    kept = Secrets(["ZHUGE^KONG MING=诸葛^孔明"]).blotted(text)
    assert BLOT in kept and not any(part in kept.casefold() for part in ("zhug", "kong", "诸葛", "孔")), kept


@pytest.mark.parametrize(
    "text",
    ["xx BONE ANTERIOR", "WB ANTERIOR BONE", "xxx Thyroid long", "BONE SCAN xW ZHU", "a text of no len ZHUG", "a SPECT with lon"],
)
def test_what_ends_as_no_name_begins_stays(text):
    for name in ("ZHUGE^KONG MING", "BONESTEEL^BODYA", "LONGWELL^UPTONIA"):
        assert not Secrets([name]).stand_in(text), name


def test_a_name_that_came_in_a_set_nobody_declared_is_known_as_it_was_meant(tmp_path):
    keys = Keys("MAIN", b"p" * 32, b"s" * 32)
    raw = "MSH|^~\\&|H|H|P|M|20260301||ADT^A04|M1|P|2.5\rPID|1||P0001||Щербаков^Фёдор\r".encode("cp1251")
    vault, who = Vault(tmp_path / "v.db", keys), patient(parse(raw))
    vault.remember(keys.pseudonym("P0001"), "hl7", who.identity, "A1")
    assert vault.names_in("patient Фёдор Щербаков fell") == [(8, 22)]
    assert Secrets.of(*vault.recall(keys.pseudonym("P0001")).values()).stand_in("ЩЕРБАКОВ Ф. Щербаков Фёдор")
    vault.close()


def test_a_text_that_was_coded_twice_is_not_kept(house):
    hand_in, _, _ = house
    for accession in ("ACC1", None):
        kept = hand_in(**{**EVENT, "accession_number": accession}, description="fell: " + "王小明".encode().decode("latin-1"))
        assert kept["description"] == BLOT


def test_a_vault_of_before_the_marks_knows_its_names(tmp_path):
    keys = Keys("MAIN", b"p" * 32, b"s" * 32)
    vault = Vault(tmp_path / "v.db", keys)
    vault.remember(keys.pseudonym("M0047110"), "hl7", WHO)
    vault.close()
    with sqlite3.connect(tmp_path / "v.db") as db:
        db.execute("DROP TABLE name")
        db.execute("PRAGMA user_version = 0")
    for _ in range(2):
        vault = Vault(tmp_path / "v.db", keys)
        assert vault.names_in("seen: 王小明") == [(6, 9)]
        vault.close()
    assert not any(n.encode() in (tmp_path / "v.db").read_bytes() for n in ("王小明", "wangxiaoming"))


def test_the_work_of_looking_for_any_name_grows_with_the_text_alone(tmp_path):
    vault = Vault(tmp_path / "v.db", Keys("MAIN", b"p" * 32, b"s" * 32))
    begun = process_time()
    for text in ("a b " * 500, "王小明" * 666, "wang xiaoming, " * 133):
        vault.names_in(text)
    assert process_time() - begun < 10  # 0.1 s where it was tried
    vault.close()


def test_notes_are_cleaned_too_and_the_serial_number_of_a_phantom_is_not(house):
    hand_in, _, _ = house
    check = {"device_id": "GC1", "performed_at_utc": "2026-03-10T00:30:00Z", "staff_id": "T01", "result": "pass"}
    assert hand_in("device.check", **check, check="flood", note="call 13800138000")["note"] == f"call {BLOT}"
    assert hand_in("device.check", **check, check="phantom_used", note="13800138000")["note"] == "13800138000"
    assert hand_in("device.check", **check, check="flood", note=None)["note"] is None
    step = {
        "accession_number": "ACC1", "step": "injection", "occurrence": 1, "started_at_utc": NOW.isoformat(), "ended_at_utc": NOW.isoformat(),
        "staff_id": "N01", "device_id": None, "room_id": None, "result": "done",
    }  # fmt: skip
    assert "王" not in hand_in("examination.step", **step, note="王小明 晕针")["note"]


def test_a_text_that_grows_by_its_pseudonyms_still_fits_its_schema(house):
    hand_in, _, _ = house
    assert len(hand_in(**EVENT, description="王小明 " * 400)["description"]) == 2000


def note(id_: str, text: str) -> dict:
    return {
        "specversion": "1.0", "id": id_, "source": "urn:photopeak:tablet", "type": "adverse.event", "time": "2026-03-10T07:30:00Z",
        "data": {**EVENT, "description": text},
    }  # fmt: skip


WORDS = st.lists(
    st.sampled_from(["王小明", "M0047110", "Li Si", "M0099999", "13800138000", "13900139000", "fell", "█"]),
    min_size=1,
    max_size=4,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["a", "b", "c"]), WORDS.map(" ".join)),
        st.tuples(st.just("learn"), st.sampled_from(["M0047110", "M0099999"]), st.just("")),
        st.tuples(st.just("restart"), st.just(""), st.just("")),
    ),
    min_size=2,
    max_size=14,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_sent_again_is_a_duplicate_whatever_became_known_other_words_a_conflict(steps):
    """The model is what was said alone: the first text of an id is stored, the same again is a duplicate, any other a conflict."""
    with tempfile.TemporaryDirectory() as folder:
        settings_ = load(home=Path(folder))
        keys = Keys.of(settings_)
        path, sealed, first, learner = Path(folder) / "j.db", MemoryObjectStore(), {}, Vault.of(settings_, keys)

        def opened():
            return SqliteJournal(path), Vault.of(settings_, keys)

        journal, vault = opened()
        for what, name, text in steps:
            door = Door(settings_, journal, sealed, MemoryObjectStore(), vault, keys, lambda: NOW)
            if what == "learn":
                learner.remember(keys.pseudonym(name), "hl7", {**WHO, "patient_id": name}, "ACC1")
            elif what == "restart":
                journal.close()
                vault.close()
                journal, vault = opened()
            else:
                account = door.take([note(name, text)], "tablet")
                became = {"stored": account.stored, "duplicate": account.duplicate, "conflict": len(account.quarantined)}
                wanted = "stored" if name not in first else "duplicate" if first[name] == text else "conflict"
                assert became == {"stored": 0, "duplicate": 0, "conflict": 0, wanted: 1}, (name, text)
                first.setdefault(name, text)
        assert [e.id for _, e in journal.read() if e.type == "adverse.event"] == list(first)
        journal.close()
        vault.close()
        learner.close()


def test_a_journal_of_before_the_marks_goes_on_and_knows_its_events_again(tmp_path):
    """Its rows have no `said`: the outcome that stands beside each tells what was sent."""
    settings_ = load(home=tmp_path)
    keys, path, vault = Keys.of(settings_), tmp_path / "j.db", Vault.of(settings_, Keys.of(settings_))
    journal = SqliteJournal(path)
    Door(settings_, journal, MemoryObjectStore(), MemoryObjectStore(), vault, keys, lambda: NOW).take(
        [note("a", "王小明 fell")], "tablet"
    )
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE event DROP COLUMN said")
    vault.remember(keys.pseudonym("M0047110"), "hl7", WHO, "ACC1")
    assert SqliteJournal(path, read_only=True).head() == 2 and len(SqliteJournal(path, read_only=True).read()) == 2
    journal = SqliteJournal(path)
    door = Door(settings_, journal, MemoryObjectStore(), MemoryObjectStore(), vault, keys, lambda: NOW)
    assert door.take([note("a", "王小明 fell")], "tablet").duplicate == 1
    assert door.take([note("a", "李四 fell")], "tablet").quarantined
    assert door.take([note("b", "王小明 fell")], "tablet").stored == 1
    journal.close()


def test_no_digest_that_is_kept_in_the_open_lets_a_name_be_guessed(house):
    """Whoever reads journal, lake or marts and knows all of an event but the name could try names against a plain digest."""
    hand_in, sealed, _ = house
    hand_in(**EVENT, description="王小明跌倒")
    (raw,) = sealed.objects.values()
    body = json.loads(raw)
    mark = body.pop("saidmark")
    assert body["data"]["description"] == "王小明跌倒" and len(mark) == 64
    kept = " ".join(str((e.sha256(), e.said, e.data)) for _, e in hand_in.journal.read())
    for guess in (body, {**body, "saidmark": None}):
        for text in (json.dumps(guess, ensure_ascii=False, sort_keys=True).encode(), canonical(guess)):
            assert hashlib.sha256(text).hexdigest() not in kept
    said = next(e for _, e in hand_in.journal.read() if e.type == "adverse.event")
    assert hashlib.sha256(replace(said, data=body["data"]).content()).hexdigest() not in kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("身份证11010119900307721X。", f"身份证{BLOT}。"), ("ID 110101 19900307 7219 ok", f"ID {BLOT} ok"), ("电话13800138000", f"电话{BLOT}"),
        ("+86 138-0013-8000, ward", f"{BLOT}, ward"), ("手机：１３８００１３８０００", f"手机：{BLOT}"),
        ("８６１３８００１３８０００1", "８６１３８００１３８０００1"),
        ("1.2.840.113619.110101199003077219.5", "1.2.840.113619.110101199003077219.5"), ("lot 12345678901", "lot 12345678901"),
        ("20260310123456", "20260310123456"), ("counts 1381234567890123", "counts 1381234567890123"), ("740 MBq at 10:31", "740 MBq at 10:31"),
    ],
)  # fmt: skip
def test_card_and_phone_numbers_go_and_other_numbers_stay(text, kept):
    assert without_numbers(text) == kept


WRITTEN = [
    "ZHANG SAN FENG", "zhangsanfeng", "Zhang San-Feng", "ZHANG  SAN   FENG", "San Feng Zhang", "SANFENG,ZHANG", "zhang^san^feng", "Zhang.San.Feng",
    "Zhang_SanFeng_9", "ＺＨＡＮＧ　ＳＡＮ ＦＥＮＧ", "Zhāng Sānfēng", "张三丰", "张　三丰", "张  三 丰", "张-三丰", "张·三丰",
    "张^三丰", "三丰张", "三丰 张", "张.三丰",
    "\x1b$)A张\x1b$)A三丰", "$)A张^$)A三丰", "张\u200b三丰", "三丰, 先生", "M-880 012", "m880012", "ＭＲＮＭ８８００１２", "张\n三丰", "SanFeng",
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_a_name_or_number_is_found_however_it_is_written(written):
    secrets = Secrets(["ZHANG^SAN FENG=张^三丰"], ["M880012"])
    assert secrets.stand_in(f"bone {written} late") and secrets.stand_in(written)
    kept = secrets.blotted(f"bone {written}, late")
    assert BLOT in kept and not secrets.stand_in(kept)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Grönemeyer^Jürgen", "GROENEMEYER JUERGEN"), ("Grönemeyer^Jürgen", "Gronemeyer, Jurgen"), ("Mueller^Anja", "Anja Müller"),
        ("Größl^Käthe", "KAETHE GROESSL"), ("Ødegård^Bjørn", "Bjorn Odegard"), ("Ødegård^Bjørn", "Oedegaard Bjoern"),
        ("Odegard^Bjorn", "Bjørn Ødegård"), ("Wójcik^Łukasz", "LUKASZ WOJCIK"), ("Đặng^Thị Mai", "Mai Thi Dang"),
        ("Nguyễn^Thị Hạnh", "Hạnh Thị Nguyễn"), ("Nguyễn^Thị Hạnh", "Thi Nguyen Hanh"), ("Yıldırım^İbrahim", "ibrahim yildirim"),
        ("Garcia Lopez^Ana Maria", "Maria Lopez, Ana Garcia"), ("Ødegård^Bjørn", "Bjørn"), ("Жуков^Юрий", "Юрий"),
    ],
)  # fmt: skip
def test_a_name_is_found_as_another_keyboard_spells_it_and_in_any_order(name, written):
    kept = Secrets([name]).blotted(f"bone {written}, late")
    assert kept == f"bone {BLOT}, late"


@pytest.mark.parametrize("text", ["Größe 1,80", "левый бок", "Mai", "Olaf der Lange", "Bjørnson"])
def test_a_short_name_in_letters_is_not_found_in_other_words(text):
    assert not Secrets(["Ødegård^Bjørn", "Львов^Лев", "Đặng^Thị Mai", "Lang^Ole"]).stand_in(text)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Жуковский^Николай", "НИКОЛАЙ ЖУКОВСКИЙ"), ("Иванов^Пётр", "bone Иванов-Пётр"), ("Иванов^Пётр", "Пётр"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("codec", ["koi8_r", "cp1251"])
def test_the_bytes_of_a_name_are_found_whatever_set_they_are_in(name, written, codec):
    secrets = Secrets((), (), [name.encode(codec)])
    assert secrets and secrets.stand_in_bytes(written.encode(codec))
    assert not secrets.stand_in_bytes("Кузнецов".encode(codec)) and not secrets.stand_in_bytes(b"bone")


@pytest.mark.parametrize(
    ("name", "codec"), [("許^功蓋", "big5"), ("뷁똠^쌰힣", "cp949"), ("鈴木^一朗丸", "cp932"), ("渡辺^健二郎", "euc_jp")]
)
def test_the_bytes_of_a_name_in_two_bytes_a_character_are_found(name, codec):
    family, given = name.split("^")
    secrets = Secrets((), (), [name.encode(codec)])
    for text in (family + given, f"WB {given} {family}", f"{family}_{given}"):
        assert secrets.stand_in_bytes(text.encode(codec)), text


@pytest.mark.parametrize(
    "text",
    ["Zhan", "张先生", "San Francisco", "Fengzhang", "zhangsanf", "880012", "8800 1", "骨扫描", "", "三", "张三", "sanfen gas"],
)
def test_what_names_nobody_stays(text):
    secrets = Secrets(["ZHANG^SAN FENG=张^三丰"], ["M880012"])
    assert not secrets.stand_in(text) and secrets.blotted(text) == text


def test_names_of_identities_as_the_channels_keep_them():
    assert {"王小明", "小明王", "wangxiaoming", "xiaomingwang"} <= names_of("WANG^XIAOMING=王^小明=")
    assert names_of("张 三\nZHANG SAN") >= {"张三", "zhangsan"} and names_of("VAN DYK^ANNA") >= {"vandykanna", "annavandyk"}
    assert names_of("SMITH^JOHN^ALBERT^DR") >= {"johnalbertsmith", "smithjohn", "albertsmith"} and "dr" not in "".join(
        names_of("A^B^^DR")
    )
    assert names_of("") == names_of("^") == names_of("X") == set() and "欧阳" in names_of("欧阳")
    assert {"诸葛孔明", "孔明诸葛"} <= names_of("诸葛孔明")
    assert Secrets.of({"patient_id": "12", "other_ids": "12 987654", "name": None}).blotted("12 987654") == f"12 {BLOT}"
    assert Secrets(["Ann^Bo"]).blotted("Ann and AnnBo, ann bo") == f"Ann and {BLOT}, {BLOT}"


def test_the_work_grows_with_the_text_alone():
    """Looked for one by one, these 200,000 numbers would take hours."""
    secrets = Secrets(["A^B"], (f"{n:06d}" for n in range(200_000)))
    text = "some words of a text, 123456, " * 20
    begun = process_time()
    assert all(BLOT in secrets.blotted(text) for _ in range(300))
    assert process_time() - begun < 20  # of this process alone: 1 s where it was tried


FORM = {
    "accession_number": "ACC1",
    "form": "consent",
    "signed_at_utc": "2026-03-10T07:00:00Z",
    "staff_id": "D01",
    "complete": True,
}
CHECK = {"device_id": "GC1", "check": "x", "performed_at_utc": "2026-03-10T07:00:00Z", "staff_id": "T01", "result": "pass"}
NAMED = "Wang Xiaoming"


def body(type_, data, **more):
    return {
        "specversion": "1.0", "id": "e1", "source": "urn:photopeak:tablet", "type": type_, "time": "2026-03-10T07:30:00Z", "data": data, **more,
    }  # fmt: skip


@pytest.mark.req("DC-11")
@pytest.mark.parametrize(
    "told",
    [
        body("form.signed", FORM, id="consent_Wang_Xiaoming.pdf"),
        body("form.signed", FORM, id="%E7%8E%8B%E5%B0%8F%E6%98%8E.pdf"),
        body("form.signed", FORM, subject="王小明"),
        body("form.signed", FORM, siteid=NAMED),
        body("form.signed", FORM, source=f"urn:photopeak:{NAMED}"),
        body(NAMED, {}),
        body("xiaoming.wang", {}),
        body("device.check", {**CHECK, "check": NAMED, "unit": NAMED}, subject="GC1"),
        body("form.signed", {**FORM, "staff_id": "Wang.Xiaoming"}),
        body("form.signed", {**FORM, "form": NAMED}),
        body("adverse.event", {**EVENT, "event_number": "AE-Wang-Xiaoming", "description": "fell"}),
        body("adverse.event", {**EVENT, "accession_number": "Wang-Xiaoming", "description": "fell"}),
        body("staff.credential", {"staff_id": "T01", "credential": NAMED, "valid_from": "2026-01-01", "valid_to": "2027-01-01"}),
    ],
)  # fmt: skip
def test_no_identifier_term_or_reason_repeats_the_name_of_a_known_patient(house, told, caplog):
    hand_in, _, _ = house
    account = hand_in.door.take([told, told], "tablet")
    assert account.stored + account.duplicate == 2 or len(account.quarantined) == 2
    assert account.stored < 2
    kept = json.dumps([e.to_cloudevent() for _, e in hand_in.journal.read(0)], ensure_ascii=False) + caplog.text
    kept += json.dumps(account.to_json(), ensure_ascii=False)
    assert not Secrets(["Wang^Xiaoming=王^小明"]).stand_in(kept) and "%E7" not in kept


def test_ordinary_identifiers_terms_and_reasons_stay(house, caplog):
    hand_in, _, _ = house
    check = {**CHECK, "check": "uniformity", "unit": "MBq"}
    assert hand_in.door.take([body("device.check", check, subject="GC1", id="consent_2026.pdf")], "tablet").stored == 1
    (event,) = [e for _, e in hand_in.journal.read(0) if e.type == "device.check"]
    assert (event.id, event.subject, event.data) == ("consent_2026.pdf", "GC1", check)
    hand_in.door.take([body("examination.stepp", {})], "tablet")
    assert "examination.stepp" in caplog.text


def test_an_identifier_that_came_before_its_name_was_known_is_a_duplicate(house):
    hand_in, _, keys = house
    told = body("form.signed", {**FORM, "accession_number": "ACC9"}, id="consent_Lin_Daiyu.pdf")
    assert hand_in.door.take([told], "tablet").stored == 1
    hand_in.vault.remember(keys.pseudonym("M9"), "hl7", {"patient_id": "M9", "name": "LIN^DAIYU"}, "ACC9")
    account = hand_in.door.take([told, {**told, "id": "consent_Lin_Daiyu_2.pdf"}], "tablet")
    assert (account.stored, account.duplicate) == (1, 1)


SHEET = {
    "procedure": "thyroid_static",
    "nuclide": "Tc-99m",
    "full_cps": 1000,
    "text": "1234567",
    "serie": "880012",
    "study_uid": "1.2.880012",
}


@pytest.mark.req("DC-11")
@pytest.mark.parametrize(
    "key", ["name", "姓名", "病人", "title", "filename", "Subject", "label", "device_serial", "station_name", "procedure"]
)
def test_no_key_or_value_of_a_sheet_names_a_known_patient(house, key):
    hand_in, _, _ = house
    for told in (
        {key: "scan_Wang_Xiaoming.txt"},
        {key: ["a", {"b": "王小明"}]},
        {"a": {f"{key} Xiaoming Wang": 1}},
        {key: "no. M0047110"},
    ):
        if key == "procedure" and not isinstance(told.get(key), str):
            continue
        account = hand_in.door.take(
            [body("device.report", {**SHEET, **told}, subject="GC1", id=f"r{hand_in.journal.head()}")], "tablet"
        )
        event = next((e for _, e in reversed(hand_in.journal.read(0)) if e.type == "device.report"), None)
        assert account.stored == 1 and event is not None
        kept = hand_in.clear.get(event.data["object_key"]).decode() + json.dumps(event.to_cloudevent(), ensure_ascii=False)
        assert not Secrets(["Wang^Xiaoming=王^小明"], ["M0047110"]).stand_in(kept)
        assert all(json.dumps(v) in kept for k, v in SHEET.items() if k != key)


@pytest.mark.req("DC-11")
def test_no_element_attribute_or_text_of_a_report_names_a_known_patient(house):
    hand_in, _, _ = house
    report = (
        "<Report><Title foo='Wang Xiaoming' 王小明='1'>Wang, Xiaoming</Title><王小明 a='2'>3.5</王小明><List><Item>880012</Item>"
        "<Item>file M0047110</Item>王小明 tail</List></Report>"
    )
    told = body("device.report", None, data_base64=base64.b64encode(report.encode()).decode(), subject="GC1")
    assert hand_in.door.take([told], "tablet").stored == 1
    event = next(e for _, e in hand_in.journal.read(0) if e.type == "device.report")
    kept = hand_in.clear.get(event.data["object_key"])
    assert parsed(kept).find("removed").text == "3.5" and parsed(kept).find("List/Item").text == "880012"
    assert not Secrets(["Wang^Xiaoming=王^小明"], ["M0047110"]).stand_in(kept.decode())


def test_digits_of_a_number_count_by_themselves_and_the_number_itself_anywhere() -> None:
    lettered, digits = Secrets((), ("P26033006",)), Secrets((), ("26033006",))
    assert not lettered.stand_in("A26033006-ORM") and lettered.stand_in("26033006") and lettered.stand_in("P26033006-1")
    assert digits.stand_in("A26033006-ORM") and digits.stand_in("P26033006") and digits.stand_in("26033006A")
    assert (lettered | digits).stand_in("A26033006-ORM"), "of two patients each counts as it is written"

"""HL7 messages: character sets, escapes, times, and what becomes an event."""

import json
from datetime import UTC, datetime

import pytest

from connectors.his.facts import Fact, facts, patient
from connectors.his.message import InvalidMessage, parse
from judgement.days import site_zone

CHINA = site_zone("Asia/Shanghai")

MSH = "MSH|^~\\&|HIS|HOSP|PHOTOPEAK|MAIN|20260301093000||{kind}|M1|P|2.5.1||||||{charset}"
PID = "PID|1||P0001^^^HOSP^MR~440101199001011234^^^CN^NI||王^小明||19800517|M|||北京路1号||13800001111"


def text(kind: str, *segments: str, charset: str = "UNICODE UTF-8", end: str = "\r") -> str:
    return end.join([MSH.format(kind=kind, charset=charset), *segments]) + end


def said(content: bytes) -> list[Fact]:
    message = parse(content)
    return facts(message, "PT-1", patient(message), CHINA)


ORDER = (
    PID, "ORC|NW|PL7|A100||SC||||20260301092900",
    "OBR|1|PL7|A100|BONE^全身骨显像^L|||||||||骨痛 疑转移|||||A100" + "|" * 18 + "20260302100000",
    "OBX|1|NM|PRESCRIBED_MBQ^p^L||740|MBq|||||F", "OBX|2|NM|WEIGHT_KG^w^L||61.5|kg|||||F",
)  # fmt: skip


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("", "utf-8"),
        ("GB 18030-2000", "gb18030"),
        ("", "gb18030"),
        ("UNICODE UTF-8", "gb18030"),
        ("GB18030", "utf-8"),
    ],
)
def test_an_order_says_the_same_in_every_character_set(charset: str, codec: str, end: str) -> None:
    (fact,) = said(text("ORM^O01^ORM_O01", *ORDER, charset=charset, end=end).encode(codec))
    assert (fact.type, fact.subject, fact.occurred_at) == ("his.order", "A100", datetime(2026, 3, 1, 1, 29, tzinfo=UTC))
    assert fact.data == {
        "message_type": "ORM", "trigger": "O01", "order_control": "NW", "accession_number": "A100", "patient_pseudonym": "PT-1",
        "exam_code": "BONE", "exam_name": "全身骨显像", "indication": "骨痛 疑转移",
        "scheduled_at_utc": "2026-03-02T02:00:00.000000Z",
        "placer": "PL7", "filler": "A100", "patient_number": "PT-1", "patient_issuer": "HOSP",
        "prescribed_activity_mbq": 740.0, "weight_kg": 61.5, "order_status": "SC", "occurred_precision": "second",
        "sex": "M", "birth_year": 1980,
        **({"doubts": [{"field": "MSH-18",
        "doubt": "character_set"}]} if codec[:2].upper() != charset.replace("UNICODE ", "")[:2] else {}),
    }  # fmt: skip


def test_an_imaging_order_says_what_a_worklist_needs() -> None:
    ipc = "IPC|A100|RP1|1.2.840.1^^DICOM|SPS1|NM|BONE|GC1-ROOM||GC1~SPCT1"
    (fact,) = said(text("OMI^O23^OMI_O23", *ORDER[:3], ipc).encode())
    names = ("stations", "procedure_id", "step_id", "study_uid", "order_status")
    assert [fact.data[n] for n in names] == [["GC1", "SPCT1"], "RP1", "SPS1", "1.2.840.1", "SC"]
    # after IHE an ORM says it in OBR-19, OBR-20 and ZDS; a number that DICOM would cut, or no UID, is not said
    obr = ORDER[2].replace("A100" + "|" * 18, "A100|RP2|" + "9" * 17 + "|" * 16)
    (fact,) = said(text("ORM^O01^ORM_O01", *ORDER[:2], obr, "ZDS|one.two").encode())
    assert fact.data["procedure_id"] == "RP2" and not {"step_id", "study_uid", "stations"} & set(fact.data)


@pytest.mark.parametrize(
    "field, name",
    [
        ("王^小明", "王^小明"),
        ("Zhang^San~张^三", "Zhang^San=张^三"),
        ("张^三^^^^^I~Zhang^San^^^^^A", "Zhang^San=张^三"),
        ("Smith&van^John^Q^Jr^Dr", "Smith^John^Q^Dr^Jr"),
        ("A=B^C\\S\\D", "A B^C D"),
        ("Zhang^San~Zhang^Other", "Zhang^San"),
        ("", ""),
    ],
)
def test_a_name_is_kept_as_dicom_writes_it(field: str, name: str) -> None:
    message = parse(text("ADT^A04", f"PID|1||P1||{field}").encode())
    assert (patient(message).identity["person_name"] or "") == name


def test_gb18030_bytes_that_look_like_separators_stay_inside_their_character() -> None:
    # the second byte of each of these characters is one of | ^ ~ \ in GB18030
    name = "".join(c for c in map(chr, range(0x4E00, 0x9FA5)) if c.encode("gb18030")[1:] in (b"|", b"^", b"~", b"\\"))[:40]
    assert len(name) == 40
    message = parse(text("ADT^A04", f"PID|1||P1||{name}^明", charset="GB18030").encode("gb18030"))
    assert patient(message).identity["name"] == f"{name} 明"


@pytest.mark.parametrize("codec", ["iso2022_jp", "iso2022_kr"])
def test_bytes_of_an_escaped_character_that_look_like_separators_stay_inside_it(codec: str) -> None:
    # 蘭 and 由 among others hold 0x7C or 0x5E in their two bytes
    name = "山本由美蘭" if codec == "iso2022_jp" else "김철수"
    order = text(
        "ORM^O01",
        f"PID|1||P1||YAMADA^TARO~{name}",
        "ORC|NW||A1",
        f"OBR|1||A1|BONE^{name}" + "|" * 32 + "20261203100000",
        charset="~ISO IR87",
    )
    message = parse(order.encode(codec))
    (fact,) = facts(message, "PT-1", patient(message), CHINA)
    assert fact.data["scheduled_at_utc"] == "2026-12-03T02:00:00.000000Z" and fact.data["exam_code"] == "BONE"
    assert patient(message).identity["person_name"] == f"YAMADA^TARO={name}" and name not in str(fact.data)
    with pytest.raises(InvalidMessage, match="ISO 2022"):
        parse(order.encode(codec).replace(b"MAIN", b"\x1b$B\x20\x01"))


def test_undeclared_latin_1_is_not_read_as_chinese() -> None:
    message = parse(text("ADT^A04", "PID|1||P1||Müller^André", charset="").encode("latin-1"))
    assert patient(message).identity["name"] == "Müller André"


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [
        (r"\X00E0\ la carte", "à la carte"), (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"), (r"\XC3A0\x", "àx"),
        (r"a\.br\b", "a\nb"),
        (r"\H\bold\N\ ", "bold"), (r"\Zunknown\ ", "\\Zunknown\\"), ("50\\", "50\\"), (r"\XZZ\ ", "\\XZZ\\"),
    ],
)  # fmt: skip
def test_escapes(escaped: str, plain: str) -> None:
    message = parse(text("ADT^A04", f"NTE|1||{escaped}").encode())
    assert message.segments[1].get(3) == plain


def test_separators_of_the_sender_are_used() -> None:
    content = "MSH#*~\\&#HIS#H###20260301093000##ADT*A04#M1#P#2.5\rPID#1##P9***H*MR##Li*Na##1990#F\rPV1#1#O#NM*2\r"
    (fact,) = said(content.encode())
    assert fact.data["location"] == "NM^2" and fact.data["birth_year"] == 1990 and fact.data["sex"] == "F"


@pytest.mark.req("DC-11")
def test_free_text_holds_no_name_and_no_number_of_the_patient() -> None:
    segments = (
        PID, "ORC|RE||A100",
        "OBR|1||A100|BONE|||20260302110000" + "|" * 15 + "20260302120000",
        "OBX|1|TX|CONCLUSION^结论^L||患者王小明 (P0001, 13800001111) 未见异常~Xiaoming||||||F",
        "OBX|2|NM|GLU^glucose^L||5.6|mmol/L|3.9-6.1||||F",
        "OBX|3|XPN|WHO^patient^L||王^小明||||||F", "OBX|4|IS|WARD^ward^L||A-3 王小明||||||F",
    )  # fmt: skip
    (fact,) = said(text("ORU^R01^ORU_R01", *segments).encode())
    assert (
        fact.occurred_at == datetime(2026, 3, 2, 4, tzinfo=UTC) and fact.data["observed_at_utc"] == "2026-03-02T03:00:00.000000Z"
    )
    first, second, person, ward = fact.data["observations"]
    assert (person["value"], ward["value"]) == (None, "A-3 █")
    assert first["value"] == "患者█ (█, █) 未见异常\nXiaoming"
    assert second == {
        "code": "GLU", "name": "glucose", "unit": "mmol/L", "value": "5.6", "reference_range": "3.9-6.1", "status": "F",
    }  # fmt: skip


def test_two_orders_of_one_message_are_two_facts() -> None:
    found = said(text("ORM^O01", PID, "ORC|NW||A1", "OBR|1||A1|BONE", "ORC|NW||A2", "OBR|2||A2|THYROID").encode())
    assert [f.subject for f in found] == ["A1", "A2"]


@pytest.mark.parametrize(
    "order", ["ORC|NW||A7\rOBR|1|||BONE", "ORC|NW\rOBR|1||X|BONE" + "|" * 14 + "A7", "ORC|NW\rOBR|1||A7|BONE"]
)
def test_where_the_accession_number_may_stand(order: str) -> None:
    assert said(text("ORM^O01", PID, order).encode())[0].subject == "A7"


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        ("PID|1\r", "AR", "MSH"),
        ("MSH|^~\\&\r", "AE", "PID"),
        (text("ADT^A04"), "AE", "no PID"),
        (text("ADT^A04", "PID|1||^^^H"), "AE", "PID-3"),
        (text("MDM^T02", PID), "AR", "MDM"),
        (text("ORM^O01", PID), "AE", "without ORC"),
        (text("ORM^O01", PID, "ORC|NW||A1"), "AE", "OBR-4"),
        (text("ORM^O01", PID, "ORC|NW", "OBR|1|||BONE"), "AE", "accession"),
        (text("王小明 P0001^X", PID), "AR", "^this message type .MSH-9. is not taken here"),
        (text("ORM^O01", PID, "ORC|NW||A||||||yesterday", "OBR|1|||BONE"), "AE", "^ORC-9 is no date and time that can be read$"),
        (
            text("ORM^O01", PID, "ORC|NW||A", "OBR|1|||BONE" + "|" * 32 + "王小明"),
            "AE",
            "^OBR-36 is no date and time that can be read$",
        ),
        (text("ORM^O01", PID, "ORC|NW||A||||^^^soon", "OBR|1|||BONE"), "AE", "^ORC-7.4 is no"),
        (text("ORM^O01", PID, "ORC|NW||A", "OBR|1|||BONE" + "|" * 23 + "^^^soon"), "AE", "^OBR-27.4 is no"),
        (text("ORM^O01", PID, "ORC|NW||A", "TQ1|1||||||soon", "OBR|1|||BONE"), "AE", "^TQ1-7 is no"),
        (text("ADT^A04", PID, "EVN|A04|0"), "AE", "^EVN-2 is no"),
        (text("ADT^A04", PID, "EVN|A04|20260301||||x"), "AE", "^EVN-6 is no"),
        (text("ORU^R01", PID, "OBR|1||A1|X|||x", "OBX|1|NM|GLU||5"), "AE", "^OBR-7 is no"),
        (text("ORU^R01", PID, "OBR|1||A1|X" + "|" * 18 + "x", "OBX|1|NM|GLU||5"), "AE", "^OBR-22 is no"),
        (text("ORU^R01", PID, "OBR|1||A1|X", "OBX|1|NM|GLU||5|||||||||x"), "AE", "^OBX-14 is no"),
        (text("ADT^A04", PID).replace("20260301093000", "now"), "AE", "^MSH-7 is no"),
        (text("ADT^A04", PID).replace("20260301093000", "20260301093000+2500"), "AE", "^MSH-7 is no"),
        (text("ORU^R01", PID, "OBR|1||A1|BONE"), "AE", "OBX"),
        (text("ADT^A04", PID, "half a line"), "AE", "segment 3"),
        ("MSH|^^^^|x\r", "AR", "MSH-2"),
    ],
)
def test_what_is_refused_and_why(content: str, code: str, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason) as caught:
        said(content.encode())
    assert caught.value.code == code


def ordered(*more: str, obr36: str = "20261203100000", at: str = "20260301093000", orc9: str = "20260301092900") -> Fact:
    message = text("ORM^O01", PID, f"ORC|NW||A1||||||{orc9}", "OBR|1|||BONE" + "|" * 32 + obr36, *more)
    return said(message.replace("20260301093000", at).encode())[0]


@pytest.mark.parametrize(
    ("obr36", "at", "utc"),
    [
        ("20261203100000", "20260301093000", "2026-12-03T02:00:00"), ("2026-12-03 10:00:00", "20260301093000", "2026-12-03T02:00:00"),
        ("20261203020000Z", "20260301093000", "2026-12-03T02:00:00"), ("20261203100000^S", "20260301093000+0000", "2026-12-03T10:00:00"),
        ("20261203100000", "20260301093000-0500", "2026-12-03T15:00:00"), ("20261203100000+0800", "20260301093000Z", "2026-12-03T02:00:00"),
        ("20261203", "20260301093000", "2026-12-02T16:00:00"), ("20261203103000^H", "20260301093000", "2026-12-03T02:00:00"),
    ],
)  # fmt: skip
def test_the_zone_is_that_of_the_field_then_of_the_message_then_of_the_site(obr36: str, at: str, utc: str) -> None:
    assert ordered(obr36=obr36, at=at).data["scheduled_at_utc"] == f"{utc}.000000Z"


AT_TEN = "2026-12-03T02:00:00.000000Z"


@pytest.mark.parametrize(
    "fields",
    [
        {"orc7": "1^^^^^S~^^^20261203100000"}, {"orc7": "1^^^20261203100000~1^^^20261205100000"}, {"obr27": "~^^^20261203100000"},
        {"tq1": "TQ1|1||||||20261203100000\rTQ1|2||||||"}, {"tq1": "TQ1|1||||||\rTQ1|2||||||20261203100000"},
        {"tq1": "TQ1|1||||||~20261203100000"}, {"obr36": "~20261203100000"}, {"obr36": "20261203100000^S~20261203100000"},
    ],
)  # fmt: skip
def test_an_appointment_is_read_wherever_its_field_holds_it(fields: dict[str, str]) -> None:
    assert appointment(**fields) == AT_TEN


@pytest.mark.parametrize(
    "fields",
    [
        {"obr36": "^^^20261203100000"}, {"obr36": "202612"}, {"obr36": "2026"}, {"obr36": "20261203&100000"}, {"tq1": "TQ1|1||||||2026-12"},
        {"obr36": "20261203100000~20261204100000"}, {"obr36": "20261203100000~soon"}, {"orc7": "1^^^~1^^^soon"}, {"obr36": "20261203^Y"},
        {"orc7": "^^^2026"}, {"tq1": "TQ1|1||||||^^^20261203100000"},
    ],
)  # fmt: skip
def test_an_appointment_that_is_there_is_read_or_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidMessage, match="is no date and time that can be read"):
        appointment(**fields)


def test_an_order_without_an_appointment_says_so_while_it_is_open() -> None:
    assert ordered(obr36="").data["doubts"] == [{"field": "OBR-36", "doubt": "missing"}]
    (ended,) = said(text("ORM^O01", PID, "ORC|CA||A1", "OBR|1|||BONE").encode())
    assert ended.data["doubts"] == [{"field": "ORC-3", "doubt": "unmatched"}] and ended.data["scheduled_at_utc"] is None


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        ({"tq1": "TQ1|1||||||20261204100000"}, "several"), ({"tq1": "TQ1|1||||||20261203100000\rTQ1|2||||||20261203140000"}, "several"),
        ({"orc7": "1^^^20261204"}, "several"), ({"orc7": "1^^^20261203100000~1^^^20261205100000"}, "several"),
        ({"tq1": "TQ1|1||||||20261203100000"}, None), ({"tq1": "TQ1|1||||||20261203"}, None),
        ({"obr36": "19000101"}, "far"), ({"obr36": "99991231235959"}, "far"), ({"obr36": "20270303"}, None),
    ],
)  # fmt: skip
def test_appointments_that_differ_or_are_far_are_told(fields: dict[str, str], doubt: str | None) -> None:
    fields = {"obr36": "20261203100000", "orc7": "", **fields}
    (fact,) = said(
        text(
            "ORM^O01",
            PID,
            f"ORC|NW||A1||||{fields['orc7']}",
            f"OBR|1|||BONE{'|' * 32}{fields['obr36']}",
            fields.get("tq1", "NTE|1"),
        ).encode()
    )
    data = fact.data
    assert data.get("doubts", []) == ([{"field": "OBR-36", "doubt": doubt}] if doubt else [])
    assert ("scheduled_precision" in data) is (len(fields["obr36"]) == 8)


def test_what_a_message_takes_back_is_told_apart_from_what_it_leaves_empty() -> None:
    obx = "OBX|1|NM|WEIGHT_KG||{}|kg\rOBX|2|NM|PRESCRIBED_MBQ||{}|MBq|||||{}"

    def deleted(obr: str, *observed: str) -> list[str]:
        (fact,) = said(text("ORM^O01", PID, "ORC|XO||A1", f"OBR|1|||BONE{obr}", obx.format(*observed)).encode())
        return fact.data.get("deleted", [])

    assert deleted("", "", "", "F") == [] and deleted("", "70", "700", "F") == []
    assert deleted("|" * 32 + '""', '""', '""', "F") == ["scheduled_at_utc", "prescribed_activity_mbq", "weight_kg"]
    assert deleted("|" * 27 + '""', "7O", "700", "D") == [
        "indication",
        "prescribed_activity_mbq",
        "weight_kg",
    ]  # what was told holds no more


def test_a_cancellation_is_not_refused_for_the_appointment_that_it_ends() -> None:
    (ended,) = said(text("ORM^O01", PID, "ORC|CA||A1", "OBR|1|||BONE" + "|" * 32 + "soon").encode())
    assert ended.data["order_control"] == "CA" and {"field": "OBR-36", "doubt": "unreadable"} in ended.data["doubts"]


def appointment(obr36: str = "", orc7: str = "", obr27: str = "", tq1: str = "") -> str | None:
    obr = "OBR|1|||BONE" + "|" * 23 + obr27 + "|" * 9 + obr36
    (fact,) = said(text("ORM^O01", PID, f"ORC|NW||A1||||{orc7}", obr, *([tq1] if tq1 else [])).encode())
    return fact.data["scheduled_at_utc"]


@pytest.mark.parametrize(
    "obx",
    [
        ["7050|kg"], ["1.234,5|kg"], ["0|kg"], ["0.2|kg"], ["70~71|kg"], ["70|kg", "80|kg"], ["70|kg|||||D"], ["70|kg", "x|kg"], ["651|kg"],
        ["2000|lb"],
    ],
)  # fmt: skip
def test_no_weight_that_a_body_cannot_have_or_that_is_two_reaches_a_scanner(obx: list[str]) -> None:
    data = ordered(*(f"OBX|{n}|NM|WEIGHT_KG||{x}" for n, x in enumerate(obx, 1))).data
    assert (data["weight_kg"], data["doubts"]) == (None, [{"field": "OBX-5 WEIGHT_KG", "doubt": "unreadable"}])


@pytest.mark.parametrize(
    ("obx", "kg"), [(["70|kg", "70.0|kg"], 70.0), (["70~70|kg"], 70.0), (["3|kg"], 3.0), (["650|kg"], 650.0)]
)
def test_a_weight_that_is_told_twice_alike_is_one(obx: list[str], kg: float) -> None:
    data = ordered(*(f"OBX|{n}|NM|WEIGHT_KG||{x}" for n, x in enumerate(obx, 1))).data
    assert data["weight_kg"] == kg and "doubts" not in data


@pytest.mark.parametrize("born", ["18000101", "20700101", "1970-02-30", "01.02.1970", "2027"])
@pytest.mark.parametrize("kind", ["ADT^A04", "ORM^O01"])
def test_a_birth_that_cannot_be_is_a_doubt_of_every_message(kind: str, born: str) -> None:
    (fact,) = said(text(kind, f"PID|1||P1||A^B||{born}|F", *(ORDER[1:3] if kind[0] == "O" else ())).encode())
    assert {"field": "PID-7", "doubt": "unreadable"} in fact.data["doubts"] and fact.data.get("birth_year") is None


@pytest.mark.parametrize(("pid8", "sex", "doubt"), [
    ("M", "M", False), ("m", "M", False), ("Ｍ", "M", False), ("MALE", "M", False), ("男", "M", False), ("男性", "M", False), ("1", "M", False),
    ("F", "F", False), ("女", "F", False), ("2", "F", False), ("female", "F", False), ("w", "F", False), ("U", "U", False), ("0", "U", False),
    ("O", "O", False), ("", None, False), ("X", None, True), ("王小明", None, True), ("3", None, True),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["ADT^A04", "ORM^O01"])
def test_the_sex_is_read_by_a_table_or_named(kind: str, pid8: str, sex: str | None, doubt: bool) -> None:
    (fact,) = said(text(kind, f"PID|1||P1||A^B||19800517|{pid8}", *(ORDER[1:3] if kind[0] == "O" else ())).encode())
    assert (fact.data.get("sex"), fact.data["birth_year"]) == (sex, 1980)
    assert ({"field": "PID-8", "doubt": "unreadable"} in fact.data.get("doubts", [])) == doubt


@pytest.mark.parametrize(
    ("orc9", "precision"),
    [
        ("20260301", "day"), ("202603010929", "minute"), ("2026030109", "hour"), ("20260301092900", "second"), ("20260301092900.5", "fraction"),
    ],
)  # fmt: skip
def test_an_event_says_to_what_its_time_was_told(orc9: str, precision: str) -> None:
    assert ordered(orc9=orc9).data["occurred_precision"] == precision


@pytest.mark.parametrize(
    ("obx", "kg"),
    [
        ("NM|WEIGHT_KG||70,5|kg", 70.5), ("NM|WEIGHT_KG||154|lb", 69.853225), ("ST|WEIGHT_KG||70 kg|", 70.0), ("ST|WEIGHT_KG||70,5kg|KG", 70.5),
        ("NM|WEIGHT_KG||７０．５|kg", 70.5), ("NM|WEIGHT_KG||70500|g", 70.5), ("ST|WEIGHT_KG||70公斤|", 70.0), ("NM|WEIGHT_KG||140|斤", 70.0),
        ("NM|WEIGHT_KG|||kg", None), ('NM|WEIGHT_KG||""|kg', None),
    ],
)  # fmt: skip
def test_a_weight_is_read_as_people_write_it(obx: str, kg: float | None) -> None:
    data = ordered(f"OBX|1|{obx}").data
    assert data["weight_kg"] == kg and "doubts" not in data


@pytest.mark.parametrize(
    "obx", ["70|furlong", "-70|kg", "7O|kg", "70 kg|lb", "about 70|kg", "1,234|g", "王小明 62kg|kg", "70 71|kg", "１，２３４|g"]
)
@pytest.mark.parametrize("code", ["WEIGHT_KG", "PRESCRIBED_MBQ"])
def test_what_an_order_can_do_without_is_left_out_and_named(obx: str, code: str) -> None:
    data = ordered(f"OBX|1|NM|{code}||{obx}").data
    assert data[code.lower() if code == "WEIGHT_KG" else "prescribed_activity_mbq"] is None
    assert data["doubts"] == [{"field": f"OBX-5 {code}", "doubt": "unreadable"}]


@pytest.mark.parametrize(("value", "unit", "mbq"), [
    ("740", "MBq", 740), ("740", "mbq", 740), ("20000", "µCi", 740), ("20000", "μCi", 740), ("20000", "uCi", 740), ("20", "mCi", 740),
    ("20", "毫居里", 740), ("740", "兆贝可", 740), ("0.74", "吉贝可", 740), ("20毫居里", "", 740), ("740 兆贝可", "", 740), ("740", "mBq", None),
    ("740 mBq", "", None), ("740", "Sv", None),
])  # fmt: skip
def test_an_activity_is_read_in_the_units_of_departments(value: str, unit: str, mbq: float | None) -> None:
    fact = ordered(f"OBX|1|ST|PRESCRIBED_MBQ||{value}|{unit}")
    assert fact.data["prescribed_activity_mbq"] == mbq
    assert ({"field": "OBX-5 PRESCRIBED_MBQ", "doubt": "unreadable"} in fact.data.get("doubts", [])) == (mbq is None)


def test_an_accession_number_that_no_worklist_holds_is_named() -> None:
    (fact,) = said(text("ORM^O01", PID, "ORC|NW||NM202612010000000001", "OBR|1|||BONE").encode())
    assert {"field": "accession_number", "doubt": "too_long"} in fact.data["doubts"]


@pytest.mark.parametrize(
    ("obx", "value", "unit", "doubt"),
    [
        ("NM|GLU||5,6|mmol/L", "5.6", "mmol/L", False), ("NM|GLU||5.60|MMOL/L", "5.60", "mmol/L", False), ("ST|GLU||5,6 mmol/l|",
        "5.6", "mmol/L", False),
        ("NM|GLU||1,234|mmol/L", "1,234", "mmol/L", True), ("NM|GLU||high|mmol/L", "high", "mmol/L", True), ("ST|GLU||high|mmol/L",
        "high", "mmol/L", False),
        ("NM|GLU||1.234,5|ng/mL", "1234.5", "ng/mL", False), ("ST|TNM||2b|", "2b", None, False), ("SN|GLU||<^5|mmol/L", "< 5", "mmol/L", False),
        ("NM|GLU||>33,3|mmol/l", "> 33.3", "mmol/L", False), ("SN|GLU||>=^33.3|mmol/L", ">= 33.3", "mmol/L", False),
        ("SN|GLU||^15.0|mmol/L", "15.0", "mmol/L", False), ("SN|GLU||=15.0|mmol/L", "15.0", "mmol/L", False),
        ("NM|GLU||15.0*|mmol/L", "15.0*", "mmol/L", True), ("NM|GLU||> high|mmol/L", "> high", "mmol/L", True),
        ("NM|GLU||||", None, None, False), ("NM|GLU||王小明 P0001|mmol/L", "█ █", "mmol/L", True),
    ],
)  # fmt: skip
def test_numbers_of_observations_are_read_or_named(obx: str, value: str | None, unit: str | None, doubt: bool) -> None:
    (fact,) = said(text("ORU^R01", PID, "OBR|1||A1|X", f"OBX|1|{obx}").encode())
    (found,) = fact.data["observations"]
    assert (found["value"], found["unit"]) == (value, unit)
    assert fact.data.get("doubts", []) == ([{"field": "OBX-5 GLU", "doubt": "unreadable"}] if doubt else [])


@pytest.mark.parametrize(
    "born, year, day",
    [
        ("19700203", 1970, "19700203"), ("19700101000000+0800", 1970, "19700101"), ("19700101230000-0500", 1970, "19700101"),
        ("1970-02-03", 1970, "19700203"), ("1970", 1970, "1970"), ("03.02.1970",
        None, "03.02.1970"), ("", None, None),
    ],
)  # fmt: skip
def test_a_day_of_birth_is_read_or_named(born: str, year: int | None, day: str | None) -> None:
    message = parse(text("ADT^A04", f"PID|1||P1||A^B||{born}|F").encode())
    (fact,) = facts(message, "PT-1", patient(message), CHINA)
    assert fact.data["birth_year"] == year and patient(message).identity["birth_date"] == day
    assert ("doubts" in fact.data) == (bool(born) and year is None)


@pytest.mark.req("DC-11")
@pytest.mark.parametrize(
    "written",
    [
        "王小明",
        "王　小明",
        "王-小明",
        "小明 王",
        "王^小明".replace("^", "\\S\\"),
        "王．小明",
        "\x1b$)A王\x1b$)A小明",
        "WANG  XIAO-MING",
        "ｗａｎｇ ｘｉａｏｍｉｎｇ",
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "gb18030"])
@pytest.mark.parametrize("own", ["utf-8", "gb18030"])
def test_no_field_that_people_write_in_names_the_patient(written: str, own: str, codec: str) -> None:
    pid = "PID|1||P0001^^^H^MR||王^小明~WANG^XIAO MING||1970|F"
    head = f"{MSH.format(kind='{}', charset='')}\r{pid}\r"
    for kind, body in (
        (
            "ORM^O01",
            f"ORC|NW|{written}|A1\rOBR|1|||BONE{written}^{written}|||||||||{written}|" + "|" * 17 + f"{written}^x{written}y\r",
        ),
        ("ORM^O01", f"ORC|NW||A1\rOBR|1|||BONE|||||||||{written}\r"),
        (
            "ORU^R01",
            f"OBR|1||A1|X\rOBX|1|NM|{written}^{written}||{written}|{written}|{written}\rOBX|2|TX|A||x{written}~y\rOBX|3|DT|A||{written}\r",
        ),
        ("ADT^A04", f"PV1|1|O|{written}^2" + "|" * 16 + f"{written}\r"),
    ):
        message = parse(head.format(kind).encode(own) + body.encode(codec))
        who = patient(message)
        for fact in facts(message, "PT-1", who, CHINA):
            assert not who.secrets.stand_in(json.dumps(fact.data, ensure_ascii=False)), fact.data
            assert "小明" not in str(fact.data)


@pytest.mark.parametrize(
    ("family", "given", "charset", "codec"),
    [
        ("Щербаков", "Фёдор", "", "koi8_r"), ("Кузнецов", "Дмитрий", "", "cp1251"), ("Жуковский", "Николай", "8859/1", "koi8_r"),
        ("歐陽", "鳳儀", "", "big5"), ("정", "미란봄", "", "euc_kr"), ("鈴木", "一朗丸", "", "cp932"), ("渡辺", "健二郎", "", "euc_jp"),
        ("佐藤", "由美蘭", "ISO IR87", "iso2022_jp"), ("佐藤", "由美蘭", "ASCII~ISO IR87", "iso2022_jp"), ("佐藤", "由美蘭", "", "iso2022_jp"),
        ("Grönemeyer", "Jürgen", "8859/1", "latin-1"), ("Nguyễn", "Thị Hạnh", "UNICODE UTF-8", "utf-8"), ("박", "지영쌍", "KS X 1001", "euc_kr"),
    ],
)  # fmt: skip
def test_no_text_names_the_patient_in_any_character_set(family: str, given: str, charset: str, codec: str) -> None:
    for written in (family + given, f"{given} {family}", f"{family}, {given}", f"{given}{family}", f"{family}_{given}"):
        lines = [
            MSH.format(kind="ORU^R01", charset=charset), f"PID|1||P0001^^^H^MR||{family}^{given}||1970|F",
            f"OBR|1||A1|X|||||||||seen {written}", f"OBX|1|ST|N^note||wife of {written} came||{written}||||F", f"OBX|2|TX|M||{written}",
        ]  # fmt: skip
        message = parse(b"\r".join(line.encode(codec) for line in lines))
        for fact in facts(message, "PT-1", patient(message), CHINA):
            texts = [v for o in fact.data["observations"] for v in o.values() if v]
            for text in texts:
                for name in (n for n in (family, given, written) if len(n) > 1):
                    assert name not in text and name.encode(codec) not in text.encode(message.codec, "replace"), (written, text)
        assert message.is_doubtful == (charset in ("", "8859/1") and codec != "latin-1"), written

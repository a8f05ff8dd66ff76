"""HL7 messages: character sets, escapes, times, and what becomes an event."""

from datetime import UTC, datetime

import pytest

from connectors.his.facts import Fact, facts, patient
from connectors.his.message import InvalidMessage, moment, parse

MSH = "MSH|^~\\&|HIS|HOSP|PHOTOPEAK|MAIN|20260301093000||{kind}|M1|P|2.5.1||||||{charset}"
PID = "PID|1||P0001^^^HOSP^MR~440101199001011234^^^CN^NI||王^小明||19800517|M|||北京路1号||13800001111"


def text(kind: str, *segments: str, charset: str = "UNICODE UTF-8", end: str = "\r") -> str:
    return end.join([MSH.format(kind=kind, charset=charset), *segments]) + end


def said(content: bytes) -> list[Fact]:
    message = parse(content)
    return facts(message, "PT-1", patient(message), 480)


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
        "placer": "PL7", "prescribed_activity_mbq": 740.0, "weight_kg": 61.5, "order_status": "SC",
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


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("20260301", datetime(2026, 2, 28, 16, tzinfo=UTC)),
        ("202603010930", datetime(2026, 3, 1, 1, 30, tzinfo=UTC)),
        ("20260301093000.25", datetime(2026, 3, 1, 1, 30, 0, 250000, tzinfo=UTC)),
        ("20260301093000+0000", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("20260301093000-0330", datetime(2026, 3, 1, 13, tzinfo=UTC)),
        ("20261301", None), ("", None), ("yesterday", None), ("20260301093000+9999", None), ("0001", None),
    ],
)  # fmt: skip
def test_times(stamp: str, expected: datetime | None) -> None:
    assert moment(stamp, 480) == expected


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
        (text("ORM^O01", PID, "ORC|NW||A", "OBR|1|||BONE", "OBX|1|NM|PRESCRIBED_MBQ||740|furlong"), "AE", "furlong"),
        (text("ORM^O01", PID, "ORC|NW||A", "OBR|1|||BONE", "OBX|1|NM|PRESCRIBED_MBQ||-740|MBq"), "AE", "-740"),
        (text("ORU^R01", PID, "OBR|1||A1|BONE"), "AE", "OBX"),
        (text("ADT^A04", PID, "half a line"), "AE", "segment 3"),
        ("MSH|^^^^|x\r", "AR", "MSH-2"),
    ],
)
def test_what_is_refused_and_why(content: str, code: str, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason) as caught:
        said(content.encode())
    assert caught.value.code == code

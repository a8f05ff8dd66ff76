"""No name of a patient stands in the open after messages, images and events that write it in every spelling and character set."""

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from leaks import leaks

from connectors.dicom.storage.intake import Intake as Images
from connectors.dicom.storage.intake import Received
from connectors.dicom.storage.series import series_event
from connectors.his.framing import Frame
from connectors.his.intake import Intake as Messages
from connectors.http.door import Door
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.sqlite import SqliteJournal
from connectors.stores.lake.ingest import ingest_his, ingest_pacs
from connectors.stores.object_store.files import FileObjectStore

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NAME = "ZHUGE^KONG MING=诸葛^孔明"
E = b"\x1b$)A"
WRITTEN = [
    "诸葛孔明", "诸葛　孔明", "诸葛  孔明", "诸葛-孔明", "诸葛.孔明", "诸葛^孔明", "诸葛·孔明", "孔明 诸葛", "孔明，诸葛",
    "ZHUGEKONGMING", "Zhuge Kong-Ming",
    "zhuge  kong ming", "KONG MING, ZHUGE", "Kongming.Zhuge", "zhuge_kongming", "ＺＨＵＧＥ　ＫＯＮＧＭＩＮＧ", "诸\u200b葛孔明",
    "诸葛", "孔明", "Kongming", "kong ming",
]  # fmt: skip
WHOLE = WRITTEN[: WRITTEN.index("诸葛")]
# what a field of 16 bytes leaves of a name
OF_SIXTEEN = [
    b"BONE ZHUGE KONGM",
    "骨显像检查诸葛孔".encode("gb18030"),
    "骨 ab诸葛孔明".encode()[:16],
    "骨显像检 诸葛孔明".encode("gb18030")[:16],
]
NM = b"1.2.840.10008.5.1.4.1.1.20"


def coded() -> list[bytes]:
    """Return the spellings in the character sets that hold them, and with escapes of ISO 2022."""
    out = [w.encode(c) for w in WRITTEN for c in ("utf-8", "gb18030")]
    return [
        *out,
        E + "诸葛孔明".encode("gb2312"),
        E + "诸葛".encode("gb2312") + b" " + E + "孔明".encode("gb2312"),
        "诸葛孔明".encode("hz"),
        b"bone ZHUGE late",
        *OF_SIXTEEN,
    ]


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    return struct.pack("<HH", group, number) + vr + struct.pack("<H", len(value)) + value


def image(n: int, charset: bytes, name: bytes, text: bytes) -> Received:
    uid = f"1.2.3.{n}".encode()
    data = b"".join([
        element(8, 5, b"CS", charset), element(8, 0x16, b"UI", NM), element(8, 0x18, b"UI", uid + b"\0" * (len(uid) % 2)),
        element(8, 0x60, b"CS", b"NM"), element(8, 0x1030, b"LO", text), element(8, 0x103E, b"LO", text), element(8, 0x1070, b"PN", name),
        element(0x10, 0x10, b"PN", name), element(0x10, 0x20, b"LO", b"MRN880012"), element(0x18, 0x1030, b"LO", text),
        element(0x18, 0x4000, b"LT", text),
        element(0x20, 0xD, b"UI", f"1.2.4.{n}".encode()), element(0x20, 0xE, b"UI", f"1.2.5.{n}".encode()), element(0x20, 0x10, b"SH", text),
    ])  # fmt: skip
    return Received(NM.decode(), uid.decode(), "1.2.840.10008.1.2.1", "SPCT1", data)


@pytest.mark.req("DC-11")
def test_no_name_stands_in_journal_lake_objects_or_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = load(home=tmp_path / "var", min_free_mib=1)
    keys = Keys.of(settings)
    vault = Vault.of(settings, keys)
    sealed = FileObjectStore(settings.objects / "sealed", keys.seal, keys.unseal).open()
    clear = FileObjectStore(settings.objects / "clear").open()
    pacs, hl7, door_journal = (SqliteJournal(settings.journals / f"{n}.db") for n in ("dicom", "hl7", "events"))
    images = Images(settings, pacs, sealed, clear, vault, keys)
    answers = []
    names = {b"ISO_IR 192": NAME.encode(), b"GB18030": NAME.encode("gb18030"), b"ISO_IR 100": NAME.encode("gb18030"),
             b"\\ISO 2022 IR 58": b"ZHUGE^KONG MING=" + E + "诸葛".encode("gb2312") + b"^" + E + "孔明".encode("gb2312")}  # fmt: skip
    for n, (charset, text) in enumerate((c, t) for c in names for t in coded()):
        answers.append(images.store(image(n, charset, names[charset], text), NOW).status)
        if answers[-1] == 0:
            pacs.append([series_event(settings, pacs, clear, f"1.2.5.{n}", NOW)])
    odd = Received(NM.decode(), "ZHUGE KONGMING", "1.2.840.10008.1.2.1", "SPCT1", image(9999, b"", b"X", b"Y").data)
    assert images.store(odd, NOW).status and answers.count(0) == len(answers)
    messages = Messages(settings, keys, vault, sealed, hl7, lambda: NOW)
    for n, text in enumerate(coded()):
        for own in ("utf-8", "gb18030"):
            for k, (kind, body) in enumerate((
                (b"ORM^O01", b"ORC|NW|%b|A1|||||||%b\rOBR|1|||BONE %b^%b|||||||||%b" + b"|" * 18 + b"x %b^y %b"),
                (b"ORM^O01", b"ORC|NW||A1\rOBR|1|||BONE" + b"|" * 32 + b"%b%b%b%b%b%b%b"),
                (b"ORU^R01", b"OBR|1||A1|X\rOBX|1|NM|%b^%b||%b|%b|%b\rOBX|2|TX|A||x %b~%b"),
                (b"%b^X", b"ORC|%b%b%b%b%b%b"), (b"ORM^O01", b"ORC|NW||A1\rOBR|1|||B\rOBX|1|NM|WEIGHT_KG||%b%b%b%b%b%b%b"),
                (b"ADT^A04", b"EVN|A04|%b\rPV1|1|O|%b^%b%b%b%b%b"),
                (b"ORM^O01", b"ORC|NW||A1||ZHUGE KONGMING\rOBR|1|||B" + b"|" * 15 + b"ZHUGE.KONG MING|ZHUGE KONGMING\r"
                 b"IPC|A1|P1|1.2|S1|||||ZHUGE KONGMING"),
            )):  # fmt: skip
                filled = (kind + b"\0" + body).replace(b"%b", text.replace(b"^", b" ")).split(b"\0")
                head = f"MSH|^~\\&|HIS|H|PP|M|20261201080000||\0|Z{n}-{own}-{k} \1|P|2.5.1\r".encode()
                head += "PID|1||MRN880012||ZHUGE^KONG MING~诸葛^孔明||1970|F\r".encode(own)
                messages.receive(
                    Frame(head.replace(b"\0", filled[0]).replace(b"\1", text.replace(b"^", b" ")) + filled[1] + b"\r"), "peer"
                )
    door = Door(settings, door_journal, sealed, clear, vault, keys, lambda: NOW)
    at = "2026-12-01T00:00:00Z"
    told = {"event_number": "1", "accession_number": "A1", "device_id": None, "room_id": None, "category": "fall", "severity": "minor",
            "occurred_at_utc": at, "reported_at_utc": at, "reported_by": "T01"}  # fmt: skip
    for n, text in enumerate(WRITTEN):
        event = {
            "specversion": "1.0",
            "id": f"e{n}",
            "source": "urn:photopeak:tablet",
            "type": "adverse.event",
            "time": at,
            "subject": "x",
        }
        for k, accession in enumerate(("A1", None)):
            data = {**told, "accession_number": accession, "description": f"patient {text} (MRN 880012) fell"}
            whole = text if text in WHOLE else ""
            event |= {"id": f"{whole}_e{n}-{k}.pdf", "subject": f"fall {whole}"}
            data["event_number"] = f"AE {n}-{k} {whole}"
            assert door.take([{**event, "data": data}], "tablet").stored == 1
        sheet = {
            "procedure": "thyroid_static",
            "title": f"scan {whole}",
            f"of {whole}": [{"label": whole}],
            "station_name": whole,
        }
        assert door.take([{**event, "id": f"s{n}", "type": "device.report", "data": sheet}], "tablet").stored == 1
        refused = door.take([{**event, "id": f"t{n}", "type": f"report {text}", "data": {}}], "tablet").quarantined
        assert len(refused) == 1
    ingest_pacs(settings)
    ingest_his(settings)
    for journal in (pacs, hl7, door_journal):
        journal.close()
    vault.close()
    (settings.home / "log").mkdir(exist_ok=True)
    (settings.home / "log" / "all.log").write_text(caplog.text, encoding="utf-8")
    assert (settings.home / "lake" / "events").is_dir()
    assert leaks(settings.home, [NAME]) == []


@pytest.mark.req("DC-11")
def test_the_names_that_the_hospital_told_are_looked_for_in_images_that_know_none(tmp_path: Path) -> None:
    """The scanner writes pinyin, or nothing; the orders told the characters, an alias, a former name and other numbers."""
    settings = load(home=tmp_path / "var", min_free_mib=1)
    keys = Keys.of(settings)
    vault = Vault.of(settings, keys)
    sealed, clear = (FileObjectStore(settings.objects / n).open() for n in ("sealed", "clear"))
    pacs, hl7 = (SqliteJournal(settings.journals / f"{n}.db") for n in ("dicom", "hl7"))
    messages = Messages(settings, keys, vault, sealed, hl7, lambda: NOW)
    for n, name in enumerate(("Altmannq^Karin", "张琪^三丰~Zhangqi^Sanfeng", "张琪^三丰~Zhangqi^Sanfeng")):
        text = (
            f"MSH|^~\\&|HIS|H|PP|M|2026120108000{n}||ORM^O01|M{n}|P|2.5.1||||||UNICODE UTF-8\r"
            f"PID|1|OLDP12345|MRN880012~SECQ7788|ALTP13579|{name}||19630517|F|Dietrichq^Marlene\r"
            f"ORC|NW||A{n}\rOBR|1|||BONE|||||||||||||||||||||||||||vormals Karin Altmannq, Marlene Dietrichq, OLDP12345, ALTP13579, *17.5.1963\r"
        )
        assert b"|AA|" in messages.receive(Frame(text.encode(), None), "peer")[0]
    orders = [e for _, e in hl7.read(0) if e.type == "his.order"]
    assert [e.data["indication"] for e in orders] == ["vormals █, █, █, █, *█"] * 3
    images = Images(settings, pacs, sealed, clear, vault, keys)
    told = [
        "张琪三丰 骨扫描",
        "張琪三豐",
        "Altmannq Karin",
        "Marlene Dietrichq",
        "SECQ7788",
        "OLDP12345",
        "ALTP13579",
        "geb. 17.05.1963",
    ]
    for n, text in enumerate(told):
        # of the same patient; and of the same order, under a number that the hospital never told
        for k, patient_id in enumerate((b"MRN880012", b"MRN880013")):
            one = image(100 * k + n, b"ISO_IR 192", b"ZQ^SF", text.encode())
            data = one.data.replace(b"MRN880012 ", patient_id + b" ")
            data = data.replace(element(8, 0x60, b"CS", b"NM"), element(8, 0x50, b"SH", b"A2") + element(8, 0x60, b"CS", b"NM"))
            assert images.store(Received(one.sop_class, one.sop_instance, one.transfer_syntax, "SPCT1", data), NOW).status == 0
            event = series_event(settings, pacs, clear, f"1.2.5.{100 * k + n}", NOW)
            assert (event.data["series_description"], event.data["accession_number"]) == (None, "A2"), text
    for stored in (pacs, hl7):
        stored.close()
    vault.close()
    for part in ("objects/clear", "journal"):
        assert leaks(settings.home / part, ["Zhangqi^Sanfeng=张琪^三丰", "Altmannq^Karin", "Dietrichq^Marlene"]) == []


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    for n, text in enumerate(coded()):
        (tmp_path / f"{n}.txt").write_bytes(b"bone " + text + b" late")
    assert {place for place, _ in leaks(tmp_path, [NAME])} == {f"{n}.txt" for n in range(len(coded()))}
    (tmp_path / "0.txt").write_text("a different person, 诸 and 明")
    assert "0.txt" not in {place for place, _ in leaks(tmp_path, [NAME])}

"""No name of the patient is left in the clear copy, in whatever character set and spelling the camera wrote it."""

import struct
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from connectors.dicom.storage.pseudonymise import identity_of, pseudonymised
from connectors.identity import Keys

KEYS = Keys("MAIN", b"p" * 32, b"s" * 32)
E = b"\x1b$)A"
SPELLINGS = ("utf-8", "gb18030", "big5", "hz", "iso2022_jp_2", "utf-16-le")


def gb(text: str) -> bytes:
    return text.encode("gb18030")


def element(tag: int, vr: str, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    length = struct.pack("<HL", 0, len(value)) if vr in ("OB", "UN", "UR") else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + value


def received(charset: bytes | None, name: bytes, described: bytes, tag: int = 0x00081030, vr: str = "LO") -> Dataset:
    """Return a data set as a reader has it, with these very bytes (pydicom would write them anew in the declared set)."""
    values = [(0x00080005, "CS", charset), (0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.20"), (0x00080018, "UI", b"1.2.3"),
              (0x00100010, "PN", name), (0x00100020, "LO", b"P1"), (tag, vr, described)]  # fmt: skip
    meta = Dataset()
    meta.file_meta = FileMetaDataset()
    meta.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SOPClassUID, meta.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", "1.2.3"
    head = BytesIO()
    meta.save_as(head, enforce_file_format=True)
    group2 = head.getvalue()[: -len(b"".join(element(t, v, x + b"\0" * (len(x) % 2)) for t, v, x in values[1:3]))]
    return dcmread(BytesIO(group2 + b"".join(element(t, v, x) for t, v, x in sorted(values) if x is not None)))


def kept(ds: Dataset) -> bytes:
    return pseudonymised(ds, str(ds.PatientID), KEYS)


@pytest.mark.req("DC-11")
@pytest.mark.parametrize(
    ("charset", "name", "described"),
    [
        (b"GB18030", gb("诸葛^孔明"), gb("诸葛孔明 bone")),
        (b"ISO_IR 192", "诸葛^孔明".encode(), "诸葛孔明 bone".encode()),
        (b"ISO_IR 100", gb("诸葛^孔明"), gb("诸葛孔明 bone")),
        (None, gb("诸葛^孔明"), gb("诸葛孔明 bone")),
        (b"ISO_IR 192", gb("诸葛^孔明"), gb("诸葛孔明 bone")),
        (b"GB18030", gb("诸葛^孔明"), "诸葛孔明 bone".encode()),
        (b"ISO_IR 192", "诸葛^孔明".encode(), gb("诸葛孔明 bone")),
        (b"ISO_IR 192", "诸葛^孔明".encode(), E + gb("诸葛") + b" " + E + gb("孔明")),
        (b"\\ISO 2022 IR 58", E + gb("诸葛") + b"^" + E + gb("孔明"), E + gb("诸葛孔明") + b" bone"),
        (b"\\ISO 2022 IR 58", b"Zhuge^Kongming=" + E + gb("诸葛") + b"^" + E + gb("孔明"), b"bone " + E + gb("孔明 诸葛")),
        (b"\\ISO 2022 IR 58", E + gb("诸葛孔明"), b"bone " + E + gb("诸葛") + b"\x1b(B " + E + gb("孔明")),
        (b"\\ISO 2022 IR 58", E + gb("诸葛") + b"^" + E + gb("孔明"), b"Bone " + gb("诸葛-孔明")),
        (b"GB18030", gb("诸葛^孔明"), gb("诸葛　孔明 bone")),
        (b"GB18030", b"ZHUGE^KONG MING=" + gb("诸葛^孔明"), gb("ｋｏｎｇ－ｍｉｎｇ．ｚｈｕｇｅ")),
        (b"GB18030", b"ZHUGE^KONG MING=" + gb("诸葛^孔明") + b"=ZHU GE^KONG MING", b"zhu  ge, kongming"),
        (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "홍길동".encode("euc_kr")),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=" + "山田^太郎".encode("iso2022_jp"), "山田 太郎".encode("cp932")),
        (b"ISO_IR 100", b"M\xfcller^J\xfcrgen", "MÜLLER, JURGEN".encode()),
        (b"ISO_IR 192", "诸葛^孔明".encode(), b"id " + b"13912345678"),
        (None, "Жуковский^Николай".encode("koi8_r"), "ЖуковскийНиколай".encode("koi8_r")),
        (b"ISO_IR 100", "Иванов^Пётр".encode("koi8_r"), "Пётр Иванов".encode("koi8_r")),
        (None, "Кузнецов^Дмитрий".encode("cp1251"), "bone Кузнецов Дмитрий".encode("cp1251")),
        (b"ISO_IR 192", "Щербаков^Фёдор".encode("iso8859_5"), "Фёдор Щербаков".encode("iso8859_5")),
        (b"ISO_IR 100", "許^功蓋".encode("big5"), "許功蓋".encode("big5")),
        (None, "鈴木^一朗丸".encode("cp932"), "鈴木 一朗丸".encode("cp932")),
        (None, "渡辺^健二郎".encode("euc_jp"), "渡辺健二郎".encode("euc_jp")),
        (b"ISO_IR 100", "뷁똠^쌰힣".encode("cp949"), "쌰힣 뷁똠".encode("cp949")),
        (b"ISO_IR 192", "박^지영쌍".encode(), "박지영쌍".encode().decode("latin-1").encode()),
        (b"ISO_IR 192", "Nguyễn^Thị Hạnh".encode(), "NguyễnThị Hạnh study".encode().decode("latin-1").encode()),
        (b"ISO_IR 192", "Nguyễn^Thị Hạnh".encode(), "Hạnh Thị Nguyễn".encode()),
        (b"ISO_IR 100", "Grönemeyer^Jürgen".encode("latin-1"), b"GROENEMEYER JUERGEN"),
        (b"ISO_IR 101", "Wójcik^Łukasz".encode("iso8859_2"), b"WOJCIK LUKASZ"),
        (b"ISO_IR 148", "Yıldırım^İbrahim".encode("iso8859_9"), b"YILDIRIM IBRAHIM"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00081030, "LO"), (0x00200010, "SH"), (0x0008103E, "OB"), (0x00181030, "UN"), (0x00081190, "UR")]
)
def test_a_text_that_names_the_patient_is_emptied(charset, name, described, tag, vr):
    ds = received(charset, name, described, tag, vr)
    copy = kept(ds)
    assert not dcmread(BytesIO(copy)).get_item(tag).value
    for text in ("诸葛", "孔明", "山田", "홍길동"):
        for codec in SPELLINGS:
            try:
                assert text.encode(codec) not in copy
            except UnicodeEncodeError:
                continue


@pytest.mark.parametrize(
    "described", [b"Whole body bone", gb("全身骨显像"), "全身骨显像 SPECT/CT".encode(), b"Zhu protocol", gb("孔 明胶")]
)
def test_a_text_that_names_nobody_stays(described):
    copy = dcmread(BytesIO(kept(received(b"GB18030", b"ZHUGE^KONG MING=" + gb("诸葛^孔明宽"), described))))
    assert bytes(copy.get_item(0x00081030).value).strip() == described


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (b"ISO_IR 100", gb("张^三")), (None, "张^三".encode()), (b"ISO_IR 192", gb("张^三")), (b"GB18030", "张^三".encode()),
        (b"\\ISO 2022 IR 58", E + gb("张") + b"^" + E + gb("三")),
    ],
)  # fmt: skip
def test_the_vault_knows_the_name_that_was_meant(charset, name):
    assert identity_of(received(charset, name, b"bone"))["name"] == "张^三"


def test_names_under_another_vr_and_hidden_elements_go():
    ds = received(b"ISO_IR 192", b"A^B", b"OPERATOR WANG", 0x00081070, "LO")
    assert not dcmread(BytesIO(kept(ds))).OperatorsName
    for tag, vr in ((0xFFFCFFFC, "OB"), (0x00184000, "LT"), (0x00209158, "LT")):
        assert tag not in dcmread(BytesIO(kept(received(b"ISO_IR 192", b"A^B", b"Mr Z bed 12", tag, vr))))

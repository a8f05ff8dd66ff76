"""One canonical form: the same image in every encoding, orientation and order gives equal arrays; the rest is refused with a reason."""

import shutil
import struct
import subprocess
import zlib
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless
from qc_images import DATA, dicom, item

from spark_jobs import decoding
from spark_jobs.decoding import Unreadable
from spark_jobs.measure import measure_series
from spark_jobs.reading import read

IMAGE = np.random.default_rng(0).poisson(np.linspace(10, 900, 48 * 64).reshape(48, 64))
AXIAL = {"ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"], "ImagePositionPatient": ["-30", "-20", "7"]}
DCMTK = {
    "big endian": ["dcmconv", "+tb"],
    "implicit": ["dcmconv", "+ti"],
    "deflated": ["dcmconv", "+td"],
    "JPEG-LS": ["dcmcjpls"],
    "RLE": ["dcmcrle"],
    "JPEG lossless": ["dcmcjpeg", "+e1"],
}


def edited(data: bytes, **tags: object) -> bytes:
    ds = pydicom.dcmread(BytesIO(data))
    for name, value in tags.items():
        setattr(ds, name, value)
    return written(ds)


def written(ds: pydicom.Dataset, **options: object) -> bytes:
    out = BytesIO()
    ds.save_as(out, **options)
    return out.getvalue()


def same(data: bytes, expected: np.ndarray = IMAGE) -> bool:
    pixels = read(data).pixels
    assert pixels.dtype.isnative and pixels.flags.c_contiguous
    return pixels.shape[1:] == expected.shape[-2:] and bool((pixels == expected).all())


@pytest.mark.req("ENG-04")
@pytest.mark.parametrize("name", DCMTK)
def test_what_dcmtk_encodes_is_read_back_equal(name, tmp_path):
    program, *options = DCMTK[name]
    if not shutil.which(program):
        pytest.skip(f"{program} of dcmtk is not installed")
    for signed in (False, True):
        plain = dicom(np.stack([IMAGE, IMAGE[::-1]]), signed=signed)
        (tmp_path / "plain.dcm").write_bytes(plain)
        subprocess.run([program, *options, tmp_path / "plain.dcm", tmp_path / "coded.dcm"], check=True, capture_output=True)
        coded = (tmp_path / "coded.dcm").read_bytes()
        assert pydicom.dcmread(BytesIO(coded)).file_meta.TransferSyntaxUID != "1.2.840.10008.1.2.1"
        assert same(coded, np.stack([IMAGE, IMAGE[::-1]])) and same(plain, np.stack([IMAGE, IMAGE[::-1]]))
        assert not read(coded).is_lossy


@pytest.mark.req("ENG-04")
def test_pydicoms_own_encodings_bits_and_photometric_give_equal_arrays():
    for syntax in (JPEG2000Lossless, RLELossless):
        ds = pydicom.dcmread(BytesIO(dicom(IMAGE)))
        ds.compress(syntax, generate_instance_uid=False)
        assert same(written(ds))
    ds = pydicom.dcmread(BytesIO(dicom(IMAGE)))
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert same(written(ds))
    fresh = pydicom.Dataset()
    fresh.update(ds)
    fresh.file_meta = pydicom.dataset.FileMetaDataset()
    fresh.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    fresh.PixelData = IMAGE.astype(">u2").tobytes()
    assert same(written(fresh, implicit_vr=False, little_endian=False, enforce_file_format=True))
    assert same(dicom(IMAGE, signed=True)) and same(dicom(IMAGE, BitsStored=12, HighBit=11))
    assert same(dicom(IMAGE, PhotometricInterpretation="MONOCHROME1"))  # how it is shown, not what a value means
    small = IMAGE // 4
    assert same(edited(dicom(IMAGE), BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=small.astype("u1").tobytes()), small)
    wide = IMAGE.astype("<u4").tobytes()
    assert same(edited(dicom(IMAGE), BitsAllocated=32, BitsStored=32, HighBit=31, PixelData=wide))


@pytest.mark.req("ENG-04")
@pytest.mark.skipif(not DATA.exists(), reason="the folder with real images is not there")
def test_the_real_bone_scan_in_three_lossless_encodings_is_one_array():
    """The fourth, called uncompressed, was lossy once (its header says so): it is its own image, and marked."""
    files = [read((DATA / "nm_whole_body" / f"bone_{n}.dcm").read_bytes()) for n in ("rle", "j2kr", "jpll", "uncompressed")]
    arrays = [f.pixels for f in files]
    assert all(a.dtype.kind == "i" and (a == arrays[0]).all() for a in arrays[:3]) and arrays[0].sum() == 3_596_452
    assert [f.is_lossy for f in files] == [False, False, False, True] and not (arrays[3] == arrays[0]).all()


PT = "1.2.840.10008.5.1.4.1.1.128"
NO_SPACING = [
    ["0", "0"],
    ["2.4", "2.6"],
    ["-2.4", "2.4"],
    ["2.4", "-2.4"],
    ["-2.4", "-2.4"],
    ["nan", "nan"],
    ["inf", "inf"],
    ["1e-6", "1e-6"],
    ["2400", "2400"],
]


@pytest.mark.req("ENG-04")
@pytest.mark.parametrize("tags", [{"pixel_mm": None}, *({"PixelSpacing": s} for s in NO_SPACING)])
def test_a_spacing_that_gives_no_millimetre_is_none(tags):
    axial = {"ImageOrientationPatient": ["0", "1", "0", "-1", "0", "0"], "ImagePositionPatient": ["0", "0", "0"]}
    for about in (
        {},
        {"modality": "CT", "kind": "AXIAL", **axial},
        {"modality": "PT", "kind": "PRIMARY", "SOPClassUID": PT, **axial},
    ):
        data = dicom(IMAGE, **{**about, **tags})
        assert read(data).pixel_mm is None
        (result,) = measure_series([data])
        assert result.status == "not_measured" and "PixelSpacing" in result.reason and not result.measures


def in_patient(instance) -> dict[tuple[float, float, float], float]:
    """Where each value lies in the patient, from the header as it stands (PS3.3 C.7.6.2.1.1)."""
    ds = instance.dataset
    axes = np.array(ds.ImageOrientationPatient, float)
    row_mm, column_mm = (float(v) for v in ds.PixelSpacing)
    out = {}
    for (r, c), value in np.ndenumerate(instance.pixels[0]):
        place = np.array(ds.ImagePositionPatient, float) + axes[:3] * column_mm * c + axes[3:] * row_mm * r
        out[tuple((np.round(place, 3) + 0.0).tolist())] = float(value)
    return out


@pytest.mark.req("ENG-04")
@pytest.mark.parametrize("modality", ["CT", "PT"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rows_up", [False, True])
@pytest.mark.parametrize("columns_left", [False, True])
def test_every_axial_orientation_becomes_one_and_the_position_follows(modality, transposed, rows_up, columns_left):
    """The same slice, written in the eight ways that a header can describe it."""
    pixels, row, column = IMAGE, np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    position = np.array([-30.0, -20, 7])
    if rows_up:
        pixels, position, column = pixels[::-1], position + column * 2.4 * (pixels.shape[0] - 1), -column
    if columns_left:
        pixels, position, row = pixels[:, ::-1], position + row * 2.4 * (pixels.shape[1] - 1), -row
    if transposed:
        pixels, row, column = pixels.T, column, row
    tags = {"ImageOrientationPatient": [*row, *column], "ImagePositionPatient": list(position)}
    turned = read(dicom(pixels, modality=modality, kind="AXIAL", **tags))
    plain = read(dicom(IMAGE, modality=modality, kind="AXIAL", **AXIAL))
    assert (turned.rows, turned.columns) == IMAGE.shape == turned.pixels.shape[1:]
    assert (turned.pixels == plain.pixels).all() and in_patient(turned) == in_patient(plain)
    assert turned.position_mm == plain.position_mm == 7


@pytest.mark.req("ENG-04")
@pytest.mark.parametrize("spacing", [3.0, -3.0])
def test_reconstructed_slices_are_stacked_one_way_whatever_the_sign_of_their_spacing(spacing):
    stack = np.stack([IMAGE + 10 * k for k in range(5)])
    stored, first = (stack, "7") if spacing > 0 else (stack[::-1], "19")
    head = [item(ImageOrientationPatient=AXIAL["ImageOrientationPatient"], ImagePositionPatient=["-30", "-20", first])]
    tags = {"SpacingBetweenSlices": str(spacing), "SliceVector": [1, 2, 3, 4, 5], "DetectorInformationSequence": head}
    got = read(dicom(stored, kind="RECON TOMO", **tags))
    assert (got.pixels == stack).all() and got.dataset.SpacingBetweenSlices == 3
    assert float(got.dataset.DetectorInformationSequence[0].ImagePositionPatient[2]) == 7


@pytest.mark.req("ENG-04")
def test_frames_lie_in_the_order_of_their_vectors():
    rng = np.random.default_rng(1)
    stack = np.stack([IMAGE + k for k in range(12)])
    windows, heads, views = np.repeat([1, 2], 6), np.tile(np.repeat([1, 2], 3), 2), np.tile([1, 2, 3], 4)
    names = ("EnergyWindowVector", "DetectorVector", "AngularViewVector")
    for order in (np.arange(12), np.arange(12)[::-1], rng.permutation(12)):
        tags = {n: v[order].tolist() for n, v in zip(names, (windows, heads, views), strict=True)}
        got = read(dicom(stack[order], kind="TOMO", **tags))
        assert (got.pixels == stack).all()
        assert all((got.vector(n) == v).all() for n, v in zip(names, (windows, heads, views), strict=True))
    twice = {"AngularViewVector": [2, 1] * 6}  # real headers repeat them: then the file's own order stands
    got = read(dicom(stack, kind="TOMO", **twice))
    assert (got.pixels == stack).all() and got.vector("AngularViewVector").tolist() == [2, 1] * 6


@pytest.mark.req("ENG-04")
def test_rescale_gives_counts_and_hounsfield_units_and_padding_is_air():
    assert same(dicom(IMAGE, RescaleSlope="3", RescaleIntercept="-2"), IMAGE * 3 - 2)
    recon = read(dicom(np.stack([IMAGE] * 2), kind="RECON TOMO", RescaleSlope="0.5", RescaleIntercept="0", SliceVector=[1, 2]))
    assert np.allclose(recon.values, IMAGE / 2) and (recon.pixels == IMAGE).all()
    with pytest.raises(Unreadable, match="no counts"):
        _ = read(dicom(IMAGE, RescaleSlope="0.37", RescaleIntercept="0")).pixels
    holed = IMAGE.copy()
    holed[:3] = -2000
    scale = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "signed": True}
    ct = dicom(holed, modality="CT", kind="AXIAL", **scale)
    ds = pydicom.dcmread(BytesIO(ct))
    ds.add_new("PixelPaddingValue", "SS", -2000)
    padded = written(ds)
    assert read(ct).hu[0, 0] == -3024 and read(padded).hu[0, 0] == -1000
    assert read(ct).hu[5, 5] == IMAGE[5, 5] - 1024


def codestream_bomb() -> bytes:
    ds = pydicom.dcmread(BytesIO(dicom(IMAGE)))
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    return written(ds).replace(struct.pack(">II", 64, 48), struct.pack(">II", 60_000, 60_000), 1)


def deflated_bomb() -> bytes:
    plain = dicom(IMAGE)
    start = 144 + struct.unpack("<I", plain[140:144])[0]
    meta = plain[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta.replace(b"UI\x14\x001.2.840.10008.1.2.1.99", b"UI\x16\x001.2.840.10008.1.2.1.99")
    meta = meta[:140] + struct.pack("<I", len(meta) - 144) + meta[144:]
    press = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [press.compress(bytes(2**24)) for _ in range(4)]  # 64 MiB of zeros in 64 kB
    return meta + b"".join(parts) + press.flush()


def colour() -> bytes:
    return edited(dicom(IMAGE), SamplesPerPixel=3, PhotometricInterpretation="RGB")


def jpeg_2000_of_another_syntax() -> bytes:
    ds = pydicom.dcmread(BytesIO(dicom(IMAGE)))
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2
    ds.PixelData = encapsulate([b"\0\0\1\xb3" + bytes(64)])
    ds["PixelData"].is_undefined_length = True
    return written(ds)


REFUSED = {
    "absurd frames": (lambda: edited(dicom(IMAGE), NumberOfFrames=2_000_000_000), "cannot be"),
    "absurd size": (lambda: edited(dicom(IMAGE), Rows=65535, Columns=65535), "cannot be"),
    "no frames": (lambda: edited(dicom(IMAGE), NumberOfFrames=-1), "-1 frames"),
    "cut short": (lambda: edited(dicom(IMAGE), NumberOfFrames=3), "cut short"),
    "more than announced": (lambda: edited(dicom(np.stack([IMAGE] * 3)), NumberOfFrames=2), "hold 3"),
    "bomb in the codestream": (codestream_bomb, "60000"),
    "deflated bomb": (deflated_bomb, "grows beyond"),
    "bits": (lambda: dicom(IMAGE, HighBit=11), "HighBit"),
    "colour": (colour, "colour"),
    "video": (jpeg_2000_of_another_syntax, "not supported"),
    "enhanced": (lambda: dicom(IMAGE, PerFrameFunctionalGroupsSequence=[item(InstanceNumber=1)]), "functional groups"),
    "vectors": (lambda: dicom(np.stack([IMAGE] * 3), AngularViewVector=[1, 2]), "2 values for 3 frames"),
    "other modality inverted": (lambda: dicom(IMAGE, modality="DX", PhotometricInterpretation="MONOCHROME1"), "MONOCHROME1"),
}


@pytest.mark.req("ENG-04")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_absurd_contradictory_or_not_supported_is_refused_with_a_reason(name, monkeypatch):
    make, word = REFUSED[name]
    data = make()
    if name == "deflated bomb":
        monkeypatch.setattr(decoding, "LARGEST_BYTES", 2**25)
    with pytest.raises(Unreadable, match=word):
        _ = read(data).pixels


@pytest.mark.req("ENG-04")
def test_a_lossy_transfer_syntax_is_lossy_whatever_the_header_leaves_out():
    ds = pydicom.dcmread(BytesIO(dicom(IMAGE)))
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    assert not read(written(ds)).is_lossy
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.91"
    assert read(written(ds)).is_lossy
    ds.LossyImageCompression = "00"
    assert not read(written(ds)).is_lossy
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    assert read(written(ds)).is_lossy

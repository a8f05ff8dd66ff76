"""What the engine loads for one image, seen from a fresh process; and that whoever needs what was left out gets it whole."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless
from qc_images import DATA, dicom, lit

from spark_jobs.qc.numerics.order import median, percentile

LEFT_OUT = [
    "PIL", "_hashlib", "email", "http", "importlib.metadata", "libjpeg", "numpy.ma", "numpy.random", "openjpeg", "pandas", "pydicom._private_dict",
    "pydicom.data", "pydicom.examples", "pylibjpeg", "requests", "rle", "scipy", "ssl", "tempfile", "urllib.request", "xml.etree",
]  # fmt: skip
MEASURE = """
import sys
from pathlib import Path
from spark_jobs.measure import measure_instances
from spark_jobs.reading import read_file
(result,) = measure_instances([read_file(Path(sys.argv[1]))])
assert (result.procedure, result.status) == ("planar_uniformity", "measured"), result
"""


def _python(program: str, *arguments: object) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], check=True, capture_output=True, text=True, timeout=60
    ).stdout


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "flood.dcm"
    counts = np.random.default_rng(0).poisson(lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 6_000)
    path.write_bytes(dicom(counts, pixel_mm=2.4, NumberOfFrames=1))
    return path


@pytest.mark.req("ENG-03")
def test_one_flood_is_measured_without_what_no_image_needs(image):
    assert _python(MEASURE + f"print([name for name in {LEFT_OUT} if name in sys.modules])", image).strip() == "[]"


def test_who_comes_after_the_engine_gets_whole_modules(image):
    after = """
import hashlib, hmac, importlib.metadata, pydicom, pydicom.data, pydicom.examples, ssl, tempfile, PIL.Image
assert hashlib.scrypt(b"p", salt=b"s", n=2, r=1, p=1) and hmac.new(b"k", b"t", "sha256").digest()
assert importlib.metadata.version("pydicom") == pydicom.__version__
assert pydicom.examples.ct.Modality == "CT" and pydicom.data.get_testdata_files("CT_small.dcm")
from pydicom.pixels.processing import apply_color_lut, get_palette_files
assert get_palette_files("pet.dcm")
with tempfile.NamedTemporaryFile() as file: assert file.name
"""
    _python(MEASURE + after, image)


DECODE = """
import sys
from hashlib import sha256
from pathlib import Path
from spark_jobs.reading import read_file
for name in sys.argv[1:]: print(sha256(read_file(Path(name)).pixels.astype("<i8").tobytes()).hexdigest())
"""


@pytest.mark.req("ENG-04")
def test_decoders_come_with_the_first_compressed_image(image, tmp_path):
    coded = [image]
    for syntax in (JPEG2000Lossless, RLELossless):
        ds = pydicom.dcmread(image)
        ds.compress(syntax, generate_instance_uid=False)
        coded.append(tmp_path / f"{syntax.name}.dcm")
        ds.save_as(coded[-1])
    assert len(set(_python(DECODE, *coded).split())) == 1


@pytest.mark.req("ENG-04")
@pytest.mark.skipif(not DATA.exists(), reason="the folder with real images is not there")
def test_jpeg_lossless_and_rle_of_a_real_scan_are_one_array_in_a_fresh_process():
    files = [DATA / "nm_whole_body" / f"bone_{n}.dcm" for n in ("jpll", "rle", "j2kr")]
    assert len(set(_python(DECODE, *files).split())) == 1


def test_a_private_element_of_an_implicit_file_keeps_its_type(tmp_path):
    program = """
import sys
from io import BytesIO
from spark_jobs.lean_pydicom import load_pydicom
load_pydicom()
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian
ds = Dataset()
ds.file_meta = FileMetaDataset()
ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
block = ds.private_block(0x0009, "GEMS_PETD_01", create=True)
block.add_new(0x0D, "DT", "20260102030405")
out = BytesIO()
pydicom.dcmwrite(out, ds, enforce_file_format=False, implicit_vr=True, little_endian=True)
back = pydicom.dcmread(BytesIO(out.getvalue()), force=True)
assert "pydicom._private_dict" not in sys.modules
print(back[0x0009, 0x100D].VR, back[0x0009, 0x100D].value)
assert "pydicom._private_dict" in sys.modules
"""
    assert _python(program).split() == ["DT", "20260102030405"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int64])
@pytest.mark.parametrize("size", [1, 2, 3, 10, 1001])
def test_median_and_percentile_are_those_of_numpy(size, dtype):
    values = (np.random.default_rng(size).normal(120, 60, size).clip(0, 255)).astype(dtype)
    assert median(values) == np.median(values)
    for percent in (0, 10, 50, 85, 99.5, 100):
        assert percentile(values, percent) == pytest.approx(
            float(np.percentile(values, percent)), rel=1e-6 if dtype is np.float32 else 1e-14
        )


def test_what_is_no_number_has_no_median():
    for values in ([], [1.0, np.nan, 2.0]):
        assert np.isnan(median(values)) and np.isnan(percentile(values, 90))

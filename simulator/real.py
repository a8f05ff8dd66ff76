"""Real images that go in through the same door: bone scans inside the pydicom package, and a folder of others."""

import os
from pathlib import Path

import pydicom

__all__ = ["real_files"]

SHIPPED = ("JPEG2000.dcm", "JPGExtended.dcm")  # one GE Millennium scan in two encodings, each with a SOP Instance UID of its own
ALONGSIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def real_files() -> list[Path]:
    """Return the scans that ship inside pydicom (nothing is downloaded), and the images of the folder of real data if present.

    bone_uncompressed.dcm is left out: it carries the SOP Instance UID of JPEG2000.dcm over other bytes, which a node refuses.
    """
    here = Path(pydicom.__file__).parent / "data" / "test_files"
    folder = Path(os.environ.get("PHOTOPEAK_REAL_DATA") or ALONGSIDE)
    more = [p for name in ("nm_whole_body", "nm_phantoms", "ct_catphan604") for p in sorted((folder / name).glob("*.dcm"))]
    return [*(here / name for name in SHIPPED), *(p for p in more if p.name != "bone_uncompressed.dcm")]

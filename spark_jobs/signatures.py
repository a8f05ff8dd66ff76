"""What the first bytes of a file, and the class of a DICOM object, say it is: a reason of its own for all that is no image."""

from messages import because

__all__ = ["foreign", "is_bare", "is_image", "no_image"]

# what people put into folders of images; the first match counts
SIGNATURES = (
    (b"PK\x03\x04", "a ZIP archive: unpack it, and name the folder"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a compressed archive (gzip): unpack it, and name the folder"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed archive (7z): unpack it, and name the folder"),
    (b"Rar!", "a compressed archive (RAR): unpack it, and name the folder"),
    (b"BZh", "a compressed archive (bzip2): unpack it, and name the folder"),
    (b"\xfd7zXZ", "a compressed archive (xz): unpack it, and name the folder"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture: export the image as DICOM"),
    (b"\xff\xd8\xff", "a JPEG picture: export the image as DICOM"),
    (b"GIF8", "a GIF picture: export the image as DICOM"),
    (b"II*\0", "a TIFF picture: export the image as DICOM"),
    (b"MM\0*", "a TIFF picture: export the image as DICOM"),
    (b"BM", "a BMP picture: export the image as DICOM"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"!INTERFILE", "an Interfile header: export the image as DICOM"),
)
TAR = b"ustar"  # at 257
# classes of DICOM objects (PS3.4 B.5, PS3.6 A) that hold no image to measure, by the beginning of their UID; the longest counts
STORAGE = "1.2.840.10008.5.1.4.1.1."
CLASSES = {
    "1.2.840.10008.1.3.10": "a DICOMDIR is a table of contents: name the folder of the images",
    f"{STORAGE}88.59": "a key object selection points to images and holds none",
    f"{STORAGE}88.": "a structured report holds no image",
    f"{STORAGE}11.": "a presentation state says how an image is shown and holds none",
    f"{STORAGE}481.1": "a radiotherapy image is not measured here",
    f"{STORAGE}481.2": "a radiotherapy dose distribution is no image of a scanner",
    f"{STORAGE}481.": "a radiotherapy object (structures, plan, record) holds no image to measure",
    f"{STORAGE}104.": "an encapsulated document (PDF, CDA, model) is no image",
    f"{STORAGE}9.": "a waveform is no image",
    f"{STORAGE}66.4": "a segmentation is no image of a scanner",
    f"{STORAGE}66.": "raw data, registrations and fiducials are no images",
    f"{STORAGE}67": "a real world value mapping belongs to an image and is none",
    f"{STORAGE}77.1.4.": "a photograph or video is not measured here",
    f"{STORAGE}80.": "ophthalmic measurements are no image",
    "1.2.840.10008.5.1.4.34.": "a radiotherapy instruction is no image",
    "1.2.840.10008.5.1.4.3": "a protocol or worklist object holds no image",
    "1.2.840.10008.5.1.4.4": "a protocol or template object holds no image",
}
VRS = {
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"PN", b"SH",
    b"SL", b"SQ", b"SS", b"ST", b"SV", b"TM", b"UC", b"UI", b"UL", b"UN", b"UR", b"US", b"UT", b"UV",
}  # fmt: skip
FIRST_GROUPS = (0x0002, 0x0008)  # a data set begins with what it is
LONGEST_FIRST = 128  # bytes: a group length, a character set, an image type, a UID


def foreign(head: bytes) -> str:
    """Return what a file is that is no DICOM file, from its first 512 bytes, as a reason."""
    if not head:
        return because("file.empty")
    if head[257:262] == TAR:
        return because("file.tar")
    if head.lstrip().startswith(b"["):
        return because("document.no_sheet")
    found = next((words for start, words in SIGNATURES if head.startswith(start)), None)
    return because("image.no_dicom") if found is None else because("file.other", what=found)


def no_image(sop_class: str) -> str | None:
    """Return why an object of this class holds no image to measure; None for classes that may."""
    found = [start for start in CLASSES if f"{sop_class}.".startswith(f"{start.removesuffix('.')}.")]
    return because("image.class_without_image", what=CLASSES[max(found, key=len)]) if found else None


def is_image(sop_class: str) -> bool:
    """Return whether a class is one of the standard's images."""
    return sop_class.startswith(STORAGE) and no_image(sop_class) is None


def is_bare(head: bytes) -> bool:
    """Return whether bytes begin as a DICOM data set without preamble and prefix, in any of the three native encodings (PS3.5 7.1)."""
    if len(head) < 16:
        return False
    for order in ("little", "big"):
        group, element = (int.from_bytes(head[k : k + 2], order) for k in (0, 2))  # type: ignore[arg-type]
        if group not in FIRST_GROUPS or element > 0x0100:
            continue
        if head[4:6] in VRS:
            return True
        length = int.from_bytes(head[4:8], "little")
        if order == "little" and length <= LONGEST_FIRST:  # implicit: another element of the same or a later group follows
            following = int.from_bytes(head[8 + length : 10 + length], "little")
            return group <= following <= 0x0020 and len(head) >= 16 + length
    return False

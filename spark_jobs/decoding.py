"""Stored values of a DICOM image, from any transfer syntax; what is absurd, contradictory or not supported is refused unread."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.lean_pydicom import load_decoder

__all__ = ["LARGEST_BYTES", "Unreadable", "decode", "is_deflated", "is_lossy", "refuse_cut", "refuse_inflated", "rescaled"]

LARGEST_BYTES = 2**30  # of a file and of an image in memory: 4000 slices of 512 × 512; more is a mistake or an attack
DEFLATED = b"1.2.840.10008.1.2.1.99"
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
# JPEG baseline and extended, JPEG-LS near-lossless; JPEG 2000 and HTJ2K may be either: those are believed lossless only when said so
LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81")
EITHER = ("1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203")
FRAME_HEADERS = {0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF of JPEG-LS and of JPEG; not DHT, JPG, DAC


class Unreadable(ValueError):
    """The bytes are no DICOM image that can be measured; the text says why."""


def decode(ds: Any) -> NDArray:
    """Return stored values as frames × rows × columns, in the byte order of this machine, or raise `Unreadable`.

    MONOCHROME1 changes how an image is shown and not what a stored value means (PS3.3 C.7.6.3.1.2): values are not inverted.
    """
    from pydicom.pixels import pixel_array

    rows, columns, frames, allocated = _shape(ds)
    if not ds.get("PhotometricInterpretation") and int(ds.get("SamplesPerPixel") or 1) == 1:
        raise Unreadable(because("header.empty", keyword="PhotometricInterpretation"))
    if int(ds.get("SamplesPerPixel") or 1) != 1 or not str(ds.get("PhotometricInterpretation", "")).startswith("MONOCHROME"):
        raise Unreadable(because("image.colour_picture"))
    if (syntax := _syntax(ds)).is_private or not syntax.is_transfer_syntax:
        raise Unreadable(because("image.transfer_syntax_unknown"))
    size = rows * columns * frames * allocated // 8
    if size > LARGEST_BYTES:
        raise Unreadable(because("image.frames_too_many", frames=frames, rows=rows, columns=columns, gib=size / 2**30))
    in_file = ds.get_item("PixelData", keep_deferred=True)
    try:
        if not ds.PixelData:
            raise Unreadable(because("image.pixels_empty"))
        if syntax in NATIVE:
            _same_length(len(ds.PixelData), size, frames)
        else:
            _same_size_inside(ds.PixelData, rows, columns)
            load_decoder(syntax)
        pixels = pixel_array(ds, view_only=True)
    except Unreadable:
        raise
    except NotImplementedError:
        raise Unreadable(because("image.transfer_syntax_unsupported", syntax=syntax.name)) from None
    except OSError as exc:
        if exc.errno is not None:
            raise
        raise Unreadable(because("file.changed")) from None
    except Exception:  # decoders of each transfer syntax raise what they like
        raise Unreadable(because("image.not_decodable", syntax=syntax.name)) from None
    finally:
        ds["PixelData"] = in_file  # what was left in the file goes back to it
    if pixels.size != frames * rows * columns:
        raise Unreadable(because("image.decoded_size_differs", frames=frames, rows=rows, columns=columns, decoded=pixels.shape))
    return pixels.reshape(frames, rows, columns).astype(pixels.dtype.newbyteorder("="), copy=False)


def refuse_cut(ds: Any, file_bytes: int | None) -> None:
    """Raise `Unreadable` when fewer pixels are there than the header announces; reads none.

    Only native transfer syntaxes tell it beforehand; a compressed image that is cut ends before its delimiter, which the reader sees.
    """
    try:
        rows, columns, frames, allocated = _shape(ds)
        element, syntax = ds.get_item("PixelData", keep_deferred=True), _syntax(ds)
        if element is None or syntax not in NATIVE or int(ds.get("SamplesPerPixel") or 1) != 1:
            return
    except Exception:  # whoever decodes says what is wrong
        return
    there = len(element.value) if element.value else element.length
    if element.value is None and file_bytes is not None and element.is_raw:
        there = min(there, file_bytes - element.value_tell)
    if 0 < there < rows * columns * frames * allocated // 8 <= LARGEST_BYTES:
        _same_length(there, rows * columns * frames * allocated // 8, frames)


def is_lossy(ds: Any) -> bool:
    """Return whether pixels went through an irreversible compression: the header says so, or the transfer syntax can be nothing else."""
    said, syntax = ds.get("LossyImageCompression"), str(getattr(ds, "file_meta", {}).get("TransferSyntaxUID") or "")
    return said == "01" or syntax in LOSSY or (syntax in EITHER and said != "00")


def is_deflated(head: bytes) -> bool:
    """Return whether a file that begins so names the deflated transfer syntax in its file meta information."""
    return DEFLATED in head and head[132:136] == b"\x02\x00\x00\x00"


def refuse_inflated(data: bytes) -> None:
    """Raise `Unreadable` when a deflated file would grow beyond all measure; reads in pieces and keeps none."""
    start = 144 + struct.unpack("<I", data[140:144])[0]
    inflater, grown, rest = zlib.decompressobj(-zlib.MAX_WBITS), 0, data[start:]
    while rest and not inflater.eof:
        grown += len(inflater.decompress(rest, 2**22))
        rest = inflater.unconsumed_tail
        if grown > LARGEST_BYTES:
            raise Unreadable(because("image.deflated_too_large"))


def _shape(ds: Any) -> tuple[int, int, int, int]:
    rows, columns, frames = int(ds.Rows), int(ds.Columns), int(ds.get("NumberOfFrames") or 1)
    allocated, stored = int(ds.get("BitsAllocated") or 0), int(ds.get("BitsStored") or 0)
    if frames < 1 or allocated not in (8, 16, 32) or not 1 <= stored <= allocated:
        raise Unreadable(because("image.bits_unsupported", frames=frames, stored=stored, allocated=allocated))
    if int(ds.get("HighBit", stored - 1)) != stored - 1:
        raise Unreadable(because("image.high_bit_contradicts", high_bit=int(ds.HighBit), bits_stored=stored))
    return rows, columns, frames, allocated


def _syntax(ds: Any) -> Any:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not getattr(ds, "file_meta", None):
        ds.file_meta = FileMetaDataset()
    if not ds.file_meta.get("TransferSyntaxUID"):  # the header could be read without: pixels then follow its encoding
        implicit, little = ds.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return ds.file_meta.TransferSyntaxUID


def _same_length(there: int, announced: int, frames: int) -> None:
    if there < announced:
        raise Unreadable(because("image.cut_short", announced=announced, there=there))
    if there - announced >= announced // frames:
        raise Unreadable(because("image.frames_missing", announced=frames, there=there * frames // announced))


def _same_size_inside(pixel_data: bytes, rows: int, columns: int) -> None:
    """Raise unless each compressed stream that names its size names that of the header: decoders trust the stream, and allocate."""
    from pydicom.encaps import generate_fragments

    for fragment in generate_fragments(pixel_data):
        inside = _size_inside(fragment)
        if inside is not None and inside != (rows, columns):
            raise Unreadable(
                because(
                    "image.compressed_size_differs",
                    rows=inside[0],
                    columns=inside[1],
                    announced_rows=rows,
                    announced_columns=columns,
                )
            )


def _size_inside(stream: bytes) -> tuple[int, int] | None:
    """Return rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream announces; None for what is no start of such a stream."""
    if stream[:4] == b"\xff\x4f\xff\x51" and len(stream) >= 24:
        right, bottom, left, top = struct.unpack(">4I", stream[8:24])
        return bottom - top, right - left
    if stream[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        if stream[at + 1] in FRAME_HEADERS:
            return struct.unpack(">HH", stream[at + 5 : at + 9])
        at += 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
    raise Unreadable(because("image.compressed_size_unknown"))


def rescaled(stored: NDArray, slope: float, intercept: float) -> NDArray:
    """Return slope × value + intercept: as integers where both are whole numbers, in single precision otherwise."""
    if slope == 1 and intercept == 0:
        return stored
    if slope == int(slope) and intercept == int(intercept):
        return stored.astype(np.int64) * int(slope) + int(intercept)
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)

"""DICOM bytes in, one canonical form out: pixels, spacing, frames, header facts. pydicom is used here, in `decoding` and `lean_pydicom` alone."""

from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from messages import because
from spark_jobs.canonical import Turn, canonise, frame_vector
from spark_jobs.decoding import LARGEST_BYTES, Unreadable, decode, is_deflated, is_lossy, refuse_cut, refuse_inflated, rescaled
from spark_jobs.faults import no_numbers, of_file, of_image
from spark_jobs.lean_pydicom import load_pydicom
from spark_jobs.qc.numerics.order import median
from spark_jobs.scales import Scale, scale_of
from spark_jobs.signatures import foreign, is_bare, is_image, no_image

__all__ = ["Instance", "Unreadable", "content_digest", "frames_of", "read", "read_file", "series_key"]

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
AIR_HU = -1000.0
HEAD_BYTES = 2048
DEFERRED_BYTES = 4096  # larger values of a file stay there: 88 slices of CT are 46 MB
LONGEST_PRIVATE, LONGEST_TEXT, SHARED_BYTES = 256, 256, 256  # bytes of a header that are kept in memory
SHARED_MOST = 20_000  # values that are one object wherever they are equal
OF_CONTENT = (
    "Modality", "ImageType", "AcquisitionDate", "AcquisitionTime", "StationName", "DeviceSerialNumber", "ActualFrameDuration", "PixelSpacing",
    "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "EnergyWindowVector", "DetectorVector",
)  # fmt: skip
TEXTS = ("LT", "ST", "UT", "UC")
POINTERS = ("Referenced", "Source", "IconImage", "OriginalAttributes", "Digital", "MACParameters", "EncryptedAttributes")
CODE_SEQUENCES = (
    "PerformedProtocolCodeSequence",
    "ScheduledProtocolCodeSequence",
    "RequestedProcedureCodeSequence",
    "ProcedureCodeSequence",
)
SPACINGS_MM = 0.02, 30.0  # no detector has smaller or larger pixels
EARLIEST_YEAR = 1970  # of a digital image
FRACTION = 1e-3  # counts that a scale gives are whole numbers to so much
# what several of need their vector: how many the header says, where it describes them, and their name
SEVERAL = {
    "DetectorVector": ("NumberOfDetectors", "DetectorInformationSequence", "detectors"),
    "EnergyWindowVector": ("NumberOfEnergyWindows", "EnergyWindowInformationSequence", "energy windows"),
    "RotationVector": ("NumberOfRotations", "RotationInformationSequence", "rotations"),
    "TimeSlotVector": ("NumberOfTimeSlots", "", "time slots"),
}
DATES = ("AcquisitionDateTime", "AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")


@dataclass(frozen=True)
class Instance:
    """One image object. Facts are None where the header does not give them; free text is not among them on purpose."""

    dataset: Any = field(repr=False)
    source: str | None
    sop_uid: str
    series_uid: str
    modality: str
    sop_class: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    pixel_mm: float | None  # None: spacing is missing, no positive length, absurd, or not square
    codes: tuple[str, ...]  # code values of scheme 99PHOTOPEAK
    station_name: str | None
    device_serial: str | None
    acquired_on: str | None  # YYYY-MM-DD; from the same elements, in the same order, as intake dates an object
    turn: Turn = field(default_factory=Turn, repr=False)  # from stored frames to canonical ones
    notes: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)  # what a look found, for the run that follows
    part: tuple["Instance", NDArray[np.int64]] | None = field(
        default=None, repr=False, compare=False
    )  # of which object which frames

    def only(self, frames: NDArray[np.int64]) -> "Instance":
        """Return the same object with some of its frames (0-based, canonical order): its pixels and frame vectors are those alone."""
        if len(frames) == int(self.dataset.get("NumberOfFrames") or 1):
            return self
        return replace(self, notes={}, part=(self, frames))

    @property
    def kind(self) -> str | None:
        """Return value 3 of ImageType, which for NM names the class of the acquisition."""
        return self.image_type[2] if len(self.image_type) > 2 else None

    @property
    def is_capture(self) -> bool:
        """Return whether the object is a Secondary Capture."""
        return self.sop_class.startswith(SECONDARY_CAPTURE)

    @property
    def is_lossy(self) -> bool:
        """Return whether the pixels went through an irreversible compression."""
        return is_lossy(self.dataset)

    @property
    def stored(self) -> NDArray:
        """Return stored values as frames × rows × columns in canonical order and orientation.

        The slices of a CT or PET series are decoded each time they are asked for: hundreds of them would not fit beside each other.
        """
        return self._decoded() if self.modality in ("CT", "PT") else self._kept

    @cached_property
    def _kept(self) -> NDArray:
        if self.part is None:
            return self._decoded()
        whole, frames = self.part
        return frames_of(whole.stored, frames)

    def _decoded(self) -> NDArray:
        if self.dataset.get("PhotometricInterpretation") == "MONOCHROME1" and self.modality not in ("PT", "NM", "CT"):
            raise Unreadable(because("image.monochrome1"))
        return self.turn.of(decode(self.dataset))

    @property
    def is_counting(self) -> bool:
        """Return whether the values are the counts of an acquisition, and no reconstruction."""
        return self.modality == "NM" and not (self.kind or "").startswith("RECON")

    @property
    def pixels(self) -> NDArray:
        """Return counts of a counting image (what scales them applied), stored values of others: frames × rows × columns.

        Reconstructions and slices have a scale of their own, often of one slice: `values`, `hu` apply it.
        """
        return self._counts if self.is_counting and self.scale != Scale() else self.stored

    @cached_property
    def _counts(self) -> NDArray:
        scale = self.scale
        counts = self.values
        if scale.intercept < 0 and counts.min() < 0 <= self.stored.min():
            raise Unreadable(because("scale.intercept_negative", intercept=scale.intercept, least=counts.min()))
        if scale.slope == int(scale.slope) and scale.intercept == int(scale.intercept):
            return counts
        whole = np.rint(counts)
        if float(np.abs(counts - whole).max(initial=0.0)) > FRACTION:
            raise Unreadable(because("image.counts_rescaled", slope=scale.slope, intercept=scale.intercept))
        return whole.astype(np.int64)

    @property
    def values(self) -> NDArray:
        """Return slope × stored value + intercept, integers where both are whole numbers: frames × rows × columns."""
        scale = self.scale
        if scale.valid is not None and not (scale.valid[0] <= self.stored.min() and self.stored.max() <= scale.valid[1]):
            low, high = scale.valid
            raise Unreadable(because("scale.real_world_range", low=low, high=high))
        return rescaled(self.stored, scale.slope, scale.intercept)

    @cached_property
    def scale(self) -> Scale:
        """Return what scales the stored values; raise `Unreadable` where that cannot be applied or is contradictory."""
        return scale_of(self.dataset, self.modality, counting=self.is_counting)

    @property
    def is_offset(self) -> bool:
        """Return whether an intercept was added to counts that no pixel confirms: a true one makes nothing of the least stored value."""
        return self.is_counting and self.scale.intercept != 0 and bool(self.pixels.min() != 0)

    @property
    def is_clipped(self) -> bool:
        """Return whether the largest value is the limit of what the pixel type can hold: something above it was cut off."""
        bits, signed = int(self.dataset.get("BitsStored") or 16), int(self.dataset.get("PixelRepresentation") or 0)
        stored = self.stored
        top = int(stored.max())
        if self.modality == "PT" and not _cut_off(stored[0], top):
            return False  # each slice is scaled until its brightest pixel fills the type
        if self.kind == "RECON TOMO" and int((stored == top).sum()) == 1:
            return False  # reconstructions are scaled until their brightest voxel fills the type
        # 32767 in 16 unsigned bits is the limit of systems that count in signed words
        return top == 2 ** (bits - signed) - 1 or (top == 32767 and int((stored == top).sum()) > 2)

    @property
    def hu(self) -> NDArray[np.float32]:
        """Return the first frame in Hounsfield units; a missing rescale is a refusal."""
        slope, intercept = self.dataset.get("RescaleSlope"), self.dataset.get("RescaleIntercept")
        if slope is None or intercept is None:
            raise Unreadable(because("ct.rescale_missing"))
        if not float(slope) > 0:
            raise Unreadable(because("ct.slope_not_positive", slope=float(slope)))
        _ = self.scale  # what else scales the values is refused
        stored = self.stored[0]
        hu = stored.astype(np.float32) * float(slope) + float(intercept)
        padding = self.dataset.get("PixelPaddingValue")
        if padding is not None and not isinstance(padding, bytes):  # what lies outside the reconstructed circle is shown as air
            hu[stored == np.array(int(padding)).astype(stored.dtype)] = AIR_HU
        return hu

    @property
    def position_mm(self) -> float:
        """Return where a slice lies along its normal; slices without a position keep their instance number."""
        position, orientation = self.dataset.get("ImagePositionPatient"), self.dataset.get("ImageOrientationPatient")
        if position and len(position) == 3 and not orientation:
            return float(position[2])
        if position and len(position) == 3 and len(orientation) == 6:
            axes = np.asarray([float(v) for v in orientation])
            return float(np.dot(np.cross(axes[:3], axes[3:]), [float(v) for v in position]))
        return float(self.dataset.get("InstanceNumber") or 0)

    def vector(self, keyword: str) -> NDArray[np.int64]:
        """Return a frame vector of the NM multi-frame module (1-based, PS3.3 C.8.4.8), all ones where it is absent and there is one of a kind.

        Raises
        ------
        Unreadable
            It does not fit the frames, counts from 0, or is missing although the header speaks of several of what it numbers.
        """
        if self.part is not None:
            whole, chosen = self.part
            return whole.vector(keyword)[chosen]
        frames = int(self.dataset.get("NumberOfFrames") or 1)
        value = frame_vector(self.dataset, keyword, frames)
        if value is not None:
            return value
        several = SEVERAL.get(keyword)
        if several and frames > 1 and self.is_counting:
            count = max(int(self.dataset.get(several[0]) or 1), len(self.dataset.get(several[1]) or []) if several[1] else 0)
            if count > 1:
                raise Unreadable(because("frames.vector_missing", vector=keyword, frames=frames, count=count, what=several[2]))
        return np.ones(frames, np.int64)

    @cached_property
    def streams(self) -> int:
        """Return how many pairs of detector and energy window the whole object holds: some headers count frames over all of them."""
        whole = self.part[0] if self.part else self
        return len(set(zip(whole.vector("DetectorVector").tolist(), whole.vector("EnergyWindowVector").tolist(), strict=True)))


def frames_of(pixels: NDArray, frames: NDArray[np.int64] | slice) -> NDArray:
    """Return some frames (0-based) of frames × rows × columns; a run of frames is a view: a dynamic study has 130 MB."""
    if isinstance(frames, slice):
        return pixels[frames]
    runs_on = len(frames) > 0 and bool((np.diff(frames) == 1).all())
    return pixels[frames[0] : frames[-1] + 1] if runs_on else pixels[frames]


def read(data: bytes, source: str | None = None) -> Instance:
    """Return the instance in these bytes, or raise `Unreadable` with the reason."""
    return _read(BytesIO(data), data[:HEAD_BYTES], source)


def read_file(path: Path) -> Instance:
    """Return the instance in a file, or raise `Unreadable` with the reason. The pixels stay in the file until they are asked for."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Unreadable(because("image.too_large"))
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if is_deflated(head):  # what is left in a deflated file could not be found again
            return read(path.read_bytes(), str(path))
        return _read(path, head, str(path))
    except OSError as exc:
        raise Unreadable(of_file(exc)) from None


def _read(place: BytesIO | Path, head: bytes, source: str | None) -> Instance:
    bare = head[128:132] != b"DICM"
    if bare and not is_bare(head):
        raise Unreadable(foreign(head[:512]))
    if isinstance(place, BytesIO) and is_deflated(head):
        refuse_inflated(place.getvalue())
    load_pydicom()
    import pydicom

    try:
        ds = pydicom.dcmread(place, defer_size=DEFERRED_BYTES if isinstance(place, Path) else None, force=bare)
    except OSError as exc:
        if exc.errno is not None:  # the disk; what pydicom raises at the end of a file has none
            raise
        raise Unreadable(because("file.ends_in_sequence")) from None
    except EOFError:
        raise Unreadable(because("file.ends_in_sequence")) from None
    except Exception:  # pydicom raises many kinds, and their texts may quote a name
        raise Unreadable(because("image.damaged")) from None
    try:
        if bare and not ds.get("SOPClassUID") and not ds.get("Rows"):
            raise Unreadable(because("image.no_dicom"))
        refuse_cut(ds, place.stat().st_size if isinstance(place, Path) else None)
        return _instance(_lean(ds), source)
    except (Unreadable, OSError):
        raise
    except Exception as exc:
        raise Unreadable(of_image(exc, [ds])) from None


def _lean(ds: Any) -> Any:
    """Return the data set without what no method reads: thousands of headers lie in memory beside each other.

    Left out are long private values and texts, overlays, and sequences that point to other objects. Equal elements of the slices of a
    series are one object in memory.
    """
    for tag in [t for t, element in ds._dict.items() if _is_ballast(t, element)]:
        del ds._dict[tag]
    for tag, element in ds._dict.items():
        if element.is_raw and isinstance(element.value, bytes) and len(element.value) <= SHARED_BYTES:
            ds._dict[tag] = _shared(element._replace(value_tell=0))
    return ds


def series_key(instance: Instance) -> str:
    """Return by what an image belongs to others: its series; without a UID, slices of one folder belong together, others stand alone."""
    if instance.series_uid:
        return instance.series_uid
    if instance.modality in ("CT", "PT", "MR"):
        return f"{instance.modality} {Path(instance.source or '').parent}"
    return f"{instance.source} {instance.sop_uid}"


def content_digest(instance: Instance) -> bytes:
    """Return a digest of the pixels and of what says where, when and by what they were taken; of an undecodable image, of its identity."""
    from hashlib import blake2b

    digest = blake2b(digest_size=16)
    try:
        stored = instance.turn.of(decode(instance.dataset))
        digest.update(repr((stored.shape, [str(instance.dataset.get(k)) for k in OF_CONTENT])).encode(errors="replace"))
        digest.update(stored.astype(np.int64).tobytes())
    except Exception:  # its own reason comes when it is measured
        digest.update(f"{instance.source} {id(instance)}".encode(errors="replace"))
    return digest.digest()


def _is_ballast(tag: int, element: Any) -> bool:
    group, value = tag >> 16, element.value
    if group % 2:
        return not isinstance(value, bytes) or len(value) > LONGEST_PRIVATE
    if 0x6000 <= group <= 0x60FF or (element.VR in TEXTS and isinstance(value, bytes) and len(value) > LONGEST_TEXT):
        return True
    return element.VR in ("SQ", "UN", None) and _keyword(tag).startswith(POINTERS)


def _keyword(tag: int) -> str:
    """Return the keyword of an element by the standard's dictionary, empty for others."""
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag)


_values: dict[Any, Any] = {}


def _shared(element: Any) -> Any:
    """Return the first element that was equal to this one."""
    if len(_values) > SHARED_MOST:
        _values.clear()
    return _values.setdefault(element, element)


def _instance(ds: Any, source: str | None) -> Instance:
    sop_class = str(ds.get("SOPClassUID") or getattr(ds, "file_meta", {}).get("MediaStorageSOPClassUID") or "")
    reason = no_image(sop_class)
    if reason is not None:
        raise Unreadable(reason)
    if "PixelData" not in ds:
        if "FloatPixelData" in ds or "DoubleFloatPixelData" in ds:
            raise Unreadable(because("image.floating_point"))
        if "Rows" in ds or is_image(sop_class):
            raise Unreadable(because("image.pixels_missing"))
        if not sop_class:
            raise Unreadable(because("image.unknown_object"))
        raise Unreadable(because("image.no_pixels"))
    if not ds.get("Modality") and is_image(sop_class) and not sop_class.startswith(SECONDARY_CAPTURE):
        raise Unreadable(because("header.empty", keyword="Modality"))
    if not ds.get("Rows") or not ds.get("Columns"):
        raise Unreadable(because("image.no_size"))
    reason = no_numbers(ds)
    if reason is not None:
        raise Unreadable(reason)
    if "PerFrameFunctionalGroupsSequence" in ds:
        raise Unreadable(because("image.enhanced"))
    codes = [
        str(item.get("CodeValue", ""))
        for name in CODE_SEQUENCES
        for owner in [ds, *list(ds.get("RequestAttributesSequence") or [])]
        for item in owner.get(name) or []
        if item.get("CodingSchemeDesignator") == "99PHOTOPEAK"
    ]
    day = next((d for d in (_day(ds.get(name)) for name in DATES) if d), None)
    kinds = ds.get("ImageType") or []
    image_type = tuple(str(v).strip().upper() for v in ([kinds] if isinstance(kinds, str) else kinds))
    modality = str(ds.get("Modality") or "")
    pixel_mm = _pixel_mm(ds.get("PixelSpacing"))  # before the turn, which knows lengths and no signs
    turn = canonise(ds, modality, image_type[2] if len(image_type) > 2 else None)
    size = int(ds.Rows), int(ds.Columns)
    return Instance(
        dataset=ds,
        source=source,
        sop_uid=str(ds.get("SOPInstanceUID") or source or id(ds)),
        series_uid=str(ds.get("SeriesInstanceUID") or ""),
        modality=modality,
        sop_class=str(ds.get("SOPClassUID") or ""),
        image_type=image_type,
        rows=size[turn.transposed],
        columns=size[not turn.transposed],
        pixel_mm=pixel_mm,
        codes=tuple(dict.fromkeys(codes)),
        station_name=str(ds.get("StationName") or "") or None,
        device_serial=str(ds.get("DeviceSerialNumber") or "") or None,
        acquired_on=day,
        turn=turn,
    )


def _day(value: Any) -> str | None:
    """Return the day of a date or moment as YYYY-MM-DD; None for what is no day on which a scanner worked."""
    text = str(value or "").strip()
    text = text.replace(".", "", 2) if text[4:5] == "." and text[7:8] == "." else text  # the form of ACR-NEMA
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8])) if text[:8].isascii() and text[:8].isdigit() else None
    except ValueError:
        return None
    return day.isoformat() if day is not None and len(text) >= 8 and day.year >= EARLIEST_YEAR else None


def _pixel_mm(spacing: Any) -> float | None:
    if spacing is None or isinstance(spacing, str) or len(spacing) != 2:
        return None
    y, x = float(spacing[0]), float(spacing[1])
    # a negative length is a header that somebody broke (PS3.3 10.7.1.3: positive); comparisons with NaN are false
    return (x + y) / 2 if min(SPACINGS_MM) <= x <= max(SPACINGS_MM) and abs(x - y) <= 0.01 * x else None


def _cut_off(pixels: NDArray, top: int) -> bool:
    """Return whether the largest value of a slice that was scaled by itself is a plateau that was cut: with holes, or a steep rim.

    One brightest pixel, and the soft top of an image without noise, are none.
    """
    full = pixels == top
    if int(full.sum()) <= 3:
        return False
    padded = np.pad(full, 1)
    near = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    beside = sum(n.astype(np.int8) for n in near)
    holes = int(((beside >= 3) & ~full).sum())
    rim = pixels[(beside > 0) & ~full]
    return holes > 0 or rim.size == 0 or median(top - rim.astype(np.float64)) > 0.08 * abs(top)

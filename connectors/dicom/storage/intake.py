"""What happens to one object between its last byte and its answer: checked, sealed, copied without identity, journalled."""

import logging
import threading
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Literal, NamedTuple

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from connectors.dicom.storage.facts import UID_TEXT, acquired_at, check_pixels, clock_doubts, text, words
from connectors.dicom.storage.pseudonymise import identity_of, pseudonymised, told_issuer
from connectors.dicom.storage.texts import doubts_of
from connectors.dicom.wire.structure import Malformed, check_structure
from connectors.events import Event, intake_outcome
from connectors.identity import Keys, Vault
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from connectors.stores.object_store.port import Blob, ObjectStore
from connectors.stores.space import require_space
from judgement.linkage.numbers import is_placeholder
from messages import because

__all__ = ["SOURCE", "Answer", "Intake", "Received"]

SOURCE = "urn:photopeak:dicom"
IMPLEMENTATION = UID("2.25.187352706254907348913402107526530811011")  # of the files we write; never to change, digests hang on it
NAMESAKES = 16  # an accession number of more patients than these names no examination (`0`, `UNKNOWN`)
LARGEST_INFLATED = 1 << 30  # a deflated data set may be a bomb
Outcome = Literal["stored", "duplicate", "quarantined"]
LOG = logging.getLogger("photopeak.dicom")

SUCCESS, OUT_OF_RESOURCES = 0x0000, 0xA700
INVALID_INSTANCE, MISMATCH, CANNOT_UNDERSTAND, OTHER_BYTES = 0x0117, 0xA900, 0xC000, 0xC001


class Answer(NamedTuple):
    """Status and error comment of a C-STORE response (PS3.4 B.2.3)."""

    status: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """One C-STORE request: what its command said, and the data set as received."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    calling_ae: str
    data: bytes

    def part10(self) -> bytes:
        """Return the file that is sealed: a preamble and group 2 that depend on the request alone, then the bytes as received."""
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\0\1"
        meta.MediaStorageSOPClassUID = UID(self.sop_class)
        meta.MediaStorageSOPInstanceUID = UID(self.sop_instance)
        meta.TransferSyntaxUID = UID(self.transfer_syntax)
        meta.ImplementationClassUID = IMPLEMENTATION
        head = DicomBytesIO()
        head.write(b"\0" * 128 + b"DICM")
        write_file_meta_info(head, meta, enforce_standard=False)
        return head.getvalue() + self.data


class Refused(Exception):
    """An object that goes to quarantine: its answer says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Intake:
    """Objects in, answers out."""

    def __init__(
        self, settings: Settings, journal: Journal, sealed: ObjectStore, clear: ObjectStore, vault: Vault, keys: Keys
    ) -> None:
        self._settings, self._journal, self._sealed, self._clear = settings, journal, sealed, clear
        self._vault, self._keys = vault, keys
        # the library quotes values that break their VR, in its log and in warnings: they may be somebody's name
        logging.getLogger("pydicom").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
        self._turns = [threading.Lock() for _ in range(64)]  # the same instance twice at once: one after the other

    def store(self, received: Received, at: datetime, arrived: Callable[[str], None] = lambda series: None) -> Answer:
        """Return the answer when the object, or the fact that it was refused, is durable; 0000 is never said of anything else.

        `arrived` is called with the Series Instance UID of an object that is new.
        """
        try:
            require_space(self._settings.objects, self._settings.min_free_mib)
            with self._turns[hash(received.sop_instance) % len(self._turns)]:
                return self._store(received, at, arrived)
        except OSError as exc:  # full, broken: the sender must keep its object and come again
            LOG.error("refused %s from %s: %s", _named(received), received.calling_ae, exc)
            return Answer(OUT_OF_RESOURCES, _comment(str(exc.strerror or exc)))

    def _store(self, received: Received, at: datetime, arrived: Callable[[str], None]) -> Answer:
        file = Blob(received.part10())
        try:
            before = self._journal.find(SOURCE, received.sop_instance)
            if before is not None and before.data["sha256"] == file.sha256:
                self._journal.append([self._outcome(received, file, at, "duplicate")])
                return Answer(SUCCESS)
            dataset = _read(received, file.data)
            if before is not None:
                raise Refused(OTHER_BYTES, because("dicom.uid_reused"))
            event = self._event(received, file, dataset, at)
        except Refused as exc:
            self._sealed.put(file)
            self._journal.append([self._outcome(received, file, at, "quarantined", str(exc))])
            LOG.warning("quarantined %s from %s: %s", _named(received), received.calling_ae, exc)
            return Answer(exc.status, _comment(str(exc)))
        self._journal.append([event, self._outcome(received, file, at, "stored")])
        arrived(event.subject)
        return Answer(SUCCESS)

    def _event(self, received: Received, file: Blob, dataset: Dataset, at: datetime) -> Event:
        """Return the `dicom.instance` event; the objects that it names are durable."""
        occurred = acquired_at(dataset, self._settings.zone) or at
        about = {"study_uid": text(dataset, "StudyInstanceUID"), "series_uid": text(dataset, "SeriesInstanceUID")}
        modality, patient, identity = text(dataset, "Modality") or "OT", text(dataset, "PatientID") or "", identity_of(dataset)
        doubts = doubts_of(dataset) + clock_doubts(dataset, self._settings.zone, at)
        issuer = told_issuer(dataset, patient)
        whose = {
            "patient_number": "" if is_placeholder(patient) else self._keys.pseudonym(patient),
            "patient_issuer": "" if issuer.startswith("?") else issuer,
        }
        known = self._known(self._keys.pseudonym(patient, issuer), words(dataset, "AccessionNumber"))
        try:
            copy = pseudonymised(dataset, patient, self._keys, known)
        except Exception as exc:  # pydicom and its codecs raise many kinds
            raise Refused(CANNOT_UNDERSTAND, because("dicom.no_clear_copy", kind=type(exc).__name__)) from exc
        self._vault.remember(self._keys.pseudonym(patient, issuer), "dicom", identity, text(dataset, "AccessionNumber"))
        data = {
            **about, **whose, "sop_instance_uid": received.sop_instance, "sop_class_uid": received.sop_class, "modality": modality,
            "transfer_syntax_uid": received.transfer_syntax, "object_key": self._clear.put(copy),
            "sealed_key": self._sealed.put(file), "sha256": file.sha256, "size_bytes": len(file),
            "calling_ae": received.calling_ae or None, **({"doubts": doubts} if doubts else {}),
        }  # fmt: skip
        return Event(
            "dicom.instance", SOURCE, received.sop_instance, self._settings.site_id, str(about["series_uid"]), occurred, at, data
        )

    def _known(self, pseudonym: str, accession_number: str | None) -> list[dict[str, str | None]]:
        """Return what the vault says of the patient, and of those whom another channel named for the same examination."""
        others = self._vault.examined(accession_number) if accession_number else []
        return self._vault.told_of(pseudonym, *(others if len(others) <= NAMESAKES else []))

    def _outcome(self, received: Received, file: Blob, at: datetime, outcome: Outcome, reason: str | None = None) -> Event:
        return intake_outcome(
            self._settings.site_id,
            "dicom",
            _named(received),
            outcome,
            file.sha256,
            len(file),
            at,
            reason,
            received.calling_ae,
        )


def _read(received: Received, file: bytes) -> Dataset:
    """Return the data set, whole and what the command said that it is; raise Refused."""
    if not UID_TEXT.fullmatch(received.sop_instance):
        raise Refused(INVALID_INSTANCE, because("dicom.command_uid_invalid"))
    syntax = UID(received.transfer_syntax)
    try:
        check_structure(_inflated(received.data) if syntax == DeflatedExplicitVRLittleEndian else received.data, syntax)
        dataset = dcmread(BytesIO(file))
        for keyword, said in (("SOPInstanceUID", received.sop_instance), ("SOPClassUID", received.sop_class)):
            if text(dataset, keyword) != said:
                raise Refused(MISMATCH, because("dicom.command_contradicts", keyword=keyword))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
            if not UID_TEXT.fullmatch(text(dataset, keyword) or ""):
                raise Refused(MISMATCH, because("dicom.element_invalid", keyword=keyword))
        check_pixels(dataset, syntax)
    except Malformed as exc:
        raise Refused(CANNOT_UNDERSTAND, str(exc)) from exc
    except Refused:
        raise
    except Exception as exc:  # pydicom raises many kinds over bytes that break the standard, and their texts may quote a name
        raise Refused(CANNOT_UNDERSTAND, because("dicom.unreadable", kind=type(exc).__name__)) from exc
    return dataset


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, LARGEST_INFLATED)
    except zlib.error as exc:
        raise Malformed(because("dicom.deflated_damaged", problem=exc)) from exc
    if inflater.unconsumed_tail:
        raise Malformed(because("dicom.inflates_beyond", mib=LARGEST_INFLATED >> 20))
    if not inflater.eof:
        raise Malformed(because("dicom.deflated_cut_off"))
    return plain


def _named(received: Received) -> str:
    """Return the SOP Instance UID, or that there is none: what else a sender puts in its place may be somebody's name."""
    return received.sop_instance if UID_TEXT.fullmatch(received.sop_instance) else "(no SOP Instance UID)"


def _comment(reason: str) -> str:
    """Return a reason as an Error Comment (0000,0902): LO, 64 characters, default repertoire."""
    return "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in reason)[:64]

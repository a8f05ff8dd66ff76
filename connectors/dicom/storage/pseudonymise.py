"""The copy that analyses read: no patient, no person, nothing private but a few numbers and moments, and every other byte as it came.

After the Basic Application Level Confidentiality Profile (PS3.15 annex E) with these options: UIDs, full dates, device
identity, patient characteristics and descriptions of study, series and protocol are retained, because quality control needs
them, and safe private elements (E.3.10) that tell what values mean; a text or coded term in which a
name or number of the patient stands that the header or the vault tells is emptied, and a word in an element of numbers or moments
is not kept. Pixels are not cleaned: names burnt into an image stay in it (secondary captures; nuclear-medicine acquisitions have
none). The sealed original keeps everything.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from math import isfinite
from urllib.parse import unquote_to_bytes

from pydicom import Dataset, dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from connectors.charsets import readings
from connectors.dicom.storage.texts import codecs_of, raw_of, text_of
from connectors.events import canonical
from connectors.free_text import Secrets, without_numbers
from connectors.identity import Keys, is_phantom
from judgement.linkage.numbers import is_placeholder, plain

__all__ = ["EMPTIED", "REMOVED", "identity_of", "pseudonymised", "told_issuer"]

# Type 2 in the modules of an image, so an empty value must stay; every other element of VR PN is emptied too
EMPTIED = frozenset({"PatientName", "PatientBirthDate", "ReferringPhysicianName"})
NAMED = """
AcquisitionComments ActualHumanPerformersSequence AdditionalPatientHistory AddressTrial AdmissionID AdmittingDiagnosesCodeSequence
AdmittingDiagnosesDescription Allergies AuthorObserverSequence BranchOfService ClinicalTrialCoordinatingCenterName
ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
ConfidentialityConstraintOnPatientDataDescription ConsultingPhysicianIdentificationSequence
ContentCreatorIdentificationCodeSequence ContributionDescription CountryOfResidence CurrentPatientLocation
CustodialOrganizationSequence DeidentificationMethodCodeSequence DigitalSignaturesSequence
DistributionAddress DistributionName DataSetTrailingPadding EncapsulatedDocument
EthnicGroup FillerOrderNumberImagingServiceRequest FrameComments HumanPerformerCodeSequence HumanPerformerOrganization IconImageSequence
IdentifyingComments ImageComments ImagingServiceRequestComments InstitutionAddress InstitutionCodeSequence InstitutionName
InstitutionalDepartmentName InsurancePlanIdentification IntendedRecipientsOfResultsIdentificationSequence
InterpretationApproverSequence InterpretationText IssuerOfAdmissionID IssuerOfAdmissionIDSequence IssuerOfPatientID
IssuerOfPatientIDQualifiersSequence IssuerOfServiceEpisodeID IssuerOfServiceEpisodeIDSequence LastMenstrualDate MedicalAlerts
MedicalRecordLocator MilitaryRank ModifiedAttributesSequence NameOfPhysiciansReadingStudy Occupation
OperatorIdentificationSequence OrderCallbackPhoneNumber OrderCallbackTelecomInformation OrderEnteredBy OrderEntererLocation
OriginalAttributesSequence OtherPatientIDs OtherPatientIDsSequence OtherPatientNames ParticipantSequence PatientAddress
PatientAlternativeCalendar PatientBirthDateInAlternativeCalendar PatientBirthName PatientBirthTime PatientComments
PatientDeathDateInAlternativeCalendar PatientInstitutionResidence PatientInsurancePlanCodeSequence PatientMotherBirthName
PatientPrimaryLanguageCodeSequence PatientReligiousPreference PatientState PatientTelecomInformation PatientTelephoneNumbers
PatientTransportArrangements PerformedLocation PerformedProcedureStepDescription PerformingPhysicianIdentificationSequence
PersonAddress PersonIdentificationCodeSequence PersonTelecomInformation PersonTelephoneNumbers
PhysiciansOfRecordIdentificationSequence PhysiciansReadingStudyIdentificationSequence PlacerOrderNumberImagingServiceRequest
ReasonForStudy ReasonForTheImagingServiceRequest ReasonForTheRequestedProcedure ReferencedPatientAliasSequence
ReferencedPatientPhotoSequence ReferencedPatientSequence ReferringPhysicianAddress ReferringPhysicianIdentificationSequence
ReferringPhysicianTelephoneNumbers RegionOfResidence RequestedProcedureComments RequestingService ResponsibleOrganization
ResponsiblePerson ResponsiblePersonRole ResultsComments ScheduledHumanPerformersSequence ScheduledPatientInstitutionResidence
ScheduledPerformingPhysicianIdentificationSequence ServiceEpisodeDescription ServiceEpisodeID SmokingStatus
SourcePatientGroupIdentificationSequence SpecialNeeds StudyComments TelephoneNumberTrial TextComments TextString TopicAuthor TopicKeywords
VerbalSourceIdentifierCodeSequenceTrial VerifyingObserverIdentificationCodeSequence VerifyingOrganization VisitComments
"""
REMOVED = frozenset(NAMED.split())
METHOD = "Basic profile; UIDs, dates, device, characteristics kept"
REMOVED_TAGS = frozenset(t for t in map(tag_for_keyword, REMOVED) if t is not None)
EMPTIED_TAGS = frozenset(t for t in map(tag_for_keyword, EMPTIED) if t is not None)
TEXTS = frozenset(("LO", "LT", "ST", "UT", "UC", "SH", "UR"))
TERMS = frozenset(
    ("CS", "AE")
)  # most are of the standard, and some are names too (NORM, CHEST): whole names are looked for, value by value
FORMED = frozenset(("AS", "DA", "DS", "DT", "IS", "TM", "UI"))  # numbers and moments: no word has a place in them
WORD = re.compile(rb"[A-Za-z]{2}|[\x80-\xff]")
NO_NUMBER = re.compile(rb"[-+ ]*(nan|inf(inity)?)[ \0]*", re.IGNORECASE)
# who else is named as the patient: their values are looked for in texts, and removed
NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName")
LINKS = frozenset((0x00080050,))  # the accession number may be made of the patient's: it links, and stays unless it holds a name
NUMBER = re.compile(r"[-+]?\d{0,12}\.?\d{0,12}([eE][-+]?\d{1,3})?")
MOMENT = re.compile(r"\d{8,14}(\.\d{1,6})?([-+]\d{4})?")
# by group and creator, never by number: what scales or dates voxels; Philips' are in PS3.15 table E.3.10-1, the others in conformance statements
SAFE_PRIVATE = {
    (0x7053, "philips pet private group"): {0x00: NUMBER, 0x09: NUMBER},  # SUV and activity concentration factors
    (0x0071, "siemens med pt"): {0x22: MOMENT},  # moment of decay correction
    (0x0009, "gems_petd_01"): {0x0D: MOMENT},  # start of the scan
    (0x0033, "siemens med nm"): {0x38: NUMBER},  # pixel scale factor
    (0x0057, "siemens med nm"): {0x06: NUMBER, 0x07: NUMBER},  # rescale intercept and slope
}
NOT_KEPT = "?"  # in the place of a number or moment that is none: it was there, and cannot be read
LOOKED_FOR, LOOKED_THROUGH, SHORT = (
    64,
    2000,
    256,
)  # patients whose secrets are kept ready, short texts of theirs that were looked through
PATIENT_ID, PATIENT_NAME, PATIENT_IDENTITY_REMOVED = 0x00100020, 0x00100010, 0x00120062


def identity_of(dataset: Dataset) -> dict[str, str | None]:
    """Return what the object says about who the patient is, for the vault."""
    said: dict[str, str | None] = {}
    codecs = codecs_of(dataset)
    for name, keyword in (("patient_id", "PatientID"), ("issuer", "IssuerOfPatientID"), ("name", "PatientName"),
                          ("birth_date", "PatientBirthDate"), ("sex", "PatientSex")):  # fmt: skip
        try:
            said[name] = text_of(raw_of(dataset, keyword), codecs).text.strip(" \0") or None
        except Exception:  # a value that breaks its VR is in the sealed original
            said[name] = None
    written = b"" if said["name"] is None else raw_of(dataset, "PatientName")
    if not written.isascii():  # in which character set it was meant is a guess: each of them names the patient
        said["readings"] = "\n".join(readings(written, codecs, every=True))
    others = {"other_names": "\n".join(_other_names(dataset, codecs)), "other_ids": " ".join(_other_ids(dataset)),
              "phone": " ".join(_words(dataset, "PatientTelephoneNumbers"))}  # fmt: skip
    return said | {key: value for key, value in others.items() if value}


def _other_names(dataset: Dataset, codecs: tuple[str, ...]) -> list[str]:
    raws = [raw_of(dataset, keyword) for keyword in NAMES[1:]]
    return list(dict.fromkeys(text for raw in raws if raw for text in readings(raw, codecs, every=True)))


def _other_ids(dataset: Dataset) -> list[str]:
    """Return the other numbers of the patient in the header; a word without a digit (UNKNOWN) numbers nobody."""
    found = _words(dataset, "OtherPatientIDs") + _words(dataset, "MedicalRecordLocator")
    try:
        for item in dataset.get("OtherPatientIDsSequence") or []:
            found += _words(item, "PatientID")
    except Exception:  # pydicom raises many kinds; the sequence itself is removed
        return found
    return found


def _words(dataset: Dataset, keyword: str) -> list[str]:
    text = raw_of(dataset, keyword).decode("utf-8", "replace").replace("\\", " ").replace("\0", " ")
    return [word for word in text.split() if any(c.isdigit() for c in word)]


def pseudonymised(dataset: Dataset, patient_id: str, keys: Keys, known: Iterable[Mapping[str, str | None]] = ()) -> bytes:
    """Return the clear copy as a Part 10 file; the data set is changed in place, elements that stay keep their bytes.

    `known`: what else the vault says of who the patient is, whose names and numbers are looked for as those of the header.

    A phantom keeps its id and name; who is named beside the patient (physicians, operators) is not in its copy either.
    """
    phantom = is_phantom(patient_id)
    issuer = told_issuer(dataset, patient_id)  # told beside the number, and removed with who it names
    search = None if phantom else _search(*_names(dataset), patient_id, canonical([identity_of(dataset), *map(dict, known)]))
    _strip(dataset, phantom)
    if search is not None:
        _blot(dataset, search, codecs_of(dataset))
        _replace(dataset, keys, issuer)
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = METHOD
    out = BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def _names(dataset: Dataset) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """Return how the patient is named, in every character set that the names may be written in, and the bytes of the names."""
    codecs, found, written = codecs_of(dataset), list[str](), list[bytes]()
    for keyword in NAMES:
        try:
            raw = raw_of(dataset, keyword)
            found += readings(raw, codecs, every=True)
            written.append(raw)
        except Exception:  # pydicom raises many kinds; the element itself is emptied or removed
            continue
    return tuple(found), tuple(written)


class _Search:
    """What is looked for in the elements of an object; texts come again in each item and frame, and are looked through once."""

    def __init__(self, secrets: Secrets) -> None:
        self._texts, self._links, self._terms = secrets, secrets.only_names(), secrets.in_terms()
        self._seen: dict[tuple[bytes, str, tuple[str, ...]], bool] = {}

    def in_text(self, raw: bytes, codecs: tuple[str, ...], is_link: bool) -> bool:
        """Return whether a text names the patient; numbers of a link do not count."""
        return self._found("link" if is_link else "text", self._links if is_link else self._texts, raw, codecs)

    def in_term(self, raw: bytes, codecs: tuple[str, ...]) -> bool:
        """Return whether a coded term names the patient."""
        return self._found("term", self._terms, raw, codecs)

    def _found(self, kind: str, secrets: Secrets, raw: bytes, codecs: tuple[str, ...]) -> bool:
        key = (raw, kind, codecs)
        found = self._seen.get(key)
        if found is None:
            texts = _readings(raw, codecs)
            found = secrets.stand_in_bytes(raw) or any(secrets.stand_in(t) or without_numbers(t) != t for t in texts)
            if len(self._seen) > LOOKED_THROUGH:
                self._seen.clear()
            if len(raw) < SHORT:
                self._seen[key] = found
        return found


@lru_cache(maxsize=LOOKED_FOR)
def _search(found: tuple[str, ...], written: tuple[bytes, ...], patient_id: str, identities: bytes) -> _Search:
    """Return what is looked for in the images of one patient, made once for a series."""
    return _Search(Secrets(found, (patient_id,), written) | Secrets.of(*json.loads(identities)))


def _blot(dataset: Dataset, search: _Search, codecs: tuple[str, ...]) -> None:
    """Empty the texts and terms, at any depth, in which the patient is named; they are read without being decoded in place."""
    own = codecs_of(dataset) or codecs
    for tag in list(dataset.keys()):
        vr = _vr(dataset, tag)
        if vr == "SQ":
            for item in dataset[tag].value:
                _blot(item, search, own)
        elif vr in TEXTS and tag != PATIENT_ID:
            if search.in_text(raw_of(dataset, tag), own, tag in LINKS):
                dataset[tag] = DataElement(tag, vr, "")
        elif vr in TERMS:
            values = raw_of(dataset, tag).split(b"\\")
            named = [search.in_term(v, own) for v in values]
            if any(named):  # of several values those that name nobody stay
                kept = ["" if n else v.decode("ascii", "replace").strip(" \0") for n, v in zip(named, values, strict=True)]
                dataset[tag] = DataElement(tag, vr, kept if any(kept) else "", already_converted=True)
        elif vr in FORMED and any(WORD.search(v) and not NO_NUMBER.fullmatch(v) for v in raw_of(dataset, tag).split(b"\\")):
            dataset[tag] = DataElement(tag, vr, "" if vr == "UI" else NOT_KEPT, already_converted=True)


def _readings(raw: bytes, codecs: tuple[str, ...]) -> Iterator[str]:
    yield from readings(raw, codecs)
    if b"%" in raw:
        yield from readings(unquote_to_bytes(raw), codecs)


def _strip(dataset: Dataset, phantom: bool) -> None:
    kept = _safe_private(dataset)
    for tag in list(dataset.keys()):
        if tag in kept:
            continue
        if tag.is_private or tag in REMOVED_TAGS or tag.group >> 8 in (0x50, 0x60) or tag.group in (0x0000, 0x0002, 0x4008):
            # 50xx curves and 60xx overlays can carry writing, 4008 are the interpretations of old days, 0000 and 0002 belong elsewhere
            del dataset[tag]
            continue
        if phantom and tag == PATIENT_NAME:
            continue
        vr = _vr(dataset, tag)
        if vr is None:
            del dataset[tag]  # unknown to the dictionary: nobody can say that it names no one
        elif tag in EMPTIED_TAGS or vr == "PN":
            dataset[tag] = DataElement(tag, vr, "")
        elif vr == "SQ":
            for item in dataset[tag].value:
                _strip(item, phantom)


def _safe_private(dataset: Dataset) -> set[BaseTag]:
    """Return the private elements that stay, and those that reserve their blocks; a safe one that holds no such value is made unreadable."""
    kept = set[BaseTag]()
    for tag in list(dataset.keys()):
        block = BaseTag(tag & 0xFFFF0000 | tag.element >> 8)
        if not tag.is_private or tag.element < 0x1000 or block not in dataset:
            continue
        creator = " ".join(raw_of(dataset, block).decode("ascii", "replace").strip(" \0").casefold().split())
        form = SAFE_PRIVATE.get((tag.group, creator), {}).get(tag.element & 0xFF)
        if form is None or not raw_of(dataset, tag).strip(b" \0"):
            continue
        if not _holds(dataset, tag, form):
            dataset[tag] = DataElement(tag, "LO", NOT_KEPT)
        kept |= {tag, block}
    return kept


def _holds(dataset: Dataset, tag: BaseTag, form: re.Pattern[str]) -> bool:
    raw = raw_of(dataset, tag).strip(b" \0")
    if raw.isalpha() or raw.replace(b"^", b"").isalpha():
        return False  # four letters are a float, too
    try:
        value = dataset[tag].value
    except Exception:  # pydicom raises many kinds over a value that breaks its VR
        return False
    if isinstance(value, float | int):
        return form is NUMBER and isfinite(value)
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return any(c.isdigit() for c in text) and form.fullmatch(text.strip(" \0")) is not None


def told_issuer(dataset: Dataset, patient_id: str) -> str:
    """Return who gave out the patient id (0010,0021), plain; empty: not told. A placeholder is another person in each study."""
    if is_placeholder(patient_id):
        return f"?{dataset.get('StudyInstanceUID') or ''}"
    try:
        return plain(str(dataset.get("IssuerOfPatientID") or ""))[:64]
    except Exception:  # a value that breaks its VR is in the sealed original
        return ""


def _replace(dataset: Dataset, keys: Keys, issuer: str = "") -> None:
    """Put pseudonyms for patient ids, at any depth; `issuer` gave out those of the data set itself."""
    for tag in list(dataset.keys()):
        if tag == PATIENT_ID:
            dataset[tag] = DataElement(tag, "LO", keys.pseudonym(str(dataset[tag].value or ""), issuer))
        elif _vr(dataset, tag) == "SQ":
            for item in dataset[tag].value:
                _replace(item, keys)


def _vr(dataset: Dataset, tag: BaseTag) -> str | None:
    """Return the VR without decoding the value; None for an element that nobody knows.

    A text or a name stays one whatever VR the sender gave it: a name written as LO, a description or a term as OB.
    """
    said = dataset.get_item(tag).VR
    try:
        known = dictionary_VR(tag)
    except KeyError:
        return str(said) if said and said != "UN" else None
    if known in TERMS or known in FORMED:
        return known if not said or said in ("UN", "OB", "OW") else str(said)
    return known if not said or said == "UN" or known == "PN" or (known in TEXTS and said != "SQ") else str(said)

"""The copy that analyses read: no patient, no person, nothing private but a few numbers and moments, and every other byte as it came.

After the Basic Application Level Confidentiality Profile (PS3.15 annex E) with these options: UIDs, full dates, device
identity, patient characteristics and descriptions of study, series and protocol are retained, because quality control needs
them, and safe private elements (E.3.10) that tell what values mean; a text in which the patient's own name or number stands is
emptied. Pixels are not cleaned: names burnt into an image stay in it (secondary captures; nuclear-medicine acquisitions have
none). The sealed original keeps everything.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from math import isfinite
from urllib.parse import unquote_to_bytes

from pydicom import Dataset, dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from connectors.charsets import readings
from connectors.dicom.storage.texts import codecs_of, raw_of, text_of
from connectors.free_text import Secrets, without_numbers
from connectors.identity import Keys, is_phantom

__all__ = ["EMPTIED", "REMOVED", "identity_of", "pseudonymised"]

# Type 2 in the modules of an image, so an empty value must stay; every other element of VR PN is emptied too
EMPTIED = frozenset({"PatientName", "PatientBirthDate", "ReferringPhysicianName"})
NAMED = """
AcquisitionComments ActualHumanPerformersSequence AdditionalPatientHistory AdmissionID AdmittingDiagnosesCodeSequence
AdmittingDiagnosesDescription Allergies AuthorObserverSequence BranchOfService ClinicalTrialCoordinatingCenterName
ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
ConfidentialityConstraintOnPatientDataDescription ConsultingPhysicianIdentificationSequence
ContentCreatorIdentificationCodeSequence ContributionDescription CountryOfResidence CurrentPatientLocation
CustodialOrganizationSequence DeidentificationMethodCodeSequence DistributionAddress DistributionName DataSetTrailingPadding EncapsulatedDocument
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
SourcePatientGroupIdentificationSequence SpecialNeeds StudyComments TextComments TextString TopicAuthor TopicKeywords
VerifyingObserverIdentificationCodeSequence VerifyingOrganization VisitComments
"""
REMOVED = frozenset(NAMED.split())
METHOD = "Basic profile; UIDs, dates, device, characteristics kept"
REMOVED_TAGS = frozenset(t for t in map(tag_for_keyword, REMOVED) if t is not None)
EMPTIED_TAGS = frozenset(t for t in map(tag_for_keyword, EMPTIED) if t is not None)
TEXTS = frozenset(("LO", "LT", "ST", "UT", "UC", "SH", "UR"))
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
NOT_KEPT = "?"  # in the place of a safe element that holds something else: it was there, and cannot be read
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
    return said


def pseudonymised(dataset: Dataset, patient_id: str, keys: Keys) -> bytes:
    """Return the clear copy as a Part 10 file; the data set is changed in place, elements that stay keep their bytes.

    A phantom keeps its id and name; who is named beside the patient (physicians, operators) is not in its copy either.
    """
    phantom = is_phantom(patient_id)
    found, written = ((), ()) if phantom else _names(dataset)
    _strip(dataset, phantom)
    if not phantom:
        _blot(dataset, Secrets(found, (), written), Secrets(found, (patient_id,), written), codecs_of(dataset))
        _replace(dataset, keys)
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


def _blot(dataset: Dataset, names: Secrets, secrets: Secrets, codecs: tuple[str, ...]) -> None:
    """Empty the texts, at any depth, in which one of the secrets stands; they are read without being decoded in place."""
    own = codecs_of(dataset) or codecs
    for tag in list(dataset.keys()):
        vr = _vr(dataset, tag)
        if vr == "SQ":
            for item in dataset[tag].value:
                _blot(item, names, secrets, own)
        elif vr in TEXTS and tag != PATIENT_ID:
            looked_for = names if tag in LINKS else secrets
            if looked_for.stand_in_bytes(raw_of(dataset, tag)) or any(
                looked_for.stand_in(t) or without_numbers(t) != t for t in _readings(dataset, tag, own)
            ):
                dataset[tag] = DataElement(tag, vr, "")


def _readings(dataset: Dataset, tag: BaseTag, codecs: tuple[str, ...]) -> Iterator[str]:
    raw = raw_of(dataset, tag)
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


def _replace(dataset: Dataset, keys: Keys) -> None:
    """Put pseudonyms for patient ids, at any depth."""
    for tag in list(dataset.keys()):
        if tag == PATIENT_ID:
            dataset[tag] = DataElement(tag, "LO", keys.pseudonym(str(dataset[tag].value or "")))
        elif _vr(dataset, tag) == "SQ":
            for item in dataset[tag].value:
                _replace(item, keys)


def _vr(dataset: Dataset, tag: BaseTag) -> str | None:
    """Return the VR without decoding the value; None for an element that nobody knows.

    A text or a name stays one whatever VR the sender gave it: a name written as LO, a description as OB.
    """
    said = dataset.get_item(tag).VR
    try:
        known = dictionary_VR(tag)
    except KeyError:
        return str(said) if said and said != "UN" else None
    return known if not said or said == "UN" or known == "PN" or (known in TEXTS and said != "SQ") else str(said)

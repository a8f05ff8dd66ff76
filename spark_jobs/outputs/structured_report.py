"""A series' results as a DICOM Structured Report (PS3.16 TID 1500, Measurement Report) that archives and workstations read.

Names of procedures, methods and measures are codes of scheme 99PHOTOPEAK, because no standard code exists for most of them; units are
UCUM. The report carries the patient and study of its images, the time of the acquisition as its own, and identifiers made from its
content, so that the same images and limits give the same bytes.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

from spark_jobs.qc.result import Measure, Result
from spark_jobs.reading import Instance

__all__ = ["structured_report"]

COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SCHEME = "99PHOTOPEAK"
UCUM = {
    "%": "%", "1": "1", "mm": "mm", "deg": "deg", "keV": "keV", "ps": "ps", "ns": "ns", "s": "s", "min": "min", "d": "d", "days": "d",
    "HU": "[hnsf'U]", "counts": "{counts}", "kcts": "10*3.{counts}", "cps": "{counts}/s", "kcps": "10*3.{counts}/s", "MBq": "MBq",
    "cps/MBq": "{counts}/s/MBq", "lp/mm": "{line_pairs}/mm", "bins": "{bins}", "Bq/ml": "Bq/mL", "Bq/mL": "Bq/mL", "kBq/mL": "kBq/mL",
    "g/ml": "g/mL", "g/mL": "g/mL", "counts/cm": "{counts}/cm", "px": "{pixels}", "pixels": "{pixels}",
}  # fmt: skip
KEPT = (  # of the images: who and which study
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "TimezoneOffsetFromUTC",
)
TIMES = (("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"), ("StudyDate", "StudyTime"))
EARLIEST_YEAR = 1850  # of a birth date
BOUNDS = ("warn_low", "warn_high", "fail_low", "fail_high")


def structured_report(
    series: Sequence[Instance], judged: Sequence[tuple[Result, str, Sequence[dict[str, Any]]]], device_id: str
) -> bytes:
    """Return the report of one series: a measurement group for each result, with verdicts, limits and the images it speaks of.

    Parameters
    ----------
    judged
        Each result with its verdict and the limit rows used, as `judge` returns them.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    first = series[0].dataset
    digest = hashlib.sha256("\n".join(sorted(i.sop_uid for i in series)).encode())
    digest.update(json.dumps([(r.to_dict(), v, list(x)) for r, v, x in judged], sort_keys=True, default=str).encode())
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    for name in KEPT:
        element = first.get(name)
        if name.endswith("Date"):
            element = _day(element)
        setattr(ds, name, element if element is not None else "")
    if not ds.TimezoneOffsetFromUTC:
        del ds.TimezoneOffsetFromUTC
    if not ds.StudyInstanceUID:
        ds.StudyInstanceUID = _uid(digest.digest(), "study")
    ds.SOPClassUID, ds.SOPInstanceUID = COMPREHENSIVE_3D_SR, _uid(digest.digest(), "instance")
    ds.SeriesInstanceUID = _uid(digest.digest(), "series")
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SR", 1, 1
    ds.SeriesDescription = "Photopeak quality control"
    ds.Manufacturer, ds.ManufacturerModelName = "Photopeak", "photopeak analyse"
    ds.DeviceSerialNumber, ds.SoftwareVersions = (
        "none",
        sorted({f"{r.method_version}" for r, _, _ in judged if r.method_version}) or "none",
    )
    date, time = next(((d, first.get(t)) for d, t in ((_day(first.get(a)), b) for a, b in TIMES) if d), ("19000101", None))
    ds.ContentDate, ds.ContentTime = date, time or "000000"
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ReferencedPerformedProcedureStepSequence, ds.PerformedProcedureCodeSequence = [], []
    ds.CurrentRequestedProcedureEvidenceSequence = _evidence(series, ds.StudyInstanceUID)
    _root(ds, series, judged, device_id, digest.digest())
    out = BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _root(ds: Any, series: Sequence[Instance], judged: Sequence[tuple], device_id: str, digest: bytes) -> None:
    head = series[0].dataset
    subject = [
        _coded("HAS OBS CONTEXT", ("121024", "DCM", "Subject Class"), ("121192", "DCM", "Device Subject")),
        _text("HAS OBS CONTEXT", ("121193", "DCM", "Device Subject Name"), device_id),
    ]
    for keyword, code, meaning in (
        ("Manufacturer", "121194", "Device Subject Manufacturer"),
        ("ManufacturerModelName", "121195", "Device Subject Model Name"),
        ("DeviceSerialNumber", "121196", "Device Subject Serial Number"),
    ):
        if head.get(keyword):
            subject.append(_text("HAS OBS CONTEXT", (code, "DCM", meaning), str(head.get(keyword))))
    names = dict.fromkeys(r.procedure or "unknown" for r, _, _ in judged)
    library = _container("CONTAINS", ("126200", "DCM", "Image Library Group"), [_image("CONTAINS", None, i) for i in series])
    groups = [_group(r, v, x, series, _uid(digest, f"group {k}")) for k, (r, v, x) in enumerate(judged)]
    english = ("en", "RFC5646", "English")
    content = [
        _coded("HAS CONCEPT MOD", ("121049", "DCM", "Language of Content Item and Descendants"), english),
        _coded("HAS OBS CONTEXT", ("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device")),
        _uid_item("HAS OBS CONTEXT", ("121012", "DCM", "Device Observer UID"), _uid(b"", "photopeak analyse")),
        _text("HAS OBS CONTEXT", ("121013", "DCM", "Device Observer Name"), "Photopeak"),
        *(subject if str(head.get("PatientID") or "").startswith("QC^") else []),
        *[_coded("HAS CONCEPT MOD", ("121058", "DCM", "Procedure reported"), (n, SCHEME, n.replace("_", " "))) for n in names],
        _container("CONTAINS", ("111028", "DCM", "Image Library"), [library]),
        _container("CONTAINS", ("126010", "DCM", "Imaging Measurements"), groups),
    ]
    root = _container("", ("126000", "DCM", "Imaging Measurement Report"), content)
    root.ContentTemplateSequence = [_item(MappingResource="DCMR", TemplateIdentifier="1500")]
    for element in root:
        ds.add(element)


def _group(result: Result, verdict: str, limits: Sequence[dict[str, Any]], series: Sequence[Instance], uid: str) -> Any:
    name = result.procedure or "unknown"
    used = {(x["measure"], x.get("region")): x for x in limits}
    tracked = name + (f" detector {result.detector}" if result.detector else "")
    content = [
        _text("HAS OBS CONTEXT", ("112039", "DCM", "Tracking Identifier"), tracked),
        _uid_item("HAS OBS CONTEXT", ("112040", "DCM", "Tracking Unique Identifier"), uid),
    ]
    if result.method:
        method = f"{result.method} {result.method_version}"
        content.append(_coded("HAS CONCEPT MOD", ("370129005", "SCT", "Measurement Method"), (method, SCHEME, method[:64])))
    content += [_image("CONTAINS", ("121112", "DCM", "Source of Measurement"), i) for i in series]
    content += [_number(m, used.get((m.name, m.region))) for m in result.measures]
    content += [
        _coded(
            "CONTAINS", ("status", SCHEME, "Status of the measurement"), (result.status, SCHEME, result.status.replace("_", " "))
        ),
        _coded("CONTAINS", ("verdict", SCHEME, "Verdict"), (verdict, SCHEME, verdict)),
    ]
    if result.reason:
        content.append(_text("CONTAINS", ("reason", SCHEME, "Reason"), result.reason))
    content += [_text("CONTAINS", ("121106", "DCM", "Comment"), w) for w in result.warnings]
    return _container("CONTAINS", ("125007", "DCM", "Measurement Group"), content)


def _number(m: Measure, limit: dict[str, Any] | None) -> Any:
    out = _content("CONTAINS", "NUM", (m.name, SCHEME, m.name.replace("_", " ")[:64]))
    out.MeasuredValueSequence = [_value(m.value, m.unit)]
    parts = []
    if m.aspect or m.region:
        where = ", ".join(p for p in (m.aspect, m.region) if p)
        parts.append(_text("HAS PROPERTIES", ("region", SCHEME, "Part of the image or phantom"), where))
    if m.at:
        parts.append(_text("HAS PROPERTIES", ("found_at", SCHEME, "Where the value was found"), json.dumps(m.at, sort_keys=True)))
    if m.uncertainty is not None:
        parts.append(_num("HAS PROPERTIES", ("386136009", "SCT", "Standard Deviation"), m.uncertainty, m.unit))
    if limit is not None:
        parts.append(_coded("HAS PROPERTIES", ("verdict", SCHEME, "Verdict"), (limit["verdict"], SCHEME, limit["verdict"])))
        for bound in BOUNDS:
            if limit[bound] is not None:
                parts.append(_num("HAS PROPERTIES", (bound, SCHEME, bound.replace("_", " ") + " limit"), limit[bound], m.unit))
        said = f"{limit['limit_id']} version {limit['version']} from {limit['valid_from']}: {limit['standard'] or ''} {limit['clause'] or ''}"
        parts.append(_text("HAS PROPERTIES", ("121407", "DCM", "Normal Range description"), " ".join(said.split())))
        if limit["approver"]:
            parts.append(_text("HAS PROPERTIES", ("121408", "DCM", "Normal Range Authority"), limit["approver"]))
    if parts:
        out.ContentSequence = parts
    return out


def _evidence(series: Sequence[Instance], study_uid: str) -> list[Any]:
    by_series: dict[str, list[Instance]] = {}
    for i in series:
        by_series.setdefault(i.series_uid or _uid(b"", i.sop_uid), []).append(i)
    referenced = [
        _item(SeriesInstanceUID=uid, ReferencedSOPSequence=[_reference(i) for i in group]) for uid, group in by_series.items()
    ]
    return [_item(StudyInstanceUID=study_uid, ReferencedSeriesSequence=referenced)]


def _reference(instance: Instance) -> Any:
    return _item(ReferencedSOPClassUID=instance.sop_class, ReferencedSOPInstanceUID=instance.sop_uid)


def _item(**tags: Any) -> Any:
    from pydicom.dataset import Dataset

    out = Dataset()
    for name, value in tags.items():
        setattr(out, name, value)
    return out


def _code(value: str, scheme: str, meaning: str) -> Any:
    # a code value holds 16 characters, longer ones have an element of their own (PS3.3 8.1)
    key = "CodeValue" if len(value) <= 16 else "LongCodeValue"
    return _item(**{key: value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning[:64]})


def _content(relation: str, kind: str, name: tuple[str, str, str] | None) -> Any:
    out = _item(**({"RelationshipType": relation} if relation else {}), ValueType=kind)
    if name is not None:
        out.ConceptNameCodeSequence = [_code(*name)]
    return out


def _container(relation: str, name: tuple[str, str, str], content: list[Any]) -> Any:
    out = _content(relation, "CONTAINER", name)
    out.ContinuityOfContent = "SEPARATE"
    out.ContentSequence = content
    return out


def _coded(relation: str, name: tuple[str, str, str], value: tuple[str, str, str]) -> Any:
    out = _content(relation, "CODE", name)
    out.ConceptCodeSequence = [_code(*value)]
    return out


def _text(relation: str, name: tuple[str, str, str], value: str) -> Any:
    out = _content(relation, "TEXT", name)
    out.TextValue = value
    return out


def _uid_item(relation: str, name: tuple[str, str, str], value: str) -> Any:
    out = _content(relation, "UIDREF", name)
    out.UID = value
    return out


def _image(relation: str, name: tuple[str, str, str] | None, instance: Instance) -> Any:
    out = _content(relation, "IMAGE", name)
    out.ReferencedSOPSequence = [_reference(instance)]
    return out


def _num(relation: str, name: tuple[str, str, str], value: float, unit: str) -> Any:
    out = _content(relation, "NUM", name)
    out.MeasuredValueSequence = [_value(value, unit)]
    return out


def _value(value: float, unit: str) -> Any:
    ucum = UCUM.get(unit, "{" + unit.replace(" ", "_") + "}")
    return _item(
        NumericValue=_decimal(value),
        FloatingPointValue=float(value),
        MeasurementUnitsCodeSequence=[_code(ucum, "UCUM", unit if unit != "1" else "no units")],
    )


def _decimal(value: float) -> str:
    """Return a decimal string of at most 16 characters; the exact value stands beside it."""
    return next(text for digits in range(15, 0, -1) if len(text := f"{value:.{digits}g}") <= 16)


def _day(value: Any) -> str | None:
    """Return a date of the header, None for one that is no day of a patient's or a scanner's life: made anonymous, or broken."""
    text = str(value or "").strip().replace(".", "")
    try:
        return text if datetime.strptime(text, "%Y%m%d").year >= EARLIEST_YEAR else None
    except ValueError:
        return None


def _uid(digest: bytes, what: str) -> str:
    return f"2.25.{int.from_bytes(hashlib.sha256(digest + what.encode()).digest()[:15], 'big')}"

"""DICOM objects of the pretend scanners: Nuclear Medicine and CT images that `dciodvfy` accepts, equal bytes for equal plans."""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, NuclearMedicineImageStorage

from simulator import organs, phantoms
from simulator.hospital import DEVICES, EXAMS, PIXEL_MM
from simulator.plan import ImageJob, Plan, dice, uid

__all__ = ["PROCEDURES", "make"]

PROCEDURES = {  # code and meaning, description of the series, image type
    "flood": ("PP-FLOOD", "Planar uniformity flood", ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]),
    "cor": ("PP-COR", "Centre of rotation", ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]),
    "ct_water": ("PP-CTWATER", "CT water phantom", ["ORIGINAL", "PRIMARY", "AXIAL"]),
    "bone": ("PP-WBBONE", "Whole-body bone scan", ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]),
    "thyroid": ("PP-THYROID", "Thyroid scan", ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]),
    "renal": ("PP-RENAL", "Dynamic renal scan", ["ORIGINAL", "PRIMARY", "DYNAMIC", "EMISSION"]),
    "hepatic": ("PP-HEPATO", "Dynamic hepatobiliary scan", ["ORIGINAL", "PRIMARY", "DYNAMIC", "EMISSION"]),
    "heart": ("PP-MYOCARD", "Gated myocardial perfusion", ["ORIGINAL", "PRIMARY", "GATED TOMO", "EMISSION"]),
}
PHASES = {"renal": organs.RENAL_PHASES, "hepatic": organs.HEPATIC_PHASES}


def make(plan: Plan, job: ImageJob) -> Dataset:
    """Return the DICOM object of an image job, ready to be written or sent."""
    rng = dice(plan.seed, "image", job.key)
    if job.kind == "ct_water":
        hu = job.fault.get("hu", float(np.clip(rng.normal(0, 0.3), -0.7, 0.7)))
        ds = _ct(phantoms.ct_water(rng, hu=hu + job.fault.get("shift_hu", 0.0)))
    else:
        ds = _nm(job, _counts(plan, job, rng))
    return _header(ds, plan, job)


def _counts(plan: Plan, job: ImageJob, rng: np.random.Generator) -> NDArray[np.uint16]:
    if job.kind == "flood":
        seed = int(dice(plan.seed, "detector", job.device_id).integers(1 << 30))
        return phantoms.flood(rng, seed, **job.fault)[None]
    if job.kind == "cor":
        return phantoms.cor(rng, offset_mm=job.fault.get("offset_mm", float(np.clip(rng.normal(0, 0.1), -0.25, 0.25))))
    if job.kind == "bone":
        return phantoms.whole_body(rng, counts=job.fault.get("counts", 1.0))
    if job.kind == "thyroid":
        return organs.thyroid(rng)
    if job.kind == "renal":
        return organs.renal(rng, dropped=job.fault.get("dropped"))
    if job.kind == "hepatic":
        return organs.liver(rng)
    return organs.heart(rng, shifted_from=job.fault.get("shifted_from")).reshape(-1, 64, 64)


def _header(ds: Dataset, plan: Plan, job: ImageJob) -> Dataset:
    device = DEVICES[job.device_id]
    code, meaning, image_type = PROCEDURES[job.kind]
    day, clock = job.acquired.strftime("%Y%m%d"), job.acquired.strftime("%H%M%S")
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.ImageType = image_type
    ds.SOPInstanceUID = plan.sop_uid(job.key)
    ds.StudyInstanceUID = uid(plan.seed, plan.day, "study", job.exam.accession if job.exam else f"qc-{job.device_id}-{day}")
    ds.SeriesInstanceUID = plan.series_uid(job.key)
    ds.FrameOfReferenceUID = uid(plan.seed, plan.day, "frame", job.key)
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = clock
    ds.TimezoneOffsetFromUTC = "+0800"
    ds.Manufacturer = "Photopeak Simulation"
    ds.ManufacturerModelName = f"PS-{job.device_id}"
    ds.InstitutionName = "Photopeak Simulation"
    ds.StationName = job.device_id
    ds.DeviceSerialNumber = device.serial
    ds.SoftwareVersions = "1.0"
    ds.StudyDescription = ds.SeriesDescription = meaning
    ds.ProtocolName = meaning
    ds.PerformedProtocolCodeSequence = _coded(code, "99PHOTOPEAK", meaning)
    ds.PositionReferenceIndicator = ds.Laterality = ""  # 2C: dciodvfy asks for it, though phantoms and whole bodies have no side
    ds.ReferringPhysicianName = ""
    ds.StudyID = day
    ds.SeriesNumber = ds.InstanceNumber = 1
    if job.exam is None:
        ds.PatientID, ds.PatientName = f"QC^{device.serial}", "QC^Flood" if job.kind == "flood" else "QC^Phantom"
        ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber = "", "O", ""
    else:
        p = job.exam.patient
        ds.PatientID, ds.PatientName = p.patient_id, f"{p.surname}^{p.given}"
        ds.PatientBirthDate, ds.PatientSex, ds.AccessionNumber = p.born.strftime("%Y%m%d"), p.sex, job.exam.accession
        ds.PatientWeight = str(p.weight_kg)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if job.fault.get("edited"):
        ds.SeriesDescription = f"{meaning} (edited)"
    if job.fault.get("truncated"):
        ds.PixelData = ds.PixelData[: len(ds.PixelData) // 3 // 2 * 2]
    return ds


def _pixels(ds: Dataset, array: NDArray[Any], pixel_mm: float) -> None:
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = array.shape[-2:]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = int(array.dtype.kind == "i")
    ds.PixelSpacing = [str(pixel_mm), str(pixel_mm)]
    ds.PixelData = array.astype(array.dtype.newbyteorder("<")).tobytes()


def _ct(array: NDArray[np.int16]) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = CTImageStorage, "CT"
    _pixels(ds, array, PIXEL_MM["ct_water"])
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime, ds.Exposure = "120", 200, 1000, 200
    ds.SliceThickness, ds.ReconstructionDiameter, ds.ConvolutionKernel = "5", "500", "STANDARD"
    ds.PatientPosition = "HFS"
    ds.ImagePositionPatient = ["-249.51171875", "-249.51171875", "0"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.AcquisitionNumber = 1
    ds.WindowCenter, ds.WindowWidth = "0", "200"
    return ds


def _nm(job: ImageJob, frames: NDArray[np.uint16]) -> Dataset:
    """Return an NM image; frames are the two detectors of a whole-body scan, or one detector's views of a rotation."""
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = NuclearMedicineImageStorage, "NM"
    _pixels(ds, frames, job.fault.get("pixel_mm", PIXEL_MM[job.kind]))
    n = len(frames)
    detectors = 2 if job.kind == "bone" else 1
    ds.NumberOfFrames = n
    ds.EnergyWindowVector = [1] * n
    ds.NumberOfEnergyWindows = 1
    ds.DetectorVector = list(range(1, n + 1)) if detectors == 2 else [1] * n
    ds.NumberOfDetectors = detectors
    ds.FrameIncrementPointer = [0x00540010, 0x00540020]
    ds.CountsAccumulated = int(frames.sum(dtype=np.int64))
    ds.AcquisitionTerminationCondition = "CNTS" if job.kind == "flood" else "TIME"
    if job.kind == "cor":
        ds.FrameIncrementPointer = [0x00540010, 0x00540020, 0x00540050, 0x00540090]
        ds.RotationVector = [1] * n
        ds.NumberOfRotations = 1
        ds.AngularViewVector = list(range(1, n + 1))
        ds.TypeOfDetectorMotion = "STEP AND SHOOT"
        ds.RotationInformationSequence = Sequence([_rotation(n)])
    elif job.kind in PHASES:
        _phases(ds, PHASES[job.kind], job.fault.get("dropped"))
    elif job.kind == "heart":
        _gates(ds)
    else:
        # 80 Mcts at 18 kcps
        ds.ActualFrameDuration = {"flood": 4_440_000, "thyroid": 600_000}.get(job.kind, 1_200_000)
    if job.kind == "bone":
        ds.ScanVelocity, ds.WholeBodyTechnique, ds.ScanLength = "2.05", "1PS", 2457
    ds.EnergyWindowInformationSequence = Sequence([_energy_window()])
    ds.RadiopharmaceuticalInformationSequence = Sequence([_radiopharmaceutical(job)])
    ds.DetectorInformationSequence = Sequence([_detector(job.kind, i, job.fault) for i in range(detectors)])
    ds.PatientOrientationCodeSequence = _coded("F-10450", "SRT", "recumbent")
    ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = _coded("F-10340", "SRT", "supine")
    ds.PatientGantryRelationshipCodeSequence = _coded("F-10470", "SRT", "headfirst")
    ds.AcquisitionContextSequence = Sequence([])
    return ds


def _phases(ds: Dataset, phases: tuple[tuple[int, float], ...], dropped: int | None) -> None:
    """Say which frame is which in time; a frame that the camera lost is announced and not there."""
    count = [n for n, _ in phases]
    phase = np.repeat(np.arange(1, len(count) + 1), count)
    number = np.concatenate([np.arange(1, n + 1) for n in count])
    if dropped is not None:
        phase, number = np.delete(phase, dropped), np.delete(number, dropped)
    ds.FrameIncrementPointer = [0x00540010, 0x00540020, 0x00540030, 0x00540100]
    ds.PhaseVector, ds.NumberOfPhases = phase.tolist(), len(count)
    ds.TimeSliceVector, ds.NumberOfTimeSlices = number.tolist(), int(number.max())
    items = []
    for frames, seconds in phases:
        item = Dataset()
        item.PhaseDelay, item.ActualFrameDuration, item.PauseBetweenFrames = 0, round(seconds * 1000), 0
        item.NumberOfFramesInPhase = frames
        items.append(item)
    ds.PhaseInformationSequence = Sequence(items)


def _gates(ds: Dataset) -> None:
    """Say which frame is which view in which part of the heartbeat."""
    views, gates = organs.VIEWS, organs.GATES
    ds.FrameIncrementPointer = [0x00540010, 0x00540020, 0x00540050, 0x00540060, 0x00540070, 0x00540090]
    ds.RotationVector, ds.NumberOfRotations = [1] * (views * gates), 1
    ds.RRIntervalVector, ds.NumberOfRRIntervals = [1] * (views * gates), 1
    ds.TimeSlotVector, ds.NumberOfTimeSlots = np.repeat(np.arange(1, gates + 1), views).tolist(), gates
    ds.AngularViewVector = list(range(1, views + 1)) * gates
    ds.TypeOfDetectorMotion = "STEP AND SHOOT"
    ds.RotationInformationSequence = Sequence([_rotation(views, 180, 20_000, "315")])
    beat = Dataset()
    beat.LowRRValue, beat.HighRRValue, beat.IntervalsAcquired, beat.IntervalsRejected, beat.HeartRate = 800, 980, 1140, 60, 68
    beat.FrameTime = "110"
    gated = Dataset()
    gated.TriggerTime, gated.CardiacFramingType, gated.DataInformationSequence = "0", "FORW", Sequence([beat])
    ds.GatedInformationSequence = Sequence([gated])
    ds.BeatRejectionFlag = "Y"


def _rotation(views: int, arc: int = 360, milliseconds: int = 10_000, start: str = "0") -> Dataset:
    item = Dataset()
    item.StartAngle, item.AngularStep, item.RotationDirection = start, str(arc / views), "CC"
    item.ScanArc, item.ActualFrameDuration, item.NumberOfFramesInRotation = str(arc), milliseconds, views
    item.RadialPosition = ["200"] * views
    return item


def _energy_window() -> Dataset:
    item, limits = Dataset(), Dataset()
    limits.EnergyWindowLowerLimit, limits.EnergyWindowUpperLimit = "129.9", "150.9"
    item.EnergyWindowName = "Tc-99m"
    item.EnergyWindowRangeSequence = Sequence([limits])
    return item


def _radiopharmaceutical(job: ImageJob) -> Dataset:
    item = Dataset()
    item.RadionuclideCodeSequence = _coded("C-163A8", "SRT", "^99m^Technetium")
    item.Radiopharmaceutical = EXAMS[job.exam.code].agent if job.exam else "Tc-99m pertechnetate"
    if job.exam is not None:
        item.RadionuclideTotalDose = str(job.exam.dose.administered_mbq)
        item.RadiopharmaceuticalStartTime = _clock(job.exam.dose.administered)
    return item


def _detector(kind: str, number: int, fault: dict[str, Any]) -> Dataset:
    item = Dataset()
    item.CollimatorGridName = "NONE" if kind == "flood" else "LEHR"
    item.CollimatorType = "NONE" if kind == "flood" else "PARA"
    item.FieldOfViewShape = "RECTANGLE"
    item.FieldOfViewDimensions = [str(v) for v in phantoms.FIELD_MM]
    item.FocalDistance = "0" if kind != "flood" else None
    item.ZoomFactor = ["1", "1"]
    item.ImagePositionPatient = ["-305", "0", "1228"] if number == 0 else ["305", "0", "1228"]
    item.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"] if number == 0 else ["-1", "0", "0", "0", "0", "-1"]
    if kind == "cor":
        item.StartAngle, item.RadialPosition = "0", "200"
    else:
        item.StartAngle = str(180 * number)
    if kind == "bone":
        item.ViewCodeSequence = _coded(*(("R-10206", "SRT", "anterior") if number == 0 else ("R-10214", "SRT", "posterior")))
    return item


def _coded(value: str, scheme: str, meaning: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return Sequence([item])


def _clock(moment: datetime) -> str:
    return moment.strftime("%H%M%S")

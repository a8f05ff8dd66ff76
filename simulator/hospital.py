"""What the pretend hospital is: devices, rooms, sensors, staff, examinations. Its own tables, never read from the platform."""

from dataclasses import dataclass
from datetime import timedelta, timezone

__all__ = [
    "DEVICES",
    "EXAMS",
    "GIVEN_NAMES",
    "INDICATIONS",
    "LOCAL",
    "PIXEL_MM",
    "ROOMS",
    "SITE",
    "SOURCE",
    "STAFF",
    "SURNAMES",
    "Device",
    "ExamKind",
    "Sensor",
]

SITE = "MAIN"
LOCAL = timezone(timedelta(hours=8))
SOURCE = "urn:photopeak:simulator"  # the name of the device token that the platform made for us
PIXEL_MM = {
    "flood": 2.4, "cor": 4.8, "bone": 2.4, "ct_water": 0.9765625, "thyroid": 2.2, "renal": 6.8, "hepatic": 6.8, "heart": 6.4,
}  # fmt: skip


@dataclass(frozen=True)
class Device:
    """One scanner; `tests` are the phantom tests that the staff do before the first patient of a day."""

    device_id: str
    room_id: str
    modality: str
    tests: tuple[str, ...]

    @property
    def serial(self) -> str:
        """Return the serial number that its images carry."""
        return f"SN-{self.device_id}"


DEVICES = {
    "GC1": Device("GC1", "ROOM-GC1", "NM", ("flood", "cor")),
    "SPCT1": Device("SPCT1", "ROOM-SPCT1", "NM", ("flood", "cor", "ct_water")),
    "PETCT1": Device("PETCT1", "ROOM-PETCT1", "PT", ("ct_water",)),
}


@dataclass(frozen=True)
class Sensor:
    """One sensor: its usual value, how far the day swings it, and its noise (standard deviation), in `unit`."""

    quantity: str
    unit: str
    usual: float
    swing: float
    noise: float
    decimals: int


def _climate(temperature: float, humidity: float, dose_rate: float) -> tuple[Sensor, ...]:
    return (
        Sensor("temperature", "Cel", temperature, 0.6, 0.1, 1),
        Sensor("humidity", "%", humidity, 2.0, 0.4, 1),
        Sensor("dose_rate", "uSv/h", dose_rate, dose_rate * 0.3, dose_rate * 0.05, 3),
    )


ROOMS: dict[str, tuple[Sensor, ...]] = {
    "ROOM-GC1": _climate(22.0, 48.0, 0.30),
    "ROOM-SPCT1": _climate(22.0, 47.0, 0.35),
    "ROOM-PETCT1": _climate(21.5, 46.0, 0.60),
    "HOTLAB": (*_climate(21.5, 46.0, 0.90), Sensor("pressure_difference", "Pa", -12.0, 0.8, 0.3, 1)),
    "INJECTION": _climate(22.5, 48.0, 0.70),
    "WAITING": _climate(23.0, 49.0, 0.40),
}

STAFF = {  # staff id: role, credential
    **{f"T0{i}": ("technologist", "nuclear-medicine-technologist") for i in range(1, 7)},
    **{f"N0{i}": ("nurse", "radiation-worker-nurse") for i in range(1, 4)},
    **{f"D0{i}": ("physician", "nuclear-medicine-physician") for i in range(1, 4)},
    "P01": ("physicist", "medical-physicist"),
    "RP01": ("radiopharmacist", "radiopharmacist"),
}


@dataclass(frozen=True)
class ExamKind:
    """One kind of examination; `uptake_min` stays well inside the window that its plan allows. A dynamic one starts with the injection."""

    code: str
    name_en: str
    name_zh: str
    agent: str
    nuclide: str
    half_life_s: float
    prescribed_mbq: tuple[float, float]
    uptake_min: tuple[float, float]
    acquisition_min: float
    image: str | None = None  # what the scanner makes; None: nothing is sent
    is_dynamic: bool = False


EXAMS = {
    "BONE": ExamKind("BONE", "Whole-body bone scan", "全身骨显像", "Tc-99m MDP", "Tc-99m", 21624.0, (600, 740), (150, 205), 20, "bone"),
    "THYROID": ExamKind(
        "THYROID", "Thyroid scan", "甲状腺显像", "Tc-99m pertechnetate", "Tc-99m", 21624.0, (120, 180), (20.5, 26), 10, "thyroid"
    ),
    "FDG": ExamKind("FDG", "FDG PET/CT", "FDG 正电子显像", "F-18 FDG", "F-18", 6586.2, (220, 360), (57, 64), 18),
    "RENAL": ExamKind(
        "RENAL", "Dynamic renal scan", "肾动态显像", "Tc-99m DTPA", "Tc-99m", 21624.0, (110, 185), (0, 0), 20.2, "renal", True
    ),
    "MYOCARDIAL": ExamKind(
        "MYOCARDIAL", "Gated myocardial perfusion, stress", "门控心肌灌注显像（负荷）", "Tc-99m sestamibi", "Tc-99m", 21624.0, (600, 900), (40, 65),
        20, "heart",
    ),
    "MYOCARDIAL_REST": ExamKind(
        "MYOCARDIAL_REST", "Gated myocardial perfusion, rest", "门控心肌灌注显像（静息）", "Tc-99m tetrofosmin", "Tc-99m", 21624.0, (600, 900),
        (55, 90), 20, "heart",
    ),
    "HEPATOBILIARY": ExamKind(
        "HEPATOBILIARY", "Dynamic hepatobiliary scan", "肝胆动态显像", "Tc-99m EHIDA", "Tc-99m", 21624.0, (110, 185), (0, 0), 60.2, "hepatic",
        True,
    ),
}  # fmt: skip

SURNAMES = tuple("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗")
GIVEN_NAMES = (
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "洋", "艳", "勇", "军", "杰", "娟", "涛",
    "明", "超", "秀兰", "霞", "平", "建华", "桂英", "志强", "玉兰", "文", "婷", "国庆", "晓红", "海燕", "子轩",
)  # fmt: skip
INDICATIONS = {
    "BONE": ("前列腺癌，排除骨转移", "乳腺癌术后随访", "肺癌分期", "不明原因骨痛"),
    "THYROID": ("甲状腺结节", "甲状腺功能亢进", "甲状腺术后复查"),
    "FDG": ("肺癌分期", "淋巴瘤疗效评价", "结直肠癌随访"),
    "RENAL": ("肾积水，分肾功能评价", "高血压，肾功能随访"),
    "MYOCARDIAL": ("冠心病", "胸痛，怀疑冠心病"),
    "MYOCARDIAL_REST": ("冠心病", "心肌梗死后随访"),
    "HEPATOBILIARY": ("急性胆囊炎", "胆道术后随访"),
}

"""The rows of the reference data that decisions are made by: one frozen dataclass a table, its name in `TABLE`.

An empty cell is None. A day is text, YYYY-MM-DD: days compare as texts, and `valid_until` None is open. Columns that no decision reads
(names for people aside) are not here; the warehouse has all of them.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar, Literal

from judgement.days import site_zone
from messages import because

__all__ = [
    "Chart", "Component", "Consequence", "Day", "Device", "Drug", "EnvironmentLimit", "Form", "Limit", "MeasureName", "Member",
    "NuclideRow", "OpeningHours", "Phantom", "PhysicalRange", "Plan", "Policy", "Preparation", "Room", "Rule", "Scheduled", "Sensor", "Site",
    "StationRow",
    "Switch", "Zone",
]  # fmt: skip

Day = Annotated[str, date.fromisoformat]
Zone = Annotated[str, site_zone]  # an IANA name


@dataclass(frozen=True)
class Limit:
    """Acceptance limits of a measure. `device_id`, `detector` or `region` None means any; four bounds None: the value is not known yet."""

    TABLE: ClassVar[str] = "limits"
    limit_id: str
    version: int
    procedure: str
    measure: str
    device_id: str | None
    detector: str | None
    region: str | None
    warn_low: float | None
    warn_high: float | None
    fail_low: float | None
    fail_high: float | None
    valid_from: Day
    valid_until: Day | None
    standard: str | None
    clause: str | None
    requirement: str | None
    approver: str | None


@dataclass(frozen=True, slots=True)
class EnvironmentLimit:
    """Limits of a quantity of rooms; `room_id` None means every room."""

    TABLE: ClassVar[str] = "environment_limits"
    limit_id: str
    version: int
    room_id: str | None
    quantity: str
    low: float | None
    high: float | None
    valid_from: Day
    valid_until: Day | None
    standard: str | None
    clause: str | None


@dataclass(frozen=True, slots=True)
class Site:
    """A campus and its wall clock."""

    TABLE: ClassVar[str] = "sites"
    site_id: str
    name_en: str
    name_zh: str
    time_zone: Zone


@dataclass(frozen=True, slots=True)
class Room:
    """A room of a site."""

    TABLE: ClassVar[str] = "rooms"
    room_id: str
    site_id: str
    name_en: str
    name_zh: str


@dataclass(frozen=True, slots=True)
class Sensor:
    """A registered sensor; a silence longer than `silent_after_min` is one."""

    TABLE: ClassVar[str] = "sensors"
    sensor_id: str
    room_id: str
    quantity: str
    unit: str
    silent_after_min: int


@dataclass(frozen=True, slots=True)
class PhysicalRange:
    """What a quantity can be at all; a row with `sensor_id` narrows it for one sensor. Either bound None: none is known."""

    TABLE: ClassVar[str] = "physical_ranges"
    quantity: str
    sensor_id: str | None
    unit: str
    low: float | None
    high: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device. An image is of it by its serial number, or by its station name when it carries none."""

    TABLE: ClassVar[str] = "devices"
    device_id: str
    site_id: str
    name_en: str
    name_zh: str
    modality: str | None
    station_name: str | None
    device_serial: str | None
    room_id: str | None
    in_service_from: Day | None
    commissioned_on: Day | None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of staff, by an opaque id."""

    TABLE: ClassVar[str] = "staff"
    staff_id: str
    site_id: str | None
    name_en: str | None
    name_zh: str | None


@dataclass(frozen=True)
class Component:
    """A procedure or job: who owns it, what starts it, what goes in and comes out."""

    TABLE: ClassVar[str] = "analysis_components"
    component: str
    kind: Literal["procedure", "job"]
    owner: str
    started_by: str
    input: str
    output: str


@dataclass(frozen=True)
class Switch:
    """A component is off from one day to another, both included; `site_id` None: at every site."""

    TABLE: ClassVar[str] = "component_switches"
    component: str
    site_id: str | None
    valid_from: Day
    valid_until: Day | None
    approver: str
    reason: str

    @property
    def sentence(self) -> str:
        """Return what rows, reports and lists say."""
        return because(
            "component.switched_off",
            component=self.component,
            approver=self.approver.strip(),
            since=self.valid_from,
            reason=self.reason.strip(),
        )

    @property
    def key(self) -> str:
        """Return what run keys and measures know it by; the warehouse makes the same text (int_component__switch)."""
        return f"{self.component} is switched off by {self.approver.strip()} since {self.valid_from}: {self.reason.strip()}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that raises findings; one that is not in force raises nothing."""

    TABLE: ClassVar[str] = "rules"
    rule_id: str
    version: int
    severity: str
    title_en: str
    title_zh: str
    valid_from: Day
    valid_until: Day | None


@dataclass(frozen=True, slots=True)
class Consequence:
    """Whom a finding of a rule may harm; what no row names is a matter of records."""

    TABLE: ClassVar[str] = "rule_consequences"
    rule_id: str
    consequence: Literal["patient", "image", "staff", "records"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A step of an examination; all rows of one code with the same first day are one plan."""

    TABLE: ClassVar[str] = "exam_plans"
    exam_code: str
    step: str
    valid_from: Day


@dataclass(frozen=True, slots=True)
class Form:
    """A form that a step needs, signed and complete at most `valid_hours` before."""

    TABLE: ClassVar[str] = "exam_forms"
    requirement_id: str
    version: int
    exam_code: str
    form: str
    before_step: str
    sex: str | None
    age_min: int | None
    age_max: int | None
    valid_hours: float
    on_missing: Literal["block", "warn"]
    name_en: str
    name_zh: str
    valid_from: Day
    valid_until: Day | None


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a patient is prepared for a step; a value on a bound is inside."""

    TABLE: ClassVar[str] = "exam_preparation"
    requirement_id: str
    version: int
    exam_code: str
    item: str
    before_step: str
    name_en: str
    name_zh: str
    unit: str | None
    warn_low: float | None
    warn_high: float | None
    block_low: float | None
    block_high: float | None
    on_unknown: Literal["block", "warn", "ignore"]
    observation_codes: str | None
    valid_hours: float | None  # how long a value counts; None: as long as none is newer
    valid_from: Day
    valid_until: Day | None


@dataclass(frozen=True, slots=True)
class LaboratoryUnit:
    """A unit that laboratories tell an item of the preparation in; `per_base` of it make one of the item's first unit."""

    TABLE: ClassVar[str] = "laboratory_units"
    item: str
    unit: str
    spellings: str  # blanks between; small letters, without blanks, u for µ
    per_base: float
    source: str


@dataclass(frozen=True, slots=True)
class Drug:
    """A drug, by its ATC code or the beginning of it, that a step wants withheld for some days."""

    TABLE: ClassVar[str] = "interfering_drugs"
    requirement_id: str
    version: int
    exam_code: str
    atc: str
    name_en: str
    name_zh: str
    withhold_days: float
    effect: Literal["block", "warn"]
    before_step: str
    valid_from: Day
    valid_until: Day | None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A phantom test that a device needs every so many days; the newest row of a device and procedure not after the day holds."""

    TABLE: ClassVar[str] = "phantom_schedule"
    device_id: str
    procedure: str
    every_days: int
    valid_from: Day


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """When devices must be confirmed, local HH:MM; `device_id` None: every device of the site."""

    TABLE: ClassVar[str] = "opening_hours"
    site_id: str
    device_id: str | None
    opens_at: str
    valid_from: Day


@dataclass(frozen=True, slots=True)
class Phantom:
    """A phantom of the register and while its calibration holds."""

    TABLE: ClassVar[str] = "phantoms"
    phantom_serial: str
    site_id: str
    calibrated_on: Day | None
    valid_until: Day | None


@dataclass(frozen=True, slots=True)
class StationRow:
    """An AE title that may ask for a worklist; `exam_codes` with blanks between."""

    TABLE: ClassVar[str] = "worklist_stations"
    ae_title: str
    site_id: str | None
    device_id: str
    exam_codes: str | None
    valid_from: Day
    valid_until: Day | None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a state of a device does to its worklist; `device_id` None: any device of the site."""

    TABLE: ClassVar[str] = "worklist_policies"
    policy_id: str
    version: int
    site_id: str | None
    device_id: str | None
    state: str
    action: str  # hold | warn | offer
    valid_from: Day
    valid_until: Day | None
    approver: str | None


@dataclass(frozen=True, slots=True)
class MeasureName:
    """The name of a measure for people."""

    TABLE: ClassVar[str] = "measure_names"
    measure: str
    name_en: str
    name_zh: str


@dataclass(frozen=True, slots=True)
class NuclideRow:
    """A nuclide; `names`, `codes` and `photopeaks_kev` with blanks between."""

    TABLE: ClassVar[str] = "nuclides"
    nuclide: str
    names: str
    codes: str | None
    half_life: float
    unit: Literal["s", "min", "h", "d", "a"]
    source: str
    photopeaks_kev: str | None


@dataclass(frozen=True, slots=True)
class Chart:
    """The design of a control chart."""

    TABLE: ClassVar[str] = "drift_charts"
    chart_id: str
    version: int
    baseline_n: int
    cusum_k: float
    cusum_h: float
    ewma_weight: float
    ewma_limit: float
    clip_z: float
    design_values: int
    false_percent: float
    detect_percent: float

"""The answer key: what was planted and which findings it must raise. Computed from the plan, stored nowhere."""

from dataclasses import dataclass

from simulator.events import adverse_number, unknown_step_id
from simulator.messages import control_id
from simulator.plan import Plan
from simulator.reports import report_sha256

__all__ = ["Expected", "Planted", "answer_key"]


@dataclass(frozen=True)
class Expected:
    """One rule that must fire, and on what: every token names the subject, device, room, accession or staff.

    `between`: bounds of the value that at least one of the findings must show; None where the value says nothing.
    """

    rule_id: str
    tokens: tuple[str, ...]
    between: tuple[float, float] | None = None


@dataclass(frozen=True)
class Planted:
    """One planted fault; it is found when each of `expected` is. `also` may fire besides, because the fault explains it."""

    id: str
    kind: str
    expected: tuple[Expected, ...]
    also: tuple[Expected, ...] = ()


def answer_key(plan: Plan) -> list[Planted]:
    """Return every fault that the plan holds."""
    f, day = plan.faults, plan.day.isoformat()

    def series(key: str) -> str:
        return plan.series_uid(key)

    def steps(kind: str, rule: str, *names: str) -> Planted:
        return Planted(kind.replace("_", "-"), kind, tuple(Expected(rule, (f[kind], name)) for name in names))

    drift = [Planted("ct-hu-drift-spct1", "drift", (Expected("DRIFT", ("SPCT1/ct_water/water_hu",), (0.9, 1.5)),))]
    return [
        Planted(
            "dead-pmt-gc1",
            "dead_photomultiplier",
            (Expected("PHANTOM_LIMIT", (series(f"flood-GC1-{day}"),), (40, 100)), Expected("WORKLIST_HELD", ("GC1",))),
        ),
        Planted(
            "cor-offset-spct1",
            "rotation_offset",
            (Expected("PHANTOM_LIMIT", (series(f"cor-SPCT1-{day}"),), (2.8, 3.2)),),
            (Expected("WORKLIST_HELD", ("SPCT1",)),),
        ),
        Planted(
            "ct-hu-petct1",
            "ct_number_shift",
            (Expected("PHANTOM_LIMIT", (series(f"ct_water-PETCT1-{day}"),), (5, 7)),),
            (Expected("WORKLIST_HELD", ("PETCT1",)),),
        ),
        Planted(
            "dead-block-petct1",
            "dead_pet_block",
            (Expected("PHANTOM_LIMIT", (f"report/{report_sha256(plan, plan.day)}", "PETCT1"), (1, 1)),),
        ),
        Planted(
            "wrong-matrix-spct1",
            "phantom_not_measurable",
            (Expected("PHANTOM_NOT_MEASURED", (series(f"flood-wrong-SPCT1-{f['unmeasurable']}"),)),),
        ),
        Planted("missed-flood-gc1", "phantom_missed", (Expected("PHANTOM_MISSING", ("GC1", f["missed"].isoformat())),)),
        Planted("low-counts", "low_count_scan", (Expected("IMAGE_QUALITY_LIMIT", (series(f"bone-{f['low_count']}"),)),)),
        Planted("under-dosed", "under_dosed", (Expected("DOSE_RANGE", (f["under_dosed"],)),)),
        steps("expired_credential", "CREDENTIAL_INVALID", "positioning", "acquisition"),
        steps("skipped_step", "STEP_MISSING", "identity_check"),
        Planted(  # which of the three swapped steps is named is the judge's choice
            "step-out-of-order", "step_out_of_order", (Expected("STEP_ORDER", (f["step_out_of_order"],)),)
        ),
        Planted(
            "uptake-too-short",
            "uptake_too_short",
            (Expected("STEP_TIMING", (f["uptake_too_short"], "acquisition")),),
            (Expected("STEP_TIMING", (f["uptake_too_short"],)),),
        ),
        Planted(
            "humid-room", "humid_room", (Expected("ENVIRONMENT_LIMIT", ("ROOM-PETCT1", "humidity", f["humid"].isoformat())),)
        ),
        Planted("sensor-gap", "sensor_gap", (Expected("ENVIRONMENT_GAP", ("WAITING/temperature", f["gap"].isoformat())),)),
        Planted("adverse-event", "adverse_event", (Expected("ADVERSE_EVENT", (adverse_number(plan),)),)),
        Planted("duplicate-message", "duplicate_message", (Expected("INTAKE_DUPLICATE", (control_id(f["duplicate"], "ORM"),)),)),
        Planted(
            "malformed-message", "malformed_message", (Expected("INTAKE_QUARANTINED", (control_id(f["malformed"], "BAD"),)),)
        ),
        Planted(
            "truncated-image",
            "truncated_image",
            (Expected("INTAKE_QUARANTINED", (plan.sop_uid(f"bone-{f['truncated']}-truncated"),)),),
        ),
        Planted("unknown-step", "invalid_event", (Expected("INTAKE_QUARANTINED", (unknown_step_id(plan),)),)),
        Planted(
            "same-uid-other-bytes",
            "conflicting_image",
            (Expected("INTAKE_QUARANTINED", (plan.sop_uid(f"ct_water-SPCT1-{day}"),)),),
        ),
        Planted(
            "interfering-drug",
            "interfering_drug",
            (Expected("DRUG_INTERFERENCE", (f["interfering_drug"], "H03AA01"), (1.9, 2.1)),),
        ),
        Planted("unsigned-form", "unsigned_form", (Expected("FORM_MISSING", (f["unsigned_form"], "consent")),)),
        Planted("short-fasting", "short_fasting", (Expected("PREPARATION", (f["short_fasting"], "fasting_h"), (0.9, 1.1)),)),
        Planted(
            "dropped-frame", "dropped_frame", (Expected("IMAGE_QUALITY_LIMIT", (series(f"renal-{f['dropped_frame']}"),), (1, 1)),)
        ),
        Planted(
            "shifted-view-30",
            "shifted_projection",
            (Expected("IMAGE_QUALITY_LIMIT", (series(f"heart-{f['shifted_view']}"),), (1.6, 2.4)),),
        ),
        *(drift if f["drift"] <= plan.day else []),
    ]

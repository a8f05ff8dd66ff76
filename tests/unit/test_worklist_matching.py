"""Attribute matching of a worklist question: PS3.4 C.2.2.2 and table K.6-1, key by key."""

import pytest
from pydicom import Dataset

from connectors.dicom.worklist.matching import BadKey, answer, check_keys, matches


def entry(**more: object) -> Dataset:
    step = Dataset()
    step.ScheduledStationAETitle, step.Modality = ["GC1", "SPCT1"], "NM"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260302", "093000"
    step.ScheduledPerformingPhysicianName, step.ScheduledProcedureStepDescription = "", "Bone"
    out = Dataset()
    out.PatientName, out.PatientID, out.AccessionNumber = "Zhang^San=张^三", "H4711", "A-1"
    out.StudyInstanceUID, out.PatientBirthDate = "1.2.3", ""
    out.ScheduledProcedureStepSequence = [step]
    for keyword, value in more.items():
        setattr(out, keyword, value)
    return out


def keys(step: dict[str, object] | None = None, **top: object) -> Dataset:
    out = Dataset()
    for keyword, value in top.items():
        setattr(out, keyword, value)
    if step is not None:
        inner = Dataset()
        for keyword, value in step.items():
            setattr(inner, keyword, value)
        out.ScheduledProcedureStepSequence = [inner] if step else []
    return out


DAY, CLOCK = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"


@pytest.mark.parametrize(
    "wanted, found",
    [
        # universal
        (keys(), True), (keys(PatientName=""), True), (keys(PatientName="*"), True), (keys({}), True), (keys({"Modality": ""}), True),
        # single value; the name in any case and in either form
        (keys(PatientID="H4711"), True), (keys(PatientID="h4711"), False), (keys(PatientID="H471"), False),
        (keys(PatientName="ZHANG^SAN"), True), (keys(PatientName="张^三"), True), (keys(PatientName="Zhang^San="), True),
        (keys(PatientName="Zhang^San=李^四"), False), (keys(PatientName="Zhang"), False), (keys(PatientName="Zhang^San^^"), True),
        (keys(AccessionNumber="A-1"), True), (keys(AccessionNumber="A-2"), False),
        # wildcard
        (keys(PatientName="Zha*"), True), (keys(PatientName="*三"), True), (keys(PatientName="Zhan?^San"), True),
        (keys(PatientName="Zhang?^San"), False), (keys(PatientID="H47*"), True), (keys(PatientID="*"), True), (keys(PatientID="H.*1"), False),
        # a name of which nothing is known matches no value
        (keys(PatientBirthDate="19500102"), False), (keys(PatientBirthDate=""), True),
        (keys({"ScheduledPerformingPhysicianName": "Li*"}), False), (keys({"ScheduledPerformingPhysicianName": "*"}), True),
        # list of UIDs
        (keys(StudyInstanceUID="1.2.3"), True), (keys(StudyInstanceUID=["1.9", "1.2.3"]), True), (keys(StudyInstanceUID="1.2.30"), False),
        # sequence
        (keys({"Modality": "NM"}), True), (keys({"Modality": "PT"}), False), (keys({"ScheduledStationAETitle": "SPCT1"}), True),
        (keys({"ScheduledStationAETitle": "PETCT1"}), False), (keys({"ScheduledStationAETitle": "SPCT1", "Modality": "CT"}), False),
        # ranges of dates
        (keys({DAY: "20260302"}), True), (keys({DAY: "20260301"}), False), (keys({DAY: "20260301-20260302"}), True),
        (keys({DAY: "20260302-"}), True), (keys({DAY: "-20260302"}), True), (keys({DAY: "20260303-"}), False), (keys({DAY: "-20260301"}), False),
        # of times; what a time leaves out is open
        (keys({CLOCK: "0930"}), True), (keys({CLOCK: "09"}), True), (keys({CLOCK: "093001"}), False), (keys({CLOCK: "0900-0930"}), True),
        (keys({CLOCK: "0931-"}), False), (keys({CLOCK: "-0929"}), False), (keys({CLOCK: "090000.000-093000.000"}), True),
        # both as ranges are one range of moments (table K.6-1): from 10:00 of the first to 8:00 of the last day
        (keys({DAY: "20260301-20260303", CLOCK: "1000-0800"}), True), (keys({DAY: "20260302-20260303", CLOCK: "1000-0800"}), False),
        (keys({DAY: "20260301-20260302", CLOCK: "1000-0800"}), False), (keys({DAY: "20260301-", CLOCK: "1000-"}), True),
        # a date and a range of times: that day, between those times
        (keys({DAY: "20260302", CLOCK: "0900-1000"}), True), (keys({DAY: "20260302", CLOCK: "1000-1100"}), False),
        # what is not supported is not matched by
        (keys(IssuerOfPatientID="X"), True),
    ],
)  # fmt: skip
def test_keys_match_as_the_standard_says(wanted: Dataset, found: bool) -> None:
    check_keys(wanted)
    assert matches(wanted, entry()) is found


@pytest.mark.parametrize(
    "wanted",
    [
        keys({DAY: "yesterday"}),
        keys({DAY: "20261301"}),
        keys({DAY: "-"}),
        keys({DAY: "20260101-20260102-20260103"}),
        keys({CLOCK: "25"}),
    ],
)
def test_a_key_that_no_query_may_hold_is_refused_without_its_value(wanted: Dataset) -> None:
    with pytest.raises(BadKey, match="ScheduledProcedureStepStart") as refused:
        check_keys(wanted)
    assert "2026" not in str(refused.value) and "yesterday" not in str(refused.value)


def test_two_items_in_a_sequence_of_keys_are_refused() -> None:
    wanted = Dataset()
    wanted.ScheduledProcedureStepSequence = [Dataset(), Dataset()]
    with pytest.raises(BadKey, match="more than one item"):
        check_keys(wanted)


def test_an_answer_holds_what_was_asked_for_and_nothing_else() -> None:
    said, whole = answer(keys({"Modality": "", DAY: ""}, PatientName="Z*", SpecificCharacterSet="ISO_IR 100"), entry())
    assert whole and [e.keyword for e in said] == ["PatientName", "ScheduledProcedureStepSequence"]
    assert [e.keyword for e in said.ScheduledProcedureStepSequence[0]] == ["Modality", DAY]


def test_an_empty_sequence_asks_for_all_of_it_and_an_unknown_key_is_told() -> None:
    said, whole = answer(keys({}, IssuerOfPatientID=""), entry())
    assert not whole and "IssuerOfPatientID" not in said
    assert said.ScheduledProcedureStepSequence[0].ScheduledProcedureStepDescription == "Bone"

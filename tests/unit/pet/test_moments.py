"""When a source was measured or injected, and what voxels are decay-corrected to: one reader for all procedures."""

import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pet_images import F18_S, cylinder, dosed, slices
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from spark_jobs.measure import measure_series
from spark_jobs.procedures.administration import factor_of, reference_moment
from spark_jobs.procedures.clinical.header import uptake
from spark_jobs.procedures.moments import acquired, assumed, clock_offset, days_of, injected, iso, moment_of_sheet, parsed
from spark_jobs.procedures.reference_moment import reference_of
from spark_jobs.reading import Unreadable, read

SCAN = datetime(2026, 3, 2, 11, 0)
HOUR = timedelta(hours=1)
ZR89_S, CU64_S, TC99M_S, C11_S = 282_276.0, 45_721.0, 21_624.0, 1_221.7


def header(**tags):
    ds = Dataset()
    ds.SeriesDate = ds.AcquisitionDate = "20260302"
    ds.SeriesTime = ds.AcquisitionTime = "110000"
    agent = {k: tags.pop(k) for k in list(tags) if k.startswith("Radio")}
    for k, v in tags.items():
        if v is None:
            delattr(ds, k)
        else:
            setattr(ds, k, v)
    it = Dataset()
    for k, v in agent.items():
        setattr(it, k, v)
    ds.RadiopharmaceuticalInformationSequence = Sequence([it])
    return ds


def given(ds, half_life=F18_S, scan=SCAN):
    return injected(ds, ds.RadiopharmaceuticalInformationSequence[0], scan, half_life)


DT, TM = "RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"


@pytest.mark.parametrize(
    "text, moment",
    [
        ("20260302100000", "2026-03-02T10:00:00"),
        ("20260302100000.5", "2026-03-02T10:00:00.500000"),
        ("202603021000", "2026-03-02T10:00:00"),
        ("20260302100000.00+0800", "2026-03-02T10:00:00+08:00"),
        ("20260302100000-0330", "2026-03-02T10:00:00-03:30"),
        ("202603021000+0000", "2026-03-02T10:00:00+00:00"),
        (b"20260302100000.00\0", "2026-03-02T10:00:00"),
        ("20260302100060", "2026-03-02T10:00:59"),
        ("20260302100000.0000000", "2026-03-02T10:00:00"),
        ("2026030210", None),  # the hour alone
        ("20260302", None),
        ("20261302100000", None),
        ("20260302100000+9900", None),
        ("2026-03-02 10:00", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_and_time_is_read_with_its_offset_and_never_guessed(text, moment):
    assert parsed(text) == (None if moment is None else datetime.fromisoformat(moment))


@pytest.mark.parametrize(
    "tags, hours",
    [
        ({"TimezoneOffsetFromUTC": "+0800"}, 8.0),
        ({"TimezoneOffsetFromUTC": "-0330"}, -3.5),
        ({"AcquisitionDateTime": "20260302030000+0000"}, 8.0),  # beside AcquisitionTime 11:00
        ({"AcquisitionDateTime": "20260302110000+0900"}, 9.0),
        ({"AcquisitionDateTime": "20260302153000+1200"}, 7.5),
        ({"AcquisitionDateTime": "20260302110000+0800", "AcquisitionTime": None}, 8.0),
        ({DT: "20260302020000+0000", TM: "100000"}, 8.0),
        ({DT: "20260302100000+0100", TM: "100030"}, 1.0),
        ({DT: "20260302220000+0000", TM: "060000"}, 8.0),
        ({DT: "20260302030000+0000", TM: "220000"}, -5.0),
        ({}, None),
        ({DT: "20260302100000+0800"}, None),
        ({DT: "20260302020000+0000", TM: "093700"}, None),  # no whole quarter of an hour
    ],
)
def test_the_clock_of_a_header_is_what_its_elements_tell(tags, hours):
    assert clock_offset(header(**tags)) == (None if hours is None else timedelta(hours=hours))


@pytest.mark.parametrize(
    "tags, minutes",
    [
        ({DT: "20260302100000"}, 60),
        ({TM: "100000"}, 60),
        ({TM: "10:00:00"}, 60),
        ({TM: "1000"}, 60),
        ({DT: "20260302100000", TM: "100030"}, 60),
        ({DT: "20260302101500", TM: "10"}, 45),  # the hour alone contradicts nothing
        ({DT: "20260302020000+0000", "TimezoneOffsetFromUTC": "+0800"}, 60),
        ({DT: "20260302020000.00+0000", TM: "100000", "TimezoneOffsetFromUTC": "+0800"}, 60),
        ({DT: "20260302020000+0000", TM: "100000"}, 60),
        ({DT: "20260302020000+0000", "AcquisitionDateTime": "20260302110000+0800"}, 60),
        ({DT: "20260302110000+0900", "AcquisitionDateTime": "20260302110000+0800"}, 60),
        ({DT: "20260302100000+0800"}, 60),  # the offset of the place of the scanner
        ({DT: "20260302100000", "TimezoneOffsetFromUTC": "+0800"}, 60),
        ({DT: "20260301210000-0500", "TimezoneOffsetFromUTC": "+0800"}, 60),
        ({DT: "20260302", TM: "100000"}, 60),  # the day in one element, the time in the other
        ({DT: "20260302110030"}, -0.5),  # a rounded minute
    ],
)
def test_a_moment_of_activity_is_one_on_the_clock_of_the_header(tags, minutes):
    assert (SCAN - given(header(**tags))).total_seconds() == pytest.approx(60 * minutes, abs=0.01)


@pytest.mark.parametrize(
    "tags, half_life, reason",
    [
        ({DT: "20260302020000+0000"}, F18_S, "in UTC, and the header does not tell"),
        ({DT: "20260302020000+0000", TM: "093700"}, F18_S, "in UTC"),
        ({DT: "20260302020000+0000", TM: "090000", "TimezoneOffsetFromUTC": "+0800"}, F18_S, "contradict each other"),
        ({DT: "20260302090000", TM: "100000"}, F18_S, "contradict each other"),
        ({DT: "20260302100000+0100", "TimezoneOffsetFromUTC": "+0000X"}, F18_S, "is no offset from UTC"),
        ({DT: "20260302"}, F18_S, "no date and time"),
        ({DT: "2026030210"}, F18_S, "no date and time"),
        ({DT: "soon"}, F18_S, "no date and time"),
        ({TM: "quarter past"}, F18_S, "is no time"),
        ({TM: "10"}, F18_S, "gives the hour alone"),
        ({TM: "10", DT: "20260302"}, F18_S, "gives the hour alone"),
        ({TM: "10", DT: "20260302091500"}, F18_S, "contradict each other"),
        ({}, F18_S, "moment of the activity is missing"),
        ({TM: "100000"}, ZR89_S, "the day must be given"),
        ({TM: "100000"}, CU64_S, "the day must be given"),
        ({TM: "112000"}, CU64_S, "lies after the scan"),
        ({TM: "112000"}, ZR89_S, "lies after the scan"),
        ({TM: "112000"}, F18_S, "lies after the scan"),
        ({TM: "112000"}, TC99M_S, "lies after the scan"),
        ({TM: "112000"}, None, "lies after the scan"),
        ({TM: "070000"}, C11_S, "half-lives before the scan at 11:00"),
        ({DT: "20260302112000"}, F18_S, "does not come before"),
        ({DT: "20260302040000+0000", "TimezoneOffsetFromUTC": "+0800"}, F18_S, "does not come before"),
        ({DT: "20260227100000"}, F18_S, "half-lives before the scan"),
    ],
)
def test_a_moment_that_cannot_be_known_is_refused_with_its_reason(tags, half_life, reason):
    with pytest.raises(Unreadable, match=reason):
        given(header(**tags), half_life)


@pytest.mark.parametrize(
    "injection, scan, half_life",
    [
        ("235000", datetime(2026, 3, 2, 0, 30), F18_S),
        ("233000", datetime(2026, 3, 2, 5, 0), TC99M_S),
        ("233000", datetime(2026, 3, 2, 0, 10), C11_S),
    ],
)
def test_a_time_of_day_in_the_evening_is_before_midnight(injection, scan, half_life):
    assert given(header(**{TM: injection}), half_life, scan) < scan
    assert given(header(**{TM: injection}), half_life, scan).day == 1


def test_a_day_that_is_given_holds_however_long_ago():
    assert SCAN - given(header(**{DT: "20260225100000"}), ZR89_S) == timedelta(days=5, hours=1)


@pytest.mark.parametrize(
    "tags, moment",
    [
        ({}, "2026-03-02T11:00"),
        ({"AcquisitionDate": None}, "2026-03-02T11:00"),
        ({"AcquisitionDate": "", "AcquisitionTime": "000500", "SeriesTime": "235000"}, "2026-03-03T00:05"),
        ({"AcquisitionDate": "", "AcquisitionTime": "235800", "SeriesTime": "000100"}, "2026-03-01T23:58"),
        ({"AcquisitionDate": "20260305"}, "2026-03-05T11:00"),
        ({"AcquisitionDateTime": "20260302110000+0800"}, "2026-03-02T11:00"),
        ({"AcquisitionDateTime": "20260302030000+0000"}, "2026-03-02T11:00"),
        (
            {"AcquisitionDateTime": "20260302030000+0000", "AcquisitionTime": None, "TimezoneOffsetFromUTC": "+0800"},
            "2026-03-02T11:00",
        ),
        ({"AcquisitionTime": None}, None),
        ({"AcquisitionDate": None, "SeriesDate": None}, None),
        ({"AcquisitionDate": None, "SeriesDate": None, "StudyDate": "20260301"}, "2026-03-01T11:00"),
    ],
)
def test_the_start_of_an_acquisition_knows_its_day(tags, moment):
    assert acquired(header(**tags)) == (None if moment is None else datetime.fromisoformat(moment))


@pytest.mark.parametrize(
    "tags, reason",
    [
        ({"AcquisitionTime": "11-00-00"}, "AcquisitionTime holds no time of day"),
        ({"AcquisitionTime": "11-00-00", "AcquisitionDateTime": "20260302110000"}, "AcquisitionTime holds no time of day"),
        ({"AcquisitionTime": "11"}, "AcquisitionTime gives the hour alone"),
        ({"AcquisitionTime": "250000"}, "AcquisitionTime holds no time of day"),
        ({"AcquisitionDate": "2026-03-02"}, "AcquisitionDate holds no date"),
        ({"AcquisitionDateTime": "2026-03-02 11:00:00"}, "AcquisitionDateTime holds no date"),
        ({"AcquisitionDateTime": "20260302115"}, "AcquisitionDateTime holds no date"),
        ({"AcquisitionDateTime": "2026030211", "AcquisitionTime": None}, "AcquisitionDateTime gives the hour alone"),
        ({"AcquisitionDate": None, "SeriesTime": "10.50.00"}, "SeriesTime holds no time of day"),
        ({"AcquisitionDate": None, "SeriesDate": "02.03.26"}, "SeriesDate holds no date"),
        ({"AcquisitionDate": None, "SeriesDate": None, "StudyDate": "yesterday"}, "StudyDate holds no date"),
    ],
)
def test_a_moment_that_is_there_and_cannot_be_read_is_not_absent(tags, reason):
    with pytest.raises(Unreadable, match=reason):
        acquired(header(**tags))


@pytest.mark.parametrize("rough", ["2026", "202603", "20260302", "2026030211"])
def test_a_rough_moment_beside_an_exact_one_is_no_fault(rough):
    assert acquired(header(AcquisitionDateTime=rough)) == SCAN


def test_two_starts_of_one_acquisition_are_refused():
    with pytest.raises(Unreadable, match="contradict each other"):
        acquired(header(AcquisitionDateTime="20260302093000"))


@pytest.mark.parametrize(
    "tags, notes",
    [
        ({DT: "20260302100000+0800"}, 1),
        ({DT: "20260302100000"}, 0),
        ({TM: "100000"}, 1),
        ({TM: "100000", DT: "20260302"}, 0),
        ({DT: "20260302100000+0800", "TimezoneOffsetFromUTC": "+0800"}, 0),
        ({DT: "20260302100000+0800", TM: "100000"}, 0),
    ],
)
def test_an_offset_that_nothing_confirms_is_a_note(tags, notes):
    ds = header(**tags)
    assert len(assumed(ds, ds.RadiopharmaceuticalInformationSequence[0])) == notes


# uptake


I131, TC99M, F18 = ("C-114B1", "^131^Iodine"), ("C-163A8", "^99m^Technetium"), ("C-111A1", "^18^Fluorine")


def waiting(code, **tags):
    ds = header(**tags)
    if code:
        c = Dataset()
        c.CodeValue, c.CodeMeaning = code
        ds.RadiopharmaceuticalInformationSequence[0].RadionuclideCodeSequence = Sequence([c])
    return uptake(ds)


@pytest.mark.parametrize(
    "code, tags, minutes",
    [
        (I131, {DT: "20260227100000", TM: "100000"}, 73 * 60),
        (TC99M, {DT: "20260302080000"}, 180),
        (TC99M, {DT: "20260302000000+0000", "TimezoneOffsetFromUTC": "+0800"}, 180),
        (None, {DT: "20260302080000"}, 180),
    ],
)
def test_the_time_from_injection_to_scan_counts_days(code, tags, minutes):
    (found,), notes = waiting(code, **tags)
    assert found.value == pytest.approx(minutes) and notes == ()


@pytest.mark.parametrize(
    "code, tags, minutes",
    [
        (TC99M, {TM: "080000"}, 180),
        (F18, {TM: "080000"}, 180),
        (TC99M, {TM: "233000", "AcquisitionTime": "003000", "AcquisitionDate": "20260303"}, 60),
        (TC99M, {TM: "080000", "AcquisitionDate": None, "SeriesDate": None}, 180),
    ],
)
def test_a_day_that_is_not_told_is_named_whatever_the_nuclide(code, tags, minutes):
    (found,), (note,) = waiting(code, **tags)
    assert found.value == pytest.approx(minutes) and "has no day" in note


@pytest.mark.parametrize(
    "code, tags, reason",
    [
        (TC99M, {TM: "110500"}, "lies after the scan"),
        (TC99M, {DT: "20260302120000"}, "does not come before"),
        (I131, {TM: "100000"}, "the day must be given"),
        (I131, {TM: "120000"}, "lies after the scan"),
        (None, {TM: "120000"}, "lies after the scan"),
        (TC99M, {DT: "20260302000000+0000"}, "in UTC"),
        (TC99M, {DT: "20260102000000"}, "half-lives before the scan"),
    ],
)
def test_a_time_from_injection_to_scan_that_cannot_be_known_is_a_note(code, tags, reason):
    found, (note,) = waiting(code, **tags)
    assert found == [] and reason in note


def test_a_time_of_day_of_an_unknown_nuclide_is_of_the_day_of_the_scan_and_says_so():
    (found,), (note,) = waiting(None, **{TM: "080000"})
    assert found.value == pytest.approx(180) and "nor the nuclide" in note


def test_a_header_without_an_injection_has_no_time_and_no_note():
    assert waiting(TC99M) == ([], ())
    assert uptake(Dataset()) == ([], ())


# what voxels are decay-corrected to


def factor(begun_s, lasting_s, half_life, inside="mean"):
    """DecayFactor of a frame that began `begun_s` after the reference."""
    rate = math.log(2) / half_life
    x = rate * lasting_s
    within = {"mean": x / -math.expm1(-x) if x else 1.0, "start": 1.0, "half": math.exp(x / 2)}[inside]
    return f"{math.exp(rate * begun_s) * within:.6f}"


def bed(begun: datetime, lasting_s=180.0, **tags):
    """One slice of a series, as the reader takes it."""
    ds = header(AcquisitionDate=f"{begun:%Y%m%d}", AcquisitionTime=f"{begun:%H%M%S}")
    ds.DecayCorrection = "START"
    ds.ActualFrameDuration = f"{1000 * lasting_s:.0f}"
    for k, v in tags.items():
        setattr(ds, k, v)
    return ds


@pytest.fixture(scope="module")
def frame():
    return read(slices(cylinder()[:3], (4.0, 4.0, 4.0), **dosed())[0])


def reference(frame, datasets, half_life=F18_S, injection=SCAN - HOUR):
    return reference_of([replace(frame, dataset=ds) for ds in datasets], half_life, lambda: injection)


def beds(reference_at, starts, lasting_s=180.0, half_life=F18_S, inside="mean", **tags):
    return [
        bed(s, lasting_s, DecayFactor=factor((s - reference_at).total_seconds(), lasting_s, half_life, inside), **tags)
        for s in starts
    ]


FIVE_BEDS = [SCAN + timedelta(minutes=3 * k) for k in range(5)]


@pytest.mark.parametrize("inside", ["mean", "start", "half"])
@pytest.mark.parametrize("half_life", [F18_S, C11_S, ZR89_S])
def test_beds_corrected_to_the_start_of_the_series_agree(frame, inside, half_life):
    """Three minutes of C-11 are 5 %: vendors count them in different ways, and none contradicts the start."""
    assert reference(frame, beds(SCAN, FIVE_BEDS, half_life=half_life, inside=inside), half_life).moment == SCAN


def test_without_decay_factors_the_series_or_the_first_acquisition_is_the_start(frame):
    assert reference(frame, [bed(s) for s in FIVE_BEDS]).moment == SCAN
    late = [bed(s, SeriesTime="180000") for s in FIVE_BEDS]
    assert reference(frame, late).moment == SCAN


@pytest.mark.parametrize("starts", [[SCAN], FIVE_BEDS])
@pytest.mark.parametrize("label", ["START", "ADMIN"])
def test_a_decay_factor_that_contradicts_the_label_is_refused(frame, starts, label):
    """START with factors from the injection, ADMIN with factors from the start of the scan: an hour of F-18 is 46 %."""
    wrong = SCAN - HOUR if label == "START" else SCAN
    with pytest.raises(Unreadable, match=r"which is right is unknown"):
        reference(frame, beds(wrong, starts, DecayCorrection=label))
    right = SCAN if label == "START" else SCAN - HOUR
    assert reference(frame, beds(right, starts, DecayCorrection=label)).moment == right


def test_beds_whose_factors_are_all_one_are_corrected_to_no_one_moment(frame):
    starts = [SCAN + timedelta(minutes=10 * k) for k in range(4)]
    with pytest.raises(Unreadable, match="does not follow their AcquisitionTime"):
        reference(frame, [bed(s, DecayFactor="1.0") for s in starts])
    assert reference(frame, [bed(SCAN, DecayFactor="1.0")]).moment == SCAN


@pytest.mark.parametrize("minutes, note", [(2, None), (8, "leaves out"), (10, "leaves out"), (40, None)])
def test_decay_inside_a_long_frame_that_a_factor_leaves_out_is_noticed(frame, minutes, note):
    datasets = [bed(SCAN, 60.0 * minutes, DecayFactor="1.0")]
    if minutes == 40:  # 13 % of F-18
        with pytest.raises(Unreadable, match="leaves out the decay during a frame"):
            reference(frame, datasets)
        return
    found = reference(frame, datasets)
    assert found.moment == SCAN and bool(found.notes) == bool(note)


def late_window(**tags):
    """Minutes 50–70 of an acquisition that was begun at 10:10; the series was made anew at 14:00."""
    ref = SCAN - timedelta(minutes=50)
    rate, lasting = math.log(2) / F18_S, 1200.0
    x = rate * lasting
    middle = math.log(x / -math.expm1(-x)) / rate
    tags = {"SeriesTime": "140000", "FrameReferenceTime": f"{1000 * (3000 + middle):.0f}", **tags}
    return ref, beds(ref, [SCAN], lasting, **tags)


def with_creator(ds, group, creator, element, value, block=0x10, vr="DT"):
    ds.add_new((group, block), "LO", creator)
    ds.add_new((group, (block << 8) + element), vr, value)
    return ds


@pytest.mark.parametrize("block", [0x10, 0x11, 0xE0])
def test_the_vendors_reference_is_found_in_any_block_and_checked_by_the_factors(frame, block):
    ref, datasets = late_window()
    for ds in datasets:
        with_creator(ds, 0x0071, "SIEMENS MED PT", 0x22, "20260302101000.000000", block)
    assert reference(frame, datasets).moment == ref
    for ds in datasets:
        ds[0x0071, (block << 8) + 0x22].value = "20260302110000.000000"
    with pytest.raises(Unreadable, match=r"\(0071,xx22\) says .* 11:00, DecayFactor to .* 10:10"):
        reference(frame, datasets)


def test_without_the_vendors_element_factor_and_frame_time_give_the_reference(frame):
    ref, datasets = late_window()
    found = reference(frame, datasets)
    assert abs((found.moment - ref).total_seconds()) < 2 and "made anew" in found.notes[0]
    with pytest.raises(Unreadable, match="which is right is unknown"):
        reference(frame, late_window(FrameReferenceTime="60000")[1])
    _, kept = late_window(SeriesTime="101000")
    assert reference(frame, kept).moment == ref


def test_a_vendors_element_of_another_creator_tells_nothing(frame):
    _, datasets = late_window(SeriesTime="101000")
    for ds in datasets:
        with_creator(ds, 0x0071, "SOMEBODY ELSE", 0x22, "20260302093000")
    assert reference(frame, datasets).moment == SCAN - timedelta(minutes=50)


def test_a_vendors_reference_in_utc_is_put_on_the_clock(frame):
    ref, datasets = late_window(TimezoneOffsetFromUTC="+0800")
    for ds in datasets:
        with_creator(ds, 0x0071, "SIEMENS MED PT", 0x22, "20260302021000+0000")
    assert reference(frame, datasets).moment == ref


@pytest.mark.parametrize("block", [0x10, 0x12])
def test_the_start_that_ge_writes_counts_where_the_series_was_made_anew(frame, block):
    datasets = [
        with_creator(bed(s, SeriesTime="180000"), 0x0009, "GEMS_PETD_01", 0x0D, "20260302105500.00", block, "LO")
        for s in FIVE_BEDS
    ]
    assert reference(frame, datasets).moment == SCAN - timedelta(minutes=5)


def test_a_series_begun_long_before_its_acquisition_is_ambiguous_without_factors(frame):
    """By C.8.9.1.1.5 START is the acquisition's start; a series that is an hour older may be of another moment."""
    with pytest.raises(Unreadable, match=r"SeriesTime says .* AcquisitionTime to"):
        reference(frame, [bed(s, SeriesTime="100000") for s in FIVE_BEDS])
    assert reference(frame, [bed(s, SeriesTime="105600") for s in FIVE_BEDS]).moment == SCAN - timedelta(minutes=4)
    told = beds(SCAN, FIVE_BEDS, SeriesTime="100000")
    assert reference(frame, told).moment == SCAN
    told = beds(SCAN - HOUR, FIVE_BEDS, SeriesTime="100000")
    assert reference(frame, told).moment == SCAN - HOUR


def test_a_frame_time_alone_that_contradicts_the_start_is_refused(frame):
    with pytest.raises(Unreadable, match="FrameReferenceTime"):
        reference(frame, [bed(SCAN, FrameReferenceTime="3690000")])
    assert reference(frame, [bed(SCAN, FrameReferenceTime="90000")]).moment == SCAN
    assert reference(frame, [bed(s, FrameReferenceTime="90000") for s in FIVE_BEDS]).moment == SCAN, "a filler"
    assert reference(frame, [bed(SCAN, FrameReferenceTime="0")]).moment == SCAN


@pytest.mark.parametrize("label", ["START", "ADMIN"])
@pytest.mark.parametrize("name", ["DecayFactor", "FrameReferenceTime", "ActualFrameDuration"])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_number_that_cannot_be_read_is_not_absent(frame, name, as_text, label):
    ds = bed(SCAN, SeriesTime="105000", DecayCorrection=label)
    if name in ds:
        del ds[name]
    tag = tag_for_keyword(name)
    ds[tag] = DataElement(tag, "LO", "1,0975") if as_text else RawDataElement(Tag(tag), "DS", 6, b"1,0975", 0, False, True)
    with pytest.raises(Unreadable, match=f"{name} holds no number"):
        reference(frame, [ds])


@pytest.mark.parametrize("text", ["10.50.00", "11-00-00", "10"])
def test_a_time_of_the_series_that_cannot_be_read_leaves_no_other_start(frame, text):
    with pytest.raises(Unreadable, match="SeriesTime"):
        reference(frame, [bed(SCAN, SeriesTime=text)])


@pytest.mark.parametrize("text", ["2026-03-02 10:50:00", "20260302105", "soon", "20260302"])
def test_a_vendors_moment_that_cannot_be_read_is_refused(frame, text):
    for group, creator, element in ((0x0071, "SIEMENS MED PT", 0x22), (0x0009, "GEMS_PETD_01", 0x0D)):
        with pytest.raises(Unreadable, match="is there and cannot be read"):
            reference(frame, [with_creator(bed(SCAN), group, creator, element, text, vr="LO")])
        assert reference(frame, [with_creator(bed(SCAN), group, creator, element, "", vr="LO")]).moment == SCAN


def test_numbers_that_no_scan_has_are_refused_and_end_nothing(frame):
    with pytest.raises(Unreadable, match=r"SeriesTime says .* 2019-01-01 11:00, AcquisitionTime to"):
        reference(frame, [bed(SCAN, SeriesDate="20190101")])
    for wrong in ("DecayFactor", "FrameReferenceTime"):
        with pytest.raises(Unreadable, match=f"{wrong} is 1e\\+30, which no scan has"):
            reference(frame, [bed(SCAN, **{wrong: "1e30"})])
    assert reference(frame, [bed(SCAN, DecayFactor="-1")]).moment == SCAN
    no_duration = bed(SCAN, DecayFactor="1.06")
    del no_duration.ActualFrameDuration
    assert reference(frame, [no_duration]).moment == SCAN, "what a factor says needs the duration of the frame"


@pytest.mark.parametrize("label", ["NONE", "", "SOMETIME"])
def test_voxels_without_one_reference_have_none(frame, label):
    with pytest.raises(Unreadable, match="no one moment"):
        reference(frame, [bed(SCAN, DecayCorrection=label)])


def test_the_suv_factor_of_a_vendor_is_found_by_creator_and_is_one_of_all_slices(frame):
    def series(*blocks):
        datasets = [with_creator(bed(SCAN, Units="CNTS"), 0x7053, "OTHER VENDOR", 0x00, "0.9", vr="DS") for _ in range(3)]
        for ds, block in zip(datasets, blocks, strict=True):
            with_creator(ds, 0x7053, "Philips PET Private Group", 0x00, "0.0002" if block < 0x20 else "0.0003", block, "DS")
        return [replace(frame, dataset=ds) for ds in datasets]

    assert factor_of(series(0x11, 0x11, 0x12)) == (0.0002, ())
    with pytest.raises(Unreadable, match="different SUV factors"):
        factor_of(series(0x11, 0x11, 0x21))
    with pytest.raises(Unreadable, match="the vendor's SUV factor"):
        factor_of([replace(frame, dataset=with_creator(bed(SCAN, Units="CNTS"), 0x7053, "OTHER VENDOR", 0x00, "0.9", vr="DS"))])


# sheets


@pytest.mark.parametrize(
    "text, good",
    [
        ("2026-03-02T10:00:00", True), ("2026-03-02 10:00", True), ("2026-03-02T10:00Z", True), ("20260302T1000", True),
        ("2026-03-02T10:00:00+08:00", True), ("2026-03-02", False), ("2026-03-02T10", False), ("20260302", False), ("", False),
        (None, False), ("soon", False), (20260302, False),
    ],
)  # fmt: skip
def test_a_day_alone_is_no_moment_of_a_sheet(text, good):
    assert (iso(text) is not None) == good


@pytest.mark.parametrize(
    "tags, sheet, moment",
    [
        ({}, "2026-03-02T10:00:00", "10:00"),
        ({"TimezoneOffsetFromUTC": "+0800"}, "2026-03-02T02:00:00Z", "10:00"),
        ({"AcquisitionDateTime": "20260302110000+0800"}, "2026-03-02T02:00:00Z", "10:00"),
        ({"TimezoneOffsetFromUTC": "+0800"}, "2026-03-02T11:00:00+09:00", "10:00"),
        ({}, "2026-03-02T10:00:00+08:00", "10:00"),
    ],
)
def test_a_moment_of_a_sheet_is_put_on_the_clock_of_the_header(tags, sheet, moment):
    assert f"{moment_of_sheet(header(**tags), {'measured_at': sheet}, 'measured_at'):%H:%M}" == moment


@pytest.mark.parametrize(
    "sheet, reason",
    [
        ({"measured_at": "2026-03-02T02:00:00Z"}, "in UTC"),
        ({"measured_at": "2026-03-02T10:00:00+08:00", "residual_measured_at": "2026-03-02T10:00:00"}, "different offsets"),
        ({"measured_at": "2026-03-02T10:00:00", "residual_measured_at": "2026-03-02T10:00:00+08:00"}, "different offsets"),
        ({"measured_at": "2026-03-02"}, "no moment"),
        ({}, "no moment"),
    ],
)
def test_a_moment_of_a_sheet_that_cannot_be_compared_is_refused(sheet, reason):
    with pytest.raises(Unreadable, match=reason):
        moment_of_sheet(header(), sheet, "measured_at")


# and through the whole engine


def suv(**facts):
    concentration = 60e6 * 0.5 ** (3600 / F18_S) / 6280
    files = slices(cylinder(concentration, noise=0.01), (4.0, 4.0, 4.0), **{**dosed(), **facts})
    return next(r for r in measure_series(files) if r.procedure == "suv_calibration")


def item_with(**tags):
    it = Dataset()
    it.RadionuclideTotalDose, it.RadionuclideHalfLife = "60000000", str(F18_S)
    for k, v in tags.items():
        setattr(it, k, v)
    return [it]


@pytest.mark.req("TST-08")
def test_an_offset_from_utc_moves_no_suv():
    facts = {
        "TimezoneOffsetFromUTC": "+0800",
        "RadiopharmaceuticalInformationSequence": item_with(**{DT: "20260401010000.00+0000"}),
    }
    assert suv(**facts).value("suv_mean") == pytest.approx(1.0, rel=1e-3)


@pytest.mark.req("TST-08")
def test_an_suv_that_no_scanner_is_off_by_has_no_verdict():
    """A whole day of F-18 between: the weight or a moment is another one's."""
    found = suv(PatientWeight="70")
    assert found.status == "indicative" and found.value("suv_mean") == pytest.approx(70 / 6.28, rel=1e-3)
    assert "no scanner's fault" in found.reason


I124_S = 360_806.4


@pytest.mark.req("TST-08")
@pytest.mark.parametrize(
    "start, tags, mean",
    [
        ("093000", {}, 1.0),
        ("153000", {}, 1.0),  # of an afternoon before
        ("093000", {"DecayFactor": factor(25.5 * 3600, 180, I124_S)}, 1.0),  # the scan at 11:00 is of the next day
        ("093000", {"DecayFactor": factor(7.0 * 3600, 180, I124_S)}, None),
        ("", {}, None),
    ],
)
def test_voxels_corrected_to_the_administration_need_no_day(start, tags, mean):
    """PS3.3 C.8.9.1.1.5, C.8.9.2: voxels and RadionuclideTotalDose are of one moment, whichever day it was."""
    given = item_with(**{TM: start, "RadionuclideHalfLife": str(I124_S)})
    facts = {"DecayCorrection": "ADMIN", "AcquisitionTime": "110000", "SeriesTime": "110000", "ActualFrameDuration": "180000"}
    files = slices(
        cylinder(60e6 / 6280, noise=0.01),
        (4.0, 4.0, 4.0),
        **{**dosed(), **facts, "RadiopharmaceuticalInformationSequence": given, **tags},
    )
    found = {r.procedure: r for r in measure_series(files)}
    for procedure, name in (("suv_calibration", "suv_mean"), ("pet_cross_calibration", "calibration_ratio")):
        if mean is None:
            assert found[procedure].status == "not_measured"
            continue
        assert found[procedure].value(name) == pytest.approx(mean, rel=2e-3) and found[procedure].status == "measured"


@pytest.mark.parametrize("days", [0, 1, 5])
def test_of_which_day_an_administration_is_the_numbers_of_the_slices_tell(frame, days):
    given = SCAN.replace(hour=9) - timedelta(days=days)
    ds = bed(SCAN, DecayCorrection="ADMIN", DecayFactor=factor((SCAN - given).total_seconds(), 180, I124_S))
    it = Dataset()
    it.RadiopharmaceuticalStartTime = "090000"
    ds.RadiopharmaceuticalInformationSequence = Sequence([it])
    series = [replace(frame, dataset=ds)]
    assert reference_moment(series, I124_S).moment == given
    del ds.DecayFactor
    with pytest.raises(Unreadable, match="the day must be given"):  # what is not of the administration has to be brought to it
        reference_moment(series, I124_S)


@pytest.mark.parametrize(
    "start, half_life, days", [("090000", F18_S, 1), ("120000", F18_S, 0), ("090000", TC99M_S, 3), ("120000", I124_S, 41)]
)
def test_the_days_of_a_time_of_day_end_where_no_activity_is_left(start, half_life, days):
    found = days_of(header(**{TM: start}).RadiopharmaceuticalInformationSequence[0], SCAN, half_life)
    assert len(found) == days and all(d <= SCAN for d in found) and found == sorted(found, reverse=True)

"""Documents that are no images: sorted by kind, bombs refused; PET daily report and normalisation give back what was planted."""

import json
import re

import numpy as np
import pytest
from qc_images import DATA, dicom, lit

from photopeak.analyse import analyse
from spark_jobs.documents import looks_like_document, read_document
from spark_jobs.measure import measure_series, render
from spark_jobs.qc.pet import pet_normalisation
from spark_jobs.reading import Unreadable

TAIL = "</aItem></fDetailedSystemQualityReport>"
MORNINGS = sorted((DATA / "pet_daily_qc").glob("*.xml"))
real = pytest.mark.skipif(not MORNINGS, reason="the folder with real images is not there")


def item(tag: str, value: object, unit: str, low: float = 0, high: float = 1e9) -> str:
    bounds = "".join(
        f"<{b}><aValue>{v}</aValue><bMeasure>{unit}</bMeasure></{b}>" for b, v in (("aUpperBound", high), ("bLowerBound", low))
    )
    return f"<{tag}>{bounds}<cBlkValue><aValue>{value}</aValue><bMeasure>{unit}</bMeasure></cBlkValue><dDecision>Passed</dDecision></{tag}>"


def report(
    blocks, *, date="2026-04-01T07:30:00+08:00", factor=2.7e7, scatter=31.5, residual=1.2, count=None, extra="", unit="mm"
) -> bytes:
    values = "".join(f"<bValue>{v:.4f}</bValue>" for v in blocks)
    details = (
        item("eScatterRatio", scatter, "%", 28, 35)
        + item("fECF", factor, "Bq*s/ECAT counts")
        + item("lTAResidual", residual, unit)
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?><SystemQualityReport><BlockEfficiency><aBlockNumber>{count or len(blocks)}</aBlockNumber>'
        f"<bValues>{values}</bValues></BlockEfficiency><bScandate>{date}</bScandate><dInputforComputation><aDailySinoLocation>"
        rf"\\HOST\QC\sino_1.s</aDailySinoLocation><cLastSuccessfulSetup><LastSetupDateTime>2026-03-30T07:30:00+08:00</LastSetupDateTime>"
        f"</cLastSuccessfulSetup><dICSName>PETCT1</dICSName></dInputforComputation>{extra}<fDetailedSystemQualityReport><aItem>{details}"
        "</aItem></fDetailedSystemQualityReport></SystemQualityReport>"
    ).encode()


def blocks(n: int = 192, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 0.005, n)


@pytest.mark.parametrize("planted", [(), (7,), (0, 50, 191)])
@pytest.mark.parametrize("left", [0.0, 0.8, 1.3])
def test_planted_blocks_are_counted_and_named(planted, left):
    values = blocks()
    values[list(planted)] *= left
    daily, normalisation = measure_series([report(values)])
    assert daily.status == normalisation.status == "measured"
    assert daily.value("block_efficiency_outliers_count") == len(planted)
    assert daily.value("calibration_factor") == 2.7e7 and daily.value("scatter_ratio_percent") == 31.5
    assert daily.value("time_residual_ps") == pytest.approx(1.2e-3 * 2 / 299_792_458 * 1e12, abs=1e-3)
    assert normalisation.value("dead_blocks_count") == (len(planted) if left == 0 else 0)
    odd = next(m for m in normalisation.measures if m.name == "block_efficiency_outliers_count")
    assert odd.at == {"blocks": [p + 1 for p in planted]}
    assert normalisation.value("normalisation_age_days") == pytest.approx(2.0)
    assert normalisation.measures[0].at["file"] == "sino_1.s"
    assert render([], daily).startswith(b"\x89PNG") and render([], normalisation).startswith(b"\x89PNG")


def test_no_report_passes_with_dead_or_noisy_blocks_or_outside_the_vendors_bounds(tmp_path, capsys):
    half, dead = blocks(), np.zeros(192)
    half[:96] = 0
    assert measure_series([report(half)])[0].value("block_efficiency_outliers_count") == 96
    none, _ = measure_series([report(dead)])
    assert none.status == "not_measured" and not none.measures and "more than half" in none.reason
    noisy = f"<BlockNoise><bValues>{'<bValue>0</bValue>' * 191}<bValue>4</bValue></bValues></BlockNoise>"
    for name, text in (("scatter", report(blocks(), scatter=36)), ("noise", report(blocks(), extra=noisy))):
        path = tmp_path / f"{name}.xml"
        path.write_bytes(text)
        analyse([path], json=True)
        daily = json.loads(capsys.readouterr().out)[0]
        assert (daily["procedure"], daily["verdict"]) == ("pet_daily_qc", "fail"), name


@pytest.mark.req("TST-03")
@pytest.mark.parametrize(
    "extra, named",
    [
        (item("gPlaneEff", 0, "Planes_Outside_Range"), []),
        (item("gPlaneEff", 4, "Planes_Outside_Range"), ["gPlaneEff"]),
        (item("hTimeAlignment", 0, "Block_Outside_Range").replace("Passed", "Failed"), ["hTimeAlignment"]),
        (f"{TAIL}<eResults><aPhantomAgeResult>Failed</aPhantomAgeResult></eResults>", ["aPhantomAgeResult"]),
        (f"{TAIL}<eResults><aSystemQualityResults>Failed</aSystemQualityResults></eResults>", ["aSystemQualityResults"]),
    ],
)
def test_what_the_vendor_did_not_pass_is_a_finding_though_no_reading_here_says_so(extra, named):
    text = report(blocks()).replace(TAIL.encode(), (extra + ("" if TAIL in extra else TAIL)).encode())
    found = next(m for m in measure_series([text])[0].measures if m.name == "vendor_findings_count")
    assert (found.value, found.at["readings"]) == (len(named), named)


def test_change_is_told_against_the_earliest_report_of_the_same_scanner():
    before = blocks()
    after = 0.93 * before * np.random.default_rng(1).normal(1, 0.002, len(before))  # the source has decayed
    after[20] *= 0.95
    first, _, second, changed = measure_series([report(before), report(after, date="2026-04-03T07:30:00+08:00", factor=2.9e7)])
    assert not any(m.name == "calibration_change_percent" for m in first.measures)
    assert second.value("calibration_change_percent") == pytest.approx(100 * (2.9 / 2.7 - 1), abs=1e-3)
    assert changed.value("changed_blocks_count") == 1
    assert changed.value("block_change_max_percent") == pytest.approx(5, abs=0.6)


def test_a_baseline_sheet_and_the_efficiencies_of_any_scanner_are_read():
    before = blocks(64)
    after = before.copy()
    after[3] = 0
    sheet = {
        "procedure": "pet_normalisation",
        "block_efficiency": after.tolist(),
        "baseline": before.tolist(),
        "file_id": "norm-7",
    }
    (result,) = measure_series([json.dumps(sheet).encode()])
    assert result.value("dead_blocks_count") == 1 and result.value("changed_blocks_count") == 1
    assert result.measures[0].at == {"blocks": [4], "file": "norm-7"}
    for wrong in (
        {"block_efficiency": "all well"},
        {"block_efficiency": [0.5] * 3},
        {"block_efficiency": [True] * 64},
        {"block_efficiency": [[0.5] * 32, [0.5] * 32]},
        {"block_efficiency": [0.0] * 64},
        {"baseline": [1.0]},
    ):
        (result,) = measure_series([json.dumps({**sheet, **wrong}).encode()])
        assert result.status == "not_measured" and result.reason and not result.measures
    assert pet_normalisation.measure([0.5, float("nan")] * 20).status == "not_measured"


@pytest.mark.parametrize(
    "wrong, word",
    [
        (report(blocks(), count=190), "states 190 values and holds 192"),
        (report(blocks(), unit="furlong"), "another unit"),
        (report(blocks(), factor=float("nan")), "no number"),
        (report(blocks()).replace(b"<bScandate>2026-04-01T07:30:00+08:00", b"<bScandate>"), "no date"),
        (report(blocks()).replace(b"fECF", b"fXYZ"), "lacks Calibration factor"),
        (report(blocks()).replace(b"BlockEfficiency", b"BlockSomething"), "lacks block efficiencies"),
        (report(blocks()[:4]), "too few"),
        (
            report(blocks(), extra=f"<BlockNoise><bValues>{'<bValue>0</bValue>' * 96}</bValues></BlockNoise>"),
            "noise of 96 blocks",
        ),
        (report(blocks())[:-40], "damaged"),
        (b"<Letter>Dear colleague</Letter>", "no procedure here reads"),
        (b'{"procedure": "weather"}', "no procedure here reads"),
        (b'{"value": 3}', "does not say which"),
        (b"{", "neither DICOM nor readable JSON"),
        (b'{"procedure": "pet_normalisation", "block_efficiency": [NaN]}', "no reading"),
    ],
)
def test_what_is_no_known_report_says_why_and_gives_no_number(wrong, word):
    result = measure_series([wrong])[0]
    assert result.status == "not_measured" and not result.measures and word in str(result.reason), result.reason


BOMB = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><SystemQualityReport>&b;</SystemQualityReport>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        BOMB.decode(),
        '<?xml version="1.0"?><!DOCTYPE r SYSTEM "file:///etc/passwd"><r/>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>',
        "<a>" * 5_000 + "</a>" * 5_000,
    ],
)
def test_bombs_and_outside_entities_are_refused_before_they_open(text, encoding):
    data = text.encode(encoding)
    assert looks_like_document(data) or encoding == "utf-16-be"
    with pytest.raises(Unreadable):
        read_document(data)


def test_a_folder_of_images_and_reports_sorts_itself(tmp_path, capsys):
    image = np.random.default_rng(0).poisson(lit("RECTANGLE", (545.0, 399.0), 2.4, 256) * 2_000)
    (tmp_path / "a.dcm").write_bytes(dicom(image))
    (tmp_path / "b.xml").write_bytes(report(blocks()))
    (tmp_path / "c.xml").write_bytes(b"<Letter/>")
    (tmp_path / "d.txt").write_bytes(b"tea at four")
    assert analyse([tmp_path], json=True) == 1
    rows = json.loads(capsys.readouterr().out)
    found = {(r["procedure"], r["status"], r["inputs"][0][-5:]) for r in rows}
    assert found == {
        ("planar_uniformity", "measured", "a.dcm"),
        ("pet_daily_qc", "measured", "b.xml"),
        ("pet_normalisation", "measured", "b.xml"),
        (None, "not_measured", "c.xml"),
        (None, "not_measured", "d.txt"),
    }
    daily = next(r for r in rows if r["procedure"] == "pet_daily_qc")
    assert daily["device_id"] == "PETCT1" and daily["verdict"] == "pass"


@real
def test_three_real_mornings_give_their_values(capsys):
    """Origin: the vendor's own figures in the files; the daily change is worked out from them by hand."""
    assert analyse(MORNINGS, json=True) == 0
    rows = [r for r in json.loads(capsys.readouterr().out) if r["procedure"] == "pet_daily_qc"]
    values = [{m["name"]: m["value"] for m in r["measures"]} for r in rows]
    assert [v["calibration_factor"] for v in values] == [2.764e7, 2.759e7, 2.763e7]
    assert [v["scatter_ratio_percent"] for v in values] == [30.9, 30.7, 30.7]
    assert [v["time_residual_ps"] for v in values] == pytest.approx([6.004, 7.338, 5.337], abs=0.001)
    assert [v["block_efficiency_outliers_count"] for v in values] == [0, 0, 0]
    assert values[1]["calibration_change_percent"] == pytest.approx(100 * (2.759 / 2.764 - 1), abs=1e-4)
    assert {r["verdict"] for r in rows} == {"pass"}
    text = MORNINGS[0].read_bytes()
    dead = re.sub(rb"<bValue>0\.503</bValue>", b"<bValue>0.000</bValue>", text, count=3)
    daily, normalisation = measure_series([dead])
    assert daily.value("block_efficiency_outliers_count") == normalisation.value("dead_blocks_count") == 3

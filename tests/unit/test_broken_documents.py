"""What is wrong with a document is told in the reader's language: places as numbers, parts by their names."""

import json

import pytest

from messages import render
from spark_jobs.measure import measure_series


@pytest.mark.parametrize(
    "data, place",
    [(b'{"procedure":\n "activimeter",, }', (2, 16)), (b"<Report><a></Report>", (1, 14)), (b'{"a": "\\ud800"}', (None, None))],
)
def test_the_place_of_a_fault_is_numbers_and_no_english_stands_in_chinese(data, place):
    (result,) = measure_series([data])
    assert (result.reason.args["line"], result.reason.args["column"]) == place
    assert "Expecting" not in render(result.reason, "zh") and "mismatched" not in render(result.reason, "zh")


def test_the_part_of_a_sheet_has_its_name_in_chinese():
    part = {"nuclide": "F-18", "reference_mbq": 9.0, "reference_at": "2026-04-01", "readings_mbq": [9.0]}
    sheet = {"procedure": "activimeter", "measured_at": "2026-04-01T08:00:00", "accuracy": part}
    (result,) = measure_series([json.dumps(sheet).encode()])
    assert render(result.reason, "zh").startswith("准确度")

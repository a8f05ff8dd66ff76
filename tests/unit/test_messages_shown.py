"""Where reasons are shown: each reader's language, wholly; JSON has the English text beside code and arguments."""

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from qc_images import dicom

from connectors.settings import load
from expectations.pages import _environment
from judgement.days import site_zone
from messages import because, fields, render
from photopeak.analyse import analyse
from terminals import status


def test_the_table_says_both_and_the_json_text_code_and_arguments(tmp_path: Path) -> None:
    (tmp_path / "no.dcm").write_bytes(dicom(np.ones((64, 64)), pixel_mm=None))
    said = {}
    for as_json in (True, False):
        with redirect_stdout(StringIO()) as out:
            assert analyse([tmp_path], json=as_json) == 1
        said[as_json] = out.getvalue()
    (row,) = json.loads(said[True])
    reason = because("header.pixel_spacing_unusable")
    assert {k: row[k] for k in fields(reason)} == fields(reason)
    assert reason in said[False] and render(reason, "zh") in said[False]


def test_the_landing_page_and_the_reports_say_it_in_the_reader_s_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOPEAK_HOME", str(tmp_path))
    row = {"service": "dicom", "state": "down", "pid": None, "url": None, "reason": because("service.not_started")}
    page = TestClient(status.create_app(load(), lambda: [row]))
    assert "未启动：`photopeak up`" in page.get("/?lang=zh").text
    assert "not started: `photopeak up`" in page.get("/?lang=en").text and "未启动" not in page.get("/?lang=en").text
    show = _environment(site_zone("Asia/Shanghai")).globals
    cell = show["cell"]
    both = '<span lang="zh">没有有效读数</span> <span lang="en">no good reading</span>'
    assert cell("no good reading", "reason", {}, {"reason": "no good reading", "reason_zh": "没有有效读数"}) == both
    assert cell("no good reading", "reason", {}, fields(because("sensor.no_good_reading"))) == both
    assert cell("<b>", "reason", {}, {"reason": "<b>", "reason_code": None}) == "<b>"
    assert cell("no good reading", "note", {}, {}) == "no good reading"
    assert show["why"]("house rule") == '<span lang="zh">内部规定</span> <span lang="en">house rule</span>'

"""Reasons in two languages: every sentence that a reader may meet has its Chinese, with the same values, and nothing stored changes."""

import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from qc_images import dicom

from connectors.settings import load
from connectors.words import both, catalogue, reason
from expectations.pages import _environment
from photopeak.analyse import analyse
from terminals import status

PLACE = re.compile(r"(?<!\{)\{(\d*)\}(?!\})")
CJK = "\u4e00-\u9fff（）：；，、"
CHINESE = re.compile("[\u4e00-\u9fff（]")


def test_each_chinese_text_takes_the_values_of_its_english() -> None:
    wrong = []
    for english, chinese in catalogue().items():
        values, places = len(PLACE.findall(english)), PLACE.findall(chinese)
        numbered = [int(p) for p in places if p]
        ordered = not numbered or sorted(numbered) == list(range(values))
        if len(places) != values or not ordered or not CHINESE.search(chinese) or english != english.strip():
            wrong.append(english)
    assert len(catalogue()) > 600 and wrong == []


def test_each_template_finds_its_own_chinese_whatever_its_values_are() -> None:
    wrong = {}
    for english, chinese in catalogue().items():
        values = [f"V{k}x" for k in range(english.count("{}"))]
        said = english.format(*values)
        if reason(said) != re.sub(f"(?<=[{CJK}]) (?=[{CJK}])", "", chinese.format(*values)):
            wrong[said] = reason(said)
    assert wrong == {}


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("the series holds no image", "序列中没有图像"),
        (
            "an arc of 45° is too short for a centre of rotation: acquire at least 90°",
            "45° 的弧度太短，不能测旋转中心：至少采集 90°",
        ),
        # values in another order
        (
            "too few counts for a verdict: 4000 in a central pixel of 6.4 mm, NU 1 asks for 10000",
            "计数不足，不能判定：中心像素（6.4 mm）为 4000，NU 1 要求 10000",
        ),
        # a value is a reason, a name or a list itself
        (
            "no procedure fits: the pixels look like none of the PET phantoms (7 hot places in the body: no six spheres)",
            "没有相符的检测项目：像素看起来是非 PET 模体（体部中有 7 个热区：不是六个球体）",
        ),
        ("the order says x, but the pixels look like slits or line", "医嘱为 x，但像素看起来是狭缝或线"),
        ("not on the sheet: accuracy, linearity", "记录单中没有：准确度、线性"),
        ("ct_water is switched off by P01 since 2026-03-10: it leaks", "ct_water 自 2026-03-10 起由 P01 停用：it leaks"),
        # joined by the warehouse: within parentheses, under a name, one after the other
        (
            "a_b failed (iu: 6.2 % is outside ≤ 5 %; du: 4 % is outside the warning band ≤ 3 %); c_d is missing",
            "a_b 不合格（iu：6.2 % 超出 ≤ 5 %；du：4 % 超出警告限 ≤ 3 %）；缺少 c_d",
        ),
        ("check failed: interlock; a_b is missing", "检查不合格：interlock；缺少 a_b"),
        ("dicom from NM1: the data set is empty (3 times)", "dicom（来自 NM1）：数据集为空（3 次）"),
        # a reason that holds a "; " of its own, beside one that does not
        (
            "3 sources; the one nearest the middle of the field was measured, the others give 1.2 mm; the series holds no image",
            "有 3 个源；测量了最靠近视野中心的一个，其余得出 1.2 mm；序列中没有图像",
        ),
        ("a sentence that nobody wrote", "a sentence that nobody wrote"),
        ("a sentence that nobody wrote; the series holds no image", "a sentence that nobody wrote；序列中没有图像"),
        ("a part of the whole", "a part of the whole"),
        ("braces {0} and {} are no places", "braces {0} and {} are no places"),
        ("the XML is damaged: not well-formed {0}", "XML 已损坏：not well-formed {0}"),
    ],
)
def test_a_reason_in_chinese(english: str, chinese: str) -> None:
    assert reason(english, "zh") == chinese
    assert reason(english, "en") == english


def test_a_sender_cannot_make_the_page_slow_or_wrong() -> None:
    hostile = "of is outside, from: ; ({}) " * 35
    assert reason(hostile, "zh")
    assert reason("x" * 5_000, "zh") == "x" * 5_000


def test_the_table_says_both_and_the_json_english_alone(tmp_path: Path) -> None:
    (tmp_path / "no.dcm").write_bytes(dicom(np.ones((64, 64)), pixel_mm=None))
    said = {}
    for as_json in (True, False):
        with redirect_stdout(StringIO()) as out:
            assert analyse([tmp_path], json=as_json) == 1
        said[as_json] = out.getvalue()
    (row,) = json.loads(said[True])
    assert row["reason"] == "PixelSpacing is missing, zero, negative, absurd or not square: no millimetre can be told"
    assert row["reason"] in said[False] and reason(row["reason"]) in said[False]


def test_the_landing_page_and_the_reports_say_it_in_the_reader_s_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOTOPEAK_HOME", str(tmp_path))
    row = {"service": "dicom", "state": "down", "pid": None, "url": None, "reason": "not started: `photopeak up`"}
    page = TestClient(status.create_app(load(), lambda: [row]))
    assert "未启动：`photopeak up`" in page.get("/?lang=zh").text
    assert "not started: `photopeak up`" in page.get("/?lang=en").text and "未启动" not in page.get("/?lang=en").text
    cell = _environment().globals["cell"]
    assert cell("no good reading", "reason") == '<span lang="zh">没有有效读数</span> <span lang="en">no good reading</span>'
    assert cell("<b>", "reason") == "<b>" and cell("no good reading", "note") == "no good reading"
    assert both("house rule", " / ") == "house rule / 内部规定"

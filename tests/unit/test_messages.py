"""Messages: a code and its arguments that are also their English text; rendered in the reader's language, stored and read back."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from messages import (
    Message,
    because,
    both,
    either,
    fields,
    from_fields,
    from_listed,
    from_text,
    joined,
    listed,
    name_of,
    render,
    to_args,
    to_text,
)  # fmt: skip
from messages.catalogue import names

OUTSIDE = because("verdict.outside", value=6.2, unit="%", limit="≤ 5 %")


def test_a_message_is_its_english_text_and_knows_code_and_arguments() -> None:
    assert OUTSIDE == "6.2 % is outside ≤ 5 %" and hash(OUTSIDE) == hash("6.2 % is outside ≤ 5 %")
    assert (OUTSIDE.code, OUTSIDE.args) == ("verdict.outside", {"value": 6.2, "unit": "%", "limit": "≤ 5 %"})
    assert render(OUTSIDE, "zh") == "6.2 % 超出 ≤ 5 %"
    assert both(OUTSIDE, "\n") == "6.2 % is outside ≤ 5 %\n6.2 % 超出 ≤ 5 %"
    assert render("prose", "zh") == both("prose") == "prose"


def test_it_survives_exceptions_copies_and_pickling() -> None:
    for again in (
        str(ValueError(OUTSIDE)),
        str(OUTSIDE),
        copy.deepcopy(OUTSIDE),
        pickle.loads(pickle.dumps(OUTSIDE)),
        f"{OUTSIDE}",
    ):
        assert isinstance(again, Message) and (again.code, again.args) == (OUTSIDE.code, OUTSIDE.args)
    assert because("test.failed", procedure="ct_water", reason=ValueError(OUTSIDE)).args["reason"].code == "verdict.outside"


def test_it_cannot_be_changed_and_a_code_must_be_known() -> None:
    with pytest.raises(AttributeError):
        OUTSIDE.code = "x"
    with pytest.raises(KeyError):
        because("no.such_code")


def test_a_section_without_its_argument_is_left_out_and_a_missing_argument_is_a_dash() -> None:
    assert because("verdict.outside", value=1.0, unit=None, limit="≤ 5") == "1.0 is outside ≤ 5"
    assert because("form.not_signed", form=None) == "the form – is not signed"


def test_names_messages_and_lists_inside_are_rendered_in_the_language() -> None:
    failed = because("test.failed", procedure="planar_uniformity", reason=joined([OUTSIDE, because("verdict.no_value")]))
    assert failed == "Planar uniformity failed (6.2 % is outside ≤ 5 %; no value)"
    assert render(failed, "zh") == "平面均匀性不合格（6.2 % 超出 ≤ 5 %；无数值）"
    form = because("form.not_signed", form={"en": "Consent", "zh": "知情同意书", "more": 1})
    assert form == "the form Consent is not signed" and render(form, "zh") == "表格知情同意书未签署"
    checks = because("check.failed", checks=["interlock", "laser"])
    assert checks == "check failed: interlock, laser" and render(checks, "zh") == "检查不合格：interlock、laser"
    choice = either([because("verdict.none"), because("verdict.no_value")])
    assert choice == "no verdict or no value" and render(choice, "zh") == "无判定或无数值"
    assert joined([]) is None and joined(["", OUTSIDE]) is OUTSIDE


def test_a_text_of_a_person_is_no_name_of_the_catalogue() -> None:
    assert "row" in names("place", "zh")
    assert render(because("check.failed", checks="row"), "zh") == "检查不合格：row"


def test_numbers_become_plain_and_what_is_no_number_is_said() -> None:
    args = because("verdict.outside", value=np.float64(2.5), unit=None, limit=np.int64(3)).args
    assert [type(v) for v in args.values()] == [float, type(None), int]
    assert json.dumps(because("verdict.outside", value=float("nan"), unit=None, limit="x").args, allow_nan=False)


@pytest.mark.parametrize("reason", [OUTSIDE, joined([OUTSIDE, "prose"]), "prose", '{"code": 5', '{"code":"no.such"}', None])
def test_what_is_stored_is_read_back(reason: str | None) -> None:
    assert from_text(to_text(reason)) == reason and type(from_text(to_text(reason))) is type(reason)
    row = fields(reason)
    assert row["reason"] == reason and (row["reason_code"] is None) == (not isinstance(reason, Message))
    assert type(row["reason"]) in (str, type(None))
    assert from_fields(json.loads(json.dumps(row))) == reason
    assert from_fields(row | {"reason_args": to_args(reason)}) == reason


def test_several_stand_as_texts_beside_codes_and_arguments_and_are_read_back() -> None:
    row = json.loads(json.dumps(listed([OUTSIDE, "prose"])))
    assert row == {
        "warnings": ["6.2 % is outside ≤ 5 %", "prose"],
        "warning_codes": ["verdict.outside", None],
        "warning_args": [{"value": 6.2, "unit": "%", "limit": "≤ 5 %"}, None],
    }
    first, second = from_listed(row)
    assert render(first, "zh") == "6.2 % 超出 ≤ 5 %" and (second, isinstance(second, Message)) == ("prose", False)


@pytest.mark.parametrize(
    ("kind", "key", "english", "chinese"),
    [
        ("place", "posterior", "posterior", "后位"),
        ("place", "gate 3", "gate 3", "门控帧 3"),
        ("place", "Bone 20 %", "Bone 20 %", "骨 20 %"),
        ("measure/reading", "randoms_percent", "randoms", "随机符合比例"),
        ("measure", "ufov_iu_percent", "Integral uniformity, UFOV", "积分均匀性（UFOV）"),
        ("procedure", "ct_water", "CT water phantom", "CT 水模"),
        ("step", "of_a_stranger 2", "of_a_stranger 2", "of_a_stranger 2"),
    ],
)
def test_a_name_is_that_of_the_reader_s_language(kind: str, key: str, english: str, chinese: str) -> None:
    assert (name_of(kind, key, "en"), name_of(kind, key, "zh")) == (english, chinese)


@pytest.mark.parametrize(
    ("message", "chinese"),
    [
        (because("step.began_before", step=["identity_check", "injection"]), "早于身份核对、注射开始"),
        (because("event.value_enum", place="step", bound=["injection", "report"]), "步骤：数值不属于注射、报告"),
        (because("event.key_missing", place="data", keys=["staff_id"]), "数据：缺少必需的属性人员"),
        (because("sensor.no_usable_value", quality="no_answer"), "没有可用数值：质量标记为无应答"),
        (because("hl7.segment_missing", type="ORM", trigger="O01", segment=["ORC", "OBR"]), "ORM O01 没有 ORC或OBR 段"),
        (
            because("finding.image", measure="lobe_edge_mm", region="posterior", reason=OUTSIDE, more=None),
            "lobe_edge_mm（后位）：6.2 % 超出 ≤ 5 %",
        ),
    ],
)
def test_codes_of_steps_views_and_fields_have_their_chinese(message: Message, chinese: str) -> None:
    assert render(message, "zh") == chinese


def test_a_code_of_a_later_catalogue_is_shown_by_its_stored_text() -> None:
    row = {"reason": "said then", "reason_code": "code.of.later", "reason_args": "{}"}
    assert from_fields(row) == "said then" and not isinstance(from_fields(row), Message)


def test_text_in_text_is_read_as_sql_makes_it() -> None:
    inner = to_text(OUTSIDE)
    outer = json.dumps({"code": "test.failed", "args": {"procedure": "ct_water", "reason": inner}}, separators=(",", ":"))
    assert render(from_text(outer), "zh") == "CT 水模不合格（6.2 % 超出 ≤ 5 %）"


def test_the_room_loads_the_standard_library_alone() -> None:
    program = "import sys; import messages; print(sorted({m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    loaded = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert loaded.stdout.strip() in ("['__main__', 'messages']", "['messages']", "['__main__', '_virtualenv', 'messages']")

"""The Chinese of everything that a reader sees keeps to the field's terms; a wrong one is named with its place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# what stood in user text and confused its readers → the term of the field
TERMS = {
    "体模": "模体",
    "假体": "模体",
    "影像": "图像",
    "病人": "患者",
    "方位": "评价方面",
    "结论": "判定",
    "审计报告": "质控审核报告",
    "伽马": "伽玛",
    "γ 相机": "伽玛照相机",
    "γ相机": "伽玛照相机",
    "运行键": "运行编号",
    "插件": "插入体",
    "不满足": "不符合",
    "检查总数": "核查总数",
    "检查范围": "核查范围",
    "自何时起": "首次不符合日期",
    "带病使用": "不合格状态下使用天数",
    "已证明": "已核验",
    "尚未证明": "待核验",
    "最后一幅图像": "末幅图像",
}
SHOWN = {".json", ".csv", ".yaml", ".yml", ".html", ".js", ".py", ".sql"}
# fixed names of others: the value set of an answer, a standard, the words of a sender
QUOTED = re.compile(r"核医学影像|医学影像|影像科")
# what a person or machine writes to us is matched in their words, right or wrong
SENDERS = re.compile(
    r"^(tests/|simulator/|connectors/(his/|free_text\.py|ordinary_words\.py)|dbt_project/seeds/indication_terms)"
)


def shown() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [n for n in listed.split("\0") if n and not SENDERS.match(n)]
    return [ROOT / n for n in names if Path(n).suffix in SHOWN and (ROOT / n).is_file()]


def wrong(text: str) -> list[str]:
    text = QUOTED.sub("", text)
    return [f"{term} → {right}" for term, right in TERMS.items() if term in text]


def test_no_user_text_uses_a_wrong_term() -> None:
    files = shown()
    assert len(files) > 200
    found = [
        f"{path.relative_to(ROOT)}:{number}: {', '.join(terms)}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (terms := wrong(line))
    ]
    assert found == []


@pytest.mark.parametrize("sentence", ["体模测试结果超出限值", "方位", "病人准备", "1 号伽马相机"])
def test_a_wrong_term_is_found(sentence: str) -> None:
    assert wrong(sentence)


def test_a_right_term_is_not_found() -> None:
    assert wrong("模体 图像 患者 判定 质控审核报告 评价方面 已核验 待核验 不符合 核查总数 伽玛照相机 运行编号 插入体") == []


@pytest.mark.parametrize(
    ("settings", "arguments", "word"),
    [
        ({"LANG": "zh_CN.UTF-8"}, [], "正常"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, [], "ok"),
        ({"LANG": "C.UTF-8"}, ["--lang", "zh"], "正常"),
        ({}, [], "ok"),
    ],
)
def test_doctor_speaks_the_language_of_the_session(settings: dict[str, str], arguments: list[str], word: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "utf-8", **settings}
    command = [sys.executable, str(ROOT / "photopeak" / "doctor.py"), *arguments]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout.splitlines()
    assert len(lines) > 5
    assert all(
        line.startswith(("[doctor] ok", "[doctor] MISSING") if word == "ok" else ("[doctor] 正常", "[doctor] 缺失"))
        for line in lines
    )

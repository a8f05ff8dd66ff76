"""Questions of readers are kept as they were put, and each is asked once of a new release, within its time, whatever one of them does."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "dashboards"))
    import warm

    yield warm
    for name in ("warm", "releases"):
        sys.modules.pop(name, None)


def _rounds(warm: Any, tmp_path: Path, keys: list[str], ask: Any, questions: list[Any], **more: Any) -> dict[str, Any]:
    """Watch until the keys are used up and return the last account."""
    at = iter(keys)
    now = [next(at)]

    def wait(_: float) -> bool:
        try:
            now[0] = next(at)
        except StopIteration:
            return True
        return False

    warm.watch(lambda: now[0], lambda: questions, ask, tmp_path / "warmed.json", wait=wait, **more)
    account: dict[str, Any] = json.loads((tmp_path / "warmed.json").read_text())
    return account


def test_the_same_question_is_kept_once_and_the_oldest_go(warm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "KEEP", 3)
    for at, n in enumerate([1, 2, 1, 3, 4]):
        warm.keep(tmp_path / "asked", "manager", {"queries": [n], "force": bool(at)})
        for path in (tmp_path / "asked").glob("*.json"):  # the clock of a file system may be coarse
            if json.loads(path.read_text())["question"]["queries"] == [n]:
                os.utime(path, (at, at))
    kept = warm.asked(tmp_path / "asked")
    assert [(user, q["queries"][0], q["force"]) for user, q in kept] == [("manager", n, False) for n in (4, 3, 1)]
    assert all(p.stat().st_size for p in (tmp_path / "asked").iterdir()) and (tmp_path / "asked").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("question", [{"result_format": "csv"}, {"result_type": "samples"}, {"queries": ["x" * 200_000]}])
def test_what_a_person_took_away_or_is_too_large_is_not_kept(warm: Any, tmp_path: Path, question: dict[str, Any]) -> None:
    warm.keep(tmp_path / "asked", "manager", question)
    assert warm.asked(tmp_path / "asked") == []


def test_a_file_that_cannot_be_read_hides_no_other(warm: Any, tmp_path: Path) -> None:
    warm.keep(tmp_path, "manager", {"queries": [1]})
    (tmp_path / "0.json").write_text("{")
    assert [user for user, _ in warm.asked(tmp_path)] == ["manager"]


def test_each_question_is_asked_once_of_each_release(warm: Any, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    questions = [("manager", {"n": n}) for n in (1, 2)]
    account = _rounds(warm, tmp_path, ["a", "a", "b", "b"], lambda user, q: bool(seen.append((user, q["n"])) or True), questions)
    assert seen == [("manager", 1), ("manager", 2)] * 2
    assert account["release"] == "b" and (account["answered"], account["failed"], account["left"]) == (2, 0, 0)


def test_one_failure_ends_nothing_and_time_does(warm: Any, tmp_path: Path) -> None:
    def ask(_: str, question: dict[str, Any]) -> bool:
        if question["n"] == 1:
            raise RuntimeError("the chart is gone")
        return bool(question["n"] != 2)

    questions = [("manager", {"n": n}) for n in (1, 2, 3)]
    account = _rounds(warm, tmp_path, ["a"], ask, questions)
    assert (account["answered"], account["failed"], account["left"]) == (1, 2, 0)
    times = iter([0.0, 1.0, 2.0, 300.0, 300.0])
    account = _rounds(warm, tmp_path, ["a"], lambda *_: True, questions, seconds=180.0, clock=lambda: next(times))
    assert (account["answered"], account["left"]) == (2, 1)


def test_answers_are_kept_by_size_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "dashboards"))
    import answers

    kept = answers.Kept(largest=10)
    for key, answer in (("a", b"1234"), ("b", b"1234"), ("a", b"12345")):
        kept.put(key, answer)
    assert kept.get("b") == b"1234", "what is put again counts once"
    kept.put("c", b"123")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (None, b"1234", b"123"), "the one that nobody asked for the longest"
    kept.put("d", b"12345678901")
    assert kept.get("d") is None and kept.get("c") == b"123", "an answer larger than all of the room drives nothing out"


def test_an_answer_is_of_one_reader_release_state_and_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "dashboards"))
    import answers

    asked = ("manager en", "release 1", "rights 1", "POST", "/api/v1/chart/data?dashboard_id=1", b"{}")
    others = [asked[:at] + ((b"x",) if at == 5 else ("x",)) + asked[at + 1 :] for at in range(len(asked))]
    assert len({answers.key_of(*question) for question in (asked, *others)}) == 7
    assert answers.key_of(*asked) == answers.key_of(*asked)

"""No sentence of the code, the models or the reference data is without its Chinese, and no Chinese outlives its English."""

from pathlib import Path

import pytest
from code_words import sentences

from connectors.words import catalogue


def test_every_sentence_of_the_code_has_its_chinese() -> None:
    written = sentences()
    assert len(written) > 450
    assert {t: place for t, place in written.items() if t not in catalogue()} == {}


def test_the_walk_sees_sums_values_in_values_and_no_docstring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "spark_jobs"
    room.mkdir()
    (room / "a.py").write_text(
        '''"""A docstring that is no reason."""
METHOD = "the name of a method"


def f(x):
    """Return what is no reason."""
    log.info("words for the log alone")
    raise Unreadable(f"{x} is {'an inner sentence of words' if x else g(x)}: " + "no" + f" good {x:.2f} at all")
'''
    )
    monkeypatch.setattr("code_words.ROOT", tmp_path)
    assert set(sentences()) == {"{} is {}: no good {} at all", "an inner sentence of words"}

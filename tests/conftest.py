"""What all tests share: which requirement ids a test proves, and how it ended, written down for `photopeak requirements`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

RESULTS = Path(__file__).resolve().parent.parent / "var" / "test"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(*ids): requirement ids of the catalogue that the test proves")
    config.stash[OUTCOMES] = {}


OUTCOMES = pytest.StashKey[dict[str, dict[str, str]]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    for mark in item.iter_markers("req"):
        for id_ in mark.args:
            seen = item.config.stash[OUTCOMES].setdefault(id_, {})
            if report.failed or (report.when == "call" and seen.get(item.nodeid) != "failed"):
                seen[item.nodeid] = report.outcome
            elif report.when == "setup" and report.skipped:
                seen[item.nodeid] = "skipped"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes where `make test` asked for them; a run by hand of a few tests must not overwrite those of all."""
    name = os.environ.get("PHOTOPEAK_TEST_RESULTS")
    if name:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / name).write_text(json.dumps(session.config.stash[OUTCOMES], indent=1, sort_keys=True))

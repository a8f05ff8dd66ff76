"""When a series counts as complete: soon after its sender's word, later after silence."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.dicom.storage.series import PATIENCE, RELEASED, SeriesWatch
from connectors.settings import load
from connectors.stores.journal.memory import MemoryJournal
from connectors.stores.object_store.memory import MemoryObjectStore

QUIET = 100.0


@pytest.fixture
def watch(tmp_path: Path) -> SeriesWatch:
    settings = load(home=tmp_path, series_quiet_s=QUIET)
    return SeriesWatch(settings, MemoryJournal(), MemoryObjectStore(), lambda: datetime.now(UTC))


def due(watch: SeriesWatch) -> float:
    """Return how long after its last image the series closes."""
    one = watch._open["1.1"]
    return round(watch._due(one) - one.last)


def test_a_released_association_closes_sooner_than_a_silent_or_a_lost_one(watch: SeriesWatch) -> None:
    watch.arrived("1.1", "a")
    assert due(watch) == QUIET
    watch.lost("a")
    assert due(watch) == QUIET
    watch.released("a")
    assert due(watch) == RELEASED * QUIET
    watch.lost("a")  # the connection of a released association is closed too
    assert due(watch) == RELEASED * QUIET


def test_another_sender_of_the_series_is_waited_for(watch: SeriesWatch) -> None:
    watch.arrived("1.1", "a")
    watch.arrived("1.1", "b")
    watch.released("a")
    assert due(watch) == QUIET
    watch.released("b")
    assert due(watch) == RELEASED * QUIET
    watch.arrived("1.1", "a")  # an association of its own for each image, which may even have the name of one that has gone
    assert due(watch) == QUIET


def test_a_busy_sender_does_not_hold_a_series_back_for_ever(watch: SeriesWatch) -> None:
    watch.arrived("1.1", "a")
    watch._open["1.1"].last -= 10 * QUIET
    assert due(watch) == PATIENCE * QUIET

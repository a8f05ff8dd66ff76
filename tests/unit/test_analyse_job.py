"""What the analysis job writes, with a stand-in for Spark that runs in this process."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.settings import load
from messages import Message, because
from spark_jobs.jobs import analyse
from spark_jobs.jobs.work_item import WorkItem
from spark_jobs.schemas.measures import MEASURES

KEY = "a" * 64


class Frame:
    def __init__(self, table):
        self.table = table

    def repartition(self, _count):
        return self

    def mapInArrow(self, work, _schema):
        return Frame(pa.Table.from_batches(work(iter(self.table.to_batches())), schema=analyse.RESULT))

    def toArrow(self):
        return self.table


class Spark:
    createDataFrame = staticmethod(Frame)


@pytest.fixture
def measure(tmp_path):
    settings = load(home=tmp_path)
    moment = datetime(2026, 4, 1, tzinfo=UTC)
    item = WorkItem(KEY, "MAIN", "2026-04-01", "1.2", moment, "NM", (), acquired_at=moment, study_uid="1.1")
    return settings, lambda: analyse._measure(Spark, settings, "phantom", [item])


def test_an_item_is_the_same_behind_the_hand_over_and_its_reasons_keep_their_codes():
    moment, why = datetime(2026, 4, 1, tzinfo=UTC), because("report.device_contradicts", named="PETCT1", sent_as="GC1")
    bare = WorkItem(KEY, "MAIN", "2026-04-01", "1.2", moment, "NM", ("ab/abc",))
    full = replace(
        bare, beside=("cd/cde",), acquired_at=moment, kind="json pet_nema_iq", refusal=why, elsewhere="科室", off={"ct_water": why},
        switched_off="x is off",
    )  # fmt: skip
    for item in (bare, full):
        assert WorkItem.from_json(item.to_json()) == item
    back = WorkItem.from_json(full.to_json())
    for told in (back.refusal, back.off["ct_water"]):
        assert isinstance(told, Message) and (told.code, told.args) == (why.code, why.args)


def test_a_series_without_measures_is_one_row_with_the_reason(measure):
    settings, run = measure
    assert run() == 1
    table = pq.ParquetFile(settings.lake / "measures/site_id=MAIN/day=2026-04-01" / f"{KEY}.parquet").read()
    assert table.schema.names == MEASURES.names
    assert table["status"].to_pylist() == ["not_measured"] and table["reason"].to_pylist() == ["the series holds no image"]


def test_rows_of_other_methods_than_the_run_key_names_are_not_written(measure, monkeypatch):
    settings, run = measure
    stale = analyse._rows
    monkeypatch.setattr(analyse, "_rows", lambda *given: [{**row, "methods": "those of yesterday"} for row in stale(*given)])
    with pytest.raises(analyse.OtherMethods, match="edited while Spark was running"):
        run()
    assert not list(settings.lake.rglob("*.parquet"))

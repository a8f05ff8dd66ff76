"""What the analysis job writes, with a stand-in for Spark that runs in this process."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.settings import load
from spark_jobs.jobs import analyse
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
    series = {
        "site_id": "MAIN", "run_key": KEY, "day": "2026-04-01", "series_uid": "1.2", "instances": [], "recorded_at_utc": moment,
        "acquired_at_utc": moment.isoformat(), "study_uid": "1.1", "modality": "NM", "is_phantom": True,
    }  # fmt: skip
    return settings, lambda: analyse._measure(Spark, settings, "phantom", [series])


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

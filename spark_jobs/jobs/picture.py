"""Make the picture of one run on demand: `python -m spark_jobs.jobs.picture RUN_KEY`.

Pictures of what did not pass are made by the analysis; of the others only when somebody wants to see them.
"""

import json
import re
import sys
from functools import partial
from pathlib import Path

import duckdb

from connectors.settings import Settings, load
from connectors.stores.lake.write import place
from spark_jobs.jobs.analyse import is_clinical, picture, run_key
from spark_jobs.measure import measure_series

__all__ = ["NoPicture", "draw"]

STATES = (
    "SELECT data FROM read_parquet($glob, hive_partitioning = false) WHERE json_extract_string(data, '$.series_uid') = $series"
)


class NoPicture(LookupError):
    """There is nothing to show; the text says why."""


def draw(settings: Settings, key: str) -> Path:
    """Return the picture of a run, made anew from the stored images unless it lies there already.

    Raises
    ------
    NoPicture
        When no run has that key, the methods have changed since, or its procedure has no picture.
    """
    target = settings.reports / "pictures" / f"{key}.png"
    if target.exists():
        return target
    found = sorted(settings.lake.glob(f"measures/site_id=*/day=*/{key}.parquet")) if re.fullmatch(r"[0-9a-f]{64}", key) else []
    if not found:
        raise NoPicture("no run has this key")
    row = duckdb.sql("SELECT * FROM read_parquet($path, hive_partitioning = false) LIMIT 1", params={"path": str(found[0])})
    facts = dict(zip(row.columns, row.fetchall()[0], strict=True))
    glob = f"{settings.lake}/events/type=dicom.series/**/*.parquet"
    for (text,) in duckdb.sql(STATES, params={"glob": glob, "series": facts["series_uid"]}).fetchall():
        series = json.loads(text)
        analysis = "clinical" if is_clinical(series) else "phantom"
        if run_key(analysis, [i["sha256"] for i in series["instances"]]) == key:
            instances = [(settings.objects / "clear" / i["object_key"]).read_bytes() for i in series["instances"]]
            png = picture(instances, measure_series(instances, analysis), facts)
            if png is None:
                raise NoPicture("this procedure has no picture")
            place(target, partial(Path.write_bytes, data=png))
            return target
    raise NoPicture("measured by methods that have changed since: the newest run of the series has a picture")


def main(arguments: list[str]) -> int:
    """Draw one picture; 0 done, 1 there is none, 2 usage."""
    if len(arguments) != 1:
        print("usage: python -m spark_jobs.jobs.picture RUN_KEY", file=sys.stderr)
        return 2
    try:
        print(draw(load(), arguments[0]))
    except NoPicture as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

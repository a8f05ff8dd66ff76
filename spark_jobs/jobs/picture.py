"""Make the picture of one run on demand: `python -m spark_jobs.jobs.picture RUN_KEY`.

Pictures of what did not pass are made by the analysis; of the others only when somebody wants to see them.
"""

import re
import sys
from functools import partial
from pathlib import Path

import duckdb

from connectors.settings import Settings, load
from connectors.stores.lake.write import place
from messages import because, both
from spark_jobs.jobs.analyse import measured, picture, waiting

__all__ = ["NoPicture", "draw"]


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
        raise NoPicture(because("picture.unknown_run"))
    row = duckdb.sql("SELECT * FROM read_parquet($path, hive_partitioning = false) LIMIT 1", params={"path": str(found[0])})
    facts = dict(zip(row.columns, row.fetchall()[0], strict=True))
    for item in waiting(settings, facts["analysis"], facts["series_uid"]):
        if item.run_key == key:
            instances, results = measured(item, facts["analysis"], settings.objects / "clear")
            png = picture(instances, results, facts)
            if png is None:
                raise NoPicture(because("picture.none_of_procedure"))
            place(target, partial(Path.write_bytes, data=png))
            return target
    raise NoPicture(because("picture.outdated"))


def main(arguments: list[str]) -> int:
    """Draw one picture; 0 done, 1 there is none, 2 usage."""
    if len(arguments) != 1:
        print("usage: python -m spark_jobs.jobs.picture RUN_KEY", file=sys.stderr)
        return 2
    try:
        print(draw(load(), arguments[0]))
    except NoPicture as exc:
        print(both(str(exc)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

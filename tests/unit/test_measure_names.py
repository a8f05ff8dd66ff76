"""Every measure that is computed, judged or charted has a name in both languages."""

import csv
import json
import re
from pathlib import Path

from judgement.reference import SEEDS
from messages import name_of

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "measures.json"


def rows(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


def test_every_measure_has_its_names_and_no_name_outlives_its_measure() -> None:
    used = {r["measure"] for table in ("limits", "drift_charts") for r in rows(table)}
    for case in json.loads(GOLDEN.read_text()).values():
        for result in case.values():
            used |= {key.split(" @ ")[0] for key in result.get("measures", {})}
    listed = [r["measure"] for r in rows("measure_names")]
    assert len(used) > 150 and len(listed) == len(set(listed)) and listed == sorted(listed)
    assert used - set(listed) == set() and set(listed) - used == set()
    for measure in listed:
        english, chinese = (name_of("measure", measure, x) for x in ("en", "zh"))
        assert english != measure and "_" not in english and not re.search("[\u4e00-\u9fff]", english)
        assert re.search("[\u4e00-\u9fff]", chinese) or chinese == english, measure  # FWHM X is so in both
    assert name_of("measure", "of_a_stranger", "zh") == "of_a_stranger"

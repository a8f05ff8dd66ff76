"""Great Expectations, used as a library: suites against data frames, results as plain dictionaries, Data Docs on request.

Importing this module imports Great Expectations (2-10 s); only the running job does.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from expectations.suites import Suite

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read by Great Expectations when it is imported

import great_expectations as gx
from great_expectations.data_context.types.base import ProgressBarsConfig

__all__ = ["Engine"]


class Engine:
    """One context of Great Expectations that keeps nothing on disk but the Data Docs it is asked for."""

    def __init__(self, run_name: str, as_of_utc: datetime, docs: Path) -> None:
        self._run = gx.RunIdentifier(run_name=run_name, run_time=as_of_utc)
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        site: Any = {"class_name": "SiteBuilder", "show_how_to_buttons": False}
        site["store_backend"] = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
        for preset in list(self._context.get_site_names()):
            self._context.delete_data_docs_site(preset)
        self._context.add_data_docs_site("auditors", site)
        self._source = self._context.data_sources.add_pandas("warehouse")

    def validate(self, suite: Suite, frame: pd.DataFrame, population: int) -> list[dict[str, Any]]:
        """Return one dictionary an expectation: meta, type, success, error (or None), population, failing, rows (positions in `frame`).

        `population` is how many rows there are: of a large one only those are in `frame` that may break a rule.
        """
        expectations = [{"type": e["type"], "kwargs": e.get("kwargs", {}), "meta": e["meta"]} for e in suite.expectations]
        batch = self._source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("all")
        made = self._context.suites.add(
            gx.ExpectationSuite(name=suite.name, expectations=expectations, meta={"layer": suite.layer})
        )
        definition = self._context.validation_definitions.add(gx.ValidationDefinition(name=suite.name, data=batch, suite=made))
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row", *suite.key]}
        checkpoint = self._context.checkpoints.add(
            gx.Checkpoint(name=suite.name, validation_definitions=[definition], result_format=form, actions=[])
        )
        ran = checkpoint.run(batch_parameters={"dataframe": frame}, run_id=self._run)
        (result,) = ran.run_results.values()
        return [_plain(r.to_json_dict(), population) for r in result.results]

    def build_docs(self) -> None:
        """Write the pages of what was validated; the site's own index is left out, for it needs a network."""
        self._context.build_data_docs(site_names=["auditors"], build_index=False)


def _plain(result: Mapping[str, Any], population: int) -> dict[str, Any]:
    config, found = result["expectation_config"], result["result"]
    error = _error(result["exception_info"])
    positions = [i["row"] for i in found.get("unexpected_index_list") or []]
    failing = int(found.get("unexpected_count") or 0)
    if not result["success"] and not failing and error is None:
        failing = 1  # an expectation about the table as a whole has no rows to show
    return {
        "meta": config["meta"],
        "type": config["type"],
        "kwargs": {k: v for k, v in config["kwargs"].items() if k != "batch_id"},
        "success": bool(result["success"]) and error is None,
        "error": error,
        "population": population,
        "failing": failing,
        "observed": found.get("observed_value"),
        "rows": positions,
    }


def _error(info: Mapping[str, Any]) -> str | None:
    """Return the first exception that the expectation raised: it lies at the top, or one level down by metric."""
    parts: Iterable[Any] = [info] if "raised_exception" in info else info.values()
    for part in parts:
        if isinstance(part, Mapping) and part.get("raised_exception"):
            return str(part.get("exception_message") or "raised an exception without a message").strip()
    return None

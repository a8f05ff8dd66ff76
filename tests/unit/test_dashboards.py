"""The chain dashboard → chart → dataset → dbt model, without a server: what a name points to exists, and what a filter needs is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import bundle

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"audit-overview", "devices-and-phantoms", "environment"}
CHINESE, LATIN = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[A-Za-z]{2}")
COLUMN_FIELDS = ("groupby", "groupby_b", "all_columns")


def _folder(name: str) -> dict[str, dict[str, Any]]:
    return {path: yaml.safe_load(text) for path, text in bundle.read().items() if path.startswith(f"{name}/")}


DATABASES, DATASETS, CHARTS, PAGE_FILES = (_folder(name) for name in bundle.FOLDERS)
BY_UUID = {d["uuid"]: d for d in DATASETS.values()}
MODELS = {
    m["name"]: {c["name"]: c["data_type"] for c in m["columns"]}
    for path in sorted((ROOT / "dbt_project" / "models" / "marts").rglob("*.yml"))
    for m in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or []
}


def _tiles(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in page["position"].values() if isinstance(p, dict) and p.get("type") == "CHART"]


def test_the_three_pages_are_there_and_names_are_unique() -> None:
    assert {p["slug"] for p in PAGE_FILES.values()} == PAGES
    everything = [*DATABASES.values(), *DATASETS.values(), *CHARTS.values(), *PAGE_FILES.values()]
    uuids = [d["uuid"] for d in everything]
    assert len(uuids) == len(set(uuids)) > 40
    assert all(d["version"] == "1.0.0" for d in everything)


@pytest.mark.parametrize("path", sorted(DATASETS))
def test_a_dataset_is_a_mart_and_has_its_columns(path: str) -> None:
    dataset = DATASETS[path]
    assert dataset["database_uuid"] == next(iter(DATABASES.values()))["uuid"]
    assert dataset["schema"] == "marts" and not dataset.get("sql"), "datasets are marts, never SQL of their own"
    model = MODELS[dataset["table_name"]]
    physical = {c["column_name"]: c for c in dataset["columns"] if not c.get("expression")}
    assert set(physical) == set(model), "write the mart's columns into the dataset, or the other way round"
    assert "site_id" in physical, "row-level security needs it"
    times = {n for n, t in model.items() if t in ("timestamp", "date")}
    assert {n for n, c in physical.items() if c.get("is_dttm")} == times
    assert dataset["main_dttm_col"] in times
    names = [m["metric_name"] for m in dataset["metrics"]]
    labels = [
        x.get("verbose_name")
        for x in [*dataset["columns"], *dataset["metrics"]]
        if x.get("verbose_name") and "_mark" not in str(x.get("column_name"))
    ]
    assert len(names) == len(set(names))
    metric_labels = [m["verbose_name"] for m in dataset["metrics"]]
    assert not [m for m in metric_labels if labels.count(m) > 1], "a metric that is labelled like a column loses its colour"
    assert all(CHINESE.search(label) and LATIN.search(label) for label in metric_labels)


@pytest.mark.parametrize("path", sorted(CHARTS))
def test_a_chart_names_what_exists_and_obeys_the_period_filter(path: str) -> None:
    chart = CHARTS[path]
    assert CHINESE.search(chart["slice_name"]) and LATIN.search(chart["slice_name"]), "titles are in English and Chinese"
    dataset, params = BY_UUID[chart["dataset_uuid"]], chart["params"]
    assert params["viz_type"] == chart["viz_type"] != "handlebars"
    columns = {c["column_name"] for c in dataset["columns"]}
    metrics = {m["metric_name"] for m in dataset["metrics"]}
    times = {c["column_name"] for c in dataset["columns"] if c.get("is_dttm")}
    wanted_columns: set[str] = set(filter(None, [params.get("x_axis")]))
    for field in COLUMN_FIELDS:
        value = params.get(field) or []
        wanted_columns |= {value} if isinstance(value, str) else set(value)
    wanted_columns |= {json.loads(order)[0] for order in params.get("order_by_cols", [])}
    assert wanted_columns <= columns, f"no such column: {wanted_columns - columns}"
    wanted = {*params.get("metrics", []), *params.get("metrics_b", []), *filter(None, [params.get("metric")])}
    assert wanted <= metrics, f"no such metric: {wanted - metrics}"
    assert wanted or params.get("all_columns"), "the chart asks for nothing"
    queries = ["adhoc_filters", *(["adhoc_filters_b"] if chart["viz_type"] == "mixed_timeseries" else [])]
    for query in queries:
        filters = params[query]
        assert {f["subject"] for f in filters} <= columns
        ranges = [f["subject"] for f in filters if f["operator"] == "TEMPORAL_RANGE"]
        assert len(ranges) == 1 and ranges[0] in times, (
            "without a TEMPORAL_RANGE filter the period filter of the page does nothing"
        )
    if "is_current" in columns:
        assert all("is_current" in {f["subject"] for f in params[q]} for q in queries), (
            "an earlier run of the same series would count twice"
        )


@pytest.mark.parametrize("path", sorted(PAGE_FILES))
def test_a_page_shows_charts_that_exist_and_its_filters_point_to_columns(path: str) -> None:
    page = PAGE_FILES[path]
    position, tiles = page["position"], _tiles(page)
    known = {c["uuid"]: c for c in CHARTS.values()}
    assert tiles and {t["meta"]["uuid"] for t in tiles} <= set(known)
    assert all(t["meta"]["sliceName"] == known[t["meta"]["uuid"]]["slice_name"] for t in tiles)
    ids = [t["meta"]["chartId"] for t in tiles]
    assert len(ids) == len(set(ids))
    for name, part in position.items():
        if isinstance(part, dict):
            assert part["id"] == name and all(child in position for child in part.get("children", []))
            if part["type"] == "ROW":
                assert sum(position[c]["meta"]["width"] for c in part["children"]) == 12, f"{name} leaves a hole or overflows"
    assert CHINESE.search(page["dashboard_title"]) and LATIN.search(page["dashboard_title"])
    filters = page["metadata"]["native_filter_configuration"]
    assert [f for f in filters if f["filterType"] == "filter_time"], "every page has a period"
    assert any(t.get("column", {}).get("name") == "site_id" for f in filters for t in f["targets"]), "every page filters by site"
    for f in filters:
        assert set(f["scope"]["excluded"]) < set(ids), "a filter that no chart obeys"
        for target in f["targets"]:
            if "column" in target:
                assert target["column"]["name"] in {c["column_name"] for c in BY_UUID[target["datasetUuid"]]["columns"]}


def test_every_chart_is_on_a_page_and_every_dataset_in_a_chart() -> None:
    assert {t["meta"]["uuid"] for p in PAGE_FILES.values() for t in _tiles(p)} == {c["uuid"] for c in CHARTS.values()}
    assert {c["dataset_uuid"] for c in CHARTS.values()} == set(BY_UUID)


def test_every_page_is_an_exposure_that_names_its_marts() -> None:
    files = sorted((ROOT / "dbt_project" / "models").rglob("*.yml"))
    exposures = {e["name"]: e for f in files for e in yaml.safe_load(f.read_text(encoding="utf-8")).get("exposures") or []}
    chart_marts = {c["uuid"]: BY_UUID[c["dataset_uuid"]]["table_name"] for c in CHARTS.values()}
    for page in PAGE_FILES.values():
        exposure = exposures[page["slug"].replace("-", "_")]
        assert exposure["owner"]["name"]
        named = {re.sub(r"\W", "", ref.removeprefix("ref")) for ref in exposure["depends_on"]}
        marts = {chart_marts[t["meta"]["uuid"]] for t in _tiles(page)}
        assert marts <= named, f"dbt does not know that {page['slug']} reads {marts - named}"


def test_placeholders_are_filled_for_a_checkout_anywhere() -> None:
    values = bundle.placeholders(Path("/srv/a b/var"), {"PHOTOPEAK_REPORTS_PORT": "9000"})
    assert set(values) == set(bundle.PLACEHOLDERS)
    text = "\n".join(bundle.read(values).values())
    assert "duckdb:////srv/a b/var/warehouse/current/qc.duckdb?access_mode=read_only" in text
    assert "http://127.0.0.1:9000/' || picture_href" in " ".join(text.split())
    assert not re.search("PHOTOPEAK_[A-Z]", text)
    bare = "\n".join(bundle.read().values())
    assert all(name in bare for name in bundle.PLACEHOLDERS)


def test_the_digest_moves_with_any_change() -> None:
    texts = {"a.yaml": "1", "b.yaml": "2"}
    assert bundle.digest(texts) == bundle.digest(dict(reversed(list(texts.items()))))
    assert (
        len(
            {
                bundle.digest(texts),
                bundle.digest({**texts, "b.yaml": "3"}),
                bundle.digest(texts, "6.2"),
                bundle.digest({"a.yaml": "1"}),
            }
        )
        == 4
    )

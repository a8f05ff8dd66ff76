"""The chain dashboard → chart → dataset → dbt model, without a server: what a name points to exists, and each reader gets one language."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import bundle, landing, sources
from dashboards.compose import compose

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT / "dbt_project" / "seeds"
PAGES = {"audit-overview", "devices-and-phantoms", "environment"}
CHINESE, ENGLISH = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[a-z]{3}")
# names that are the same in both languages: products, units, formulae
SAME = re.compile(r"PET|SPECT|CT|UFOV|CFOV|HU|MBq|DICOM|HL7|HTTP|Modbus|NEMA|SUV|ACR|Catphan|UTC|mm|Pa|Sv|min")
COLUMN_FIELDS = ("groupby", "groupby_b", "all_columns")

BUNDLE = {path: yaml.safe_load(text) for path, text in compose().items()}
DATABASES, DATASETS, CHARTS, PAGE_FILES = (
    {path: thing for path, thing in BUNDLE.items() if path.startswith(f"{folder}/")} for folder in bundle.FOLDERS
)
BY_UUID = {d["uuid"]: d for d in DATASETS.values()}
MODELS = {
    m["name"]: {c["name"]: c["data_type"] for c in m["columns"]}
    for path in sorted((ROOT / "dbt_project" / "models" / "marts").rglob("*.yml"))
    for m in yaml.safe_load(path.read_text(encoding="utf-8")).get("models") or []
}
WORDS = yaml.safe_load((ROOT / "dashboards" / "words.yaml").read_text(encoding="utf-8"))


def language_of(path: str) -> str:
    return path.removesuffix(".yaml").rsplit(".", 1)[1]


def tiles(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in page["position"].values() if isinstance(p, dict) and p.get("type") == "CHART"]


def in_language(text: str, language: str) -> bool:
    """Return whether a text is of one language; numbers and names that are the same in both are of either."""
    return not (CHINESE.search(text) if language == "en" else ENGLISH.search(SAME.sub("", text)))


def test_the_three_pages_are_there_in_each_language_and_names_are_unique() -> None:
    assert {p["slug"] for p in PAGE_FILES.values()} == PAGES | {f"{p}-zh" for p in PAGES}
    everything = [*DATABASES.values(), *DATASETS.values(), *CHARTS.values(), *PAGE_FILES.values()]
    uuids = [d["uuid"] for d in everything]
    assert len(uuids) == len(set(uuids)) > 80
    assert all(d["version"] == "1.0.0" for d in everything)


@pytest.mark.parametrize("path", sorted({*DATASETS, *CHARTS, *PAGE_FILES}))
def test_what_a_reader_sees_is_in_one_language(path: str) -> None:
    thing, language = BUNDLE[path], language_of(path)
    shown = [c["verbose_name"] for c in thing.get("columns", []) if "verbose_name" in c]
    shown += [m["verbose_name"] for m in thing.get("metrics", [])]
    shown += [thing[key] for key in ("slice_name", "dashboard_title", "description") if key in thing]
    params = thing.get("params", {})
    shown += [params["subheader"]] if "subheader" in params else []
    metadata = thing.get("metadata", {})
    shown += [f["name"] for f in metadata.get("native_filter_configuration", [])]
    shown += [tile["meta"]["sliceName"] for tile in tiles(thing)] if "position" in thing else []
    assert shown and [text for text in shown if not in_language(text, language)] == []


def test_every_word_has_both_languages_and_states_one_palette() -> None:
    colours = [tone["colour"] for tone in WORDS["tones"].values()]
    shapes = [tone["shape"] for tone in WORDS["tones"].values()]
    assert len(set(colours)) == len(colours) and len(set(shapes)) == len(shapes), "no state is told by its colour alone"
    assert not set(colours) & set(WORDS["series"])
    for table, values in {**WORDS["values"], "columns": WORDS["columns"]}.items():
        for value, word in values.items():
            assert {"en", "zh"} <= set(word) <= {"en", "zh", "tone"}, (table, value)
            assert in_language(word["en"], "en") and word.get("tone", "good") in WORDS["tones"], (table, value)


def test_no_register_of_the_hospital_stands_in_the_sources() -> None:
    ids: set[str] = set()
    for register, column in (("devices", "device_id"), ("rooms", "room_id"), ("staff", "staff_id"), ("sites", "site_id")):
        with (SEEDS / f"{register}.csv").open(encoding="utf-8", newline="") as f:
            ids |= {row[column] for row in csv.DictReader(f)}
    for folder in ("charts", "datasets", "dashboards"):
        for path in (ROOT / "dashboards" / folder).rglob("*.yaml"):
            named = {name for name in ids if re.search(rf"\b{re.escape(name)}\b", path.read_text(encoding="utf-8"))}
            assert not named, f"{path.name} names {named}"


def test_colours_of_devices_follow_the_register_whatever_stands_in_it() -> None:
    registers = sources.read_registers()
    other = sources.Registers(
        ({"site_id": "S", "name_en": "North", "name_zh": "北院", "time_zone": "Africa/Lagos"},),
        tuple({"device_id": f"D{n}", "name_en": f"Camera {n}", "name_zh": f"相机 {n}"} for n in range(12)),
        (),
        registers.measures,
    )
    texts = compose(other)
    colours = yaml.safe_load(texts["dashboards/audit-overview.zh.yaml"])["metadata"]["label_colors"]
    assert colours["相机 0"] == WORDS["series"][0] and colours["相机 10"] == WORDS["series"][0]
    assert len({colours[f"相机 1 · {head}"] for head in (1, 2, 3)}) == 3, "heads of a device differ"
    assert colours["不合格"] == WORDS["tones"]["bad"]["colour"] and not any("伽玛" in name for name in colours)
    finding = yaml.safe_load(texts["datasets/marts/fct_finding.en.yaml"])
    assert {c["column_name"]: c.get("verbose_name") for c in finding["columns"]}["occurred_at"] == "Occurred (UTC+01:00)"


@pytest.mark.parametrize("path", sorted(DATASETS))
def test_a_dataset_is_a_mart_and_has_its_columns(path: str) -> None:
    dataset = DATASETS[path]
    mart = path.split("/")[-1].split(".")[0]
    assert dataset["table_name"] == f"{mart}_{language_of(path)}" and dataset["schema"] == "marts"
    assert dataset["database_uuid"] == next(iter(DATABASES.values()))["uuid"]
    model, columns = MODELS[mart], {c["column_name"]: c for c in dataset["columns"]}
    assert re.search(rf"FROM marts\.{mart} AS m\n", dataset["sql"])
    joined = re.findall(r"JOIN (\S+)", dataset["sql"])
    assert all(name.startswith(("marts.dim_", "reference.")) for name in joined), (
        "a chart reads one mart, and registers for names"
    )
    assert set(model) <= set(columns) and "site_id" in columns, "row-level security needs the site"
    assert len(columns) == len(dataset["columns"])
    moments = {c for c, kind in model.items() if kind == "timestamp"}
    assert {c.removesuffix("_utc") for c in moments} <= set(columns), "each moment on the clock of its site"
    shown = [
        c
        for c in columns.values()
        if c["type"] == "TIMESTAMP" and not c["column_name"].endswith("_utc") and c.get("verbose_name")
    ]
    assert all("UTC+08:00" in c["verbose_name"] for c in shown), "a time says its zone"
    assert columns[dataset["main_dttm_col"]]["is_dttm"]
    names = [m["metric_name"] for m in dataset["metrics"]]
    labels = [c.get("verbose_name") for c in dataset["columns"]]
    assert len(names) == len(set(names))
    assert not [m for m in dataset["metrics"] if m["verbose_name"] in labels], "a metric labelled like a column loses its colour"


@pytest.mark.parametrize("path", sorted(CHARTS))
def test_a_chart_names_what_exists_and_obeys_the_period_filter(path: str) -> None:
    chart = CHARTS[path]
    dataset, params = BY_UUID[chart["dataset_uuid"]], chart["params"]
    assert params["viz_type"] == chart["viz_type"] != "handlebars"
    columns = {c["column_name"]: c for c in dataset["columns"]}
    metrics = {m["metric_name"] for m in dataset["metrics"]}
    wanted_columns: set[str] = set(filter(None, [params.get("x_axis")]))
    for field in COLUMN_FIELDS:
        value = params.get(field) or []
        wanted_columns |= {value} if isinstance(value, str) else set(value)
    shown = wanted_columns - {"agent"}
    assert not {c for c in shown if c.endswith(("_id", "_utc"))}, "names and local times; ids stand on the page of evidence"
    assert all(columns[c].get("verbose_name") for c in shown), "a column without a heading"
    wanted_columns |= {json.loads(order)[0] for order in params.get("order_by_cols", [])}
    assert wanted_columns <= set(columns), f"no such column: {wanted_columns - set(columns)}"
    wanted = {*params.get("metrics", []), *params.get("metrics_b", []), *filter(None, [params.get("metric")])}
    assert wanted <= metrics, f"no such metric: {wanted - metrics}"
    assert wanted or params.get("all_columns"), "the chart asks for nothing"
    queries = ["adhoc_filters", *(["adhoc_filters_b"] if chart["viz_type"] == "mixed_timeseries" else [])]
    for query in queries:
        filters = params[query]
        assert {f["subject"] for f in filters} <= set(columns)
        ranges = [f["subject"] for f in filters if f["operator"] == "TEMPORAL_RANGE"]
        assert len(ranges) == 1 and columns[ranges[0]].get("is_dttm"), "else the period filter of the page does nothing"
    if "is_current" in columns:
        assert all("is_current" in {f["subject"] for f in params[q]} for q in queries), "an earlier run would count twice"


def test_control_charts_have_a_centre_line_sigma_lines_and_events() -> None:
    params = CHARTS["charts/control-sigma.en.yaml"]["params"]
    assert {layer["value"] for layer in params["annotation_layers"]} == {"0", "2", "-2", "3", "-3"}
    assert params["groupby_b"] == ["event_word"]
    kinds = {"maintenance", "repair", "calibration", "software", "fault", "held"}
    assert set(WORDS["values"]["event"]) == kinds | {"baseline", "method", "beyond"}


@pytest.mark.parametrize("path", sorted(PAGE_FILES))
def test_a_page_shows_charts_that_exist_and_its_filters_point_to_columns(path: str) -> None:
    page = PAGE_FILES[path]
    position, placed = page["position"], tiles(page)
    known = {c["uuid"]: c for c in CHARTS.values()}
    assert placed and {t["meta"]["uuid"] for t in placed} <= set(known)
    assert all(t["meta"]["sliceName"] == known[t["meta"]["uuid"]]["slice_name"] for t in placed)
    ids = [t["meta"]["chartId"] for t in placed]
    assert len(ids) == len(set(ids))
    for name, part in position.items():
        if isinstance(part, dict):
            assert part["id"] == name and all(child in position for child in part.get("children", []))
            if part["type"] == "ROW":
                assert sum(position[c]["meta"]["width"] for c in part["children"]) == 12, f"{name} leaves a hole or overflows"
    filters = page["metadata"]["native_filter_configuration"]
    assert [f for f in filters if f["filterType"] == "filter_time"], "every page has a period"
    assert any(t.get("column", {}).get("name") == "site" for f in filters for t in f["targets"]), "every page filters by site"
    for f in filters:
        assert set(f["scope"]["excluded"]) < set(ids), "a filter that no chart obeys"
        for target in f["targets"]:
            if "column" in target:
                assert target["column"]["name"] in {c["column_name"] for c in BY_UUID[target["datasetUuid"]]["columns"]}


def test_every_chart_is_on_a_page_and_every_dataset_in_a_chart() -> None:
    assert {t["meta"]["uuid"] for p in PAGE_FILES.values() for t in tiles(p)} == {c["uuid"] for c in CHARTS.values()}
    assert {c["dataset_uuid"] for c in CHARTS.values()} == set(BY_UUID)


def test_every_page_is_an_exposure_that_names_its_marts() -> None:
    files = sorted((ROOT / "dbt_project" / "models").rglob("*.yml"))
    exposures = {e["name"]: e for f in files for e in yaml.safe_load(f.read_text(encoding="utf-8")).get("exposures") or []}
    chart_marts = {c["uuid"]: BY_UUID[c["dataset_uuid"]]["table_name"].rsplit("_", 1)[0] for c in CHARTS.values()}
    for page in PAGE_FILES.values():
        exposure = exposures[page["slug"].removesuffix("-zh").replace("-", "_")]
        assert exposure["owner"]["name"]
        named = {re.sub(r"\W", "", ref.removeprefix("ref")) for ref in exposure["depends_on"]}
        marts = {chart_marts[t["meta"]["uuid"]] for t in tiles(page)}
        assert marts <= named, f"dbt does not know that {page['slug']} reads {marts - named}"


@pytest.mark.parametrize(
    ("path", "language", "expected"),
    [
        ("/superset/dashboard/audit-overview/", "zh", "/superset/dashboard/audit-overview-zh/"),
        ("/superset/dashboard/audit-overview-zh/", "en", "/superset/dashboard/audit-overview/"),
        ("/superset/dashboard/audit-overview", "en", None),
        ("/superset/dashboard/of-a-person-zh/", "en", None),
        ("/superset/explore/", "zh", None),
    ],
)
def test_a_page_leads_to_its_twin_in_the_readers_language(path: str, language: str, expected: str | None) -> None:
    assert landing.twin(path, language, tuple(PAGES)) == expected


def test_placeholders_are_filled_for_a_checkout_anywhere() -> None:
    values = bundle.placeholders(Path("/srv/a b/var"), {"PHOTOPEAK_REPORTS_PORT": "9000"})
    assert set(values) == set(bundle.PLACEHOLDERS)
    text = "\n".join(bundle.fill(compose(), values).values())
    assert "duckdb:////srv/a b/var/warehouse/current/qc.duckdb?access_mode=read_only" in text
    assert "http://127.0.0.1:9000/evidence/' ||" in " ".join(text.split())
    assert not re.search("PHOTOPEAK_[A-Z]", text)
    bare = "\n".join(compose().values())
    assert all(name in bare for name in bundle.PLACEHOLDERS)


def test_the_digest_moves_with_any_change() -> None:
    texts = {"a.yaml": "1", "b.yaml": "2"}
    assert bundle.digest(texts) == bundle.digest(dict(reversed(list(texts.items()))))
    others = (texts, {**texts, "b.yaml": "3"}, {"a.yaml": "1"})
    assert len({*map(bundle.digest, others), bundle.digest(texts, "6.2")}) == 4

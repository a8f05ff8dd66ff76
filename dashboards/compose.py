"""From one source to a bundle a language: every title, heading, state and name of a page is in the language of its reader.

The sources (`datasets/ charts/ dashboards/`) say each text as `{en: …, zh: …}`; columns come from the contracts of the marts, names of devices,
rooms, people and measures are joined from the release's own registers, and times are shown on the clock of their site.
"""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import yaml

from dashboards.layout import Layout
from dashboards.sources import HERE, LANGUAGES, Registers, read_registers, sources

__all__ = ["compose"]

PROJECT = HERE.parent / "dbt_project"
DATABASE = "databases/marts.yaml"
NAMES = uuid.UUID("6f0f2a3e-3c53-5a3b-9a53-0d9f5a1c7e11")  # of everything that is composed
TYPES = {
    "bigint": "BIGINT",
    "integer": "INTEGER",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}


def compose(registers: Registers | None = None) -> dict[str, str]:
    """Return {path inside the bundle: text}: each dataset, chart and page in each language; placeholders stay."""
    registers = registers or read_registers()
    words = yaml.safe_load((HERE / "words.yaml").read_text(encoding="utf-8"))
    texts = {name: (HERE / name).read_text(encoding="utf-8") for name in ("metadata.yaml", DATABASE)}
    for language in LANGUAGES:
        page = _Language(language, words, registers)
        for path, thing in page.things():
            texts[path] = yaml.safe_dump(thing, allow_unicode=True, sort_keys=False, width=4000)
    return texts


def _columns_of_marts() -> dict[str, dict[str, str]]:
    """Return {mart: {column: type}} as the contracts declare them."""
    files = sorted((PROJECT / "models" / "marts").rglob("*.yml"))
    models = [m for f in files for m in yaml.safe_load(f.read_text(encoding="utf-8")).get("models") or []]
    return {m["name"]: {c["name"]: c["data_type"] for c in m["columns"]} for m in models}


class _Language:
    """The bundle in one language."""

    def __init__(self, language: str, words: dict[str, Any], registers: Registers) -> None:
        self.language, self.words, self.registers = language, words, registers
        self.looks = yaml.safe_load((HERE / "looks.yaml").read_text(encoding="utf-8"))
        self.marts, self.datasets, self.charts = _columns_of_marts(), sources("datasets/marts"), sources("charts")

    def things(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield path and content of every dataset, chart and page."""
        for name in self.datasets:
            yield f"datasets/marts/{self._named(name)}.yaml", self._dataset(name)
        for name in self.charts:
            yield f"charts/{self._named(name)}.yaml", self._chart(name)
        layout = Layout(self.language, self.words, self.registers, self.datasets, self.charts, self._say, self._uuid)
        for name, page in sources("dashboards").items():
            yield f"dashboards/{self._named(name)}.yaml", layout.page(name, page)

    def _named(self, name: str) -> str:
        return f"{name}.{self.language}"

    def _uuid(self, kind: str, name: str) -> str:
        return str(uuid.uuid5(NAMES, f"{kind}/{name}/{self.language}"))

    def _say(self, thing: Any) -> Any:
        """Return a source with each `{en: …, zh: …}` replaced by the language's own."""
        if isinstance(thing, dict):
            if set(thing) == set(LANGUAGES):
                return thing[self.language]
            return {key: self._say(value) for key, value in thing.items()}
        return [self._say(x) for x in thing] if isinstance(thing, list) else thing

    # --- datasets

    def _dataset(self, mart: str) -> dict[str, Any]:
        source, columns = self.datasets[mart], self.marts[mart]
        made = {**self._names(mart, columns, source), **self._states(source), **self._own(source), **self._links(source)}
        times = {_local(c): c for c, kind in columns.items() if kind == "timestamp"}
        select = [f"{sql} AS {name}" for name, (sql, _) in made.items()]
        select += [f"{self._clock(f'm.{c}')} AS {name}" for name, c in times.items()]
        sql = "SELECT m.*,\n  " + ",\n  ".join(select) + f"\nFROM marts.{mart} AS m\n" + "\n".join(self._joins(columns, source))
        listed = [self._column(c, TYPES.get(kind, "VARCHAR")) for c, kind in columns.items()]
        listed += [self._column(name, kind, (source.get("columns") or {}).get(name)) for name, (_, kind) in made.items()]
        listed += [self._column(name, "TIMESTAMP") for name in times]
        return {
            "table_name": f"{mart}_{self.language}",
            "schema": "marts",
            "sql": sql,
            "main_dttm_col": source["time"],
            "cache_timeout": None,
            "uuid": self._uuid("datasets", mart),
            "database_uuid": yaml.safe_load((HERE / DATABASE).read_text(encoding="utf-8"))["uuid"],
            "version": "1.0.0",
            "columns": listed,
            "metrics": [
                {"metric_name": name, "verbose_name": self._say(m["label"]), "expression": m["sql"]}
                for name, m in source["metrics"].items()
            ],
        }

    def _column(self, name: str, kind: str, source: dict[str, Any] | None = None) -> dict[str, Any]:
        label = (source or {}).get("label") or self.words["columns"].get(_plain(name))
        shown = self._say(label) if label else None
        if shown and kind == "TIMESTAMP":
            zone = "UTC" if name.endswith("_utc") else self._zone()
            shown = f"{shown}（{zone}）" if self.language == "zh" else f"{shown} ({zone})"
        column = {"column_name": name, "type": kind, "groupby": True, "filterable": True, "is_active": True}
        if shown:
            column["verbose_name"] = shown
        if kind in ("DATE", "TIMESTAMP"):
            column["is_dttm"] = True
        return column

    def _zone(self) -> str:
        """Return the name of the zone that times are shown in: one for all sites, or that it is each site's own."""
        from judgement.days import site_zone, zone_text  # found by `read_registers`

        zones = {zone_text(site_zone(site["time_zone"])) for site in self.registers.sites}
        return zones.pop() if len(zones) == 1 else {"en": "local time of the site", "zh": "院区当地时间"}[self.language]

    def _clock(self, moment: str) -> str:
        """Return the SQL of a moment on the clock of its site; the zone is of the release's own register."""
        return f"timezone(COALESCE(site.time_zone, 'UTC'), timezone('UTC', {moment}))"

    def _joins(self, columns: dict[str, str], source: dict[str, Any]) -> list[str]:
        on = {
            "site_id": ["reference.sites AS site ON site.site_id = m.site_id"],
            "device_id": ["marts.dim_device AS device ON device.site_id = m.site_id AND device.device_id = m.device_id"],
            "room_id": ["marts.dim_room AS room ON room.site_id = m.site_id AND room.room_id = m.room_id"],
            "staff_id": ["marts.dim_staff AS staff ON staff.site_id = m.site_id AND staff.staff_id = m.staff_id"],
            "reported_by": ["marts.dim_staff AS reporter ON reporter.site_id = m.site_id AND reporter.staff_id = m.reported_by"],
            "measure": ["reference.measure_names AS named ON named.measure = m.measure"],
            "exam_code": ["reference.exams AS exam ON exam.exam_code = m.exam_code"],
        }
        if "subject_kind" in columns and "device_id" not in columns:  # a subject is a device or a room
            on["subject_id"] = [
                "marts.dim_device AS device ON device.site_id = m.site_id AND device.device_id = m.subject_id",
                "marts.dim_room AS room ON room.site_id = m.site_id AND room.room_id = m.subject_id",
            ]
        joins = [join for column, those in on.items() if column in columns for join in those]
        return [f"LEFT JOIN {join}" for join in [*joins, *(source.get("joins") or [])]]

    def _names(self, mart: str, columns: dict[str, str], source: dict[str, Any]) -> dict[str, tuple[str, str]]:
        """Return {column: (SQL, type)} of what the registers say of the ids in a mart."""
        name = f"name_{self.language}"
        made: dict[str, str] = {"site": f"COALESCE(site.{name}, m.site_id)"}
        for register in ("device", "room", "staff"):
            if f"{register}_id" in columns:
                nobody = ", '–'" if register == "staff" else ""
                made[register] = f"COALESCE({register}.{name}, m.{register}_id{nobody})"
        if "reported_by" in columns:
            made["reporter"] = f"COALESCE(reporter.{name}, m.reported_by)"
        if "subject_id" in columns and "device_id" not in columns:
            made["subject"] = made["device"] = f"COALESCE(device.{name}, room.{name}, m.subject_id)"
        if "measure" in columns:
            made["measure_word"] = f"COALESCE(named.{name}, m.measure)"
        if "exam_code" in columns:
            made["exam"] = f"COALESCE(exam.{name}, m.exam_code)"
        if "detector" in columns and "device" in made:
            detector = self._case("m.detector", "detector")
            made["head"] = f"{made['device']} || COALESCE(' · ' || {detector}, '')"
        if "sensor_id" in columns:
            made["sensor"] = f"{made['room']} || ' · ' || {self._case('m.quantity', 'quantity')}"
        if "reason" in columns:
            made["why"] = "COALESCE(m.reason, '')" if self.language == "en" else "COALESCE(m.reason_zh, m.reason, '')"
            if source.get("once"):  # one sentence about a run stands once, not beside each of its measures
                over = f"PARTITION BY {', '.join(f'm.{c}' for c in source['once'])} ORDER BY {', '.join(f'm.{c}' for c in source['order'])}"
                made["why_once"] = (
                    f"CASE WHEN LAG(m.reason) OVER ({over}) IS DISTINCT FROM m.reason THEN {made['why']} ELSE '' END"
                )
        if "limit_high" in columns:
            made["limits"] = _limits("m.limit_low", "m.limit_high")
        return {key: (" ".join(sql.split()), "VARCHAR") for key, sql in made.items()}

    def _states(self, source: dict[str, Any]) -> dict[str, tuple[str, str]]:
        """Return a word for each value that stands in a table of words, and a coloured, shaped mark for each state."""
        made = {}
        for column, table in (source.get("words") or {}).items():
            made[f"{column}_word"] = (f"COALESCE({self._case(f'm.{column}', table)}, '–')", "VARCHAR")
            values = self.words["values"][table]
            if any("tone" in v for v in values.values()):
                made[f"{column}_mark"] = (self._case(f"m.{column}", table, self._mark), "VARCHAR")
        return made

    def _mark(self, value: dict[str, str]) -> str:
        tone = self.words["tones"][value["tone"]]
        return f'<span style="color:{tone["colour"]}">{tone["shape"]}</span> {value[self.language]}'

    def _case(self, column: str, table: str, shown: Any = None) -> str:
        shown = shown or (lambda value: value[self.language])
        values = self.words["values"][table]
        whens = " ".join(f"WHEN {_quoted(str(name))} THEN {_quoted(shown(value))}" for name, value in values.items())
        text = f"CAST({column} AS VARCHAR)"
        return f"CASE {text} {whens} ELSE {text} END"

    def _own(self, source: dict[str, Any]) -> dict[str, tuple[str, str]]:
        made = {}
        for name, column in (source.get("columns") or {}).items():
            sql = " ".join(self._say(column["sql"]).replace("{lang}", self.language).split())
            sql = re.sub(r"\{number:([\w.]+)\}", lambda found: _number(str(found[1])), sql)
            sql = re.sub(r"\{link:(\w+)\}", lambda found: self.words["links"][found[1]][self.language], sql)
            for table in re.findall(r"\{word:(\w+)\((\S+?)\)\}", sql):
                sql = sql.replace(f"{{word:{table[0]}({table[1]})}}", self._case(table[1], table[0]))
            made[name] = (sql, column.get("type", "VARCHAR"))
        return made

    def _links(self, source: dict[str, Any]) -> dict[str, tuple[str, str]]:
        """Return the way from a row to the page of its run (verdict, picture, images), or to what its rule found in the newest report."""
        told = source.get("evidence")
        if not told:
            return {}

        def link(key: str, page: str, suffix: str) -> str:
            word = self.words["links"][page][self.language]
            start, end = f'<a href="PHOTOPEAK_REPORTS_URL/{page}/', f'{suffix}?lang={self.language}" target="_blank">{word}</a>'
            return f"WHEN {key} <> '' THEN {_quoted(start)} || {key} || {_quoted(end)}"

        ways = [link(told["run"], "evidence", ".html")] if "run" in told else []
        ways += [link(told["rule"], "rules", "")] if "rule" in told else []
        return {"evidence": (f"CASE {' '.join(ways)} ELSE '' END", "VARCHAR")}

    # --- charts

    def _chart(self, name: str) -> dict[str, Any]:
        source = self._say(self.charts[name])
        kind, time = source["viz_type"], self.datasets[source["mart"]]["time"]
        always = {"clause": "WHERE", "expressionType": "SIMPLE"}
        filters = [{**always, "subject": time, "operator": "TEMPORAL_RANGE", "comparator": "No filter"}]
        filters += [{**always, "subject": c, "operator": o, "comparator": v} for c, o, v in source.get("where", [])]
        of_a, of_b = (
            [{**always, "subject": c, "operator": o, "comparator": v} for c, o, v in source.get(key, [])]
            for key in ("where_a", "where_b")
        )
        params = {
            "viz_type": kind,
            **self.looks.get(kind, {}),
            **source["params"],
            "adhoc_filters": [*filters, *of_a],
            "color_scheme": "photopeak",
        }
        if kind == "mixed_timeseries":
            params["adhoc_filters_b"] = [*filters, *of_b]
        return {
            "slice_name": source["title"],
            "viz_type": kind,
            "uuid": self._uuid("charts", name),
            "dataset_uuid": self._uuid("datasets", source["mart"]),
            "version": "1.0.0",
            "params": params,
        }


def _local(column: str) -> str:
    return column.removesuffix("_utc")


def _plain(column: str) -> str:
    """Return the name under which a column's heading stands: a mark is headed like its word, UTC like the local time."""
    return _local(column).replace("_mark", "_word")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _number(value: str) -> str:
    """Return the SQL of a value as people write it, as `judgement.limits.number_text`."""
    return f"printf(CASE WHEN abs({value}) >= 9999.5 AND abs({value}) < 1e7 THEN '%.0f' ELSE '%.4g' END, {value})"


def _limits(low: str, high: str) -> str:
    """Return the SQL of a band in signs that need no language."""
    a, b = _number(low), _number(high)
    band = f"WHEN {low} IS NOT NULL AND {high} IS NOT NULL THEN {a} || ' … ' || {b}"
    return f"CASE {band} WHEN {high} IS NOT NULL THEN '≤ ' || {b} WHEN {low} IS NOT NULL THEN '≥ ' || {a} ELSE '' END"

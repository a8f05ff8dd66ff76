"""How a page is laid out in one language: its tiles, the line of links above them, its filters and its colours."""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboards.sources import HERE, Registers, slug_of, sources

__all__ = ["Layout"]

WIDE = {"en": "Drawings need a wider screen.", "zh": "图表需在较宽的屏幕上查看。"}


@dataclass(frozen=True)
class Layout:
    """The pages of a language. `say` picks its text of a source, `uuid` names a thing of a kind in it."""

    language: str
    words: dict[str, Any]
    registers: Registers
    datasets: dict[str, dict[str, Any]]
    charts: dict[str, dict[str, Any]]
    say: Callable[[Any], Any]
    uuid: Callable[[str, str], str]

    def page(self, name: str, source: dict[str, Any]) -> dict[str, Any]:
        """Return a page as Superset imports it."""
        tiles = [tile for row in source["rows"] for tile in row]
        number = {tile[0]: at for at, tile in enumerate(tiles, 1)}
        page = self.say({key: source[key] for key in ("title", "description")})
        return {
            "dashboard_title": page["title"],
            "description": page["description"],
            "slug": slug_of(name, self.language),
            "published": True,
            "css": (HERE / "page.css").read_text(encoding="utf-8").replace("{wide}", self.say(WIDE)),
            "uuid": self.uuid("dashboards", name),
            "version": "1.0.0",
            "certified_by": "",
            "position": self._position(page["title"], source["rows"], number),
            "metadata": {
                "color_scheme": "photopeak",
                "label_colors": self._colours(),
                "cross_filters_enabled": True,
                "refresh_frequency": 60,
                "filter_bar_orientation": "HORIZONTAL",
                "native_filter_configuration": [self._filter(name, f, number) for f in source["filters"]],
            },
        }

    def _position(self, title: str, rows: list[list[list[Any]]], number: dict[str, int]) -> dict[str, Any]:
        names = ["ROW-intro", *(f"ROW-{n}" for n in range(1, len(rows) + 1))]
        parents = ["ROOT_ID", "GRID_ID"]
        parts: dict[str, Any] = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
            "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
            "GRID_ID": {"type": "GRID", "id": "GRID_ID", "parents": ["ROOT_ID"], "children": names},
        }

        def row(name: str, children: list[str]) -> None:
            meta = {"background": "BACKGROUND_TRANSPARENT"}
            parts[name] = {"type": "ROW", "id": name, "parents": parents, "children": children, "meta": meta}

        row("ROW-intro", ["MARKDOWN-intro"])
        code = {"code": self._links(), "width": 12, "height": 6}
        parts["MARKDOWN-intro"] = {
            "type": "MARKDOWN",
            "id": "MARKDOWN-intro",
            "parents": [*parents, "ROW-intro"],
            "children": [],
            "meta": code,
        }
        for name, tiles in zip(names[1:], rows, strict=True):
            row(name, [f"CHART-{tile[0]}" for tile in tiles])
            for chart, width, height in tiles:
                shown = self.say(self.charts[chart]["title"])
                meta = {
                    "chartId": number[chart],
                    "uuid": self.uuid("charts", chart),
                    "sliceName": shown,
                    "width": width,
                    "height": height,
                }
                part = f"CHART-{chart}"
                parts[part] = {"type": "CHART", "id": part, "parents": [*parents, name], "children": [], "meta": meta}
        return parts

    def _links(self) -> str:
        """Return the line that leads to the other pages, the other doors and the other language."""
        pages = {n: self.say(p["title"]) for n, p in sources("dashboards").items()}
        links = [f"[{title}](/superset/dashboard/{slug_of(n, self.language)}/)" for n, title in pages.items()]
        doors = {
            "PHOTOPEAK_REPORTS_URL": {"en": "Auditors' reports", "zh": "质控审核报告"},
            "PHOTOPEAK_STATUS_URL": {"en": "Status now", "zh": "当前状态"},
        }
        links += [f"[{self.say(title)}]({url}/?lang={self.language})" for url, title in doors.items()]
        other, its = {"en": ("zh", "中文"), "zh": ("en", "English")}[self.language]
        return " · ".join([*links, f"[{its}](/lang/{other})"])

    def _filter(self, page: str, source: dict[str, Any], number: dict[str, int]) -> dict[str, Any]:
        only, without = source.get("only"), source.get("without", [])
        excluded = [n for chart, n in number.items() if chart in without or (only and chart not in only)]
        made: dict[str, Any] = {
            "id": f"NATIVE_FILTER-{page}-{source['id']}",
            "type": "NATIVE_FILTER",
            "name": self.say(source["label"]),
            "scope": {"rootPath": ["ROOT_ID"], "excluded": excluded},
            "cascadeParentIds": [],
        }
        if "grain" in source:
            return {
                **made,
                "filterType": "filter_timegrain",
                "targets": [{"datasetUuid": self.uuid("datasets", source["mart"])}],
                "controlValues": {"enableEmptyFilter": False},
                "defaultDataMask": {"extraFormData": {}, "filterState": {}},
            }
        if "column" not in source:
            empty = {"extraFormData": {}, "filterState": {"value": None}}
            return {
                **made,
                "filterType": "filter_time",
                "targets": [{}],
                "controlValues": {"enableEmptyFilter": False},
                "defaultDataMask": empty,
            }
        mask: dict[str, Any] = {"extraFormData": {}, "filterState": {}}
        if source.get("measure"):
            shown = next(
                (m[f"name_{self.language}"] for m in self.registers.measures if m["measure"] == source["measure"]),
                source["measure"],
            )
            chosen = [{"col": source["column"], "op": "IN", "val": [shown]}]
            mask = {"extraFormData": {"filters": chosen}, "filterState": {"value": [shown], "label": shown}}
        controls = dict.fromkeys(("enableEmptyFilter", "defaultToFirstItem", "searchAllOptions", "inverseSelection"), False)
        target = {"column": {"name": source["column"]}, "datasetUuid": self.uuid("datasets", source["mart"])}
        return {
            **made,
            "filterType": "filter_select",
            "targets": [target],
            "controlValues": {"multiSelect": True, **controls},
            "defaultDataMask": mask,
        }

    def _colours(self) -> dict[str, str]:
        """Return {label: colour}: states and limits by their tone, devices and rooms by their place in the register."""
        tones = {name: tone["colour"] for name, tone in self.words["tones"].items()}
        colours: dict[str, str] = {}
        for table in self.words["values"].values():
            colours |= {v[self.language]: tones[v["tone"]] for v in table.values() if "tone" in v}
        for source in self.datasets.values():
            for name, metric in source["metrics"].items():
                if "tone" in metric:
                    colours |= dict.fromkeys((name, self.say(metric["label"])), tones[metric["tone"]])
        series, name = self.words["series"], f"name_{self.language}"
        for register in (self.registers.devices, self.registers.rooms):
            for at, row in enumerate(register):
                base = series[at % len(series)]
                colours[row[name]] = base
                for detector, shade in (
                    ("1", 0.0),
                    ("2", 0.35),
                    ("3", -0.3),
                ):  # heads of a device: its colour, lighter and darker
                    colours[f"{row[name]} · {detector}"] = _shaded(base, shade)
        return colours


def _shaded(colour: str, by: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, light, depth = colorsys.rgb_to_hls(red, green, blue)
    light = light + (1 - light) * by if by > 0 else light * (1 + by)
    return "#" + "".join(f"{round(255 * part):02X}" for part in colorsys.hls_to_rgb(hue, light, depth))

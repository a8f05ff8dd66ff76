"""The reader of reference data: typed rows, one clear error for a malformed one, an edit seen at once, and no other reader."""

import ast
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from judgement import reference, rows
from judgement.reference import SEEDS, BadReference, read
from judgement.rows import Form, Limit, Scheduled, Site, Switch

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    *("messages", "judgement", "connectors", "devices", "spark_jobs", "warehouse", "terminals", "photopeak"),
    *("expectations", "dashboards", "plugins", "dags", "bench"),
)
KINDS = [k for k in vars(rows).values() if is_dataclass(k) and hasattr(k, "TABLE")]
# beside the reader: the map of sensors that a site keeps under its own `config/`; names of measures, which are words and decide nothing
READERS = {"judgement/reference.py", "connectors/sensors/mapping.py", "messages/catalogue.py"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.TABLE)
def test_every_delivered_table_is_read_as_its_type(kind: type) -> None:
    found = read(kind)
    assert all(isinstance(row, kind) for row in found)
    text = (SEEDS / f"{kind.TABLE}.csv").read_text(encoding="utf-8")  # type: ignore[attr-defined]
    assert bool(found) == (len(text.splitlines()) > 1)


def test_types_are_those_of_the_warehouse() -> None:
    declared = {s["name"]: s["config"]["column_types"] for s in yaml.safe_load((SEEDS / "seeds.yml").read_text())["seeds"]}
    kinds = {"varchar": "str", "integer": "int", "double": "float", "date": "Day"}
    for kind in KINDS:
        for f in fields(kind):
            told = kinds[declared[kind.TABLE][f.name]]
            said = str(f.type)
            is_day = "fromisoformat" in said
            assert is_day == (told == "Day") and (is_day or "Literal" in said or told in said), f"{kind.TABLE}.{f.name}"


def folder(tmp_path: Path, name: str, text: str) -> Path:
    (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


HEAD = "device_id,procedure,every_days,valid_from\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("device_id,procedure,every_days\nGC1,p,1\n", "line 1: there is no column valid_from"),
        ("", "line 1: there is no column device_id"),
        (HEAD + "GC1,p,1,2026-01-01\nGC1,p,weekly,2026-01-01\n", "line 3: every_days is 'weekly', not a whole number"),
        (HEAD + "GC1,p,1.5,2026-01-01\n", "line 2: every_days is '1.5', not a whole number"),
        (HEAD + "GC1,p,,2026-01-01\n", "line 2: every_days is empty"),
        (HEAD + "GC1,p,1,1.1.2026\n", "line 2: valid_from is '1.1.2026', not a day"),
        (HEAD + "GC1,p,1,2026-02-30\n", "line 2: valid_from is '2026-02-30', not a day"),
        (HEAD + "GC1,p,1,20260101\n", "line 2: valid_from is '20260101', not a day"),
        (HEAD + "GC1,p,1\n", "line 2: valid_from is empty"),
        (HEAD + "GC1,p,1,2026-01-01,x\n", "line 2: the row has more cells"),
        (HEAD + '"GC\n1",p,1,2026-01-01\nGC1,p,x,2026-01-01\n', "line 4: every_days"),
        (HEAD + '"GC1,p,1,2026-01-01\n', "line 2: unexpected end of data"),
    ],
)
def test_a_malformed_row_names_file_and_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadReference) as caught:
        read(Scheduled, folder(tmp_path, "phantom_schedule", text))
    assert str(caught.value).startswith(f"phantom_schedule.csv, {why}")


def test_numbers_are_finite_and_words_are_of_the_list(tmp_path: Path) -> None:
    head, row = (SEEDS / "limits.csv").read_text(encoding="utf-8").splitlines()[:2]
    with pytest.raises(BadReference, match="fail_high is 'nan', not a number"):
        read(Limit, folder(tmp_path, "limits", f"{head}\n{row.replace(',5,', ',nan,', 1)}\n"))
    text = (SEEDS / "exam_forms.csv").read_text(encoding="utf-8").replace(",block,", ",Block,", 1)
    with pytest.raises(BadReference, match="on_missing is 'Block', not block or warn"):
        read(Form, folder(tmp_path, "exam_forms", text))
    (tmp_path / "exam_forms.csv").write_bytes(text.encode("gbk"))
    with pytest.raises(BadReference, match="not UTF-8"):
        read(Form, tmp_path)


def test_a_file_of_a_spreadsheet_is_read_and_an_edit_holds_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sites.csv"
    path.write_bytes(b"\xef\xbb\xbfsite_id,name_en,name_zh,time_zone\r\nMAIN,M,M,Asia/Shanghai\r\n")
    assert read(Site, tmp_path) == (Site("MAIN", "M", "M", "Asia/Shanghai"),)
    before = reference.stamp([Site, Switch], tmp_path)
    assert before[1] is None and read(Site, tmp_path) is read(Site, tmp_path)
    path.write_text("site_id,name_en,name_zh,time_zone\nEAST,E,E,UTC\n")
    assert read(Site, tmp_path) == (Site("EAST", "E", "E", "UTC"),) and reference.stamp([Site, Switch], tmp_path) != before
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(Site, tmp_path)


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_nothing_else_opens_a_table_of_reference_data() -> None:
    """A CSV reader, or the file name of a seed in an expression: both belong to the one reader."""
    tables = {p.name for p in SEEDS.glob("*.csv")} - {"sensors.csv"}  # a site's own map has this name too
    found = []
    for name, tree in sources():
        if name in READERS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
                found += [f"{name}:{node.lineno} imports csv"] * ("csv" in names)
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):  # a path
                said = ast.unparse(node.right).strip("'\"f")
                found += [f"{name}:{node.lineno} opens {said}"] * (said in tables or said == "{name}.csv")
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "read_csv" in node.value:
                found.append(f"{name}:{node.lineno} reads CSV in SQL")
    assert found == []


def test_the_room_does_no_io_beside_its_reader() -> None:
    may = {
        "bisect",
        "hashlib",
        "unicodedata",
        "re",
        "collections",
        "dataclasses",
        "datetime",
        "difflib",
        "functools",
        "math",
        "typing",
        "zoneinfo",
        "judgement",
        "messages",
    }
    for name, tree in sources():
        if not name.startswith("judgement/") or name == "judgement/reference.py":
            continue
        for node in ast.walk(tree):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {m.split(".")[0] for m in modules} <= may, f"{name}:{node.lineno}"
            called = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
            assert called not in ("open", "now", "today", "utcnow", "print"), (
                f"{name}:{getattr(node, 'lineno', 0)} calls {called}"
            )

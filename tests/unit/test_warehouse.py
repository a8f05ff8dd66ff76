"""Releases without dbt: run keys, links, what is kept, the lock."""

import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from connectors.settings import Settings, load
from connectors.stores.lake.lock import Locked, locked
from warehouse import releases as warehouse
from warehouse.releases import BuildFailed, build_marts, clear, publish, run_key

AS_OF = datetime(2026, 3, 10, 16, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "var")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of two seeds; dbt never sees it."""
    folder = tmp_path / "project"
    (folder / "seeds").mkdir(parents=True)
    (folder / "seeds" / "limits.csv").write_text("limit_id\nA\n")
    (folder / "seeds" / "sites.csv").write_text("site_id,name_en,name_zh,time_zone\nMAIN,Main,本部,Asia/Shanghai\n")
    return folder


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Put a small database in the place of what dbt would build; return the run keys that were built."""
    keys: list[str] = []

    def build(settings: Settings, key: str, moment: str, project: Path) -> Path:
        keys.append(key)
        target = settings.warehouse / "build" / "qc.duckdb"
        target.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(target)) as db:
            db.execute("CREATE SCHEMA marts; CREATE TABLE marts.fct AS SELECT 1 AS n UNION ALL SELECT 2")
        return target

    monkeypatch.setattr(warehouse, "_dbt", build)
    return keys


def test_run_key_names_lake_project_and_moment(settings: Settings, project: Path) -> None:
    def key(moment: datetime = AS_OF) -> str:
        return run_key(settings, moment, project)

    keys = [key(), key(AS_OF.replace(hour=17))]
    (settings.lake / "events" / "x").mkdir(parents=True)
    (settings.lake / "events" / "x" / "a-1-2.parquet").touch()
    keys.append(key())
    (project / "seeds" / "limits.csv").write_text("limit_id\nB\n")
    keys.append(key())
    (project / "models.sql").write_text("select 1")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    (project / "target").mkdir()
    (project / "target" / "manifest.json").write_text("{}")
    assert key() == keys[-1]  # what dbt leaves behind is no input
    with pytest.raises(ValueError, match="no offset"):
        key(datetime(2026, 3, 10))


def candidate(settings: Settings) -> Path:
    """Return the folder that the link names."""
    return (settings.warehouse / "candidate").resolve()


def test_build_publish_and_go_back(settings: Settings, project: Path, builds: list[str]) -> None:
    with pytest.raises(BuildFailed, match="build_marts"):
        publish(settings, settings.warehouse / "releases" / "gone")
    assert not (settings.warehouse / "current").is_symlink()
    first = build_marts(settings, AS_OF, project)
    assert first.written == 2 and first.read > 0
    assert publish(settings, candidate(settings)) == first.run_key
    current = (settings.warehouse / "current").readlink()
    assert (settings.warehouse / "current" / "qc.duckdb").exists() and not current.is_absolute()

    limits = project / "seeds" / "limits.csv"
    good = limits.read_text()
    limits.write_text(good + "B\n")
    build_marts(settings, AS_OF, project)
    assert (settings.warehouse / "candidate").readlink() != current
    limits.write_text(good)  # the edit is taken back: the published release is the candidate again, without a build
    again = build_marts(settings, AS_OF, project)
    assert (again.read, again.written, len(builds)) == (0, 0, 2)
    assert (settings.warehouse / "candidate").readlink() == current


def test_the_last_releases_are_kept_and_the_published_one_always(settings: Settings, project: Path, builds: list[str]) -> None:
    build_marts(settings, AS_OF, project)
    publish(settings, candidate(settings))
    published = (settings.warehouse / "current").resolve()
    for minute in range(1, 9):
        build_marts(settings, AS_OF.replace(minute=minute), project)
    left = list((settings.warehouse / "releases").iterdir())
    assert len(left) == warehouse.KEEP + 1 and published in [p.resolve() for p in left]
    assert (settings.warehouse / "candidate").resolve() == max((p.resolve() for p in left), key=lambda p: int(p.name))


def test_one_build_at_a_time(settings: Settings, project: Path, builds: list[str]) -> None:
    with locked(settings.consumers, "build_marts"), pytest.raises(Locked):
        build_marts(settings, AS_OF, project)
    assert builds == []


def test_clear_forgets_all_releases(settings: Settings, project: Path, builds: list[str]) -> None:
    build_marts(settings, AS_OF, project)
    publish(settings, candidate(settings))
    clear(settings)
    assert not settings.warehouse.exists()
    build_marts(settings, AS_OF, project)
    assert builds[0] == builds[1]


def test_a_release_that_was_removed_by_hand_is_built_again(settings: Settings, project: Path, builds: list[str]) -> None:
    build_marts(settings, AS_OF, project)
    (settings.warehouse / "candidate" / "qc.duckdb").unlink()
    assert build_marts(settings, AS_OF, project).written == 2


def test_failures_name_tests_and_messages(tmp_path: Path) -> None:
    results = tmp_path / "run_results.json"
    rows = [
        {
            "unique_id": "test.photopeak.unique_staff_staff_id.4f",
            "status": "fail",
            "message": "Got 1 result,\n configured to fail",
        },
        {"unique_id": "model.photopeak.fct_finding", "status": "skipped", "message": None},
        {"unique_id": "model.photopeak.stg_his__order", "status": "error", "message": "Parser Error"},
    ]
    results.write_text(json.dumps({"results": rows}))
    assert list(warehouse._failures(results)) == [
        "test unique_staff_staff_id: Got 1 result, configured to fail",
        "model stg_his__order: Parser Error",
    ]


@pytest.mark.parametrize("given", [{"site_id": "EAST"}, {"time_zone": "Europe/Berlin"}])
def test_a_site_that_the_reference_data_do_not_know_is_no_empty_release(
    tmp_path: Path, project: Path, builds: list[str], given: dict[str, object]
) -> None:
    with pytest.raises(BuildFailed, match=r"sites\.csv"):
        build_marts(load(home=tmp_path / "var", **given), AS_OF, project)
    assert builds == []

"""Two clocks: the moment of a release, which the demo pins while it runs, and the present, by which people live."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.account import Account
from connectors.settings import Settings, load
from connectors.stores.lake.lock import Locked, locked
from dashboards import clock
from messages import because
from photopeak import demo, jobs, rebuild
from warehouse import releases as warehouse


def publish(settings: Settings, as_of: str) -> None:
    release = settings.warehouse / "releases" / "1"
    release.mkdir(parents=True)
    (release / "qc.duckdb").touch()
    (release / "release.json").write_text(json.dumps({"as_of_utc": as_of}))
    (settings.warehouse / "current").symlink_to(Path("releases") / "1")


def test_the_pin_stands_while_the_demo_runs_and_a_second_run_finds_the_same(tmp_path: Path) -> None:
    (tmp_path / "photopeak.env").write_text("PHOTOPEAK_TIME_ZONE=America/Bogota\n")
    pinned = demo.pin(load(home=tmp_path))
    assert load(home=tmp_path).as_of_utc == pinned.as_of_utc == pinned.as_of()
    local = pinned.as_of() - timedelta(hours=5)
    assert (local.hour, local.minute, local.second) == (0, 0, 0) and timedelta() <= pinned.now() - pinned.as_of() < timedelta(
        days=1
    )
    assert demo.pin(load(home=tmp_path)).as_of_utc == pinned.as_of_utc, "interrupted: the same command goes on"
    demo.unpin(pinned)
    free = load(home=tmp_path)
    assert free.as_of_utc is None and free.time_zone == "America/Bogota", "the other lines stay"
    assert abs(free.as_of() - datetime.now(UTC)) < timedelta(minutes=1)
    kept = tmp_path / "demo" / "clock.json"
    kept.write_text(json.dumps({"as_of_utc": "2026-03-30T05:00:00Z"}))  # it ran first long ago
    assert demo.pin(load(home=tmp_path)).as_of() == datetime(2026, 3, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "lines", ["", "PHOTOPEAK_TIME_ZONE=America/Bogota\n", "# ours\n\nPHOTOPEAK_TIME_ZONE='Europe/Berlin'\nPHOTOPEAK_HOST=h\n"]
)
def test_the_dashboards_read_the_pin_as_the_platform_does(tmp_path: Path, lines: str) -> None:
    words = {"en": "{moment} ({zone})", "zh": "{moment}（{zone}）"}
    (tmp_path / "photopeak.env").write_text(lines)
    assert (
        clock.pinned(tmp_path, {}) == (None, load(home=tmp_path).zone)
        and clock.sentence(words, "en", *clock.pinned(tmp_path, {})) is None
    )
    settings = demo.pin(load(home=tmp_path))
    assert clock.pinned(tmp_path, {}) == (settings.as_of_utc, settings.zone)
    assert "00:00" in (clock.sentence(words, "zh", *clock.pinned(tmp_path, {})) or "")
    demo.unpin(settings)
    assert clock.pinned(tmp_path, {})[0] is None


def test_the_present_is_never_pinned(tmp_path: Path) -> None:
    settings = load(home=tmp_path, as_of_utc=datetime(2020, 1, 1, tzinfo=UTC))
    assert settings.as_of().year == 2020 and settings.now().year > 2024


@pytest.mark.parametrize("published, built", [("2026-04-02T03:04:05Z", True), ("2026-03-30T16:00:00Z", False), (None, False)])
def test_a_second_run_builds_the_release_that_only_the_clock_has_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: str | None, built: bool
) -> None:
    settings = load(home=tmp_path, as_of_utc="2026-03-30T16:00:00Z")
    if published:
        publish(settings, published)
    ran: list[str] = []
    monkeypatch.setattr(jobs, "run", lambda _s, name, _r: ran.append(name))
    demo._release_of_the_pin(settings, {"events": 3, because(demo.RELEASE): 1})
    assert ran == [], "something else is on its way: Airflow will be woken by it"
    demo._release_of_the_pin(settings, {"events": 0, because(demo.RELEASE): 1})
    assert ran == (["build_marts", "attest_quality"] if built else [])


def test_a_rebuild_is_as_of_the_published_moment_also_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, asked = load(home=tmp_path), list[tuple[str, Any]]()
    publish(settings, "2026-04-02T03:04:05.678Z")
    (settings.reports / "runs").mkdir(parents=True)
    monkeypatch.setattr("spark_jobs.jobs.analyse.require_spark", lambda _settings: "")

    def run(_settings: Settings, name: str, request: jobs.Request) -> Any:
        asked.append((name, request.end))
        if name == "analyse_images" and len(asked) < 6:
            raise RuntimeError("interrupted")
        if name in jobs.RELEASING:
            with pytest.raises(Locked):
                jobs.run(settings, name, jobs.Request())  # what Airflow asks for
        return Account(name), 99

    monkeypatch.setattr(rebuild, "run", run)
    with pytest.raises(RuntimeError, match="interrupted"):
        rebuild.rebuild(settings)
    assert warehouse.published_as_of(settings) is None
    rebuild.rebuild(settings)
    assert [end for name, end in asked if name == "build_marts"] == ["2026-04-02T03:04:05.678000Z"]
    assert {end for name, end in asked if name != "build_marts"} == {None}
    assert not (tmp_path / rebuild.MOMENT).exists()


def test_no_release_is_built_while_a_rebuild_fills_the_lake(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    with locked(settings.consumers, "rebuild"):
        for name in jobs.RELEASING:
            with pytest.raises(Locked):
                jobs.run(settings, name, jobs.Request())

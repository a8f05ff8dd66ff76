"""Superset itself, started once on a spare port: what a manager sees, may and may not do, in a real browser and over its API."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
import marts_fixture as marts
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-superset" / "bin" / "python"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-superset: `make test` builds it"),
    pytest.mark.skipif(not CHROMIUM, reason="no Debian chromium"),
    pytest.mark.timeout(600),
]


@dataclass
class Superset:
    """A running server over the sample marts."""

    url: str
    home: Path
    environment: dict[str, str]

    def password(self, user: str) -> str:
        return (self.home / "secrets" / "passwords" / f"superset-{user}").read_text().strip()

    def bootstrap(self) -> subprocess.CompletedProcess[str]:
        command = [str(PYTHON), str(ROOT / "dashboards" / "bootstrap.py")]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=400)

    @contextmanager
    def client(self, user: str) -> Iterator[httpx.Client]:
        body = {"username": user, "password": self.password(user), "provider": "db", "refresh": False}
        with httpx.Client(base_url=self.url, timeout=60) as client:
            token = client.post("/api/v1/security/login", json=body).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            client.headers["X-CSRFToken"] = client.get("/api/v1/security/csrf_token/").raise_for_status().json()["result"]
            client.headers["Referer"] = self.url
            yield client


@pytest.fixture(scope="module")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    home = tmp_path_factory.mktemp("with a space")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PHOTOPEAK_", "SUPERSET_"))},
        "PHOTOPEAK_HOME": str(home),
        "SUPERSET_HOME": str(home / "superset"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SUPERSET_CONFIG_PATH": str(ROOT / "dashboards" / "superset_config.py"),
    }
    server = Superset(f"http://127.0.0.1:{port}", home, environment)
    first = server.bootstrap()  # before there is any warehouse, as in a first start
    assert first.returncode == 0, first.stderr[-2000:]
    marts.make_warehouse(home)
    command = [str(PYTHON), "-m", "gunicorn", "-w", "1", "-k", "gthread", "--threads", "8", "--timeout", "120"]
    with (home / "superset.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "-b", f"127.0.0.1:{port}", "superset.app:create_app()"], env=environment, stdout=log, stderr=log, cwd=home
        )
    try:
        until = time.monotonic() + 180
        while True:
            assert process.poll() is None and time.monotonic() < until, (home / "superset.log").read_text()[-3000:]
            try:
                if httpx.get(f"{server.url}/login/", timeout=10).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _dataset_id(client: httpx.Client, table: str) -> int:
    query = {"q": json.dumps({"filters": [{"col": "table_name", "opr": "eq", "value": f"{table}_en"}]})}
    return client.get("/api/v1/dataset/", params=query).raise_for_status().json()["result"][0]["id"]


def _count(client: httpx.Client, dataset: int, filters: list[dict[str, Any]] | None = None) -> int:
    query = {"columns": [], "metrics": ["count"], "filters": filters or [], "row_limit": 10}
    body = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_format": "json", "result_type": "full"}
    data = client.post("/api/v1/chart/data", json=body).raise_for_status().json()["result"][0]["data"]
    return data[0]["count"] if data else 0


def _cached(client: httpx.Client, dataset: int) -> bool:
    """Return whether the count of a dataset comes from the cache; afterwards it does."""
    query = {"columns": [], "metrics": ["count"], "filters": [], "row_limit": 10}
    body = {"datasource": {"id": dataset, "type": "table"}, "queries": [query], "result_format": "json", "result_type": "full"}
    return bool(client.post("/api/v1/chart/data", json=body).raise_for_status().json()["result"][0]["is_cached"])


def test_a_second_bootstrap_returns_at_once(superset: Superset) -> None:
    began = time.monotonic()
    second = superset.bootstrap()
    assert second.returncode == 0 and "nothing changed" in second.stdout
    assert time.monotonic() - began < 10


def test_secrets_are_random_and_private(superset: Superset) -> None:
    files = [
        superset.home / "secrets" / "superset_secret_key",
        *(superset.home / "secrets" / "passwords" / f"superset-{u}" for u in ("admin", "manager")),
    ]
    assert all(f.stat().st_mode & 0o077 == 0 for f in files)
    assert len({f.read_text() for f in files}) == 3 and all(len(f.read_text()) >= 16 for f in files)
    for password in ("admin", "manager", ""):
        body = {"username": "admin", "password": password, "provider": "db"}
        assert httpx.post(f"{superset.url}/api/v1/security/login", json=body).status_code in (400, 401)


@pytest.mark.req("TERM-10")
def test_a_manager_reads_pages_and_changes_nothing(superset: Superset) -> None:
    with superset.client("manager") as manager, superset.client("admin") as admin:
        pages = manager.get("/api/v1/dashboard/").raise_for_status().json()["result"]
        assert {p["slug"] for p in pages} == {
            f"{name}{suffix}" for name in ("audit-overview", "devices-and-phantoms", "environment") for suffix in ("", "-zh")
        }
        page, chart = pages[0]["id"], manager.get("/api/v1/chart/").raise_for_status().json()["result"][0]["id"]
        dataset = _dataset_id(admin, "fct_finding")
        refused = [
            manager.put(f"/api/v1/dashboard/{page}", json={"dashboard_title": "mine"}),
            manager.delete(f"/api/v1/dashboard/{page}"),
            manager.post("/api/v1/dashboard/", json={"dashboard_title": "mine"}),
            manager.put(f"/api/v1/chart/{chart}", json={"slice_name": "mine"}),
            manager.delete(f"/api/v1/chart/{chart}"),
            manager.put(f"/api/v1/dataset/{dataset}", json={"description": "mine"}),
            manager.post("/api/v1/sqllab/execute/", json={"database_id": 1, "sql": "select 1"}),
            manager.get("/api/v1/database/"),
            manager.get("/api/v1/query/"),
            manager.get("/api/v1/security/users/"),
            manager.post("/api/v1/dataset/", json={"database": 1, "schema": "marts", "table_name": "dim_staff"}),
        ]
        assert [r.status_code for r in refused if r.status_code not in (401, 403, 404)] == [], [
            (r.request.url.path, r.status_code) for r in refused
        ]
        assert admin.get(f"/api/v1/dashboard/{page}").json()["result"]["dashboard_title"] == pages[0]["dashboard_title"]


@pytest.mark.req("TERM-10")
def test_rows_of_another_site_stay_hidden(superset: Superset) -> None:
    with superset.client("manager") as manager, superset.client("admin") as admin:
        dataset = _dataset_id(admin, "fct_finding")
        assert _count(admin, dataset) == 10 and _count(manager, dataset) == 9
        elsewhere = [{"col": "site_id", "op": "==", "val": "ELSEWHERE"}]
        assert _count(admin, dataset, elsewhere) == 1 and _count(manager, dataset, elsewhere) == 0


def test_every_metric_answers_with_what_sql_says(superset: Superset) -> None:
    from dashboards.compose import compose

    composed = {path: yaml.safe_load(text) for path, text in compose().items() if path.endswith(".en.yaml")}
    with (
        superset.client("admin") as admin,
        duckdb.connect(str(superset.home / "warehouse/current/qc.duckdb"), read_only=True) as db,
    ):
        for path, dataset in composed.items():
            if not path.startswith("datasets/"):
                continue
            table = dataset["table_name"].removesuffix("_en")
            expressions = {m["metric_name"]: m["expression"] for m in dataset["metrics"]}
            body = {
                "datasource": {"id": _dataset_id(admin, table), "type": "table"},
                "queries": [{"columns": [], "metrics": list(expressions), "row_limit": 1}],
            }
            shown = admin.post("/api/v1/chart/data", json=body).raise_for_status().json()["result"][0]["data"][0]
            row = db.execute(f"select {', '.join(expressions.values())} from ({dataset['sql']}) as v").fetchone()
            rows = db.execute(f"select count(*) = (select count(*) from marts.{table}) from ({dataset['sql']}) as v").fetchone()
            assert row is not None and rows == (True,), f"{table}: a register doubles its rows"
            for name, value in zip(expressions, row, strict=True):
                assert shown[name] == pytest.approx(value), f"{table}.{name}"


def test_a_manager_takes_a_chart_away_as_csv(superset: Superset) -> None:
    with superset.client("manager") as manager, superset.client("admin") as admin:
        query = {"columns": ["device", "state_word"], "metrics": ["count"], "row_limit": 10}
        source = {"id": _dataset_id(admin, "mart_device_day"), "type": "table"}
        body = {"datasource": source, "queries": [query], "result_format": "csv", "result_type": "full"}
        answer = manager.post("/api/v1/chart/data", json=body).raise_for_status()
        assert "text/csv" in answer.headers["content-type"] and "Gamma camera 1,fit for use" in answer.text


def test_device_and_month_filter_what_is_seen_over_time(superset: Superset) -> None:
    moments = {
        "mart_trend_point": "measured_at_utc",
        "mart_drift": "flagged_at_utc",
        "mart_device_health": "day",
        "mart_phantom_due": "next_due_day",
        "mart_peer_position": "measured_at_utc",
    }
    with (
        superset.client("manager") as manager,
        superset.client("admin") as admin,
        duckdb.connect(str(superset.home / "warehouse/current/qc.duckdb"), read_only=True) as db,
    ):
        for table, moment in moments.items():
            device = "PETCT1" if table == "mart_peer_position" else "GC1"
            filters = [
                {"col": "device", "op": "IN", "val": [{"GC1": "Gamma camera 1", "PETCT1": "PET/CT 1"}[device]]},
                {"col": moment, "op": "TEMPORAL_RANGE", "val": "2026-03-01 : 2026-04-01"},
            ]
            column = "subject_id" if table in ("mart_trend_point", "mart_drift") else "device_id"
            where = f"{column} = '{device}' and {moment} >= '2026-03-01' and {moment} < '2026-04-01'"
            row = db.execute(f"select count(*), (select count(*) from marts.{table}) from marts.{table} where {where}").fetchone()
            assert row and 0 < row[0] < row[1], table
            assert _count(manager, _dataset_id(admin, table), filters) == row[0], table


def test_a_new_release_is_seen_at_once_and_an_old_answer_never_again(superset: Superset) -> None:
    with superset.client("manager") as manager, superset.client("admin") as admin:
        dataset = _dataset_id(admin, "fct_finding")
        assert _count(manager, dataset) == 9 and _cached(manager, dataset)
        marts.make_warehouse(superset.home, "2", extra_findings=3)
        try:
            assert _count(manager, dataset) == 12
        finally:
            draft = superset.home / "warehouse" / ".current"
            draft.symlink_to(Path("releases") / "1")
            draft.replace(superset.home / "warehouse" / "current")
        assert _count(manager, dataset) == 9


def test_an_answer_is_given_again_until_rights_or_release_change(superset: Superset) -> None:
    def change(statement: str) -> None:
        with sqlite3.connect(superset.home / "superset" / "superset.db", timeout=30) as db:
            db.execute(statement)

    with superset.client("admin") as admin:
        dataset = _dataset_id(admin, "fct_finding")
        roles = {r["name"]: r["id"] for r in admin.get("/api/v1/security/roles/").raise_for_status().json()["result"]}
    query = {"columns": [], "metrics": ["count"], "filters": [], "row_limit": 11}
    body: dict[str, Any] = {
        "datasource": {"id": dataset, "type": "table"},
        "queries": [query],
        "result_format": "json",
        "result_type": "full",
    }
    with httpx.Client(base_url=superset.url, timeout=60, follow_redirects=True) as reader:
        form = reader.get("/login/").text
        token = re.search(r'id="csrf_token"[^>]*value="([^"]+)"|csrf_token&#34;: &#34;([^&]+)', form)
        assert token
        login = {"username": "manager", "password": superset.password("manager"), "csrf_token": token[1] or token[2]}
        assert "/superset/dashboard/" in str(reader.post("/login/", data=login, headers={"Referer": superset.url}).url)

        def ask(**more: Any) -> tuple[bool, int]:
            answer = reader.post("/api/v1/chart/data", json={**body, **more}).raise_for_status()
            rows = answer.json()["result"][0]["data"]
            return answer.headers.get("X-Answer") == "kept", rows[0]["count"] if rows else 0

        assert [ask() for _ in range(3)] == [(False, 9), (False, 9), (True, 9)], "the second one comes from Superset's own cache"
        assert ask(force=True) == (False, 9)
        mine = f"(SELECT id FROM ab_user WHERE username = 'manager') AND role_id = {roles['Site MAIN']}"
        change(f"UPDATE ab_user_role SET role_id = {roles['Public']} WHERE user_id = {mine}")
        try:
            assert ask() == (False, 0), "who has no site sees no row, whatever was answered before"
        finally:
            change(
                f"UPDATE ab_user_role SET role_id = {roles['Site MAIN']} WHERE user_id = {mine.split(' AND')[0]} AND role_id = {roles['Public']}"
            )
        assert ask() == (True, 9)
        marts.make_warehouse(superset.home, "4", extra_findings=2)
        try:
            assert ask() == (False, 11)
        finally:
            draft = superset.home / "warehouse" / ".current"
            draft.symlink_to(Path("releases") / "1")
            draft.replace(superset.home / "warehouse" / "current")


def test_what_readers_asked_is_answered_before_they_ask_again(superset: Superset) -> None:
    account = superset.home / "superset" / "warmed.json"
    with superset.client("manager") as manager, superset.client("admin") as admin:
        dataset = _dataset_id(admin, "mart_device_day")
        before = _count(manager, dataset)
        release = marts.make_warehouse(superset.home, "3")
        try:
            until = time.monotonic() + 240
            while not (account.exists() and str(release.parent) in json.loads(account.read_text())["release"]):
                assert time.monotonic() < until, "nothing was asked of the new release"
                time.sleep(0.5)
            assert json.loads(account.read_text())["failed"] == 0
            assert _cached(manager, dataset) and _count(manager, dataset) == before
        finally:
            draft = superset.home / "warehouse" / ".current"
            draft.symlink_to(Path("releases") / "1")
            draft.replace(superset.home / "warehouse" / "current")


def test_sync_removes_what_the_bundle_dropped_and_nothing_of_people(superset: Superset) -> None:
    stamp = superset.home / "superset" / "bootstrap.json"
    with superset.client("admin") as admin:
        dropped, own = (
            admin.post("/api/v1/dashboard/", json={"dashboard_title": title}).raise_for_status().json()["id"]
            for title in ("dropped", "own")
        )
        uuid = admin.get(f"/api/v1/dashboard/{dropped}").json()["result"]["uuid"]
        said = json.loads(stamp.read_text())
        stamp.write_text(json.dumps({**said, "uuids": [*said["uuids"], uuid]}))  # as if an earlier bundle had brought it
        done = superset.bootstrap()
        assert done.returncode == 0, done.stderr[-2000:]
        assert "6 dashboards" in done.stdout
        assert admin.get(f"/api/v1/dashboard/{dropped}").status_code == 404
        assert admin.get(f"/api/v1/dashboard/{own}").status_code == 200
        admin.delete(f"/api/v1/dashboard/{own}").raise_for_status()
    assert json.loads(stamp.read_text()) == said


@pytest.mark.req("SYS-19")
def test_a_manager_in_a_browser(superset: Superset) -> None:
    from dashboards import screenshots as pages

    assert CHROMIUM
    with pages.browser_page(CHROMIUM) as page:
        answered: list[str] = []
        blocked: dict[str, str | None] = {}
        page.on("response", lambda response: answered.append(response.url))
        page.on("requestfailed", lambda request: blocked.update({request.url: request.failure}))
        pages.login(page, superset.url, "manager", superset.password("manager"))
        assert page.url.startswith(f"{superset.url}/superset/dashboard/audit-overview/"), "one lands on the overview"
        for slug, charts in (("audit-overview", 17), ("devices-and-phantoms", 18), ("environment", 7)):
            state = pages.open_dashboard(page, superset.url, slug)
            assert pages.trouble(state) == [] and state["empty"] == []
            assert state["charts"] == charts
            assert not page.query_selector('[data-test="edit-dashboard-button"]'), "a manager may not edit"
            assert not re.search("[\u4e00-\u9fff]", page.inner_text(".dashboard").replace("中文", "")), "English alone"
        assert "SQL" not in page.inner_text("nav, .main-nav, header, #app-menu")
        own = (superset.url, "data:", "blob:")
        assert answered and all(u.startswith(own) for u in answered)
        # Superset's build asks for a telemetry pixel; the content policy stops it in the browser, before any network
        assert {why for u, why in blocked.items() if not u.startswith(own)} <= {"csp"}

        pages.open_dashboard(page, superset.url, "audit-overview")
        worst = page.inner_text('[data-test-chart-name="What is wrong, worst first"] tbody tr >> nth=0')
        assert "failure" in worst and "Gamma camera 1" in worst, "the worst finding comes first"
        link = page.get_attribute('a:text-is("open")', "href") or ""
        assert link.startswith("http://127.0.0.1:8090/evidence/") and link.endswith(".html?lang=en")
        assert page.inner_text(".header-line >> nth=0").strip() == str(marts.FAILING)
        page.click('[data-test="filter-bar"] .ant-select >> nth=1')
        page.click('.ant-select-item-option[title="PET/CT 1"], .ant-select-item-option:has-text("PET/CT 1")')
        page.keyboard.press("Escape")
        page.click('[data-test="filter-bar__apply-button"]')
        page.wait_for_selector('.header-line:text-is("2")', timeout=30_000)

        # while a demo pins the clock every page says so, also one that was open before
        settings = superset.home / "photopeak.env"
        settings.write_text("PHOTOPEAK_AS_OF_UTC=2026-03-10T16:00:00Z\n")
        page.wait_for_selector("#photopeak-clock:has-text('2026-03-11 00:00')", timeout=45_000)
        assert not re.search("[\u4e00-\u9fff]", page.inner_text("#photopeak-clock"))
        settings.unlink()
        page.wait_for_selector("#photopeak-clock", state="hidden", timeout=45_000)

        # a period on the clock of the site: the tile follows, the line "as of" does not vanish
        name, period = "NATIVE_FILTER-audit-overview-period", "'2026-03-09 : 2026-03-11'"
        query = (
            f"?native_filters=({name}:(extraFormData:(time_range:{period}),filterState:(value:{period}),id:{name},ownState:()))"
        )
        state = pages.open_dashboard(page, superset.url, "audit-overview", query)
        assert pages.trouble(state) == []
        assert page.inner_text(".header-line >> nth=0").strip() == "1"
        assert "2026-03-11 00:00" in page.inner_text('[data-test="dashboard-component-chart-holder"] >> nth=1')


def test_a_chinese_manager_sees_chinese_alone_and_a_phone_no_drawing(superset: Superset) -> None:
    from playwright.sync_api import sync_playwright

    from dashboards import screenshots as pages

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        try:
            page = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN").new_page()
            pages.login(page, superset.url, "manager", superset.password("manager"))
            assert "/superset/dashboard/audit-overview-zh/" in page.url
            state = pages.open_dashboard(page, superset.url, "audit-overview")  # a link of the other language leads to the twin
            assert "/superset/dashboard/audit-overview-zh/" in page.url and pages.trouble(state) == []
            table = page.locator('[data-test-chart-name="问题清单（按严重程度）"]')
            assert "1 号伽玛照相机" in table.inner_text() and "不合格" in table.inner_text()
            assert page.locator(".dashboard canvas:visible").count() == 0
            tiles = page.locator('.dashboard [data-test="chart-grid-component"]:visible')
            assert tiles.count() > 5
            assert all((tiles.nth(n).bounding_box() or {"width": 0})["width"] > 300 for n in range(tiles.count()))
        finally:
            browser.close()

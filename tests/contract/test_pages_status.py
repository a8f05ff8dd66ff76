"""The landing page, in a test client and in a real browser."""

import json
import re
import sqlite3
from pathlib import Path

import pytest
import sample_warehouse as sample
from fastapi.testclient import TestClient
from local_server import browser, serving

from connectors.settings import Settings, load
from terminals import status, words
from terminals.services import cached

HAN = re.compile("[一-鿿]")
SERVICES = [
    {"service": "dicom", "state": "up", "pid": 1, "url": "dicom://PHOTOPEAK@127.0.0.1:11112", "reason": None},
    {"service": "airflow-processor", "state": "failed", "pid": None, "url": None, "reason": "dags/broken.py: ImportError"},
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(home=tmp_path / "home")


@pytest.fixture
def published(settings: Settings) -> Settings:
    sample.make_release(settings.warehouse, "r1")
    sample.publish(settings.warehouse)
    return settings


def client(settings: Settings) -> TestClient:
    return TestClient(status.create_app(settings, lambda: SERVICES))


def test_before_the_first_release_the_page_says_so_and_shows_the_services(settings: Settings) -> None:
    answer = client(settings).get("/")
    assert answer.status_code == 200 and "No data published yet" in answer.text and "dags/broken.py" in answer.text


@pytest.mark.req("SYS-10", "AUD-16")
def test_ten_seconds_what_is_wrong_and_as_of_when(published: Settings) -> None:
    page = client(published).get("/").text
    assert "5 findings need action" in page and "2026-03-11 00:00" in page and "UTC+8" in page
    assert page.index("Phantom measure outside its limit") < page.index("Administered activity outside tolerance")
    assert f"http://testserver:{published.reports_port}/pictures/{sample.KEY['GC1']}.png" in page
    assert "Not fit for use" in page and "Not confirmed" in page and "Fit for use" in page
    assert "<b>not markup</b>" not in page and "&lt;b&gt;not markup" in page
    for port in (published.superset_port, published.reports_port, published.airflow_port):
        assert f"http://testserver:{port}/" in page
    assert "Message sent twice" not in page, "what is only informative is no clue to act on"


def test_a_new_release_shows_at_once(published: Settings) -> None:
    asked = client(published)
    assert "5 findings" in asked.get("/").text
    sample.make_release(published.warehouse, "r2", faults=False)
    assert "5 findings" in asked.get("/").text, "a candidate is nobody's business"
    sample.publish(published.warehouse)
    assert "Nothing is wrong" in asked.get("/").text


def test_a_release_that_cannot_be_read_still_leaves_the_services(published: Settings) -> None:
    (published.warehouse / "current" / "qc.duckdb").write_bytes(b"no database")
    page = client(published).get("/")
    assert page.status_code == 200 and "No data published yet" in page.text and "dags/broken.py" in page.text


def test_intake_ahead_of_the_release_is_counted(published: Settings) -> None:
    published.journals.mkdir()
    with sqlite3.connect(published.journals / "dicom.db") as db:
        db.execute("create table event (offset integer primary key)")
        db.executemany("insert into event values (?)", [(i,) for i in range(1, 10)])
    page = client(published).get("/").text
    assert re.search(r'Images \(DICOM\)</td><td class="number">9</td><td class="number">3</td>', page)


@pytest.mark.parametrize(
    ("query", "accept", "language"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "en-GB,zh;q=0.5", "en"),
        ("", "de,fr", "en"),
        ("?lang=zh", "en", "zh"),
        ("?lang=en", "zh", "en"),
        ("?lang=xx", "zh;q=nonsense,zh-TW;q=0.3", "zh"),
    ],
)
def test_the_reader_gets_one_of_two_languages(published: Settings, query: str, accept: str, language: str) -> None:
    page = client(published).get(f"/{query}", headers={"accept-language": accept}).text
    assert f'<html lang="{language}">' in page
    shown = re.sub(r"<nav.*?</nav>", "", page, flags=re.S)
    assert bool(HAN.search(shown)) == (language == "zh")


def test_no_word_of_the_pages_lacks_a_translation() -> None:
    texts = words.texts()
    assert set(texts["en"]) == set(texts["zh"])
    same = {k for k, v in texts["zh"].items() if not HAN.search(v)}
    assert not same and not any(HAN.search(v) for v in texts["en"].values())
    template = (words.HERE / "templates" / "status.html").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bt\.([a-z_]+)", template))
    assert "top_findings" in asked and asked <= set(texts["en"])


def test_services_are_asked_once_for_many_lookers() -> None:
    asked = []
    answer = cached(lambda: [{"service": str(asked.append(1))}], seconds=60)
    assert [answer() for _ in range(5)] == [[{"service": "None"}]] * 5 and len(asked) == 1


@pytest.mark.parametrize(("width", "language"), [(1280, "en"), (360, "zh")])
def test_a_browser_stays_on_this_machine_and_the_page_fits(published: Settings, width: int, language: str) -> None:
    app = status.create_app(published, lambda: SERVICES)
    with serving(app) as address, browser() as (context, outside, complaints):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{address}/?lang={language}")
        page.wait_for_load_state("networkidle")
        assert page.locator(".findings li").count() == 10  # the ten gravest, of more
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off at the side"
        sample.make_release(published.warehouse, "r2", faults=False)
        sample.publish(published.warehouse)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_selector(".lead.good", timeout=10_000)
    assert (outside, complaints) == ([], [])


def test_health_reads_nothing(settings: Settings) -> None:
    def never() -> list:
        raise AssertionError("health must stay cheap")

    answer = TestClient(status.create_app(settings, never)).get("/health")
    assert json.loads(answer.text) == {"service": "status"} and "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.req("ANA-06")
def test_a_worklist_that_is_held_is_shown_with_its_reason_in_both_languages(settings: Settings) -> None:
    assert 'id="worklists"' not in client(settings).get("/").text
    base = {"state": "fit", "reason": "", "policy_id": None, "policy_version": None, "approver": None, "override_id": None}
    why = "planar_uniformity failed (ufov_iu_percent: 9.1 % is outside ≤ 5 %)"
    bad = {**base, "state": "not_fit", "reason": why, "policy_id": "HOLD-NOT-FIT", "policy_version": 1, "approver": "P. Hysicist"}
    lifted = {
        "override_id": "o1",
        "overridden_by": "P01",
        "override_reason": "<emergency>",
        "override_until_utc": "2026-04-01T02:00:00Z",
    }
    devices = {
        "GC1": {**bad, "device_id": "GC1", "action": "held"}, "PETCT1": {**base, "device_id": "PETCT1", "action": "offered"},
        "SPCT1": {**bad, **lifted, "device_id": "SPCT1", "action": "offered"},
    }  # fmt: skip
    settings.worklist.mkdir(parents=True)
    (settings.worklist / "holds.json").write_text(
        json.dumps({"devices": devices, "refused": {"NOBODY": 2, "X": 1}}), encoding="utf-8"
    )
    page = client(settings).get("/").text
    held, offered, lifted_tile = (page.split(f'id="worklist-{d}"')[1].split("</article>")[0] for d in ("GC1", "PETCT1", "SPCT1"))
    assert "Worklist held · Not fit for use" in held and why in held and "HOLD-NOT-FIT 1 · P. Hysicist" in held
    assert "Worklist offered" in offered and "held" not in offered
    assert "Offered by P01 until 2026-04-01 10:00:" in lifted_tile and "&lt;emergency&gt;" in lifted_tile
    assert page.index("worklist-GC1") < page.index("worklist-PETCT1") and "3 questions of stations" in page
    chinese = client(settings).get("/?lang=zh").text
    assert "工作列表已暂停 · 不可使用" in chinese and "不合格" in chinese and "1 号伽玛照相机" in chinese
    (settings.worklist / "holds.json").write_text("{")
    assert client(settings).get("/").status_code == 200

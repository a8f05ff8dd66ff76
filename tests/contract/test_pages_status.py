"""The landing page, in a test client and in a real browser."""

import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import sample_warehouse as sample
from fastapi.testclient import TestClient
from local_server import browser, serving

from connectors.settings import Settings, load
from judgement import reference
from judgement.rows import Rule
from messages import because, fields
from terminals import overview, priorities, reports, status, words
from terminals.services import cached

HAN = re.compile("[一-鿿]")
SERVICES = [
    {"service": "dicom", "state": "up", "pid": 1, "url": "dicom://PHOTOPEAK@127.0.0.1:11112", "reason": None},
    {"service": "airflow-processor", "state": "failed", "pid": None, "url": None, "reason": "dags/broken.py: ImportError"},
]
WELL = [{**s, "state": "up", "reason": None} for s in SERVICES]


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
    assert "5 findings need action" in page and "2026-03-11 00:00" in page and "UTC+08:00" in page
    assert page.index("Phantom measure outside its limit") < page.index("Administered activity outside tolerance")
    assert f"http://testserver:{published.reports_port}/pictures/{sample.KEY['GC1']}.png" in page
    assert "Not fit for use" in page and "Not confirmed" in page and "Fit for use" in page
    assert "<b>not markup</b>" not in page and "&lt;b&gt;not markup" in page
    for port in (published.superset_port, published.reports_port, published.airflow_port):
        assert f"http://testserver:{port}/" in page
    assert "Message sent twice" not in page, "what is only informative is no clue to act on"


def test_a_new_release_shows_at_once(published: Settings) -> None:
    asked = TestClient(status.create_app(published, lambda: WELL))
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
    app = status.create_app(published, lambda: WELL)
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
    outside = because("verdict.outside", value=9.1, unit="%", limit="≤ 5 %")
    measured = because("measure.reason", measure="ufov_iu_percent", reason=outside)
    why = because("test.failed", procedure="planar_uniformity", reason=measured)
    bad = {**base, "state": "not_fit", **fields(why), "policy_id": "HOLD-NOT-FIT", "policy_version": 1, "approver": "P. Hysicist"}
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
        json.dumps(
            {
                "devices": devices,
                "refused": {"NOBODY": 2, "X": 1},
                "not_offered_count": 1,
                "not_offered": [
                    {
                        "accession_number": "NM<01>",
                        "reason": "too long",
                        "reason_code": "intake.accession_too_long",
                        "reason_args": {},
                    }
                ],
            }
        ),
        encoding="utf-8",
    )
    page = client(settings).get("/").text
    held, offered, lifted_tile = (page.split(f'id="worklist-{d}"')[1].split("</article>")[0] for d in ("GC1", "PETCT1", "SPCT1"))
    assert "Worklist held · Not fit for use" in held and why in held and "HOLD-NOT-FIT 1 · P. Hysicist" in held
    assert "Worklist offered" in offered and "held" not in offered
    assert "Offered by Physicist 1 until 2026-04-01 10:00:" in lifted_tile and "&lt;emergency&gt;" in lifted_tile
    assert page.index("worklist-GC1") < page.index("worklist-PETCT1") and "3 questions of stations" in page
    assert (
        "1 orders can be offered to no scanner" in page
        and "NM&lt;01&gt;: the accession number is longer than 16 characters" in page
    )
    assert "Until it is fit again, or until a named person answers for it." in held and "Until" not in offered
    day = f"{datetime.now(UTC) + timedelta(hours=8):%Y-%m-%d}"
    tests = [
        {"procedure": p, "state": s, "reason": "", "code": ""}
        for p, s in (("ct_water", "not_confirmed"), ("planar_uniformity", "not_fit"))
    ]
    states = {
        "version": 1,
        "site_id": "MAIN",
        "day": day,
        "devices": {"GC1": {"state": "not_fit", "reason": why, "tests": tests}},
    }
    (settings.worklist / "states.json").write_text(json.dumps(states), encoding="utf-8")
    asked = client(settings)
    held = asked.get("/").text.split('id="worklist-GC1"')[1].split("</article>")[0]
    assert "Until passed: Planar uniformity; or until a named person answers for it." in held
    (settings.worklist / "states.json").write_text(json.dumps({**states, "day": "2026-03-01"}), encoding="utf-8")
    assert "Until it is fit again" in asked.get("/").text, "states of another day tell nothing of today"
    chinese = asked.get("/?lang=zh").text
    assert "NM&lt;01&gt;: 检查号超过 16 个字符" in chinese
    assert "由 物理师 1 批准提供" in chinese
    assert "工作列表已暂停 · 不可使用" in chinese and "不合格" in chinese and "1 号伽玛照相机" in chinese
    (settings.worklist / "holds.json").write_text("{")
    assert client(settings).get("/").status_code == 200


def lead(page: str) -> str:
    return page.split('<section class="lead')[1].split("</section>")[0]


def test_devices_stand_first_then_all_findings_by_whom_they_may_harm(published: Settings) -> None:
    page = client(published).get("/").text
    places = [
        page.index(p) for p in ('class="lead', 'id="devices"', 'id="findings"', 'id="tests"', 'class="doors"', 'class="services"')
    ]
    assert places == sorted(places)
    order = [page.index(f'id="{c}"') for c in ("patient", "image", "staff", "records") if f'id="{c}"' in page]
    assert order == sorted(order) and len(order) == 4
    with duckdb.connect(str((published.warehouse / "current" / "qc.duckdb").resolve()), read_only=True) as db:
        ranks = [r for (r,) in db.execute("SELECT rank FROM marts.fct_finding WHERE severity <> 'info'").fetchall()]
    assert sorted(map(int, re.findall(r'id="finding-(\d+)"', page))) == sorted(ranks), "each once"
    tile = page.split('id="device-GC1"')[1].split("</article>")[0]
    assert "Not fit for use" in tile and "Phantom measure outside its limit" in tile and 'href="#finding-' in tile


def test_what_no_row_names_is_a_matter_of_records_and_devices_are_kept_together() -> None:
    def finding(rank: int, rule: str, device: str | None) -> dict:
        return {"rank": rank, "rule_id": rule, "device_id": device, "room_id": None}

    found = [finding(n, "NEW_RULE" if n % 2 else "PHANTOM_LIMIT", f"D{n % 3}") for n in range(1, 31)] + [
        finding(31, "DOSE_RANGE", None)
    ]
    groups = priorities.grouped(found, {"PHANTOM_LIMIT": "image", "DOSE_RANGE": "patient"})
    assert [(g["consequence"], g["n"]) for g in groups] == [("patient", 1), ("image", 15), ("records", 15)]
    assert sum(len(g["shown"]) for g in groups) == 10 and groups[0]["shown"][0]["rank"] == 31, "the gravest of each is seen"
    for g in groups:
        everything = [*g["shown"], *(f for place in g["rest"] for f in place["findings"])]
        assert len({f["rank"] for f in everything}) == len(everything) == g["n"] and g["rest_n"] == g["n"] - len(g["shown"])
        devices = [f["device_id"] for f in g["shown"]]
        assert [d for n, d in enumerate(devices) if d not in devices[:n]] == [
            d for n, d in enumerate(devices) if n == 0 or devices[n - 1] != d
        ]


def test_rooms_and_broken_dags_turn_the_headline(published: Settings) -> None:
    said = {
        "service": "airflow-processor",
        "state": "up",
        "pid": 1,
        "url": None,
        "reason": "import error in dags/ingest_his.py:31: ImportError: x",
    }
    sample.make_release(published.warehouse, "calm", faults=False)
    sample.publish(published.warehouse)
    for language, calm, loud in (("en", "Nothing is wrong", "1 service does not work"), ("zh", "一切正常", "1 项服务异常")):
        quiet = lead(TestClient(status.create_app(published, lambda: WELL)).get(f"/?lang={language}").text)
        assert calm in quiet and quiet.startswith(" good")
        broken = lead(TestClient(status.create_app(published, lambda: [*WELL, said])).get(f"/?lang={language}").text)
        assert loud in broken and "dags/ingest_his.py:31" in broken and broken.startswith(" bad") and calm not in broken
    sample.make_release(published.warehouse, "r3")
    sample.publish(published.warehouse)
    page = TestClient(status.create_app(published, lambda: WELL)).get("/").text
    assert "1 room with an alarm" in lead(page) and "ROOM-SPCT1" in page.split('id="rooms"')[1].split("</section>")[0]
    assert "1 device is held or not fit" in lead(page) and "5 findings need action" in lead(page)


def test_every_page_says_that_the_clock_is_pinned_as_long_as_it_is(published: Settings) -> None:
    asked = client(published)
    reports_app = TestClient(reports.create_app(published.reports, pinned=lambda: load(home=published.home).as_of_utc))
    assert 'id="pinned"' not in asked.get("/").text and reports_app.get("/clock.json").json() == {"pinned_as_of_utc": None}
    env = published.home / "photopeak.env"
    env.write_text("PHOTOPEAK_AS_OF_UTC=2026-03-10T16:00:00Z\n")
    assert (
        "releases speak of 2026-03-11 00:00 (UTC+08:00)" in asked.get("/").text and "演示正在运行" in asked.get("/?lang=zh").text
    )
    assert reports_app.get("/clock.json").json() == {"pinned_as_of_utc": "2026-03-10T16:00:00+00:00"}
    env.write_text("")
    assert 'id="pinned"' not in asked.get("/").text and reports_app.get("/clock.json").json() == {"pinned_as_of_utc": None}


def test_every_rule_says_whom_its_findings_may_harm() -> None:
    rules = {r.rule_id for r in reference.read(Rule)}
    assert rules - set(overview.consequences()) == set(overview.consequences()) - rules == set(), "rule_consequences.csv"

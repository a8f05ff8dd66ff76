"""The service `reports`: what it gives away and what not, and an auditor's walk through it in a browser with no internet."""

import io
import time
import zipfile
from datetime import UTC
from pathlib import Path

import pytest
import sample_warehouse as sample
from fastapi.testclient import TestClient
from local_server import browser, serving

from connectors.settings import Settings, load
from connectors.stores.object_store.files import FileObjectStore
from expectations import history
from expectations.run import attest
from terminals import reports


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two attested releases, the second one with the planted faults."""
    settings = load(home=tmp_path_factory.mktemp("home"))
    for device in sample.KEY:
        sample.write_picture(settings.reports, device)
    for name, faults in (("r1", False), ("r2", True)):
        sample.make_release(settings.warehouse, name, faults=faults)
        attest(settings, sample.AS_OF.replace(tzinfo=UTC), lambda release: sample.publish(settings.warehouse, release))
    return settings


def test_an_empty_folder_says_what_to_wait_for(tmp_path: Path) -> None:
    client = TestClient(reports.create_app(tmp_path / "none"))
    assert "No report yet" in client.get("/").text and "尚无报告" in client.get("/", headers={"accept-language": "zh"}).text
    assert client.get("/health").json() == {"service": "reports"}
    assert client.get("/index.html").status_code == 404
    assert client.get("/favicon.ico").status_code == 204


@pytest.mark.parametrize(
    "path", ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/pictures/..%2f..%2fsecret", "/.hidden", "/link"]
)
def test_nothing_but_reports_is_given_away(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "reports"
    (folder / "pictures").mkdir(parents=True)
    (tmp_path / "secret").write_text("hospital secret")
    (folder / ".hidden").write_text("hospital secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    answer = TestClient(reports.create_app(folder)).get(path)
    assert answer.status_code == 404 and "hospital secret" not in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(attested: Settings, method: str) -> None:
    assert TestClient(reports.create_app(attested.reports)).request(method, "/index.html", content=b"x").status_code == 405


@pytest.mark.req("AUD-16", "MEC-09")
def test_an_auditor_walks_from_rule_to_rows_to_picture_without_internet(attested: Settings) -> None:
    with serving(reports.create_app(attested.reports)) as address, browser() as (context, outside, complaints):
        page = context.new_page()
        page.goto(f"{address}/?lang=zh")
        assert str(len(sample.FAULTS)) in page.locator("h1").inner_text() and page.locator("h1 [lang=en]").is_hidden()
        page.click("text=English")
        page.click("text=Phantom measures are inside their limits")
        section = page.locator("section#PHANTOM_LIMIT")
        assert section.locator("text=WS 523-2019, 5.1").is_visible() and section.locator("text=1 / 6").is_visible()
        row = section.locator("table.rows tbody tr")
        assert row.count() == 1 and "9.4" in row.inner_text() and "GC1" in row.inner_text()
        section.locator("text=Great Expectations").click()
        page.wait_for_load_state("networkidle")
        assert "values must not belong to this set" in page.inner_text("body")
        page.click("text=Failed Only")
        page.locator("text=values must never be null").first.wait_for(state="hidden")  # the filter of Data Docs works offline
        page.click("text=Home")
        page.wait_for_selector("text=Earlier runs")
        assert page.locator("section.card").last.locator("tbody tr").count() == 2, "the earlier run is still there"
        page.goto(f"{address}/index.html")
        page.click("text=Phantom measures are inside their limits")
        page.locator("section#PHANTOM_LIMIT table.rows a", has_text="Evidence").click()
        page.wait_for_url("**/evidence/*.html")
        assert "Evidence: fail" in page.inner_text("h1") and "1.2.0" in page.inner_text("dl")
        page.locator("a:has(img.picture)").click()
        page.wait_for_url("**/pictures/*.png")
    assert (outside, complaints) == ([], [])


def test_a_rule_leads_to_its_rows_of_the_newest_run(attested: Settings) -> None:
    client = TestClient(reports.create_app(attested.reports), follow_redirects=False)
    newest = history.index(attested.reports)[-1]["run_id"]
    answer = client.get("/rules/PHANTOM_LIMIT?lang=zh")
    assert answer.status_code == 307 and answer.headers["location"] == f"../runs/{newest}/index.html?lang=zh#PHANTOM_LIMIT"
    assert client.get(answer.headers["location"].removeprefix("..")).status_code == 200
    assert client.get("/rules/NOBODY").status_code == client.get("/rules/..%2fsecret").status_code == 404


def test_every_run_has_a_page_of_evidence_also_one_without_a_picture(tmp_path: Path) -> None:
    settings = load(home=tmp_path)
    release = sample.make_release(settings.warehouse, "r1")
    bare = sample.KEY["SPCT1"]
    sample.change(release, f"update marts.fct_phantom_test set picture_href = null where run_key = '{bare}'")
    for device, status in (("SPCT1", "measured"), ("PETCT1", "not_measured")):
        told = f"verdict = 'none', reason = 'said beside it', status = '{status}'"
        sample.change(
            release, f"update marts.fct_phantom_test set {told} where run_key = '{sample.KEY[device]}' and detector = '2'"
        )
    attest(settings, sample.AS_OF.replace(tzinfo=UTC), lambda r: sample.publish(settings.warehouse, r))
    said = {d for d, run in sample.KEY.items() if "said beside it" in (settings.reports / "evidence" / f"{run}.html").read_text()}
    assert said == {"PETCT1"}, "what has no limit beside a judged value is no reason for the verdict"
    for device, run in sample.KEY.items():
        page = (settings.reports / "evidence" / f"{run}.html").read_text()
        assert run in page and ("<img" in page) == (run != bare), device


def test_every_page_opens_without_a_request_to_elsewhere(attested: Settings) -> None:
    found = sorted(p.relative_to(attested.reports).as_posix() for p in attested.reports.rglob("*.html"))
    newest = history.index(attested.reports)[-1]["run_id"]
    pages = [p for p in found if p != "data_docs/index.html" and ("/validations/" not in p or newest in p)]
    assert len(pages) > 40
    with serving(reports.create_app(attested.reports)) as address, browser() as (context, outside, complaints):
        page = context.new_page()
        for path in pages:
            page.goto(
                f"{address}/{path}", wait_until="load" if path.startswith("data_docs") else "networkidle"
            )  # ours ask for the clock
    assert (outside, complaints) == ([], [])


def test_the_front_page_opens_from_a_disk_too(attested: Settings) -> None:
    with browser() as (context, _, complaints):
        page = context.new_page()
        page.goto((attested.reports / "index.html").as_uri())
        assert page.locator("h1").is_visible()
        assert page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") == "10px", (
            "the style sheet is found"
        )
    assert complaints == []


def test_the_images_of_a_picture_can_be_taken_away_and_no_others(attested: Settings) -> None:
    images = FileObjectStore(attested.objects / "clear").open()
    images.put(sample.IMAGE)
    client = TestClient(reports.create_app(attested.reports, images=images))
    first, second = (client.get(f"/evidence/{sample.KEY['GC1']}.zip") for _ in range(2))
    with zipfile.ZipFile(io.BytesIO(first.content)) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {"1.2.0.1.dcm": sample.IMAGE}
    assert first.headers["content-type"] == "application/zip" and first.content == second.content
    assert client.get(f"/evidence/{'f' * 64}.zip").status_code == 404
    assert client.get("/evidence/..%2f..%2fsecret.zip").status_code == 404
    lost = reports.create_app(attested.reports, images=FileObjectStore(attested.objects / "elsewhere"))
    assert TestClient(lost).get(f"/evidence/{sample.KEY['GC1']}.zip").status_code == 404


def test_a_printed_page_keeps_value_limit_verdict_clause_and_page_numbers(attested: Settings) -> None:
    newest = history.index(attested.reports)[-1]["run_id"]
    with serving(reports.create_app(attested.reports)) as address, browser() as (context, _, complaints):
        page = context.new_page()
        page.goto(f"{address}/runs/{newest}/index.html?lang=en")
        page.evaluate(
            "document.querySelectorAll('details').forEach(d => d.open = false)"
        )  # what is closed is printed all the same
        page.emulate_media(media="print")
        headings = page.locator("section#PHANTOM_LIMIT table.rows th:visible").all_inner_texts()
        row = page.locator("section#PHANTOM_LIMIT table.rows tbody tr").inner_text()
        clipped = page.evaluate(
            "[...document.querySelectorAll('.rows td')].filter(c => c.checkVisibility() && c.scrollWidth > c.clientWidth + 1).length"
        )
    assert {"Value", "Upper limit", "Verdict", "Clause", "Measured (UTC+08:00)"} <= set(headings)
    assert "9.4" in row and "fail" in row and clipped == 0 and complaints == []
    style = (attested.reports / "assets" / "report.css").read_text(encoding="utf-8")
    assert "counter(page)" in style and "counter(pages)" in style


def test_a_page_is_searched_and_scrolled_without_mouse_or_network(attested: Settings) -> None:
    newest = history.index(attested.reports)[-1]["run_id"]
    with serving(reports.create_app(attested.reports)) as address, browser() as (context, outside, complaints):
        page = context.new_page()
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{address}/runs/{newest}/index.html?lang=en")
        assert page.locator(".contents a[href='#PHANTOM_LIMIT']").is_visible()
        assert "now fails" in page.inner_text("#difference")
        assert page.locator("section#PHANTOM_LIMIT .extra").first.is_hidden(), "few columns first"
        page.locator("#more-PHANTOM_LIMIT").focus()
        page.keyboard.press("Space")
        page.locator("section#PHANTOM_LIMIT .extra").first.wait_for()
        table = page.locator("section#PHANTOM_LIMIT .scroll:has(.rows)")
        table.focus()
        assert table.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "the focus is seen"
        deadline = time.monotonic() + 60
        while table.evaluate("e => e.scrollLeft") == 0:
            assert time.monotonic() < deadline, "the arrow keys do not scroll"
            page.keyboard.press("ArrowRight")  # one that comes before the browser has laid the table out moves nothing
            page.wait_for_timeout(50)
        page.fill("#search", "phantom measures limits")
        page.locator("section#DOSE_RANGE").wait_for(state="hidden")
        assert page.locator("section#PHANTOM_LIMIT").is_visible()
        page.fill("#search", "nothing of the kind")
        page.locator("#nothing").wait_for()
        page.goto(f"{address}/runs/{newest}/index.html?lang=zh")
        shown = page.inner_text("section#PHANTOM_LIMIT")
        assert "首次不符合日期" in shown and "2026-03-10 15:00 UTC+08:00" in shown and "设备 GC1" in shown
        page.locator("section#PHANTOM_LIMIT >> text=Great Expectations").click()
        page.get_by_text("仅显示不符合").first.wait_for()  # a click does not wait for the page it leads to
        assert "仅显示不符合" in page.inner_text("body") and "Failed Only" not in page.inner_text("body")
    assert (outside, complaints) == ([], [])

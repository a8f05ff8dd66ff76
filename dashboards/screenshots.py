"""Pictures of the three dashboards as a manager sees them, taken by a real browser when every chart has been drawn.

.venv/bin/python dashboards/screenshots.py --url http://127.0.0.1:8088 --user manager --password-file FILE --out DIR
With `--times` instead of `--out`: seconds until what is in sight is drawn, at the first visit and at later ones, in both languages.
"""

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

__all__ = ["DASHBOARDS", "browser_page", "login", "open_dashboard", "settle", "take", "trouble"]

DASHBOARDS = ("audit-overview", "devices-and-phantoms", "environment")
WIDTH, HEIGHT = 1280, 900
MAX_BYTES = 400_000
# what is still on its way, and what went wrong, in terms of the page
STATE = """() => {
  const all = (root, what) => [...root.querySelectorAll(what)];
  const slice = '[data-test="slice-container"]';
  const shown = ['canvas', 'table', '.header-line'].map(x => `${slice} ${x}`).join();
  const charts = all(document, '[data-test="dashboard-component-chart-holder"]')
    .filter(h => h.checkVisibility())  // a phone is shown no drawings
    .filter(h => h.querySelector(`[data-test="slice-header"], .slice-header, ${slice}`));
  const empty = h => h.querySelector('.ant-empty') || /No results were returned|No data/.test(h.innerText);
  return {
    charts: charts.length,
    drawn: charts.filter(h => h.querySelector(shown) && !empty(h)).length,
    loading: all(document, '[data-test="loading-indicator"], .loading, .ant-spin-spinning').length,
    alerts: charts.flatMap(h => all(h, '.ant-alert, [data-test="error-container"]')).map(a => a.innerText),
    empty: charts.filter(empty).map(h => h.innerText.slice(0, 80)),
  };
}"""
IN_SIGHT = """() => {
  const seen = [...document.querySelectorAll('[data-test="dashboard-component-chart-holder"]')]
    .filter(h => h.checkVisibility() && h.getBoundingClientRect().top < innerHeight && h.querySelector('[data-test="slice-header"], .slice-header'));
  const drawn = h => h.querySelector('canvas, table, .header-line, .ant-empty') && !h.querySelector('.loading, .ant-spin-spinning');
  return seen.length > 0 && seen.every(drawn);
}"""
HEIGHT_OF_ALL = """() => Math.max(...[...document.querySelectorAll('body, #app, .dashboard, .grid-container')]
  .map(e => e.getBoundingClientRect().bottom + window.scrollY))"""


@contextmanager
def browser_page(executable: str = "/usr/bin/chromium", scale: float = 1) -> Iterator[Page]:
    """Give a page of a headless Chromium that is closed at the end."""
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        try:
            yield browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=scale, locale="en-GB"
            ).new_page()
        finally:
            browser.close()


def login(page: Page, url: str, user: str, password: str) -> None:
    """Log in by Superset's form; a refused password is an error."""
    page.goto(f"{url}/login/", timeout=90_000)
    page.fill("#username", user)
    page.fill("#password", password)
    page.click('button[type="submit"], [data-test="login-button"]')
    page.wait_for_url(lambda address: "/login" not in address, timeout=60_000)


def settle(page: Page, seconds: float = 120) -> dict:
    """Scroll until each chart was asked for, wait until all are drawn, and return what the page then shows."""
    until = time.monotonic() + seconds
    page.wait_for_selector('[data-test="dashboard-component-chart-holder"]', timeout=seconds * 1000)
    quiet = 0
    state: dict = {}
    while time.monotonic() < until:
        for holder in page.query_selector_all('[data-test="dashboard-component-chart-holder"]'):
            if holder.is_visible():
                holder.scroll_into_view_if_needed()
                page.wait_for_timeout(60)
        state = page.evaluate(STATE)
        done = not state["loading"] and state["drawn"] + len(state["empty"]) >= state["charts"] > 0
        quiet = quiet + 1 if done or state["alerts"] else 0
        if quiet >= 2:
            break
        page.wait_for_timeout(700)
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(500)
    return state


def open_dashboard(page: Page, url: str, slug: str, query: str = "") -> dict:
    """Open a dashboard and return what it shows when it has settled."""
    page.goto(f"{url}/superset/dashboard/{slug}/{query}", timeout=90_000)
    return settle(page)


def trouble(state: dict) -> list[str]:
    """Return one sentence for each chart that failed or was not drawn; an empty chart is no trouble by itself."""
    found = [f"a chart shows an error: {text[:200]}" for text in state["alerts"]]
    if state["loading"] or state["drawn"] + len(state["empty"]) < state["charts"]:
        found.append(f"only {state['drawn']} of {state['charts']} charts were drawn in time")
    return found


def take(page: Page, path: Path) -> None:
    """Save the whole page as a PNG of limited size: fewer colours first (the rare ones of limits stay), then fewer pixels."""
    height = page.evaluate(HEIGHT_OF_ALL)
    page.set_viewport_size({"width": WIDTH, "height": min(int(height) + 40, 8000)})
    page.wait_for_timeout(2500)
    image: Image.Image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    for width, colours in ((WIDTH, 256), (WIDTH, 128), (WIDTH, 64), (1100, 64), (900, 48), (700, 32)):
        small = (
            image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
            if width != image.width
            else image
        )
        small.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MAX_BYTES:
            return


def times(executable: str, url: str, user: str, password: str, visits: int = 4) -> None:
    """Print how long a reader with a browser of his own waits for each page; the machine's load decides with."""
    # Superset draws everything for a browser that says that a program drives it
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-blink-features=AutomationControlled"]
    with sync_playwright() as p:
        for locale, suffix in (("en-GB", ""), ("zh-CN", "-zh")):
            with tempfile.TemporaryDirectory() as profile:
                browser = p.chromium.launch_persistent_context(
                    profile,
                    executable_path=executable,
                    args=arguments,
                    viewport={"width": WIDTH, "height": HEIGHT},
                    locale=locale,
                )
                page = browser.new_page()
                login(page, url, user, password)
                for slug in DASHBOARDS:
                    took = []
                    for _ in range(visits):
                        began = time.monotonic()
                        page.goto(f"{url}/superset/dashboard/{slug}{suffix}/", wait_until="commit", timeout=90_000)
                        page.wait_for_function(IN_SIGHT, timeout=90_000)
                        took.append(time.monotonic() - began)
                        page.wait_for_load_state("networkidle")
                    later = ", ".join(f"{t:.1f}" for t in took[1:])
                    print(f"{slug + suffix}: {took[0]:.1f} s, again {later} s (load {os.getloadavg()[0]:.1f})", flush=True)
                browser.close()


def main() -> int:
    """Take the pictures; return 1 when a chart failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--user", default="manager")
    parser.add_argument("--password-file", type=Path, required=True)
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--out", type=Path)
    wanted.add_argument("--times", action="store_true")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    args = parser.parse_args()
    if args.times:
        times(args.chromium, args.url.rstrip("/"), args.user, args.password_file.read_text().strip())
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    bad = 0
    with browser_page(args.chromium) as page:
        login(page, args.url.rstrip("/"), args.user, args.password_file.read_text().strip())
        for slug in DASHBOARDS:
            state = open_dashboard(page, args.url.rstrip("/"), slug)
            take(page, args.out / f"{slug}.png")
            print(
                f"{slug}: {state['drawn']} of {state['charts']} charts drawn"
                + "".join(f"\n  nothing to show: {t.splitlines()[0]}" for t in state["empty"])
            )
            for sentence in trouble(state):
                bad += 1
                print(f"  {sentence}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

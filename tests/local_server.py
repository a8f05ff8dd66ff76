"""A page's server on a free port and a headless browser that notes whatever leaves this machine or complains."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI

__all__ = ["browser", "serving"]

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Give the address of the app while it is served on loopback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "the server did not start within 20 s"
            time.sleep(0.02)
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def browser() -> Iterator[tuple]:
    """Give (browser context, requests to other machines, console errors); the two lists fill while pages are open."""
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    from playwright.sync_api import sync_playwright

    outside: list[str] = []
    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = chromium.new_context()
        context.on("request", lambda r: outside.append(r.url) if _leaves(r.url) else None)
        context.on("console", lambda m: complaints.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
        context.on("weberror", lambda e: complaints.append(str(e.error)))
        context.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        # what a walk leaves behind by going on to the next page is no failure of the page (seen once under load: /clock.json)
        context.on(
            "requestfailed",
            lambda r: None if r.failure == "net::ERR_ABORTED" else complaints.append(f"failed: {r.url}: {r.failure}"),
        )
        try:
            yield context, outside, complaints
        finally:
            chromium.close()


def _leaves(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob", "about") and parts.hostname != "127.0.0.1"

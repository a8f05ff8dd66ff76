"""The service `reports`: the reports' folder as it lies, read only; an auditor needs no login and no internet."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated

from fastapi import FastAPI, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from connectors.stores.object_store.port import ObjectStore
from messages import because, both
from terminals.headers import NOTHING_FROM_ELSEWHERE, guard
from terminals.words import choose, texts

__all__ = ["Draw", "create_app", "from_command", "rule_links"]

Draw = Callable[[str], str | None]  # run key → why there is no picture, or None when it lies there now


class _Reports(StaticFiles):
    """Files of the folder; drafts and other dot files are not there."""

    async def get_response(self, path: str, scope) -> Response:  # type: ignore[no-untyped-def]
        if any(part.startswith(".") and part != "." for part in Path(path).parts):
            raise HTTPException(404)
        return await super().get_response(path, scope)


def from_command(timeout_s: float = 60.0) -> Draw:
    """Return a drawer that makes a missing picture in a process of its own, so that this one stays small; one at a time."""
    lock = threading.Lock()

    def draw(run_key: str) -> str | None:
        with lock:
            command = [sys.executable, "-m", "spark_jobs.jobs.picture", run_key]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
            except subprocess.TimeoutExpired:
                return because("picture.too_slow", seconds=timeout_s)
            return None if done.returncode == 0 else (done.stderr.strip().splitlines() or [because("picture.failed")])[-1]

    return draw


def create_app(
    folder: Path,
    draw: Draw | None = None,
    pinned: Callable[[], datetime | None] = lambda: None,
    images: ObjectStore | None = None,
) -> FastAPI:
    """Return the service over that folder; it may still be empty.

    `draw` makes a picture that nobody has asked for before; `pinned` says to which moment a demo has pinned the clock of releases now;
    `images` holds the pseudonymised copies that pages of evidence name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"service": "reports"}

    @app.get("/clock.json")
    def clock() -> dict[str, str | None]:
        moment = pinned()
        return {"pinned_as_of_utc": moment.isoformat() if moment else None}

    @app.get("/favicon.ico")
    def icon() -> Response:
        return Response(status_code=204)  # a browser that shows a bare picture asks for one

    @app.get("/")
    def front(request: Request) -> Response:
        if (folder / "index.html").is_file():
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"index.html{query}")
        words = texts()[choose(request.query_params.get("lang"), request.headers.get("accept-language", ""))]
        return HTMLResponse(f"<!doctype html><meta charset=utf-8><title>Photopeak</title><p>{words['no_reports']}</p>")

    @app.get("/rules/{rule}")
    def rows_of(rule: Annotated[str, PathParameter(pattern=r"^[A-Z0-9_]{1,80}$")], request: Request) -> Response:
        """Lead to what a rule found in the newest run; a rule that found nothing stands there too."""
        links = rule_links(folder)
        if rule not in links:
            raise HTTPException(404)
        page, _, place = links[rule].partition("#")
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"../{page}{query}#{place}")

    @app.get("/pictures/{run_key}.png")
    def picture(run_key: Annotated[str, PathParameter(pattern=r"^[\w-]{1,80}$")]) -> Response:
        path = folder / "pictures" / f"{run_key}.png"
        reason = None if path.is_file() or draw is None else draw(run_key)
        if path.is_file():
            return FileResponse(path)
        return PlainTextResponse(f"no picture 没有图像: {both(reason or because('picture.none_made'))}\n", status_code=404)

    @app.get("/evidence/{run_key}.zip")
    def archive(run_key: Annotated[str, PathParameter(pattern=r"^[\w-]{1,80}$")]) -> Response:
        listed = folder / "evidence" / f"{run_key}.json"
        if images is None or not listed.is_file():
            raise HTTPException(404)
        file = tempfile.TemporaryFile()  # noqa: SIM115  the answer closes it
        try:
            _pack(json.loads(listed.read_text(encoding="utf-8"))["images"], images, file)
        except OSError as exc:
            file.close()
            return PlainTextResponse(f"{both(because('picture.image_unreadable'))}: {exc}\n", status_code=404)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        headers = {"Content-Disposition": f'attachment; filename="{run_key[:12]}.zip"', "Content-Length": str(size)}
        return StreamingResponse(
            iter(lambda: file.read(1 << 18), b""),
            media_type="application/zip",
            headers=headers,
            background=BackgroundTask(file.close),
        )

    app.mount("/", _Reports(directory=folder, html=True))
    return guard(app, _policy)


def rule_links(reports: Path) -> dict[str, str]:
    """Return {rule: address inside the reports} of the newest run."""
    try:
        rows = json.loads((reports / "index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {r["rule"]: r["href"] for r in rows if r["run_id"] == rows[-1]["run_id"]}


def _pack(images: list[dict[str, str]], store: ObjectStore, file: IO[bytes]) -> None:
    """Write the images of a run into an archive, each under its SOP Instance UID; they do not get smaller, so they are stored as they are."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        for image in images:
            name = zipfile.ZipInfo(f"{image['sop_instance_uid']}.dcm")  # no time of today: the same run gives the same archive
            packed.writestr(name, store.get(image["key"]))


def _policy(request: Request) -> str:
    """Return the content policy: Data Docs carry scripts and styles inside the page, a browser puts a style around a picture."""
    policy = NOTHING_FROM_ELSEWHERE
    if request.url.path.startswith(("/data_docs/", "/pictures/")):
        policy = policy.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    if request.url.path.startswith("/data_docs/"):
        policy = policy.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")
    return policy

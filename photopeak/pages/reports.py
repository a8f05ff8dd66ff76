"""The service `reports`: the reports' folder as it lies, read only; an auditor needs no login and no internet."""

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from photopeak.pages.headers import NOTHING_FROM_ELSEWHERE, guard
from photopeak.pages.words import choose, texts

__all__ = ["create_app"]


class _Reports(StaticFiles):
    """Files of the folder; drafts and other dot files are not there."""

    async def get_response(self, path: str, scope) -> Response:  # type: ignore[no-untyped-def]
        if any(part.startswith(".") and part != "." for part in Path(path).parts):
            raise HTTPException(404)
        return await super().get_response(path, scope)


def create_app(folder: Path) -> FastAPI:
    """Return the service over that folder; it may still be empty."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"service": "reports"}

    @app.get("/")
    def front(request: Request) -> Response:
        if (folder / "index.html").is_file():
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"index.html{query}")
        words = texts()[choose(request.query_params.get("lang"), request.headers.get("accept-language", ""))]
        return HTMLResponse(f"<!doctype html><meta charset=utf-8><title>Photopeak</title><p>{words['no_reports']}</p>")

    app.mount("/", _Reports(directory=folder, html=True, check_dir=False))
    return guard(app, _policy)


def _policy(request: Request) -> str:
    """Return the content policy: Data Docs carry their scripts and styles inside the page."""
    if request.url.path.startswith("/data_docs/"):
        inline = NOTHING_FROM_ELSEWHERE.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")
        return inline.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    return NOTHING_FROM_ELSEWHERE

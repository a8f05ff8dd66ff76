"""Headers on every answer: nothing from another machine, nothing stale."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response

__all__ = ["NOTHING_FROM_ELSEWHERE", "guard"]

NOTHING_FROM_ELSEWHERE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def guard(app: FastAPI, policy: Callable[[Request], str] = lambda request: NOTHING_FROM_ELSEWHERE) -> FastAPI:
    """Return the app with its content policy and without caching, so that a page is never older than the release."""

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await call_next(request)
        answer.headers["Content-Security-Policy"] = policy(request)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    return app

"""The HTTP side of the door (CloudEvents 1.0 binding): tokens, modes and sizes of bodies, and what is answered."""

import base64
import hmac
import json
import logging
from collections.abc import Callable
from datetime import datetime
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from connectors.events import InvalidEvent
from connectors.examinations import Examinations
from connectors.http.door import REPORT, Door
from connectors.questions import answer
from messages import because, fields

__all__ = ["LARGEST", "make_app"]

LARGEST = 8 << 20
STRANGER = "door.token_unknown"
LOG = logging.getLogger("photopeak.events")


def make_app(
    door: Door, tokens: Callable[[], dict[str, str]], examinations: Examinations, now: Callable[[], datetime]
) -> FastAPI:
    """Return the application; `tokens` is asked at each request: a device can be added or locked out without a restart."""
    app = FastAPI(title="Photopeak events", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "up"}

    @app.post("/events")
    async def events(request: Request) -> JSONResponse:
        sender = await run_in_threadpool(_sender, request.headers.get("authorization", ""), tokens)
        if sender is None:
            return _refusal(401, because(STRANGER), {"WWW-Authenticate": "Bearer"})
        raw = await _body(request)
        if raw is None:
            return _refusal(413, because("door.body_too_large", mib=LARGEST >> 20))
        return await run_in_threadpool(_handle, door, raw, dict(request.headers), sender)

    @app.get("/examinations/{accession:path}/readiness")
    def ready(accession: str, request: Request, step: str = "injection", at: str | None = None) -> JSONResponse:
        if _sender(request.headers.get("authorization", ""), tokens) is None:
            return _refusal(401, because(STRANGER), {"WWW-Authenticate": "Bearer"})
        return answer(examinations, accession, step, at, now)

    return app


def _handle(door: Door, raw: bytes, headers: dict[str, str], sender: str) -> JSONResponse:
    try:
        try:
            bodies = _bodies(raw, headers)
        except InvalidEvent as exc:
            door.quarantine_body(raw, str(exc), sender)
            return _refusal(400, str(exc))
        try:
            return JSONResponse(door.take(bodies, sender).to_json(), 202)
        except RecursionError:
            door.quarantine_body(raw, because("door.body_too_deep"), sender)
            return _refusal(400, because("door.body_too_deep"))
    except OSError as exc:
        LOG.error("refused events of %s: %s", sender, exc)
        return _refusal(507, because("door.nothing_stored", problem=exc.strerror or exc))


def _bodies(raw: bytes, headers: dict[str, str]) -> list[object]:
    """Return the events of a body in the mode that its content type says (CloudEvents HTTP binding 3); raise InvalidEvent."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    if attributes.get("type") == REPORT and not kind.startswith("application/cloudevents"):
        return [{**attributes, "data_base64": base64.b64encode(raw).decode()}]
    try:
        said = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidEvent(because("door.body_no_json", problem=exc)) from None
    if kind == "application/cloudevents-batch+json":
        if not isinstance(said, list) or not said:
            raise InvalidEvent(because("door.body_no_batch"))
        return said
    if kind == "application/cloudevents+json":
        if not isinstance(said, dict):
            raise InvalidEvent(because("door.body_no_event"))
        return [said]
    if "ce-specversion" in headers:
        return [{**attributes, "data": said}]
    raise InvalidEvent(because("door.body_no_cloudevent"))


def _no_constant(name: str) -> object:
    raise ValueError(because("door.attribute_no_json", name=name))


async def _body(request: Request) -> bytes | None:
    """Return the body, None as soon as it is known to be too large."""
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > LARGEST:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return bytes(body)


def _sender(authorization: str, tokens: Callable[[], dict[str, str]]) -> str | None:
    """Return the device whose token it is; every token is compared, in constant time."""
    scheme, _, given = authorization.partition(" ")
    found = None
    for token, name in tokens().items():
        if hmac.compare_digest(token.encode(), given.strip().encode("utf-8", "replace")) and token:
            found = name
    return found if scheme.lower() == "bearer" else None


def _refusal(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(fields(reason, "error"), status, headers)

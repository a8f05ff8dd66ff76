"""What the HTTP door answers to questions about examinations."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi.responses import JSONResponse

from connectors.events import utc_text
from connectors.examinations import Examinations
from judgement.readiness import Clue, Readiness
from messages import because, fields, render

__all__ = ["answer", "body"]

LOG = logging.getLogger("photopeak.events")


def answer(examinations: Examinations, accession: str, step: str, at: str | None, now: Callable[[], datetime]) -> JSONResponse:
    """Return what the door says to `GET /examinations/<accession>/readiness`; without `at` the question is about this moment."""
    moment = _time(at) if at else now()
    if moment is None:
        return JSONResponse(fields(because("door.at_no_time"), "error"), 400)
    try:
        said = examinations.readiness(accession, moment, step)
    except (OSError, KeyError, ValueError) as exc:  # a damaged row of the reference data permits nothing
        LOG.error("no answer about an examination: %s: %s", type(exc).__name__, exc)
        return JSONResponse(fields(because("door.journals_unreadable"), "error"), 503)
    if said is None:
        return JSONResponse(fields(because("door.examination_unknown", examination=accession[:64]), "error"), 404)
    return JSONResponse(body(said))


def body(said: Readiness) -> dict[str, Any]:
    """Return the answer as the door gives it, in both languages."""
    return {
        "accession_number": said.accession_number, "exam_code": said.exam_code, "step": said.step, "at_utc": utc_text(said.at),
        "permitted": said.permitted, "blocks": _clues(said.blocks), "warnings": _clues(said.warnings),
    }  # fmt: skip


def _clues(clues: Iterable[Clue]) -> list[dict[str, Any]]:
    out = []
    for clue in clues:
        told = asdict(clue)
        why = told.pop("reason")
        out.append({**told, "reason_en": why, "reason_zh": render(why, "zh"), **fields(why)})
    return out


def _time(said: str) -> datetime | None:
    """Return an aware moment, None for a text that is none; a plus that a URL made a blank is put back."""
    try:
        moment = datetime.fromisoformat(said.replace(" ", "+"))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None

"""What readers asked of the last release is asked of a new one as soon as it is published, so that the next reader need not wait.

A question is kept as the browser put it (an answer in the cache is found by exactly that) and asked with the rights of the reader who put it.
A release is published without us and does not wait: this runs beside the server, is bounded in time, and what fails is asked again by the reader.
"""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import releases  # type: ignore[import-not-found]

__all__ = ["asked", "install", "keep", "watch"]

LOG = logging.getLogger("photopeak.dashboards")
ADDRESS = "/api/v1/chart/data"
KEEP = 300  # three pages in two languages ask 80 questions
LARGEST = 100_000  # characters of a question
SECONDS = 180.0  # for one release
EVERY = 2.0  # seconds between two looks at the release


def keep(folder: Path, user: str, question: dict[str, Any]) -> None:
    """Keep a question that a page asked; the newest `KEEP` stay. A file that a person took away is not kept."""
    if question.get("result_format", "json") != "json" or question.get("result_type", "full") != "full":
        return
    text = json.dumps({"user": user, "question": {**question, "force": False}}, sort_keys=True)
    if len(text) > LARGEST:
        return
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if path.exists():
        os.utime(path)
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.stem}.{threading.get_ident()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    for old in _newest_first(folder)[KEEP:]:
        old.unlink(missing_ok=True)


def asked(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return [(user, question)], the newest first; a file that cannot be read is left out."""
    found = []
    for path in _newest_first(folder):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            found.append((str(row["user"]), dict(row["question"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def watch(
    key: Callable[[], str],
    questions: Callable[[], list[tuple[str, dict[str, Any]]]],
    ask: Callable[[str, dict[str, Any]], bool],
    account: Path,
    seconds: float = SECONDS,
    wait: Callable[[float], bool] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask all questions once for each new key, until `wait` (for ever unless given) returns True; write to `account` what came of it.

    `ask` returns whether the answer is in the cache now; whatever it raises counts as not. A key that changes meanwhile ends the round: the
    next one is for the newer release.
    """
    wait, done = wait or threading.Event().wait, None
    while True:
        now = key()
        if now != done:
            began, counts = clock(), {"answered": 0, "failed": 0, "left": 0}
            for user, question in questions():
                if clock() - began > seconds or key() != now:
                    counts["left"] += 1
                    continue
                try:
                    counts["answered" if ask(user, question) else "failed"] += 1
                except Exception:
                    LOG.warning("a question was not answered ahead of its reader", exc_info=True)
                    counts["failed"] += 1
            done = now
            draft = account.with_name(f".{account.name}")
            draft.write_text(json.dumps({"release": now, **counts, "seconds": round(clock() - began, 1)}), encoding="utf-8")
            draft.replace(account)
        if wait(EVERY):
            return


def install(app: Any, state: Path, current: Path) -> None:
    """Keep what readers ask, and begin to watch with the first request: a bootstrap makes the same application and serves nobody."""
    from flask import g, request

    folder, started = state / "asked", threading.Lock()

    @app.before_request
    def begin() -> None:
        if started.acquire(blocking=False):  # never released: once a process
            threading.Thread(
                target=watch,
                args=(
                    lambda: releases.release_key(current),
                    lambda: asked(folder),
                    lambda u, q: _ask(app, u, q),
                    state / "warmed.json",
                ),
                name="warm",
                daemon=True,
            ).start()

    @app.after_request
    def remember(response: Any) -> Any:
        if request.method == "POST" and request.path == ADDRESS and response.status_code == 200 and request.is_json:
            try:
                keep(folder, g.user.username, request.get_json())
            except Exception:
                LOG.warning("a question could not be kept", exc_info=True)
        return response


def _ask(app: Any, user: str, question: dict[str, Any]) -> bool:
    """Answer a question as the server does, without a browser; True when each answer is without error."""
    with app.test_request_context(ADDRESS, method="POST", json=question):
        from superset import db, security_manager
        from superset.charts.schemas import ChartDataQueryContextSchema
        from superset.commands.chart.data.get_data_command import ChartDataCommand
        from superset.utils.core import override_user

        reader = security_manager.find_user(user)
        if reader is None or not reader.is_active:
            return False
        try:
            with override_user(reader):
                command = ChartDataCommand(ChartDataQueryContextSchema().load(question))
                command.validate()
                return all(not query.get("error") for query in command.run()["queries"])
        finally:
            db.session.remove()


def _newest_first(folder: Path) -> list[Path]:
    dated = []
    for path in folder.glob("[!.]*.json"):
        try:
            dated.append((path.stat().st_mtime_ns, path))
        except OSError:
            continue  # taken away by another thread
    return [path for _, path in sorted(dated, reverse=True)]

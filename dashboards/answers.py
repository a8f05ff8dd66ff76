"""An answer that a reader has had is given again as it was, before Superset works it out anew: its own cache spares the query, not the rest.

Kept in memory by reader, question, release and what the metadata say of rights and charts. What is asked for anew (`force`) and files pass.
"""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

__all__ = ["Kept", "install", "key_of"]

DATA = "/api/v1/chart/data"
PAGE = re.compile(r"/api/v1/dashboard/[\w-]+(/charts|/datasets)?")
LARGEST = 64 * 1024 * 1024  # bytes of all answers
# whatever changes a right, a chart or a page changes one of these
CHANGED = ("dashboards", "slices", "tables", "dbs", "row_level_security_filters")
RIGHTS = {
    "ab_user": "id || ':' || active",
    "ab_user_role": "user_id || ':' || role_id",
    "ab_permission_view_role": "permission_view_id || ':' || role_id",
    "rls_filter_roles": "rls_filter_id || ':' || role_id",
    "rls_filter_tables": "rls_filter_id || ':' || table_id",
}
STAMP = " UNION ALL ".join(
    [f"SELECT max(changed_on) || ' ' || count(*) FROM {table}" for table in CHANGED]
    + [f"SELECT group_concat({columns}, ' ') FROM {table}" for table, columns in RIGHTS.items()]
)


class Kept:
    """Answers by key, the oldest go first."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest, self._size, self._lock = largest, 0, threading.Lock()
        self._answers: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """Return the answer, or None."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def put(self, key: str, answer: bytes) -> None:
        """Keep an answer, unless it is larger than all of the room."""
        if len(answer) > self._largest:
            return
        with self._lock:
            self._size += len(answer) - len(self._answers.pop(key, b""))
            self._answers[key] = answer
            while self._size > self._largest:
                self._size -= len(self._answers.popitem(last=False)[1])


def key_of(reader: object, release: str, stamp: object, method: str, address: str, body: bytes) -> str:
    """Return the key of a question; equal only where the answer must be."""
    parts = (str(reader), release, str(stamp), method, address)
    return hashlib.sha256("\0".join(parts).encode() + b"\0" + body).hexdigest()


def install(app: Any, release: Callable[[], str], kept: Kept | None = None) -> None:
    """Answer questions of pages from what is kept; `release` names the published one."""
    from flask import Response, g, request, session
    from flask_login import current_user
    from sqlalchemy import text
    from superset.extensions import db

    answers = kept or Kept()

    def is_question() -> bool:
        if request.method == "GET":
            return bool(PAGE.fullmatch(request.path))
        if request.method != "POST" or request.path != DATA or not request.is_json:
            return False
        asked = request.get_json(silent=True) or {}
        plain = asked.get("result_format", "json") == "json" and asked.get("result_type", "full") == "full"
        return plain and not asked.get("force")

    @app.before_request
    def again() -> Any:
        if not is_question() or not current_user.is_authenticated:
            return None
        stamp = db.session.execute(text(STAMP)).fetchall()
        reader = f"{current_user.get_id()} {session.get('locale')}"
        g.answer_key = key_of(reader, release(), stamp, request.method, request.full_path, request.get_data())
        found = answers.get(g.answer_key)
        return (
            None
            if found is None
            else Response(found, content_type="application/json; charset=utf-8", headers={"X-Answer": "kept"})
        )

    @app.after_request
    def keep(response: Any) -> Any:
        key = g.pop("answer_key", None)
        if key and response.status_code == 200 and response.is_json and not response.is_streamed:
            data = response.get_data()
            if request.method == "GET" or b'"is_cached":true' in data.replace(b" ", b""):
                answers.put(key, data)
        return response

"""Which page a reader lands on, and in which language: the overview first, and every page in the language of the session."""

import re
from typing import Any

__all__ = ["install", "twin"]

LANGUAGES = ("en", "zh")
PAGE = re.compile(r"/superset/dashboard/([\w-]+?)(-zh)?/?")
HOME = ("/", "/superset/welcome/", "/dashboard/list/")
FIRST = "audit-overview"


def twin(path: str, language: str, pages: tuple[str, ...]) -> str | None:
    """Return the address of the same page in `language`; None where `path` is in it already or is no page of ours."""
    found = PAGE.fullmatch(path)
    if not found or found[1] not in pages or ("zh" if found[2] else "en") == language:
        return None
    return f"/superset/dashboard/{found[1]}{'-zh' if language == 'zh' else ''}/"


def install(app: Any, pages: tuple[str, ...]) -> None:
    """Redirect a person who opens a page of the other language, or Superset's own home, before anything is drawn."""
    from flask import redirect, request, session
    from flask_login import current_user

    @app.before_request
    def one_language() -> Any:
        if request.method != "GET" or request.path.startswith(("/api/", "/static/", "/health")):
            return None
        if session.get("locale") not in LANGUAGES:
            session["locale"] = request.accept_languages.best_match(LANGUAGES) or "en"
        language = session["locale"]
        if request.path in HOME and getattr(current_user, "username", "admin") != "admin":
            return redirect(twin(f"/superset/dashboard/{FIRST}/", language, pages) or f"/superset/dashboard/{FIRST}/")
        other = twin(request.path, language, pages)
        query = request.query_string.decode()
        return redirect(f"{other}?{query}" if query else other) if other else None

"""What every page says while a demo pins the clock of releases; an open page asks anew, so that the line goes when the pin does."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

__all__ = ["ADDRESS", "install", "pinned", "sentence"]

ADDRESS = "/photopeak/clock"
LINE = """{% import "superset/macros.html" as own %}
<p id="photopeak-clock" role="status" hidden style="margin:0;padding:6px 16px;background:#FFF3D6;color:#3B3B3B;border-bottom:1px solid #E69F00"></p>
<script nonce="{{ own.get_nonce() }}">
(function () {
  var line = document.getElementById("photopeak-clock");
  document.body.prepend(line);
  function look() {
    fetch("ADDRESS").then(function (answer) { return answer.json(); }).then(function (told) {
      line.textContent = told.text || "";
      line.hidden = !told.text;
    }).catch(function () { /* the page says itself when the server is gone */ });
  }
  look();
  setInterval(look, 30000);
})();
</script>
""".replace("ADDRESS", ADDRESS)


def sentence(words: dict[str, str], language: str, pinned: datetime | None, zone: tzinfo) -> str | None:
    """Return what a page says in a language; None while the clock is not pinned."""
    from judgement.days import local_text, zone_text

    return words[language].format(moment=local_text(pinned, zone), zone=zone_text(zone)) if pinned else None


def pinned(home: Path, environment: Mapping[str, str] = os.environ) -> tuple[datetime | None, tzinfo]:
    """Return the moment that releases are pinned to (UTC; None: not pinned) and the site's zone, as the platform's settings have them now.

    Superset's environment lacks what `connectors.settings` imports; a test holds the two together.
    """
    from judgement.days import site_zone

    path = home / "photopeak.env"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    told = {**dict(line.split("=", 1) for line in lines if "=" in line), **environment}
    moment = told.get("PHOTOPEAK_AS_OF_UTC", "").strip("\"' ")
    zone = site_zone(told.get("PHOTOPEAK_TIME_ZONE", "").strip("\"' ") or "Asia/Shanghai")
    return datetime.fromisoformat(moment).astimezone(UTC) if moment else None, zone


def install(app: Any, words: dict[str, str], told: Callable[[], tuple[datetime | None, tzinfo]]) -> None:
    """Put the line above every page of Superset, and answer what it says now; `told` gives the pin (UTC) and the site's zone."""
    from flask import jsonify, session
    from jinja2 import ChoiceLoader, DictLoader

    app.jinja_loader = ChoiceLoader([DictLoader({"tail_js_custom_extra.html": LINE}), app.jinja_loader])

    @app.get(ADDRESS)
    def clock() -> Any:
        answer = jsonify(text=sentence(words, session.get("locale", "en"), *told()))
        answer.headers["Cache-Control"] = "no-store"
        return answer

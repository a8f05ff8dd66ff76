"""What dbt adds to its connection: sentences of reasons, by the catalogues of `messages`. Loaded by dbt alone (`profiles.yml`)."""

from functools import lru_cache
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from messages import from_text, render, to_args

__all__ = ["Plugin"]


class Plugin(BasePlugin):
    """Gives SQL `reason_en`, `reason_zh`, `reason_code` and `reason_args` of what the macro `because` made; null stays null.

    Prose, as old data hold it, is its own sentence in both languages and has neither code nor arguments.
    """

    def configure_connection(self, conn: Any) -> None:
        """Register the functions; they depend on their argument and the catalogues alone, so a rebuild gives equal rows."""
        for place, name in enumerate(("reason_en", "reason_zh", "reason_code", "reason_args")):
            conn.create_function(name, _part(place), ["VARCHAR"], "VARCHAR", null_handling="special")


def _part(place: int) -> Any:
    return lambda text: None if text is None else _parts(text)[place]


@lru_cache(maxsize=65_536)  # the same few reasons stand in most rows
def _parts(text: str) -> tuple[str, str, str | None, str | None]:
    reason = from_text(text) or ""
    return render(reason, "en"), render(reason, "zh"), getattr(reason, "code", None), to_args(reason)

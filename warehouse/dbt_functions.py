"""What dbt adds to its connection: reasons in Chinese, by the catalogue that pages and reports use. Loaded by dbt alone (`profiles.yml`)."""

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from connectors.words import reason

__all__ = ["Plugin"]


class Plugin(BasePlugin):
    """Gives SQL the function `reason_zh(text)`; null stays null, and what the catalogue does not know stays English."""

    def configure_connection(self, conn: Any) -> None:
        """Register the function; it depends on its argument and the catalogue alone, so a rebuild gives equal rows."""
        conn.create_function("reason_zh", reason_zh, ["VARCHAR"], "VARCHAR")


def reason_zh(text: str) -> str:
    """Return a reason in Chinese."""
    return reason(text, "zh")

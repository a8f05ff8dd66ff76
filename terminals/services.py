"""States of the platform's services, asked for only when somebody looks."""

import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Services", "cached"]

Services = Callable[[], list[dict[str, Any]]]


def cached(ask: Services, seconds: float = 5.0) -> Services:
    """Return the same question that is really asked at most every few seconds, by one asker at a time."""
    lock = threading.Lock()
    kept: list[Any] = [float("-inf"), []]

    def answer() -> list[dict[str, Any]]:
        with lock:
            if time.monotonic() - kept[0] > seconds:
                kept[1] = ask()
                kept[0] = time.monotonic()
            return list(kept[1])

    return answer

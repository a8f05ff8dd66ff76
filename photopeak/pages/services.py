"""States of the platform's services, asked for only when somebody looks."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Services", "cached", "from_command"]

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


def from_command(timeout_s: float = 20.0) -> Services:
    """Return a question that `photopeak status --json` answers; what it cannot say is a row of its own."""
    command = [str(Path(sys.executable).with_name("photopeak")), "status", "--json"]

    def ask() -> list[dict[str, Any]]:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
            answer = json.loads(done.stdout)
            return [r for r in answer if isinstance(r, dict)]
        except (OSError, subprocess.TimeoutExpired, ValueError, TypeError) as failed:
            reason = f"`photopeak status --json` gave no answer ({type(failed).__name__}); run it by hand to see why"
            return [{"service": "supervisor", "state": "failed", "pid": None, "url": None, "reason": reason}]

    return cached(ask)

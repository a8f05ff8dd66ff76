"""What has been sent already: a small log in HOME/demo, so that an interrupted run goes on and a finished one does nothing."""

import json
import threading
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["Progress", "plan_of"]


class Progress:
    """The log of one run: one line when a piece begins, one when all of it was acknowledged.

    A piece that began without an end is sent again; what the doors then count as duplicates is explained by `again`.
    """

    def __init__(self, home: Path, seed: int, day: date, history_days: int) -> None:
        self._path = home / "demo" / "simulator.jsonl"
        self._lock = threading.Lock()
        plan = {"seed": seed, "day": day.isoformat(), "history_days": history_days}
        lines = _lines(self._path)
        if lines and lines[0] != plan:
            raise ValueError(f"{home} already holds the pretend hospital of {lines[0]}: use the same options, or another home")
        self.done = {line["done"] for line in lines if "done" in line}
        self._begun = {line["begin"] for line in lines if "begin" in line}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", encoding="utf-8")
        if not lines:
            self._write(plan)

    def begin(self, piece: str) -> None:
        """Note that a piece is about to be sent."""
        with self._lock:
            if piece in self._begun:
                self._write({"again": piece})
            self._begun.add(piece)
            self._write({"begin": piece})

    def end(self, piece: str) -> None:
        """Note that every part of a piece was acknowledged."""
        with self._lock:
            self.done.add(piece)
            self._write({"done": piece})

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def plan_of(home: Path) -> tuple[dict[str, Any], set[str]]:
    """Return the plan that was run in this home, and the pieces that were sent more than once; no run is a ValueError."""
    lines = _lines(home / "demo" / "simulator.jsonl")
    if not lines:
        raise ValueError(f"nothing was run in {home}: give --day and --seed, or run first")
    return lines[0], {line["again"] for line in lines if "again" in line}


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines; a last one that was cut off by a crash is dropped from the file too."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]

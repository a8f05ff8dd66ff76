"""The account of a job: what every job of the platform hands over when it ends, to whoever asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Account"]

Offsets = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Account:
    """What one run of a job read and wrote; nothing of either says that nothing was new (exit 99)."""

    job: str
    run_key: str = ""
    start: str | Offsets | None = None  # a moment, or an offset a journal
    end: str | Offsets | None = None
    read: int = 0
    written: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)  # what this job alone has to say

    def to_json(self) -> dict[str, Any]:
        """Return the object that `photopeak job --json` prints."""
        return {
            "job": self.job, "run_key": self.run_key, "from": self.start, "to": self.end, "read": self.read, "written": self.written,
            "quarantined": self.quarantined, "seconds": self.seconds, **self.more,
        }  # fmt: skip

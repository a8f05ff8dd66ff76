"""How far each ingest job has come: committed offsets, and the range that it was writing when it was last heard of."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from messages import because

__all__ = ["Consumer", "Position", "load", "save"]

Range = tuple[int, int]  # first and last offset, both included


@dataclass(frozen=True, slots=True)
class Consumer:
    """One ingest job: which journals it reads, which types it takes of those that it shares, how many events at a time."""

    name: str
    journals: tuple[str, ...]
    batch: int
    only: dict[str, str] = field(default_factory=dict)  # journal → the one type it takes
    but: dict[str, str] = field(default_factory=dict)  # journal → the one type it leaves

    def takes(self, journal: str, type_: str) -> bool:
        """Return whether an event of this type in this journal is this consumer's."""
        return self.only.get(journal, type_) == type_ and self.but.get(journal) != type_


@dataclass(frozen=True, slots=True)
class Position:
    """Committed offsets by journal; `pending` is the range that may be half written and must be written again, or None."""

    committed: dict[str, int]
    pending: dict[str, Range] | None = None


def load(folder: Path, name: str) -> Position:
    """Return the position of a consumer; zero everywhere before its first run."""
    path = folder / f"{name}.json"
    if not path.exists():
        return Position({})
    try:
        said = json.loads(path.read_text())
        pending = {j: (int(a), int(b)) for j, (a, b) in said["pending"].items()} if said["pending"] else None
        return Position({j: int(n) for j, n in said["committed"].items()}, pending)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise OSError(because("store.file_damaged", file=path, problem=exc)) from exc


def save(folder: Path, name: str, position: Position) -> None:
    """Replace the consumer's file durably."""
    folder.mkdir(parents=True, exist_ok=True)
    path, draft = folder / f"{name}.json", folder / f".{name}.{os.getpid()}.draft"
    with draft.open("w") as f:
        json.dump({"committed": position.committed, "pending": position.pending}, f)
        f.flush()
        os.fsync(f.fileno())
    draft.replace(path)
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""Put finished files where readers look, whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["place"]


def place(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file in a hidden folder beside the target's, then sync it and rename it in; an older one is replaced.

    The draft lies outside every reader's glob: DuckDB's `*.parquet` would read `.tmp.parquet` too.
    """
    drafts = target.parent / "_drafts"
    drafts.mkdir(parents=True, exist_ok=True)
    draft = drafts / f"{target.name}.{os.getpid()}.draft"
    try:
        write(draft)
        fd = os.open(draft, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""One run of a job at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from messages import because

__all__ = ["Locked", "locked"]


class Locked(RuntimeError):
    """Another run holds the lock; try again (exit 75)."""


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock `<folder>/<name>.lock` or raise Locked; the kernel releases it when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(because("store.job_running", job=name)) from None
        yield
    finally:
        os.close(fd)

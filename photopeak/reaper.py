"""supervisord as a child subreaper: whatever its children leave behind is adopted here, and ended before this process exits.

supervisord alone leaves orphans of Airflow's tasks. `python -m photopeak.reaper -c supervisord.conf`
"""

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["descendants", "end", "lose_lines_on_a_full_disk", "main"]

PR_SET_CHILD_SUBREAPER = 36


def descendants(root: int) -> list[int]:
    """Return the living processes below `root`, without `root`."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue  # it ended while we looked
        if state != "Z":
            children.setdefault(int(parent), []).append(int(entry.name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def end(pids: list[int], number: int) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def main(arguments: list[str]) -> int:
    """Run supervisord until it ends, then end what is left of its children."""
    from supervisor import supervisord

    lose_lines_on_a_full_disk()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    code = 0
    try:
        supervisord.main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        for number, grace_s in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            end(descendants(os.getpid()), number)
            since = time.monotonic()
            while time.monotonic() - since < grace_s and descendants(os.getpid()):
                _collect()
                time.sleep(0.05)
    return code


def lose_lines_on_a_full_disk() -> None:
    """Let a line of a log be lost that cannot be written: supervisord would end, and with it every service."""
    from supervisor.loggers import Handler, RotatingFileHandler

    report, emit = Handler.handleError, RotatingFileHandler.emit

    def told_or_lost(self: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            report(self)

    def written_or_lost(self: Any, record: Any) -> None:
        with contextlib.suppress(OSError):  # of the roll-over
            emit(self, record)

    Handler.handleError, RotatingFileHandler.emit = told_or_lost, written_or_lost


def _collect() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Refuse input while the disk is nearly full: what is half written then helps nobody."""

import errno
import shutil
from pathlib import Path

from messages import because

__all__ = ["require_space"]


def require_space(folder: Path, min_free_mib: int) -> None:
    """Raise OSError (ENOSPC) when less than `min_free_mib` is free where `folder` lies or will lie."""
    while not folder.exists():
        folder = folder.parent
    free_mib = shutil.disk_usage(folder).free >> 20
    if free_mib < min_free_mib:
        raise OSError(errno.ENOSPC, because("store.disk_low", free_mib=free_mib, needed_mib=min_free_mib))

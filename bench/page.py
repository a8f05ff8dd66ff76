"""docs/speed.md: each bench writes its own section of it anew, with the machine, the day and the load that its figures belong to."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version

from bench.cases import ROOT

__all__ = ["load", "write"]

TARGET = ROOT / "docs" / "speed.md"
HEAD = """# Speed

Made by `make bench`: no figure below is typed by hand. Figures of one table were taken side by side in one run, so their ratios hold on
other machines; the figures themselves are those of the machine named above them. On a busy machine everything but CPU time is too large.
"""


def load() -> float:
    """Return how many programs wanted to run, mean of the last minute."""
    return os.getloadavg()[0]


def write(title: str, lines: list[str], loads: tuple[float, float]) -> None:
    """Write one section, the others stay as they are."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python "
        f"{platform.python_version()}, NumPy {version('numpy')}, pydicom {version('pydicom')}; load {loads[0]:.1f} before, {loads[1]:.1f} after"
    )
    busy = " — **the machine was busy with other work**" if loads[0] > 1 else ""
    old = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", old, re.MULTILINE | re.DOTALL))
    sections[title] = "\n" + "\n".join([machine + busy + ".", "", *lines]) + "\n\n"
    text = HEAD + "".join(f"\n## {name}\n{body.rstrip()}\n" for name, body in sorted(sections.items()))
    TARGET.write_text(text, encoding="utf-8")

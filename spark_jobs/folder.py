"""Files and folders as inputs: each is found, sorted into its series or document, and opened again when its turn comes.

What stays in memory of a file is a few hundred bytes; one series is open at a time. Headers of a small folder are kept, so that it is
read once.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from messages import because
from spark_jobs.documents import Document
from spark_jobs.faults import of_file
from spark_jobs.procedures import TOLD_BY
from spark_jobs.procedures.combined.registration import Head
from spark_jobs.procedures.heads import camera_of
from spark_jobs.procedures.sheets import names_images
from spark_jobs.reading import Instance, content_digest, read_file, series_key

__all__ = ["Heap", "Series", "Unmeasurable", "files_of", "heap_of", "sheets_for"]

KEPT = 100  # headers that stay in memory: 0.1 MB each


@dataclass(frozen=True)
class Unmeasurable:
    """An input that is not looked at further, and why; `named`: the user named it, and there is nothing to look at."""

    source: str
    reason: str
    named: bool = False


@dataclass
class Series:
    """The images of one series: where they are, and what became of files that bear one UID."""

    head: Head
    camera: tuple[object, ...] | None = None  # of an image of one head: what all heads of its acquisition share
    sources: list[str | None] = field(default_factory=list)
    kept: dict[int, Instance] = field(default_factory=dict)  # by number
    copies: list[str | None] = field(default_factory=list)
    collided: int = 0  # images that bear the SOP Instance UID of another with other contents
    sop_uids: dict[str, int] = field(default_factory=dict)
    contents: dict[str, set[bytes]] = field(default_factory=dict)

    def add(self, instance: Instance, keep: bool) -> None:
        """Take an image in; a copy of one that is there, also in another encoding, is noted as that."""
        number = len(self.sources)
        first = self.sop_uids.setdefault(instance.sop_uid, number)
        if first != number:
            seen = self.contents.setdefault(instance.sop_uid, set()) or {content_digest(self._open(first))}
            self.contents[instance.sop_uid] = seen
            digest = content_digest(instance)
            if digest in seen:
                self.copies.append(instance.source)
                return
            seen.add(digest)
            self.collided += 1
        self.sources.append(instance.source)
        if keep or instance.source is None:
            self.kept[number] = instance

    def opened(self) -> list[Instance]:
        """Return the images; raise `Unreadable` when a file went away meanwhile."""
        return [self._open(k) for k in range(len(self.sources))]

    def close(self) -> None:
        """Let go of what was kept."""
        self.kept.clear()

    def _open(self, number: int) -> Instance:
        return self.kept.get(number) or read_file(Path(self.sources[number] or ""))


class Heap:
    """What was taken in, by series and documents, in the order met."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}
        self.documents: list[Document] = []  # without contents, but for sheets that tell of images
        self._kept = 0

    @property
    def series(self) -> list[Series]:
        """Return the series in the order of their first images."""
        return list(self._series.values())

    def add(self, one: Instance | Document) -> None:
        """Take an object in."""
        if isinstance(one, Document):
            lean = one.source is not None and one.kind not in TOLD_BY
            self.documents.append(replace(one, root=None, sheet={}) if lean else one)
            return
        key = series_key(one)
        if key not in self._series:
            self._series[key] = Series(Head.of(one), camera_of(one))
        self._kept += 1
        self._series[key].add(one, self._kept <= KEPT)


def sheets_for(group: Sequence[int], series: Sequence[Series], documents: Sequence[Document]) -> dict[int, Document]:
    """Return the documents that may tell of some series, by their number.

    A sheet that names no images is of the series in its folder or below; where none lies there, of whatever came along.
    """
    modality = series[group[0]].head.modality
    out = {}
    for number, d in enumerate(documents):
        near = {k for k, s in enumerate(series) if _lies_with(s, d)} or set(range(len(series)))
        rivals = [k for k in near if k not in group and series[k].head.modality == modality]
        if names_images(d.sheet) or near & set(group):
            out[number] = replace(d, of_several=bool(rivals))
    return out


def _lies_with(series: Series, document: Document) -> bool:
    if document.source is None or not series.sources or series.sources[0] is None:
        return True
    folder = Path(series.sources[0]).parent
    return Path(document.source).parent in (folder, *folder.parents)


def heap_of(objects: Iterable[Instance | Document]) -> Heap:
    """Return objects that are in memory, sorted."""
    heap = Heap()
    for one in objects:
        heap.add(one)
    return heap


def files_of(paths: Iterable[Path]) -> Iterator[Path | Unmeasurable]:
    """Yield each file that is meant, once, and what is named or lies in a folder and cannot be looked at, with the reason.

    Names that begin with a dot are what systems keep for themselves, and are passed over in folders.
    """
    seen: set[str] = set()
    for path in paths:
        for one in _inside(path) if path.is_dir() else iter((_one(path),)):
            name = str(one) if isinstance(one, Path) else one.source
            if name not in seen:
                seen.add(name)
                yield one


def _inside(folder: Path) -> Iterator[Path | Unmeasurable]:
    refused: list[Unmeasurable] = []
    found = 0

    def note(exc: OSError) -> None:
        reason = because("folder.no_permission") if isinstance(exc, PermissionError) else of_file(exc)
        refused.append(Unmeasurable(str(exc.filename), reason))

    names: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=note):
        names += [Path(place) / f for f in files if not f.startswith(".")]
        links = [Path(place) / f for f in folders if (Path(place) / f).is_symlink()]
        refused += [Unmeasurable(str(f), because("folder.link")) for f in links]
    for name in sorted(names):
        found += 1
        yield _one(name)
    yield from refused
    if not found and not refused:
        yield Unmeasurable(str(folder), because("folder.empty"), named=True)


def _one(path: Path) -> Path | Unmeasurable:
    try:
        mode = path.stat().st_mode
    except OSError as exc:
        if path.is_symlink():
            return Unmeasurable(str(path), because("file.link_broken"))
        missing = isinstance(exc, FileNotFoundError | NotADirectoryError)
        if missing:
            return Unmeasurable(str(path), because("file.missing"), named=True)
        return Unmeasurable(str(path), of_file(exc))
    if not stat.S_ISREG(mode):
        return Unmeasurable(str(path), because("file.not_ordinary"))
    return path

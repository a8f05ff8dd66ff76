"""The embedded object store: a file an object, synced, then renamed in, then its folder synced."""

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from connectors.stores.object_store.port import Blob, DamagedObject, key_of
from messages import because

__all__ = ["FileObjectStore"]

KEY = re.compile(r"([0-9a-f]{2})/\1[0-9a-f]{62}")


class FileObjectStore:
    """Objects in the folder `root`; with `seal` and `unseal` the files are encrypted and keep the keys of their plain bytes."""

    def __init__(
        self,
        root: Path,
        seal: Callable[[bytes], bytes] | None = None,
        unseal: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._root, self._seal, self._unseal = root, seal, unseal
        self._drafts = root / "_drafts"

    def open(self) -> "FileObjectStore":
        """Make the folders and remove drafts of writers that are gone; return the store, ready for `put`."""
        self._drafts.mkdir(parents=True, exist_ok=True, mode=0o750)
        for draft in self._drafts.glob("*.part"):
            pid = draft.name.partition("-")[0]
            if pid == str(os.getpid()) or not Path("/proc", pid).exists():
                draft.unlink(missing_ok=True)
        return self

    def put(self, data: bytes | Blob) -> str:
        """Return the key when the bytes are durable."""
        blob = data if isinstance(data, Blob) else Blob(data)
        target = self._root / blob.key
        if not target.exists():
            if not target.parent.exists():
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                _sync(self._root)
            draft = self._drafts / f"{os.getpid()}-{secrets.token_hex(8)}.part"
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440), "wb", buffering=0) as f:
                    _write_all(f.fileno(), self._seal(blob.data) if self._seal else blob.data)
                    os.fsync(f.fileno())
                draft.rename(target)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        _sync(target.parent)  # also when it was there: its writer may have died between rename and sync
        return blob.key

    def get(self, key: str) -> bytes:
        """Return the bytes under a key, checked."""
        if not KEY.fullmatch(key):
            raise FileNotFoundError(because("store.no_key", key=key))
        data = (self._root / key).read_bytes()
        if self._unseal:
            data = self._unseal(data)
        if key_of(data) != key:
            raise DamagedObject(because("store.object_changed", key=key))
        return data

    def exists(self, key: str) -> bool:
        """Return whether there is an object under this key."""
        return bool(KEY.fullmatch(key)) and (self._root / key).is_file()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

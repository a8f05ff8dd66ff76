"""The object store's rules, held by files, sealed files and memory alike."""

import errno
import hashlib
import os
import stat

import pytest

from connectors.identity import Keys
from connectors.stores.object_store.files import FileObjectStore
from connectors.stores.object_store.memory import MemoryObjectStore
from connectors.stores.object_store.port import Blob, DamagedObject
from connectors.stores.space import require_space

KEYS = Keys("MAIN", b"a" * 32, b"b" * 32)


def is_folder(fd):
    return stat.S_ISDIR(os.fstat(fd).st_mode)


@pytest.fixture(params=["files", "sealed", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryObjectStore()
    return FileObjectStore(tmp_path, *((KEYS.seal, KEYS.unseal) if request.param == "sealed" else ())).open()


def test_bytes_come_back_under_the_digest_of_what_was_put(store):
    key = store.put(b"counts")
    digest = hashlib.sha256(b"counts").hexdigest()
    assert key == f"{digest[:2]}/{digest}"
    assert store.put(b"counts") == key
    assert store.get(key) == b"counts" and store.exists(key)
    blob = Blob(b"other counts")
    assert (blob.sha256, len(blob)) == (hashlib.sha256(blob.data).hexdigest(), 12)
    assert store.put(blob) == blob.key == store.put(blob.data) and store.get(blob.key) == blob.data


def test_strangers_are_not_there(store):
    for key in ("ab/" + "a" * 64, "aa/" + "a" * 64, "../../etc/passwd", ""):
        assert not store.exists(key)
        with pytest.raises(FileNotFoundError):
            store.get(key)


def test_sealed_files_show_nothing(tmp_path):
    key = FileObjectStore(tmp_path, KEYS.seal, KEYS.unseal).open().put(b"Zhang^San" * 10)
    assert b"Zhang" not in (tmp_path / key).read_bytes()


def test_changed_bytes_are_noticed(tmp_path):
    store = FileObjectStore(tmp_path).open()
    key = store.put(b"counts")
    (tmp_path / key).chmod(0o600)
    (tmp_path / key).write_bytes(b"Counts")
    with pytest.raises(DamagedObject):
        store.get(key)


def test_an_object_is_synced_before_its_name_appears_and_its_folder_after(tmp_path, monkeypatch):
    done = []
    fsync, rename = os.fsync, type(tmp_path).rename
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("folder" if is_folder(fd) else "file"), fsync(fd)))
    monkeypatch.setattr(type(tmp_path), "rename", lambda self, to: (done.append("rename"), rename(self, to)))
    FileObjectStore(tmp_path).open().put(b"counts")
    assert done[-3:] == ["file", "rename", "folder"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failed_sync_is_an_error_and_leaves_nothing(tmp_path, monkeypatch, code):
    store = FileObjectStore(tmp_path).open()

    def broken(fd):
        if not is_folder(fd):
            raise OSError(code, "injected")
        return None

    with monkeypatch.context() as m, pytest.raises(OSError, match="injected"):
        m.setattr(os, "fsync", broken)
        store.put(b"counts")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert store.exists(store.put(b"counts"))


def test_drafts_of_dead_writers_are_removed_and_those_of_the_living_stay(tmp_path):
    FileObjectStore(tmp_path).open()
    (tmp_path / "_drafts" / "4194305-aa.part").touch()  # above the largest pid of Linux
    (tmp_path / "_drafts" / f"{os.getppid()}-bb.part").touch()
    FileObjectStore(tmp_path).open()
    assert [p.name for p in (tmp_path / "_drafts").iterdir()] == [f"{os.getppid()}-bb.part"]


def test_a_nearly_full_disk_is_refused_in_one_sentence(tmp_path):
    require_space(tmp_path / "not" / "there", 0)
    with pytest.raises(OSError, match="free some space") as caught:
        require_space(tmp_path, 1 << 40)
    assert caught.value.errno == errno.ENOSPC

"""An object store that forgets when the process ends: for tests of what stands on one."""

from connectors.stores.object_store.port import Blob, DamagedObject, key_of
from messages import because

__all__ = ["MemoryObjectStore"]


class MemoryObjectStore:
    """The port's rules on a dictionary; `fail_with` makes the next puts fail as a broken disk would."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fail_with: OSError | None = None

    def put(self, data: bytes | Blob) -> str:
        """Return the key of the bytes."""
        if self.fail_with is not None:
            raise self.fail_with
        blob = data if isinstance(data, Blob) else Blob(data)
        self.objects.setdefault(blob.key, blob.data)
        return blob.key

    def get(self, key: str) -> bytes:
        """Return the bytes under a key, checked."""
        if key not in self.objects:
            raise FileNotFoundError(because("store.no_object", key=key))
        if key_of(self.objects[key]) != key:
            raise DamagedObject(because("store.object_changed", key=key))
        return self.objects[key]

    def exists(self, key: str) -> bool:
        """Return whether there is an object under this key."""
        return key in self.objects

"""What an object store is: bytes under the SHA-256 of what they are."""

import hashlib
from typing import Protocol

__all__ = ["DamagedObject", "ObjectStore", "key_of"]


class DamagedObject(OSError):
    """The bytes under a key are not those that were put there."""


def key_of(data: bytes) -> str:
    """Return the key of plain bytes: `<first 2 hex digits>/<SHA-256>`."""
    digest = hashlib.sha256(data).hexdigest()
    return f"{digest[:2]}/{digest}"


class ObjectStore(Protocol):
    """Bytes that never change once they are there."""

    def put(self, data: bytes) -> str:
        """Return the key when the bytes are durable, else raise OSError; the same bytes again change nothing."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes, checked against their key; raise FileNotFoundError or DamagedObject."""
        ...

    def exists(self, key: str) -> bool:
        """Return whether there is an object under this key."""
        ...

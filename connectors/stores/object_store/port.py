"""What an object store is: bytes under the SHA-256 of what they are."""

import hashlib
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Blob", "DamagedObject", "ObjectStore", "digest", "key_of"]


class DamagedObject(OSError):
    """The bytes under a key are not those that were put there."""


def digest(data: bytes) -> str:
    """Return the SHA-256 of an object's bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with their digest, which is computed once: what goes through a door as an object."""

    data: bytes = field(repr=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", digest(self.data))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def key(self) -> str:
        """Return the key in a store: `<first 2 hex digits>/<SHA-256>`."""
        return f"{self.sha256[:2]}/{self.sha256}"


def key_of(data: bytes) -> str:
    """Return the key of plain bytes."""
    return Blob(data).key


class ObjectStore(Protocol):
    """Bytes that never change once they are there."""

    def put(self, data: bytes | Blob) -> str:
        """Return the key when the bytes are durable, else raise OSError; the same bytes again change nothing. A blob is hashed no more."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes, checked against their key; raise FileNotFoundError or DamagedObject."""
        ...

    def exists(self, key: str) -> bool:
        """Return whether there is an object under this key."""
        ...

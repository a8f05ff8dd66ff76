"""Private elements by their creator: the block that a creator has reserved in a data set, whichever it is (PS3.5 7.8.1).

The number of an element alone says nothing: an archive may have moved the block, and another creator's may stand in its place.
"""

from typing import Any

__all__ = ["private_value"]

UNREADABLE = "?"  # no number and no moment: what is there and is not what its type says is no absent element


def private_value(dataset: Any, group: int, creator: str, element: int) -> Any:
    """Return the value of a private element, None where the creator has reserved no block or the element is not in it or is empty.

    One that its type cannot hold is `UNREADABLE`.

    Parameters
    ----------
    dataset
        A data set of pydicom.
    group, creator, element
        Odd group, the creator as the vendor's conformance statement writes it, the two low digits of the element.
    """
    wanted = creator.casefold().split()
    tags = (int(tag) for tag in dataset.keys())  # noqa: SIM118 - the values are not to be read
    for block in sorted(tag & 0xFFFF for tag in tags if tag >> 16 == group and 0x10 <= tag & 0xFFFF <= 0xFF):
        if _text(dataset[group, block].value).casefold().split() != wanted:
            continue
        try:  # pydicom decodes when it is asked, and raises many kinds
            found = dataset.get((group, (block << 8) + element))
        except Exception:
            return UNREADABLE
        if found is not None and found.value not in (None, "", b""):
            return _text(found.value) if isinstance(found.value, bytes) else found.value
    return None


def _text(value: Any) -> str:
    """Return a text; an element of unknown VR (UN) comes as bytes."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text.strip(" \0")

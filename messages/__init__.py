"""Reasons, notes and refusals as data: a code and its arguments; one catalogue a language makes sentences of them.

A `Message` is also the text of its English sentence, so that it goes wherever text goes. `str()` of it, and of an exception that was
raised with it, is the message itself: code and arguments survive `str(exc)`, pickling and copying. What takes a part of the text, or puts it into
other text, gives plain text without a code; put a message into another one as an argument instead.
"""

from messages.catalogue import VERSION, codes, name_of
from messages.message import Message, because, either, joined
from messages.render import both, render, source
from messages.store import columns, fields, from_fields, from_listed, from_text, listed, stored, to_args, to_text

__all__ = [
    "VERSION", "Message", "because", "both", "codes", "columns", "either", "fields", "from_fields", "from_listed", "from_text", "joined",
    "listed", "name_of", "render", "source", "stored", "to_args", "to_text",
]  # fmt: skip

"""The message: text that knows the code and the arguments that it was made of."""

from collections.abc import Iterable
from enum import Enum
from typing import Any, SupportsIndex

from messages.render import EITHER, JOINED, render

__all__ = ["Message", "because", "either", "joined"]


class Message(str):
    """A reason, a note or a refusal: its English sentence, with `code` and `args`. Make it with `because`.

    Equal to its English text, and hashed like it. Neither `code` nor `args` may be changed.
    """

    __slots__ = ("args", "code")
    code: str
    args: dict[str, Any]  # numbers, texts, null, {"en", "zh"} of what has a name in both languages, messages, and lists of these

    def __new__(cls, code: str, args: dict[str, Any]) -> "Message":
        """Return the message of a code of the catalogue; an unknown code is a KeyError."""
        self = super().__new__(cls, render(code, "en", args))
        object.__setattr__(self, "code", code)
        object.__setattr__(self, "args", args)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name} of a message cannot be changed")

    def __str__(self) -> str:
        return self  # str(exc) keeps the code

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return Message, (self.code, self.args)


def because(code: str, /, **args: Any) -> Message:
    """Return the message of a code with its arguments.

    Parameters
    ----------
    code
        A code of the catalogue, such as `flood.too_few_counts`.
    **args
        The arguments that the template names. Numbers stay numbers (the template formats them), also those of numpy; exceptions give what
        they were raised with; lists give their elements; a dict `{"en", "zh"}` is the name of something that a hospital named; else the text counts.

    Raises
    ------
    KeyError
        The catalogue does not know the code.
    """
    return Message(code, {name: _argument(value) for name, value in args.items()})


def joined(reasons: Iterable[str]) -> str | None:
    """Return one message of several ("; " between them in English, "；" in Chinese), the only one itself, or None of none at all."""
    return _list(JOINED, reasons)


def either(choices: Iterable[str]) -> str | None:
    """Return one message that offers several ("or" between them)."""
    return _list(EITHER, choices)


def _list(code: str, texts: Iterable[str]) -> str | None:
    parts = [_argument(text) for text in texts if text]
    return None if not parts else parts[0] if len(parts) == 1 else Message(code, {"parts": parts})


def _argument(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int) or type(value) is float:
        return value if value == value else "nan"  # JSON has no NaN
    if isinstance(value, BaseException):
        return str(value)
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a number of numpy
        return _argument(value.item())
    if isinstance(value, float):
        return _argument(float(value))
    if isinstance(value, dict) and value.keys() >= {"en", "zh"}:
        return {k: value[k] for k in ("en", "zh")}
    if isinstance(value, list | tuple | set | frozenset):
        return [_argument(v) for v in (value if isinstance(value, list | tuple) else sorted(value))]
    return str(value)

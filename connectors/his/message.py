"""HL7 v2 message: bytes to segments and fields (encoding rules of chapter 2), whatever the character set says."""

import re
from dataclasses import dataclass

from connectors.charsets import SINGLE, Reading, reading
from messages import because

__all__ = ["InvalidMessage", "Message", "Segment", "declared_name", "parse"]

# MSH-18 (HL7 table 0211, and what senders write instead) -> Python codec
CHARACTER_SETS = {
    "UNICODE UTF-8": "utf-8", "UTF-8": "utf-8", "UTF8": "utf-8", "UNICODE": "utf-8", "ASCII": "ascii",
    "GB 18030-2000": "gb18030", "GB 18030": "gb18030", "GB18030": "gb18030", "GBK": "gb18030", "GB2312": "gb18030",
    **{f"8859/{n}": f"iso-8859-{n}" for n in (*range(1, 12), 13, 14, 15, 16)}, "ISO IR87": "iso2022_jp", "BIG-5": "big5", "KS X 1001": "euc_kr",
}  # fmt: skip
ISO_8859 = re.compile(r"^(?:ISO[ _-]?)?8859[/ _-](\d{1,2})$")
SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")


class InvalidMessage(ValueError):
    """A message that may not enter; `code` is the acknowledgement (AE content, AR not ours at all), `error` HL7 table 0357.

    The reason goes to journal, lake, log and sender: it names the place (`location`, type ERL) and never repeats a value, which may be
    somebody's name.
    """

    def __init__(self, reason: str, code: str = "AE", error: str = "207", location: str = "") -> None:
        super().__init__(reason)
        self.code, self.error, self.location = code, error, location


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; fields count from 1 as in the standard (MSH-1 is the field separator itself)."""

    name: str
    fields: tuple[str, ...]
    marks: str  # separators of field, component, repetition; escape; separator of sub-component
    codec: str

    def raw(self, field: int) -> str:
        """Return a field as sent, empty when it is not there; the HL7 null `""` is empty too."""
        text = self.fields[field] if field < len(self.fields) else ""
        return "" if text == '""' else text

    def get(self, field: int, component: int = 1) -> str:
        """Return one component of the first repetition, unescaped and stripped."""
        return self.repetitions(field, component)[0]

    def repetitions(self, field: int, component: int = 1) -> list[str]:
        """Return one component of every repetition; at least one, which may be empty."""
        return [self._component(r, component) for r in self.raw(field).split(self.marks[2])]

    def text(self, field: int) -> str:
        """Return a whole field for reading: components joined by spaces, repetitions by line ends."""
        lines = (
            " ".join(filter(None, (self._plain(c) for c in r.split(self.marks[1])))) for r in self.raw(field).split(self.marks[2])
        )
        return "\n".join(lines).strip()

    def is_split(self, field: int) -> bool:
        """Return whether a first component holds more than one sub-component."""
        firsts = (r.split(self.marks[1])[0] for r in self.raw(field).split(self.marks[2]))
        return any(part.strip() for first in firsts for part in first.split(self.marks[4])[1:])

    def is_deleted(self, field: int) -> bool:
        """Return whether a field takes back what earlier messages said (HL7 v2 chapter 2: two quotation marks); an empty one leaves it."""
        return field < len(self.fields) and self.fields[field].strip() == '""'

    def _component(self, repetition: str, component: int) -> str:
        parts = repetition.split(self.marks[1])
        part = parts[component - 1] if component <= len(parts) else ""
        return self._plain("" if part == '""' else part.split(self.marks[4])[0])

    def _plain(self, text: str) -> str:
        return _unescape(text, self.marks, self.codec).strip()


@dataclass(frozen=True, slots=True)
class Message:
    """A message in segments; `codec` is the character set that really fits its bytes, `is_doubtful` whether it is not the declared one."""

    segments: tuple[Segment, ...]
    codec: str
    is_doubtful: bool = False

    @property
    def header(self) -> Segment:
        """Return MSH."""
        return self.segments[0]

    @property
    def kind(self) -> tuple[str, str]:
        """Return message code and trigger event (MSH-9), such as ("ADT", "A04")."""
        return self.header.get(9, 1), self.header.get(9, 2)

    def first(self, name: str) -> Segment | None:
        """Return the first segment of this name, null when there is none."""
        return next((s for s in self.segments if s.name == name), None)


def parse(content: bytes) -> Message:
    """Return the message; raise InvalidMessage with the first thing that is wrong with its structure."""
    content = content.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n \t")
    if not content.startswith(b"MSH") or len(content) < 8:
        raise InvalidMessage(because("hl7.no_msh"), "AR", "100")
    declared = CHARACTER_SETS.get(_declared(content))
    whole = _escaped(content) or reading(content, declared)
    separator, marks = whole.text[3], _marks(whole.text)
    segments = []
    read = _lines(content, whole, declared)
    for number, (line, codec, _) in enumerate(read, 1):
        line = line.strip("\n")
        if not line.strip():
            continue
        name, *fields = line.split(separator)
        if not SEGMENT.fullmatch(name):
            raise InvalidMessage(because("hl7.segment_name", segment=number), error="100")
        segments.append(Segment(name, (name, *((separator, *fields) if name == "MSH" else fields)), marks, codec))
    return Message(tuple(segments), whole.codec, whole.doubtful or any(r.doubtful for r in read))


def _escaped(content: bytes) -> Reading | None:
    """Return the text of bytes that change their character set by escapes (ISO 2022), None where none do.

    Two bytes of such a character may look like separators: it must be read before the message is split.
    """
    if not content.isascii() or b"\x1b$" not in content:
        return None
    for codec in ("iso2022_kr",) if b"\x1b$)C" in content else ("iso2022_jp", "iso2022_jp_2"):
        try:
            return Reading(content.decode(codec), codec, b"IR" not in re.split(rb"[\r\n]", content, maxsplit=1)[0])
        except UnicodeDecodeError:
            continue
    raise InvalidMessage(because("hl7.escapes_unreadable"), error="102", location="MSH^1^18")


def _lines(content: bytes, whole: Reading, declared: str | None) -> list[Reading]:
    """Return the lines of a message; in one of several character sets each is read by itself, for none fits them all."""
    lines = re.split(rb"\r\n?" if b"\r" in content else rb"\n", content)
    if whole.codec not in ("ascii", "utf-8") and not content.isascii():
        read = [reading(line, declared) for line in lines]
        if whole.codec == SINGLE or any(r.codec == "utf-8" and not r.text.isascii() for r in read):
            return read
    text = whole.text
    return [whole._replace(text=line) for line in (text.replace("\r\n", "\r").split("\r") if "\r" in text else text.split("\n"))]


def declared_name(codec: str) -> str:
    """Return what MSH-18 calls a codec of ours; empty for ASCII, the default."""
    return next((name for name, known in CHARACTER_SETS.items() if known == codec != "ascii"), "")


def _marks(text: str) -> str:
    separator = text[3]
    if separator.isalnum() or separator.isspace():
        raise InvalidMessage(because("hl7.no_field_separator"), "AR", "100")
    marks = text[4:].split(separator, 1)[0]
    if not 2 <= len(marks) <= 5 or len(set(marks)) != len(marks):
        raise InvalidMessage(because("hl7.no_encoding_characters"), "AR", "100")
    return separator + (marks + r"^~\&"[len(marks) :])[:4]


def _declared(content: bytes) -> str:
    head = re.split(rb"[\r\n]", content, maxsplit=1)[0].decode("latin-1").split(chr(content[3]))
    said = [ISO_8859.sub(r"8859/\1", name.strip().upper()) for name in re.split(r"[~\\^]", head[17])] if len(head) > 17 else []
    # a repetition is a set that the message switches to: it holds what the first one holds
    return next((name for name in reversed(said) if str(CHARACTER_SETS.get(name)).startswith("iso2022")), said[0] if said else "")


def _unescape(text: str, marks: str, codec: str) -> str:
    separator, component, repetition, escape, sub = tuple(marks)
    if escape not in text:
        return text
    plain = {"F": separator, "S": component, "R": repetition, "E": escape, "T": sub, "H": "", "N": "", ".br": "\n", ".sp": "\n"}

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "X" and len(code) > 1 and len(code) % 2 == 1 and re.fullmatch(r"[0-9A-Fa-f]+", code[1:]):
            return _hexadecimal(bytes.fromhex(code[1:]), codec)
        return plain.get(code, match[0])

    e = re.escape(escape)
    return re.sub(f"{e}([^{e}]{{1,80}}){e}", replace, text)


def _hexadecimal(content: bytes, codec: str) -> str:
    r"""Return the characters of `\X…\`: in the message's character set, or UTF-16 as some senders write it (`\X00E0\`)."""
    if len(content) % 2 == 0 and 0 in content:
        codec = "utf-16-be"
    try:
        return content.decode(codec)
    except UnicodeDecodeError:
        return content.decode("iso-8859-1")

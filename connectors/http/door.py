"""The door for events over HTTP: bodies in, accounts out, each event or its quarantine durable before the answer."""

import base64
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple

from connectors.charsets import coded_twice
from connectors.documents import SERIES, NoDocument, about, nameless, parsed, utc_of
from connectors.events import Event, InvalidEvent, canonical, from_cloudevent, intake_outcome, utc_text, validate
from connectors.free_text import BLOT, Secrets, without_ids, without_numbers
from connectors.identity import Keys, Unsealable, Vault, is_phantom
from connectors.nuclides import kept_as
from connectors.settings import Settings
from connectors.stores.journal.port import Journal, Receipt
from connectors.stores.object_store.port import Blob, ObjectStore
from connectors.stores.space import require_space
from judgement.physical import no_reading
from judgement.reference import read
from judgement.rows import PhysicalRange, Sensor
from messages import Message, because, fields

__all__ = ["ACCEPTED", "REPORT", "Account", "Door"]

ACCEPTED = frozenset((
    "sensor.readings", "examination.step", "examination.dose", "examination.preparation", "staff.credential",
    "device.check", "device.hold_override", "device.maintenance", "device.report", "form.signed", "adverse.event",
))  # fmt: skip
REPORT = "device.report"
READINGS = "sensor.readings"
DOSE = "examination.dose"
OVERRIDE = "device.hold_override"
# the field that people write in, and how long its schema lets it be
FREE_TEXT = {
    "adverse.event": ("description", 2000),
    "device.check": ("note", 256),
    "device.hold_override": ("reason", 256),
    "device.maintenance": ("note", 256),
    "examination.preparation": ("note", 256),
    "examination.step": ("note", 256),
}
CONFLICT = "door.event_reused"
SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
WORD = re.compile(r"[^\W\d_]{2}")
PLAIN = re.compile(r"(?!\s*0\d{5})[-+\d.,:eE\s]*")  # numbers, UIDs; what begins with zeros is the number of somebody or something
LOG = logging.getLogger("photopeak.events")


@dataclass(slots=True)
class Account:
    """What became of the events of one request."""

    stored: int = 0
    duplicate: int = 0
    quarantined: list[dict[str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"stored": self.stored, "duplicate": self.duplicate, "quarantined": self.quarantined}


class _Good(NamedTuple):
    """An event as the journal will keep it, the bytes that are sealed when they must be, and the digest of the body as it came."""

    event: Event
    keep: Blob
    sha256: str


class Door:
    """Bodies in, accounts out; all is durable when `take` returns."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        sealed: ObjectStore,
        clear: ObjectStore,
        vault: Vault,
        keys: Keys,
        now: Callable[[], datetime],
    ) -> None:
        self._settings, self._journal, self._sealed, self._clear, self._now = settings, journal, sealed, clear, now
        self._vault, self._keys = vault, keys

    def take(self, bodies: Sequence[object], sender: str) -> Account:
        """Return the account of parsed bodies from an authenticated sender; raise OSError when they cannot be made durable."""
        require_space(self._settings.journals, self._settings.min_free_mib)
        account, at = Account(), self._now()
        good: list[_Good] = []
        seen: dict[str, str] = {}
        for body in bodies:
            raw = Blob(_text(body))
            try:
                event = self._event(body, sender, at)
                named = self._unnamed(self._nameless(event), seen)
                keep = raw
                if named is not event:
                    # The words as they came are for whoever may open what is sealed. The mark makes its digest, which is the name of
                    # the sealed bytes and stands in the outcome, one that no guess of the name can be tried against.
                    keep = Blob(_text({**body, "saidmark": event.said}))  # type: ignore[dict-item]
                    self._sealed.put(keep)
                good.append(_Good(named, keep, raw.sha256))
            except InvalidEvent as exc:
                self._quarantine(_name(body), raw, str(exc), sender, at, account)
        if good:
            self._append(good, sender, at, account)
        return account

    def quarantine_body(self, raw: bytes, reason: str, sender: str) -> None:
        """Keep a body that holds no event at all; raise OSError when it cannot be kept."""
        require_space(self._settings.journals, self._settings.min_free_mib)
        self._quarantine(because("door.no_event"), Blob(raw), reason, sender, self._now(), Account())

    def _event(self, body: object, sender: str, at: datetime) -> Event:
        document = _document(body)
        content = None if document is None else Blob(document)
        event = from_cloudevent({**body, "data": {}} if content is not None else body, at, self._settings.site_id)  # type: ignore[dict-item]
        if event.type not in ACCEPTED:
            raise InvalidEvent(because("door.type_not_taken", type=event.type))
        if event.source != f"urn:photopeak:{sender}":
            raise InvalidEvent(because("door.source_other", source=event.source, sender=sender))
        if not SITE.fullmatch(event.site) or len(event.subject) > 256:
            raise InvalidEvent(because("door.attributes_malformed"))
        if event.site != self._settings.site_id:  # the marts would drop it silently
            raise InvalidEvent(because("door.site_other", site=event.site, own=self._settings.site_id))
        if content is not None:
            event = replace(event, data=self._report(content, event))
        validate(event)
        if event.type == OVERRIDE:
            self._refuse_over(event, at)
        try:
            told = event if content is None else replace(event, data={"document": content.sha256})
            return replace(event, said=self._keys.mark(told.content()))
        except ValueError as exc:  # NaN, lone surrogates: no JSON that others could read
            raise InvalidEvent(because("door.data_no_json", problem=exc)) from None

    def _refuse_over(self, event: Event, at: datetime) -> None:
        """Raise InvalidEvent for an override that can lift nothing any more: whoever sent it must not believe that it does."""
        until = datetime.fromisoformat(event.data["until_utc"])
        if until <= event.occurred_at:
            raise InvalidEvent(because("override.ends_before", until=utc_text(until), event=utc_text(event.occurred_at)))
        if until <= at and self._journal.find(event.source, event.id) is None:  # sent again, it is the duplicate that it was
            raise InvalidEvent(because("override.past", until=utc_text(until), now=utc_text(at)))

    def _report(self, content: Blob, event: Event) -> dict[str, Any]:
        """Return the data of a `device.report`; the objects that it names are durable. Raise InvalidEvent for what cannot be read."""
        try:
            document = parsed(content.data)
        except NoDocument as exc:
            raise InvalidEvent(str(exc)) from None
        said = asdict(about(document))
        moment = utc_of(said.pop("moment"), self._settings.zone) or event.occurred_at
        clean = self._of_sheet()
        said = {k: v and clean(v, k) for k, v in said.items()}
        return {
            **said, "device_id": event.subject or None, "acquired_at_utc": utc_text(moment), "size_bytes": len(content),
            "sha256": content.sha256, "sealed_key": self._sealed.put(content), "object_key": self._clear.put(nameless(document, clean)),
        }  # fmt: skip

    def _nameless(self, event: Event) -> Event:
        """Return the event as it is kept: free text cleaned, no reading that can be none, a nuclide that models read; or itself.

        Replaced are: names and numbers of the patient of the examination that the event is about, and the number of any patient whom
        the platform knows (by the pseudonym); the whole name of any patient whom it knows, and what looks like an identity card or a
        mobile phone. A text that names one when it is read in another character set is not kept.
        """
        if event.type == READINGS:
            return _possible(event, self._now())
        if event.type == DOSE:
            nuclide = kept_as(event.data["nuclide"])
            return event if nuclide == event.data["nuclide"] else replace(event, data={**event.data, "nuclide": nuclide})
        name, longest = FREE_TEXT.get(event.type, ("", 0))
        said = event.data.get(name)
        # the serial number of a phantom is no word about anybody
        if not said or str(event.data.get("check", "")).startswith("phantom_used"):
            return event
        told = str(said)
        try:
            about = self._vault.examined(event.data.get("accession_number") or "")
            secrets = {p: Secrets.of(*self._vault.recall(p).values()) for p in about}
            for pseudonym, secret in secrets.items():
                told = secret.blotted(told, pseudonym)
            for begin, end in reversed(self._vault.names_in(told)):  # whose it is, among namesakes, is not known
                told = told[:begin] + BLOT + told[end:]
            if any(self._vault.names_in(t) or any(s.stand_in(t) for s in secrets.values()) for t in coded_twice(told)):
                told = BLOT
            told = without_numbers(without_ids(told, self._known))
        except (sqlite3.Error, Unsealable) as exc:  # no text is kept that could not be looked through
            raise OSError(because("door.vault", problem=exc)) from exc
        return event if told == said else replace(event, data={**event.data, name: told[:longest]})

    def _unnamed(self, event: Event, seen: dict[str, str]) -> Event:
        """Return the event with a keyed mark for each identifier and term that holds the name of anybody whom the platform knows; or itself.

        `seen` keeps what became of each text of this request. Raise InvalidEvent when the schema does not take the mark.
        """
        free = FREE_TEXT.get(event.type, ("", 0))[0]
        data = {k: v if k == free else self._terms(v, seen) for k, v in event.data.items()}
        named, subject = self._terms(event.id, seen), self._terms(event.subject, seen)
        if named != event.id and self._journal.find(event.source, event.id) is not None:
            named = event.id  # it came before the name was known, and is its duplicate
        if (data, named, subject) == (event.data, event.id, event.subject):
            return event
        kept = replace(event, data=data, id=named, subject=subject)
        validate(kept)
        return kept

    def _terms(self, value: Any, seen: dict[str, str]) -> Any:
        if isinstance(value, dict):
            return {k: self._terms(v, seen) for k, v in value.items()}
        if isinstance(value, list):
            return [self._terms(v, seen) for v in value]
        if not isinstance(value, str) or not WORD.search(value):
            return value
        if value not in seen:
            said = any(self._names_in(t, is_term=True) for t in (value, *coded_twice(value)))
            seen[value] = f"{BLOT}~{self._keys.mark(value.encode('utf-8', 'surrogatepass'))[:16]}" if said else value
        return seen[value]

    def _of_sheet(self) -> Callable[[str, str], str]:
        """Return what tells of a text, and its key, what the copy of a report keeps.

        No name of anybody known; no number of one but where it links or measures. What comes again is looked up once.
        """
        known = cache(self._known)

        @cache
        def named(text: str) -> bool:
            return WORD.search(text) is not None and any(self._names_in(t, is_term=True) for t in (text, *coded_twice(text)))

        def kept(text: str, key: str) -> str:
            if not text or text.isspace() or PLAIN.fullmatch(text):
                return text
            return BLOT if named(text) else text if key in SERIES else without_ids(text, known)

        return kept

    def _names_in(self, text: str, is_term: bool = False) -> list[tuple[int, int]]:
        try:
            return self._vault.names_in(text, is_term)
        except sqlite3.Error as exc:  # nothing is kept that could not be looked through
            raise OSError(because("door.vault", problem=exc)) from exc

    def _anonymous(self, text: str) -> str:
        """Return a text or the arguments of a reason without the names of anybody known."""
        if isinstance(text, Message):
            told = {k: self._anonymous(v) if isinstance(v, str) else v for k, v in text.args.items()}
            return text if told == text.args else because(text.code, **told)
        kept = text
        for begin, end in reversed(self._names_in(text)):
            kept = kept[:begin] + BLOT + kept[end:]
        return BLOT if any(self._names_in(t) for t in coded_twice(kept)) else kept

    def _known(self, word: str) -> str | None:
        """Return the pseudonym of the patient whose number a word is, None for any other word."""
        pseudonym = self._keys.pseudonym(word)
        return pseudonym if not is_phantom(word) and self._vault.knows(pseudonym) else None

    def _append(self, good: list[_Good], sender: str, at: datetime, account: Account) -> None:
        """Append the events, and of each its outcome in the same transaction; a conflict is kept in quarantine before that."""
        told: list[Event] = []
        site = self._settings.site_id

        def outcomes(receipts: Sequence[Receipt]) -> list[Event]:
            for one, receipt in zip(good, receipts, strict=True):
                about = (one.keep.sha256, len(one.keep), at)
                if receipt.outcome == "conflict" and not self._said_before(one, sender):
                    self._sealed.put(one.keep)
                    told.append(intake_outcome(site, "events", one.event.id, "quarantined", *about, because(CONFLICT), sender))
                else:
                    became: Literal["stored", "duplicate"] = "stored" if receipt.outcome == "stored" else "duplicate"
                    told.append(intake_outcome(site, "events", one.event.id, became, *about, None, sender))
            return told

        self._journal.append([one.event for one in good], outcomes)
        for one, outcome in zip(good, told, strict=True):
            if outcome.data["outcome"] == "stored":
                account.stored += 1
            elif outcome.data["outcome"] == "duplicate":
                account.duplicate += 1
            else:
                account.quarantined.append({"id": one.event.id, **fields(because(CONFLICT))})

    def _said_before(self, one: _Good, sender: str) -> bool:
        """Return whether the event that is there was these bytes, by its outcome: its row may be older than the marks."""
        same = {"outcome": "stored", "sender": sender, "sha256": one.sha256}
        return any(e.data.items() >= same.items() for _, e in self._journal.of("intake.outcome", one.event.id))

    def _quarantine(self, name: str, raw: Blob, reason: str, sender: str, at: datetime, account: Account) -> None:
        named = name if isinstance(name, Message) else self._terms(name, {})
        name, reason = _readable(named), _readable(self._anonymous(reason))
        self._sealed.put(raw)
        outcome = intake_outcome(self._settings.site_id, "events", name, "quarantined", raw.sha256, len(raw), at, reason, sender)
        self._journal.append([outcome])
        account.quarantined.append({"id": name, **fields(reason)})
        LOG.warning("quarantined %s from %s: %s", name, sender, reason)


def _possible(event: Event, now: datetime) -> Event:
    """Return the event with null for each reading that is none; as the poller has it, with a quality that is not good, and the reason."""
    kept = []
    for reading in event.data["readings"]:
        reason = no_reading(reading, event.data["room_id"], now, read(Sensor), read(PhysicalRange))
        quality = "invalid" if reading["quality"] == "good" else reading["quality"]
        kept.append({**reading, "value": None, "quality": quality, **fields(reason)} if reason else reading)
    return event if kept == event.data["readings"] else replace(event, data={**event.data, "readings": kept})


def _document(body: object) -> bytes | None:
    """Return the document of a `device.report` (CloudEvents JSON format 3.1: `data_base64`, or a sheet as `data`), None for others."""
    if not isinstance(body, dict) or body.get("type") != REPORT:
        return None
    coded = body.get("data_base64")
    try:
        if coded is not None:
            return base64.b64decode(coded, validate=True)
    except (ValueError, TypeError):
        raise InvalidEvent(because("document.undecodable")) from None
    try:
        return canonical(body["data"]) if isinstance(body.get("data"), dict) else b""
    except (ValueError, TypeError):  # a number that is not finite
        raise InvalidEvent(because("document.no_json", line=None, column=None)) from None


def _name(body: object) -> str:
    said = body.get("id") if isinstance(body, dict) else None
    return said[:256] if isinstance(said, str) and said else because("door.no_id")


def _readable(text: str) -> str:
    """Return text that can be written as UTF-8: JSON may bring lone surrogates."""
    readable = text.encode("utf-8", "replace").decode()
    return text if readable == text else readable


def _text(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")

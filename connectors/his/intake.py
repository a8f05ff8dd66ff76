"""One message from the wire to its acknowledgement: sealed, in the vault, in the journal, then answered."""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from connectors.events import Event, InvalidEvent, intake_outcome, validate
from connectors.free_text import Secrets
from connectors.his.acknowledge import acknowledgement
from connectors.his.facts import PID_FIELDS, Fact, Patient, facts, merges, named_orders, nobody, patient, said_at
from connectors.his.framing import Frame
from connectors.his.message import InvalidMessage, Message, parse
from connectors.identity import Keys, Vault
from connectors.settings import Settings
from connectors.stores.journal.port import Journal, Receipt
from connectors.stores.object_store.port import Blob, ObjectStore
from connectors.stores.space import require_space
from judgement import reference
from judgement.days import present_day
from judgement.linkage.numbers import is_placeholder
from judgement.order_states import History, order_state
from messages import because

__all__ = ["Intake"]

DISK_FULL = "hl7.disk_full"
PLACED = timedelta(days=400)  # an order is looked for by its placer number so far back


Outcome = Literal["stored", "duplicate", "quarantined"]


class _Taken(Exception):
    """The identity of a message is taken by a stored one, the first of whose events is at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class _Answer:
    outcome: str
    code: str
    reason: str | None = None
    error: str | None = None
    location: str = ""


class Intake:
    """Takes frames; safe to call from many threads, whose commits the journal groups."""

    def __init__(
        self, settings: Settings, keys: Keys, vault: Vault, sealed: ObjectStore, journal: Journal,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._settings, self._keys, self._vault, self._sealed, self._journal = settings, keys, vault, sealed, journal
        self._clock, self._zone = clock, settings.zone

    def receive(self, frame: Frame, peer: str) -> tuple[bytes, str]:
        """Return the acknowledgement of a frame and a word on what became of it, when that is durable.

        An answer of AE or AR whose message could not even be kept (disk full, I/O error) is the word `refused`.
        """
        now, content = self._clock(), Blob(frame.content)
        message: Message | None = None
        try:
            if frame.fault is not None:
                message = _best_effort(frame.content)
                raise InvalidMessage(frame.fault, "AR", "207")
            message = parse(frame.content)
            answer = self._store(content, message, now)
        except (InvalidMessage, InvalidEvent) as exc:
            answer = self._quarantine(content, message, now, peer, exc)
        except OSError as exc:
            answer = _refusal(exc)
        except Exception as exc:  # a fault of ours must neither end the service nor lose the bytes
            fault = InvalidMessage(because("hl7.reader_failed", kind=type(exc).__name__))
            answer = self._quarantine(content, message, now, peer, fault)
        local = now.astimezone(self._zone)
        said = (answer.code, local, self._settings.site_id, answer.reason, answer.error, answer.location)
        return acknowledgement(message, *said), answer.outcome

    def _store(self, content: Blob, message: Message, now: datetime) -> _Answer:
        events, who = self._read(message, content.sha256, now)
        require_space(self._settings.home, self._settings.min_free_mib)
        self._sealed.put(content)

        def outcome_of(receipts: Sequence[Receipt]) -> list[Event]:
            taken = [r for r in receipts if r.outcome == "conflict"]
            if taken:
                raise _Taken(taken[0].offset)
            outcome: Outcome = "stored" if receipts[0].outcome == "stored" else "duplicate"
            return [self._outcome(message, content, now, outcome, _sender(message))]

        answer = _Answer("duplicate", "AA", "duplicate")
        try:
            if self._journal.append(events, outcome_of)[0].outcome == "stored":
                answer = _Answer("stored", "AA")
        except _Taken as exc:
            stored = self._journal.read(exc.offset - 1, 1)
            if not stored or stored[0][1].data.get("message_sha256") != content.sha256:
                raise InvalidMessage(because("hl7.control_id_reused"), error="205") from None
            # the same bytes, read by an older version of this code or under another clock setting
            self._journal.append([self._outcome(message, content, now, "duplicate", _sender(message))])
        # behind the journal, so that a refused message changes no identity; a duplicate comes here too, after a kill in between
        for event in events:
            if who:
                self._vault.remember(event.data["patient_pseudonym"], "hl7", who, event.data.get("accession_number"))
                number, issuer = event.data["patient_number"], event.data["patient_issuer"]
                if number and number != event.data["patient_pseudonym"]:  # an image may tell the number without its issuer
                    self._vault.remember(number, f"hl7@{issuer}", who)
        return answer

    def _read(self, message: Message, digest: str, now: datetime) -> tuple[list[Event], dict[str, str | None]]:
        control_id = message.header.get(10)
        if not control_id or len(control_id) > 200:
            raise InvalidMessage(because("hl7.control_id_unusable"), error="101")
        said_at(message, self._settings.zone)
        try:
            who = patient(message)
            stands_for_nobody = is_placeholder(who.patient_id)  # whoever comes under it is another person
            pseudonym = self._keys.pseudonym(who.patient_id, f"?{digest}" if stands_for_nobody else who.issuer)
            number = "" if stands_for_nobody else self._keys.pseudonym(who.patient_id)
        except InvalidMessage:  # the orders that it ends say whose they are
            pseudonym, number = self._of_orders(message, now) or "", ""
            if not pseudonym:
                raise
            who = nobody()
        who = self._known(who, pseudonym)
        find = partial(self._ordered, pseudonym, now - PLACED)
        found = facts(message, pseudonym, who, self._settings.zone, find, number)
        found = [self._offered(self._merged(f, message), now) for f in found]
        source = f"urn:photopeak:hl7:{self._named(_sender(message), who)}"
        control_id = self._named(control_id, who)
        events = [
            Event(
                f.type, source, control_id if n == 1 else f"{control_id}#{n}", self._settings.site_id, f.subject,
                f.occurred_at, now, {**f.data, "message_sha256": digest},
            )
            for n, f in enumerate(found, 1)
        ]  # fmt: skip
        events = [self._overtaken(event) for event in events]
        for event in events:
            validate(event)
        return events, self._kept(pseudonym, who.identity)

    def _known(self, who: Patient, pseudonym: str) -> Patient:
        """Return a patient with what any channel told of the same one before among the secrets; raise OSError."""
        return replace(who, secrets=who.secrets | Secrets.of(*self._vault.told_of(pseudonym)))

    def _of_orders(self, message: Message, now: datetime) -> str | None:
        """Return the one patient of all orders that a message without patient ends or holds, None where they are not known or of several."""
        found = [self._named_by(None, now - PLACED, *numbers) for numbers in named_orders(message)]
        patients = {p for orders in found for _, p in orders}
        return patients.pop() if len(patients) == 1 and all(len(orders) == 1 for orders in found) else None

    def _offered(self, fact: Fact, now: datetime) -> Fact:
        """Return a fact with the doubt that no registered station has an AE title which the order names; without reference data none is known."""
        named = {ae.strip().upper() for ae in fact.data.get("stations", ())}
        if not named:
            return fact
        try:
            known = reference.stations(self._settings.site_id, str(present_day(now, self._zone))).stations
        except (OSError, ValueError):
            return fact
        if not known or any(ae.strip().upper() in named for ae in known):
            return fact
        doubts = [*fact.data.get("doubts", ()), {"field": "IPC-9", "doubt": "no_station"}]
        return replace(fact, data=fact.data | {"doubts": doubts[-32:]})

    def _overtaken(self, event: Event) -> Event:
        """Return an event with the doubt that it ends or holds an order which stands all the same: by its time it was told before."""
        if event.type != "his.order" or order_state(event.data["order_control"], event.data.get("order_status")) == "open":
            return event
        history, told = History(), [e for _, e in self._journal.of("his.order", event.subject) if e.id != event.id]
        for one in (*told, event):
            history.add(one)
        if not told or history.state() != "open":
            return event
        doubts = [*event.data.get("doubts", ()), {"field": "ORC-9", "doubt": "older"}]
        return replace(event, data=event.data | {"doubts": doubts[-32:]})

    def _kept(self, pseudonym: str, told: dict[str, str | None]) -> dict[str, str | None]:
        """Return an identity with what the message leaves empty as an earlier one said it."""
        empty = [name for name in PID_FIELDS if told and told[name] is None]
        known = self._vault.recall(pseudonym).get("hl7", {}) if empty else {}
        return told | {name: known.get(name) for name in empty}

    def _merged(self, fact: Fact, message: Message) -> Fact:
        """Return a fact with the other numbers that its message says are, or are not any more, of its person."""
        others = [
            {"patient_number": self._keys.pseudonym(n), "patient_issuer": issuer, "is_joined": joined}
            for n, issuer, joined in merges(message)
            if not is_placeholder(n)
        ]
        return replace(fact, data={**fact.data, "merges": others[:16]}) if others else fact

    def _ordered(self, pseudonym: str, since: datetime, filler: str, placer: str) -> str | None:
        """Return the accession number of the one order of a patient that a filler or else a placer number names, None where none is known."""
        found = self._named_by(pseudonym, since, filler, placer)
        return found.pop()[0] if len(found) == 1 else None

    def _named_by(self, pseudonym: str | None, since: datetime, filler: str, placer: str) -> set[tuple[str, str]]:
        """Return accession number and patient of the orders that a filler or else a placer number names, of one patient or (None) of all."""
        told = [(e.subject, e.data) for _, e in self._journal.of("his.order", filler)] if filler else []
        found = _whole(told, pseudonym)
        if found or not placer:
            return found
        fields = ("placer", "patient_pseudonym", "exam_code")
        excerpts = self._journal.excerpts(self._journal.first_since(since) - 1, "his.order", fields=fields)
        return _whole([(o.subject, o.data) for o in excerpts if o.data["placer"] == placer], pseudonym)

    def _quarantine(self, content: Blob, message: Message | None, now: datetime, peer: str, why: ValueError) -> _Answer:
        code, error = (why.code, why.error) if isinstance(why, InvalidMessage) else ("AE", "102")
        sender = _sender(message) if message else peer
        try:
            require_space(self._settings.home, self._settings.min_free_mib)
            self._sealed.put(content)
            self._journal.append([self._outcome(message, content, now, "quarantined", sender, str(why))])
        except OSError as exc:
            return _refusal(exc)
        return _Answer("quarantined", code, str(why), error, getattr(why, "location", ""))

    def _outcome(
        self, message: Message | None, content: Blob, now: datetime, outcome: Outcome, sender: str, reason: str | None = None
    ) -> Event:
        digest = content.sha256
        who = self._patient(message)
        message_id = self._named(message.header.get(10) if message else "", who) or f"sha256:{digest[:16]}"
        sender = self._named(sender, who)
        if who and reason and who.secrets.stand_in(reason):
            reason = who.cleaned(reason)
        return intake_outcome(self._settings.site_id, "hl7", message_id, outcome, digest, len(content), now, reason, sender)

    def _patient(self, message: Message | None) -> Patient | None:
        try:
            who = patient(message) if message else None
        except InvalidMessage:
            return None
        return who and self._known(who, self._keys.pseudonym(who.patient_id))

    def _named(self, name: str, who: Patient | None) -> str:
        """Return a sender's name for something, without the patient's: with a keyed mark in its place, so that it stays one of its kind."""
        if who is None or not who.secrets.stand_in(name):
            return name
        return f"{who.secrets.blotted(name)}~{self._keys.mark(name.encode())[:16]}"


def _whole(told: Sequence[tuple[str, Mapping[str, Any]]], pseudonym: str | None) -> set[tuple[str, str]]:
    """Return accession number and patient of what tells an examination."""
    found = {(accession, data["patient_pseudonym"]) for accession, data in told if data["exam_code"]}
    return {(a, p) for a, p in found if pseudonym in (None, p)}


def _refusal(exc: OSError) -> _Answer:
    full = exc.errno == errno.ENOSPC or "full" in str(exc)
    return _Answer("refused", "AE", because(DISK_FULL) if full else because("hl7.nothing_kept", problem=exc), "207")


def _best_effort(content: bytes) -> Message | None:
    """Return what can be read of a broken frame, so that the answer names the message; null when nothing can."""
    try:
        return parse(content)
    except InvalidMessage:
        return None


def _sender(message: Message) -> str:
    return f"{message.header.get(3)}/{message.header.get(4)}"

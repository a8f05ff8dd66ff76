"""Which numbers are of one person, and when that was said: identifiers with their issuer, and the history of merges.

A patient number belongs to the authority that gave it out (HL7 v2 CX.4; DICOM (0010,0021)). The same number of two issuers is two persons
until the hospital says otherwise (A40, A24, A47, A30, A43), and again after it took that back (A37). No name joins anybody.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

__all__ = ["PersonNumber", "Persons"]


class PersonNumber(NamedTuple):
    """A pseudonymised patient number and who gave it out; an empty `issuer` was not told, an empty `number` is a placeholder."""

    number: str
    issuer: str = ""


class _Word(NamedTuple):
    at: datetime
    arrival: int
    joined: bool
    source: str


class Persons:
    """What was said about who is who. Words may come in any order: they count from their own time, and of one time the later arrival."""

    def __init__(self) -> None:
        self._issuers: dict[str, set[str]] = defaultdict(set)
        self._words: dict[tuple[PersonNumber, PersonNumber], list[_Word]] = defaultdict(list)
        self._beside: dict[PersonNumber, set[PersonNumber]] = defaultdict(set)
        self._arrivals = 0

    def meet(self, who: PersonNumber | None) -> None:
        """Note that a number is in use: one that an issuer is told of now stands also for mentions without issuer."""
        if who is not None and who.number and who.issuer:
            self._issuers[who.number].add(who.issuer)

    def say(self, one: PersonNumber, other: PersonNumber, at: datetime, joined: bool, source: str = "") -> None:
        """Note that two numbers are of one person from a moment on, or (`joined` false) not any more; of a number and itself nothing."""
        self.meet(one)
        self.meet(other)
        if one == other or not one.number or not other.number:
            return
        self._arrivals += 1
        insort(self._words[_pair(one, other)], _Word(at, self._arrivals, joined, source))
        self._beside[one].add(other)
        self._beside[other].add(one)

    def same(self, one: PersonNumber | None, other: PersonNumber | None, at: datetime | None = None) -> bool | None:
        """Return whether two numbers are of one person, as of a moment (None: by all that was said); None: nobody can tell.

        A number without issuer is that of the only issuer known of it. With two of them it proves nothing and contradicts neither.
        """
        if one is None or other is None or not one.number or not other.number:
            return None
        if one == other or other in self.group(one, at):
            return True
        unsure = one.number == other.number and not (one.issuer and other.issuer)
        return None if unsure else False

    def group(self, who: PersonNumber, at: datetime | None = None) -> frozenset[PersonNumber]:
        """Return all numbers of somebody, as of a moment."""
        found, ahead = {who}, [who]
        while ahead:
            for near in self._near(ahead.pop(), at):
                if near not in found:
                    found.add(near)
                    ahead.append(near)
        return frozenset(found)

    def history(self, who: PersonNumber) -> list[tuple[datetime, PersonNumber, PersonNumber, bool, str]]:
        """Return what was said about a number: (when, number, other number, joined, source), the oldest first."""
        said = [
            (w.at, who, other, w.joined, w.source) for other in self._beside.get(who, ()) for w in self._words[_pair(who, other)]
        ]
        return sorted(said, key=lambda s: (s[0], s[2]))

    def _near(self, who: PersonNumber, at: datetime | None) -> Iterator[PersonNumber]:
        issuers = self._issuers.get(who.number, ())
        if len(issuers) == 1:  # told with its issuer and without: the same number
            yield PersonNumber(who.number, "" if who.issuer else next(iter(issuers)))
        for other in self._beside.get(who, ()):
            words = self._words[_pair(who, other)]
            heard = [w for w in words if at is None or w.at <= at]
            if heard and heard[-1].joined:
                yield other


def _pair(one: PersonNumber, other: PersonNumber) -> tuple[PersonNumber, PersonNumber]:
    return (one, other) if one <= other else (other, one)

"""Who somebody is, kept apart: keyed pseudonyms for everyone, sealed bytes and a vault that only intake opens."""

import hashlib
import hmac
import json
import os
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.events import canonical
from connectors.free_text import NAME_KEYS, NUMBER_KEYS, names_of, parts_of, windows, windows_alone
from connectors.ordinary_words import is_ordinary
from connectors.settings import Settings
from messages import because

__all__ = ["Keys", "Unsealable", "Vault", "is_phantom"]

MAGIC = b"PPS1"  # format of sealed bytes: magic, nonce of 12 bytes, ciphertext with its tag
NONCE = 12
PART = "\n"  # no letters of a name begin so
MARKED = 3  # version of the marks: 1 whole names, 2 parts too, 3 one form of Han characters and kana
FORMER = 32  # earlier names and numbers of somebody that one channel's entry keeps
AT_ONCE = 500  # below SQLite's bound on parameters


class Unsealable(ValueError):
    """Bytes that this installation's key did not seal, or that were changed since."""


def is_phantom(patient_id: str) -> bool:
    """Return whether an identity is a phantom's (`QC^<serial>`): nobody's privacy, and it must stay recognisable."""
    return patient_id.startswith("QC^")


class Keys:
    """The installation's two keys: one makes pseudonyms, one seals."""

    def __init__(self, site_id: str, pseudonym_key: bytes, seal_key: bytes) -> None:
        self._site, self._pseudonym, self._seal = site_id, pseudonym_key, AESGCM(seal_key)

    @classmethod
    def of(cls, settings: Settings) -> "Keys":
        """Return the keys of this installation, made at the first call."""
        return cls(settings.site_id, bytes.fromhex(settings.secret("pseudonym")), bytes.fromhex(settings.secret("seal")))

    def pseudonym(self, patient_id: str, issuer: str = "") -> str:
        """Return `PT-` and 32 hex digits of HMAC-SHA256 over site, patient id and who gave it out; phantoms and empty ids stay as they are.

        Without an issuer it is the pseudonym of the number alone, by which two mentions of one number are seen to be of one number.
        """
        patient_id = patient_id.strip(" \0")
        if not patient_id or is_phantom(patient_id):
            return patient_id
        said = canonical([self._site, patient_id, *([issuer] if issuer else [])])
        return f"PT-{hmac.new(self._pseudonym, said, hashlib.sha256).hexdigest()[:32]}"

    def mark(self, content: bytes) -> str:
        """Return a digest that tells whether two contents are equal, and that nobody without the key can try guesses against."""
        return hmac.new(self._pseudonym, b"said" + content, hashlib.sha256).hexdigest()  # no JSON text begins so: no pseudonym

    def name_mark(self, letters: str) -> bytes:
        """Return the keyed digest by which a name is found again, and that nobody without the key can try names against."""
        return hmac.new(self._pseudonym, b"name" + letters.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()[:16]

    def seal(self, plain: bytes) -> bytes:
        """Return the bytes encrypted and authenticated by AES-256-GCM."""
        nonce = os.urandom(NONCE)
        return MAGIC + nonce + self._seal.encrypt(nonce, plain, MAGIC)

    def unseal(self, sealed: bytes) -> bytes:
        """Return the plain bytes of what `seal` made; raise Unsealable for anything else."""
        head = len(MAGIC) + NONCE
        if sealed[: len(MAGIC)] != MAGIC:
            raise Unsealable(because("store.not_sealed"))
        try:
            return self._seal.decrypt(sealed[len(MAGIC) : head], sealed[head:], MAGIC)
        except InvalidTag:
            raise Unsealable(because("store.seal_other")) from None


class Vault:
    """Pseudonym → identity, each entry sealed; the file is for intake processes alone (mode 0600)."""

    def __init__(self, path: Path, keys: Keys) -> None:
        self._keys, self._lock = keys, threading.Lock()
        self._known: dict[tuple[str, str], bytes] = {}  # what this process wrote already; an identity comes with each image
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS identity "
            "(pseudonym TEXT, channel TEXT, sealed BLOB NOT NULL, PRIMARY KEY (pseudonym, channel)); "
            "CREATE TABLE IF NOT EXISTS examination (accession_number TEXT, pseudonym TEXT, PRIMARY KEY (accession_number, pseudonym)); "
            "CREATE TABLE IF NOT EXISTS name (mark BLOB PRIMARY KEY) WITHOUT ROWID;"
        )
        self._mark_names()

    @classmethod
    def of(cls, settings: Settings, keys: Keys) -> "Vault":
        """Return the vault of this installation."""
        return cls(settings.home / "vault" / "identities.db", keys)

    def remember(
        self, pseudonym: str, channel: str, identity: Mapping[str, str | None], accession_number: str | None = None
    ) -> None:
        """Keep durably what one channel (dicom, hl7) said last about somebody, and of which examination; phantoms are not kept.

        Raise OSError.
        """
        if not pseudonym or is_phantom(pseudonym):
            return
        said = canonical(dict(identity))
        digest = hashlib.sha256(said).digest()
        examined = (pseudonym, f"accession/{accession_number}")
        with self._lock:
            told = self._known.get((pseudonym, channel)) == digest
            if told and (not accession_number or examined in self._known):
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")  # one sync for both
                kept = self._keys.seal(canonical({**identity, **self._former(pseudonym, channel, identity)}))
                self._db.execute("INSERT OR REPLACE INTO identity VALUES (?, ?, ?)", (pseudonym, channel, kept))
                if not told:
                    self._db.executemany("INSERT OR IGNORE INTO name VALUES (?)", self._marks(identity))
                if accession_number:
                    self._db.execute("INSERT OR IGNORE INTO examination VALUES (?, ?)", (accession_number, pseudonym))
                self._db.execute("COMMIT")
            except sqlite3.Error as exc:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise OSError(because("door.vault", problem=exc)) from exc
            if len(self._known) > 50_000:
                self._known.clear()
            self._known |= {(pseudonym, channel): digest} | ({examined: b""} if accession_number else {})

    def _former(self, pseudonym: str, channel: str, identity: Mapping[str, str | None]) -> dict[str, str]:
        """Return the names (lines) and numbers (words) that the channel knew of somebody before, without those that it says now."""
        row = self._db.execute("SELECT sealed FROM identity WHERE (pseudonym, channel) = (?, ?)", (pseudonym, channel)).fetchone()
        before: Mapping[str, str | None] = {}
        with suppress(Unsealable):  # of other keys: nobody here can read it
            before = json.loads(self._keys.unseal(row[0])) if row else {}
        found = {}
        for key, keys, glue in (("former_names", NAME_KEYS, "\n"), ("former_numbers", NUMBER_KEYS, " ")):
            now = {v for k in keys for v in (identity.get(k) or "").split(glue)}
            told = dict.fromkeys(v for k in reversed(keys) for v in (before.get(k) or "").split(glue) if v and v not in now)
            if told:
                found[key] = glue.join(list(told)[-FORMER:])
        return found

    def told_of(self, *pseudonyms: str) -> list[dict[str, str | None]]:
        """Return what every channel said about each of them, for names and numbers to be looked for; raise OSError."""
        try:
            return [identity for p in dict.fromkeys(pseudonyms) if p for identity in self.recall(p).values()]
        except (sqlite3.Error, Unsealable) as exc:
            raise OSError(because("door.vault", problem=exc)) from exc

    def examined(self, accession_number: str) -> list[str]:
        """Return the pseudonyms of the patients that an examination was said to be of; mostly one."""
        with self._lock:
            rows = self._db.execute(
                "SELECT pseudonym FROM examination WHERE accession_number = ? ORDER BY 1", (accession_number,)
            ).fetchall()
        return [p for (p,) in rows]

    def knows(self, pseudonym: str) -> bool:
        """Return whether anything is kept about somebody."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM identity WHERE pseudonym = ?", (pseudonym,)).fetchone() is not None

    def names_in(self, text: str, is_term: bool = False) -> list[tuple[int, int]]:
        """Return begin and end of each name of anybody whom the vault knows, whole, or a part of it alone; in order, none overlaps another.

        In a term (a code, an identifier) whole names count that are no ordinary word.
        """
        # a part of a name is another mark than a whole one: it counts only where it stands alone
        found = [w for w in windows(text) if not (is_term and is_ordinary(w[2]))]
        found += [(b, e, PART + letters) for b, e, letters in windows_alone(text)] if not is_term else []
        marks = {letters: self._keys.name_mark(letters) for letters in {letters for _, _, letters in found}}
        wanted, known = list(marks.values()), set[bytes]()
        with self._lock:
            for n in range(0, len(wanted), AT_ONCE):
                some = wanted[n : n + AT_ONCE]
                known |= {
                    m for (m,) in self._db.execute(f"SELECT mark FROM name WHERE mark IN ({','.join('?' * len(some))})", some)
                }
        spans, last = list[tuple[int, int]](), 0
        for begin, end in sorted(((b, e) for b, e, letters in found if marks[letters] in known), key=lambda s: (s[0], -s[1])):
            if begin >= last:
                spans.append((begin, end))
                last = end
        return spans

    def recall(self, pseudonym: str) -> dict[str, dict[str, str | None]]:
        """Return what each channel said about somebody: {channel: identity}, empty for a stranger."""
        with (
            self._lock,
            closing(self._db.execute("SELECT channel, sealed FROM identity WHERE pseudonym = ?", (pseudonym,))) as rows,
        ):
            return {channel: json.loads(self._keys.unseal(sealed)) for channel, sealed in rows}

    def _marks(self, identity: Mapping[str, str | None]) -> list[tuple[bytes]]:
        told = [identity.get(key) or "" for key in NAME_KEYS]
        names = {n for t in told for n in names_of(t, alone=False)} | {PART + n for t in told for n in parts_of(t)}
        return [(self._keys.name_mark(n),) for n in sorted(names)]

    def _mark_names(self) -> None:
        """Mark the names of a vault that is older than its marks; a second process that does the same does no harm."""
        if self._db.execute("PRAGMA user_version").fetchone()[0] >= MARKED:
            return
        last = 0
        while rows := self._db.execute(
            "SELECT rowid, sealed FROM identity WHERE rowid > ? ORDER BY rowid LIMIT ?", (last, AT_ONCE)
        ).fetchall():
            marks = list[tuple[bytes]]()
            last = rows[-1][0]
            for _, sealed in rows:
                with suppress(Unsealable):  # of other keys: nobody here can read it
                    marks += self._marks(json.loads(self._keys.unseal(sealed)))
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO name VALUES (?)", marks)
            self._db.execute("COMMIT")
        self._db.execute(f"PRAGMA user_version = {MARKED}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

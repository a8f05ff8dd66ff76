"""What people write about patients, without saying who they are: names and numbers in a free text are replaced before it is kept."""

import re
from collections.abc import Callable, Iterable, Mapping

__all__ = ["BLOT", "blotted", "names_of", "secrets_of", "without_ids", "without_numbers"]

BLOT = "█"
MIN_SECRET = 4  # a shorter number is found in every second text
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,63}")
# an identity card (17 digits and a digit or X) and a mobile phone, as written in China; never a part of a longer number or of a UID
ALONE = r"(?<![\d.])"
NUMBERS = re.compile(
    rf"{ALONE}\d{{6}}[ -]?\d{{8}}[ -]?\d{{3}}[\dXx](?![\dXx])|{ALONE}(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{{4}}[ -]?\d{{4}}(?!\d)"
)
NARROW = {ord("０") + n: str(n) for n in range(10)} | {ord("Ｘ"): "X", ord("ｘ"): "x", ord("－"): "-", ord("　"): " ", ord("＋"): "+"}  # fmt: skip


def names_of(person_name: str) -> set[str]:
    """Return the texts that name a person: family and given name together, in both orders and however they are joined.

    Takes DICOM's PN (`Zhang^San=张^三`) and what was made of HL7's XPN (`张 三`); a single ASCII word below four letters is none.
    """
    found: set[str] = set()
    for group in re.split(r"[=~\n]", person_name):
        parts = group.split("^") if "^" in group else group.split()
        family, given, *_ = [*(p.strip(" \0") for p in parts), "", ""]
        if family and given:
            pairs = ((family, given), (given, family))
            found |= {f"{a}{between}{b}" for a, b in pairs for between in ("", " ", ",", ", ", "，", "^", "_", "·")}
        elif len(family) >= MIN_SECRET or not family.isascii():
            found.add(family)
    return {name for name in found if len(name) > 1}


def secrets_of(identity: Mapping[str, str | None]) -> set[str]:
    """Return the texts that tell who somebody is, of an identity as the vault keeps it: names and numbers."""
    numbers = " ".join(identity.get(k) or "" for k in ("patient_id", "other_ids", "national_id", "account", "phone")).split()
    return names_of(identity.get("name") or "") | {n for n in numbers if len(n) >= MIN_SECRET}


def blotted(text: str, secrets: Iterable[str], instead: str = BLOT) -> str:
    """Return the text with every secret replaced, longest first, whatever the case of its letters."""
    for secret in sorted(secrets, key=lambda s: (-len(s), s)):
        text = re.sub(re.escape(secret), lambda _: instead, text, flags=re.IGNORECASE)
    return text


def without_ids(text: str, pseudonym_of: Callable[[str], str | None]) -> str:
    """Return the text with each word that is the number of a known patient replaced by the pseudonym."""
    return TOKEN.sub(lambda m: pseudonym_of(m[0]) or m[0], text)


def without_numbers(text: str) -> str:
    """Return the text without what looks like an identity card or a mobile phone, also in full-width digits."""
    out, last = [], 0
    for found in NUMBERS.finditer(text.translate(NARROW)):
        out += [text[last : found.start()], BLOT]
        last = found.end()
    return "".join([*out, text[last:]])

"""Where does a name stand in what an installation keeps in the open? Seeded names, in every spelling and character set, against all files.

    python tests/contract/leaks.py HOME NAME [NAME …]      names as DICOM writes them: `ZHANG^SAN=张^三`

Sealed bytes, the vault and secrets are left out: they hold identity by design, encrypted.
"""

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

from connectors.charsets import readings
from connectors.free_text import Secrets, names_of

__all__ = ["leaks", "texts"]

BY_DESIGN = ("objects/sealed", "vault", "secrets")
CODECS = ("utf-8", "gb18030", "big5", "cp932", "euc_kr", "iso2022_jp_2", "hz", "utf-16-le", "utf-16-be")


def leaks(home: Path, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return (file or table, text around) for each place that names one of these persons; empty: nowhere."""
    names = list(names)
    secrets = Secrets(names)
    raw = {form.encode(codec) for name in names for form in _whole(name) for codec in CODECS if _fits(form, codec)}
    found = []
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        place = path.relative_to(home).as_posix()
        if place.startswith(BY_DESIGN):
            continue
        content = path.read_bytes()
        found += [(place, repr(form)) for form in sorted(raw) if form in content or form in content.replace(b"\0", b"")]
        for text in texts(path):
            for said in readings(text) if isinstance(text, bytes) else (text,):
                if secrets.stand_in(said):
                    found.append((place, said[:80]))
                    break
    return found


def texts(path: Path) -> Iterator[str | bytes]:
    """Yield what a file says, piece by piece: rows of journals and tables, elements of images, lines of all else."""
    head = path.read_bytes()[:132]
    if head.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in db.execute(f'SELECT * FROM "{table}"'):
                    yield from (v for v in row if isinstance(v, str | bytes))
    elif head.startswith(b"PAR1"):
        for row in pq.read_table(path).to_pylist():
            yield json.dumps(row, ensure_ascii=False, default=str)
    elif head[128:] == b"DICM":
        import pydicom

        dataset = pydicom.dcmread(path)
        for element in _elements(dataset):
            if isinstance(element, bytes) and len(element) < 100_000:
                yield element
    else:
        yield from path.read_bytes().splitlines()


def _elements(dataset: object) -> Iterator[object]:
    for tag in list(dataset.keys()):  # type: ignore[attr-defined]
        value = dataset.get_item(tag).value  # type: ignore[attr-defined]
        if isinstance(value, bytes):
            yield value
        else:
            element = dataset[tag]  # type: ignore[index]
            if element.VR == "SQ":
                for item in element.value:
                    yield from _elements(item)
            else:
                yield str(element.value).encode()


def _whole(name: str) -> set[str]:
    """Return the ideographic forms as bytes would hold them, also as they are written; Latin ones are found as words alone."""
    written = {"".join(c for c in group if c.isalnum()) for group in name.split("=")}
    return {form for form in names_of(name) | written if not form.isascii()}


def _fits(text: str, codec: str) -> bool:
    try:
        return text.encode(codec).decode(codec) == text
    except UnicodeError:
        return False


if __name__ == "__main__":
    told = leaks(Path(sys.argv[1]), sys.argv[2:])
    print("\n".join(f"{place}: {text}" for place, text in told) or "no name found")
    sys.exit(bool(told))

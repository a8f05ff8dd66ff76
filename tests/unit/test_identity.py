"""Pseudonyms, sealing and the vault."""

import sqlite3
from contextlib import closing

import pytest

from connectors.identity import Keys, Unsealable, Vault, is_phantom
from connectors.settings import load


@pytest.fixture
def keys():
    return Keys("MAIN", b"a" * 32, b"b" * 32)


def test_a_pseudonym_is_stable_keyed_and_of_its_site(keys):
    # golden value: hmac-sha256 of '["MAIN","4711"]' under 32 times "a", by Python's own hmac; a changed rule would split patients
    assert keys.pseudonym("4711") == "PT-6bc933ca732a517932a35c56b728e6a9"
    assert keys.pseudonym(" 4711 ") == keys.pseudonym("4711\0")
    others = [Keys("EAST", b"a" * 32, b"b" * 32), Keys("MAIN", b"c" * 32, b"b" * 32)]
    assert len({k.pseudonym("4711") for k in [keys, *others]}) == 3
    assert "4711" not in keys.pseudonym("4711")
    assert len(keys.pseudonym("4711")) <= 64  # PatientID is LO


def test_phantoms_stay_recognisable_and_nobody_stays_nobody(keys):
    assert keys.pseudonym("QC^SN-GC1") == "QC^SN-GC1"
    assert keys.pseudonym("") == ""
    assert is_phantom("QC^77") and not is_phantom("QC-77") and not is_phantom("QCHEN") and not is_phantom("")


def test_sealed_bytes_hide_and_come_back(keys):
    plain = b"Zhang^San" * 100
    sealed = keys.seal(plain)
    assert b"Zhang" not in sealed and keys.unseal(sealed) == plain
    assert keys.seal(plain) != sealed  # a nonce used twice would tell that two are equal


@pytest.mark.parametrize(
    "change", [lambda s: s[:-1], lambda s: s[:20] + b"\0" + s[21:], lambda s: b"", lambda s: b"XXXX" + s[4:]]
)
def test_changed_bytes_are_refused(keys, change):
    with pytest.raises(Unsealable):
        keys.unseal(change(keys.seal(b"x" * 100)))


def test_the_vault_keeps_identities_sealed_and_private(tmp_path, keys):
    path = tmp_path / "vault" / "identities.db"
    vault = Vault(path, keys)
    who = {"patient_id": "4711", "name": "Zhang^San"}
    vault.remember(keys.pseudonym("4711"), "dicom", who)
    vault.remember("QC^SN-GC1", "dicom", {"patient_id": "QC^SN-GC1"})
    assert vault.recall(keys.pseudonym("4711")) == {"dicom": who}
    assert vault.recall("QC^SN-GC1") == {}
    vault.close()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert all(b"Zhang" not in p.read_bytes() for p in path.parent.iterdir())
    again = Vault(path, keys)
    assert again.recall(keys.pseudonym("4711")) == {"dicom": who}
    again.close()


def test_an_installation_keeps_its_keys(tmp_path):
    one, two = (Keys.of(load(home=tmp_path)) for _ in range(2))
    assert one.pseudonym("4711") == two.pseudonym("4711")
    assert two.unseal(one.seal(b"x")) == b"x"
    assert one.pseudonym("4711") != Keys.of(load(home=tmp_path / "other")).pseudonym("4711")


def test_the_vault_keeps_former_names_and_numbers_and_no_more_than_it_needs(tmp_path, keys):
    vault = Vault(tmp_path / "identities.db", keys)
    who = {"patient_id": "P1", "name": "Altmannq Karin", "other_ids": "P1 OLD12345", "birth_date": "19630517"}
    vault.remember("PT-1", "hl7", who, "A1")
    vault.remember("PT-1", "hl7", who, "A2")
    assert vault.recall("PT-1") == {"hl7": who}  # told again, nothing is former
    for n in range(100):
        vault.remember("PT-1", "hl7", {**who, "name": f"Neuq{n} Karin", "other_ids": "P1"}, "A1")
    told = vault.recall("PT-1")["hl7"]
    assert told["name"] == "Neuq99 Karin" and told["former_numbers"] == "OLD12345"
    assert len(told["former_names"].split("\n")) == 32 and "Neuq98 Karin" in told["former_names"]
    again = Vault(tmp_path / "identities.db", keys)  # another process, that knows nothing yet
    again.remember("PT-1", "hl7", {**who, "name": "Neuq99 Karin", "other_ids": "P1"}, "A3")
    assert again.recall("PT-1")["hl7"] == told
    assert [again.names_in(t) != [] for t in ("Altmannq, Karin", "Karin Neuq5", "Karin Neuq500")] == [True, True, False]


def test_a_vault_of_other_forms_of_letters_is_marked_anew(tmp_path, keys):
    path = tmp_path / "identities.db"
    Vault(path, keys).remember("PT-1", "hl7", {"patient_id": "P1", "name": "張 偉國"}, "A1")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM name")
        db.execute("PRAGMA user_version = 2")
    assert Vault(path, keys).names_in("张伟国 来了") == [(0, 3)]

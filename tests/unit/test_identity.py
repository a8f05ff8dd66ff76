"""Pseudonyms, sealing and the vault."""

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

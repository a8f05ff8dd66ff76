"""The bytes of an object are hashed once on the way through a door, whatever becomes of them."""

import base64
import hashlib
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from qc_images import dicom

from connectors.dicom.storage.intake import Intake as Images
from connectors.dicom.storage.intake import Received
from connectors.his.framing import Frame
from connectors.his.intake import Intake as Messages
from connectors.http.door import Door
from connectors.identity import Keys, Vault
from connectors.settings import load
from connectors.stores.journal.memory import MemoryJournal
from connectors.stores.object_store.memory import MemoryObjectStore

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
ORDER = (
    "MSH|^~\\&|HIS|H|PP|M|20260310080000||ORM^O01|Z1|P|2.5.1\rPID|1||M1||WANG^XIAOMING\rORC|NW||ACC1\r"
    "OBR|1|||BONE|||20260310080000\r"
)


@pytest.fixture
def house(tmp_path):
    """Return settings, keys, vault, journal and the two stores."""
    settings = load(home=tmp_path, min_free_mib=0)
    keys = Keys.of(settings)
    return settings, keys, Vault.of(settings, keys), MemoryJournal(), MemoryObjectStore(), MemoryObjectStore()


@pytest.fixture
def hashed(monkeypatch):
    """Return how often each text was hashed."""
    found, real = Counter(), hashlib.sha256

    def counting(data=b"", **named):
        found[bytes(data)] += 1
        return real(data, **named)

    monkeypatch.setattr(hashlib, "sha256", counting)
    return found


@pytest.mark.parametrize("became", ["stored", "duplicate", "quarantined"])
def test_an_image_is_hashed_once(house, hashed, became):
    settings, keys, vault, journal, sealed, clear = house
    ds = pydicom.dcmread(BytesIO(dicom(np.ones((4, 4), np.uint16))))
    body = DicomBytesIO()
    body.is_implicit_VR, body.is_little_endian = False, True
    write_dataset(body, ds)
    data = body.getvalue()[:-6] if became == "quarantined" else body.getvalue()
    one = Received(str(ds.SOPClassUID), str(ds.SOPInstanceUID), "1.2.840.10008.1.2.1", "GC1", data)
    images = Images(settings, journal, sealed, clear, vault, keys)
    for _ in range(1 + (became == "duplicate")):
        hashed.clear()
        images.store(one, NOW)
    outcome = journal.read()[-1][1]
    assert outcome.data["outcome"] == became, outcome.data
    assert hashed[one.part10()] == 1 and outcome.data["sha256"] == hashlib.sha256(one.part10()).hexdigest()
    assert list(sealed.objects.values()) == [one.part10()]
    assert all(hashed[copy] == (became == "stored") for copy in clear.objects.values())


@pytest.mark.parametrize(("text", "became"), [(ORDER, "stored"), (ORDER, "duplicate"), ("MSH|^~\\&|HIS", "quarantined")])
def test_a_message_is_hashed_once(house, hashed, text, became):
    settings, keys, vault, journal, sealed, _ = house
    messages = Messages(settings, keys, vault, sealed, journal, lambda: NOW)
    for _ in range(1 + (became == "duplicate")):
        hashed.clear()
        said = messages.receive(Frame(text.encode()), "peer")[1]
    assert said == became
    assert hashed[text.encode()] == 1 and list(sealed.objects.values()) == [text.encode()]


@pytest.mark.parametrize("document", [b'{"procedure": "activimeter", "readings": []}', b"no document at all"])
def test_a_document_is_hashed_once(house, hashed, document):
    settings, keys, vault, journal, sealed, clear = house
    door = Door(settings, journal, sealed, clear, vault, keys, lambda: NOW)
    body = {
        "specversion": "1.0", "type": "device.report", "source": "urn:photopeak:tablet", "subject": "AC-1", "id": "r1",
        "time": "2026-03-10T07:30:00Z", "data_base64": base64.b64encode(document).decode(),
    }  # fmt: skip
    account = door.take([body], "tablet")
    assert account.stored + len(account.quarantined) == 1
    assert hashed[document] == 1
    assert {count for data, count in hashed.items() if data in (*sealed.objects.values(), *clear.objects.values())} == {1}

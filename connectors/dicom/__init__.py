"""DICOM intake: `python -m connectors.dicom` is the node. An object's way is in `intake.py`, the wire in `reactor.py`."""

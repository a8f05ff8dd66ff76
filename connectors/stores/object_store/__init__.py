"""Object store: bytes under their SHA-256. Port in `port.py`, adapters `files.py` and `memory.py`."""

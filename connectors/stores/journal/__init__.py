"""Journal: what an intake process has acknowledged, in order. Port in `port.py`, adapters `sqlite.py` and `memory.py`."""

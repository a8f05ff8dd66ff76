"""Lake: immutable Parquet by type, site and day. Port in `port.py`, adapters `files.py` and `memory.py`; `ingest.py` fills it."""

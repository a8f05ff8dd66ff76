"""The one table that analyses write: a row a measure of a series, or one row with the reason why there is none."""

import pyarrow as pa

__all__ = ["MEASURES"]

TIME = pa.timestamp("us", tz="UTC")

MEASURES = pa.schema(
    [
        ("site_id", pa.string()),
        ("run_key", pa.string()),
        ("analysis", pa.string()),  # phantom | clinical
        ("study_uid", pa.string()),
        ("series_uid", pa.string()),
        ("accession_number", pa.string()),
        ("station_name", pa.string()),
        ("device_serial", pa.string()),
        ("manufacturer", pa.string()),
        ("model", pa.string()),
        ("modality", pa.string()),
        ("procedure", pa.string()),  # null: which procedure the series is for could not be told
        ("status", pa.string()),  # measured | indicative | not_measured
        ("reason", pa.string()),  # English
        ("reason_code", pa.string()),  # of the catalogue in `messages`; null in files of before, and for words of others
        ("reason_args", pa.string()),  # JSON
        ("reason_catalogue", pa.string()),  # version of the catalogue
        ("detector", pa.string()),
        ("aspect", pa.string()),
        ("region", pa.string()),
        ("measure", pa.string()),  # null: nothing was measured
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("uncertainty", pa.float64()),
        ("at", pa.string()),  # JSON: where the value was found, in pixels or mm as the method says
        ("method", pa.string()),
        ("method_version", pa.string()),
        ("acquired_at_utc", TIME),  # null: the header gives no time
        ("series_recorded_at_utc", TIME),
        ("instance_count", pa.int64()),
        ("picture", pa.string()),  # path below the reports folder
        ("switched_off", pa.string()),  # the procedures that were off for this series, with who and why; null: none
    ]
)

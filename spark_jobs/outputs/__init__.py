"""What a result becomes beside JSON and table: a DICOM Structured Report, a page to print."""

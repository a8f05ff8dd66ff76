"""The state of each device: facts from lake and journals, judged, written where the DICOM node reads them."""

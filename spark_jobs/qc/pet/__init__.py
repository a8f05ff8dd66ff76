"""PET phantoms, calibrations and daily reports."""

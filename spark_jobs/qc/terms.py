"""Terms that the standard defines, by element: a reason shows no other, because anything may stand in a header, a name too."""

from messages import because

__all__ = ["shown"]

# PS3.3: PET Series (C.8.9.1), PET Image (C.8.9.4), Modality LUT (C.11.1), NM Detector (C.8.4.11)
TERMS = {
    "Units": (
        "CNTS", "NONE", "CM2", "PCNT", "CPS", "BQML", "MGMINML", "UMOLMINML", "MLMING", "MLG", "1CM", "UMOLML", "PROPCNTS", "PROPCPS", "MLMINML",
        "MLML", "GML", "STDDEV", "CM2ML",
    ),
    "SUVType": ("BSA", "BW", "LBM", "LBMJANMA", "LBMJAMES128", "IBW"),
    "RescaleType": ("OD", "HU", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"),
    "FieldOfViewShape": ("RECTANGLE", "ROUND", "HEXAGONAL"),
    "DecayCorrection": ("NONE", "START", "ADMIN"),
    "Modality": ("CT", "NM", "PT", "MR"),
    # UCUM codes that mappings of real world values use (PS3.16 CID 7181 and 84): case matters there
    "MeasurementUnits": (
        "1", "%", "/s", "{counts}", "{counts}/s", "{propcounts}", "{propcounts}/s", "[hnsf'U]", "Bq", "kBq", "MBq", "Bq/ml", "kBq/ml", "MBq/ml",
        "g/ml", "g/ml{SUVbw}", "g/ml{SUVlbm}", "g/ml{SUVibw}", "cm2/ml{SUVbsa}", "{SUVbw}g/ml", "{SUVlbm}g/ml", "{SUVbsa}cm2/ml",
        "{SUVibw}g/ml", "ml/g", "ml/min/g", "ml/min/ml", "mg/min/ml", "umol/min/ml", "umol/ml", "mg/ml", "Gy", "keV",
    ),
}  # fmt: skip


def shown(element: str, value: object) -> str:
    """Return a value of a header as a reason may show it: a term of the standard as it stands, of another only that it is another."""
    text = str(value or "").strip()
    term = next((t for t in TERMS[element] if t.upper() == text.upper()), None)
    return "missing" if not text else term or because("look.no_term")

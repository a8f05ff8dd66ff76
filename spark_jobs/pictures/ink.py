"""Colours that all pictures share."""

__all__ = ["CFOV", "INK", "UFOV", "WORST"]

INK, UFOV, CFOV, WORST = "#1b1f24", "#1f6feb", "#f2a900", "#d1242f"

"""Activimeter."""

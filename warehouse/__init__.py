"""Releases of the warehouse."""

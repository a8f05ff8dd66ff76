"""SPECT."""

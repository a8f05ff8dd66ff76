"""Gamma camera, planar and counting."""

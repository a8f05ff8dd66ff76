"""Gamma camera, planar: uniformity, resolution, linearity, counting."""

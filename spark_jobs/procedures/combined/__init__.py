"""Looks at images of any family, and pairs of series."""

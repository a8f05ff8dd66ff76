"""CT of hybrid scanners."""

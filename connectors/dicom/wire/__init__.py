"""The node: associations, PDUs, the structure of a data set."""

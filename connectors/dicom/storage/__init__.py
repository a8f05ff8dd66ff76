"""C-STORE: what arrives, what is kept, when a series is complete."""

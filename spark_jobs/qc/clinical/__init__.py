"""Images of patients."""

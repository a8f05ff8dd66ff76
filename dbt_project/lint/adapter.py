"""What sqlfluff must know of dbt's adapter to render the models."""


def quote(name: str) -> str:
    """Return a quoted identifier."""
    return f'"{name}"'

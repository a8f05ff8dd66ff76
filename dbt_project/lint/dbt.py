"""What sqlfluff must know of dbt to render the models."""


def type_string() -> str:
    """Return DuckDB's type of texts."""
    return "varchar"

"""What sqlfluff must know to render the models without dbt: dbt's own names, and the project's macros, which call each other."""

from pathlib import Path
from types import SimpleNamespace

from jinja2 import Environment

adapter = SimpleNamespace(quote=lambda name: f'"{name}"')
dbt = SimpleNamespace(type_string=lambda: "varchar")
target = SimpleNamespace(type="duckdb", name="duckdb")
model = SimpleNamespace(columns={})


def env_var(_name: str, default: str = "1") -> str:
    """Return the default of an environment variable."""
    return default


def return_(value: object) -> object:
    """Return the value of a macro that computes instead of writing SQL."""
    return value


known: dict[str, object] = {
    "adapter": adapter, "dbt": dbt, "target": target, "model": model, "env_var": env_var, "return": return_, "execute": False,
    "ref": lambda *names: names[-1], "source": lambda schema, name: f"{schema}.{name}", "var": lambda _name, default="item": default,
}  # fmt: skip
for file in sorted((Path(__file__).resolve().parents[1] / "macros").glob("*.sql")):
    text = file.read_text(encoding="utf-8")
    if "{% test " not in text:
        module = Environment(extensions=["jinja2.ext.do"]).from_string(text).make_module(known, shared=True)
        known |= {name: value for name, value in vars(module).items() if not name.startswith("_")}
globals().update({name: value for name, value in known.items() if name not in ("ref", "source", "var", "return")})

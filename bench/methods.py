"""The list of all procedures with method, version, how they are chosen and by which limits they are judged: `python -m bench.methods`."""

import inspect
from pathlib import Path

from judgement import reference
from judgement.limits import BOUNDS
from judgement.rows import Limit
from spark_jobs.procedures import MODULES, PROCEDURES

__all__ = ["main"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "methods.md"
HEAD = """# Methods

Made by `make docs` from the table of procedures and `dbt_project/seeds/limits.csv`. What each version did to past numbers: `CHANGELOG.md`;
how near to the truth they are: [accuracy.md](accuracy.md). A procedure is chosen by two of three votes: the code (scheme 99PHOTOPEAK) on
order or protocol, the class of the header, the look of the pixels; a phantom's pixels must always agree.

Where a header declares no field of view, that of a flood is measured: the useful field is the lit area without its dim outer pixels,
peeled once, and the central field is 75 % of the linear dimensions of what is left. It is therefore up to two binned pixels smaller than
that of a declared field, and the result says `field of view measured`.

| procedure | what it does | method | version | kind | code | look of the pixels | judged measures (limit known / value unknown) |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Write the page."""
    limits = reference.read(Limit)
    lines = []
    for name, module in sorted(MODULES.items()):
        row = PROCEDURES.get(name)
        about = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ").replace("|", "¦")
        known = {x.measure for x in limits if x.procedure == name and any(getattr(x, bound) is not None for bound in BOUNDS)}
        unknown = {x.measure for x in limits if x.procedure == name} - known
        kind, code, look = (row.analysis, row.code, row.look) if row else ("beside or document", "", "")
        lines.append(
            f"| `{name}` | {about} | {module.METHOD} | {module.VERSION} | {kind} | {code} | {look} | {len(known)} / {len(unknown)} |"
        )
    PAGE.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} procedures written to {PAGE.name}")


if __name__ == "__main__":
    main()

"""The methods as documents: an overview and a page a procedure, made from the code: `python -m bench.methods`."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

from judgement import reference
from judgement.rows import Limit
from messages import catalogue
from spark_jobs.pictures import draw
from spark_jobs.procedures import MODULES, PROCEDURES
from spark_jobs.qc.result import Result

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BOUNDS = ("warn_low", "warn_high", "fail_low", "fail_high")
COLOURS = 64  # of a picture: a quarter of the size, nothing that a reader would miss
HEAD = """# Methods

Made by `make docs` from the table of procedures and the limits delivered. How each version moved past numbers: [CHANGELOG.md](../CHANGELOG.md);
accuracy against known truth: [accuracy.md](accuracy.md). A procedure is chosen by two of three votes: the code (scheme 99PHOTOPEAK) on
order or protocol, the class of the header, the look of the pixels; a phantom's pixels must always agree.

Where a header declares no field of view, that of a flood is measured: the useful field is the lit area without its dim outer pixels,
peeled once, and the central field is 75 % of the linear dimensions of what is left. It is therefore up to two binned pixels smaller than
that of a declared field, and the result says `field of view measured`.

| procedure | what it does | method | version | kind | code | look of the pixels | judged measures (limit known / value unknown) |
|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Write the overview and the pages; pages of procedures that are gone are removed."""
    limits, samples = reference.read(Limit), _samples()
    folder = DOCS / "methods"
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    lines = []
    for name, module in sorted(MODULES.items()):
        row, mine = PROCEDURES.get(name), [x for x in limits if x.procedure == name]
        known = {x.measure for x in mine if any(getattr(x, bound) is not None for bound in BOUNDS)}
        unknown = {x.measure for x in mine} - known
        kind, code, look = (row.analysis, row.code, row.look) if row else ("beside or document", "", "")
        about = _paragraphs(module)[0].replace("|", "¦")
        cells = (
            f"[`{name}`](methods/{name}.md)",
            about,
            module.METHOD,
            module.VERSION,
            kind,
            code,
            look,
            f"{len(known)} / {len(unknown)}",
        )
        lines.append(f"| {' | '.join(cells)} |")
        (folder / f"{name}.md").write_text("\n".join(_page(name, module, mine, samples.get(name))) + "\n", encoding="utf-8")
    for page in folder.glob("*.md"):
        if page.stem not in MODULES:
            page.unlink()
    (DOCS / "methods.md").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} procedures written to methods.md and methods/")


def _page(name: str, module: ModuleType, limits: list[Limit], sample: Result | None) -> Iterator[str]:
    english, chinese = (catalogue.name_of("procedure", name, x) for x in catalogue.LANGUAGES)
    row = PROCEDURES.get(name)
    yield f"# {english} {chinese}".rstrip()
    yield ""
    yield f"`{name}`, method **{module.METHOD}**, version **{module.VERSION}**, in `{_place(module)}`. [All methods](../methods.md)"
    if row:
        yield f"Ordered by code `{row.code}`; recognised as “{row.look}”."
    yield ""
    for paragraph in _paragraphs(module):
        yield from (paragraph, "")
    formulae: tuple[str, ...] = getattr(module, "FORMULAE", ())
    if formulae:
        yield from ("## Formulae", "", *(f"- {f}" for f in formulae), "")
    measure = getattr(module, "measure", None)
    if measure is not None and "Parameters" in (inspect.getdoc(measure) or ""):
        yield from ("## Input", "", *_parameters(inspect.getdoc(measure) or ""), "")
    if sample is not None and _picture(sample, DOCS / "methods" / "pictures" / f"{name}.png"):
        yield from (f"![{english} of a synthetic image](pictures/{name}.png)", "")
    yield from _measures(name, limits, sample)
    doubts = sorted(_doubts(module))
    if doubts:
        yield from ("## Refusals, doubts and notes", "")
        yield from (f"- {text} (`{code}`)" for code, text in doubts)
        yield ""


def _paragraphs(module: ModuleType) -> list[str]:
    """Return the paragraphs of a docstring, a line each; the items of a numbered list keep lines of their own."""
    whole = re.sub(r"\n(?!\d+\. )", " ", (inspect.getdoc(module) or "").replace("\n\n", "\0"))
    return [re.sub(r" {2,}", " ", paragraph) for paragraph in whole.split("\0")]


def _place(module: ModuleType) -> str:
    return Path(inspect.getfile(module)).relative_to(ROOT).as_posix()


def _parameters(doc: str) -> Iterator[str]:
    """Yield the parameters of a NumPy docstring as a list."""
    body = doc.partition("Parameters\n----------\n")[2].split("\n\n")[0].splitlines()
    for line in body:
        if line.startswith("    "):
            yield f"  {line.strip()}"
        elif line.strip("-") and not line.startswith("Returns"):
            yield f"- `{line}`:"


def _measures(name: str, limits: list[Limit], sample: Result | None) -> Iterator[str]:
    """Yield the table of measures: those of the sample, and those that limits name beside."""
    units: dict[str, str] = {m.name: m.unit for m in sample.measures} if sample else {}
    units |= {x.measure: "" for x in limits if x.measure not in units}
    if not units:
        return
    yield from ("## Measures", "", "| measure | 中文 | unit | delivered limits |", "|---|---|---|---|")
    for measure, unit in units.items():
        rules = "; ".join(dict.fromkeys(_limit(x) for x in limits if x.measure == measure))
        yield f"| `{measure}` | {catalogue.name_of('measure', measure, 'zh')} | {unit} | {rules or 'none'} |"
    yield ""


def _limit(limit: Limit) -> str:
    low, high, warn_low, warn_high = limit.fail_low, limit.fail_high, limit.warn_low, limit.warn_high
    bounds = ", ".join(
        f"{word} {sign} {value:g}"
        for word, sign, value in (("fail", "<", low), ("fail", ">", high), ("warn", "<", warn_low), ("warn", ">", warn_high))
        if value is not None
    )
    source = " ".join(s for s in (limit.standard, limit.clause) if s and s != "value unknown").replace("|", "¦")
    return f"{bounds or 'value unknown'} ({source})" if source else bounds or "value unknown"


def _doubts(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield code and English template of each message that the module and its rows of the table make."""
    row = PROCEDURES.get(module.PROCEDURE)
    files = {inspect.getfile(module)} | ({inspect.getfile(row.run)} if row and inspect.isfunction(row.run) else set())
    for file in files:
        for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "because" and node.args:
                code = node.args[0]
                if isinstance(code, ast.Constant) and (text := catalogue.template(str(code.value), "en")):
                    yield str(code.value), text.replace("[[", "").replace("]]", "")


def _samples() -> dict[str, Result]:
    """Return one measured result a procedure, of the seeded images of the tests."""
    sys.path[:0] = [str(ROOT / "tests"), *(str(p) for p in (ROOT / "tests" / "unit").glob("**/") if "__pycache__" not in p.parts)]
    from golden_cases import CASES  # type: ignore[import-not-found]

    from spark_jobs.measure import measure_mixed, read_object

    out: dict[str, Result] = {}
    for make in CASES.values():
        for found in measure_mixed([read_object(data) for data in make()]):
            for result in found.results:
                if result.procedure and (result.procedure not in out or out[result.procedure].figure is None):
                    out[result.procedure] = result
    return out


def _picture(result: Result, path: Path) -> bool:
    from PIL import Image

    drawn: Any = draw(result)
    if drawn is None:
        return False
    Image.open(BytesIO(drawn)).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    return True


if __name__ == "__main__":
    main()

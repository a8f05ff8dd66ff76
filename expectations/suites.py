"""Suites as they lie in `suites/<layer>/*.json`: what each one reads, and the expectations with the rule each one attests."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

__all__ = ["HERE", "META", "SEVERITIES", "Checkpoint", "Suite", "SuiteError", "read_checkpoint", "read_suites"]

HERE = Path(__file__).resolve().parent
SEVERITIES = ("integrity", "finding")  # integrity: about our tables, blocks publishing; finding: about the hospital, never blocks
META = ("rule", "rule_version", "severity", "clause", "requirement", "title_en", "title_zh")


class SuiteError(ValueError):
    """A suite file that cannot be used; the text names the file and what to mend."""


@dataclass(frozen=True)
class Checkpoint:
    """What one attestation runs and keeps."""

    name: str
    layers: tuple[str, ...]
    rows_kept: int
    runs_kept: int
    days_kept: int  # of each of so many days the last run, beside the newest runs


@dataclass(frozen=True)
class Suite:
    """One population (the rows of one query) and what is expected of it.

    `key` names the columns that identify a row, `group` the column by which the population is counted ("" for none).
    """

    name: str
    layer: str
    title_en: str
    title_zh: str
    sql: str
    key: tuple[str, ...]
    group: str
    expectations: tuple[dict[str, Any], ...]


def read_checkpoint(name: str = "attest_quality", folder: Path = HERE / "checkpoints") -> Checkpoint:
    """Return the checkpoint of that name."""
    text = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return Checkpoint(text["name"], tuple(text["layers"]), int(text["rows_kept"]), int(text["runs_kept"]), int(text["days_kept"]))


def read_suites(layers: tuple[str, ...] = ("raw", "staging", "marts"), folder: Path = HERE / "suites") -> tuple[list[Suite], str]:
    """Return the suites of the layers and the digest of their files; a rule that stands twice or lacks its meta is an error."""
    suites: list[Suite] = []
    seen: dict[str, Path] = {}
    digest = sha256()
    for layer in layers:
        for path in sorted((folder / layer).glob("*.json")):
            raw = path.read_bytes()
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + raw)
            suite = _suite(layer, path, raw)
            for expectation in suite.expectations:
                rule = expectation["meta"]["rule"]
                if rule in seen:
                    raise SuiteError(f"{path}: rule {rule} stands in {seen[rule]} too; give each expectation a rule of its own")
                seen[rule] = path
            suites.append(suite)
    if not suites:
        raise SuiteError(f"{folder}: no suite found for {', '.join(layers)}")
    return suites, digest.hexdigest()


def _suite(layer: str, path: Path, raw: bytes) -> Suite:
    try:
        text = json.loads(raw)
        population = text["meta"]["population"]
        sql = population["sql"]
        suite = Suite(
            text["name"],
            layer,
            population["title_en"],
            population["title_zh"],
            sql if isinstance(sql, str) else "\n".join(sql),
            tuple(population["key"]),
            population.get("group", ""),
            tuple(text["expectations"]),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as wrong:
        raise SuiteError(f"{path}: not a suite ({wrong!r}); copy the shape of a neighbour") from wrong
    if suite.name != f"{layer}_{path.stem}":
        raise SuiteError(f"{path}: its name must be {layer}_{path.stem}")
    for expectation in suite.expectations:
        lacking = [m for m in META if m not in expectation.get("meta", {})]
        if lacking:
            raise SuiteError(f"{path}: {expectation.get('type')} lacks meta {', '.join(lacking)}")
        if expectation["meta"]["severity"] not in SEVERITIES:
            raise SuiteError(f"{path}: severity of {expectation['meta']['rule']} must be one of {', '.join(SEVERITIES)}")
    return suite

"""`photopeak release`: build the marts, attest them, publish them, and say what changed against the release that was published before."""

from pathlib import Path
from typing import Any

import duckdb

from connectors.settings import Settings
from photopeak import jobs

__all__ = ["compare", "release", "table"]

VERDICTS = {  # mart: its grain, and the column whose change somebody must know of
    "fct_phantom_test": (("site_id", "run_key", "procedure", "detector", "region", "measure"), "verdict"),
    "fct_image_quality": (("site_id", "run_key", "series_uid", "aspect", "region", "measure"), "verdict"),
    "fct_examination": (("site_id", "accession_number"), "verdict"),
    "mart_device_day": (("site_id", "device_id", "day"), "state"),
    "mart_phantom_due": (("site_id", "device_id", "procedure"), "state"),
}
ITSELF = ("release_id", "as_of_utc", "built_at_utc", "lake_head")  # of mart_release: other in every release
FINDING = "finding_id, severity, rule_id, subject_id, device_id, title_en, title_zh, reason, rank"
SHOWN = 20
Row = dict[str, Any]


def release(settings: Settings) -> tuple[Row, int]:
    """Return what was built and published and what changed, with the exit code: 1 when integrity is broken, the published one stays then.

    Raise Locked while another build, attestation or rebuild is at work.
    """
    before = _published(settings)
    built, _ = jobs.run(settings, "build_marts", jobs.Request())
    attested, code = jobs.run(settings, "attest_quality", jobs.Request())
    after = _published(settings)
    found: Row = {
        "release": after.parent.name if after else None,
        "previous": before.parent.name if before else None,
        "as_of_utc": built.end,
        "published": bool(attested.more.get("published")) or code == jobs.NOTHING_NEW,
        "broken": attested.more.get("broken", []),
        "seconds": round(built.seconds + attested.seconds, 1),
        **(
            compare(before, after)
            if after and after != before
            else {"rows": {}, "verdicts": [], "findings": {"new": [], "gone": []}}
        ),
    }
    return found, 1 if code == 1 else 0


def compare(before: Path | None, after: Path) -> Row:
    """Return what differs between two releases: rows a mart, changes of verdict or state, findings that came and went.

    Parameters
    ----------
    before, after
        Database files; `before` None: everything is new.
    """
    with duckdb.connect(":memory:", config={"threads": 2}) as db:
        db.execute(f"ATTACH '{_quoted(after)}' AS new (READ_ONLY)")
        if before is None:
            db.execute("ATTACH ':memory:' AS old")
        else:
            db.execute(f"ATTACH '{_quoted(before)}' AS old (READ_ONLY)")
        columns = {name: _columns(db, name) for name in ("old", "new")}
        rows = {mart: _rows(db, mart, columns) for mart in sorted({*columns["old"], *columns["new"]})}
        verdicts = [change for mart, (key, what) in VERDICTS.items() for change in _changes(db, mart, key, what, columns)]
        return {
            "rows": {mart: r for mart, r in rows.items() if r["new"] or r["gone"] or r["before"] is None or r["after"] is None},
            "verdicts": verdicts,
            "findings": {"new": _findings(db, "new", "old", columns), "gone": _findings(db, "old", "new", columns)},
        }


def table(found: Row) -> str:
    """Return the account as text for a person."""
    lines = [f"release 版本   {found['release']} · as of 数据截止 {found['as_of_utc']} · {found['seconds']:.0f} s"]
    if not found["published"]:
        return "\n".join(
            [
                *lines,
                f"not published 未发布: {', '.join(found['broken']) or 'see the reports'}; the previous release stays 保留上一版本",
            ]
        )
    if found["release"] == found["previous"]:
        return "\n".join([*lines, "nothing has changed 没有变化"])
    lines[0] += f" · before 上一版本 {found['previous'] or '–'}"
    for name, title in (("new", "new findings 新增问题"), ("gone", "findings that are gone 已消失的问题")):
        some = found["findings"][name]
        lines.append(f"{title}: {len(some)}")
        lines += [
            f"  {f['severity']:<5} {f['rule_id']:<22} {f['subject_id']}  {f['title_zh']} / {f['title_en']}" for f in some[:SHOWN]
        ]
        lines += [f"  … {len(some) - SHOWN} more 另有"] if len(some) > SHOWN else []
    lines.append(f"verdicts and states 判定与状态: {len(found['verdicts'])}")
    lines += [f"  {v['mart']:<18} {v['from'] or '–'} → {v['to'] or '–'}: {v['rows']}" for v in found["verdicts"]]
    lines.append("rows 行数")
    lines += [
        f"  {mart:<28} {_count(r['before'])} → {_count(r['after'])}  +{r['new']} -{r['gone']}"
        for mart, r in found["rows"].items()
    ]
    return "\n".join(lines)


def _published(settings: Settings) -> Path | None:
    path = settings.warehouse / "current" / "qc.duckdb"
    return path.resolve() if path.exists() else None


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _columns(db: duckdb.DuckDBPyConnection, catalogue: str) -> dict[str, list[str]]:
    """Return the columns of each mart of a release."""
    sql = (
        "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
        "WHERE database_name = ? AND schema_name = 'marts' GROUP BY 1"
    )
    return dict(db.execute(sql, [catalogue]).fetchall())


def _rows(db: duckdb.DuckDBPyConnection, mart: str, columns: dict[str, dict[str, list[str]]]) -> Row:
    """Return how many rows a mart had and has, and how many of them are not in the other release, word for word."""
    counts = {
        c: db.execute(f"SELECT count(*) FROM {c}.marts.{mart}").fetchall()[0][0] if mart in columns[c] else None
        for c in ("old", "new")
    }
    same = [n for n in columns["new"].get(mart, []) if n in columns["old"].get(mart, []) and n not in ITSELF]
    differ = {}
    for one, other in (("new", "old"), ("old", "new")):
        if counts[one] is None or counts[other] is None:
            differ[one] = counts[one] or 0
        else:
            names = ", ".join(f'"{n}"' for n in same)
            sql = f"SELECT count(*) FROM (SELECT {names} FROM {one}.marts.{mart} EXCEPT ALL SELECT {names} FROM {other}.marts.{mart})"
            differ[one] = db.execute(sql).fetchall()[0][0]
    return {"before": counts["old"], "after": counts["new"], "new": differ["new"], "gone": differ["old"]}


def _changes(
    db: duckdb.DuckDBPyConnection, mart: str, key: tuple[str, ...], what: str, columns: dict[str, dict[str, list[str]]]
) -> list[Row]:
    """Return from which verdict to which how many rows of a mart went; null: the row was not there, or is not any more."""
    both = {*columns["old"].get(mart, [])} & {*columns["new"].get(mart, [])}
    if what not in both:
        return []
    same = " AND ".join(f"o.{k} IS NOT DISTINCT FROM n.{k}" for k in key if k in both)
    sql = (
        f'SELECT o.{what} AS "from", n.{what} AS "to", count(*) FROM old.marts.{mart} AS o FULL JOIN new.marts.{mart} AS n ON {same} '
        f"WHERE o.{what} IS DISTINCT FROM n.{what} GROUP BY ALL ORDER BY 1 NULLS FIRST, 2 NULLS FIRST"
    )
    return [{"mart": mart, "from": a, "to": b, "rows": n} for a, b, n in db.execute(sql).fetchall()]


def _findings(db: duckdb.DuckDBPyConnection, one: str, other: str, columns: dict[str, dict[str, list[str]]]) -> list[Row]:
    """Return the findings of one release that the other has not, gravest first."""
    if "fct_finding" not in columns[one]:
        return []
    sql = f"SELECT {FINDING} FROM {one}.marts.fct_finding"
    if "fct_finding" in columns[other]:
        sql += f" WHERE finding_id NOT IN (SELECT finding_id FROM {other}.marts.fct_finding)"
    cursor = db.execute(f"{sql} ORDER BY rank")
    names = [d[0] for d in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _count(rows: int | None) -> str:
    return "–" if rows is None else str(rows)

"""Whose and which each event is: decided by `judgement/linkage`, as the doors decide it. A row an event and examination."""

import json
from datetime import UTC


def model(dbt, session):
    import pyarrow as pa

    from judgement.linkage.events import RECORDS, order_of, record_of, words_of
    from judgement.linkage.examinations import Linkage
    from judgement.linkage.numbers import plain
    from messages import to_text

    dbt.config(materialized="table")
    wanted = ("his.order", "his.patient", *RECORDS)
    rows = (
        dbt.ref("stg_lake__event")
        .filter(f"type in {wanted}")
        .project("site_id, record_id, type, data, occurred_at_utc, recorded_at_utc, journal, journal_offset")
        .order("recorded_at_utc, journal, journal_offset")
        .fetchall()
    )
    linkages, own, records, out = {}, {}, [], []
    for site, record, kind, text, occurred, recorded, _, _ in rows:
        linkage = linkages.setdefault(site, Linkage(site))
        data = json.loads(text)
        if kind == "his.patient":
            for one, other, joined in words_of(data):
                linkage.persons.say(one, other, occurred.replace(tzinfo=UTC), joined, record)
        elif kind == "his.order":
            linkage.say(order_of(record, data, occurred.replace(tzinfo=UTC), recorded.replace(tzinfo=UTC)))
        elif (said := record_of(record, kind, data, occurred.replace(tzinfo=UTC))) is not None:
            records.append((site, said))
    for site, linkage in linkages.items():
        for record, examination in linkage.order.items():
            why = to_text(linkage.shared(examination))
            out.append((site, record, "order", "joined", examination, linkage.label(examination), "order", 1.0, why, None))
    for site, said in records:
        linkage = linkages[site]
        link = linkage.link(said)
        # what nobody ordered is an examination all the same when something was done: under its number as it was first written
        orphan = link.state == "orphan" and said.kind not in ("series", "report", "laboratory") and said.accession
        for name in link.examinations or (None,):
            label = (
                linkage.label(name) if name else own.setdefault((site, plain(said.accession)), said.accession) if orphan else None
            )
            against = ", ".join(linkage.label(e) for e in link.against) or None
            out.append(
                (site, said.id, said.kind, link.state, name, label, link.rule or None, link.score, to_text(link.reason), against)
            )
    names = ("site_id", "record_id", "kind", "state", "examination_id", "accession_number", "rule", "score", "reason", "against")
    types = [pa.string()] * 7 + [pa.float64()] + [pa.string()] * 2
    columns = list(zip(*out, strict=True)) or [[] for _ in names]
    return pa.table([pa.array(list(c), t) for c, t in zip(columns, types, strict=True)], names=list(names))

"""Which registered device an image or report is of: decided by `judgement/devices`. A row each serial number and station name of a site."""


def model(dbt, session):
    from dataclasses import fields

    import pyarrow as pa

    from judgement.devices import identified
    from judgement.rows import Device
    from messages import to_text

    dbt.config(materialized="table")
    names = [f.name for f in fields(Device)]
    devices = [Device(**dict(zip(names, row, strict=True))) for row in dbt.ref("devices").project(", ".join(names)).fetchall()]
    pairs = "site_id, device_serial, station_name"
    told = {*dbt.ref("stg_dicom__series").project(pairs).distinct().fetchall()}
    told |= {*dbt.ref("stg_analysis__measure").project(pairs).distinct().fetchall()}
    rows = []
    for site, serial, station in sorted(told, key=str):
        device, doubt = identified(serial, station, [d for d in devices if d.site_id == site])
        rows.append((site, serial, station, device, doubt and to_text(doubt)))
    columns = [pa.array([r[n] for r in rows], pa.string()) for n in range(5)]
    return pa.table(columns, names=["site_id", "device_serial", "station_name", "device_id", "reason"])

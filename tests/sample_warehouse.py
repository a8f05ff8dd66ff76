"""A small warehouse with the columns of the architecture and faults whose counts are known, for tests of reports and pages."""

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from connectors.stores.object_store.port import key_of

__all__ = ["AS_OF", "FAULTS", "IMAGE", "change", "link", "make_release", "publish", "write_picture"]

AS_OF = datetime(2026, 3, 10, 16, 0)  # naive UTC: end of the local day 2026-03-10
DEVICES = ["GC1", "SPCT1", "PETCT1"]
KEY = {d: f"{i + 1:064x}" for i, d in enumerate(DEVICES)}
FAULTS = {
    "PHANTOM_LIMIT": 1,
    "PHANTOM_MISSING": 1,
    "DOSE_RANGE": 1,
    "CREDENTIAL_INVALID": 1,
    "STEP_MISSING": 1,
    "ENVIRONMENT_LIMIT": 2,
    "ENVIRONMENT_GAP": 1,
    "INTAKE_QUARANTINED": 1,
    "INTAKE_DUPLICATE": 1,
    "ADVERSE_EVENT": 1,
    "DRIFT": 1,
    "PEER_OUTLIER": 1,
    "PHANTOM_OVERDUE": 1,
    "PHANTOM_INVALID": 2,
}
RULES = {
    "PHANTOM_LIMIT": ("fail", "Phantom measure outside its limit", "模体测量值超出限值"),
    "PHANTOM_NOT_MEASURED": ("warn", "Phantom test could not be measured", "模体检测无法测量"),
    "PHANTOM_MISSING": ("fail", "Device used without its due test", "设备未做应做检测即投入使用"),
    "DOSE_RANGE": ("fail", "Administered activity outside tolerance", "给药活度超出允差"),
    "CREDENTIAL_INVALID": ("fail", "Step by staff without a valid credential", "由资质无效人员完成的步骤"),
    "STEP_MISSING": ("fail", "Mandatory step skipped", "缺少必做步骤"),
    "STEP_ORDER": ("warn", "Steps out of order", "步骤顺序错误"),
    "STEP_TIMING": ("warn", "Step outside its time window", "步骤不在规定时间内"),
    "ENVIRONMENT_LIMIT": ("warn", "Room outside its band", "机房环境超出范围"),
    "ENVIRONMENT_GAP": ("warn", "Sensor readings missing", "传感器读数缺失"),
    "ENVIRONMENT_SILENT": ("fail", "A site or a registered sensor is not heard", "院区或已登记传感器无数据"),
    "INTAKE_QUARANTINED": ("warn", "Message quarantined", "报文被隔离"),
    "INTAKE_DUPLICATE": ("info", "Message sent twice", "报文重复发送"),
    "INTAKE_DOUBT": ("warn", "What a message or image says could not be read for certain", "消息或图像的内容未能可靠读取"),
    "LINK_CONTRADICTED": ("fail", "An input contradicts the examination that it names", "数据与其所指检查相矛盾"),
    "LINK_UNCERTAIN": ("warn", "Whose an input is, or of which examination, cannot be told", "数据的归属无法确定"),
    "LINK_ORPHAN": ("warn", "An input belongs to no known order", "数据没有对应的医嘱"),
    "DEVICE_IDENTITY": ("warn", "A device is named that is not clearly a registered one", "设备身份与登记不符或无法确定"),
    "IMAGE_QUALITY_LIMIT": ("warn", "Image quality below its limit", "图像质量低于限值"),
    "IMAGE_NOT_MEASURED": ("warn", "Image quality could not be measured", "图像质量无法测量"),
    "ADVERSE_EVENT": ("warn", "Adverse event reported", "报告了不良事件"),
    "PHANTOM_INVALID": ("warn", "Test with an unknown or uncalibrated phantom", "使用了未登记或校准过期的模体"),
    "PHANTOM_OVERDUE": ("warn", "Phantom test overdue", "模体测试逾期"),
    "DRIFT": ("warn", "A measure drifts", "测量值漂移"),
    "PEER_OUTLIER": ("warn", "Device stands out among its peers", "设备结果偏离同型号设备"),
    "FORM_MISSING": ("fail", "A required form was not signed and valid before the step", "步骤开始前所需表格未签署或已失效"),
    "PREPARATION": ("fail", "The patient was not prepared as the examination needs", "患者准备不符合检查要求"),
    "DRUG_INTERFERENCE": ("fail", "A drug that interferes with the examination was not withheld", "干扰检查的药物未按要求停用"),
    "AGENT_KIND": ("fail", "The radiopharmaceutical is not one of the examination ordered", "所用放射性药物与医嘱检查不符"),
    "IMAGE_KIND": ("fail", "An image is of another kind than the examination ordered", "图像种类与医嘱检查不符"),
    "IMAGE_MISSING": ("fail", "An examination has no image of the required kind", "检查缺少所需种类的图像"),
    "ORDER_IN_FORCE": ("fail", "The order was not known or not in force", "医嘱未知或已失效"),
    "WORKLIST_HELD": ("info", "A worklist or an examination in it was held", "工作列表或其中的检查被暂停"),
    "WORKLIST_OVERRIDE": ("warn", "A held worklist was offered on a person's word", "已暂停的工作列表经人工批准继续提供"),
}

# the pseudonymised image of GC1's phantom, by the key that the object store gives these bytes
IMAGE = b"one pseudonymised image"
SERIES = {
    "series_uid": "1.2.0",
    "study_uid": "1.2",
    "instances": [{"sop_instance_uid": "1.2.0.1", "object_key": key_of(IMAGE), "sha256": "0" * 64}],
}


def _insert(connection: duckdb.DuckDBPyConnection, table: str, **values: object) -> None:
    marks = ", ".join("?" for _ in values)
    connection.execute(f"insert into marts.{table} ({', '.join(values)}) values ({marks})", list(values.values()))


def make_release(warehouse: Path, name: str, *, faults: bool = True, broken_key: bool = False, as_of: datetime = AS_OF) -> Path:
    """Build one release and point `candidate` at it; `broken_key` plants a duplicate key, which must block publishing."""
    folder = warehouse / "releases" / name
    folder.mkdir(parents=True)
    make_lake(folder / "lake")
    with duckdb.connect(str(folder / "qc.duckdb")) as c:
        c.execute("create schema marts")
        c.execute(Path(__file__).with_name("sample_marts.sql").read_text(encoding="utf-8"))
        _fill(c, name, as_of, faults)
        _translate(c)
        if broken_key:
            c.execute("insert into marts.fct_examination select * from marts.fct_examination limit 1")
    link(warehouse, "candidate", folder)
    return folder / "qc.duckdb"


def _translate(c: duckdb.DuckDBPyConnection) -> None:
    """Give each reason what `contracted` puts beside it."""
    told = c.execute("select table_name from information_schema.columns where column_name = 'reason' and table_schema = 'marts'")
    for (mart,) in told.fetchall():
        for part in ("zh", "code", "args"):
            c.execute(f"alter table marts.{mart} add column if not exists reason_{part} varchar")
        missing = "case when reason like '% is missing' then 'test.missing' end"
        c.execute(f"update marts.{mart} set reason_zh = reason, reason_code = {missing} where reason is not null")


def link(warehouse: Path, name: str, folder: Path) -> None:
    """Swap a link as publishing does."""
    draft = warehouse / f".{name}.draft"
    draft.symlink_to(folder.relative_to(warehouse))
    draft.replace(warehouse / name)


def publish(warehouse: Path, release: Path | None = None) -> None:
    """Make a release, default the candidate, the published one."""
    link(warehouse, "current", release or (warehouse / "candidate").resolve())


def _fill(c: duckdb.DuckDBPyConnection, release: str, as_of: datetime, faults: bool) -> None:
    site = "MAIN"
    day = (as_of - timedelta(hours=1)).date()
    for d in DEVICES:
        _insert(
            c,
            "dim_device",
            device_id=d,
            site_id=site,
            name_en=f"Device {d}",
            name_zh=f"设备 {d}",
            kind="camera",
            modality="NM",
            room_id=f"ROOM-{d}",
        )
        _insert(c, "dim_room", room_id=f"ROOM-{d}", site_id=site, name_en=f"Room of {d}", name_zh=f"{d} 机房", kind="scanner")
    for rule, (severity, en, zh) in RULES.items():
        _insert(
            c,
            "dim_rule",
            rule_id=rule,
            version="1",
            severity=severity,
            title_en=en,
            title_zh=zh,
            clause="WS 523-2019, 5.1",
            requirement="TST-02",
        )
    for i, d in enumerate(DEVICES):
        bad = faults and d == "GC1"
        for detector in ("1", "2"):
            fails = bad and detector == "2"
            _insert(
                c,
                "fct_phantom_test",
                run_key=KEY[d],
                procedure="planar_uniformity",
                detector=detector,
                measure="integral_uniformity_ufov",
                site_id=site,
                device_id=d,
                series_uid=f"1.2.{i}",
                value=9.4 if fails else 2.8,
                unit="%",
                status="measured",
                method="nema",
                method_version="1",
                measured_at_utc=as_of - timedelta(hours=9),
                recorded_at_utc=as_of - timedelta(hours=9),
                limit_high=5.0,
                limit_id="L1",
                limit_version="1",
                standard="NEMA NU 1",
                clause="2.4",
                verdict="fail" if fails else "pass",
                is_current=True,
                picture_href=f"pictures/{KEY[d]}.png",
                phantom_state="expired" if faults and d == "SPCT1" else None,
            )
        missing = faults and d == "PETCT1"
        _insert(
            c,
            "mart_device_day",
            site_id=site,
            device_id=d,
            day=day,
            state="not_fit" if bad else "not_confirmed" if missing else "fit",
            reason="uniformity of detector 2 fails" if bad else "daily uniformity is missing" if missing else None,
            tests_due=1,
            tests_done=0 if missing else 1,
            tests_failed=int(bad),
            examinations=3,
        )
        _insert(
            c,
            "mart_device_month",
            site_id=site,
            device_id=d,
            month=day.replace(day=1),
            examinations=9,
            series=9,
            phantom_tests=10,
            phantom_fails=int(bad),
        )
        for hour in range(-1, 24):  # the first one opens a day that has only begun: its missing slots are nobody's fault yet
            hot = faults and d == "SPCT1" and hour in (10, 11)
            gap = faults and d == "PETCT1" and hour == 5
            _insert(
                c,
                "mart_environment_hour",
                site_id=site,
                room_id=f"ROOM-{d}",
                quantity="humidity",
                hour_utc=as_of - timedelta(hours=hour + 1),
                unit="%",
                sensor_id=f"ROOM-{d}/humidity",
                value_min=40,
                value_mean=72 if hot else 45,
                value_max=75,
                slots_expected=6,
                slots_received=3 if gap else 6 if hour >= 0 else 1,
                completeness_percent=50 if gap else 100 if hour >= 0 else 17,
                limit_low=30,
                limit_high=60,
                limit_version="1",
                verdict="fail" if hot else "pass",
            )
        odd = faults and d == "SPCT1"
        _insert(
            c,
            "mart_drift",
            site_id=site,
            trend_id=f"t{i}",
            subject_kind="device",
            subject_id=d,
            procedure="planar_uniformity",
            measure="ufov_iu_percent",
            is_current=True,
            state="drift" if odd else "in_control",
            matters=odd,
            shift=0.4 if odd else None,
        )
        _insert(
            c,
            "mart_device_health",
            site_id=site,
            device_id=d,
            day=day,
            contribution="drift",
            points_lost=15 if odd else 0,
            score=85 if odd else 100,
            reason="ufov_iu_percent went up" if odd else None,
        )
        _insert(
            c,
            "mart_peer_position",
            site_id=site,
            device_id=d,
            procedure="planar_uniformity",
            measure="ufov_iu_percent",
            value=2.8,
            peers=3,
            position="outlier" if odd else "among",
            matters=odd,
        )
        _insert(
            c,
            "mart_phantom_due",
            site_id=site,
            device_id=d,
            procedure="centre_of_rotation",
            every_days=7,
            state="overdue" if odd else "ok",
        )
    for i in range(6):
        number, device = f"ACC{i:03d}", DEVICES[i % 3]
        bad = faults and i == 0
        _insert(
            c,
            "fct_examination",
            accession_number=number,
            site_id=site,
            patient_pseudonym=f"{i:032x}",
            exam_code="BONE",
            exam_name="Bone",
            status="done",
            device_id=device,
            ordered_at_utc=as_of - timedelta(hours=12),
            steps_expected=2,
            steps_done=1 if bad else 2,
            steps_missing=int(bad),
            findings=3 if bad else 0,
            verdict="fail" if bad else "pass",
        )
        _insert(
            c, "fct_examination_indication", site_id=site, accession_number=number, indication_code="staging", exam_code="BONE"
        )
        for sequence, step in enumerate(("injection", "acquisition"), 1):
            _insert(
                c,
                "fct_examination_step",
                accession_number=number,
                step=step,
                occurrence=1,
                site_id=site,
                exam_code="BONE",
                sequence=sequence,
                mandatory=True,
                state="missing" if bad and sequence == 2 else "done",
                staff_id="T01",
                staff_role="technologist",
                device_id=device,
                timing_ok=True,
                credential_valid=not (bad and sequence == 1),
                started_at_utc=as_of - timedelta(hours=8),
            )
        _insert(
            c,
            "mart_administered_activity",
            accession_number=number,
            site_id=site,
            agent="Tc-99m MDP",
            nuclide="Tc-99m",
            prescribed_mbq=740,
            administered_mbq=560 if bad else 738,
            deviation_percent=-24.3 if bad else -0.3,
            tolerance_percent=10,
            administered_at_utc=as_of - timedelta(hours=8),
            verdict="fail" if bad else "pass",
        )
        outcome = {0: "quarantined", 1: "duplicate"}.get(i, "stored") if faults else "stored"
        _insert(
            c,
            "fct_intake_outcome",
            event_id=f"o{i}",
            site_id=site,
            channel="dicom",
            message_id=f"1.2.3.{i}",
            outcome=outcome,
            sha256=f"{i:064x}",
            size_bytes=1000,
            reason="image is cut short" if outcome == "quarantined" else None,
            sender="GC1",
            received_at_utc=as_of - timedelta(hours=8),
        )
    _insert(
        c,
        "mart_staff_month",
        site_id=site,
        staff_id="T01",
        month=day.replace(day=1),
        staff_role="technologist",
        steps_total=12,
        steps_compliant=11,
    )
    _insert(
        c,
        "mart_credential_validity",
        site_id=site,
        staff_id="T01",
        credential="licence",
        role="technologist",
        state="expired",
        days_left=-3,
        steps_while_invalid=1,
    )
    if faults:
        _insert(
            c,
            "fct_adverse_event",
            event_number="AE1",
            site_id=site,
            category="extravasation",
            severity="minor",
            occurred_at_utc=as_of - timedelta(hours=7),
            description="<b>not markup</b>",
        )
        for rank, rule in enumerate(FAULTS, 1):
            severity, en, zh = RULES[rule]
            _insert(
                c,
                "fct_finding",
                finding_id=f"f{rank}",
                site_id=site,
                rule_id=rule,
                rule_version="1",
                severity=severity,
                clause="5.1",
                requirement="TST-02",
                subject_kind="series",
                subject_id=f"1.2.{rank}",
                device_id="GC1" if rank % 2 else None,
                room_id=None if rank % 2 else "ROOM-SPCT1",
                occurred_at_utc=as_of - timedelta(hours=rank),
                value=9.4,
                unit="%",
                limit_text="≤ 5 %",
                title_en=en,
                title_zh=zh,
                reason="<b>not markup</b>",
                picture_href=f"pictures/{KEY['GC1']}.png" if rule == "PHANTOM_LIMIT" else None,
                source_mart="fct_phantom_test",
                rank=rank,
            )
    count = c.execute("select count(*) from marts.fct_finding").fetchone()
    _insert(
        c,
        "mart_release",
        release_id=release,
        site_id=site,
        as_of_utc=as_of,
        built_at_utc=as_of,
        lake_head=json.dumps({"dicom": 6}),
        examinations=6,
        series=6,
        findings=count[0] if count else 0,
    )


def make_lake(lake: Path) -> None:
    """Write the lake beside the release: six outcomes at the door, measures and readings."""
    for table in ("events", "measures", "readings"):
        (lake / table).mkdir(parents=True)
    with duckdb.connect() as c:
        c.execute(
            f"""copy (select 'o' || i as event_id, 'urn:photopeak:dicom' as source,
              'intake.outcome' as type, 's' as subject, 'MAIN' as site_id,
              timestamp '2026-03-10 08:00:00' as occurred_at_utc,
              timestamp '2026-03-10 08:00:00' as recorded_at_utc, repeat('a', 64) as sha256,
              'dicom' as journal,
              i + 1 as journal_offset, '{{"channel": "dicom"}}' as data from range(6) t(i)
              union all select 'series', 'urn:photopeak:dicom', 'dicom.series', '1.2.0', 'MAIN', timestamp '2026-03-10 08:00:00',
              timestamp '2026-03-10 08:00:00', repeat('b', 64), 'dicom', 7, '{json.dumps(SERIES)}')
              to '{lake}/events/a.parquet' (format parquet)"""
        )
        c.execute(
            f"""copy (select 'MAIN' as site_id, 'k' as run_key, 'phantom' as analysis, 's' as series_uid,
              'planar_uniformity' as procedure, 'measured' as status,
              null::varchar as reason, null::varchar as reason_code, null::varchar as reason_args, '1' as detector, '' as aspect, '' as region,
              'm' as measure, 1.0 as value, '%' as unit, 'nema' as method,
              '1' as method_version)
              to '{lake}/measures/a.parquet' (format parquet)"""
        )
        c.execute(
            f"""copy (select 'r1' as event_id, 'MAIN' as site_id, 'ROOM-GC1' as room_id, 'ROOM-GC1/humidity' as sensor_id,
              'humidity' as quantity, 45.0 as value, '%' as unit,
              'good' as quality, timestamp '2026-03-10 08:00:00' as read_at_utc)
              to '{lake}/readings/a.parquet' (format parquet)"""
        )


def write_picture(reports: Path, device: str = "GC1") -> Path:
    """Write a picture where `analyse_*` would."""
    path = reports / "pictures" / f"{KEY[device]}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
    )
    return path


def change(path: Path, statement: str) -> None:
    """Break a release on purpose."""
    with duckdb.connect(str(path)) as c:
        c.execute(statement)

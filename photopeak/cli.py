"""The command. Each verb is a few lines here that call the file of the same name; exit codes and error texts are made here too."""

import errno
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from messages import because, fields

if TYPE_CHECKING:
    from connectors.settings import Settings

__all__ = ["app", "main"]

DONE, FAILED, USAGE, ENVIRONMENT, LOCKED = 0, 1, 2, 3, 75

app = typer.Typer(
    name="photopeak",
    help="Quality control of the whole nuclear-medicine examination. 核医学检查全过程质量控制。",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON only. 仅输出 JSON。")]


@app.command()
def demo() -> None:
    """Run the demo: a simulated hospital sends its data, and the findings are compared with the planted faults. 运行演示。"""
    from photopeak import demo as verb

    raise typer.Exit(verb.run(load()))


@app.command()
def up(
    services: Annotated[
        list[str] | None, typer.Argument(help="Start only these services; default: all. 只启动这些服务；默认全部。")
    ] = None,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Create keys, tables, users and dashboards, then end. 只作准备，不启动。")
    ] = False,
) -> None:
    """Start the services that are not running and wait until they answer. 启动平台。"""
    from photopeak import supervise

    supervise.up(load(), services or None, prepare_only=prepare_only)


@app.command()
def down() -> None:
    """Stop everything that `up` started. 停止平台。"""
    from photopeak import supervise

    supervise.down(load())


@app.command()
def status(as_json: Json = False) -> None:
    """Show the state of each service; exit 1 unless all are up and every DAG can be read. 各服务的状态。"""
    from photopeak import probe

    rows = probe.status(load())
    print(json.dumps([r | fields(r["reason"]) for r in rows], indent=1, ensure_ascii=False) if as_json else probe.table(rows))
    raise typer.Exit(DONE if all(map(probe.is_well, rows)) else FAILED)


@app.command()
def run(service: Annotated[str, typer.Argument(help="Name of a service as listed by `status`. 服务名称。")]) -> None:
    """Run one service in the foreground, as the supervisor does. 在前台运行一个服务。"""
    from photopeak import supervise

    supervise.run(load(), service)


@app.command()
def job(
    name: Annotated[str, typer.Argument(help="Name of a job (the name of its DAG). 作业名称。")],
    start: Annotated[
        str | None, typer.Option("--from", help="Backfill: first journal offset, or first time of recording. 补算的起点。")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", help="Last offset, end of that time, or the moment as of which a release judges. 补算的终点。"),
    ] = None,
    series: Annotated[str | None, typer.Option(help="Series Instance UID: measure this series again. 重新测量此序列。")] = None,
    as_json: Json = False,
) -> None:
    """Run one job, as Airflow does; exit 0 done, 99 nothing new, 75 locked. 手动运行一步。"""
    from photopeak import jobs

    with _standard_output_for_the_result(as_json):
        done, code = jobs.run(load(), name, jobs.Request(start, end, series))
    account = done.to_json()
    if "switched_off" in account:
        print(account["switched_off"], file=sys.stderr)
    print(
        json.dumps(account, ensure_ascii=False, default=str) if as_json else "\n".join(f"{k:<12} {v}" for k, v in account.items())
    )
    raise typer.Exit(code)


@app.command()
def release(as_json: Json = False) -> None:
    """Build, attest and publish a release and list what changed: findings, verdicts, rows; exit 1 if not published. 构建、审核并发布，列出变化。"""
    from photopeak import release as verb

    with _standard_output_for_the_result(as_json):
        found, code = verb.release(load())
    print(json.dumps(found, ensure_ascii=False, default=str) if as_json else verb.table(found))
    raise typer.Exit(code)


@app.command()
def analyse(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders. DICOM 文件或文件夹。")],
    as_json: Json = False,
    picture: Annotated[Path | None, typer.Option(help="Save a picture of each result in this folder. 图片文件夹。")] = None,
    sr: Annotated[
        Path | None,
        typer.Option(help="Save a DICOM Structured Report (TID 1500) of each series in this folder. 结构化报告文件夹。"),
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option(help="Save a page of each result, to print and sign, in this folder. 可打印签字的报告页文件夹。"),
    ] = None,
) -> None:
    """Measure and judge images from files; needs no server. 测量并判定图像文件，无需服务器。"""
    from photopeak import analyse as verb

    raise typer.Exit(verb.analyse(paths, as_json, picture, sr, pdf))


@app.command()
def send(
    paths: Annotated[
        list[Path], typer.Argument(help="DICOM files, reports (XML, JSON) or folders. DICOM 文件、报告（XML、JSON）或文件夹。")
    ],
    to: Annotated[
        str | None, typer.Option(help="host:port of the DICOM door; default: this installation. DICOM 入口的 主机:端口。")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Device of the reports that name no device. 报告所属设备（报告未写明时）。")
    ] = None,
) -> None:
    """Send images to the DICOM door, as a scanner does, and reports to the HTTP door. 像扫描仪一样发送图像，并发送报告。"""
    from photopeak import send as verb

    raise typer.Exit(verb.send(load(), paths, to, device))


@app.command()
def components(as_json: Json = False) -> None:
    """List the analysis components: version, owner, what starts each, state, last run. 列出分析组件。"""
    from photopeak import components as verb

    rows = verb.components(load())
    print(json.dumps([r | fields(r["reason"]) for r in rows], indent=1, ensure_ascii=False) if as_json else verb.table(rows))


@app.command()
def design(
    series: Annotated[
        int, typer.Option(min=1000, help="Number of series to simulate for each kind and design. 每种模拟的序列数。")
    ] = 50_000,
    as_json: Json = False,
) -> None:
    """Check the designs of the control charts by simulation on Spark; exit 1 if one misses its targets. 用模拟验证控制图设计。"""
    from photopeak import design as verb
    from spark_jobs.jobs.design import prove

    with _standard_output_for_the_result(as_json):
        rows = prove(load(), series)
    print(json.dumps(rows, indent=1) if as_json else verb.table(rows))
    raise typer.Exit(DONE if all(r["keeps"] for r in rows) else FAILED)


@app.command()
def watch(
    once: Annotated[
        bool, typer.Option("--once", help="Process all waiting readings, show the rooms, then end. 处理所有待处理数据后结束。")
    ] = False,
    as_json: Json = False,
) -> None:
    """Watch the environment of each room and device as readings arrive and show each change; stop with Ctrl-C. 实时监管各房间环境。"""
    from photopeak import watch as verb

    verb.run(load(), once, as_json)


@app.command()
def verify() -> None:
    """Check that the lake equals the journals; exit 1 with one line for each difference. 核对数据湖与日志一致。"""
    from connectors.stores.lake.verify import verify as differences

    found = differences(load())
    print("\n".join(map(both, found or [because("verify.equal")])))
    raise typer.Exit(FAILED if found else DONE)


@app.command()
def rebuild() -> None:
    """Delete lake, warehouse and reports and derive them again from journals and objects: equal rows. 从日志重建全部数据。"""
    from photopeak import rebuild as verb

    verb.rebuild(load())


@app.command()
def why(
    name: Annotated[
        str,
        typer.Argument(
            help="Accession number, Series or Study Instance UID, or record (journal/offset). 检查号、序列或检查实例 UID、记录。"
        ),
    ],
    as_json: Json = False,
) -> None:
    """Tell who said what of an examination, and why it was joined or not; pseudonyms only. 说明数据为何归入或未归入某项检查。"""
    from photopeak import why as verb

    try:
        rows = verb.why(load(), name)
    except verb.NotBuilt as exc:
        print(both(str(exc)), file=sys.stderr)
        raise typer.Exit(FAILED) from None
    print(verb.to_json(rows) if as_json else verb.table(rows) or both(because("why.nothing", name=name)))
    raise typer.Exit(DONE if rows else FAILED)


@app.command()
def requirements(as_json: Json = False) -> None:
    """List the requirement ids, their tests, and the result of each in the last `make test`. 列出各需求的测试结果。"""
    from photopeak import requirements as verb

    rows = verb.outcomes()
    print(json.dumps(rows, indent=1) if as_json else verb.table(rows))


@app.command()
def doctor(
    lang: Annotated[
        str | None, typer.Option("--lang", help="en or zh; default: the session's language. 语言，默认随会话。")
    ] = None,
) -> None:
    """Check the machine: Python, Java, disk, memory, ports; one sentence for each missing item. 检查本机环境。"""
    from photopeak import doctor as verb

    raise typer.Exit(verb.main(["--lang", lang] if lang else []))


def load() -> "Settings":
    """Return the settings; imported here because `analyse` on a laptop needs none and should answer within a second."""
    from connectors.settings import load as read

    return read()


class _standard_output_for_the_result:
    """While inside, whatever a library prints goes to standard error, so that standard output holds the JSON alone."""

    def __init__(self, active: bool) -> None:
        self.active = active

    def __enter__(self) -> None:
        self.kept = sys.stdout
        if self.active:
            sys.stdout = sys.stderr

    def __exit__(self, *_: object) -> None:
        sys.stdout = self.kept


def sentence(error: Exception) -> tuple[str, int] | None:
    """Return one clear sentence and the exit code for an error that a user can do something about; None: it is a defect."""
    from connectors.stores.lake.lock import Locked
    from photopeak.jobs import JobUsage

    text = " ".join(str(error).split())
    name = type(error).__name__
    if isinstance(error, Locked):
        return text, LOCKED
    if isinstance(error, JobUsage):
        return text, USAGE
    if name == "ValidationError" and hasattr(error, "errors"):
        wrong = error.errors()[0]
        place = "_".join(["PHOTOPEAK", *(str(p).upper() for p in wrong["loc"])])
        return because(
            "command.setting_wrong", setting=place, problem=str(wrong.get("ctx", {}).get("error", wrong["msg"]))
        ), USAGE
    if name in ("EnvironmentLacks", "SparkUnreachable"):
        return text, ENVIRONMENT
    # Spark's workers and libraries say it in the words of the system, within errors of their own
    if getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in text:
        place = getattr(error, "filename", None) or because("command.no_space")
        return because("command.disk_full", place=place), ENVIRONMENT
    if isinstance(error, OSError):
        return text, ENVIRONMENT if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) else FAILED
    if name in ("BuildFailed", "OtherMethods", "ServiceFailed", "SuiteError", "SwitchUnclear", "IOException") or type(error) in (
        RuntimeError,
        TimeoutError,
    ):
        return text, FAILED
    if name.startswith(("Spark", "PySpark", "AnalysisException", "PythonException", "RetriesExceeded")):
        return text[:500], FAILED
    return None


def both(text: str) -> str:
    """Return a sentence in English, and in Chinese on a line of its own where the catalogue has it."""
    from messages import both as in_both

    return in_both(text, "\n  ")


def main(arguments: list[str] | None = None) -> Any:
    """Run the command; an error that a user can act upon is one sentence on standard error, a defect keeps its traceback."""
    try:
        app(arguments)
    except (KeyboardInterrupt, SystemExit) as end:  # typer makes an exit of the first, without a word
        if isinstance(end, SystemExit) and end.code != 130:
            raise
        print("interrupted; the same command goes on where it stopped 已中断，重新运行同一命令即可继续", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        text = sentence(error)
        if text is None:
            raise
        print(f"photopeak: {both(text[0])}", file=sys.stderr)
        sys.exit(text[1])

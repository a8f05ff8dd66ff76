"""The one command. Each verb is a few lines here that call the file of the same name; exit codes and error sentences are made here too."""

import errno
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from connectors.settings import Settings

__all__ = ["app", "main"]

DONE, FAILED, USAGE, ENVIRONMENT, LOCKED = 0, 1, 2, 3, 75

app = typer.Typer(
    name="photopeak",
    help="Quality control of the whole nuclear-medicine examination.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


@app.command()
def demo() -> None:
    """Run the main job: a pretend hospital sends its data, and what is found is compared with what was planted."""
    from photopeak import demo as verb

    raise typer.Exit(verb.run(load()))


@app.command()
def up(
    services: Annotated[list[str] | None, typer.Argument(help="Only these services; default: all.")] = None,
    prepare_only: Annotated[
        bool, typer.Option("--prepare-only", help="Make keys, tables, users and dashboards, then end.")
    ] = False,
) -> None:
    """Start the platform, or what of it is not running, and wait until it answers."""
    from photopeak import supervise

    supervise.up(load(), services or None, prepare_only=prepare_only)


@app.command()
def down() -> None:
    """Stop everything that `up` started."""
    from photopeak import supervise

    supervise.down(load())


@app.command()
def status(as_json: Json = False) -> None:
    """Say how each service is; exit 1 unless all are up."""
    from photopeak import probe

    rows = probe.status(load())
    print(json.dumps(rows, indent=1, ensure_ascii=False) if as_json else probe.table(rows))
    raise typer.Exit(DONE if all(r["state"] == "up" for r in rows) else FAILED)


@app.command()
def run(service: Annotated[str, typer.Argument(help="Name of a service, as `status` lists them.")]) -> None:
    """Run one service in the foreground, the same that the supervisor starts."""
    from photopeak import supervise

    supervise.run(load(), service)


@app.command()
def job(
    name: Annotated[str, typer.Argument(help="Name of a job, as the DAGs are named.")],
    start: Annotated[
        str | None, typer.Option("--from", help="Back-fill: first journal offset, or first moment of recording.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last offset, end of that time, or the moment a release speaks of.")
    ] = None,
    series: Annotated[str | None, typer.Option(help="Series Instance UID: measure this one again.")] = None,
    as_json: Json = False,
) -> None:
    """Run one step by hand, the same that Airflow runs: 0 done, 99 nothing new, 75 locked."""
    from photopeak import jobs

    with _standard_output_for_the_result(as_json):
        account, code = jobs.run(load(), name, jobs.Request(start, end, series))
    print(
        json.dumps(account, ensure_ascii=False, default=str) if as_json else "\n".join(f"{k:<12} {v}" for k, v in account.items())
    )
    raise typer.Exit(code)


@app.command()
def analyse(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    as_json: Json = False,
    picture: Annotated[Path | None, typer.Option(help="Folder for a picture of each result.")] = None,
    sr: Annotated[Path | None, typer.Option(help="Folder for a DICOM Structured Report (TID 1500) of each series.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Folder for a page of each result, to print and sign.")] = None,
) -> None:
    """Measure and judge images from files, with no server at all."""
    from photopeak import analyse as verb

    raise typer.Exit(verb.analyse(paths, as_json, picture, sr, pdf))


@app.command()
def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.")],
    to: Annotated[str | None, typer.Option(help="host:port of the DICOM door; default: this installation's.")] = None,
) -> None:
    """Hand images in at the DICOM door, as a scanner does."""
    from photopeak import send as verb

    raise typer.Exit(verb.send(load(), paths, to))


@app.command()
def verify() -> None:
    """Prove that the lake equals the journals; exit 1 with a line for each difference."""
    from connectors.stores.lake.verify import verify as differences

    found = differences(load())
    print("\n".join(found) if found else "the lake equals the journals up to the committed offsets")
    raise typer.Exit(FAILED if found else DONE)


@app.command()
def rebuild() -> None:
    """Drop lake, warehouse and reports and derive them again from journals and objects: equal rows."""
    from photopeak import rebuild as verb

    verb.rebuild(load())


@app.command()
def requirements(as_json: Json = False) -> None:
    """Print which requirement ids have tests, and how the last `make test` ended for each."""
    from photopeak import requirements as verb

    rows = verb.outcomes()
    print(json.dumps(rows, indent=1) if as_json else verb.table(rows))


@app.command()
def doctor() -> None:
    """Check the machine: Python, Java, disk, memory, ports; one sentence each for what is missing."""
    from photopeak import doctor as verb

    raise typer.Exit(verb.main([]))


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
        return f"the setting {place} is wrong: {wrong['msg']}", USAGE
    if name in ("EnvironmentLacks", "SparkUnreachable"):
        return text, ENVIRONMENT
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            return (
                f"the disk is full ({error.filename or 'no space left'}): free space and run the same command again",
                ENVIRONMENT,
            )
        return text, ENVIRONMENT if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) else FAILED
    if name in ("BuildFailed", "OtherMethods", "ServiceFailed", "SuiteError", "IOException") or type(error) in (
        RuntimeError,
        TimeoutError,
    ):
        return text, FAILED
    if name.startswith(("Spark", "PySpark", "AnalysisException", "PythonException")):
        return text[:500], FAILED
    return None


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
        said = sentence(error)
        if said is None:
            raise
        print(f"photopeak: {said[0]}", file=sys.stderr)
        sys.exit(said[1])

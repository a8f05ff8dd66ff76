"""Command line of the pretend hospital: `python -m simulator run | images | modbus | check`."""

import argparse
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

from simulator.hospital import LOCAL

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed or not all found, 2 usage, 3 a door does not answer."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except ValueError as exc:
        print(f"simulator: {exc}", file=sys.stderr)
        return 2
    except ConnectionError as exc:
        print(f"simulator: {exc}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("simulator: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="The pretend hospital: sends, plants faults, and checks what was found."
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    run = verbs.add_parser("run", help="send the history and the live day through the platform's doors; goes on where it stopped")
    _plan_options(run)
    run.add_argument("--home", type=Path, required=True, help="home folder of the platform; progress is kept in HOME/demo")
    run.add_argument("--dicom", default="127.0.0.1:11112", metavar="HOST:PORT")
    run.add_argument("--ae", default="PHOTOPEAK", help="AE title of the DICOM node")
    run.add_argument("--hl7", default="127.0.0.1:2575", metavar="HOST:PORT")
    run.add_argument("--events", default="http://127.0.0.1:8070", metavar="URL", help="HTTP door for events")
    run.add_argument("--modbus-port", type=int, default=5020, help="port of the room sensors; 0: no sensors")
    run.add_argument("--modbus-seconds", type=float, default=75, help="the sensors answer at least so long")
    run.add_argument(
        "--token-file", type=Path, default=None, help="token of the HTTP door; default HOME/secrets/devices/simulator"
    )
    run.set_defaults(command=_run)

    images = verbs.add_parser("images", help="write example images with known truth")
    images.add_argument("--out", type=Path, required=True)
    images.add_argument("--seed", type=int, default=1)
    images.set_defaults(command=_images)

    modbus = verbs.add_parser("modbus", help="serve the room sensors until interrupted")
    modbus.add_argument("--port", type=int, default=5020)
    modbus.add_argument("--host", default="127.0.0.1")
    modbus.add_argument("--seconds", type=float, default=None, help="end after so many seconds")
    modbus.set_defaults(command=_modbus)

    check = verbs.add_parser("check", help="compare what was planted with what the platform found")
    check.add_argument("--home", type=Path, required=True)
    check.add_argument(
        "--warehouse", type=Path, default=None, help="a release (folder or qc.duckdb); default HOME/warehouse/current"
    )
    check.add_argument("--day", type=date.fromisoformat, default=None, help="default: as in the run")
    check.add_argument("--seed", type=int, default=None)
    check.add_argument("--history-days", type=int, default=None)
    check.set_defaults(command=_check)
    return parser


def _plan_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--day", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD", help="the live day, local")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--history-days", type=int, default=90)


def _run(options: argparse.Namespace) -> int:
    from simulator.run import Doors, run

    token_file = options.token_file or options.home / "secrets" / "devices" / "simulator"
    doors = Doors(options.dicom, options.ae, options.hl7, options.events, token_file, options.modbus_port, options.modbus_seconds)
    return run(options.home, options.day, options.seed, options.history_days, doors)


def _images(options: argparse.Namespace) -> int:
    from simulator.images import make
    from simulator.plan import build_plan

    plan = build_plan(options.seed, datetime(2026, 1, 5, tzinfo=LOCAL).date(), 14)
    live, before = plan.day, plan.day - timedelta(days=2)
    jobs = {j.key: j for j in plan.images if not {"edited", "truncated"} & j.fault.keys()}
    wanted = {
        "flood": f"flood-GC1-{before}",
        "flood_dead_photomultiplier": f"flood-GC1-{live}",
        "centre_of_rotation": f"cor-GC1-{live}",
        "centre_of_rotation_3mm": f"cor-SPCT1-{live}",
        "ct_water": f"ct_water-SPCT1-{live}",
        "ct_water_plus_6hu": f"ct_water-PETCT1-{live}",
        "whole_body_bone": next(k for k, j in jobs.items() if j.kind == "bone" and not j.fault),
        "whole_body_bone_low_counts": f"bone-{plan.faults['low_count']}",
        "thyroid": next(k for k, j in jobs.items() if j.kind == "thyroid"),
        "renal_dynamic": next(k for k, j in jobs.items() if j.kind == "renal" and not j.fault),
        "renal_dynamic_dropped_frame": f"renal-{plan.faults['dropped_frame']}",
        "hepatobiliary_dynamic": next(k for k, j in jobs.items() if j.kind == "hepatic"),
        "gated_heart": next(k for k, j in jobs.items() if j.kind == "heart" and not j.fault),
        "gated_heart_shifted_view": f"heart-{plan.faults['shifted_view']}",
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, key in wanted.items():
        path = options.out / f"{name}.dcm"
        make(plan, jobs[key]).save_as(path, enforce_file_format=True)
        print(path)
    return 0


def _modbus(options: argparse.Namespace) -> int:
    from simulator.sensors import serve

    print(f"room sensors answer at {options.host}:{options.port}, unit 1, input registers (end with Ctrl-C)", flush=True)
    serve(options.host, options.port, options.seconds)
    return 0


def _check(options: argparse.Namespace) -> int:
    from simulator.check import check

    return check(options.home, options.warehouse, options.day, options.seed, options.history_days)


if __name__ == "__main__":
    sys.exit(main())

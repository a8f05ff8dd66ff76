"""Run one job of the platform in its own environment: the same command that a person types."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

__all__ = ["JobOperator", "outcome"]

COMMAND = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "python"
NOTHING_NEW, LOCKED, ENVIRONMENT = 99, 75, 3


class JobOperator(BaseOperator):
    """`photopeak job NAME --json`: its log streams to the task's log, its account is the task's return value.

    Parameters
    ----------
    job
        Name of the job.
    nothing_new_wakes
        True: the DAGs behind are woken even when there was nothing new; otherwise the task is skipped and nobody is.
    besides
        {field of the account: asset}: who waits for the asset is woken only when that field is not 0.
    """

    ui_color = "#e8f0fe"

    def __init__(
        self, *, job: str, nothing_new_wakes: bool = False, besides: dict[str, Asset] | None = None, **kwargs: Any
    ) -> None:
        self._besides = {field: (AssetAlias(f"{asset.name}-if-any"), asset) for field, asset in (besides or {}).items()}
        super().__init__(**{**kwargs, "outlets": [*kwargs.get("outlets", ()), *(alias for alias, _ in self._besides.values())]})
        self.job, self.nothing_new_wakes = job, nothing_new_wakes
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Return the job's account; skip when there was nothing new; raise with the sentence that says what the job wants."""
        # the job must see none of Airflow's settings; bytecode may be kept again
        drop = ("AIRFLOW", "PYTHON", "VIRTUAL_ENV", "__AIRFLOW")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        environment["PYTHONUNBUFFERED"] = environment["PYTHONNOUSERSITE"] = "1"
        with tempfile.TemporaryFile("w+") as answer:
            self._process = subprocess.Popen(
                [str(COMMAND), "-m", "photopeak", "job", self.job, "--json"],
                stdout=answer, stderr=subprocess.PIPE, text=True, errors="replace", env=environment, cwd=tempfile.gettempdir(),
                start_new_session=True,
            )  # fmt: skip
            assert self._process.stderr is not None
            last = "no output"
            for line in self._process.stderr:
                if line.strip():
                    last = line.strip()
                    self.log.info("%s", last)
            code = self._process.wait()
            answer.seek(0)
            text = answer.read()
        account = outcome(self.job, code, text, last, self.nothing_new_wakes, self.log.info)
        self.log.info("account: %s", account)
        for field, (alias, asset) in self._besides.items():
            if account.get(field):
                context["outlet_events"][alias].add(asset)
        return account

    def on_kill(self) -> None:
        """End the job and what it started; a job can be killed at any time and run again."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)


def outcome(
    job: str, code: int, text: str, last: str, nothing_new_wakes: bool, say: Callable[[str], object] = print
) -> dict[str, Any]:
    """Return the account of a job that ended, or raise what Airflow understands."""
    if code == NOTHING_NEW and (why := json.loads(text).get("switched_off")):
        raise AirflowSkipException(why)
    if code == NOTHING_NEW and not nothing_new_wakes:
        raise AirflowSkipException(f"{job}: nothing new")
    if code in (0, NOTHING_NEW):
        return json.loads(text)
    if code == LOCKED:
        raise AirflowException(f"{job} is at work already, by hand or from another run: this task tries again by itself ({last})")
    wants = (
        "the machine lacks something; `photopeak doctor` and `photopeak status` say what" if code == ENVIRONMENT else "see above"
    )
    if text.strip():
        say(text.strip())
    raise AirflowException(f"{job} ended with code {code}: {last}. {wants}. By hand: photopeak job {job}")

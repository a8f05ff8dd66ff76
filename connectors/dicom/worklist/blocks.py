"""Which examinations a scanner is not offered because something forbids their next step: a form, a drug, the preparation.

The decision is `connectors.readiness`, asked when a scanner asks; each change of what an examination's entry met is an event.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from connectors.dicom.stations import ACTIONS, Policy, policy_of
from connectors.events import Event
from connectors.exam_reference import read_reference
from connectors.examinations import Examinations
from connectors.readiness import readiness
from connectors.settings import Settings
from connectors.stores.journal.port import Journal

__all__ = ["Blocks"]

LOG = logging.getLogger("photopeak.dicom")
SOURCE = "urn:photopeak:dicom"
# the states of worklist_policies.csv that are an examination's and no device's: a form may still be signed, the others forbid
BLOCKED, FORMS = "blocked", "forms_missing"
NOBODY = {"policy_id": None, "policy_version": None, "approver": None}
WORST = ("offered", "warned", "held")


class Blocks:
    """Answers whether an examination is offered; safe from many threads."""

    def __init__(self, settings: Settings, examinations: Examinations, journal: Journal, clock: Callable[[], datetime]) -> None:
        self._settings, self._examinations, self._journal, self._clock = settings, examinations, journal, clock
        self._lock, self._told = threading.Lock(), dict[str, tuple[str, str]]()

    def held(self, numbers: list[str], policies: tuple[Policy, ...], now: datetime) -> set[str]:
        """Return the accession numbers of these that are not offered now; raise OSError or sqlite3.Error when nobody can tell.

        Asked is for the injection until it is done, then for the acquisition. What is not known forbids nothing.
        """
        if not numbers:
            return set()
        reference, out, said_now = read_reference(), set[str](), list[dict[str, Any]]()
        rows = {state: policy_of(policies, "", state) for state in (BLOCKED, FORMS)}
        for number in numbers:
            events = self._examinations.events(number)
            injected = any(
                e.type == "examination.dose"
                or (e.type == "examination.step" and e.data["step"] == "injection" and e.data["result"] == "done")
                for e in events
            )
            step = "acquisition" if injected else "injection"
            said = readiness(number, events, reference, now, self._settings.utc_offset_minutes, step)
            known = [c for c in said.blocks if c.known]
            met = {FORMS if c.rule_id == "FORM_MISSING" else BLOCKED for c in known}
            done = {state: ACTIONS.get(row.action, "held") if (row := rows[state]) else "held" for state in met}
            worst = max(sorted(done), key=lambda state: WORST.index(done[state]), default=None)
            action, policy = (done[worst], rows[worst]) if worst else ("offered", None)
            about = (
                {"policy_id": policy.policy_id, "policy_version": policy.version, "approver": policy.approver}
                if policy
                else NOBODY
            )
            reason = "; ".join(c.reason_en for c in known)
            said_now.append({"accession_number": number, "action": action, "step": step, "reason": reason, **about})
            if action == "held":
                out.add(number)
        self._tell(said_now)
        return out

    def _tell(self, said_now: list[dict[str, Any]]) -> None:
        """Append what has changed since it was told last, all of it in one commit."""
        with self._lock:
            changed = [d for d in said_now if self._before(d["accession_number"]) != (d["action"], d["reason"])]
            at, site = self._clock(), self._settings.site_id
            events = [
                Event("examination.hold", SOURCE, f"hold/{uuid4()}", site, d["accession_number"], at, at, d) for d in changed
            ]
            if events:
                self._journal.append(events)
            if len(self._told) > 10_000:
                self._told.clear()
            self._told |= {d["accession_number"]: (d["action"], d["reason"]) for d in changed}
        for d in changed:
            why = f": {d['reason']}" if d["reason"] else ""
            LOG.info("worklist: examination %s is %s before %s%s", d["accession_number"], d["action"], d["step"], why)

    def _before(self, number: str) -> tuple[str, str]:
        if number not in self._told:
            before = [e.data for _, e in self._journal.of("examination.hold", number)]
            self._told[number] = (before[-1]["action"], before[-1]["reason"]) if before else ("offered", "")
        return self._told[number]

"""Which examinations a scanner is not offered because something forbids their next step: a form, a drug, the preparation.

The decision is `judgement.readiness`, asked when a scanner asks; each change of what an examination's entry met is an event.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from connectors.dicom.worklist.orders import Order
from connectors.events import Event
from connectors.examinations import Examinations
from connectors.settings import Settings
from connectors.stores.journal.port import Journal
from judgement import reference
from judgement.readiness import next_step, readiness
from judgement.rows import Policy
from judgement.worklist import decide_examination
from messages import from_fields, joined, stored

__all__ = ["Blocks"]

LOG = logging.getLogger("photopeak.dicom")
SOURCE = "urn:photopeak:dicom"
NOBODY = {"policy_id": None, "policy_version": None, "approver": None}


class Blocks:
    """Answers whether an examination is offered; safe from many threads."""

    def __init__(self, settings: Settings, examinations: Examinations, journal: Journal, clock: Callable[[], datetime]) -> None:
        self._settings, self._examinations, self._journal, self._clock = settings, examinations, journal, clock
        self._lock, self._told = threading.Lock(), dict[str, tuple[str, str]]()

    def held(self, orders: Sequence[Order], policies: tuple[Policy, ...], now: datetime) -> set[str]:
        """Return the numbers (labels) of these orders that are not offered now; raise OSError when nobody can tell.

        Asked is for the injection until it is done, then for the acquisition. What is not known forbids nothing.
        """
        if not orders:
            return set()
        required, out, said_now = reference.requirements(), set[str](), list[dict[str, Any]]()
        for order in orders:
            number, events = order.label, self._examinations.of(order.examination)
            step = next_step(events)
            said = readiness(number, events, required, now, self._settings.zone, step)
            action, policy = decide_examination(((c.rule_id, c.known) for c in said.blocks), policies)
            about = (
                {"policy_id": policy.policy_id, "policy_version": policy.version, "approver": policy.approver}
                if policy
                else NOBODY
            )
            reason = joined(c.reason for c in said.blocks if c.known) or ""
            said_now.append({"accession_number": number, "action": action, "step": step, **stored(reason), **about})
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
            self._told[number] = (before[-1]["action"], from_fields(before[-1]) or "") if before else ("offered", "")
        return self._told[number]

"""Today's device states, as the job `confirm_devices` wrote them for this node."""

import json
from pathlib import Path
from typing import Any

from judgement.worklist import DEVICE_STATES, State
from messages import from_fields

__all__ = ["read_states"]


def read_states(path: Path, site_id: str, day: str) -> dict[str, State] | str:
    """Return the states of this local day by device, or why there are none: then every device counts as not confirmed."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["version"] != 1 or said["site_id"] != site_id:
            return "the file of today's device states is of another version or site"
        if said["day"] != day:
            return f"the newest device states are of {said['day']}, not of today"
        found = {
            name: State(d["state"], from_fields(d) or "", tuple(_test(t) for t in d["tests"]))
            for name, d in said["devices"].items()
        }
    except FileNotFoundError:
        return "no device state of today is known yet"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "the file of today's device states cannot be read"
    return found if all(s.state in DEVICE_STATES for s in found.values()) else "the file of today's device states cannot be read"


def _test(said: dict[str, Any]) -> dict[str, str]:
    return {"procedure": str(said["procedure"]), "code": str(said["code"]), "reason": from_fields(said) or ""}

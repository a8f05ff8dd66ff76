"""Today's device states, as the job `confirm_devices` wrote them for this node."""

import json
from pathlib import Path
from typing import Any

from judgement.worklist import DEVICE_STATES, State
from messages import because, from_fields

__all__ = ["read_states"]


def read_states(path: Path, site_id: str, day: str) -> dict[str, State] | str:
    """Return the states of this local day by device, or why there are none: then every device counts as not confirmed."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["version"] != 1 or said["site_id"] != site_id:
            return because("hold.states_other")
        if said["day"] != day:
            return because("hold.states_old", day=said["day"])
        found = {
            name: State(d["state"], from_fields(d) or "", tuple(_test(t) for t in d["tests"]))
            for name, d in said["devices"].items()
        }
    except FileNotFoundError:
        return because("hold.no_state_today")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return because("hold.states_unreadable")
    return found if all(s.state in DEVICE_STATES for s in found.values()) else because("hold.states_unreadable")


def _test(said: dict[str, Any]) -> dict[str, str]:
    return {"procedure": str(said["procedure"]), "code": str(said["code"]), "reason": from_fields(said) or ""}

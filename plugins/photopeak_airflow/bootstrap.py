"""Make or migrate Airflow's database, its users and pools, in one process (the command line would need five, of seconds each)."""

import os
from pathlib import Path

USERS = {"admin": "Admin", "engineer": "Op", "viewer": "Viewer"}
POOLS = {"warehouse": (1, "one build of the marts at a time"), "spark": (1, "one analysis at a time on a small machine")}


def main() -> None:
    """Leave a database of this version, with the users and pools that are missing; what an administrator changed stays."""
    from airflow.models.pool import Pool
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils import db

    db.initdb()
    for name, (slots, description) in POOLS.items():
        Pool.create_or_update_pool(name=name, slots=slots, description=description, include_deferred=False)
    passwords = Path(os.environ["PHOTOPEAK_HOME"]) / "secrets" / "passwords"
    with get_application_builder() as builder:
        manager = builder.sm
        for user, role in USERS.items():
            if not manager.find_user(user):
                password = (passwords / f"airflow-{user}").read_text().strip()
                mail = f"{user}@photopeak.example"
                manager.add_user(user, user.capitalize(), "Photopeak", mail, manager.find_role(role), password=password)


if __name__ == "__main__":
    main()

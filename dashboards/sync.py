"""Make Superset show the bundle: import by uuid, then remove what an earlier bundle brought and this one no longer holds.

.venv-superset/bin/python dashboards/sync.py      (PHOTOPEAK_HOME set; after an edit of a YAML file)
"""

from pathlib import Path
from typing import Any

import yaml

__all__ = ["import_bundle", "prune", "uuids"]


def uuids(texts: dict[str, str]) -> list[str]:
    """Return the uuids of all things in the bundle."""
    return sorted(str(yaml.safe_load(text)["uuid"]) for path, text in texts.items() if Path(path).parent != Path())


def import_bundle(texts: dict[str, str], former: set[str]) -> dict[str, int]:
    """Overwrite databases, datasets, charts and dashboards by uuid, prune, and return how many of each there are; needs an app context."""
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    ImportAssetsCommand(texts).run()
    return prune(set(uuids(texts)), former)


def prune(keep: set[str], former: set[str]) -> dict[str, int]:
    """Delete what is in `former` and not in `keep`; what people made for themselves stays. Return how many of `keep` there are."""
    from superset import db
    from superset.connectors.sqla.models import SqlaTable
    from superset.models.core import Database
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice

    left = {}
    models: dict[str, Any] = {"dashboards": Dashboard, "charts": Slice, "datasets": SqlaTable, "databases": Database}
    for name, model in models.items():
        rows = db.session.query(model).all()
        for row in rows:
            if str(row.uuid) in former - keep:
                db.session.delete(row)
        db.session.flush()
        left[name] = sum(str(row.uuid) in keep for row in rows)
    db.session.commit()
    return left


if __name__ == "__main__":
    import sys

    from bootstrap import bootstrap  # type: ignore[import-not-found]

    sys.exit(bootstrap(force=True))

"""Who may see what: a role for managers that reads dashboards and nothing else, rows by site, and two users. Needs an app context."""

from typing import Any

__all__ = ["MANAGER", "MANAGER_PERMISSIONS", "apply_roles", "apply_users"]

MANAGER = "Manager"
# Explicit, and not a copy of Gamma: Gamma may write charts and save queries. Anything that a new version of Superset adds stays out.
MANAGER_PERMISSIONS = [
    ("can_read", "Dashboard"),
    ("can_read", "Chart"),
    ("can_dashboard", "Superset"),
    ("can_log", "Superset"),
    ("can_read", "DashboardFilterStateRestApi"),
    ("can_write", "DashboardFilterStateRestApi"),
    ("can_read", "DashboardPermalinkRestApi"),
    ("can_write", "DashboardPermalinkRestApi"),
    ("can_read", "CurrentUserRestApi"),
    ("can_read", "SecurityRestApi"),  # the token against forged requests, nothing else
    ("can_read", "Theme"),
    ("can_time_range", "Api"),
    ("can_get_column_values", "Datasource"),
    ("can_view_chart_as_table", "Dashboard"),
    ("can_csv", "Superset"),  # what a chart shows, as a file
    ("can_recent_activity", "Log"),
    ("can_language_pack", "Superset"),
    ("can_userinfo", "UserDBModelView"),
    ("resetmypassword", "UserDBModelView"),
]


def apply_roles(sites: list[str]) -> list[str]:
    """Bring the role, one role a site and the row filters to what this file says; return permissions that Superset does not know."""
    from superset import db
    from superset import security_manager as sm
    from superset.connectors.sqla.models import RowLevelSecurityFilter, SqlaTable

    datasets = db.session.query(SqlaTable).all()
    found = {p: sm.find_permission_view_menu(*p) for p in MANAGER_PERMISSIONS}
    manager = sm.find_role(MANAGER) or sm.add_role(MANAGER)
    manager.permissions = [x for x in found.values() if x] + [
        sm.add_permission_view_menu("datasource_access", d.perm) for d in datasets
    ]

    def rows(name: str, kind: str, clause: str, roles: list[Any]) -> None:
        rule = db.session.query(RowLevelSecurityFilter).filter_by(name=name).one_or_none() or RowLevelSecurityFilter(name=name)
        rule.filter_type, rule.clause, rule.group_key, rule.tables, rule.roles = kind, clause, "site", datasets, roles
        db.session.add(rule)

    site_roles = []
    for site in sites:
        role = sm.find_role(f"Site {site}") or sm.add_role(f"Site {site}")
        quoted = site.replace("'", "''")
        rows(f"site {site}", "Regular", f"site_id = '{quoted}'", [role])
        site_roles.append(role)
    # a base filter holds for all but the roles named: who has no site sees no row
    rows("no site, no rows", "Base", "1 = 0", [sm.find_role("Admin"), *site_roles])
    db.session.commit()
    return [f"{a} on {b}" for (a, b), x in found.items() if x is None]


def apply_users(passwords: dict[str, str], site: str, reset: set[str]) -> None:
    """Make the users `admin` and `manager`; a password is set for a new user and for those in `reset` only."""
    from superset import db
    from superset import security_manager as sm

    roles = {"admin": [sm.find_role("Admin")], "manager": [sm.find_role(MANAGER), sm.find_role(f"Site {site}")]}
    for name, password in passwords.items():
        user = sm.find_user(name)
        if user is None:
            user = sm.add_user(name, name.capitalize(), "Photopeak", f"{name}@photopeak.invalid", roles[name], password=password)
            if not user:
                raise SystemExit(f"Superset refused to make the user {name}; its log says why.")
        elif name in reset:
            sm.reset_password(user.id, password)
        user.roles = roles[name]
    db.session.commit()

"""The service `status`: one landing page that says what is wrong, as of when, and leads to everything else."""

from datetime import UTC, datetime
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from connectors.settings import Settings, load
from judgement.days import local_text, with_local_times, zone_text
from judgement.devices import UNREGISTERED
from judgement.limits import number_text
from judgement.rows import Device, Room
from messages import name_of
from messages import render as reason_in
from terminals.headers import guard
from terminals.overview import consequences, intake_now, names_of, overview, states_today, worklists
from terminals.phantoms import Phantoms
from terminals.priorities import devices_now, grouped, headline, rooms_with_alarm
from terminals.reports import rule_links
from terminals.services import Services
from terminals.words import HERE, choose, texts

__all__ = ["create_app"]

CALM_S, HASTY_S = 15, 3  # until the page shows itself anew; hasty while a phantom that has just arrived waits for its verdict


def create_app(settings: Settings, services: Services) -> FastAPI:
    """Return the service; `services` says in which state each service of the platform is."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    words, phantoms = texts(), Phantoms(settings)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"service": "status"}

    @app.get("/", response_class=HTMLResponse)
    def landing(request: Request) -> str:
        language = choose(request.query_params.get("lang"), request.headers.get("accept-language", ""))
        found, reason = _overview(settings)
        release = found["release"] if found else None
        tests, unknown = _tests(phantoms)
        states = services()
        t, findings = words[language], found["findings"] if found else []
        by_rule = consequences()
        held = worklists(settings.worklist)
        images = {rule for rule, consequence in by_rule.items() if consequence == "image"}
        devices = devices_now(held, states_today(settings), found["devices"] if found else (), findings, images)
        rooms = rooms_with_alarm(findings, release, names_of(Room))
        called = names_of(Device)

        def title(procedure: str) -> str:
            return name_of("procedure", procedure, language)

        return environment.get_template("status.html").render(
            language=language,
            t=t,
            pinned=load(home=settings.home).as_of_utc,
            headline=headline(t, found["counts"] if found and release else None, devices, rooms, states, unknown is None),
            devices=devices,
            rooms=rooms,
            groups=grouped(findings, by_rule),
            until=lambda tests: ("、" if language == "zh" else ", ").join(dict.fromkeys(map(title, tests))),
            found=found,
            unreadable=reason,
            tests=tests,
            tests_unreadable=unknown,
            again=HASTY_S if tests and tests["haste"] else CALM_S,
            title=title,
            measure=lambda name: name_of("measure", name, language),
            limit=_limit,
            release=release,
            services=states,
            down=[s for s in states if s.get("state") != "up" or s.get("reason")],
            doors=_doors(settings, request, states),
            journals=intake_now(settings.journals, release["lake_head"] if release else None),
            worklists=held,
            links=rule_links(settings.reports),
            reports=_address(request, settings.reports_port),
            local=lambda moment: local_text(moment, settings.zone) if moment else "–",
            moment=lambda text: local_text(datetime.fromisoformat(text), settings.zone),
            zone=zone_text(settings.zone),
            number=_number,
            unit=lambda u: "" if u in (None, "1") else u,  # UCUM's 1 is no unit to a reader
            device=lambda test: _device(test, called, t, language),
            place=lambda text: name_of("place", text, language),
            why=lambda text: with_local_times(reason_in(text, language), settings.zone),
            source=lambda text: name_of("source", text, language),
        )

    app.mount("/assets", StaticFiles(directory=HERE / "assets"))
    return guard(app)


def _overview(settings: Settings) -> tuple[dict[str, Any] | None, str | None]:
    """Return the overview, or why it cannot be read: the page with the services' states must come up in any case."""
    try:
        return overview(settings.warehouse), None
    except Exception as failed:
        return None, str(failed).splitlines()[0]


def _tests(phantoms: Phantoms) -> tuple[dict[str, Any] | None, str | None]:
    """Return the newest phantom tests, or why they cannot be read: nobody may take silence for a pass."""
    try:
        return phantoms.newest(datetime.now(UTC)), None
    except Exception as failed:
        return None, str(failed).splitlines()[0]


def _device(test: dict[str, Any], called: dict[str, dict[str, str]], t: dict[str, str], language: str) -> str:
    """Return the name of the device of a test; of one that is not registered what the image calls its station, too."""
    device = test["device_id"]
    if device == UNREGISTERED:
        return t["device_unregistered"] + (f" ({test['station']})" if test.get("station") else "")
    return called.get(device, {}).get(f"name_{language}") or str(device)


def _limit(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:g} … {high:g}"
    return f"≤ {high:g}" if high is not None else f"≥ {low:g}"


def _address(request: Request, port: int) -> str:
    """Return a service's address on the host by which the reader reached this page."""
    host = request.url.hostname or "127.0.0.1"
    return f"{request.url.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _doors(settings: Settings, request: Request, states: list[dict[str, Any]]) -> list[dict[str, str]]:
    by_name = {s.get("service"): str(s.get("state")) for s in states}
    return [
        {"key": key, "href": _address(request, port) + "/", "state": by_name.get(service, "")}
        for key, service, port in (
            ("dashboards", "superset", settings.superset_port),
            ("reports", "reports", settings.reports_port),
            ("airflow", "airflow-api", settings.airflow_port),
        )
    ]


def _number(value: float | None) -> str:
    return "" if value is None else number_text(value)

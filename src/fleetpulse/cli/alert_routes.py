"""`fleetpulse alerts routes`: which alerts go to which receivers."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import Duration, Labels, Names, Service, Whole, action, labels_of, one_of
from fleetpulse.cli.tables import Part, facts_of, left, right, table_of
from fleetpulse.errors import CommandRefused, SettingsError
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.receiver_answers import AlertRoute, AlertRoutes

ROUTES = "/api/v1/alerts/routes"
NOT_FOUND = 404
RouteName = Annotated[str, Parameter(help="Name of the route.")]
CONTINUE, RESOLVED = one_of("Further routes"), one_of("The end of alerts")
app = App(name="routes", help="List, declare and remove routes: which alerts go to which receivers.")


@action(app, "fleetpulse alerts routes list")
def list_(*, service: Service = Service()) -> None:
    """List the routes that are in effect, in the order in which they are tried."""
    service.ask(ROUTES, shape=AlertRoutes, parts=routes_parts)


def routes_parts(answer: AlertRoutes) -> list[Part]:
    """A table with a line a route."""
    columns = [left("route"), right("order"), left("alerts"), left("receivers"), left("grouped by"), left("")]
    rows = [
        [
            *(one.name, str(one.order), _matches(one) or "all", " ".join(one.receivers), " ".join(one.group_by)),
            "continues" if one.continues else "" if one.is_declared else "not declared",
        ]
        for one in answer.routes
    ]
    return [table_of(columns, rows)]


def _matches(one: AlertRoute) -> str:
    labels = [f"{m.label}{'!=' if m.negated else '='}{'|'.join(m.values)}" for m in one.matchers]
    return " ".join([*labels, "|".join(one.severities), "|".join(one.rules)]).strip()


@action(app, "fleetpulse alerts routes show all")
def show(name: RouteName, /, *, service: Service = Service()) -> None:
    """Show one route."""
    service.ask(_path(name), shape=AlertRoute, parts=route_parts)


def route_parts(one: AlertRoute) -> list[Part]:
    """All that a route says."""
    facts = [
        ("name", one.name),
        ("order", str(one.order)),
        ("alerts", _matches(one) or "all"),
        ("receivers", " ".join(one.receivers)),
        ("further routes", "are tried, too" if one.continues else "are not tried"),
        ("grouped by", " ".join(one.group_by)),
        ("group wait", one.group_wait),
        ("group interval", one.group_interval),
        ("reminders every", one.repeat_interval),
        *(("on call", _times(times)) for times in one.on_call),
        *(("quiet hours", _times(times)) for times in one.quiet_hours),
        ("quiet except", " ".join(one.quiet_except)),
        *(("escalation", f"after {step.after} to {' '.join(step.receivers)}") for step in one.escalation),
        ("end of alerts", "is told" if one.resolved else "is not told"),
    ]
    return [facts_of(facts)]


def _times(times: Any) -> str:
    days = " ".join(times.weekdays) if times.weekdays else "every day"
    return f"{days} at {times.at} for {times.duration} ({times.timezone})"


@action(
    app,
    "fleetpulse alerts routes set all --receiver hook",
    "fleetpulse alerts routes set paris --receiver mail --match site:paris --severity critical --order 10",
    "fleetpulse alerts routes set night --from night.json",
)
def set_(
    name: RouteName,
    /,
    *,
    receiver: Names = (),
    match: Labels = (),
    severity: Names = (),
    rule: Names = (),
    order: Whole | None = None,
    group_by: Names = (),
    group_wait: Duration = None,
    group_interval: Duration = None,
    repeat_interval: Duration = None,
    continue_: Annotated[bool, Parameter(name="--continue", group=CONTINUE)] = False,
    no_continue: Annotated[bool, Parameter(group=CONTINUE)] = False,
    resolved: Annotated[bool, Parameter(group=RESOLVED)] = False,
    no_resolved: Annotated[bool, Parameter(group=RESOLVED)] = False,
    from_: Annotated[Path | None, Parameter(name="--from", metavar="FILE")] = None,
    service: Service = Service(),
) -> None:
    """Declare a route, or change one; of a route that there is, what is not given stays as it is.

    Args:
        receiver: Who is told; may be repeated.
        match: A label that alerts must have; may be repeated.
        severity: Only alerts of this severity; may be repeated.
        rule: Only alerts of this rule; may be repeated.
        order: Routes are tried by this, then by name (default: 0).
        group_by: Alerts that share this label, `rule` or `severity` are told together (default: rule); may be repeated.
        group_wait: How long the first message of a group waits for others (default: 0s).
        group_interval: How soon the next one of a group may follow (default: 1m).
        repeat_interval: How often a reminder comes of what still fires (default: 4h); 0s: never.
        continue_: Routes after it are tried, too.
        no_continue: They are not (default).
        resolved: The end of alerts is told (default).
        no_resolved: It is not.
        from_: File with the whole route as JSON, as `show --json` prints it: on-call times, quiet hours and escalation,
            too.
    """
    given: dict[str, Any] = {
        "receivers": list(receiver) or None,
        "matchers": [{"label": label, "values": [value]} for label, value in labels_of(match).items()] or None,
        "severities": list(severity) or None,
        "rules": list(rule) or None,
        "order": order,
        "group_by": list(group_by) or None,
        "group_wait": group_wait,
        "group_interval": group_interval,
        "repeat_interval": repeat_interval,
        "continue": True if continue_ else False if no_continue else None,
        "resolved": True if resolved else False if no_resolved else None,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    with service.client() as client:
        body = _from_file(from_) if from_ is not None else _known(client, name)
        if not body and not receiver:
            raise SettingsError(f"there is no route {name} yet: say with --receiver who is to be told.")
        answer = client.send("PUT", _path(name), body=body | changes)
    service.show(answer, AlertRoute, route_parts)


def _known(client: Any, name: str) -> dict[str, Any]:
    try:
        return _body(client.get(_path(name)).into(dict[str, Any]))
    except CommandRefused as error:
        if error.status != NOT_FOUND:
            raise
        return {}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return _body(json.loads(path.read_text("utf-8-sig")))
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(f"{path} cannot be read as the JSON of a route: {error}") from error


def _body(answer: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in answer.items() if field not in ("name", "is_declared")}


@action(app, "fleetpulse alerts routes remove all")
def remove(name: RouteName, /, *, service: Service = Service()) -> None:
    """Remove a route; without any, every receiver is told everything."""
    service.ask(_path(name), method="DELETE", shape=Message, parts=message_parts)


def _path(name: str) -> str:
    return f"{ROUTES}/{segment(name)}"

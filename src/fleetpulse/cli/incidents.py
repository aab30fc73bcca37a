"""`fleetpulse alerts incidents`: alerts with a common cause."""

from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.cli.alert_list import ALERTS, alerts_table
from fleetpulse.cli.client import segment
from fleetpulse.cli.flags import Service, Whole, action
from fleetpulse.cli.tables import Part, facts_of, left, right, table_of, time_cell
from fleetpulse.query.alert_answers import Alerts, Incident, Incidents

INCIDENTS = f"{ALERTS}/incidents"
IncidentNumber = Annotated[str, Parameter(name="NUMBER", help="Number of the incident.")]
app = App(name="incidents", help="List alerts with a common cause.")


@action(app, "fleetpulse alerts incidents list")
def list_(*, limit: Whole = 20, service: Service = Service()) -> None:
    """List incidents, the newest first.

    Args:
        limit: Show at most this many.
    """
    service.ask(INCIDENTS, query=[("limit", limit)], shape=Incidents, parts=_incidents_parts)


def _incidents_parts(answer: Incidents) -> list[Part]:
    if not answer.incidents:
        return ["There are no incidents."]
    columns = [right("number"), left("severity"), left("rule"), left("of"), right("alerts"), right("devices")]
    rows = [
        [
            str(one.number),
            one.severity,
            one.rule,
            f"{one.label}:{one.value}",
            str(one.members),
            str(one.devices),
            time_cell(one.started_at),
            time_cell(one.ended_at),
        ]
        for one in answer.incidents
    ]
    return [table_of([*columns, left("began"), left("ended")], rows)]


@action(app, "fleetpulse alerts incidents show 2")
def show(number: IncidentNumber, /, *, limit: Whole = 20, service: Service = Service()) -> None:
    """Show one incident, and the alerts that belong to it.

    Args:
        limit: Show at most this many alerts.
    """
    with service.client() as client:
        answer = client.get(f"{INCIDENTS}/{segment(number)}")
        query = [("state", "all"), ("incident", number), ("limit", str(limit))]
        members = client.get(ALERTS, query=query).into(Alerts)
    service.show(answer, Incident, lambda incident: [_facts(incident), alerts_table(members.alerts)])


def _facts(one: Incident) -> Part:
    return facts_of(
        [
            ("number", str(one.number)),
            ("rule", one.rule),
            ("severity", one.severity),
            ("of", f"{one.label}:{one.value}"),
            ("began", time_cell(one.started_at)),
            ("ended", time_cell(one.ended_at)),
            ("alerts", f"{one.members}, of {one.devices} devices"),
            ("why", one.explanation),
        ]
    )

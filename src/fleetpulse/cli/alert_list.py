"""`fleetpulse alerts list` and what people do with single alerts."""

from collections.abc import Sequence
from typing import Annotated, Literal

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.flags import Duration, Labels, Name, Service, Time, Whole, WholeOrNone, action, label_query, one_of
from fleetpulse.cli.tables import Cell, Part, Table, facts_of, labels_cell, left, prose, right, table_of, time_cell
from fleetpulse.query.alert_answers import Alert, Alerts, ShownAlert

ALERTS = "/api/v1/alerts"
Number = Annotated[str, Parameter(name="NUMBER", help="Number of the alert, from `alerts list`.")]
Comment = Annotated[str, Parameter(metavar="TEXT", help="For others, in the log of the alert.")]
UNTIL = one_of("Until when")
app = App(name="alerts")


@action(app, "fleetpulse alerts list", "fleetpulse alerts list --state all --device press-07 --since 2026-11-24")
def list_(
    *,
    state: Literal["open", "pending", "firing", "resolved", "all"] = "firing",
    severity: Literal["info", "warning", "critical"] | None = None,
    rule: Name = None,
    device: Annotated[str | None, Parameter(metavar="ID")] = None,
    label: Labels = (),
    incident: WholeOrNone = None,
    acknowledged: bool | None = None,
    since: Time = None,
    until: Time = None,
    limit: Whole = 100,
    service: Service = Service(),
) -> None:
    """List alerts, the newest first.

    Args:
        state: Only those; open are those that are pending or firing, all those that ever fired.
        severity: Only of this severity.
        rule: Only of this rule.
        device: Only of this device.
        label: Only of devices with all of these labels; may be repeated.
        incident: Only those that belong to this incident.
        acknowledged: Only those that somebody has acknowledged, or, with --no-acknowledged, that nobody has.
        since: Only those that fired at this time or later, RFC 3339.
        until: Only those that fired before this time.
        limit: Show at most this many.
    """
    query: list[tuple[str, object]] = [("state", state), ("severity", severity), ("rule", rule), ("device_id", device)]
    query += label_query(label)
    query += [("incident", incident), ("since", since), ("until", until), ("limit", limit)]
    query += [] if acknowledged is None else [("acknowledged", str(acknowledged).lower())]
    service.ask(ALERTS, query=query, shape=Alerts, parts=alerts_parts)


def alerts_parts(answer: Alerts) -> list[Part]:
    """A table with a line an alert."""
    parts: list[Part] = [alerts_table(answer.alerts)] if answer.alerts else ["There are no such alerts."]
    if answer.beyond:
        parts.append(f"{answer.beyond} more are not listed: there is no room for them (alerts_open_max).")
    if answer.next_cursor is not None:
        parts.append("There may be more: ask with a higher --limit.")
    return parts


def alerts_table(alerts: Sequence[Alert]) -> Table:
    """Alerts, a line each."""
    columns = [right("number"), left("severity"), left("state"), left("rule"), left("of"), left("since")]
    columns += [right("value"), left("labels"), prose("who")]
    return table_of(columns, [_row(alert) for alert in alerts])


def _row(alert: Alert) -> Sequence[Cell]:
    return [
        "" if alert.number is None else str(alert.number),
        alert.severity,
        state_cell(alert),
        alert.rule,
        alert.subject,
        time_cell(alert.since),
        value_cell(alert),
        labels_cell(alert.labels),
        who_cell(alert),
    ]


def state_cell(alert: Alert) -> str:
    """The state of an alert, and what else is to be known of it."""
    more = [
        alert.resolution if alert.resolution != "recovered" else "",
        f"flapping, {alert.times} times" if alert.flapping else "",
        "withheld" if alert.withheld else "",
        f"incident {alert.incident}" if alert.incident else "",
    ]
    return ", ".join([alert.state, *filter(None, more)])


def value_cell(alert: Alert) -> str:
    """The figure of an alert; empty where it has none."""
    return "" if alert.value is None else f"{alert.value:.6g} {alert.unit}".rstrip()


def who_cell(alert: Alert) -> str:
    """Who takes care of an alert, and whether it is snoozed."""
    who = [
        f"acknowledged by {alert.acknowledged_by}" if alert.acknowledged_by else "",
        f"assigned to {alert.assignee}" if alert.assignee else "",
        f"snoozed until {time_cell(alert.snoozed_until)}" if alert.snoozed_until else "",
    ]
    return ", ".join(filter(None, who))


@action(app, "fleetpulse alerts show 17")
def show(number: Number, /, *, service: Service = Service()) -> None:
    """Show one alert, and its log."""
    service.ask(_path(number), shape=ShownAlert, parts=alert_parts)


def alert_parts(alert: ShownAlert) -> list[Part]:
    """All that is known of an alert."""
    facts = [
        ("number", str(alert.number)),
        ("rule", alert.rule),
        ("severity", alert.severity),
        ("state", state_cell(alert)),
        ("of", alert.subject),
        ("labels", labels_cell(alert.labels)),
        ("since", time_cell(alert.since)),
        ("fired", time_cell(alert.fired_at)),
        ("ended", time_cell(alert.resolved_at)),
        ("value", value_cell(alert)),
        ("times", str(alert.times)),
        ("who", who_cell(alert)),
        ("owner", alert.owner),
        *alert.annotations.items(),
    ]
    log = [[time_cell(entry.at), entry.action, entry.who, entry.text] for entry in alert.log]
    return [facts_of(facts), table_of([left("at"), left("what"), left("who"), prose("text")], log)]


@action(app, "fleetpulse alerts ack 17 --comment 'on my way'")
def ack(
    number: Number,
    /,
    *,
    comment: Comment = "",
    undo: Annotated[bool, Parameter(negative=(), help="Say that nobody takes care of it, after all.")] = False,
    service: Service = Service(),
) -> None:
    """Say that you take care of an alert: nobody is reminded of it, and it does not escalate."""
    _act(service, number, "acknowledge", {"comment": comment, "acknowledged": not undo})


@action(app, "fleetpulse alerts assign 17 bob")
def assign(
    number: Number,
    assignee: Annotated[str, Parameter(name="WHO", help="Who is to take care of it; '' for nobody.")],
    /,
    *,
    comment: Comment = "",
    service: Service = Service(),
) -> None:
    """Say who is to take care of an alert."""
    _act(service, number, "assign", {"assignee": assignee, "comment": comment})


@action(app, "fleetpulse alerts snooze 17 --for 2h --comment 'a technician is there'")
def snooze(
    number: Number,
    /,
    *,
    for_: Annotated[Duration, Parameter(name="--for", group=UNTIL)] = None,
    until: Annotated[Time, Parameter(group=UNTIL)] = None,
    comment: Comment = "",
    service: Service = Service(),
) -> None:
    """Have nobody told of an alert for a while.

    Args:
        for_: For so long, such as 2h; 0s ends it.
        until: Until this time, RFC 3339.
    """
    _act(service, number, "snooze", {"for": for_, "until": until, "comment": comment})


@action(app, "fleetpulse alerts comment 17 'the switch in hall 2 has no power'")
def comment(
    number: Number,
    text: Annotated[str, Parameter(name="TEXT", help="What others should know.")],
    /,
    *,
    service: Service = Service(),
) -> None:
    """Write something into the log of an alert, for others."""
    _act(service, number, "comment", {"text": text})


def _act(service: Service, number: str, action: str, body: dict[str, object]) -> None:
    service.ask(f"{_path(number)}/{action}", method="POST", body=body, shape=ShownAlert, parts=alert_parts)


def _path(number: str) -> str:
    return f"{ALERTS}/{segment(number)}"

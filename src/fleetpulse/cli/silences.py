"""`fleetpulse alerts silences`: of which alerts nobody is told for a while."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.cli.alert_list import ALERTS, UNTIL
from fleetpulse.cli.client import segment
from fleetpulse.cli.flags import Duration, Labels, Service, Time, action, labels_of
from fleetpulse.cli.tables import Part, Table, labels_cell, left, prose, right, table_of, time_cell
from fleetpulse.query.alert_answers import Silence, Silences

SILENCES = f"{ALERTS}/silences"
SilenceNumber = Annotated[str, Parameter(name="NUMBER", help="Number of the silence.")]
app = App(name="silences", help="Have nobody told of alerts with some labels for a while.")


@action(app, "fleetpulse alerts silences list")
def list_(
    *,
    ended: Annotated[bool, Parameter(negative=(), help="Also those that have ended.")] = False,
    service: Service = Service(),
) -> None:
    """List silences, the newest first."""
    service.ask(SILENCES, query=[("ended", str(ended).lower())], shape=Silences, parts=_silences_parts)


def _silences_parts(answer: Silences) -> list[Part]:
    return [_table(answer.silences)] if answer.silences else ["There are no silences."]


def _table(silences: Sequence[Silence]) -> Table:
    columns = [right("number"), left("alerts with"), left("state"), left("from"), left("until"), left("by")]
    rows = [
        [
            str(one.number),
            labels_cell(one.labels),
            one.state,
            time_cell(one.start),
            time_cell(one.end),
            one.created_by,
            one.comment,
        ]
        for one in silences
    ]
    return table_of([*columns, prose("why")], rows)


@action(
    app,
    "fleetpulse alerts silences add --label site:paris --for 4h --comment 'new switch in hall 2'",
    "fleetpulse alerts silences add --label rule:cpu-high --label site:paris --for 2d --comment 'load test'",
)
def add(
    *,
    label: Labels,
    comment: Annotated[str, Parameter(metavar="TEXT")],
    start: Time = None,
    for_: Annotated[Duration, Parameter(name="--for", group=UNTIL)] = None,
    until: Annotated[Time, Parameter(group=UNTIL)] = None,
    service: Service = Service(),
) -> None:
    """Have nobody told of alerts with all of these labels; they fire and end as always.

    Args:
        label: A label of devices; also rule, severity and device are names here; may be repeated.
        comment: Why, for others.
        start: From this time on, RFC 3339; now, where it is not given.
        for_: For so long, such as 4h.
        until: Until this time, RFC 3339.
    """
    body = {"labels": labels_of(label), "comment": comment, "start": start, "for": for_, "end": until}
    service.ask(SILENCES, method="POST", body=body, shape=Silence, parts=lambda made: [_table([made])])


@action(app, "fleetpulse alerts silences end 3")
def end(number: SilenceNumber, /, *, service: Service = Service()) -> None:
    """End a silence now: people are told of the alerts that still fire."""
    path = f"{SILENCES}/{segment(number)}"
    service.ask(path, method="DELETE", shape=Silence, parts=lambda ended: [_table([ended])])

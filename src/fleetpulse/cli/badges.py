"""`fleetpulse badges`: badges that pages show without a key."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import Labels, Service, action, labels_of
from fleetpulse.cli.tables import Cell, Part, Table, labels_cell, left, right, table_of, time_cell
from fleetpulse.query.badge_answers import BadgeEntry, BadgeList, MadeBadge
from fleetpulse.query.declaration_answers import Message

PATH = "/api/v1/badges"
app = App(name="badges")


@action(
    app,
    "fleetpulse badges add --device pump-7 --description 'wiki page of hall 2'",
    "fleetpulse badges add --label site:paris",
)
def add(
    *,
    device: Annotated[str | None, Parameter(metavar="DEVICE")] = None,
    label: Labels = (),
    description: Annotated[str, Parameter(metavar="TEXT")] = "",
    service: Service = Service(),
) -> None:
    """Make a badge with a token of its own, and show the token: this once only.

    Args:
        device: The device that it is about.
        label: Or the devices with this label; may be repeated. With neither, it is about the fleet.
        description: Where it is shown, for people.
    """
    body = {"device_id": device, "labels": labels_of(label), "description": description}
    service.ask(PATH, method="POST", body=body, shape=MadeBadge, parts=_made_parts)


def _made_parts(made: MadeBadge) -> list[Part]:
    text = f"\n{made.path}\n\nWhoever knows this path sees the badge. This is the only time that it is shown."
    return [_table([made]), text]


@action(app, "fleetpulse badges list")
def list_(*, service: Service = Service()) -> None:
    """List the badges that have tokens."""
    service.ask(PATH, shape=BadgeList, parts=lambda answer: [_table(answer.badges)])


@action(app, "fleetpulse badges revoke 3")
def revoke(number: Annotated[str, Parameter(name="NUMBER")], /, *, service: Service = Service()) -> None:
    """Revoke the token of a badge: it shows nothing from now on.

    Args:
        number: The number of the badge, as `badges list` shows it.
    """
    service.ask(f"{PATH}/{segment(number)}", method="DELETE", shape=Message, parts=message_parts)


def _table(badges: Sequence[BadgeEntry]) -> Table:
    columns = [right("number"), *(left(title) for title in ("device", "labels", "made", "by", "description"))]
    return table_of(columns, [_row(badge) for badge in badges])


def _row(badge: BadgeEntry) -> Sequence[Cell]:
    made = time_cell(badge.created_at)
    return [
        str(badge.number),
        badge.device_id or "",
        labels_cell(badge.labels),
        made,
        badge.created_by,
        badge.description,
    ]

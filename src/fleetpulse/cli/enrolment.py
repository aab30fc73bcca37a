"""`fleetpulse enrolment`: keys with which new devices get their own."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import Duration, Labels, Names, Service, Time, Whole, action, labels_of, one_of
from fleetpulse.cli.tables import Cell, Part, Table, labels_cell, left, right, table_of, time_cell
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.enrolment_answers import EnrolmentKey, EnrolmentKeys, MadeEnrolmentKey

KEYS = "/api/v1/enrolment-keys"
UNTIL = one_of("Until when")
app = App(name="enrolment")


@action(
    app,
    "fleetpulse enrolment add --uses 100 --id-pattern 'pump-*' --label site:paris --expires-in 7d",
    "fleetpulse enrolment add --uses 20 --takes firmware --description 'pumps of hall 2'",
)
def add(
    *,
    uses: Whole = 1,
    id_pattern: Annotated[str, Parameter(metavar="PATTERN")] = "*",
    label: Labels = (),
    takes: Names = (),
    description: Annotated[str, Parameter(metavar="TEXT")] = "",
    expires_at: Annotated[Time, Parameter(group=UNTIL)] = None,
    expires_in: Annotated[Duration, Parameter(group=UNTIL)] = None,
    service: Service = Service(),
) -> None:
    """Make an enrolment key, and show it: this once only.

    Args:
        uses: How many devices may enrol with it.
        id_pattern: What their ids must look like; * stands for any characters.
        label: Label that each of them gets, whatever it says of itself; may be repeated.
        takes: Name of a label that is taken from the device itself; may be repeated.
        description: For people.
        expires_at: Until this time, RFC 3339.
        expires_in: For this long, such as 7d; 30 days where neither is given.
    """
    body = {
        "uses": uses,
        "id_pattern": id_pattern,
        "labels": labels_of(label),
        "takes": list(takes),
        "description": description,
        "expires_at": expires_at,
        "expires_in": expires_in,
    }
    service.ask(KEYS, method="POST", body=body, shape=MadeEnrolmentKey, parts=_made_parts)


def _made_parts(made: MadeEnrolmentKey) -> list[Part]:
    text = f"\n{made.key}\n\nThis is the only time that the key is shown: keep it now."
    return [_table([made]), text]


@action(app, "fleetpulse enrolment list")
def list_(*, service: Service = Service()) -> None:
    """List enrolment keys, and how many devices have enrolled with each; `keys revoke NUMBER` ends one."""
    service.ask(KEYS, shape=EnrolmentKeys, parts=lambda answer: [_table(answer.keys)])


def _table(keys: Sequence[EnrolmentKey]) -> Table:
    columns = [right("number"), left("ids"), right("enrolled"), right("of")]
    columns += [left(title) for title in ("labels", "takes", "expires", "description")]
    return table_of(columns, [_row(key) for key in keys])


def _row(key: EnrolmentKey) -> Sequence[Cell]:
    uses = [str(key.number), key.id_pattern, str(key.uses), str(key.uses_max)]
    return [*uses, labels_cell(key.labels), " ".join(key.takes), time_cell(key.expires_at) or "never", key.description]


@action(app, "fleetpulse enrolment allow pump-7")
def allow(device: Annotated[str, Parameter(name="DEVICE")], /, *, service: Service = Service()) -> None:
    """Let a device enrol that is registered already, such as one that was reset; its keys are revoked."""
    path = f"/api/v1/devices/{segment(device)}/allow-enrolment"
    service.ask(path, method="POST", shape=Message, parts=message_parts)

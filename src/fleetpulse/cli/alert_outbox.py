"""`fleetpulse alerts outbox`: messages to receivers, and what became of them."""

from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.cli.flags import Service, Whole, action
from fleetpulse.cli.tables import Part, left, prose, right, table_of, time_cell
from fleetpulse.errors import SettingsError
from fleetpulse.notation.count import count_text
from fleetpulse.query.receiver_answers import Outbox, RetriedMessages

OUTBOX = "/api/v1/alerts/outbox"
app = App(name="outbox", help="List messages to receivers, and have given-up ones sent again.")


@action(
    app, "fleetpulse alerts outbox list --state waiting", "fleetpulse alerts outbox list --state dead --receiver hook"
)
def list_(
    *,
    state: Annotated[str | None, Parameter(metavar="STATE")] = None,
    receiver: Annotated[str | None, Parameter(metavar="NAME")] = None,
    limit: Whole = 100,
    service: Service = Service(),
) -> None:
    """List messages, the newest first: those that wait, and the latest delivered and given-up ones.

    Args:
        state: Only waiting, delivered or dead ones; dead are those that were given up.
        receiver: Only those to this receiver.
        limit: How many at most.
    """
    query = [("state", state), ("receiver", receiver), ("limit", str(limit))]
    service.ask(OUTBOX, query, shape=Outbox, parts=outbox_parts)


def outbox_parts(answer: Outbox) -> list[Part]:
    """A table with a line a message."""
    columns = [right("number"), left("decided"), left("receiver"), left("state"), right("tries")]
    rows = [
        [
            *(str(one.number), time_cell(one.decided_at), one.receiver, one.state, str(one.tries)),
            *(one.what, one.outcome),
        ]
        for one in answer.messages
    ]
    parts: list[Part] = [table_of([*columns, prose("message"), prose("outcome")], rows)]
    return [*parts, "There are older ones: see --limit."] if answer.next_cursor else parts


@action(app, "fleetpulse alerts outbox retry 17", "fleetpulse alerts outbox retry --receiver hook")
def retry(
    *numbers: Annotated[str, Parameter(help="Numbers of the messages.")],
    receiver: Annotated[str | None, Parameter(metavar="NAME")] = None,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    service: Service = Service(),
) -> None:
    """Have messages that were given up sent again.

    Args:
        receiver: All of this receiver.
        all_: All of every receiver.
    """
    body = {"numbers": [whole_number(number) for number in numbers], "receiver": receiver, "all": all_}
    service.ask(f"{OUTBOX}/retry", method="POST", body=body, shape=RetriedMessages, parts=_retried_parts)


def _retried_parts(answer: RetriedMessages) -> list[Part]:
    return [f"{count_text(answer.retried, 'message')} will be sent again."]


def whole_number(text: str) -> int:
    """The number of a message. Raises: SettingsError."""
    if not (text.isascii() and text.isdigit()):
        raise SettingsError(f"`{text[:50]}` is no number of a message; `alerts outbox list` shows them")
    return int(text)

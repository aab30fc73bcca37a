"""`fleetpulse alerts receivers`, `test` and `preview`: whom messages go to, and what these say."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import Service, action, one_of
from fleetpulse.cli.tables import Part, facts_of, left, right, table_of, time_cell
from fleetpulse.errors import CommandRefused, SettingsError
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.receiver_answers import AlertReceiver, AlertReceivers, PreviewedText, TestedReceiver

RECEIVERS = "/api/v1/alerts/receivers"
ReceiverName = Annotated[str, Parameter(help="Name of the receiver.")]
FilePath = Annotated[Path | None, Parameter(metavar="FILE")]
PRIVATE, RESOLVED = one_of("Addresses"), one_of("The end of alerts")
app = App(name="receivers", help="List, declare and remove receivers of messages about alerts.")


@action(app, "fleetpulse alerts receivers list")
def list_(*, service: Service = Service()) -> None:
    """List all receivers, and how many messages wait for each."""
    service.ask(RECEIVERS, shape=AlertReceivers, parts=receivers_parts)


def receivers_parts(answer: AlertReceivers) -> list[Part]:
    """A table with a line a receiver."""
    columns = [left("receiver"), left("kind"), right("waiting"), left("since"), right("delivered"), right("dead")]
    rows = [
        [
            *(one.name, one.kind, str(one.waiting), time_cell(one.oldest_waiting_at)),
            *(str(one.delivered), str(one.dead)),
        ]
        for one in answer.receivers
    ]
    return [table_of(columns, rows)]


@action(app, "fleetpulse alerts receivers show hook")
def show(name: ReceiverName, /, *, service: Service = Service()) -> None:
    """Show one receiver; its URL and its secret are never shown."""
    service.ask(_path(name), shape=AlertReceiver, parts=receiver_parts)


def receiver_parts(one: AlertReceiver) -> list[Part]:
    """All that is shown of a receiver."""
    facts = [
        ("name", one.name),
        ("kind", one.kind),
        ("url", one.url or one.url_file),
        ("secret", one.secret or one.secret_file),
        ("private addresses", "yes" if one.private else "no"),
        ("end of alerts", "yes" if one.resolved else "no"),
        ("title", one.title or "built in"),
        ("body", one.body or "built in"),
        ("waiting", f"{one.waiting}{f' since {time_cell(one.oldest_waiting_at)}' if one.oldest_waiting_at else ''}"),
        ("delivered", str(one.delivered)),
        ("given up", str(one.dead)),
    ]
    return [facts_of(facts)]


@action(
    app,
    "fleetpulse alerts receivers set hook --kind webhook --url-from hook.url --secret-from hook.secret",
    "fleetpulse alerts receivers set mail --kind apprise --url-file /etc/fleetpulse/mail.url",
    "fleetpulse alerts receivers set hook --body-from body.txt",
)
def set_(
    name: ReceiverName,
    /,
    *,
    kind: Annotated[str | None, Parameter(metavar="KIND")] = None,
    url_from: FilePath = None,
    url_file: Annotated[str | None, Parameter(metavar="PATH")] = None,
    secret_from: FilePath = None,
    secret_file: Annotated[str | None, Parameter(metavar="PATH")] = None,
    private: Annotated[bool, Parameter(group=PRIVATE)] = False,
    public: Annotated[bool, Parameter(group=PRIVATE)] = False,
    resolved: Annotated[bool, Parameter(group=RESOLVED)] = False,
    no_resolved: Annotated[bool, Parameter(group=RESOLVED)] = False,
    title: Annotated[str | None, Parameter(metavar="TEMPLATE")] = None,
    body_from: FilePath = None,
    service: Service = Service(),
) -> None:
    """Declare a receiver, or change one; of a receiver that there is, what is not given stays as it is.

    A URL is mostly a password, too: other users of this machine could read it among the arguments of a command, so it
    comes from a file.

    Args:
        kind: How it is reached: webhook, alertmanager or apprise (of a new one).
        url_from: File of this machine with the URL, which is sent to the service.
        url_file: Path of a file of the server that has the URL; it is read at each try.
        secret_from: File of this machine with the key by which webhooks are signed.
        secret_file: Path of a file of the server that has this key.
        private: It may be an address of a private network, or of the server itself.
        public: It may not (default).
        resolved: It is told of the end of alerts, too (default).
        no_resolved: It is not.
        title: Template of the title; empty: the built-in one.
        body_from: File with the template of the text; an empty file: the built-in one.
    """
    given: dict[str, Any] = {
        "kind": kind,
        "url": _read(url_from),
        "url_file": url_file,
        "secret": _read(secret_from),
        "secret_file": secret_file,
        "private": True if private else False if public else None,
        "resolved": True if resolved else False if no_resolved else None,
        "title": title,
        "body": _read(body_from),
    }
    changes = {field: value for field, value in given.items() if value is not None}
    with service.client() as client:
        try:
            known = client.get(_path(name)).into(AlertReceiver)
            body: dict[str, Any] = {"kind": known.kind, "private": known.private, "resolved": known.resolved}
            body |= {"title": known.title, "body": known.body}
        except CommandRefused as error:
            if kind is None:
                raise SettingsError(f"{error}. Say with --kind what a new one is to be.") from error
            body = {}
        answer = client.send("PUT", _path(name), body=body | changes)
    service.show(answer, AlertReceiver, receiver_parts)


def _read(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error


@action(app, "fleetpulse alerts receivers remove hook")
def remove(name: ReceiverName, /, *, service: Service = Service()) -> None:
    """Remove a receiver that no route names; messages that wait for it are given up."""
    service.ask(_path(name), method="DELETE", shape=Message, parts=message_parts)


def test_(name: ReceiverName, /, *, service: Service = Service()) -> None:  # noqa: PT028 - this is a command
    """Send a test message to a receiver, and say what came of it."""
    with service.client() as client:
        answer = client.send("POST", f"{_path(name)}/test", body={})
    service.show(answer, TestedReceiver, _test_parts)
    if not answer.into(TestedReceiver).delivered:
        raise SystemExit(1)


def _test_parts(answer: TestedReceiver) -> list[Part]:
    done = "delivered" if answer.delivered else "not delivered"
    return [f"{answer.receiver}: {done}: {answer.outcome}."]


def preview(
    *,
    receiver: Annotated[str | None, Parameter(metavar="NAME")] = None,
    kind: Annotated[str, Parameter(metavar="KIND")] = "firing",
    title: Annotated[str | None, Parameter(metavar="TEMPLATE")] = None,
    body_from: FilePath = None,
    service: Service = Service(),
) -> None:
    """Show the text of an example message; nothing is sent.

    Args:
        receiver: By the templates of this receiver (default: the built-in ones).
        kind: firing, incident, resolved, reminder, escalation, flapping, blind or test.
        title: Template of the title, to try it.
        body_from: File with a template of the text, to try it.
    """
    body = {"kind": kind, "receiver": receiver, "title": title, "body": _read(body_from)}
    service.ask("/api/v1/alerts/preview", method="POST", body=body, shape=PreviewedText, parts=_preview_parts)


def _preview_parts(answer: PreviewedText) -> list[Part]:
    return [answer.title, "", answer.body]


def _path(name: str) -> str:
    return f"{RECEIVERS}/{segment(name)}"

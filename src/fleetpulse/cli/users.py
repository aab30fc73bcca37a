"""`fleetpulse users`: people who may sign in. A password is typed or read from a file, and is never an argument."""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetpulse.cli.client import segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import Labels, Service, action
from fleetpulse.cli.tables import Part, Table, left, right, table_of, time_cell
from fleetpulse.errors import SettingsError
from fleetpulse.model.person import PASSWORD_CHARS_MAX, PersonRole
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.person_answers import People, Person

USERS = "/api/v1/users"
app = App(name="users")
PersonArgument = Annotated[str, Parameter(help="Name of the person.")]
PasswordFile = Annotated[
    Path | None,
    Parameter(metavar="FILE", help="File whose first line is the password; - is standard input (default: ask for it)."),
]
Role = Annotated[PersonRole, Parameter(help="What they may do: read, operate (declare and pause devices), or admin.")]
Scope = Annotated[
    Labels, Parameter(name="--scope", help="Only devices with this label; may be repeated (default: all devices).")
]


@action(app, "fleetpulse users list")
def list_(*, service: Service = Service()) -> None:
    """List the people who may sign in."""
    service.ask(USERS, shape=People, parts=_list_parts)


def _list_parts(answer: People) -> list[Part]:
    nobody = [] if answer.people else ["Nobody may sign in: `fleetpulse users add NAME --role read`."]
    return [people_table(answer.people), *nobody]


def people_table(people: list[Person]) -> Table:
    """A table of people."""
    rows = [
        [
            person.name,
            person.role,
            " ".join(person.scope) or "all devices",
            "disabled" if person.is_disabled else "",
            str(person.sessions),
            time_cell(person.created_at),
        ]
        for person in people
    ]
    columns = [left("name"), left("role"), left("scope"), left(""), right("sessions"), left("since")]
    return table_of(columns, rows)


def _person_parts(person: Person) -> list[Part]:
    return [people_table([person])]


@action(
    app,
    "fleetpulse users add alice --role read --scope site:paris",
    "fleetpulse users add bob --role admin --password-file bob.password",
)
def add(
    person: PersonArgument,
    /,
    *,
    role: Role,
    scope: Scope = (),
    password_file: PasswordFile = None,
    service: Service = Service(),
) -> None:
    """Let a person sign in."""
    body = {"name": person, "role": role, "scope": list(scope), "password": read_password(password_file, person)}
    service.ask(USERS, method="POST", body=body, shape=Person, parts=_person_parts)


@action(app, "fleetpulse users change alice --role operate --scope site:paris --scope hall:2")
def change(
    person: PersonArgument,
    /,
    *,
    role: Annotated[PersonRole | None, Parameter(help="What they may do from now on.")] = None,
    scope: Scope = (),
    all_: Annotated[bool, Parameter(name="--all", help="All devices from now on.")] = False,
    service: Service = Service(),
) -> None:
    """Change what a person may do, at once; sessions go on."""
    if all_ and scope:
        raise SettingsError("give --scope or --all, not both.")
    body: dict[str, Any] = {} if role is None else {"role": role}
    if scope or all_:
        body["scope"] = list(scope)
    if not body:
        raise SettingsError("say what is to change: --role, --scope or --all.")
    _patch(person, body, service)


@action(app, "fleetpulse users set-password alice")
def set_password(
    person: PersonArgument, /, *, password_file: PasswordFile = None, service: Service = Service()
) -> None:
    """Give a person a new password, and end all their sessions."""
    _patch(person, {"password": read_password(password_file, person)}, service)


@action(app, "fleetpulse users disable alice")
def disable(person: PersonArgument, /, *, service: Service = Service()) -> None:
    """Let a person sign in no more until `enable`, and end all their sessions."""
    _patch(person, {"is_disabled": True}, service)


@action(app, "fleetpulse users enable alice")
def enable(person: PersonArgument, /, *, service: Service = Service()) -> None:
    """Let a person sign in again who was disabled."""
    _patch(person, {"is_disabled": False}, service)


@action(app, "fleetpulse users remove alice")
def remove(person: PersonArgument, /, *, service: Service = Service()) -> None:
    """Remove a person, and end all their sessions."""
    service.ask(f"{USERS}/{segment(person)}", method="DELETE", shape=Message, parts=message_parts)


def _patch(person: str, body: dict[str, Any], service: Service) -> None:
    service.ask(f"{USERS}/{segment(person)}", method="PATCH", body=body, shape=Person, parts=_person_parts)


def read_password(file: Path | None, person: str) -> str:
    """The password of a file's first line, or as it is typed, twice. Raises: SettingsError: there is none."""
    if file is None:
        if not sys.stdin.isatty():
            raise SettingsError(
                "there is no terminal to type a password at: give --password-file FILE, or - for stdin."
            )
        password = getpass.getpass(f"Password of {person}: ")
        if getpass.getpass("The same again: ") != password:
            raise SettingsError("the two passwords differ; nothing was changed.")
        return password
    try:
        # A line of a text file, whatever ends it. A file that is no text, or never ends, is not read to its end.
        with sys.stdin if str(file) == "-" else file.open(encoding="utf-8-sig") as source:
            password = source.readline(PASSWORD_CHARS_MAX + 2).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the password cannot be read from {file}: {error}.") from error
    if not password:
        raise SettingsError(f"the first line of {file} is empty: it must be the password.")
    return password

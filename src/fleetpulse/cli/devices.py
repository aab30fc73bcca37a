"""`fleetpulse devices`: the questions; `device_changes.py` holds the actions that declare."""

from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from fleetpulse.cli import device_changes, device_fit
from fleetpulse.cli.client import Answer, Client, Query, segment
from fleetpulse.cli.device_changes import DEVICES, device_facts
from fleetpulse.cli.device_fit import fit_warnings
from fleetpulse.cli.device_pages import join_pages
from fleetpulse.cli.flags import (
    DeviceId,
    ExitCode,
    Filters,
    IncludeDeleted,
    Service,
    Whole,
    Window,
    action,
    down_status,
    one_of,
)
from fleetpulse.cli.tables import (
    Cell,
    Part,
    Table,
    facts_of,
    known,
    labels_cell,
    left,
    percent_cell,
    right,
    status_cell,
    table_of,
    time_cell,
)
from fleetpulse.cli.tables import show as show_parts
from fleetpulse.cli.terminal import clean
from fleetpulse.cli.uptime import figures_text
from fleetpulse.errors import SettingsError
from fleetpulse.notation.count import count_text
from fleetpulse.query.answers import DeviceAccount, Transition, Transitions
from fleetpulse.query.declaration_answers import Device, DeviceList
from fleetpulse.query.uptime_answers import Uptime

PAGE = 1_000
TRANSITIONS_SHOWN = 5
TRANSITIONS_WINDOW = "30d"
HOW_MANY = one_of("How many")
app = App(name="devices")
app.command(device_changes.app, name="*")
app.command(device_fit.app, name="*")


@action(app, "fleetpulse devices list --status down,late --label site:paris --sort last_seen")
def list_(
    *,
    filters: Filters = Filters(),
    sort: Annotated[str | None, Parameter(metavar="BY")] = None,
    limit: Annotated[Whole, Parameter(group=HOW_MANY)] = 100,
    all_: Annotated[bool, Parameter(name="--all", group=HOW_MANY)] = False,
    include_deleted: IncludeDeleted = False,
    exit_code: ExitCode = False,
    service: Service = Service(),
) -> int:
    """List devices.

    Args:
        sort: Order by id, status, last_seen or uptime; --sort=-uptime puts the greatest first (default: id).
        limit: Show at most this many devices.
        all_: Show all devices that match.
    """
    if limit < 1:
        raise SettingsError("--limit must be at least 1; or give --all.")
    with service.client() as client:
        answer = list_pages(
            client,
            [*filters.query(), ("sort", sort), ("include_deleted", include_deleted or None)],
            limit=None if all_ else limit,
        )
    service.show(answer, DeviceList, lambda listed: list_parts(listed, now_s=None if service.csv else answer.server_s))
    return down_status(any(device.status == "down" for device in answer.into(DeviceList).devices) and exit_code)


def list_parts(listed: DeviceList, *, now_s: int | None) -> list[Part]:
    """A table of devices, and how many there are.

    `now_s` is the server's time, in s since 1970; None: do not say for how long.
    """
    has_uptime = any(device.uptime is not UNSET for device in listed.devices)
    columns = [left("device"), left("status"), left("since"), left("last seen"), left("labels")]
    rows = [_list_row(device, now_s) for device in listed.devices]
    if has_uptime:
        columns.insert(-1, right("uptime %"))
        for row, device in zip(rows, listed.devices, strict=True):
            row.insert(-1, percent_cell(known(device.uptime)))
    hint = "; --limit N or --all shows more" if len(rows) < listed.total else ""
    return [table_of(columns, rows), f"{len(rows)} of {listed.total} shown{hint}."]


def _list_row(device: Device, now_s: int | None) -> list[Cell]:
    status = status_cell(device.status, since=device.since, now_s=now_s)
    return [device.id, status, time_cell(device.since), time_cell(device.last_seen), labels_cell(device.labels)]


def list_pages(client: Client, query: Query, *, limit: int | None) -> Answer:
    """The first `limit` devices (None: all): the service's answer as it is, or where it takes several, joined.

    Raises: NotAnswered; CommandRefused.
    """
    return join_pages(client, DEVICES, query, limit=limit, page_max=PAGE)


@action(app, "fleetpulse devices show 60-6b-44-84-dc-64")
def show(device: DeviceId, /, *, exit_code: ExitCode = False, service: Service = Service()) -> int:
    """Show one device: status, what is declared, uptime of the last 24 h, last changes of status.

    It warns if the declared interval does not fit the device's beats; `devices fit` shows more.

    With --json or --csv only the device is printed; `uptime device` and `devices transitions` print the rest.
    """
    path = f"{DEVICES}/{segment(device)}"
    with service.client() as client:
        answer = client.get(path)
        found = answer.into(Device)
        status = down_status(found.status == "down" and exit_code)
        if service.json or service.csv:
            service.show(answer, Device, lambda one: [device_facts(one)])
            return status
        uptime = client.get(f"{path}/uptime", [("window", "24h")]).into(Uptime)
        warnings = fit_warnings(client, found)
        changes = client.get(f"{path}/transitions", [("window", TRANSITIONS_WINDOW)]).into(Transitions).transitions
    show_parts(device_facts(found, now_s=answer.server_s), f"\nuptime of the last 24 h: {figures_text(uptime)}")
    show_parts(*warnings)
    if changes:
        title = f"last changes of status (`fleetpulse devices transitions {clean(device)}` lists all):"
        show_parts(title, _changes(changes[-TRANSITIONS_SHOWN:]))
    return status


def _changes(changes: list[Transition]) -> Table:
    rows: list[list[Cell]] = [
        [time_cell(change.at), status_cell(change.before), status_cell(change.after)] for change in changes
    ]
    return table_of([left("at"), left("from"), left("to")], rows)


@action(app, "fleetpulse devices account press-07")
def account(device: DeviceId, /, *, service: Service = Service()) -> None:
    """Show how many events of a device were accepted, and how many of these the answers know already."""
    service.ask(f"/api/v1/devices/{segment(device)}/account", shape=DeviceAccount, parts=_account_parts)


def _account_parts(account: DeviceAccount) -> list[Part]:
    return [facts_of([(name, str(getattr(account, name))) for name in account.__struct_fields__])]


@action(app, "fleetpulse devices transitions 60-6b-44-84-dc-64 --window 7d")
def transitions(
    device: DeviceId,
    /,
    *,
    include_deleted: IncludeDeleted = False,
    window: Window = Window(),
    service: Service = Service(),
) -> None:
    """List every change of a device's status."""
    path = f"{DEVICES}/{segment(device)}/transitions"
    query = [*window.query(), ("include_deleted", include_deleted or None)]
    service.ask(path, query, shape=Transitions, parts=transitions_parts)


def transitions_parts(answer: Transitions) -> list[Part]:
    """A table of changes, and where it ends."""
    changes = answer.transitions
    if answer.more_from:
        tail = f"There are more: ask again with --from {answer.more_from}."
    else:
        tail = (
            f"{count_text(len(changes), 'change')} of status from {time_cell(answer.start)} to {time_cell(answer.end)}"
        )
        tail += f"; before them it was {answer.status_before}."
    return [_changes(changes), tail]

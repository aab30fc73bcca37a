"""`fleetpulse maintenance`: when nothing is expected, and of which devices."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetpulse.cli.client import Client, segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import Duration, Ids, Labels, Service, Time, action, labels_of
from fleetpulse.cli.tables import Part, Table, labels_cell, left, prose, table_of, time_cell
from fleetpulse.errors import Answerable, SettingsError
from fleetpulse.ingest.calendar import declared_time_ns
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import parse_length
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.declaration_answers import MaintenanceWindow, MaintenanceWindows, Message

MAINTENANCE = "/api/v1/maintenance"
DEVICES_SHOWN = 3
DEVICES, TIMES = "Which devices", "When"
app = App(name="maintenance")


@action(app, "fleetpulse maintenance list")
def list_(*, service: Service = Service()) -> None:
    """List maintenance windows, and when each comes next."""
    service.ask(MAINTENANCE, shape=MaintenanceWindows, parts=_list_parts)


def _list_parts(answer: MaintenanceWindows) -> list[Part]:
    notes = [f"{window.id}: {note}" for window in answer.windows for note in window.notes]
    return [windows_table(answer.windows), *notes, *([] if answer.windows else ["There are no maintenance windows."])]


def windows_table(windows: list[MaintenanceWindow]) -> Table:
    """A table of maintenance windows."""
    rows = [
        [window.id, window.title, _devices(window), _when(window), "on" if window.is_on else "", _next(window)]
        for window in windows
    ]
    return table_of([left("id"), prose("title"), prose("of whom"), left("when"), left("now"), left("next")], rows)


def _devices(window: MaintenanceWindow) -> str:
    if window.all:
        return "all"
    devices = window.devices
    more = f"and {len(devices) - DEVICES_SHOWN} more devices" if len(devices) > DEVICES_SHOWN else ""
    return " ".join(part for part in (labels_cell(window.labels), *devices[:DEVICES_SHOWN], more) if part)


def _when(window: MaintenanceWindow) -> str:
    recurrence = window.recurrence
    if recurrence is None:
        return f"{time_cell(window.start)} to {time_cell(window.end)}"
    days = ", ".join(recurrence.weekdays or ()) or "every day"
    until = f" until {time_cell(window.end)}" if window.end else ""
    return f"{days} at {recurrence.at} {recurrence.timezone} for {recurrence.duration}{until}"


def _next(window: MaintenanceWindow) -> str:
    return "" if window.next is None else f"{time_cell(window.next.start)} to {time_cell(window.next.end)}"


@action(
    app,
    "fleetpulse maintenance add --label site:paris --at 02:30 --for 1h --timezone Europe/Paris --on sunday",
    "fleetpulse maintenance add --all --title move --start 2026-11-24T08:00:00Z --end 2026-11-24T12:00:00Z",
)
def add(
    *,
    title: Annotated[str, Parameter(metavar="TEXT")] = "",
    label: Annotated[Labels, Parameter(group=DEVICES)] = (),
    device: Annotated[Ids, Parameter(group=DEVICES)] = (),
    all_: Annotated[bool, Parameter(name="--all", group=DEVICES)] = False,
    start: Annotated[Time, Parameter(group=TIMES)] = None,
    end: Annotated[Time, Parameter(group=TIMES)] = None,
    duration: Annotated[Duration, Parameter(name="--for", group=TIMES)] = None,
    at: Annotated[str | None, Parameter(group=TIMES, metavar="HH:MM")] = None,
    timezone: Annotated[str | None, Parameter(group=TIMES, metavar="ZONE")] = None,
    on: Annotated[str | None, Parameter(group=TIMES, metavar="DAY,…")] = None,
    service: Service = Service(),
) -> None:
    """Declare a maintenance window, in the future or in the past.

    One that happens once has --start and --end, or --for; one that recurs has --at and --for, and perhaps --on and
    --timezone.

    Args:
        title: What it is for.
        label: Devices that have all of these labels; may be repeated.
        device: A device; may be repeated.
        all_: Every device.
        start: Its start, or that of its recurrence, RFC 3339 or a date (default: now).
        end: Its end, or that of its recurrence (default: none).
        duration: How long it is, such as 1h.
        at: It recurs at this time of day.
        timezone: Time zone of that time, such as Europe/Paris (default: UTC).
        on: It recurs on these weekdays, such as saturday,sunday (default: every day).
    """
    body: dict[str, Any] = {"title": title, "labels": labels_of(label), "devices": device, "all": all_}
    body |= {"start": start, "end": end}
    with service.client() as client:
        if at:
            body["recurrence"] = _recurrence(at, duration, timezone, on)
        elif timezone is not None or on is not None:
            raise SettingsError("--timezone and --on are for a window that recurs: give --at, too.")
        elif duration:
            body |= _once(client, start, end, duration)
        answer = client.send("POST", MAINTENANCE, body=body)
    service.show(answer, MaintenanceWindow, lambda window: [windows_table([window])])


def _recurrence(at: str, duration: str | None, timezone: str | None, on: str | None) -> dict[str, Any]:
    if not duration:
        raise SettingsError("a window that recurs needs its length: give --for, such as --for 1h.")
    days = None if on is None else [day.strip() for day in on.split(",") if day.strip()]
    return {"at": at, "duration": duration, "timezone": "UTC" if timezone is None else timezone, "weekdays": days}


def _once(client: Client, start: str | None, end: str | None, duration: str) -> dict[str, str]:
    """Start and end of one that lasts for a while. Without a start it begins now, by the server's clock."""
    if end:
        raise SettingsError("give --end or --for, not both.")
    try:
        start_ns = declared_time_ns("start", start) if start else client.get("/healthz").server_s * NS_PER_S
        end_ns = start_ns + parse_length(duration) * NS_PER_S
    except (ValueError, Answerable) as error:
        text = f"--start or --for cannot be read: {error}; expected such as 2026-11-24T08:00:00Z and 1h30m."
        raise SettingsError(text) from error
    return {"start": format_rfc3339(start_ns), "end": format_rfc3339(end_ns)}


@action(app, "fleetpulse maintenance remove 0123456789abcdef")
def remove(window: str, /, *, service: Service = Service()) -> None:
    """Remove a maintenance window, as if it had never been declared.

    Args:
        window: Its id, from `maintenance list`.
    """
    service.ask(f"{MAINTENANCE}/{segment(window)}", method="DELETE", shape=Message, parts=message_parts)

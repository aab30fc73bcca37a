"""`fleetpulse maintenance`: when silence is expected, and of whom."""

import argparse
from typing import Any

from rich.table import Table

from fleetpulse.cli.client import Client, segment
from fleetpulse.cli.client_flags import add_action, add_group, add_labels
from fleetpulse.cli.tables import labels_cell, left, prose, show, show_json, table_of, time_cell
from fleetpulse.errors import SettingsError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import parse_seconds
from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns

MAINTENANCE = "/api/v1/maintenance"
DEVICES_SHOWN = 3


def add_command(commands: Any) -> None:
    """Declare the command."""
    actions = add_group(commands, "maintenance", text="declare when silence is expected, once or every week")
    add_action(
        actions,
        "list",
        _list,
        text="list maintenance windows, and when each comes next",
        example="fleetpulse maintenance list",
    )
    parser = add_action(
        actions,
        "add",
        _add,
        text="declare a maintenance window, in the future or in the past",
        more="Once: --start and --end, or --for. Again and again: --at and --for, with --on and --timezone.",
        example="fleetpulse maintenance add --label site:paris --at 02:30 --for 1h --timezone Europe/Paris --on sunday\n"
        "  fleetpulse maintenance add --all --title move --start 2026-11-24T08:00:00Z --end 2026-11-24T12:00:00Z",
    )
    parser.add_argument("--title", default="", help="what it is for")
    whom = parser.add_argument_group("of whom")
    add_labels(whom, "devices that have all of these labels")
    whom.add_argument("--device", action="append", default=[], metavar="ID", help="a device; may be repeated")
    whom.add_argument("--all", action="store_true", help="every device")
    when = parser.add_argument_group("when")
    when.add_argument("--start", metavar="TIME", help="its start, or that of its recurrence, RFC 3339 (default: now)")
    when.add_argument("--end", metavar="TIME", help="its end, or that of its recurrence (default: none)")
    when.add_argument("--for", dest="duration", metavar="DURATION", help="how long it is, such as 1h")
    when.add_argument("--at", metavar="HH:MM", help="recurs at this time of day")
    when.add_argument("--timezone", metavar="ZONE", help="of that time, such as Europe/Paris (default: UTC)")
    when.add_argument("--on", metavar="DAY,…", help="on these weekdays, such as saturday,sunday (default: every day)")
    parser = add_action(
        actions,
        "remove",
        _remove,
        text="take a maintenance window back, as if it had never been declared",
        example="fleetpulse maintenance remove 0123456789abcdef",
    )
    parser.add_argument("id", help="its id, from `maintenance list`")


def _list(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        answer = client.get(MAINTENANCE)
    if chosen.json:
        show_json(answer)
        return
    windows = answer.value["windows"]
    show(_table(windows) if windows else "There are no maintenance windows.")


def _table(windows: list[dict[str, Any]]) -> Table:
    rows = [
        [window["id"], window["title"], _whom(window), _when(window), "on" if window["is_on"] else "", _next(window)]
        for window in windows
    ]
    return table_of([left("id"), prose("title"), prose("of whom"), left("when"), left("now"), left("next")], rows)


def _whom(window: dict[str, Any]) -> str:
    if window["all"]:
        return "all"
    devices = window["devices"]
    more = f"and {len(devices) - DEVICES_SHOWN} more devices" if len(devices) > DEVICES_SHOWN else ""
    return " ".join(part for part in (labels_cell(window["labels"]), *devices[:DEVICES_SHOWN], more) if part)


def _when(window: dict[str, Any]) -> str:
    again = window["recurrence"]
    if again is None:
        return f"{time_cell(window['start'])} to {time_cell(window['end'])}"
    days = ", ".join(again["weekdays"]) or "every day"
    until = f" until {time_cell(window['end'])}" if window["end"] else ""
    return f"{days} at {again['at']} {again['timezone']} for {again['duration']}{until}"


def _next(window: dict[str, Any]) -> str:
    following = window["next"]
    return "" if following is None else f"{time_cell(following['from'])} to {time_cell(following['to'])}"


def _add(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        body: dict[str, Any] = {
            "title": chosen.title,
            "labels": dict(chosen.label),
            "devices": chosen.device,
            "all": chosen.all,
        }
        body |= {"start": chosen.start, "end": chosen.end}
        if chosen.at:
            body["recurrence"] = _recurrence(chosen)
        elif chosen.timezone or chosen.on:
            raise SettingsError("--timezone and --on are for a window that recurs: give --at, too.")
        elif chosen.duration:
            body |= _once(client, chosen)
        answer = client.send("POST", MAINTENANCE, body=body)
    if chosen.json:
        show_json(answer)
    else:
        show(_table([answer.value]))


def _recurrence(chosen: argparse.Namespace) -> dict[str, Any]:
    if not chosen.duration:
        raise SettingsError("a window that recurs needs its length: give --for, such as --for 1h.")
    days = [day.strip() for day in (chosen.on or "").split(",") if day.strip()]
    return {"at": chosen.at, "duration": chosen.duration, "timezone": chosen.timezone or "UTC", "weekdays": days}


def _once(client: Client, chosen: argparse.Namespace) -> dict[str, str]:
    """Start and end of one that lasts for a while. Without a start it is the server's clock that says when now is."""
    if chosen.end:
        raise SettingsError("give --end or --for, not both.")
    try:
        start_ns = parse_rfc3339_ns(chosen.start) if chosen.start else client.get("/healthz").server_s * NS_PER_S
        end_ns = start_ns + parse_seconds(chosen.duration) * NS_PER_S
    except ValueError as error:
        raise SettingsError(
            f"--start or --for cannot be read: {error}; expected such as 2026-11-24T08:00:00Z and 1h30m."
        ) from error
    return {"start": format_rfc3339(start_ns), "end": format_rfc3339(end_ns)}


def _remove(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        answer = client.send("DELETE", f"{MAINTENANCE}/{segment(chosen.id)}")
    if chosen.json:
        show_json(answer)
    else:
        show(f"{answer.value['msg']}.")

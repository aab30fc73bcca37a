"""`fleetpulse devices`: what is known of devices, and what people declare of them."""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.table import Table

from fleetpulse.cli.client import Answer, Client, segment
from fleetpulse.cli.client_flags import (
    NONE,
    Pairs,
    add_action,
    add_filters,
    add_group,
    add_labels,
    add_window,
    filter_query,
    window_query,
)
from fleetpulse.cli.tables import (
    Cell,
    clean,
    facts_of,
    labels_cell,
    left,
    percent_cell,
    right,
    show,
    show_json,
    status_cell,
    table_of,
    time_cell,
    write_file,
)
from fleetpulse.cli.uptime import figures_text
from fleetpulse.errors import SettingsError

DEVICES = "/api/v1/devices"
PAGE = 1_000
LIMIT_DEFAULT = 100
TRANSITIONS_SHOWN = 5
TRANSITIONS_WINDOW = "30d"
REFUSED_SHOWN = 20


def add_command(commands: Any) -> None:
    """Declare the command."""
    actions = add_group(
        commands, "devices", text="list, show, declare, pause and relabel devices; import and export them"
    )
    _add_questions(actions)
    _add_changes(actions)
    _add_files(actions)


def _add_questions(actions: Any) -> None:
    parser = add_action(
        actions,
        "list",
        _list,
        text="list devices",
        example="fleetpulse devices list --status down,late --label site:paris --sort last_seen",
    )
    add_filters(parser)
    parser.add_argument(
        "--sort",
        metavar="BY",
        help="id, status, last_seen or uptime; --sort=-uptime for the greatest first (default: id)",
    )
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "--limit", type=int, default=LIMIT_DEFAULT, metavar="N", help="devices shown at most (default: %(default)s)"
    )
    how_many.add_argument("--all", action="store_true", help="show all of them")
    parser = add_action(
        actions,
        "show",
        _show,
        text="show one device: status, what is declared, uptime of the last 24 h, last changes of status",
        more="With --json: the device alone; `uptime device` and `devices transitions` have the rest.",
        example="fleetpulse devices show 60-6b-44-84-dc-64",
    )
    parser.add_argument("id", help="its id")
    parser = add_action(
        actions,
        "transitions",
        _transitions,
        text="list every change of a device's status",
        example="fleetpulse devices transitions 60-6b-44-84-dc-64 --window 7d",
    )
    parser.add_argument("id", help="its id")
    add_window(parser, default="24h", has_step=False)


def _add_changes(actions: Any) -> None:
    parser = add_action(
        actions,
        "add",
        _add,
        text="declare a device",
        example="fleetpulse devices add press-07 --label site:paris --interval 5m --grace 20m",
    )
    parser.add_argument("id", help="its id")
    add_labels(parser, "a label")
    _add_terms(parser)
    parser = add_action(
        actions,
        "set",
        _set,
        text="change what is declared of a device",
        more="What is not named stays.",
        example="fleetpulse devices set press-07 --label site:lyon --remove-label hall --interval none",
    )
    parser.add_argument("id", help="its id")
    add_labels(parser, "a label to set")
    parser.add_argument(
        "--remove-label", action="append", default=[], metavar="NAME", help="a label to take away; may be repeated"
    )
    _add_terms(parser)
    parser = add_action(
        actions,
        "relabel",
        _relabel,
        text="set or take away labels of all devices that match",
        more="Without any filter it needs --all.",
        example="fleetpulse devices relabel --label site:paris --set region:north --remove hall --dry-run",
    )
    add_filters(parser)
    add_labels(parser, "a label to set", flag="--set")
    parser.add_argument(
        "--remove", action="append", default=[], metavar="NAME", help="a label to take away; may be repeated"
    )
    parser.add_argument("--dry-run", action="store_true", help="only count the devices")
    parser.add_argument("--all", action="store_true", help="without a filter: every device is meant")
    parser = add_action(
        actions,
        "delete",
        _delete,
        text="forget a device; its history stays until retention",
        example="fleetpulse devices delete press-07",
    )
    parser.add_argument("id", help="its id")
    parser = add_action(
        actions,
        "pause",
        _pause,
        text="expect nothing of a device for a while, or until it is resumed",
        example="fleetpulse devices pause press-07 --for 2h",
    )
    parser.add_argument("id", help="its id")
    until = parser.add_mutually_exclusive_group()
    until.add_argument("--until", metavar="TIME", help="until this time, RFC 3339")
    until.add_argument("--for", dest="duration", metavar="DURATION", help="for so long, such as 2h or 3d")
    parser = add_action(
        actions, "resume", _resume, text="expect a paused device again", example="fleetpulse devices resume press-07"
    )
    parser.add_argument("id", help="its id")


def _add_terms(parser: Any) -> None:
    parser.add_argument("--interval", metavar="DURATION", help=f"time between two beats; {NONE}: the service's own")
    parser.add_argument(
        "--grace", metavar="DURATION", help=f"time past the interval until it is down; {NONE}: the service's own"
    )
    parser.add_argument("--note", help="a note for people")


def _add_files(actions: Any) -> None:
    parser = add_action(
        actions,
        "import",
        _import,
        text="declare the devices of a CSV: new ones are added, known ones replaced",
        more="Its first column is device_id; interval, grace and note are optional, any other column is a label. "
        "Lines that are wrong are listed, the others taken; exit status 1 where there were any.",
        example="fleetpulse devices import fleet.csv --dry-run",
    )
    parser.add_argument("file", metavar="FILE.csv", help="the CSV, UTF-8")
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser = add_action(
        actions,
        "export",
        _export,
        text="write devices as CSV, which `devices import` takes as it is",
        example="fleetpulse devices export --label site:paris -o paris.csv",
        has_json=False,
    )
    add_filters(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")


def _list(chosen: argparse.Namespace) -> None:
    wanted = None if chosen.all else chosen.limit
    if wanted is not None and wanted < 1:
        raise SettingsError("--limit must be at least 1; or give --all.")
    query = [*filter_query(chosen), ("sort", chosen.sort)]
    with Client(chosen.url) as client:
        pages = list_pages(client, query, wanted=wanted)
    if chosen.json:
        show_json(pages)
        return
    devices, total = pages.value["devices"], pages.value["total"]
    has_uptime = any("uptime" in device for device in devices)
    columns = [
        left("device"),
        left("status"),
        left("since"),
        left("last seen"),
        *([right("uptime %")] if has_uptime else []),
        left("labels"),
    ]
    rows: list[list[Cell]] = [
        [
            device["id"],
            status_cell(device["status"]),
            time_cell(device["since"]),
            time_cell(device["last_seen"]),
            *([percent_cell(device["uptime"])] if has_uptime else []),
            labels_cell(device["labels"]),
        ]
        for device in devices
    ]
    hint = "; --limit N or --all shows more" if len(devices) < total else ""
    show(*([table_of(columns, rows)] if rows else []), f"{len(devices)} of {total} shown{hint}.")


def list_pages(client: Client, query: Pairs, *, wanted: int | None) -> Answer:
    """The first `wanted` devices (None: all): the service's answer as it is, or where it takes several, joined. Raises: see Client."""
    page = client.get(DEVICES, [*query, ("limit", min(PAGE, wanted or PAGE))])
    if page.value["next"] is None or (wanted is not None and wanted <= PAGE):
        return page
    devices: list[Any] = page.value["devices"]
    while page.value["next"] is not None and (wanted is None or len(devices) < wanted):
        limit = PAGE if wanted is None else min(PAGE, wanted - len(devices))
        page = client.get(DEVICES, [*query, ("limit", limit), ("cursor", page.value["next"])])
        devices += page.value["devices"]
    return Answer.of({**page.value, "devices": devices}, server_s=page.server_s)


def _show(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        answer = client.get(_path(chosen))
        if chosen.json:
            show_json(answer)
            return
        uptime = client.get(f"{_path(chosen)}/uptime", [("window", "24h")]).value
        changes = client.get(f"{_path(chosen)}/transitions", [("window", TRANSITIONS_WINDOW)]).value["transitions"]
    show(_facts(answer.value), f"\nuptime of the last 24 h: {figures_text(uptime)}")
    if changes:
        show(
            f"last changes of status (`fleetpulse devices transitions {clean(chosen.id)}` lists all):",
            _changes(changes[-TRANSITIONS_SHOWN:]),
        )


def _facts(device: dict[str, Any]) -> Table:
    def terms(name: str) -> str:
        return device[name] if device[f"has_own_{name}"] else f"{device[name]} (the service's own)"

    return facts_of(
        [
            ("device", device["id"]),
            ("status", status_cell(device["status"])),
            ("since", time_cell(device["since"])),
            ("paused until", time_cell(device.get("paused_until"))),
            ("last seen", time_cell(device["last_seen"]) or "never"),
            ("labels", labels_cell(device["labels"])),
            ("interval", terms("interval")),
            ("grace", terms("grace")),
            ("note", device["note"]),
            ("created", time_cell(device["created_at"])),
        ]
    )


def _changes(changes: list[dict[str, str]]) -> Table:
    rows: list[list[Cell]] = [
        [time_cell(change["at"]), status_cell(change["from"]), status_cell(change["to"])] for change in changes
    ]
    return table_of([left("at"), left("from"), left("to")], rows)


def _transitions(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        answer = client.get(f"{_path(chosen)}/transitions", window_query(chosen, default="24h"))
    if chosen.json:
        show_json(answer)
        return
    said = answer.value
    changes, more_from = said["transitions"], said["more_from"]
    tail = f"There are more: ask again with --from {more_from}." if more_from else f"{len(changes)} changes of status"
    tail += (
        ""
        if more_from
        else f" from {time_cell(said['from'])} to {time_cell(said['to'])}; before them it was {said['status_before']}."
    )
    show(*([_changes(changes)] if changes else []), tail)


def _add(chosen: argparse.Namespace) -> None:
    body = {"id": chosen.id, "labels": dict(chosen.label), **_terms(chosen)}
    _change(chosen, "POST", DEVICES, body)


def _set(chosen: argparse.Namespace) -> None:
    labels = dict(chosen.label) | dict.fromkeys(chosen.remove_label)
    body = {**({"labels": labels} if labels else {}), **_terms(chosen)}
    if not body:
        raise SettingsError("nothing is to be changed: give --label, --remove-label, --interval, --grace or --note.")
    _change(chosen, "PATCH", _path(chosen), body)


def _terms(chosen: argparse.Namespace) -> dict[str, Any]:
    terms = {
        name: None if value == NONE else value
        for name in ("interval", "grace")
        if (value := getattr(chosen, name)) is not None
    }
    return terms | ({} if chosen.note is None else {"note": chosen.note})


def _change(chosen: argparse.Namespace, method: str, path: str, body: object = None) -> None:
    with Client(chosen.url) as client:
        answer = client.send(method, path, body=body)
    if chosen.json:
        show_json(answer)
    elif "msg" in answer.value:
        show(f"{answer.value['msg']}.")
    else:
        show(_facts(answer.value))


def _relabel(chosen: argparse.Namespace) -> None:
    labels = dict(chosen.set) | dict.fromkeys(chosen.remove)
    if not labels:
        raise SettingsError("nothing is to be changed: give --set NAME:VALUE or --remove NAME.")
    query = [*filter_query(chosen), ("dry_run", chosen.dry_run), ("all", chosen.all)]
    with Client(chosen.url) as client:
        answer = client.send("PATCH", DEVICES, query, {"labels": labels})
    if chosen.json:
        show_json(answer)
        return
    said = answer.value
    show(f"{said['matched']} devices match, {said['changed']} {'would be' if said['dry_run'] else 'were'} changed.")


def _delete(chosen: argparse.Namespace) -> None:
    _change(chosen, "DELETE", _path(chosen))


def _pause(chosen: argparse.Namespace) -> None:
    said = {"until": chosen.until, "duration": chosen.duration}
    _change(
        chosen, "POST", f"{_path(chosen)}/pause", {name: value for name, value in said.items() if value is not None}
    )


def _resume(chosen: argparse.Namespace) -> None:
    _change(chosen, "POST", f"{_path(chosen)}/resume")


def _import(chosen: argparse.Namespace) -> int:
    try:
        body = Path(chosen.file).read_bytes()
    except OSError as error:
        raise SettingsError(f"{chosen.file} cannot be read: {error.strerror}. Name another file.") from error
    with Client(chosen.url) as client:
        answer = client.send(
            "POST", f"{DEVICES}.csv", [("dry_run", chosen.dry_run)], body, content_type="text/csv; charset=utf-8"
        )
    said = answer.value
    if chosen.json:
        show_json(answer)
        return 1 if said["refused_total"] else 0
    changed = "" if said["dry_run"] else f" ({said['changed']} changed)"
    would = "would be " if said["dry_run"] else ""
    lines = [f"{would}new: {said['new']}, {would}replaced: {said['known']}{changed}, refused: {said['refused_total']}."]
    lines += [f"line {refused['line']}: {refused['msg']}" for refused in said["refused"][:REFUSED_SHOWN]]
    hidden = said["refused_total"] - REFUSED_SHOWN
    show("\n".join([*lines, *([f"… and {hidden} more"] if hidden > 0 else [])]))
    return 1 if said["refused_total"] else 0


def _export(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        body = client.get(f"{DEVICES}.csv", filter_query(chosen)).raw
    if chosen.output:
        write_file(chosen.output, body)
    else:
        sys.stdout.buffer.write(body)


def _path(chosen: argparse.Namespace) -> str:
    return f"{DEVICES}/{segment(chosen.id)}"

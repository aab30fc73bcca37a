"""`fleetpulse uptime`: of a device, and of the fleet by the values of a label; every percentage with what it was computed from."""

import argparse
from typing import Any

from fleetpulse.cli.client import Client, segment
from fleetpulse.cli.client_flags import add_action, add_group, add_labels, add_window, label_query, window_query
from fleetpulse.cli.tables import (
    left,
    percent_cell,
    right,
    seconds_cell,
    series_values,
    show,
    show_json,
    sparkline,
    table_of,
    time_cell,
)

DEFAULT = "24h"


def add_command(commands: Any) -> None:
    """Declare the command."""
    actions = add_group(commands, "uptime", text="uptime and availability over a window, of a device or of the fleet")
    parser = add_action(
        actions,
        "device",
        _device,
        text="uptime and availability of one device",
        example="fleetpulse uptime device 60-6b-44-84-dc-64 --window 30d --explain",
    )
    parser.add_argument("id", help="its id")
    add_window(parser, default=DEFAULT)
    parser.add_argument(
        "--explain", action="store_true", help="list the intervals, each with the reason why it counts as it does"
    )
    parser = add_action(
        actions,
        "fleet",
        _fleet,
        text="uptime and availability of all devices, or by the values of a label",
        example="fleetpulse uptime fleet --group-by site --window 30d",
    )
    parser.add_argument("--group-by", metavar="NAME", help="a label: a line for each of its values")
    add_labels(parser, "only devices that have this label")
    add_window(parser, default=DEFAULT)


def _device(chosen: argparse.Namespace) -> None:
    query = [*window_query(chosen, default=DEFAULT), ("explain", chosen.explain or None)]
    with Client(chosen.url) as client:
        answer = client.get(f"/api/v1/devices/{segment(chosen.id)}/uptime", query)
    if chosen.json:
        show_json(answer)
        return
    said = answer.value
    show(f"{said['device_id']}, {window_text(said)}: {figures_text(said)}")
    if "series" in said:
        _show_series([("", said["series"])], said)
    if "intervals" in said:
        rows = [
            [time_cell(span["from"]), time_cell(span["to"]), span["reason"], str(span["slots"])]
            for span in said["intervals"]
        ]
        show(table_of([left("from"), left("to"), left("reason"), right("slots")], rows))
        if said["capped"]:
            show(f"There are more intervals: ask again with --from {said['intervals'][-1]['to']}.")
    show(*missing_lines(said))


def _fleet(chosen: argparse.Namespace) -> None:
    query = [("group_by", chosen.group_by), *label_query(chosen), *window_query(chosen, default=DEFAULT)]
    with Client(chosen.url) as client:
        answer = client.get("/api/v1/fleet/uptime", query)
    if chosen.json:
        show_json(answer)
        return
    said = answer.value
    groups = said["groups"] if said["group_by"] else []
    columns = [left(said["group_by"] or ""), right("devices"), *(right(title) for title in FIGURES)]
    rows = [[group_name(group["group"]), str(group["devices"]), *figure_cells(group)] for group in groups]
    rows.append(["all", str(said["fleet"]["devices"]), *figure_cells(said["fleet"])])
    show(f"{window_text(said)}, formula {said['formula']}", table_of(columns, rows))
    if said.get("step_s"):
        _show_series(
            [(group_name(group["group"]) if groups else "", group["series"]) for group in said["groups"]], said
        )
    show(*missing_lines(said))


FIGURES = ("uptime %", "present", "expected", "availability %", "down", "accountable")


def figure_cells(said: dict[str, Any]) -> list[str]:
    """The cells of FIGURES."""
    percents = percent_cell(said["uptime"]), percent_cell(said["availability"])
    times = seconds_cell(said["down_s"]), seconds_cell(said["accountable_s"])
    return [percents[0], str(said["present"]), str(said["expected"]), percents[1], *times]


def group_name(group: str) -> str:
    """A value of a label, or that there is none."""
    return group or "(no label)"


def window_text(said: dict[str, Any]) -> str:
    """The window of an answer."""
    return f"{said['from']} to {said['to']}"


def missing_lines(said: dict[str, Any]) -> list[str]:
    """What an answer lacks, and why."""
    return [f"missing from {span['from']} to {span['to']}: {span['reason']}" for span in said["missing"]]


def figures_text(said: dict[str, Any]) -> str:
    """The figures of a device in words."""
    slot = seconds_cell(said["slot_s"])
    if said["uptime"] is None:
        text = f"no uptime, since nothing was expected of it (formula {said['formula']}, slots of {slot})"
    else:
        observed = said["observed"]
        text = (
            f"uptime {percent_cell(said['uptime'])} %, {said['present']} of {said['expected']} slots of {slot} present"
        )
        text += f" (formula {said['formula']}); observed in time {percent_cell(observed['uptime'])} %, {observed['present']} slots"
    if said["left_out"]:
        text += "; left out: " + ", ".join(f"{count} {reason}" for reason, count in said["left_out"].items())
    if said["availability"] is not None:
        times = f"{seconds_cell(said['down_s'])} down in {seconds_cell(said['accountable_s'])}"
        text += f"; availability {percent_cell(said['availability'])} %, {times}"
    return text + "."


def _show_series(named: list[tuple[str, list[dict[str, Any]]]], said: dict[str, Any]) -> None:
    rows = [
        [
            name,
            time_cell(point["at"]),
            percent_cell(point.get("uptime")),
            str(point.get("present", 0)),
            str(point.get("expected", 0)),
        ]
        for name, series in named
        for point in series
    ]
    show(
        table_of(
            [left(said.get("group_by") or ""), left("at"), right("uptime %"), right("present"), right("expected")], rows
        )
    )
    for name, series in named:
        show(f"{name or 'uptime'}  {sparkline(series_values(series, said, key='uptime'))}")

"""`fleetpulse devices fit`: whether declared intervals fit the beats, and a CSV that sets those that do."""

import csv
import io
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from fleetpulse.cli.client import Client, Query, segment
from fleetpulse.cli.device_changes import DEVICES
from fleetpulse.cli.device_pages import join_pages
from fleetpulse.cli.flags import Labels, Name, Service, WholeOrNone, Window, action, label_query, one_of
from fleetpulse.cli.output_file import Output
from fleetpulse.cli.tables import (
    Cell,
    Column,
    Part,
    known,
    left,
    mark_cell,
    percent_cell,
    right,
    seconds_cell,
    table_of,
    time_cell,
)
from fleetpulse.cli.uptime import group_name, missing_lines
from fleetpulse.errors import CommandRefused, SettingsError
from fleetpulse.model.interval_fit import Verdict
from fleetpulse.model.units import S_PER_DAY
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.notation.duration import parse_seconds
from fleetpulse.query.declaration_answers import Device
from fleetpulse.query.fit_answers import DeviceFit, DeviceFitByDay, Distances, FleetFit

FLEET_FIT = "/api/v1/fleet/fit"
PAGE = 10_000
WINDOW = "7d"
LIMIT = 100
SHORT_S = 600
INTERVALS_JUDGED = 20
UNFIT: tuple[Verdict, ...] = ("too_short", "too_long")
HOW_MANY = one_of("How many")
app = App(name="devices")


@action(app, "fleetpulse devices fit --label site:paris --window 7d", "fleetpulse devices fit --unfit -o intervals.csv")
def fit(
    device: Annotated[str | None, Parameter(help="Id of one device, of which each day is shown.")] = None,
    /,
    *,
    label: Labels = (),
    group_by: Name = None,
    unfit: bool = False,
    limit: Annotated[WholeOrNone, Parameter(group=HOW_MANY)] = None,
    all_: Annotated[bool, Parameter(name="--all", group=HOW_MANY)] = False,
    output: Output = Output(),
    window: Window = Window(),
    service: Service = Service(),
) -> None:
    """Show which interval the beats of devices suggest, and whether the declared one fits.

    With -o, the suggested intervals of all devices whose own does not fit are written as a CSV that `devices import`
    takes.

    Args:
        label: Only devices with this label; may be repeated.
        group_by: Name of a label; show a line for each of its values.
        unfit: Show only devices whose interval does not fit.
        limit: Show at most this many devices (100, unless given).
        all_: Show all devices that match.
    """
    if limit is not None and limit < 1:
        raise SettingsError("--limit must be at least 1; or give --all.")
    if output.output is not None and (group_by or limit is not None):
        raise SettingsError("-o writes the intervals of all devices: leave out --group-by and --limit.")
    output.check()
    if device is not None:
        if label or group_by or unfit or output.output:
            raise SettingsError("--label, --group-by, --unfit and -o are about several devices: leave out the id.")
        path = f"{DEVICES}/{segment(device)}/fit"
        service.ask(path, window.query(default=WINDOW), shape=DeviceFitByDay, parts=device_fit_parts)
        return
    query: Query = [*window.query(default=WINDOW), *label_query(label)]
    with service.client() as client:
        if output.output is not None:
            answer = join_pages(client, FLEET_FIT, [*query, ("unfit", True)], limit=None, page_max=PAGE)
        else:
            answer = join_pages(
                client,
                FLEET_FIT,
                [*query, ("unfit", unfit or None), ("group_by", group_by)],
                limit=None if all_ else limit or LIMIT,
                page_max=PAGE,
            )
    if output.output is not None:
        output.write(intervals_csv(answer.into(FleetFit)).encode())
        return
    service.show(answer, FleetFit, fleet_fit_parts)


def fit_warnings(client: Client, device: Device) -> list[Part]:
    """A line if the interval of a device does not fit, over a window in which it has beaten some times."""
    window_s = min(366 * S_PER_DAY, max(S_PER_DAY, INTERVALS_JUDGED * parse_seconds(device.interval)))
    try:
        answer = client.get(f"{DEVICES}/{segment(device.id)}/fit", [("window", f"{window_s}s")]).into(DeviceFitByDay)
    except CommandRefused as error:
        # Such as a window that is longer than `window_days_max`; it must not keep the device from being shown.
        return [f"whether its interval fits is not known: {error}"]
    return [f"warning: {fit_text(answer)}"] if answer.verdict in UNFIT else []


def intervals_csv(answer: FleetFit) -> str:
    """The suggested interval of each device whose own does not fit, as `devices import` takes it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["device_id", "interval"])
    for device in answer.devices:
        if device.verdict in UNFIT and device.suggested:
            writer.writerow([safe_cell(device.device_id), device.suggested])
    return text.getvalue()


def fleet_fit_parts(answer: FleetFit) -> list[Part]:
    """A table of the groups where there are any, or of the devices; and how many fit."""
    if answer.groups is not UNSET:
        columns = [
            left(known(answer.group_by) or ""),
            right("devices"),
            *_distance_columns(),
            *_uptime_columns(),
            *map(right, _VERDICTS.values()),
        ]
        rows: list[list[Cell]] = [
            [
                group_name(group.group),
                str(group.devices),
                *_cells(group),
                percent_cell(group.uptime),
                group.suggested or "",
                percent_cell(group.uptime_suggested),
                *(str(group.verdicts.get(verdict, 0)) for verdict in _VERDICTS),
            ]
            for group in answer.groups
        ]
        parts: list[Part] = [table_of(columns, rows)]
    else:
        columns = [left("device"), right("interval"), left("verdict"), *_uptime_columns(), *_distance_columns()]
        parts = [
            table_of(
                columns, [[device.device_id, *_verdict_cells(device), *_cells(device)] for device in answer.devices]
            )
        ]
    counts = ", ".join(f"{answer.verdicts.get(verdict, 0)} {name}" for verdict, name in _VERDICTS.items())
    shown = "" if answer.groups is not UNSET else f"{len(answer.devices)} of {answer.total} shown"
    hint = "; --limit N or --all shows more" if answer.next_cursor and shown else ""
    text = f"{time_cell(answer.start)} to {time_cell(answer.end)}: {counts}. {shown}{hint}."
    return [*parts, text.replace(". .", "."), *missing_lines(answer.missing)]


def device_fit_parts(answer: DeviceFitByDay) -> list[Part]:
    """What follows, and a table of the days."""
    rows = [[day.day, *_cells(day)] for day in answer.days]
    text = f"{answer.device_id}, {time_cell(answer.start)} to {time_cell(answer.end)}: {fit_text(answer)}"
    columns = [left("day"), *_distance_columns()]
    total: list[Cell] = ["all", *_cells(answer)]
    return [text, table_of(columns, [*rows, total]), *missing_lines(answer.missing)]


def fit_text(answer: DeviceFit) -> str:
    """What follows about a device, and what to do."""
    if answer.verdict == "too_few":
        return f"it has beaten too seldom to tell whether its interval of {answer.interval} fits."
    if answer.verdict == "fits":
        return f"its interval of {answer.interval} fits."
    apart = ("" if answer.resolution == "exact" else "about ") + length_text(answer.median_s)
    text = f"its interval of {answer.interval} is {_VERDICTS[answer.verdict]}, since its beats are {apart} apart"
    if answer.uptime is not None and answer.uptime_suggested is not None:
        text += f"; its uptime of {percent_cell(answer.uptime)} % would be {percent_cell(answer.uptime_suggested)} %"
        text += f" with {answer.suggested}"
    return f"{text}: fleetpulse devices set {answer.device_id} --interval {answer.suggested}"


_VERDICTS: dict[Verdict, str] = {
    "fits": "fit",
    "too_short": "too short",
    "too_long": "too long",
    "too_few": "too few beats",
}


def _distance_columns() -> list[Column]:
    return [right("distances"), right("median"), right("p90"), right("p99"), left("resolution")]


def _verdict_cells(device: DeviceFit) -> list[Cell]:
    is_good = device.verdict not in UNFIT
    name = "fits" if device.verdict == "fits" else _VERDICTS[device.verdict]
    uptime, with_it = (percent_cell(value) for value in (device.uptime, device.uptime_suggested))
    return [device.interval, mark_cell(name, is_good=is_good), uptime, device.suggested or "", with_it]


def _uptime_columns() -> list[Column]:
    return [right("uptime %"), right("suggested"), right("uptime % then")]


def _cells(found: Distances) -> list[Cell]:
    lengths: list[Cell] = [length_text(value) for value in (found.median_s, found.p90_s, found.p99_s)]
    return [str(found.distances), *lengths, found.resolution or ""]


def length_text(seconds: float | None) -> str:
    """A distance; a short one to a tenth of a second."""
    if seconds is None or seconds.is_integer() or seconds > SHORT_S:
        return seconds_cell(seconds)
    return f"{seconds:.1f}s"

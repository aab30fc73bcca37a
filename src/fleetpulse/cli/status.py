"""`fleetpulse status`: the fleet at a glance."""

from cyclopts import App

from fleetpulse.cli.client import Answer
from fleetpulse.cli.device_changes import DEVICES
from fleetpulse.cli.devices import list_parts
from fleetpulse.cli.flags import ExitCode, IncludeDeleted, Labels, Service, Window, down_status, label_query
from fleetpulse.cli.tables import Cell, Part, left, percent_cell, right, status_cell, table_of, time_cell
from fleetpulse.cli.uptime import missing_lines, resolution_lines
from fleetpulse.notation.count import count_text
from fleetpulse.query.declaration_answers import DeviceList
from fleetpulse.query.uptime_answers import FleetStats

DOWN_READ, DOWN_SHOWN = 1_000, 10
"""Of so many devices that are down those are shown that have been so for longest."""
app = App(name="status", help_epilogue="Example:\n  fleetpulse status --label site:paris --exit-code")


@app.default
def status(
    *,
    label: Labels = (),
    include_deleted: IncludeDeleted = False,
    exit_code: ExitCode = False,
    window: Window = Window(),
    service: Service = Service(),
) -> int:
    """Show the fleet at a glance: how many devices there are by status, which are down, and uptime over a window.

    Args:
        label: Only devices with this label; may be repeated.
    """
    labels = label_query(label)
    with service.client() as client:
        deleted = ("include_deleted", include_deleted or None)
        answer = client.get("/api/v1/fleet/stats", [*labels, deleted, *window.query()])
        down = client.get(DEVICES, [*labels, ("status", "down"), ("limit", DOWN_READ)])
    service.show(answer, FleetStats, lambda stats: counts_only(stats) if service.csv else glance(stats, down))
    return down_status(down.into(DeviceList).total > 0 and exit_code)


def counts_only(stats: FleetStats) -> list[Part]:
    """The counts of all statuses, so that the CSV has the same rows whether something is down or not."""
    counts: list[list[Cell]] = [[status_cell(name), str(count)] for name, count in stats.devices.by_status.items()]
    return [figures_line(stats), table_of([left("status"), right("devices")], counts)]


def figures_line(stats: FleetStats) -> str:
    """How many devices there are, and the figures of the window."""
    figures = f"uptime {percent_cell(stats.uptime.uptime)} %, availability {percent_cell(stats.uptime.availability)} %"
    window = f"from {time_cell(stats.start)} to {time_cell(stats.end)}"
    return f"{count_text(stats.devices.total, 'device')}; {figures}, {window}"


def glance(stats: FleetStats, down: Answer) -> list[Part]:
    """Counts by status, the figures of the window, the devices that are down, and those with the least uptime."""
    counts: list[list[Cell]] = [
        [status_cell(name), str(count)] for name, count in stats.devices.by_status.items() if count
    ]
    parts: list[Part] = [figures_line(stats)]
    parts += [table_of([left("status"), right("devices")], counts)] if counts else []
    listed = down.into(DeviceList)
    if listed.devices:
        listed.devices = sorted(listed.devices, key=lambda device: device.since or "")[:DOWN_SHOWN]
        more = listed.total - len(listed.devices)
        tail = f", and {more} more (`fleetpulse devices list --status down`)" if more else ""
        parts += [f"down, longest first{tail}:", *list_parts(listed, now_s=down.server_s)[:1]]
    return [*parts, *resolution_lines(stats.exact_from), *missing_lines(stats.missing)]

"""`fleetpulse report uptime`: a service level report that says how it was made, so that anybody can make it again.

Figures come from `/api/v1/fleet/uptime` over a window that is fixed first; those of devices from the question that
`fleetpulse uptime device` asks, one by one.
"""

import argparse
import shlex
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.progress import Progress

from fleetpulse.cli import report_formats
from fleetpulse.cli.client import Client, segment
from fleetpulse.cli.client_flags import URL_DEFAULT, Pairs, add_action, add_group, add_labels, add_window, label_query
from fleetpulse.cli.devices import list_pages
from fleetpulse.cli.report_formats import FORMATS, Line, Report
from fleetpulse.cli.tables import write_file
from fleetpulse.errors import Refused, SettingsError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import parse_seconds
from fleetpulse.notation.timestamp import format_rfc3339

DEFAULT = "30d"
DEVICES_COUNTED = 1_000
"""Up to so many devices, what was left out is counted also where no line for each is wanted; it costs a question a device."""


def add_command(commands: Any) -> None:
    """Declare the command."""
    actions = add_group(commands, "report", text="reports for people who were promised something")
    parser = add_action(
        actions,
        "uptime",
        _uptime,
        text="service level report: uptime by the values of a label, with its method",
        more="Every percentage stands beside its numerator and denominator, and the report says what was left out and how to make any "
        "figure again. Over --window it ends at the last full minute.",
        example="fleetpulse report uptime --window 30d --group-by site --sla 99.9 --devices --format md -o uptime.md",
        has_json=False,
    )
    add_window(parser, default=DEFAULT, has_step=False)
    parser.add_argument("--group-by", metavar="NAME", help="a label: a line for each of its values")
    add_labels(parser, "only devices that have this label")
    parser.add_argument("--devices", action="store_true", help="also a line for each device, worst first")
    parser.add_argument("--sla", type=_sla, metavar="PERCENT", help="mark what has less uptime than this, such as 99.9")
    parser.add_argument("--format", choices=tuple(FORMATS), default="table", help="default: %(default)s")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to (default: standard output)")


def _sla(text: str) -> Fraction:
    try:
        sla = Fraction(text.removesuffix("%"))
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"must be a percentage such as 99.9, not `{text}`") from error
    if not 0 < sla <= 100:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most 100, not `{text}`")
    return sla


def _uptime(chosen: argparse.Namespace) -> None:
    with Client(chosen.url) as client:
        report = _made(client, chosen)
    text = FORMATS[chosen.format](report)
    if chosen.output:
        write_file(chosen.output, text.encode())
    else:
        report_formats.put(text)


def _made(client: Client, chosen: argparse.Namespace) -> Report:
    start, end = _window(client, chosen)
    query = [("group_by", chosen.group_by), *label_query(chosen), ("from", start), ("to", end)]
    said = client.get("/api/v1/fleet/uptime", query).value
    # As the service understood it: it ends now at the latest.
    window = said["from"], said["to"]
    said_for = _Asked(chosen, *window)
    by = said["group_by"]
    groups = [_line(group["group"], group, said_for.group(group["group"])) for group in said["groups"]] if by else []
    report = Report(
        start=window[0],
        end=window[1],
        formula=said["formula"],
        group_by=by,
        labels=[f"{name}:{value}" for name, value in chosen.label],
        sla=chosen.sla,
        fleet=_line("", said["fleet"], said_for.group(None)),
        groups=groups,
        missing=said["missing"],
        example=said_for.device("ID"),
    )
    if chosen.devices or report.fleet.devices <= DEVICES_COUNTED:
        _count_devices(client, report, chosen, said_for)
    return report


def _window(client: Client, chosen: argparse.Namespace) -> tuple[str, str]:
    """From when until when. What ends now ends at the last full minute, so that its slots fill it, and every question gets the same."""
    if chosen.window and (chosen.start or chosen.end):
        raise SettingsError("give --window, or --from and --to, not both.")
    if chosen.end and not chosen.start:
        raise SettingsError("--to needs --from; or give --window, which ends now.")
    minute_s = client.get("/healthz").server_s // 60 * 60
    if chosen.start:
        return chosen.start, chosen.end or format_rfc3339(minute_s * NS_PER_S)
    try:
        length_s = parse_seconds(chosen.window or DEFAULT)
    except ValueError as error:
        raise SettingsError(f"--window: {error}.") from error
    return format_rfc3339(max(0, minute_s - length_s) * NS_PER_S), format_rfc3339(minute_s * NS_PER_S)


@dataclass(frozen=True)
class _Asked:
    """The commands that make a figure again."""

    chosen: argparse.Namespace
    start: str
    end: str

    def device(self, device_id: str) -> str:
        """That of a device."""
        return self._command("device", device_id, "--from", self.start, "--to", self.end, "--explain")

    def group(self, value: str | None) -> str:
        """That of the devices of a value; of those without the label, and of all, in a table with the others."""
        labels = [f"{name}:{text}" for name, text in self.chosen.label]
        by = ["--group-by", self.chosen.group_by] if value is not None else []
        if value:
            labels, by = [*labels, f"{self.chosen.group_by}:{value}"], []
        return self._command(
            "fleet",
            *by,
            *(part for text in labels for part in ("--label", text)),
            "--from",
            self.start,
            "--to",
            self.end,
        )

    def _command(self, *parts: str) -> str:
        url = [] if self.chosen.url == URL_DEFAULT else ["--url", self.chosen.url]
        return shlex.join(["fleetpulse", "uptime", *parts, *url])


def _line(name: str, said: dict[str, Any], reproduce: str, **more: Any) -> Line:
    names = ("uptime", "present", "expected", "availability", "down_s", "accountable_s")
    return Line(
        name=name, devices=said.get("devices", 1), reproduce=reproduce, **{key: said[key] for key in names}, **more
    )


def _count_devices(client: Client, report: Report, chosen: argparse.Namespace, said_for: _Asked) -> None:
    """Ask every device, for a line of its own and for what was left out of the groups."""
    query: Pairs = [("from", report.start), ("to", report.end)]
    listed = list_pages(client, label_query(chosen), wanted=None).value["devices"]
    lines: list[Line] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for device in progress.track(listed, description="devices"):
            try:
                said = client.get(f"/api/v1/devices/{segment(device['id'])}/uptime", query).value
            except Refused as error:
                if error.status == 404:  # deleted since it was listed
                    continue
                raise
            group = device["labels"].get(report.group_by, "") if report.group_by else ""
            more = {"group": group, "left_out": said["left_out"], "slot_s": said["slot_s"]}
            lines.append(_line(device["id"], said, said_for.device(device["id"]), **more))
            report.missing += [span for span in said["missing"] if span not in report.missing]
    report.take_devices(lines, is_listed=chosen.devices)

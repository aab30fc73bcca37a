"""`fleetpulse report uptime`: a service level report that tells how it was made, so that anybody can make it again.

Figures come from `/api/v1/fleet/uptime` over a window that is fixed first; those of devices from the question that
`fleetpulse uptime device` asks, one by one.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Literal

from cyclopts import App, Parameter, Token

from fleetpulse.cli.client import Client, Query, segment
from fleetpulse.cli.devices import list_pages
from fleetpulse.cli.flags import URL_DEFAULT, Address, Grouping, Labels, Window, action, label_query
from fleetpulse.cli.output_file import Output
from fleetpulse.cli.report_figures import Line, Report
from fleetpulse.cli.report_formats import FORMATS
from fleetpulse.errors import CommandRefused, SettingsError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import parse_length
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answers import FleetFigures, FleetUptime, Uptime
from fleetpulse.query.declaration_answers import DeviceList

DEVICES_COUNTED = 1_000
"""Up to so many devices, what was left out is counted also without a line for each; it costs a question a device."""
DEFAULT = "30d"
app = App(name="report")


def _sla(_: object, tokens: Sequence[Token]) -> Fraction:
    text = tokens[0].value
    try:
        sla = Fraction(text.removesuffix("%"))
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"must be a percentage such as 99.9, not `{text}`") from error
    if not 0 < sla <= 100:
        raise ValueError(f"must be more than 0 and at most 100, not `{text}`")
    return sla


@action(app, "fleetpulse report uptime --window 30d --group-by site --sla 99.9 --devices --format md -o uptime.md")
def uptime(
    *,
    grouping: Grouping = Grouping(),
    devices: bool = False,
    sla: Annotated[Fraction | None, Parameter(metavar="PERCENT", converter=_sla, n_tokens=1)] = None,
    format_: Annotated[Literal["table", "csv", "json", "md"], Parameter(name="--format")] = "table",
    json: bool = False,
    output: Output = Output(),
    window: Window = Window(),
    address: Address = Address(),
) -> None:
    """Write a service level report: uptime of all devices and of groups, and how it was computed.

    Every percentage stands beside its numerator and denominator, and the report tells what was left out and how to
    compute any figure again. A report with --window ends at the last full minute.

    Args:
        devices: Show also a line for each device, worst first.
        sla: Mark what has less uptime than this, such as 99.9.
        format_: Format of the report.
        json: The same as --format json.
    """
    output.check()
    with address.client() as client:
        query = [*grouping.query(), *_fixed_window(client, window)]
        answer = client.get("/api/v1/fleet/uptime", query).into(FleetUptime)
        # The window as the service understood it: it ends now at the latest.
        questions = _Questions(answer.start, answer.end, grouping, address.base)
        text = FORMATS["json" if json else format_](_report(client, answer, questions, sla=sla, is_listed=devices))
    output.write(text.encode())


@dataclass(frozen=True)
class _Questions:
    """What the report asks, and the commands that make a figure again."""

    start: str
    end: str
    grouping: Grouping
    url: str

    @property
    def labels(self) -> Labels:
        """The labels that devices must have."""
        return self.grouping.label

    @property
    def group_by(self) -> str | None:
        """The label by whose values there are groups."""
        return self.grouping.group_by

    @property
    def window(self) -> Query:
        """The parameters of the window."""
        return [("from", self.start), ("to", self.end)]

    def device_command(self, device_id: str) -> str:
        """The command for a device."""
        return self._command("device", device_id, "--from", self.start, "--to", self.end, "--explain")

    def group_command(self, value: str | None) -> str:
        """The command for the devices with a value; those without the label, and all, are in the table of all."""
        labels = list(self.labels)
        by = ["--group-by", self.group_by] if self.group_by and value is not None else []
        if value:
            labels, by = [*labels, f"{self.group_by}:{value}"], []
        flags = [part for text in labels for part in ("--label", text)]
        return self._command("fleet", *by, *flags, "--from", self.start, "--to", self.end)

    def _command(self, *parts: str) -> str:
        url = [] if self.url == URL_DEFAULT else ["--url", self.url]
        deleted = ["--include-deleted"] if self.grouping.include_deleted else []
        return shlex.join(["fleetpulse", "uptime", *parts, *deleted, *url])


def _fixed_window(client: Client, window: Window) -> Query:
    """The parameters of the window. One of a length that ends now ends at the last full minute, which slots fill."""
    query = window.query(default=DEFAULT)
    length = dict(query)["window"]
    if length is None and window.end:
        return query
    minute_s = client.get("/healthz").server_s // 60 * 60
    end = format_rfc3339(minute_s * NS_PER_S)
    if window.start and length is None:
        return [(name, end if name == "to" else value) for name, value in query]
    if length is None or window.start or window.end or any((window.day, window.month, window.year)):
        return query  # which the service refuses where it names two windows
    try:
        start_s = minute_s - parse_length(str(length))
    except ValueError as error:
        raise SettingsError(f"--window: {error}.") from error
    return [("from", format_rfc3339(max(0, start_s) * NS_PER_S)), ("to", end), ("timezone", window.timezone)]


def _report(
    client: Client, answer: FleetUptime, questions: _Questions, *, sla: Fraction | None, is_listed: bool
) -> Report:
    groups = answer.groups if answer.group_by else []
    report = Report(
        start=answer.start,
        end=answer.end,
        formula=answer.formula,
        group_by=answer.group_by,
        labels=list(questions.labels),
        sla=sla,
        fleet=_total("", answer.fleet, questions.group_command(None)),
        groups=[_total(group.group, group, questions.group_command(group.group)) for group in groups],
        missing=answer.missing,
        declarations=answer.declarations,
        notes=answer.notes,
        example=questions.device_command("ID"),
    )
    if is_listed or report.fleet.devices <= DEVICES_COUNTED:
        _count_devices(client, report, questions, is_listed=is_listed)
    return report


def _total(name: str, figures: FleetFigures, reproduce: str) -> Line:
    return Line(name=name, devices=figures.devices, figures=figures, reproduce=reproduce)


def _count_devices(client: Client, report: Report, questions: _Questions, *, is_listed: bool) -> None:
    """Ask every device, for a line of its own and for what was left out of the groups."""
    from rich.console import Console
    from rich.progress import Progress

    deleted = [("include_deleted", questions.grouping.include_deleted or None)]
    devices = list_pages(client, [*label_query(questions.labels), *deleted], limit=None).into(DeviceList).devices
    lines: list[Line] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for device in progress.track(devices, description="devices"):
            try:
                path = f"/api/v1/devices/{segment(device.id)}/uptime"
                answer = client.get(path, [*questions.window, *deleted]).into(Uptime)
            except CommandRefused as error:
                if error.status == 404:  # deleted since it was listed
                    continue
                raise
            group = device.labels.get(report.group_by, "") if report.group_by else ""
            line = Line(
                name=device.id, devices=1, figures=answer, reproduce=questions.device_command(device.id), group=group
            )
            line.left_out, line.slot_s = answer.left_out, answer.slot_s
            lines.append(line)
            report.missing += [span for span in answer.missing if span not in report.missing]
    report.take_devices(lines, is_listed=is_listed)

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
from fleetpulse.cli.device_changes import DEVICES
from fleetpulse.cli.devices import list_pages
from fleetpulse.cli.flags import URL_DEFAULT, Address, Grouping, Labels, StepWindow, action, label_query
from fleetpulse.cli.output_file import Output
from fleetpulse.cli.report_figures import Line, Report
from fleetpulse.cli.report_formats import FORMATS
from fleetpulse.cli.report_stretches import added_steps, downtimes_of, steps_of
from fleetpulse.cli.tables import known
from fleetpulse.errors import CommandRefused, SettingsError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.model.uptime import Measure
from fleetpulse.notation.duration import parse_length
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.declaration_answers import Device, DeviceList
from fleetpulse.query.uptime_answers import FleetUptime, GroupFigures, Uptime

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


@action(
    app,
    "fleetpulse report uptime --window 30d --group-by site --sla 99.9 --devices --format md -o uptime.md",
    "fleetpulse report uptime --month 2026-10 --timezone Europe/Paris --step 1d --sla 99.5 --sla-on availability",
)
def uptime(
    *,
    grouping: Grouping = Grouping(),
    devices: bool = False,
    downtimes: bool = False,
    sla: Annotated[Fraction | None, Parameter(metavar="PERCENT", converter=_sla, n_tokens=1)] = None,
    sla_on: Measure = "settled",
    format_: Annotated[Literal["table", "csv", "json", "md"], Parameter(name="--format")] = "table",
    json: bool = False,
    output: Output = Output(),
    window: StepWindow = StepWindow(),
    address: Address = Address(),
) -> None:
    """Write a service level report: uptime of all devices and of groups, and how it was computed.

    Every percentage stands beside the seconds that it is made of, and the report tells what was left out and how to
    compute any figure again. A report with --window ends at the last full minute. With --step, each step is shown, too.

    Args:
        devices: Show also a line for each device, worst first.
        downtimes: List the times in which each device was down.
        sla: Mark what has less uptime than this, such as 99.9.
        sla_on: By what downtime and SLA are judged: all heartbeats (settled), those that came in time (observed), or
            the status of devices (availability).
        format_: Format of the report.
        json: The same as --format json.
    """
    output.check()
    with address.client() as client:
        query = [*grouping.query(), *_fixed_window(client, window)]
        answer = client.get("/api/v1/fleet/uptime", query).into(FleetUptime)
        # The window as the service understood it: it ends now at the latest.
        questions = _Questions(answer.start, answer.end, grouping, address.base, window)
        wanted = _Wanted(sla=sla, measure=sla_on, are_devices_listed=devices, are_downtimes_listed=downtimes)
        text = FORMATS["json" if json else format_](_report(client, answer, questions, wanted))
    output.write(text.encode())


@dataclass(frozen=True)
class _Wanted:
    """What the report is to show."""

    sla: Fraction | None
    measure: Measure
    are_devices_listed: bool
    are_downtimes_listed: bool


@dataclass(frozen=True)
class _Questions:
    """What the report asks, and the commands that make a figure again."""

    start: str
    end: str
    grouping: Grouping
    url: str
    steps: StepWindow

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

    @property
    def step_window(self) -> Query:
        """The parameters of the window and of its steps."""
        return [*self.window, ("step", self.steps.step), ("timezone", self.steps.timezone)]

    @property
    def deleted(self) -> Query:
        """The parameter that includes deleted devices."""
        return [("include_deleted", self.grouping.include_deleted or None)]

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


def _fixed_window(client: Client, window: StepWindow) -> Query:
    """The parameters of the window. One of a length that ends now ends at the last full minute, so that it is fixed."""
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
    return [("from", format_rfc3339(max(0, start_s) * NS_PER_S)), ("to", end), *query[-2:]]


def _report(client: Client, answer: FleetUptime, questions: _Questions, wanted: _Wanted) -> Report:
    groups = answer.groups if answer.group_by else []
    lines = [_total(group.group, group, questions.group_command(group.group), wanted.measure) for group in groups]
    for line, group in zip(lines, groups, strict=True):
        line.steps = steps_of(known(group.series) or (), wanted.measure, end=answer.end)
    fleet = _total("", answer.fleet, questions.group_command(None), wanted.measure)
    series = [steps_of(known(group.series) or (), wanted.measure, end=answer.end) for group in answer.groups]
    fleet.steps = added_steps(series)
    report = Report(
        start=answer.start,
        end=answer.end,
        formula=answer.formula,
        group_by=answer.group_by,
        labels=list(questions.labels),
        sla=wanted.sla,
        measure=wanted.measure,
        fleet=fleet,
        groups=lines,
        missing=answer.missing,
        declarations=answer.declarations,
        exact_from=known(answer.exact_from) if known(answer.resolution) else None,
        are_downtimes_listed=wanted.are_downtimes_listed,
        notes=answer.notes,
        example=questions.device_command("ID"),
    )
    is_each_wanted = wanted.are_devices_listed or wanted.are_downtimes_listed
    if is_each_wanted or report.fleet.devices <= DEVICES_COUNTED:
        _count_devices(client, report, questions, wanted)
    return report


def _total(name: str, figures: GroupFigures, reproduce: str, measure: Measure) -> Line:
    return Line(name=name, devices=figures.devices, figures=figures, reproduce=reproduce, measure=measure)


def _count_devices(client: Client, report: Report, questions: _Questions, wanted: _Wanted) -> None:
    """Ask every device, for a line of its own, its downtimes, and for what was left out of the groups."""
    from rich.console import Console
    from rich.progress import Progress

    devices = list_pages(client, [*label_query(questions.labels), *questions.deleted], limit=None).into(DeviceList)
    lines: list[Line] = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for device in progress.track(devices.devices, description="devices"):
            try:
                lines.append(_device_line(client, report, questions, wanted, device))
            except CommandRefused as error:
                if error.status != 404:  # else it was deleted since it was listed
                    raise
    report.take_devices(lines, is_listed=wanted.are_devices_listed)


def _device_line(client: Client, report: Report, questions: _Questions, wanted: _Wanted, device: Device) -> Line:
    """The line of a device; what it lacks is noted in the report."""
    query = [*(questions.step_window if wanted.are_devices_listed else questions.window), *questions.deleted]
    answer = client.get(
        f"{DEVICES}/{segment(device.id)}/uptime", [*query, ("explain", wanted.are_downtimes_listed or None)]
    ).into(Uptime)
    line = Line(
        name=device.id,
        devices=1,
        figures=answer,
        reproduce=questions.device_command(device.id),
        measure=wanted.measure,
        left_out=known(answer.left_out_s),
        group=device.labels.get(report.group_by, "") if report.group_by else "",
        steps=steps_of(known(answer.series) or (), wanted.measure, end=answer.end),
    )
    if wanted.are_downtimes_listed:
        line.downtimes, lacks = downtimes_of(answer, wanted.measure)
        report.notes += [] if lacks is None else [lacks]
    report.missing += [span for span in answer.missing if span not in report.missing]
    return line

"""The report as a table, CSV, JSON and Markdown: the same figures, and the same method."""

import csv
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import msgspec

from fleetpulse.cli.tables import clean, left, percent_cell, right, seconds_cell, show, table_of
from fleetpulse.cli.uptime import group_name
from fleetpulse.model.uptime import REASONS
from fleetpulse.notation.csv_cell import safe_cell

LEFT_OUT = REASONS[REASONS.index("blind") :]


@dataclass(kw_only=True)
class Line:
    """The figures of a device, a group or the fleet; `left_out` is None where nobody counted it."""

    name: str
    devices: int
    uptime: float | None
    present: int
    expected: int
    availability: float | None
    down_s: float
    accountable_s: float
    reproduce: str
    left_out: dict[str, int] | None = None
    group: str = ""
    slot_s: int | None = None

    def has_met(self, sla: Fraction) -> bool | None:
        """Whether the uptime is as promised, by the exact fraction; None where nothing was expected."""
        return None if not self.expected else Fraction(100 * self.present, self.expected) >= sla

    def badness(self) -> tuple[bool, Fraction, str]:
        """Orders the worst first, and those of which nothing was expected last."""
        return not self.expected, Fraction(self.present, self.expected or 1), self.name


@dataclass(kw_only=True)
class Report:
    """All that a report says. `devices` is None where no line for each was wanted."""

    start: str
    end: str
    formula: str
    group_by: str | None
    labels: list[str]
    sla: Fraction | None
    fleet: Line
    groups: list[Line]
    missing: list[dict[str, str]]
    example: str
    devices: list[Line] | None = None
    differs_by: tuple[int, int] = (0, 0)
    """By how many slots present and expected the devices differ from the fleet, which was asked before them."""
    slots_s: list[int] = field(default_factory=list)

    def take_devices(self, lines: list[Line], *, is_listed: bool) -> None:
        """Add what devices say of themselves: what was left out, the lengths of their slots, and perhaps their lines."""
        for total in (self.fleet, *self.groups):
            own = [line for line in lines if total is self.fleet or line.group == total.name]
            total.left_out = dict(sum((Counter(line.left_out) for line in own), Counter[str]()))
        self.slots_s = sorted({line.slot_s for line in lines if line.slot_s is not None})
        present, expected = sum(line.present for line in lines), sum(line.expected for line in lines)
        self.differs_by = present - self.fleet.present, expected - self.fleet.expected
        if is_listed:
            self.devices = sorted(lines, key=Line.badness)

    @property
    def totals(self) -> list[Line]:
        """The groups, and all devices."""
        return [*self.groups, self.fleet]

    def name_of(self, line: Line) -> str:
        """What a group, or the fleet, is called."""
        return "all" if line is self.fleet else group_name(line.name)

    def method(self) -> list[tuple[str, str]]:
        """How the figures were made, each part with its title."""
        slots = "the fewest whole minutes that divide a day and are no shorter than a device's interval, wholly inside the window"
        if self.slots_s:
            slots += f"; here {', '.join(seconds_cell(slot_s) for slot_s in self.slots_s)}"
        parts = [
            ("window", f"from {self.start}, until before {self.end}"),
            (
                "devices",
                f"{self.fleet.devices}, {'with ' + ', '.join(self.labels) if self.labels else 'all there are'}",
            ),
            (
                "formula",
                f"{self.formula}: 100 × slots present ÷ slots expected, on the devices' clocks, heartbeats sent later included",
            ),
            ("slots", slots),
            ("availability", "100 × (1 − time down ÷ accountable time), on the service's clock"),
            ("left out", f"{self._left_out()}. {_RULES}"),
            (
                "missing",
                "; ".join(f"{span['from']} to {span['to']}: {span['reason']}" for span in self.missing) or "nothing",
            ),
        ]
        if self.sla is not None:
            parts.append(
                (
                    "SLA",
                    f"uptime of at least {_sla_text(self.sla)} %, judged by the exact fraction, not by rounded digits",
                )
            )
        if any(self.differs_by):
            text = "the devices add up to {:+} slots present and {:+} expected, since something was heard or declared meanwhile: make it again"
            parts.append(("check", text.format(*self.differs_by)))
        elif self.fleet.left_out is not None:
            parts.append(("check", "the slots of the devices, asked one by one, add up to those of the fleet"))
        parts.append(("again", self.example))
        return parts

    def _left_out(self) -> str:
        counted = self.fleet.left_out
        if counted is None:
            return "not counted for so many devices without --devices"
        return ", ".join(f"{counted[reason]} slots {reason}" for reason in LEFT_OUT if counted.get(reason)) or "no slot"


_RULES = (
    "Slots that a pause or a maintenance window touches count neither way, nor those before the first heartbeat, nor, where a device was "
    "not heard, those in which the service itself did not run (blind) or whose data is missing"
)


def put(text: str) -> None:
    """Write a report to standard output."""
    # As it is: the line ends of a CSV are its own.
    sys.stdout.buffer.write(text.encode())


def as_table(report: Report) -> str:
    """For reading."""
    text = io.StringIO()
    lines = [f"{title + ':':<13} {said}" for title, said in report.method()]
    total_columns = [left(report.group_by or ""), right("devices"), *_columns(report)]
    totals = [[report.name_of(line), str(line.devices), *_cells(report, line)] for line in report.totals]
    show("Uptime report\n", *lines, table_of(total_columns, totals), file=text)
    if report.devices is not None:
        columns = [left("device"), *([left(report.group_by)] if report.group_by else []), *_columns(report)]
        rows = [
            [line.name, *([group_name(line.group)] if report.group_by else []), *_cells(report, line)]
            for line in report.devices
        ]
        show(table_of(columns, rows), file=text)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _titles(report: Report) -> list[str]:
    return [
        "uptime %",
        "present",
        "expected",
        *(["SLA"] if report.sla else []),
        "availability %",
        "down",
        "accountable",
        "left out",
    ]


def _columns(report: Report) -> list[Any]:
    return [(left if title in ("SLA", "left out") else right)(title) for title in _titles(report)]


def _cells(report: Report, line: Line) -> list[str]:
    verdict = [] if report.sla is None else [{True: "met", False: "MISSED", None: "–"}[line.has_met(report.sla)]]
    times = seconds_cell(line.down_s), seconds_cell(line.accountable_s)
    percents = percent_cell(line.uptime), percent_cell(line.availability)
    return [percents[0], str(line.present), str(line.expected), *verdict, percents[1], *times, _left_out_cell(line)]


def _left_out_cell(line: Line) -> str:
    if line.left_out is None:
        return "?"
    return ", ".join(f"{line.left_out[reason]} {reason}" for reason in LEFT_OUT if line.left_out.get(reason)) or "0"


def as_markdown(report: Report) -> str:
    """For a page."""
    lines = ["# Uptime report", ""]
    head = [report.group_by or "", "devices", *_titles(report)]
    lines += _markdown_table(
        head, ([report.name_of(line), str(line.devices), *_cells(report, line)] for line in report.totals)
    )
    if report.devices is not None:
        head = ["device", *([report.group_by] if report.group_by else []), *_titles(report)]
        rows = (
            [line.name, *([group_name(line.group)] if report.group_by else []), *_cells(report, line)]
            for line in report.devices
        )
        lines += ["", "## Devices, worst first", "", *_markdown_table(head, rows)]
    lines += ["", "## Method", ""]
    lines += [
        f"- **{title}**: {f'`{said}`' if title == 'again' else _markdown(said)}" for title, said in report.method()
    ]
    return "\n".join(lines) + "\n"


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [
        "| " + " | ".join(_markdown(cell) if line is not lines[1] else cell for cell in line) + " |" for line in lines
    ]


def _markdown(text: str) -> str:
    """A text that is not taken for marks: names of sites may be anything."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in clean(text))


def as_csv(report: Report) -> str:
    """For spreadsheets and programs: a line stands for itself, with window, formula and the command that makes it again."""
    text = io.StringIO()
    writer = csv.writer(text)
    reasons = [f"left_out_{reason.replace(' ', '_')}" for reason in LEFT_OUT]
    about = [
        "uptime_percent",
        "present_slots",
        "expected_slots",
        "sla_percent",
        "sla_met",
        "availability_percent",
        "down_s",
    ]
    head = [
        "kind",
        "id",
        "group",
        "devices",
        *about,
        "accountable_s",
        "slot_s",
        *reasons,
        "from",
        "to",
        "formula",
        "is_whole",
        "reproduce",
    ]
    writer.writerow(head)
    for kind, line in _kinds(report):
        writer.writerow([safe_cell(cell) for cell in (kind, *_csv_cells(report, kind, line))])
    return text.getvalue()


def _kinds(report: Report) -> list[tuple[str, Line]]:
    return [
        ("fleet", report.fleet),
        *(("group", line) for line in report.groups),
        *(("device", line) for line in report.devices or ()),
    ]


def _csv_cells(report: Report, kind: str, line: Line) -> list[object]:
    left_out: list[object] = [None if line.left_out is None else line.left_out.get(reason, 0) for reason in LEFT_OUT]
    verdict = None if report.sla is None else line.has_met(report.sla)
    return [
        line.name if kind == "device" else None,
        line.name if kind == "group" else line.group,
        line.devices,
        line.uptime,
        line.present,
        line.expected,
        None if report.sla is None else _sla_text(report.sla),
        None if verdict is None else str(verdict).lower(),
        line.availability,
        line.down_s,
        line.accountable_s,
        line.slot_s,
        *left_out,
        report.start,
        report.end,
        report.formula,
        str(not report.missing).lower(),
        line.reproduce,
    ]


def as_json(report: Report) -> str:
    """For programs."""
    said = {
        "from": report.start,
        "to": report.end,
        "formula": report.formula,
        "group_by": report.group_by,
        "labels": report.labels,
        "sla": None if report.sla is None else float(report.sla),
        "method": dict(report.method()),
        "fleet": _said(report, "fleet", report.fleet),
        "groups": [_said(report, "group", line) for line in report.groups],
        **({} if report.devices is None else {"devices": [_said(report, "device", line) for line in report.devices]}),
        "missing": report.missing,
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=2).decode() + "\n"


def _said(report: Report, kind: str, line: Line) -> dict[str, Any]:
    names = ("uptime", "present", "expected", "availability", "down_s", "accountable_s", "left_out", "reproduce")
    figures = {name: getattr(line, name) for name in names}
    who: dict[str, Any] = {"devices": line.devices}
    if kind == "device":
        who = {"id": line.name, "group": line.group, "slot_s": line.slot_s}
    elif kind == "group":
        who = {"group": line.name, **who}
    return {**who, **figures, **({} if report.sla is None else {"sla_met": line.has_met(report.sla)})}


def _sla_text(sla: Fraction) -> str:
    return f"{float(sla):.12g}"


FORMATS: dict[str, Callable[[Report], str]] = {"table": as_table, "csv": as_csv, "json": as_json, "md": as_markdown}

"""The report as a table, CSV, JSON and Markdown: the same figures, and the same method."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from fleetpulse.cli.report_figures import Line, Report
from fleetpulse.cli.tables import Column, left, right, show, table_of
from fleetpulse.cli.terminal import clean
from fleetpulse.cli.uptime import figure_cells, group_name
from fleetpulse.model.uptime import LEFT_OUT
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.query.answer_fields import key_of

_CSV_HEAD = (
    *("kind", "id", "group", "devices", "uptime_percent", "present_slots", "expected_slots", "sla_percent", "sla_met"),
    *("availability_percent", "down_s", "accountable_s", "slot_s"),
    *(f"left_out_{key_of(reason)}" for reason in LEFT_OUT),
    *("from", "to", "formula", "is_whole", "reproduce", "declarations_version", "declarations_changed_at"),
)


def as_table(report: Report) -> str:
    """For reading."""
    text = io.StringIO()
    lines = [f"{title + ':':<13} {words}" for title, words in report.method()]
    head, rows = _totals(report)
    show("Uptime report\n", *lines, table_of(_columns(head), rows), file=text)
    if report.devices is not None:
        head, rows = _devices(report, report.devices)
        show(table_of(_columns(head), rows), file=text)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _columns(titles: Sequence[str]) -> list[Column]:
    figures = {"devices", *_FIGURES} - {"SLA", "left out"}
    return [(right if title in figures and place else left)(title) for place, title in enumerate(titles)]


_FIGURES = ("uptime %", "present", "expected", "SLA", "availability %", "down", "accountable", "left out")


def _totals(report: Report) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of the groups and of all devices."""
    head = [report.group_by or "", "devices", *_titles(report)]
    return head, [[report.name_of(line), str(line.devices), *_cells(report, line)] for line in report.totals]


def _devices(report: Report, lines: Iterable[Line]) -> tuple[list[str], list[list[str]]]:
    """Titles and cells of the devices."""
    by = report.group_by
    head = ["device", *([by] if by else []), *_titles(report)]
    return head, [[line.name, *([group_name(line.group)] if by else []), *_cells(report, line)] for line in lines]


def _titles(report: Report) -> list[str]:
    return [title for title in _FIGURES if title != "SLA" or report.sla]


def _cells(report: Report, line: Line) -> list[str]:
    """The cells of `_titles`."""
    verdict = [] if report.sla is None else [{True: "met", False: "MISSED", None: "–"}[line.has_met(report.sla)]]
    cells = figure_cells(line.figures)
    return [*cells[:3], *verdict, *cells[3:], _left_out_cell(line)]


def _left_out_cell(line: Line) -> str:
    if line.left_out is None:
        return "?"
    return ", ".join(f"{line.left_out[reason]} {reason}" for reason in LEFT_OUT if line.left_out.get(reason)) or "0"


def as_markdown(report: Report) -> str:
    """For a page."""
    lines = ["# Uptime report", "", *_markdown_table(*_totals(report))]
    if report.devices is not None:
        lines += ["", "## Devices, worst first", "", *_markdown_table(*_devices(report, report.devices))]
    lines += ["", "## Method", ""]
    for title, words in report.method():
        lines.append(f"- **{title}**: {f'`{words}`' if title == 'again' else _markdown(words)}")
    return "\n".join(lines) + "\n"


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [[_markdown(cell) for cell in row] for row in (head, *rows)]
    return [f"| {' | '.join(row)} |" for row in (cells[0], ["---"] * len(head), *cells[1:])]


def _markdown(text: str) -> str:
    """A text that is not taken for marks: names of sites may be anything."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in clean(text))


def as_csv(report: Report) -> str:
    """For spreadsheets and programs: each line stands alone, with window, formula and the command for it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_CSV_HEAD)
    kinds = (("fleet", [report.fleet]), ("group", report.groups), ("device", report.devices or []))
    for kind, lines in kinds:
        for line in lines:
            writer.writerow([safe_cell(cell) for cell in _csv_cells(report, kind, line)])
    return text.getvalue()


def _csv_cells(report: Report, kind: str, line: Line) -> list[object]:
    """The cells of `_CSV_HEAD`."""
    figures = line.figures
    verdict = None if report.sla is None else line.has_met(report.sla)
    return [
        kind,
        line.name if kind == "device" else None,
        line.name if kind == "group" else line.group,
        line.devices,
        figures.uptime,
        figures.present,
        figures.expected,
        report.sla_text or None,
        None if verdict is None else str(verdict).lower(),
        figures.availability,
        figures.down_s,
        figures.accountable_s,
        line.slot_s,
        *(None if line.left_out is None else line.left_out.get(reason, 0) for reason in LEFT_OUT),
        report.start,
        report.end,
        report.formula,
        str(not report.missing).lower(),
        line.reproduce,
        report.declarations.version,
        report.declarations.changed_at,
    ]


def as_json(report: Report) -> str:
    """For programs."""
    fields: dict[str, Any] = {
        "from": report.start,
        "to": report.end,
        "formula": report.formula,
        "group_by": report.group_by,
        "labels": report.labels,
        "sla": None if report.sla is None else float(report.sla),
        "method": dict(report.method()),
        "fleet": {"devices": report.fleet.devices, **_figures(report, report.fleet)},
        "groups": [{"group": line.name, "devices": line.devices, **_figures(report, line)} for line in report.groups],
    }
    if report.devices is not None:
        fields["devices"] = [
            {"id": line.name, "group": line.group, "slot_s": line.slot_s, **_figures(report, line)}
            for line in report.devices
        ]
    fields["declarations"] = report.declarations
    fields["missing"] = report.missing
    fields["notes"] = report.notes
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode() + "\n"


def _figures(report: Report, line: Line) -> dict[str, Any]:
    names = ("uptime", "present", "expected", "availability", "down_s", "accountable_s")
    figures = {name: getattr(line.figures, name) for name in names}
    verdict = {} if report.sla is None else {"sla_met": line.has_met(report.sla)}
    slots = None if line.left_out is None else {key_of(reason): count for reason, count in line.left_out.items()}
    return {**figures, "left_out": line.left_out, "left_out_slots": slots, "reproduce": line.reproduce, **verdict}


FORMATS: dict[str, Callable[[Report], str]] = {"table": as_table, "csv": as_csv, "json": as_json, "md": as_markdown}

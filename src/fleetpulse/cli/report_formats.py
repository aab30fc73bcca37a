"""The report as a table, CSV, JSON and Markdown: the same figures, and the same method."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from fleetpulse.cli.report_figures import Accounted, Downtime, Line, Report, Step, left_out_text
from fleetpulse.cli.tables import Column, left, percent_cell, right, seconds_cell, show, table_of, time_cell
from fleetpulse.cli.terminal import clean
from fleetpulse.cli.uptime import SHARES, group_name
from fleetpulse.model.uptime import LEFT_OUT, Measure
from fleetpulse.notation.csv_cell import safe_cell

_encode = msgspec.json.Encoder(decimal_format="number").encode
_CSV_HEAD = (
    *("kind", "id", "group", "devices", "uptime_percent", "up_s", "accountable_s", "downtime_s"),
    *("gaps", "longest_gap_s", "mean_repair_s", "mean_between_failures_s", "sla_percent", "sla_on", "sla_met"),
    *("observed_percent", "observed_up_s", "observed_accountable_s"),
    *("availability_percent", "down_s", "availability_accountable_s"),
    *(f"left_out_{reason}_s" for reason in LEFT_OUT),
    *("reason", "from", "to", "formula", "is_whole", "reproduce", "declarations_version", "declarations_changed_at"),
)
_Table = tuple[list[str], list[list[str]]]


def as_table(report: Report) -> str:
    """For reading."""
    text = io.StringIO()
    lines = [f"{title + ':':<13} {words}" for title, words in report.method()]
    head, rows = _totals(report)
    show("Uptime report\n", *lines, table_of(_columns(head), rows), file=text)
    for _, (head, rows) in _more_tables(report):
        show(table_of(_columns(head), rows), file=text)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _columns(titles: Sequence[str]) -> list[Column]:
    figures = {"devices", "seconds", *_FIGURES} - {"SLA", "left out"}
    return [(right if title in figures and place else left)(title) for place, title in enumerate(titles)]


_FIGURES = (
    *("uptime %", "downtime", "accountable", "SLA", "gaps", "longest", "to repair", "between"),
    *("observed %", "availability %", "left out"),
)


def _totals(report: Report) -> _Table:
    """Titles and cells of the groups and of all devices."""
    head = [report.group_by or "", "devices", *_titles(report)]
    return head, [[report.name_of(line), str(line.devices), *_cells(report, line)] for line in report.totals]


def _more_tables(report: Report) -> Iterator[tuple[str, _Table]]:
    """The tables that were asked for, each with a title."""
    if any(line.steps for line in report.totals):
        yield "Steps", _steps(report)
    if report.devices is not None:
        yield "Devices, worst first", _devices(report, report.devices)
    if report.are_downtimes_listed:
        yield "Downtimes", _downtimes(report)


def _devices(report: Report, lines: Iterable[Line]) -> _Table:
    """Titles and cells of the devices."""
    by = report.group_by
    head = ["device", *([by] if by else []), *_titles(report)]
    return head, [[line.name, *([group_name(line.group)] if by else []), *_cells(report, line)] for line in lines]


def _steps(report: Report) -> _Table:
    """Titles and cells of the steps, group by group."""
    head = [
        report.group_by or "",
        "at",
        SHARES[report.measure],
        "downtime",
        "accountable",
        *(["SLA"] if report.sla else []),
    ]
    rows = [
        [report.name_of(line), time_cell(step.start), *_step_cells(report, step)]
        for line in report.totals
        for step in line.steps
    ]
    return head, rows


def _step_cells(report: Report, step: Step) -> list[str]:
    one = step.accounted
    if one is None:
        return ["–"] * (4 if report.sla else 3)
    verdict = [] if report.sla is None else [_VERDICTS[one.has_met(report.sla)]]
    return [percent_cell(_percent(one)), seconds_cell(one.down_s), seconds_cell(one.accountable_s), *verdict]


def _percent(accounted: Accounted) -> float | None:
    share = accounted.share
    return None if share is None else min(100.0, float(100 * share))


def _downtimes(report: Report) -> _Table:
    """Titles and cells of the downtimes, device by device."""
    rows = [
        [name, time_cell(one.start), time_cell(one.end), seconds_cell(one.seconds), one.reason]
        for name, one in report.downtimes
    ]
    return ["device", "from", "to", "seconds", "reason"], rows


def _titles(report: Report) -> list[str]:
    return [title for title in _FIGURES if title != "SLA" or report.sla]


_VERDICTS = {True: "met", False: "MISSED", None: "–"}


def _cells(report: Report, line: Line) -> list[str]:
    """The cells of `_titles`."""
    one = line.accounted
    return [
        percent_cell(line.figures.uptime),
        seconds_cell(None if one is None else one.down_s),
        seconds_cell(None if one is None else one.accountable_s),
        *([] if report.sla is None else [_VERDICTS[line.has_met(report.sla)]]),
        "–" if line.gap_count is None else str(line.gap_count),
        seconds_cell(line.longest_gap_s),
        seconds_cell(line.mean_repair_s()),
        seconds_cell(line.mean_between_failures_s()),
        percent_cell(line.figures.observed.uptime),
        percent_cell(line.figures.availability),
        "?" if line.left_out is None else left_out_text(line.left_out) or "0s",
    ]


def as_markdown(report: Report) -> str:
    """For a page."""
    lines = ["# Uptime report", "", *_markdown_table(*_totals(report))]
    for title, table in _more_tables(report):
        lines += ["", f"## {title}", "", *_markdown_table(*table)]
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
    writer = csv.DictWriter(text, _CSV_HEAD, restval="")
    writer.writeheader()
    kinds = (("fleet", [report.fleet]), ("group", report.groups), ("device", report.devices or []))
    for kind, lines in kinds:
        for line in lines:
            _write(writer, {**_csv_line(report, kind, line), **_csv_figures(report, line)})
    for kind, lines in kinds:
        for line in lines:
            for step in line.steps:
                _write(writer, {**_csv_line(report, "step", line, of=kind), **_csv_step(report, step)})
    for name, one in report.downtimes if report.are_downtimes_listed else ():
        _write(writer, _csv_downtime(report, name, one))
    return text.getvalue()


def _write(writer: "csv.DictWriter[str]", cells: dict[str, object]) -> None:
    writer.writerow({name: safe_cell(value) for name, value in cells.items()})


def _csv_line(report: Report, kind: str, line: Line, *, of: str | None = None) -> dict[str, object]:
    """What tells a line, and how it was made."""
    of = of or kind
    return {
        "kind": kind,
        "id": line.name if of == "device" else None,
        "group": line.name if of == "group" else line.group,
        "devices": line.devices,
        "sla_percent": report.sla_text or None,
        "sla_on": report.measure,
        "from": report.start,
        "to": report.end,
        "formula": report.formula,
        "is_whole": str(not report.missing).lower(),
        "reproduce": line.reproduce,
        "declarations_version": report.declarations.version,
        "declarations_changed_at": report.declarations.changed_at,
    }


def _csv_step(report: Report, step: Step) -> dict[str, object]:
    """The seconds of a step, in the columns of the measure of the report, and whether they are as promised."""
    one = step.accounted
    span: dict[str, object] = {"from": step.start, "to": step.end}
    if one is None:
        return span
    names = _CSV_MEASURED[report.measure]
    cells = {"percent": _percent(one), "up": one.up_s, "accountable": one.accountable_s, "down": one.down_s}
    return {
        **span,
        **{name: cells[part] for part, name in names.items()},
        "downtime_s": one.down_s,
        "sla_met": _truth(None if report.sla is None else one.has_met(report.sla)),
    }


_CSV_MEASURED: dict[Measure, dict[str, str]] = {
    "settled": {"percent": "uptime_percent", "up": "up_s", "accountable": "accountable_s"},
    "observed": {"percent": "observed_percent", "up": "observed_up_s", "accountable": "observed_accountable_s"},
    "availability": {"percent": "availability_percent", "down": "down_s", "accountable": "availability_accountable_s"},
}


def _csv_figures(report: Report, line: Line) -> dict[str, object]:
    figures, one = _figures(report, line), line.accounted
    observed = figures["observed"]
    left_out = line.left_out
    return {
        "uptime_percent": figures["uptime"],
        **{name: figures[name] for name in ("up_s", "accountable_s", "mean_repair_s", "mean_between_failures_s")},
        **{name: figures[name] for name in ("down_s", "availability_accountable_s")},
        "downtime_s": None if one is None else one.down_s,
        "gaps": line.gap_count,
        "longest_gap_s": line.longest_gap_s,
        "sla_met": _truth(figures.get("sla_met")),
        "observed_percent": observed["uptime"],
        "observed_up_s": observed["up_s"],
        "observed_accountable_s": observed["accountable_s"],
        "availability_percent": figures["availability"],
        **({} if left_out is None else {f"left_out_{reason}_s": left_out.get(reason, 0) for reason in LEFT_OUT}),
    }


def _csv_downtime(report: Report, name: str, one: Downtime) -> dict[str, object]:
    return {
        "kind": "downtime",
        "id": name,
        "devices": 1,
        "downtime_s": one.seconds,
        "sla_on": report.measure,
        "reason": one.reason,
        "from": one.start,
        "to": one.end,
        "formula": report.formula,
        "is_whole": str(not report.missing).lower(),
    }


def _truth(value: object) -> str | None:
    return None if value is None else str(value).lower()


def as_json(report: Report) -> str:
    """For programs."""
    fields: dict[str, Any] = {
        "from": report.start,
        "to": report.end,
        "formula": report.formula,
        "group_by": report.group_by,
        "labels": report.labels,
        "sla": None if report.sla is None else float(report.sla),
        "sla_on": report.measure,
        "method": dict(report.method()),
        "fleet": {"devices": report.fleet.devices, **_figures(report, report.fleet)},
        "groups": [{"group": line.name, "devices": line.devices, **_figures(report, line)} for line in report.groups],
    }
    if report.devices is not None:
        fields["devices"] = [
            {"id": line.name, "group": line.group, **_figures(report, line)} for line in report.devices
        ]
    if report.are_downtimes_listed:
        fields["downtimes"] = [
            {"id": name, "from": one.start, "to": one.end, "seconds": one.seconds, "reason": one.reason}
            for name, one in report.downtimes
        ]
    fields["declarations"] = report.declarations
    fields["missing"] = report.missing
    fields["notes"] = report.notes
    return msgspec.json.format(_encode(fields), indent=2).decode() + "\n"


def _figures(report: Report, line: Line) -> dict[str, Any]:
    """The figures of a line, as the service gives them, and what follows from them."""
    settled, one, observed = (
        Accounted.of(line.figures, "settled"),
        line.accounted,
        Accounted.of(line.figures, "observed"),
    )
    steps = {"steps": [_step(report.sla, step) for step in line.steps]} if line.steps else {}
    return {
        "uptime": line.figures.uptime,
        "up_s": None if settled is None else settled.up_s,
        "accountable_s": None if settled is None else settled.accountable_s,
        "downtime_s": None if one is None else one.down_s,
        "gaps": {"count": line.gap_count, "longest_s": line.longest_gap_s},
        "mean_repair_s": line.mean_repair_s(),
        "mean_between_failures_s": line.mean_between_failures_s(),
        "observed": {
            "uptime": line.figures.observed.uptime,
            "up_s": None if observed is None else observed.up_s,
            "accountable_s": None if observed is None else observed.accountable_s,
        },
        "availability": line.figures.availability,
        "down_s": line.figures.down_s,
        "availability_accountable_s": line.figures.availability_accountable_s,
        "left_out_s": line.left_out,
        "reproduce": line.reproduce,
        **({} if report.sla is None else {"sla_met": line.has_met(report.sla)}),
        **steps,
    }


def _step(sla: Fraction | None, step: Step) -> dict[str, Any]:
    one = step.accounted
    names: dict[str, Decimal | float | bool | None] = {
        "percent": None if one is None else _percent(one),
        "up_s": None if one is None else one.up_s,
        "accountable_s": None if one is None else one.accountable_s,
        "downtime_s": None if one is None else one.down_s,
    }
    if sla is not None:
        names["sla_met"] = None if one is None else one.has_met(sla)
    return {"from": step.start, "to": step.end, **names}


FORMATS: dict[str, Callable[[Report], str]] = {"table": as_table, "csv": as_csv, "json": as_json, "md": as_markdown}

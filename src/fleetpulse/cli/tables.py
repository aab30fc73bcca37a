"""How answers look on a terminal and in a pipe: tables that break no id in two, CSV, counts, lengths of time, times.

rich draws them. It is imported where a table is made, since it takes longer than many a question with --json.
"""

import csv
import io
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from msgspec import UNSET, UnsetType

from fleetpulse.aggregate.local_time import step_starts_ns
from fleetpulse.cli.client import Answer
from fleetpulse.cli.terminal import clean, write_bytes
from fleetpulse.model.time_zone import is_timezone
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.notation.duration import format_seconds, length_text
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.notation.timestamp import parse_rfc3339_ns

if TYPE_CHECKING:
    from rich import table, text

    Column = table.Column
    Table = table.Table
    Text = text.Text
    Cell = str | Text | None
    Part = Table | str
else:
    Cell = Column = Part = Table = Text = Any

TABLE_COLUMNS = 10_000
"""Width of a table: the terminal breaks a line that is longer than it, and the line can still be copied whole."""
TEXT_COLUMNS = 60
GRAPH_COLUMNS = 48
_BARS = "▁▂▃▄▅▆▇█"
_STATUS_STYLE = {"up": "green", "late": "yellow", "down": "red", "unknown": "magenta"}
_STATUS_STYLE |= dict.fromkeys(("maintenance", "paused"), "blue")
_Value = TypeVar("_Value")


def left(title: str) -> Column:
    """A column of texts."""
    from rich.table import Column

    return Column(title, no_wrap=True)


def right(title: str) -> Column:
    """A column of figures."""
    from rich.table import Column

    return Column(title, justify="right", no_wrap=True)


def prose(title: str) -> Column:
    """A column of texts that people wrote, which may be long."""
    from rich.table import Column

    return Column(title, max_width=TEXT_COLUMNS, overflow="fold")


def table_of(columns: Iterable[Column], rows: Iterable[Sequence[Cell]]) -> Table:
    """A table; None is an empty cell."""
    from rich import box
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def facts_of(rows: Iterable[tuple[str, Cell]]) -> Table:
    """Names and their values, without a head; empty values are left out."""
    from rich.table import Column, Table

    columns = Column(style="dim", no_wrap=True), Column(overflow="fold")
    table = Table(*columns, box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for name, cell in rows:
        if cell:
            table.add_row(name, _text(cell))
    return table


def _text(cell: Cell) -> Text:
    from rich.text import Text

    return cell if isinstance(cell, Text) else Text(clean(cell or ""))


def show(*parts: Part, file: IO[str] | None = None) -> None:
    """Print tables and lines of text, in colours on a terminal alone.

    A line of text is broken between words where the terminal ends; in a pipe, and in tables, no line is broken.
    """
    from rich.console import Console
    from rich.text import Text

    terminal = Console(file=file, highlight=False, force_terminal=None if file is None else False)
    wide = Console(file=file, width=TABLE_COLUMNS, highlight=False, force_terminal=None if file is None else False)
    for part in parts:
        if isinstance(part, str):
            text = Text("\n".join(clean(line) for line in part.split("\n")))
            terminal.print(text, soft_wrap=not terminal.is_terminal)
        elif part.row_count:
            wide.print(part)


def show_csv(parts: Iterable[Part]) -> None:
    """Print the last table of an answer, which has the most rows, as CSV; all text beside it on standard error."""
    from rich.table import Table

    tables = [part for part in parts if isinstance(part, Table)]
    for part in parts:
        if isinstance(part, str):
            print(part, file=sys.stderr)
    if tables:
        write_bytes(csv_of(tables[-1]).encode())


def csv_of(table: Table) -> str:
    """A table as CSV. Names of columns have no blanks; cells that a spreadsheet would run are guarded."""
    text = io.StringIO()
    writer = csv.writer(text)
    if table.show_header:
        writer.writerow([_name(column, place) for place, column in enumerate(table.columns)])
    else:
        writer.writerow(["name", "value"])
    for row in zip(*(column.cells for column in table.columns), strict=True):
        writer.writerow([safe_cell(_plain(cell)) for cell in row])
    return text.getvalue()


def _name(column: Column, place: int) -> str:
    # People see from the table what a column without a title is: the group first, or a description last.
    return _plain(column.header).replace(" ", "_") or ("description" if place else "group")


def _plain(cell: Any) -> str:
    text = cell if isinstance(cell, str) else str(cell.plain)
    return "" if text == "–" else text


def show_json(answer: Answer) -> None:
    """Print an answer as it is."""
    write_bytes(answer.raw + b"\n")


def known(value: _Value | UnsetType) -> _Value | None:
    """A field of an answer; None where the answer does not have it."""
    return None if value is UNSET else value


def status_cell(status: str, *, since: str | None = None, now_s: int | None = None) -> Text:
    """A status in its colour, and for how long it has been so: `down for 4 h 10 m`."""
    from rich.text import Text

    how_long = ""
    if since is not None and now_s is not None and status != "new":
        how_long = f" for {length_text(now_s - parse_rfc3339_ns(since) // NS_PER_S)}"
    return Text(status + how_long, style=_STATUS_STYLE.get(status, ""))


def mark_cell(text: str, *, is_good: bool) -> Text:
    """A finding: green where it is as it must be, else red."""
    from rich.text import Text

    return Text(text, style="green" if is_good else "red")


_shown_zone: ContextVar[ZoneInfo | None] = ContextVar("shown_zone", default=None)


def show_times_in(timezone: str | None) -> None:
    """Print times in a time zone from now on, with their offset; in UTC if it is None, or unknown to this machine."""
    _shown_zone.set(ZoneInfo(timezone) if timezone is not None and is_timezone(timezone) else None)


def time_cell(at: str | None) -> str:
    """A time of an answer, to the second, with its zone: `2026-11-24T08:30:00Z`, `2026-11-24T09:30:00+01:00`."""
    if at is None:
        return ""
    zone = _shown_zone.get()
    if zone is None:
        return f"{at[:19]}Z"
    return datetime.fromisoformat(f"{at[:19]}+00:00").astimezone(zone).isoformat()


def labels_cell(labels: dict[str, str]) -> str:
    """Labels as the flags take them."""
    return " ".join(f"{name}:{value}" for name, value in sorted(labels.items()))


def percent_cell(percent: float | None) -> str:
    """A percentage; a dash where nothing was expected."""
    return "–" if percent is None else f"{percent:.5f}"


def seconds_cell(seconds: float | Decimal | None) -> str:
    """A length of time, to the second; a dash where it is not known."""
    return "–" if seconds is None else format_seconds(round(seconds))


def value_cell(value: float | None, unit: str) -> str:
    """A value of a metric; a dash where there is none, and nanoseconds as a duration."""
    if value is None:
        return "–"
    if unit == "ns":
        return format_duration(round(value))
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def sparkline(values: Sequence[float | None]) -> str:
    """Values as bars from the lowest to the highest, a blank for None; at most GRAPH_COLUMNS of them."""
    width = min(GRAPH_COLUMNS, len(values))
    cuts = [len(values) * place // max(1, width) for place in range(width + 1)]
    means = [_mean([value for value in values[start:end] if value is not None]) for start, end in pairwise(cuts)]
    present = [mean for mean in means if mean is not None]
    lowest, spread = min(present, default=0.0), max(present, default=0.0) - min(present, default=0.0)
    return "".join(" " if mean is None else _bar((mean - lowest) / spread if spread else 0.5) for mean in means)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _bar(share: float) -> str:
    return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]


def step_values(
    points: Iterable[tuple[str, float | None]], *, start: str, end: str, step_s: int, timezone: str | None = None
) -> list[float | None]:
    """The values of a series, one a step of [start, end): None for steps without a point. A point is (time, value).

    `timezone`: that of a calendar whose days are the steps, or are divided by them.
    """
    zone = None if timezone is None else ZoneInfo(timezone)
    if zone is None:
        starts = range(parse_rfc3339_ns(start) // NS_PER_S // step_s * step_s, _ceil_s(end), step_s)
        return _values_at(points, starts)
    edges = step_starts_ns(parse_rfc3339_ns(start), parse_rfc3339_ns(end), step_s=step_s, zone=zone)
    return _values_at(points, [edge_ns // NS_PER_S for edge_ns in edges])


def _values_at(points: Iterable[tuple[str, float | None]], starts_s: Sequence[int]) -> list[float | None]:
    values: list[float | None] = [None] * len(starts_s)
    for at, value in points:
        values[bisect_right(starts_s, parse_rfc3339_ns(at) // NS_PER_S) - 1] = value
    return values


def _ceil_s(at: str) -> int:
    return -(-parse_rfc3339_ns(at) // NS_PER_S)

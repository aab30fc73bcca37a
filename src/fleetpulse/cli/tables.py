"""How answers look on a terminal and in a pipe: tables that break no id in two, times, percentages, small graphs."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from fleetpulse.cli.client import Answer
from fleetpulse.errors import SettingsError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import format_seconds
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.notation.timestamp import parse_rfc3339_ns

WIDE = 10_000
"""Columns that a table may take: a line that is longer than the terminal is broken by it, and can still be copied whole."""
TEXT_WIDTH = 60
SPARK_WIDTH = 48
_SPARKS = "▁▂▃▄▅▆▇█"
_STATUS_STYLE = {
    "up": "green",
    "late": "yellow",
    "down": "red",
    "maintenance": "blue",
    "paused": "blue",
    "unknown": "magenta",
}
Cell = str | Text | None


def left(title: str) -> Column:
    """A column of texts."""
    return Column(title, no_wrap=True)


def right(title: str) -> Column:
    """A column of figures."""
    return Column(title, justify="right", no_wrap=True)


def prose(title: str) -> Column:
    """A column of texts that people wrote, which may be long."""
    return Column(title, max_width=TEXT_WIDTH, overflow="fold")


def table_of(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> Table:
    """A table; None is an empty cell."""
    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell or "")) for cell in row))
    return table


def facts_of(rows: Iterable[tuple[str, Cell]]) -> Table:
    """Names and what they are, without a head; what is not there is left out."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, cell in rows:
        if cell:
            table.add_row(name, cell if isinstance(cell, Text) else Text(clean(cell)))
    return table


def show(*parts: Table | str, file: IO[str] | None = None) -> None:
    """Print tables and lines of text; without colours where nobody looks."""
    console = Console(file=file, width=WIDE, highlight=False, force_terminal=None if file is None else False)
    for part in parts:
        if isinstance(part, str):
            console.print(Text("\n".join(clean(line) for line in part.split("\n"))), soft_wrap=True)
        else:
            console.print(part)


def show_json(answer: Answer) -> None:
    """Print an answer as it is."""
    sys.stdout.write(answer.raw.decode() + "\n")


def write_file(path: str, body: bytes) -> None:
    """Raises: SettingsError: it cannot be written."""
    try:
        Path(path).write_bytes(body)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}. Name another file with -o.") from error


def clean(text: str) -> str:
    """A text without characters that would steer the terminal."""
    return "".join(char if char.isprintable() else "·" for char in text)


def status_cell(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=_STATUS_STYLE.get(status, ""))


def time_cell(at: str | None) -> str:
    """A time of an answer, to the second."""
    return "" if at is None else f"{at[:19]}Z"


def labels_cell(labels: dict[str, str]) -> str:
    """Labels as the flags take them."""
    return " ".join(f"{name}:{value}" for name, value in sorted(labels.items()))


def percent_cell(percent: float | None) -> str:
    """A percentage; a dash where nothing was expected."""
    return "–" if percent is None else f"{percent:.5f}"


def seconds_cell(seconds: float) -> str:
    """A length of time, to the second."""
    return format_seconds(round(seconds))


def value_cell(value: float | None, unit: str) -> str:
    """A value of a metric; durations as they are read best."""
    if value is None:
        return "–"
    if unit == "ns":
        return format_duration(round(value))
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def sparkline(values: Sequence[float | None]) -> str:
    """Values as bars from the lowest to the highest; a gap where there is none. More than SPARK_WIDTH are averaged."""
    parts = min(SPARK_WIDTH, len(values))
    cuts = [len(values) * place // max(1, parts) for place in range(parts + 1)]
    chosen = [[value for value in values[cuts[place] : cuts[place + 1]] if value is not None] for place in range(parts)]
    means = [sum(part) / len(part) if part else None for part in chosen]
    there = [mean for mean in means if mean is not None]
    lowest, spread = min(there, default=0), max(there, default=0) - min(there, default=0)
    bars = ((mean - lowest) / spread if spread else 0.5 for mean in there)
    drawn = iter(_SPARKS[min(len(_SPARKS) - 1, int(bar * len(_SPARKS)))] for bar in bars)
    return "".join(" " if mean is None else next(drawn) for mean in means)


def series_values(series: Sequence[dict[str, Any]], window: dict[str, Any], *, key: str) -> list[float | None]:
    """The values of a series by its steps, None for steps that are not in it. `window` is the answer that it is from."""
    step_ns = window["step_s"] * NS_PER_S
    first = parse_rfc3339_ns(window["from"]) // step_ns
    values: list[float | None] = [None] * (-(-parse_rfc3339_ns(window["to"]) // step_ns) - first)
    for point in series:
        values[parse_rfc3339_ns(point["at"]) // step_ns - first] = point.get(key)
    return values

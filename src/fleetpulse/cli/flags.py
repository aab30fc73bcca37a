"""The flags that commands share, as typed groups, and how they become the parameters of a question."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import App, ArgumentCollection, Group, Parameter, Token

from fleetpulse.cli.client import Answer, Client, Query
from fleetpulse.cli.key_source import read_key
from fleetpulse.cli.tables import Part, show, show_csv, show_json, show_times_in
from fleetpulse.model.status import STATUSES
from fleetpulse.notation.whole import read_number, whole

URL_DEFAULT = "http://127.0.0.1:6733"
URL_VARIABLE = "FLEETPULSE_URL"
DOWN_STATUS = 3
"""Exit status of a question with --exit-code if something is down; 1 and 2 tell that there is no answer."""
NONE = "none"
"""The value of a flag that takes a declared value away."""
_Function = TypeVar("_Function", bound=Callable[..., Any])
_Fields = TypeVar("_Fields")


def action(app: App, *examples: str) -> Callable[[_Function], _Function]:
    """Register a function as an action of `app`: its docstring is the help, its parameters are the flags."""
    epilogue = "Example:\n" + "\n".join(f"  {example}" for example in examples)

    def register(function: _Function) -> _Function:
        app.command(function, help_epilogue=epilogue)
        return function

    return register


def one_of(title: str) -> Group:
    """A group of flags of which at most one may be given."""

    def check(arguments: ArgumentCollection) -> None:
        given = [argument.name for argument in arguments if argument.tokens]
        if len(given) > 1:
            raise ValueError(f"give only one of {', '.join(given)}")

    return Group(title, validator=check)


FORM = one_of("How the answer is printed")


def _check_labels(_: object, labels: Iterable[str]) -> None:
    for label in labels:
        name, _, value = label.partition(":")
        if not name or not value:
            raise ValueError(f"must be name:value such as site:paris, not `{label}`")


def _whole(_: object, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    if re.fullmatch("[+-]?[0-9]+", text):  # cyclopts would round 1.5, and read 0x2 as 2
        return int(text)
    value = read_number(text)
    number = None if value is None else whole(value)  # 5.0 and 1e3, as the service takes them
    if number is None:
        raise ValueError(f'unable to convert "{text}" into int; give a whole number')
    return number


_WHOLE = Parameter(metavar="N", converter=_whole)
Whole = Annotated[int, _WHOLE]
WholeOrNone = Annotated[int | None, _WHOLE]
DeviceId = Annotated[str, Parameter(help="Id of the device.")]
Time = Annotated[str | None, Parameter(metavar="TIME")]
Duration = Annotated[str | None, Parameter(metavar="DURATION")]
Name = Annotated[str | None, Parameter(metavar="NAME")]
Names = Annotated[tuple[str, ...], Parameter(metavar="NAME")]
Ids = Annotated[tuple[str, ...], Parameter(metavar="ID")]
Types = Annotated[tuple[str, ...], Parameter(metavar="NAME,…", help="Names of metrics; may be repeated.")]
Labels = Annotated[tuple[str, ...], Parameter(metavar="NAME:VALUE", validator=_check_labels)]


ExitCode = Annotated[bool, Parameter(help=f"End with exit status {DOWN_STATUS} if a device that is shown is down.")]


def down_status(is_down: bool) -> int:  # noqa: FBT001 - the one thing that it is asked
    """The exit status of a command that was asked to tell whether something is down."""
    return DOWN_STATUS if is_down else 0


def labels_of(labels: Labels) -> dict[str, str]:
    """Labels by name; of two values of one name the last counts."""
    return {name: value for name, _, value in (label.partition(":") for label in labels)}


def types_query(types: Types) -> Query:
    """The parameters `types`."""
    return [("types", names) for names in types]


def label_query(labels: Labels) -> Query:
    """The parameters `label`."""
    return [("label", label) for label in labels]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the service is.

    Attributes:
        url: Address of the service (default: FLEETPULSE_URL, or http://127.0.0.1:6733 without it).
        key_file: File with the key to send (default: the key in FLEETPULSE_KEY, or the file FLEETPULSE_KEY_FILE).
    """

    url: Annotated[str | None, Parameter(metavar="URL")] = None
    key_file: Annotated[Path | None, Parameter(metavar="FILE")] = None

    @property
    def base(self) -> str:
        """The address that counts."""
        return (os.environ.get(URL_VARIABLE) or URL_DEFAULT) if self.url is None else self.url

    def client(self) -> Client:
        """A client of the service. Raises: SettingsError: the address is none, or the key cannot be read."""
        return Client(self.base, key=read_key(self.key_file))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Service(Address):
    """Where the service is, and how its answer is shown.

    Attributes:
        url: Address of the service (default: FLEETPULSE_URL, or http://127.0.0.1:6733 without it).
        key_file: File with the key to send (default: the key in FLEETPULSE_KEY, or the file FLEETPULSE_KEY_FILE).
        json: Print the service's own answer, as JSON.
        csv: Print the table, or of several tables the last, as CSV.
    """

    json: Annotated[bool, Parameter(group=FORM)] = False
    csv: Annotated[bool, Parameter(group=FORM)] = False

    def ask(
        self,
        path: str,
        query: Query = (),
        *,
        shape: type[_Fields],
        parts: Callable[[_Fields], Sequence[Part]],
        csv_parts: Callable[[_Fields], Sequence[Part]] | None = None,
        method: str = "GET",
        body: object = None,
    ) -> None:
        """Send one request and show its answer; as CSV, its `csv_parts` if they are others than `parts`."""
        with self.client() as client:
            answer = client.send(method, path, query, body)
        self.show(answer, shape, csv_parts if self.csv and csv_parts else parts)

    def show(self, answer: Answer, shape: type[_Fields], parts: Callable[[_Fields], Sequence[Part]]) -> None:
        """Print an answer: as it is, or the tables and lines that `parts` makes of it."""
        if self.json:
            show_json(answer)
        elif self.csv:
            show_csv(parts(answer.into(shape)))
        else:
            show(*parts(answer.into(shape)))


@Parameter(name="*", group="Window")
@dataclass(frozen=True, kw_only=True)
class Window:
    """The window of a question.

    Attributes:
        window: The time until now, such as 90s, 1h or 30d (default: 24h; 1h for metrics; 30d for reports).
        start: Start of the window, RFC 3339 such as 2026-11-24T08:30:00Z; a date is the start of that day.
        end: End of the window, which is not part of it (default: now).
        day: The window is this day, such as 2026-10-01.
        month: The window is this month, such as 2026-10.
        year: The window is this year, such as 2026.
        timezone: Zone of dates, of steps of days, and of printed times, such as Europe/Paris (default: UTC).
    """

    window: Duration = None
    start: Annotated[Time, Parameter(name="--from")] = None
    end: Annotated[Time, Parameter(name="--to")] = None
    day: Annotated[str | None, Parameter(metavar="DATE")] = None
    month: Annotated[str | None, Parameter(metavar="YYYY-MM")] = None
    year: Annotated[str | None, Parameter(metavar="YYYY")] = None
    timezone: Annotated[str | None, Parameter(metavar="ZONE")] = None

    @property
    def dates(self) -> Query:
        """The parameters `day`, `month`, `year` and `timezone`."""
        return [("day", self.day), ("month", self.month), ("year", self.year), ("timezone", self.timezone)]

    def query(self, *, default: str = "24h") -> Query:
        """The parameters of the window; `default` is its length where nothing is given."""
        show_times_in(self.timezone)
        is_given = any((self.start, self.end, self.day, self.month, self.year))
        window = self.window or (None if is_given else default)
        return [("window", window), ("from", self.start), ("to", self.end), *self.dates]


@Parameter(name="*", group="Window")
@dataclass(frozen=True, kw_only=True)
class StepWindow(Window):
    """A window that may be cut into steps."""

    step: Annotated[Duration, Parameter(help="Show also a value for each step of this length, such as 1h.")] = None

    def query(self, *, default: str = "24h") -> Query:
        """The parameters of the window, and `step`."""
        return [*super().query(default=default), ("step", self.step)]


IncludeDeleted = Annotated[
    bool, Parameter(name="--include-deleted", help="Deleted devices too, with what they had until then.")
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Which devices, and by which label.

    Attributes:
        group_by: Name of a label; show a line for each of its values.
        label: Only devices with this label; may be repeated.
        include_deleted: Deleted devices too, with what they had until then.
    """

    group_by: Name = None
    label: Labels = ()
    include_deleted: IncludeDeleted = False

    def query(self) -> Query:
        """The parameters `group_by`, `label` and `include_deleted`."""
        return [
            ("group_by", self.group_by),
            *label_query(self.label),
            ("include_deleted", self.include_deleted or None),
        ]


@Parameter(name="*", group="Which devices (those that match everything that is given)")
@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which devices.

    Attributes:
        label: With this label; may be repeated.
        text: With this text in the id, or in the value of a label.
        seen_before: Last heard before this time, RFC 3339.
        seen_after: Last heard at this time or later.
        uptime_below: With less uptime than this.
        uptime_window: Uptime over this time until now (default: 24h).
    """

    status: Annotated[
        tuple[str, ...], Parameter(metavar="STATUS,…", help=f"In one of these: {', '.join(STATUSES)}; may be repeated.")
    ] = ()
    label: Labels = ()
    text: Annotated[str | None, Parameter(metavar="TEXT")] = None
    seen_before: Time = None
    seen_after: Time = None
    uptime_below: Annotated[str | None, Parameter(metavar="PERCENT")] = None
    uptime_window: Duration = None

    def query(self) -> Query:
        """The parameters of the filters."""
        names = ("text", "seen_before", "seen_after", "uptime_below", "uptime_window")
        statuses = [("status", status) for status in self.status]
        return [*statuses, *((name, getattr(self, name)) for name in names), *label_query(self.label)]

"""Query parameters: each declared once, read strictly, and handed to handlers as a value.

Litestar accepts a misspelt parameter, and one that is given twice, without a word: `QueryNames` refuses both on every
route. Values come as texts, so that a refusal says what was wrong in our words; the schemas here describe what the
texts hold.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter, QueryParameter

from fleetpulse.api.bind import Handler
from fleetpulse.clock import Clock
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.calendar import query_time_ns, read_zone
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.device import ID_CHARS_MAX, ID_PATTERN, LABEL_VALUE_CHARS_MAX
from fleetpulse.model.metric import AGGREGATIONS
from fleetpulse.model.status import STATUSES
from fleetpulse.model.text import NAME_PATTERN
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.notation.duration import LENGTH_PATTERN, UnitMissing, parse_length
from fleetpulse.notation.whole import read_number, whole
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.query.devices import SORTS, Filter, Order
from fleetpulse.query.metric_answers import MetricQuestion

LIMIT_DEFAULT, LIMIT_HIGHEST = 100, 1_000
DAY = "24h"
LabelPairs = tuple[tuple[str, str], ...]


def query_parameter(description: str, *, name: str | None = None, **schema: Any) -> Any:
    """A parameter of the query as the OpenAPI document describes it; `schema` adds to what follows from its type."""
    return QueryParameter(name=name, description=description, schema_extra=schema)


OLD_SPELLING = "old spelling of "
"""How the description of a parameter begins that is another one under the name that it had before."""
DURATION_SCHEMA = {"pattern": LENGTH_PATTERN, "min_length": 1, "examples": [DAY]}
TIME_SCHEMA = {"format": "date-time", "examples": ["2026-11-24T08:30:00Z"]}
_TRUTH = {"type": OpenAPIType.BOOLEAN, "default": False}
_LABEL = Schema(
    type=OpenAPIType.STRING,
    pattern=f"^{NAME_PATTERN}:.{{1,{LABEL_VALUE_CHARS_MAX}}}$",
    examples=["site:paris", "site:site-003"],
)
_ID = {"min_length": 1, "max_length": ID_CHARS_MAX, "pattern": f"^{ID_PATTERN}$", "examples": ["press-07"]}

DeviceIdPath = Annotated[str, PathParameter(description="id of a device", schema_extra=_ID)]
MetricNamePath = Annotated[
    str,
    PathParameter(description="name of a metric", schema_extra={"pattern": f"^{NAME_PATTERN}$", "examples": ["cpu"]}),
]
RuleNamePath = Annotated[
    str,
    PathParameter(
        description="name of an alert rule", schema_extra={"pattern": f"^{NAME_PATTERN}$", "examples": ["cpu-high"]}
    ),
]
WindowIdPath = Annotated[
    str,
    PathParameter(
        description="id of a maintenance window",
        schema_extra={"min_length": 1, "max_length": 64, "pattern": "^[A-Za-z0-9]+$", "examples": ["0123456789abcdef"]},
    ),
]
LabelQuery = Annotated[
    list[str] | None,
    query_parameter(
        "name:value that a device must have; repeat it for several, all of which it must have", items=_LABEL
    ),
]
_DeviceIds = Annotated[
    list[str] | None,
    query_parameter(
        "id of a device; repeat it for several; all devices where there is none",
        items=Schema(type=OpenAPIType.STRING, **_ID),
    ),
]
_OldDeviceIds = Annotated[
    list[str] | None,
    query_parameter(f"{OLD_SPELLING}`device_id`", deprecated=True, items=Schema(type=OpenAPIType.STRING, **_ID)),
]
GroupByQuery = Annotated[
    str | None,
    query_parameter(
        "name of a label: figures for each of its values, and for devices without it", min_length=1, examples=["site"]
    ),
]
TypesQuery = Annotated[
    list[str] | None,
    query_parameter(
        "name of a metric; repeat it for several, or put commas between; at most 100",
        items=Schema(type=OpenAPIType.STRING, min_length=1, examples=["cpu"]),
    ),
]
AggregationQuery = Annotated[
    str | None,
    query_parameter("in place of the aggregation of the definition", enum=list(AGGREGATIONS), examples=["p95"]),
]


@dataclass(frozen=True, slots=True)
class QueryNames:
    """The names that a route takes: each once, but for those that may be repeated."""

    single: Sequence[str]
    repeated: Sequence[str]

    @classmethod
    def of(cls, handler: Handler) -> "QueryNames":
        """The names that a handler reads, after `bind`."""
        read = [
            (about.name or name, "items" in (about.schema_extra or {}))
            for name, kind in handler.__annotations__.items()
            for about in getattr(kind, "__metadata__", ())
            if isinstance(about, QueryParameter)
        ]
        return cls([name for name, is_list in read if not is_list], [name for name, is_list in read if is_list])

    @staticmethod
    def check_text(query: bytes) -> None:
        """Raises: Malformed: the query is not UTF-8, which the framework would replace by other characters."""
        try:
            unquote_to_bytes(query).decode()
        except UnicodeDecodeError as error:
            wrong = error.object[error.start : error.start + 3]
            is_surrogate = wrong[:1] == b"\xed" and wrong[1:2] >= b"\xa0"
            shown = "".join(f"%{byte:02X}" for byte in (wrong if is_surrogate else wrong[:1]))
            kind = "half of a surrogate pair, which is no character" if is_surrogate else "not UTF-8"
            raise Malformed(f"`{shown}` in the query is {kind}: escape the bytes of UTF-8") from error

    def check(self, pairs: Sequence[tuple[str, Any]]) -> None:
        """Raises: Malformed: a name is unknown, or given twice."""
        seen: set[str] = set()
        names = [*self.single, *self.repeated]
        for name, _ in pairs:
            if name not in names:
                close = difflib.get_close_matches(name, names, 1)
                known = f"known are {', '.join(names)}" if names else "there are none here"
                hint = f"did you mean {close[0]}?" if close else known
                raise Malformed(f"unknown parameter `{name[:50]}`; {hint}")
            if name in seen and name not in self.repeated:
                raise Malformed(f"parameter `{name}` is given twice")
            seen.add(name)


def one_spelling(name: str, values: Sequence[str] | None, *, old_name: str, old: Sequence[str] | None) -> Sequence[str]:
    """The values of a parameter that has an old spelling. Raises: Malformed: both are given, and they differ."""
    if values and old and set(values) != set(old):
        raise Malformed(f"`{old_name}` is the old spelling of `{name}`, and both are given with different values")
    return values or old or ()


def read_device_ids(device_id: _DeviceIds = None, device: _OldDeviceIds = None) -> Sequence[str]:
    """The ids of devices; none: all devices are meant. Raises: Malformed."""
    return one_spelling("device_id", device_id, old_name="device", old=device)


def read_labels(label: LabelQuery = None) -> LabelPairs:
    """The labels of `label=name:value`. Raises: Malformed."""
    pairs: list[tuple[str, str]] = []
    for text in label or ():
        name, colon, value = text.partition(":")
        if not colon or not name or not value:
            raise Malformed(f"`label` must be name:value such as site:paris, not `{text[:100]}`")
        pairs.append((name, value))
    return tuple(pairs)


def read_metrics(
    metric_definitions: MetricDefinitions, types: TypesQuery = None, aggregation: AggregationQuery = None
) -> list[MetricQuestion]:
    """The metrics that `types` names, at least one. Raises: Malformed; OutOfRange; UnknownMetric."""
    return metric_definitions.questions(",".join(types or ()), aggregation)


def read_truth(name: str, text: str) -> bool:
    """A parameter that is true or false. Raises: Malformed."""
    if text.lower() not in ("true", "false", "1", "0", ""):
        raise Malformed(f"`{name}` must be true or false")
    return text.lower() in ("true", "1", "")


def read_explain(
    explain: Annotated[str, query_parameter("list the intervals, each with its reason", **_TRUTH)] = "false",
) -> bool:
    """Whether intervals are listed. Raises: Malformed."""
    return read_truth("explain", explain)


def read_include_deleted(
    include_deleted: Annotated[
        str, query_parameter("deleted devices too, with what they had until then", **_TRUTH)
    ] = "false",
) -> bool:
    """Whether deleted devices are meant too. Raises: Malformed."""
    return read_truth("include_deleted", include_deleted)


def read_dry_run(dry_run: Annotated[str, query_parameter("only report what would happen", **_TRUTH)] = "false") -> bool:
    """Whether nothing is changed. Raises: Malformed."""
    return read_truth("dry_run", dry_run)


def read_all(
    every: Annotated[
        str, query_parameter("mean every device, where no filter is given", name="all", **_TRUTH)
    ] = "false",
) -> bool:
    """Whether every device is meant. Raises: Malformed."""
    return read_truth("all", every)


def read_filter(
    *,
    clock: Clock,
    limits: QuestionLimits,
    labels: LabelPairs,
    status: Annotated[
        list[str] | None,
        query_parameter(
            "status of a device; repeat it for several, or put commas between",
            items=Schema(type=OpenAPIType.STRING, enum=list(STATUSES)),
        ),
    ] = None,
    text: Annotated[
        str, query_parameter("part of the id or of a label's value; case does not matter", examples=["press"])
    ] = "",
    seen_before: Annotated[
        str | None, query_parameter("last seen before this time; not those never seen", **TIME_SCHEMA)
    ] = None,
    seen_after: Annotated[str | None, query_parameter("last seen at this time or later", **TIME_SCHEMA)] = None,
    uptime_below: Annotated[
        str | None,
        query_parameter(
            "less uptime than this, in per cent", type=OpenAPIType.NUMBER, minimum=0, maximum=100, examples=[99.9]
        ),
    ] = None,
    uptime_window: Annotated[
        str, query_parameter(f"the time before now that uptime is over, {DAY} where not given", **DURATION_SCHEMA)
    ] = DAY,
) -> Filter:
    """Which devices are meant. Raises: Malformed; OutOfRange."""
    return Filter(
        statuses=_statuses(status),
        labels=labels,
        text=text,
        seen_before_ns=read_moment("seen_before", seen_before),
        seen_after_ns=read_moment("seen_after", seen_after),
        uptime_below=read_percentage("uptime_below", uptime_below),
        uptime_window_ns=_uptime_window_ns(uptime_window, clock, limits),
    )


def _statuses(texts: Sequence[str] | None) -> frozenset[str]:
    statuses = frozenset(name for text in texts or () for name in text.split(",") if name)
    unknown = sorted(statuses - set(STATUSES))
    if unknown:
        raise OutOfRange(f"status must be of {', '.join(STATUSES)}, not {', '.join(unknown)[:100]}", reason="status")
    return statuses


def read_moment(name: str, text: str | None) -> int | None:
    """A time in nanoseconds since 1970, None where it is not given; a bare date is the start of that day in UTC.

    Raises: Malformed; OutOfRange: there is no such day.
    """
    return None if text is None else query_time_ns(name, text, read_zone(None))


def read_percentage(name: str, text: str | None) -> float | None:
    """A percentage, None where it is not given. Raises: Malformed; OutOfRange."""
    if text is None:
        return None
    value = read_number(text)
    if value is None:
        raise Malformed(f"`{name}` must be a percentage, not `{text[:50]}`")
    if not 0 <= value <= 100:
        raise OutOfRange(f"`{name}` must be 0 to 100 per cent", reason=name)
    return value


def _uptime_window_ns(text: str, clock: Clock, limits: QuestionLimits) -> int:
    try:
        window_ns = parse_length(text) * NS_PER_S
    except UnitMissing as error:
        raise OutOfRange(f"`uptime_window`: {error}", reason="window") from error
    except ValueError as error:
        raise Malformed(f"uptime_window: {error}") from error
    days_max = limits.window_days_max
    if not 0 < window_ns <= min(days_max * NS_PER_DAY, clock.now_ns()):
        raise OutOfRange(
            f"`uptime_window` must be 1s to {days_max}d (window_days_max), and begin after 1970", reason="window"
        )
    return window_ns


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list: its order, how many devices at most, and after which cursor."""

    order: Order
    limit: int
    cursor: str | None


def limit_parameter(default: int, highest: int) -> Any:
    """The parameter `limit` of a list of devices, which `read_count` reads."""
    return query_parameter(
        "how many devices at most", type=OpenAPIType.INTEGER, minimum=1, maximum=highest, default=default
    )


def read_count(limit: str, highest: int) -> int:
    """How many devices are listed at most. Raises: OutOfRange."""
    number = read_number(limit)
    count = None if number is None else whole(number)
    if count is None or not 1 <= count <= highest:
        raise OutOfRange(f"limit must be 1 to {highest}, not `{limit[:50]}`", reason="limit")
    return count


_ORDERS = [*SORTS, *(f"-{by}" for by in SORTS)]


def read_paging(
    sort: Annotated[
        str, query_parameter("with - before it, the greatest come first", enum=_ORDERS, default="id")
    ] = "id",
    limit: Annotated[str, limit_parameter(LIMIT_DEFAULT, LIMIT_HIGHEST)] = str(LIMIT_DEFAULT),
    cursor: Annotated[str | None, query_parameter("`next_cursor` of the page before", min_length=1)] = None,
) -> Paging:
    """Which page is asked for. Raises: OutOfRange."""
    order = Order(sort.removeprefix("-"), sort.startswith("-"))
    if order.by not in SORTS:
        raise OutOfRange(
            f"sort must be one of {', '.join(SORTS)}, with - before it for the greatest first; not `{sort[:50]}`",
            reason="sort",
        )
    count = read_count(limit, LIMIT_HIGHEST)
    return Paging(order, count, cursor)

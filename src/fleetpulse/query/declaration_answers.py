"""Answers about what people declare and send, and about the service; `query.answers` says how shapes are declared."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from fleetpulse.ingest.bodies import RefusedLine
from fleetpulse.ingest.window_declarations import Weekly
from fleetpulse.model.metric import Aggregation, Kind
from fleetpulse.model.status import Status
from fleetpulse.query.answer_fields import Count, DeviceId, End, Labels, Notes, Percent, Start, Time
from fleetpulse.query.answers import MissingSpans, Span

RefusedTotal = Annotated[Count, Meta(examples=[1])]
Capped = Annotated[bool, Meta(description="whether there were more than are listed")]


class Problem(Struct):
    """Why a request was refused or failed; the fields of RFC 9457 beside `msg`."""

    msg: Annotated[str, Meta(description="what was wrong, where, and what to do", examples=["Device not found"])]
    type: Annotated[str, Meta(examples=["urn:fleetpulse:problem:unknown_device"])]
    title: Annotated[str, Meta(examples=["Not found"])]
    status: Annotated[int, Meta(examples=[404])]
    detail: Annotated[
        str,
        Meta(
            description="what to do; the same as `msg` where that says it",
            examples=["no device has the id press-07: declare it with `fleetpulse devices add press-07`"],
        ),
    ]


class Message(Struct):
    """What was done, in a sentence."""

    msg: Annotated[str, Meta(examples=["device press-07 is deleted"])]


class BulkVerdict(Struct, omit_defaults=True):
    """What became of the lines of a bulk body."""

    accepted: Annotated[int, Meta(ge=0, description="events; a line may hold several", examples=[2])]
    refused: Annotated[list[RefusedLine], Meta(description="the first ones (refusals_listed_max)")]
    refused_total: RefusedTotal
    capped: Capped = False


class ForgottenBefore(Struct, kw_only=True):
    """What the history of a device was made to forget, and when."""

    before: Time
    at: Time
    minutes: Annotated[Count, Meta(description="minutes of presence", examples=[4])]
    samples: Annotated[Count, Meta(description="samples of all metrics", examples=[12])]


class PolicyInForce(Struct, kw_only=True):
    """An interval and a grace, and when they were in force."""

    start: Annotated[Time | None, Meta(description="null: since ever")]
    end: Annotated[Time | None, Meta(description="null: they still are")]
    interval: Annotated[str, Meta(examples=["5m"])]
    grace: Annotated[str, Meta(examples=["4m"])]
    gap_after_s: Annotated[
        float, Meta(description="two heartbeats farther apart have a gap between them", examples=[450.0])
    ]
    exact_from: Annotated[
        Time | UnsetType,
        Meta(description="only after a correction: before it, gaps are known by minutes of presence alone"),
    ] = UNSET


class Device(Struct, kw_only=True):
    """A device: its status, and what is declared of it."""

    id: DeviceId
    status: Annotated[Status, Meta(examples=["up"])]
    since: Annotated[Time | None, Meta(description="since when the status holds")]
    last_seen: Annotated[Time | None, Meta(description="when anything was received, by the server's clock")]
    labels: Labels
    interval: Annotated[
        str, Meta(description="time between two heartbeats; the device's own, or the service's", examples=["1m"])
    ]
    grace: Annotated[str, Meta(description="time past its interval until the device is down", examples=["4m"])]
    has_own_interval: bool
    has_own_grace: bool
    note: Annotated[str, Meta(examples=["hall 2, behind the lathe"])]
    created_at: Time | None
    paused_until: Annotated[
        Time | UnsetType | None, Meta(description="only of a paused device; null: until it is resumed")
    ] = UNSET
    uptime: Annotated[
        Percent | UnsetType | None, Meta(description="only in lists by uptime; null: nothing was expected")
    ] = UNSET
    deleted_at: Annotated[
        Time | UnsetType, Meta(description="only of a deleted device, which include_deleted lists too")
    ] = UNSET
    ignored_fields: Annotated[
        dict[str, Count] | UnsetType,
        Meta(
            description="not in lists: fields of its events that no route knows, and in how many, since the start",
            examples=[{"battery": 12}],
        ),
    ] = UNSET
    policies: Annotated[
        list[PolicyInForce] | UnsetType,
        Meta(description="not in lists, and only where they changed: which interval and grace were in force when"),
    ] = UNSET
    notes: Annotated[Notes | UnsetType, Meta(description="only with `ignored_fields`: what to do")] = UNSET
    forgotten: Annotated[
        list[ForgottenBefore] | UnsetType, Meta(description="what its history was made to forget; not in lists")
    ] = UNSET


class Forgetting(Struct, kw_only=True):
    """What was forgotten of a device, or would be."""

    device_id: DeviceId
    before: Annotated[Time, Meta(description="a whole minute; what was sent from it on stays")]
    minutes: Annotated[Count, Meta(description="minutes of presence", examples=[4])]
    samples: Annotated[Count, Meta(description="samples of all metrics", examples=[12])]
    dry_run: bool
    done: Annotated[
        bool, Meta(description="whether the blocks are rewritten; if not, with the next checkpoint", examples=[True])
    ]


class DeviceList(Struct):
    """A page of devices."""

    devices: list[Device]
    total: Annotated[int, Meta(ge=0, description="how many match", examples=[1])]
    next: Annotated[str | None, Meta(description="the same as `next_cursor`", extra_json_schema={"deprecated": True})]
    missing: MissingSpans
    notes: Notes = []
    next_cursor: Annotated[str | None, Meta(description="`cursor` of the next page; null: there is none")] = None

    def __post_init__(self) -> None:
        self.next_cursor = self.next


FieldValue = Annotated[str | int | float | list[int | float | None] | None, Meta(description="null: no value")]


class FieldChange(Struct):
    """A field before and after a change."""

    field: Annotated[str, Meta(description="`interval`, `grace`, `note`, or the name of a label", examples=["site"])]
    before: Annotated[FieldValue, Meta(examples=["paris"])]
    after: Annotated[FieldValue, Meta(examples=["lyon"])]


class Change(Struct):
    """What changes of one device or metric."""

    id: Annotated[str, Meta(examples=["press-07"])]
    new: Annotated[bool, Meta(description="whether it is added")]
    fields: list[FieldChange]


ChangeList = Annotated[list[Change], Meta(description="the first ones (changes_listed_max)")]


class EntryConflict(Struct):
    """A device or metric of which a declared file says something else than what is in effect, and that stays."""

    id: Annotated[str, Meta(examples=["press-07"])]
    msg: Annotated[str, Meta(examples=["site is lyon, in the file paris"])]


class DeclaredFile(Struct, kw_only=True):
    """What reading a declared file now would change."""

    kind: Annotated[Literal["devices", "metrics", "alerts"], Meta(description="what it declares, whatever its name")]
    path: Annotated[str, Meta(examples=["/etc/fleetpulse/devices.csv"])]
    read_at: Annotated[Time | None, Meta(description="when it was last read")]
    error: Annotated[str | None, Meta(description="why it cannot be used; null: it can", examples=[None])]
    added: Count = 0
    changed: Count = 0
    unchanged: Count = 0
    in_conflict: Annotated[Count, Meta(description="that keep another value than the file's", examples=[1])] = 0
    changes: ChangeList = []
    conflicts: Annotated[list[EntryConflict], Meta(description="the first ones (changes_listed_max)")] = []


class DeclaredFiles(Struct):
    """The declared files, and what reading them now would change."""

    files: list[DeclaredFile]


class Relabelled(Struct):
    """How many devices matched a filter, how many of them changed, and how."""

    matched: Count
    changed: Count
    dry_run: bool
    changes: ChangeList = []
    changes_capped: Capped = False
    notes: Notes = []


class Imported(Struct, kw_only=True):
    """What became of the lines of a CSV of devices."""

    new: Count
    known: Count
    changed: Annotated[Count, Meta(description="known devices that change", examples=[1])] = 0
    changes: ChangeList = []
    changes_capped: Capped = False
    refused: Annotated[list[RefusedLine], Meta(description="the first ones (refusals_listed_max)")]
    refused_total: RefusedTotal
    capped: Capped = False
    dry_run: bool


class ComingDeletion(Struct, kw_only=True):
    """What will be deleted of a metric, because its retention became shorter."""

    what: Annotated[str, Meta(description="`samples`, or `samples and roll-ups`", examples=["samples"])]
    at: Annotated[Time, Meta(description="when; until then the retention can be raised again, and nothing is lost")]
    before: Annotated[Time, Meta(description="what is older than this is deleted")]
    days_before: Annotated[int, Meta(description="days that they are kept until then", examples=[365])]
    days_after: Annotated[int, Meta(description="days that they are kept after that", examples=[30])]
    msg: Annotated[str, Meta(description="the same in a sentence", examples=["after …, samples of cpu … are deleted"])]


class Metric(Struct, kw_only=True):
    """The definition of a metric."""

    name: Annotated[str, Meta(examples=["cpu"])]
    unit: Annotated[str, Meta(examples=["%"])]
    kind: Kind
    aggregation: Aggregation
    retention_days: Annotated[
        int, Meta(ge=1, description="days after which samples and roll-ups are gone", examples=[365])
    ]
    raw_days: Annotated[
        int | None,
        Meta(description="days that the samples themselves are kept; null: as long as the roll-ups", examples=[30]),
    ]
    bounds: Annotated[
        list[int | float | None],
        Meta(min_length=2, max_length=2, description="lowest and highest, inclusive; null: none", examples=[[0, 100]]),
    ]
    description: Annotated[str, Meta(examples=["Share of the processor in use"])]
    coming_deletions: Annotated[
        list[ComingDeletion],
        Meta(description="what a shorter retention will delete (retention_grace_s)", examples=[[]]),
    ] = []


class Metrics(Struct):
    """All metrics that may be reported."""

    metrics: list[Metric]


class MaintenanceWindow(Struct, kw_only=True):
    """A maintenance window: for whom, from when until when, how it recurs, and when it comes next."""

    id: Annotated[str, Meta(examples=["0123456789abcdef"])]
    title: Annotated[str, Meta(examples=["firmware update"])]
    labels: Labels
    devices: Annotated[list[str], Meta(description="ids of devices", examples=[["press-07"]])]
    all: bool
    start: Start
    end: End | None
    recurrence: Annotated[Weekly | None, Meta(examples=[None])]
    next: Annotated[Span | None, Meta(description="its next occurrence, or the one that is going on")]
    is_on: Annotated[bool, Meta(description="whether it is going on")]
    notes: Annotated[list[str], Meta(description="devices that it names and that there are not", examples=[[]])]


class MaintenanceWindows(Struct):
    """All maintenance windows."""

    windows: list[MaintenanceWindow]


class WrongTime(Struct):
    """What came in while the server's clock was ahead, and as of when it would count."""

    since: Annotated[Time, Meta(description="what came in after this time, by the wrong clock, is corrected")]
    until: Annotated[Time, Meta(description="the latest time in the journal", examples=["2026-11-24T09:30:00Z"])]
    devices: Annotated[Count, Meta(description="devices that were heard in this time")]


class ServerClock(Struct, kw_only=True):
    """The server's clock, and what the journal knows of it."""

    now: Annotated[Time, Meta(description="what the server's clock reads")]
    latest: Annotated[Time | None, Meta(description="the latest time in the journal; null: it is empty")]
    is_behind: Annotated[
        bool, Meta(description="whether the clock is so far before `latest` that no events are accepted")
    ]
    msg: Annotated[
        str | None, Meta(description="why no events are accepted, and what to do; null: they are", examples=[None])
    ]
    would_correct: Annotated[WrongTime | None, Meta(description="by accepting the clock as it is; null: nothing")]
    nothing_expires: Annotated[
        str | None,
        Meta(description="why nothing is removed by its retention; null: it is", examples=["the clock leapt"]),
    ]

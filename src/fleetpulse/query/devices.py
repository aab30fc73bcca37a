"""Lists of devices: filtered, sorted and paged over columns in memory.

A cursor names the last device of a page and its sort key, not a place: devices may come and go between two pages.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.status import NEVER_NS
from fleetpulse.aggregate.uptime import is_below
from fleetpulse.catalog.roster import Roster
from fleetpulse.errors import DamagedData, Malformed
from fleetpulse.model.status import STATUSES, Status
from fleetpulse.query.answers import Missing
from fleetpulse.query.fleet_columns import DeviceTime, fleet_columns
from fleetpulse.query.notes import selection_notes
from fleetpulse.query.status import fleet_status
from fleetpulse.query.view import FleetView

_NEVER_KEY = 2**62
"""In nanoseconds later than any time that a device may be seen."""
SORTS = ("id", "status", "last_seen", "uptime")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which devices match: those that match everything that is given."""

    statuses: frozenset[str] = frozenset()
    labels: Sequence[tuple[str, str]] = ()
    text: str = ""
    """Part of the id, or of a label's value, whatever its case."""
    seen_before_ns: int | None = None
    seen_after_ns: int | None = None
    uptime_below: float | None = None
    uptime_window_ns: int = 0
    is_deleted_included: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is given, so that every device matches."""
        return self == Filter(uptime_window_ns=self.uptime_window_ns)

    @property
    def needs_uptime(self) -> bool:
        """Whether the uptime of devices decides which of them match."""
        return self.uptime_below is not None


IDS_AT_ONCE = 4_096
"""Ids that are converted in one go, about a millisecond, during which no other thread runs."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Ids by number, of deleted devices too, and the place of each in the order of ids, shape (count,).

    There may be more ids than `count`: those of devices that came later.
    """

    ids: Sequence[str]
    ranks: NDArray[np.int64]

    @classmethod
    def of(cls, ids: Sequence[str], count: int) -> "Listing":
        """The listing of the first `count` ids; an empty one stands for a number that nobody has.

        Ids are ASCII, so they are sorted as bytes: numpy lets other threads run meanwhile, above all the event loop,
        and `sorted` would hold the interpreter for a second where there are a million.
        """
        pieces = [np.array(ids[start : min(start + IDS_AT_ONCE, count)], "S") for start in range(0, count, IDS_AT_ONCE)]
        names = np.concatenate([np.zeros(0, "S1"), *pieces])
        known = np.flatnonzero(names != b"")
        ranks = np.zeros(count, np.int64)
        ranks[known[np.argsort(names[known], kind="stable")]] = np.arange(len(known))
        return cls(ids, ranks)


@dataclass(frozen=True, slots=True)
class Order:
    """One of SORTS, and whether the greatest come first. Devices that are equal go by id."""

    by: str = "id"
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Devices by number, how many match in all, and where the next page begins (None: there is none)."""

    numbers: list[int]
    statuses: list[Status]
    since_ns: list[int]
    last_received_ns: list[int]
    uptime: list[float | None] | None
    total: int
    next: str | None
    missing: list[Missing]
    """Spans that the uptime lacks, where it was looked at."""
    notes: list[str]


def matching(view: FleetView, names: Listing, chosen: Filter) -> tuple[NDArray[np.bool_], "_Columns"]:
    """Which devices match, bool, shape (n,), and the columns that were needed to decide it."""
    columns = _Columns(view, chosen)
    matches = view.roster.with_labels(chosen.labels, is_deleted_included=chosen.is_deleted_included)
    if chosen.statuses:
        codes = [code for code, status in enumerate(STATUSES) if status in chosen.statuses]
        matches &= np.isin(columns.codes, codes)
    if chosen.seen_before_ns is not None:
        matches &= (view.live.last_received_ns < chosen.seen_before_ns) & (view.live.last_received_ns != NEVER_NS)
    if chosen.seen_after_ns is not None:
        matches &= view.live.last_received_ns >= chosen.seen_after_ns
    if chosen.uptime_below is not None:
        matches &= columns.are_below(chosen.uptime_below)
    if chosen.text:
        matches &= _with_text(view, names.ids, chosen.text.casefold(), matches)
    return matches, columns


def filter_notes(roster: Roster, chosen: Filter, *, now_ns: int) -> list[str]:
    """Notes on a filter that was perhaps meant otherwise."""
    notes = selection_notes(roster, chosen.labels)
    for name, at_ns in (("seen_before", chosen.seen_before_ns), ("seen_after", chosen.seen_after_ns)):
        if at_ns is not None and at_ns > now_ns:
            which = "every device that was ever seen" if name == "seen_before" else "no device"
            notes.append(f"`{name}` is in the future: it matches {which}")
    return notes


def sure_matches(view: FleetView, names: Listing, chosen: Filter) -> list[int]:
    """The numbers of the devices that match. Raises: DamagedData: they depend on an uptime that lacks something."""
    matches, columns = matching(view, names, chosen)
    if columns.missing:
        raise DamagedData(f"which devices match cannot be decided: {columns.missing[0].reason}")
    return np.flatnonzero(matches).tolist()


class _Columns:
    """The columns that filters and orders look at. Uptime is computed when it is first needed."""

    def __init__(self, view: FleetView, chosen: Filter) -> None:
        self.codes, self.since_ns = fleet_status(view)
        self._view = view
        self._window_ns = chosen.uptime_window_ns
        self._time: DeviceTime | None = None
        self.missing: list[Missing] = []

    @cached_property
    def uptime(self) -> NDArray[np.float64]:
        """Per cent over the window, float64, shape (n,); NaN where nothing counts."""
        time = self._counted()
        uptime = np.full(self._view.count, np.nan)
        counted = np.flatnonzero(time.accountable_ns > 0)
        uptime[counted] = 100.0 * time.up_ns[counted] / time.accountable_ns[counted]
        return uptime

    def are_below(self, promise: float) -> NDArray[np.bool_]:
        """Which devices have less uptime than a promise, by the exact fraction: bool, shape (n,)."""
        time = self._counted()
        below = np.zeros(self._view.count, bool)
        counted = np.flatnonzero(time.accountable_ns > 0)
        below[counted] = is_below(time.up_ns[counted], time.accountable_ns[counted], promise)
        return below

    def _counted(self) -> DeviceTime:
        if self._time is None:
            now_ns, nothing = self._view.now_ns, np.zeros(self._view.count, np.int64)
            start_ns = now_ns - self._window_ns
            columns = fleet_columns(self._view, start_ns=start_ns, end_ns=now_ns, measures=["settled"])
            self.missing = columns.missing
            self._time = columns.time.get("settled", DeviceTime(nothing, nothing))
        return self._time


def _with_text(view: FleetView, ids: Sequence[str], text: str, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Devices with `text` in a label, and those of `among` with it in their id: ids are compared one by one."""
    has_text = np.zeros(view.count, bool)
    has_text[[number for number in np.flatnonzero(among).tolist() if text in ids[number].casefold()]] = True
    for column in view.roster.labels.values():
        codes = [code for code, value in enumerate(column.values) if code and text in value.casefold()]
        if codes:
            has_text |= np.isin(column.codes[: view.count], codes)
    return has_text


def list_devices(
    view: FleetView, names: Listing, chosen: Filter, order: Order, *, limit: int, cursor: str | None
) -> Page:
    """One page of the devices that match. Raises: Malformed: the cursor cannot be read, or belongs to another order."""
    matches, columns = matching(view, names, chosen)
    numbers = np.flatnonzero(matches)
    keys = _keys(columns, view, order)
    # Devices with equal keys go by id, so that every page is cut from the same order.
    by_id = numbers[np.argsort(names.ranks[numbers])]
    if keys is None:
        ordered = by_id[::-1] if order.is_descending else by_id
    else:
        ordered = by_id[np.argsort(-keys[by_id] if order.is_descending else keys[by_id], kind="stable")]
    ids = names.ids
    start = 0 if cursor is None else _after(cursor, order, keys, ids, ordered)
    page = ordered[start : start + limit].tolist()
    uptime = columns.uptime[page] if order.by == "uptime" or chosen.uptime_below is not None else None
    return Page(
        numbers=page,
        statuses=[STATUSES[code] for code in columns.codes[page].tolist()],
        since_ns=columns.since_ns[page].tolist(),
        last_received_ns=view.live.last_received_ns[page].tolist(),
        uptime=None if uptime is None else [None if np.isnan(value) else value for value in uptime.tolist()],
        total=len(numbers),
        missing=columns.missing,
        notes=filter_notes(view.roster, chosen, now_ns=view.now_ns),
        next=_cursor(order, keys, ids, page[-1]) if start + limit < len(ordered) else None,
    )


def _keys(columns: "_Columns", view: FleetView, order: Order) -> NDArray[np.float64] | NDArray[np.int64] | None:
    if order.by == "status":
        return columns.codes.astype(np.int64)
    if order.by == "last_seen":
        # Devices that were never seen come last in both directions.
        never = -_NEVER_KEY if order.is_descending else _NEVER_KEY
        received_ns = view.live.last_received_ns
        return np.where(received_ns == NEVER_NS, np.int64(never), received_ns)
    if order.by == "uptime":
        # Devices of which nothing counts come last in both directions.
        return np.where(np.isnan(columns.uptime), -np.inf if order.is_descending else np.inf, columns.uptime)
    return None


class _Cursor(msgspec.Struct, array_like=True):
    by: str
    is_descending: bool
    key: float | int | None
    id: str


def _cursor(order: Order, keys: NDArray[np.float64] | NDArray[np.int64] | None, ids: Sequence[str], last: int) -> str:
    key = None if keys is None else keys[last].item()
    key = None if isinstance(key, float) and not np.isfinite(key) else key
    return base64.urlsafe_b64encode(
        msgspec.msgpack.encode(_Cursor(order.by, order.is_descending, key, ids[last]))
    ).decode()


def _after(
    cursor: str,
    order: Order,
    keys: NDArray[np.float64] | NDArray[np.int64] | None,
    ids: Sequence[str],
    ordered: NDArray[np.int64],
) -> int:
    """The place in `ordered` after the device of the cursor, whether it still matches or not."""
    try:
        last = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor), type=_Cursor)
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise Malformed("`cursor` is not the `next` of an answer") from error
    if (last.by, last.is_descending) != (order.by, order.is_descending):
        raise Malformed("`cursor` is of another `sort`: ask for the first page anew")
    sign = -1 if order.is_descending else 1

    def rank(key: float | None) -> tuple[bool, float | int]:
        return key is None, 0 if key is None else sign * key

    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        device = int(ordered[middle])
        if keys is None:
            is_after = ids[device] < last.id if order.is_descending else ids[device] > last.id
        else:
            value = keys[device].item()
            value = None if isinstance(value, float) and not np.isfinite(value) else value
            is_after = (rank(value), ids[device]) > (rank(last.key), last.id)
        low, high = (low, middle) if is_after else (middle + 1, high)
    return low

"""A fleet in memory for unit tests: the live columns and the views on them, without a node, a disk or a socket."""

from array import array
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np

from fleetpulse.aggregate.spans import spans_of, subtract, total_ns, union
from fleetpulse.aggregate.status import timeline
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.catalog import Pause
from fleetpulse.catalog.roster import Roster
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.declared import NOTHING_CHANGED
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.status import STATUSES
from fleetpulse.notation.exact_seconds import count_ns, exact_seconds
from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns
from fleetpulse.pipeline.checkpoint import write_files
from fleetpulse.pipeline.views import Views
from fleetpulse.query.devices import Filter, Listing, Order, Page, list_devices
from fleetpulse.query.downtime import ended_gaps, gaps_of_one
from fleetpulse.query.fleet_columns import fleet_columns
from fleetpulse.query.groups import Groups
from fleetpulse.query.slot_uptime import device_slot_uptime
from fleetpulse.query.slots import count_slots
from fleetpulse.query.status import device_status, device_transitions, fleet_status
from fleetpulse.query.uptime import device_uptime
from fleetpulse.query.uptime_answers import Downtimes, Uptime
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

SECOND = 1_000_000_000


def ns(text: str) -> int:
    """A time of UTC such as 2026-05-11T10:00:00."""
    since = datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1_000


class OneFleet:
    """Devices d0, d1, … at a clock that is set by hand. Times are texts of UTC; those without a date are of `day`."""

    def __init__(self, *, day: str = "2026-05-11", interval_s: int = 60, grace_s: int = 240, devices: int = 1) -> None:
        self.day = day
        self.fleet = Fleet(policy=HeartbeatPolicy(interval_s, grace_s))
        self.fleet.resize(devices)
        self.roster = Roster()
        self.roster.resize(devices)
        self.now = self.at("00:00:00")
        self.windows: dict[str, MaintenanceWindow] = {}
        self.pauses: dict[int, list[Pause]] = {}
        self.numbers = {f"d{number}": number for number in range(devices)}
        self.deletions: dict[int, tuple[tuple[int, int | None], ...]] = {}
        known = {"numbers": self.numbers, "deleted": {}, "deletions": self.deletions}
        registry = SimpleNamespace(roster=self.roster, seen_roster=self.roster, declared=NOTHING_CHANGED, **known)
        planned_downtime = SimpleNamespace(
            windows=self.windows, pauses=self.pauses, version=0, declared=NOTHING_CHANGED
        )
        self.store = MemoryBlockStore()
        self.history = History(
            self.store, Manifest(), memory_cache_bytes_max=0
        )  # so that lost files are missed at once
        clock = SimpleNamespace(now_ns=lambda: self.now)
        self.views = Views(
            clock=clock,
            fleet=self.fleet,
            history=self.history,
            registry=cast(Any, registry),
            planned_downtime=cast(Any, planned_downtime),
        )

    def add(self, device_id: str, **labels: str) -> int:
        """One more device; its number."""
        number = self.numbers[device_id] = self.roster.count
        self.fleet.resize(number + 1)
        self.roster.resize(number + 1)
        self.roster.put(number, labels)
        return number

    def delete(self, device_id: str) -> None:
        """One device less."""
        self.roster.put(self.numbers.pop(device_id), {}, is_deleted=True)

    def listing(self) -> Listing:
        """The ids of all devices."""
        ids = [""] * self.roster.count
        for device_id, number in self.numbers.items():
            ids[number] = device_id
        return Listing.of(ids, len(ids))

    def page(
        self, chosen: Filter, order: Order, *, limit: int = 1_000_000, cursor: str | None = None
    ) -> tuple[list[str], Page]:
        """A page of the list of devices: their ids, and what else it says."""
        view = self.fleet_view(self.now - chosen.uptime_window_ns)
        names = self.listing()
        page = list_devices(view, names, chosen, order, limit=limit, cursor=cursor)
        return [names.ids[number] for number in page.numbers], page

    def at(self, text: str) -> int:
        """The nanoseconds of a text, of this day unless it names one."""
        return ns(text if "T" in text else f"{self.day}T{text}")

    def move(self, text: str) -> None:
        """The clock shows this now."""
        self.now = self.at(text)

    def hear(self, *received: str, device: int = 0, sent_at: str | None = None) -> None:
        """A beat at each of these times, sent then, or at `sent_at`."""
        for text in received:
            self.move(text)
            self.beat_at(self.now if sent_at is None else self.at(sent_at), device)

    def beat_at(self, sent_at_ns: int, device: int = 0) -> None:
        """A beat that is received now, and was sent then."""
        self._apply(EventBatch(array("I", [device]), array("q", [sent_at_ns])))

    def hear_sample(self, text: str, device: int = 0) -> None:
        """A sample."""
        self.move(text)
        self._apply(self.sample_batch(device))

    def sample_batch(self, device: int) -> EventBatch:
        """A batch of one sample, sent now."""
        now = array("q", [self.now])
        return EventBatch(
            sample_devices=array("I", [device]),
            sample_sent_at_ns=now,
            sample_values=array("q", [7]),
            sample_metrics=array("H", [0]),
        )

    def mark(self, text: str, *, blind_since: str | None = None, correct_since: str | None = None) -> None:
        """The service marks that it is alive, and perhaps since when it was blind, or its clock wrong."""
        self.move(text)
        spans = [
            array("q", [] if since is None else [self.at(since), self.now]) for since in (blind_since, correct_since)
        ]
        self._apply(EventBatch(blind_ns=spans[0], correction_ns=spans[1]))

    def _apply(self, batch: EventBatch) -> None:
        batch.received_at_ns = self.now
        self.fleet.advance(self.now)
        self.fleet.apply([EventColumns.of(batch)])

    def checkpoint(self) -> None:
        """Move what is closed from memory into blocks, as if the catalog had committed it."""
        metrics = {0: MetricDefinition(name="upload_time", kind="integer")}
        written = write_files(
            self.fleet.freeze().complete(),
            position=0,
            taken_at_ns=self.now,
            history=self.history,
            metrics=metrics,
            names={},
            pause=lambda: None,
        )
        self.fleet.finish_closing(written.closed_minutes)
        self.history.manifest = written.manifest

    def lose(self, file: BlockFile) -> None:
        """A block is missing from now on."""
        self.store.remove(file.name)

    def maintain(self, start: str, end: str, **other: Any) -> None:
        """A maintenance window for all."""
        name = f"w{len(self.windows)}"
        self.windows[name] = MaintenanceWindow(name, "", {}, (), self.at(start), self.at(end), is_for_all=True, **other)

    def delete_between(self, start: str, end: str | None, device: int = 0) -> None:
        """A device was deleted, and declared again."""
        known = self.deletions.get(device, ())
        self.deletions[device] = (*known, (self.at(start), None if end is None else self.at(end)))

    def pause(self, start: str, end: str | None = None, device: int = 0) -> None:
        """A pause of one device."""
        self.pause_at(self.at(start), None if end is None else self.at(end), device)

    def pause_at(self, start_ns: int, end_ns: int | None, device: int = 0) -> None:
        """The same, by times in ns."""
        self.pauses.setdefault(device, []).append(Pause(device, start_ns, end_ns))

    def view(self, start_ns: int, device: int = 0) -> FleetView:
        """What a question about one device sees: a fleet of one."""
        return self.views.device(f"d{device}", device, start_ns=start_ns)()

    def fleet_view(self, start_ns: int) -> FleetView:
        """What a question about all of them sees."""
        return self.views.fleet_from(start_ns)()

    def status(self, text: str, device: int = 0) -> tuple[str, str]:
        """Status at a time, and since when: of a fleet of one, in the whole fleet and by the time line, which agree."""
        self.move(text)
        view = self.view(self.now, device)
        status, since_ns, _ = device_status(view)
        codes, since = fleet_status(self.fleet_view(self.now))
        gaps = gaps_of_one(view, ended_gaps(view, start_ns=self.now))
        intervals = timeline(gaps, view.excluded.of(0), start_ns=self.now, end_ns=self.now + 1)
        assert (STATUSES[codes[device]], int(since[device])) == (status, since_ns)
        assert STATUSES[intervals[0].status] == status
        return status, "" if since_ns == 0 else format_rfc3339(since_ns)[11:19]

    def changes(self, start: str, end: str, device: int = 0) -> list[tuple[str, str]]:
        """(time, status) of every transition, asked at the end or later."""
        start_ns, end_ns = self.at(start), self.at(end)
        self.now = max(self.now, end_ns)
        answer = device_transitions(self.view(start_ns, device), f"d{device}", Window(start_ns, end_ns), limit=10_000)
        return [(change.at[11:19], change.after) for change in answer.transitions]

    def uptime(self, start: str, end: str, device: int = 0) -> dict[str, Any]:
        """Uptime and availability of a fleet of one; the whole fleet's figures of the device are the same."""
        answer = self._answer(start, end, device, is_explained=True)
        start_ns, end_ns = self.at(start), self.at(end)
        view = self.fleet_view(start_ns)
        alone = Groups.of(view.roster, "", np.arange(view.count) == device)
        whole = fleet_columns(view, start_ns=start_ns, end_ns=end_ns, are_gaps_wanted=True)
        for found in whole.figures_by_group(alone):
            assert found == {name: getattr(answer, name) for name in found}
        self._check_time_line(answer, start_ns, end_ns, device)
        _check_intervals(answer, start_ns, end_ns)
        figures: dict[str, Any] = as_floats(msgspec.to_builtins(answer, builtin_types=(Decimal,)))
        return figures

    def slot_uptime(self, start: str, end: str, device: int = 0) -> dict[str, Any]:
        """The same by slots of minutes."""
        window = Window(self.at(start), self.at(end))
        self.now = max(self.now, window.end_ns)
        figures = self.device_slot_uptime(start, end, device)
        slots = count_slots(self.fleet_view(window.start_ns), window)
        assert (figures["present"], figures["expected"]) == (slots.present[device, 0], slots.expected[device, 0])
        explained = self._slot_answer(start, end, device, is_explained=True)
        _check_slot_intervals(explained, figures)
        return figures

    def device_slot_uptime(self, start: str, end: str, device: int = 0) -> dict[str, Any]:
        """The same, without a look at the whole fleet."""
        answer = self._slot_answer(start, end, device, is_explained=False)
        figures: dict[str, Any] = as_floats(msgspec.to_builtins(answer, builtin_types=(Decimal,)))
        return figures

    def _slot_answer(self, start: str, end: str, device: int, *, is_explained: bool) -> Uptime:
        window = Window(self.at(start), self.at(end))
        self.now = max(self.now, window.end_ns)
        return device_slot_uptime(self.view(window.start_ns, device), f"d{device}", window, is_explained=is_explained)

    def _check_time_line(self, answer: Uptime, start_ns: int, end_ns: int, device: int) -> None:
        """Time down is also that of the time line of status."""
        view = self.view(start_ns, device)
        gaps = gaps_of_one(view, ended_gaps(view, start_ns=start_ns))
        intervals = timeline(gaps, view.excluded.of(0), start_ns=start_ns, end_ns=end_ns)
        uncounted = union(view.excluded.of(0).blind, view.excluded.of(0).deleted)
        counted = [one for one in intervals if STATUSES[one.status] not in ("new", "maintenance", "paused")]
        length_s = {
            one: exact_seconds(total_ns(subtract(spans_of([(one.start_ns, one.end_ns)]), uncounted))) for one in counted
        }
        assert answer.down_s == sum(length_s[one] for one in counted if STATUSES[one.status] == "down")

    def device_uptime(self, start: str, end: str, device: int = 0) -> dict[str, Any]:
        """The figures of `uptime`, without a look at the whole fleet."""
        answer = self._answer(start, end, device, is_explained=False)
        figures: dict[str, Any] = as_floats(msgspec.to_builtins(answer, builtin_types=(Decimal,)))
        return figures

    def _answer(self, start: str, end: str, device: int, *, is_explained: bool) -> Uptime:
        window = Window(self.at(start), self.at(end))
        self.now = max(self.now, window.end_ns)
        return device_uptime(self.view(window.start_ns, device), f"d{device}", window, is_explained=is_explained)


def as_floats(value: Any) -> Any:
    """A value with floats in the place of decimals, to be compared with numbers written out."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: as_floats(one) for key, one in value.items()}
    return [as_floats(one) for one in value] if isinstance(value, list) else value


def _check_intervals(answer: Uptime, start_ns: int, end_ns: int) -> None:
    """Intervals cover the window, and add up to the figures that they explain."""
    totals: Counter[str] = Counter()
    at_ns = start_ns
    for interval in answer.intervals or ():
        assert parse_rfc3339_ns(interval.start) == at_ns
        at_ns = parse_rfc3339_ns(interval.end)
        assert exact_seconds(at_ns - parse_rfc3339_ns(interval.start)) == interval.seconds
        totals[interval.reason] += count_ns(interval.seconds)
    assert at_ns == end_ns
    check_downtimes(answer)
    assert sum(totals.values()) == end_ns - start_ns
    if isinstance(answer.up_s, Decimal):
        up_ns = totals["up"] + totals["backfilled"]
        assert (answer.up_s, answer.accountable_s) == (exact_seconds(up_ns), exact_seconds(up_ns + totals["down"]))


def check_downtimes(answer: Uptime) -> None:
    """The stretches that are down by each measure add up to what counts and is not up."""
    assert isinstance(answer.downtimes, Downtimes)
    up_s, observed = answer.up_s, answer.observed
    down_s: dict[str, Any] = {
        "settled": up_s if up_s is None else cast(Any, answer.accountable_s) - up_s,
        "observed": observed.up_s if observed.up_s is None else cast(Any, observed.accountable_s) - observed.up_s,
        "availability": answer.down_s,
    }
    for measure, seconds in down_s.items():
        found = getattr(answer.downtimes, measure)
        assert seconds == (None if found is None else sum(one.seconds for one in found.stretches))
        for one in [] if found is None else found.stretches:
            assert exact_seconds(parse_rfc3339_ns(one.end) - parse_rfc3339_ns(one.start)) == one.seconds > 0


def _check_slot_intervals(explained: Uptime, figures: dict[str, Any]) -> None:
    """Explained slots add up to the figures that they are explained with, and to those without explanation."""
    reasons: Counter[str] = Counter()
    for interval in explained.intervals or ():
        assert isinstance(interval.slots, int)
        reasons[interval.reason] += interval.slots
    assert (figures["present"], figures["expected"]) == (explained.present, explained.expected)
    assert explained.present == reasons["up"] + reasons["backfilled"]
    assert explained.expected == reasons["up"] + reasons["backfilled"] + reasons["down"]

"""Devices as people manage them: listed, shown, declared, changed, paused, imported and exported.

A change reads what is declared, alters it and writes it back, and holds the lock `Registry.changing` meanwhile.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from fleetpulse.access.scopes import check_within, labels_within
from fleetpulse.catalog.catalog import DeviceRecord, Pause
from fleetpulse.clock import Clock
from fleetpulse.errors import Conflict, OutOfRange
from fleetpulse.ingest.device_declarations import (
    DeviceChange,
    LabelChange,
    NewDevice,
    PauseBody,
    changed_device,
    changed_since_ns,
    new_device,
    pause_end_ns,
    relabelled_device,
)
from fleetpulse.ingest.devices_import import read_import
from fleetpulse.ingest.unknown_fields import UnknownFields
from fleetpulse.limits import IngestLimits
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.declaration_merge import MergeReport, import_rule
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import in_force
from fleetpulse.model.status import Status
from fleetpulse.pipeline.asker import current_asker
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.pipeline.merges import in_pieces
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query import declaration_answers
from fleetpulse.query.describe import (
    describe_device,
    describe_forgotten,
    describe_import,
    describe_policies,
    describe_relabelled,
)
from fleetpulse.query.devices import Filter, Order, Page, filter_notes, list_devices, sure_matches
from fleetpulse.query.devices_csv import devices_header, devices_rows
from fleetpulse.query.notes import ignored_notes
from fleetpulse.query.overview import Overview, overview
from fleetpulse.query.status import up_since

HISTORY_STAYS = (
    "its presence and status history stays, its metrics until their retention; ask for it with include_deleted=true"
)


DESCRIBED_ON_LOOP = 20
"""Devices of a page that are described on the event loop; more take a thread."""


@dataclass(eq=False, frozen=True, kw_only=True)
class Inventory:
    """See the module."""

    clock: Clock
    fleet: Fleet
    registry: Registry
    key_ring: KeyRing
    planned_downtime: PlannedDowntime
    questions: Questions
    unknown_fields: UnknownFields
    limits: IngestLimits
    import_thread: Executor
    rendering_thread: Executor

    async def page(
        self, chosen: Filter, order: Order, *, limit: int, cursor: str | None
    ) -> declaration_answers.DeviceList:
        """A page of the devices that match. Raises: Malformed: the cursor is not the `next` of such a list."""
        page = await self.questions.devices(
            lambda seen: list_devices(*seen, chosen, order, limit=limit, cursor=cursor),
            start_ns=self.clock.now_ns() - chosen.uptime_window_ns,
            is_uptime_wanted=chosen.needs_uptime or order.by == "uptime",
        )
        records = await self.registry.records_of(page.numbers)
        pauses = {number: self.planned_downtime.pauses.get(number, ()) for number in page.numbers}
        work = partial(_described_page, page, records, pauses, self.registry.policy_of, now_ns=self.clock.now_ns())
        if len(page.numbers) <= DESCRIBED_ON_LOOP:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self.rendering_thread, work)

    async def overview(self, *, limit: int) -> Overview:
        """The fleet in a few words, with at most `limit` devices that are down."""
        return await self.questions.devices(lambda seen: overview(*seen, limit=limit), start_ns=self.clock.now_ns())

    async def device(self, device_id: str) -> declaration_answers.Device:
        """One device. Raises: UnknownDevice."""
        number = self.registry.number_of(device_id)
        # The status first: somebody may delete the device while the catalog is asked.
        status, since_ns, last_received_ns = await self.questions.status(device_id)
        (record,) = await self.registry.records_of([number])
        device = self._described(record, status, since_ns, last_received_ns)
        if len(pieces := in_force(self.registry.policies.policies_of(record))) > 1:
            device.policies = describe_policies(pieces)
        if forgotten := await self.registry.forgotten_of(number):
            device.forgotten = describe_forgotten(forgotten)
        if ignored := self.unknown_fields.of(number):
            device.ignored_fields, device.notes = ignored, ignored_notes(device_id, ignored)
        return device

    def _described(
        self, record: DeviceRecord, status: Status, since_ns: int, last_received_ns: int
    ) -> declaration_answers.Device:
        return describe_device(
            record,
            status=status,
            since_ns=since_ns,
            last_received_ns=last_received_ns,
            policy=self.registry.policy_of(record.device),
            pauses=self.planned_downtime.pauses.get(record.number, ()),
            now_ns=self.clock.now_ns(),
        )

    async def add(self, body: NewDevice) -> declaration_answers.Device:
        """Declare a device; with a scope, one that has its labels.

        Raises: Malformed; OutOfRange; Conflict: its id is known already. Forbidden: it would be outside the scope.
        """
        device, scope = new_device(body), current_asker().scope
        device = replace(device, labels=labels_within(device.labels, scope))
        async with self.registry.changing:
            self.registry.check_new(device.id)
            if device.id in self.registry.numbers:
                raise Conflict(f"device {device.id} is known already: change it with PATCH", reason="device_exists")
            await self.registry.register_many([device])
        return await self.device(device.id)

    async def change(self, device_id: str, change: DeviceChange) -> declaration_answers.Device:
        """Change what is declared of a device.

        Raises: UnknownDevice; Malformed; OutOfRange; Forbidden: it would leave the scope of whoever asks.
        """
        async with self.registry.changing:
            number = self.registry.number_of(device_id)
            (record,) = await self.registry.records_of([number])
            since_ns = changed_since_ns(change, now_ns=self.clock.now_ns())
            changed = changed_device(record.device, change)
            check_within(changed.labels, current_asker().scope)
            await self.registry.update({number: changed}, since_ns=since_ns)
        if since_ns is not None:
            # By a longer policy, what ended when the device became up was perhaps no gap.
            known_ns, ended_ns = await self.questions.device(device_id, up_since, start_ns=0)
            if ended_ns and self.fleet.up_since_ns[number] == known_ns:
                self.fleet.up_since_ns[number] = ended_ns
        return await self.device(device_id)

    async def delete(self, device_id: str) -> declaration_answers.Message:
        """Forget a device. Raises: UnknownDevice."""
        async with self.registry.changing:
            number = self.registry.number_of(device_id)
            self.planned_downtime.end_pauses(number, at_ns=await self.registry.delete([number]))
            await self.key_ring.forget_devices([number])
        return declaration_answers.Message(f"device {device_id} is deleted; {HISTORY_STAYS}")

    async def relabel(
        self, chosen: Filter, change: LabelChange, *, is_all: bool, is_dry: bool
    ) -> declaration_answers.Relabelled:
        """Set or take away labels of all that match, or, where it is refused for one of them, of none.

        Raises: OutOfRange; DamagedData: it is not known who matches; Forbidden: they would leave the scope.
        """
        scope = current_asker().scope
        # All that match are in the scope, so the labels that are changed decide.
        check_within({**dict(scope), **change.labels}, scope)
        if chosen.is_empty and not is_all:
            raise OutOfRange("no filter is given: say which devices, or all=true to mean every one", reason="filter")
        report = MergeReport(self.limits.changes_listed_max)
        async with self.registry.changing:
            numbers = await self._matching(chosen)
            relabelled = partial(relabelled_device, change=change)
            await self.registry.change_all(numbers, relabelled, report, is_dry=is_dry)
        answer = describe_relabelled(report, matched=len(numbers), is_dry=is_dry)
        answer.notes = self.notes(chosen)
        return answer

    async def pause(self, device_id: str, body: PauseBody) -> declaration_answers.Device:
        """Expect nothing of a device. Raises: UnknownDevice; Malformed; OutOfRange."""
        number = self.registry.number_of(device_id)
        await self.planned_downtime.pause(number, until_ns=pause_end_ns(body, now_ns=self.clock.now_ns()))
        return await self.device(device_id)

    async def resume(self, device_id: str) -> declaration_answers.Device:
        """Expect a device again. Raises: UnknownDevice; Conflict: it is not paused."""
        if not await self.planned_downtime.resume(self.registry.number_of(device_id)):
            raise Conflict(f"device {device_id} is not paused", reason="not_paused")
        return await self.device(device_id)

    def notes(self, chosen: Filter) -> list[str]:
        """Notes on a filter that was perhaps meant otherwise."""
        return filter_notes(self.registry.seen_roster, chosen, now_ns=self.clock.now_ns())

    async def export_csv(self, chosen: Filter) -> AsyncGenerator[bytes]:
        """The devices that match, as CSV in pieces. Its time is that of a question, and more for many devices.

        Raises: DamagedData: who matches is not known; QuestionStopped: its time is over, or nobody waits for it.
        """
        lanes = self.questions.lanes
        async with lanes.turn("csv") as ticket:
            numbers = await self._matching(chosen)
            lanes.extend(ticket, len(numbers) / self.questions.limits.csv_devices_per_s_lowest)
            label_names = self.registry.seen_roster.label_names()
            yield devices_header(label_names).encode()
            for piece in in_pieces(numbers):
                lanes.check(ticket)
                records = await lanes.wait(ticket, self.registry.records_of(piece))
                yield await lanes.run(ticket, partial(_csv_rows, records, label_names))

    async def import_csv(self, body: bytes, *, is_dry: bool) -> declaration_answers.Imported:
        """Declare the devices of a CSV. Raises: Malformed; TooLarge; OutOfRange: a limit; then nobody is declared."""
        read = partial(
            read_import, body, lines_max=self.limits.bulk_lines_max, bad_records_max=self.limits.csv_bad_records_max
        )
        found = await asyncio.get_running_loop().run_in_executor(self.import_thread, read)
        report = MergeReport(self.limits.changes_listed_max)
        async with self.registry.changing:
            scope = current_asker().scope
            await self.registry.merge(found.devices.values(), import_rule, report, scope=scope, is_dry=is_dry)
        return describe_import(found, report, listed_max=self.limits.refusals_listed_max, is_dry=is_dry)

    async def _matching(self, chosen: Filter) -> list[int]:
        start_ns = self.clock.now_ns() - chosen.uptime_window_ns
        return await self.questions.devices(
            lambda seen: sure_matches(*seen, chosen), start_ns=start_ns, is_uptime_wanted=chosen.needs_uptime
        )


def _described_page(
    page: Page,
    records: Sequence[DeviceRecord],
    pauses: Mapping[int, Sequence[Pause]],
    policy_of: Callable[[Device], HeartbeatPolicy],
    *,
    now_ns: int,
) -> declaration_answers.DeviceList:
    devices: list[declaration_answers.Device] = []
    for place, record in enumerate(records):
        device = describe_device(
            record,
            status=page.statuses[place],
            since_ns=page.since_ns[place],
            last_received_ns=page.last_received_ns[place],
            policy=policy_of(record.device),
            pauses=pauses[record.number],
            now_ns=now_ns,
        )
        device.uptime = UNSET if page.uptime is None else page.uptime[place]
        devices.append(device)
    return declaration_answers.DeviceList(devices, page.total, page.next, page.missing, page.notes)


def _csv_rows(records: Sequence[DeviceRecord], label_names: Sequence[str]) -> bytes:
    return devices_rows((record.device for record in records), label_names).encode()

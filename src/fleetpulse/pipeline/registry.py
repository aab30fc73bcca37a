"""The known devices: loaded from the catalog into memory, and changed in the catalog first, then in memory.

What requests and questions need of all devices is in memory: numbers, labels, and heartbeat policies in the live fleet.
The rest of what is declared stays in the catalog, and is read when somebody asks for it.
"""

import asyncio
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

import structlog

from fleetpulse.catalog.catalog import Catalog, DeviceRecord, Registered, Span
from fleetpulse.catalog.roster import Roster
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, DatabaseBusy, NotAccepting, OutOfRange, UnknownDevice
from fleetpulse.ingest.devices_file import NamedDevice
from fleetpulse.model.declaration_merge import MergeReport, Rule
from fleetpulse.model.declared import NOTHING_CHANGED, DeclaredVersion
from fleetpulse.model.device import Device, is_device_id, unknown_id_advice
from fleetpulse.model.device_limits import within_limits
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.merges import changed_devices, in_pieces, merged_devices
from fleetpulse.query.devices import Listing
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("registry")
APPLIED_AT_ONCE = 250
"""Records that are brought to memory at once, on the event loop: some 2 ms."""


class Registry:
    """The known devices. `numbers` (id to number) is shared with the intake; a deleted device leaves it."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        clock: Clock,
        follower: Follower,
        counters: Counters,
        devices_max: int,
        label_names_max: int,
        policies_max: int,
        auto_register: bool,
    ) -> None:
        self.numbers: dict[str, int] = {}
        self.deleted: dict[str, int] = {}
        """The numbers of devices that are deleted, by id."""
        self.deletions: dict[int, tuple[Span, ...]] = {}
        """When devices were deleted, by number."""
        self._ids: list[str] = []
        """By number, of deleted devices too. An id never changes, so listings share it."""
        self.roster = Roster()
        self.policy_version = 0
        """Grows whenever the heartbeat policy of a device changes."""
        self.unreadable: dict[str, str] = {}
        """Devices whose rows in the catalog could not be read at the start, by id: the names of the fields."""
        self.declared = NOTHING_CHANGED
        """Which declarations are in effect as of the last change of a device."""
        self.auto_register = auto_register
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._follower = follower
        self._fleet = follower.fleet
        self._default_policy = self._fleet.policies[0]
        self._counters = counters
        self._devices_max = devices_max
        self._label_names_max = label_names_max
        self._policies_max = policies_max
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._under_way: dict[str, asyncio.Future[None]] = {}
        catalog_thread.on_hang.append(self._give_up)
        self._listing: tuple[int, int, Listing] | None = None
        self.changing = asyncio.Lock()
        """Held by whoever reads what is declared of devices, alters it and writes it back: of two who do so at one time
        one change would be lost, and a device that is being deleted would come back."""

    def load(self) -> None:
        """Read all devices from the catalog. Blocks; for the start, before events are accepted."""
        self._make_room(self._catalog.device_count())
        for record in self._catalog.records():
            if record.unreadable:
                self.unreadable[record.device.id] = record.unreadable
            self._apply(record)
        self.declared = self._catalog.declared()

    def _apply(self, record: DeviceRecord) -> None:
        """Bring memory to what the catalog says of one device."""
        number, device = record.number, record.device
        # Room first: a device that can be looked up by its id must have its row in the fleet.
        self._make_room(number + 1)
        if record.is_deleted:
            self.numbers.pop(device.id, None)
            self.deleted[device.id] = number
        else:
            self.numbers[device.id] = number
            self.deleted.pop(device.id, None)
        self._ids[number] = device.id
        if record.deletions:
            self.deletions[number] = record.deletions
        if device.labels or self.roster.labels or record.is_deleted or self.roster.is_deleted[number]:
            self.roster.put(number, device.labels, is_deleted=record.is_deleted)
        # A listing that a thread completes at this moment may lack the device, so it must not pass for the newest.
        self.roster.version += 1
        if self._has_new_policy(record):
            # Events until now are judged by the policy that held when they came. A replay would judge them by the new
            # policy, so `policy_version` makes a checkpoint due.
            self._follower.catch_up()
            self._fleet.set_policy(number, self.policy_of(device))
            self.policy_version += 1

    def _has_new_policy(self, record: DeviceRecord) -> bool:
        return self.policy_of(record.device) != self._fleet.policy_of(record.number)

    def _make_room(self, count: int) -> None:
        if count > self.roster.count:
            self._fleet.resize(count)
            self.roster.resize(count)
            self._ids.extend([""] * (count - len(self._ids)))

    def policy_of(self, device: Device) -> HeartbeatPolicy:
        """What is expected of a device, the service's own interval and grace where it has none."""
        return device.policy(self._default_policy)

    def listing(self) -> Callable[[], Listing]:
        """A call that gives all ids, by number and in order, as they are now; it sorts them, so call it in a thread.

        The result is kept until a device comes, changes or goes.
        """
        version, count = self.roster.version, self.roster.count

        def complete() -> Listing:
            kept = self._listing
            if kept is None or kept[:2] != (version, count):
                kept = self._listing = version, count, Listing.of(self._ids, count)
            return kept[2]

        return complete

    def write_merged(
        self, lines: Iterable[NamedDevice], rule: Rule, report: MergeReport, *, is_file: bool = False
    ) -> Registered:
        """Write to the catalog the devices that a merge adds and changes; they are in effect after `adopt`.

        Blocks; in a transaction, on the catalog's thread.
        Raises: OutOfRange: a limit is exceeded. OSError: the catalog could not be written. Then nobody is registered.
        """
        merged = merged_devices(self._catalog, lines, rule, report, is_file=is_file)
        return self._catalog.register(
            self._within_limits(merged), devices_max=self._devices_max, at_ns=self._clock.now_ns()
        )

    async def merge(
        self, lines: Iterable[NamedDevice], rule: Rule, report: MergeReport, *, is_dry: bool = False
    ) -> None:
        """Merge devices with those that are declared, while events come in; with `is_dry` only fill the report.

        Raises: OutOfRange: a limit is exceeded; NotAccepting. Then nobody is registered.
        """

        def write() -> Registered:
            with self._catalog.transaction(is_dry=is_dry):
                return self.write_merged(lines, rule, report)

        registered = await self._catalog_thread.run(write)
        if not is_dry:
            await self.adopt(registered)

    def adopt_now(self, registered: Registered) -> None:
        """Bring memory to what was written. Blocks; for the start, before events are accepted."""
        self._make_room(max(registered.new, default=-1) + 1)
        for numbers in chain(in_pieces(registered.new), in_pieces(registered.changed)):
            for record in self._catalog.records_of(numbers):
                self._apply(record)
        self.declared = self._catalog.declared()
        self._counters.devices_registered += len(registered.new)

    async def adopt(self, registered: Registered) -> None:
        """Bring memory to what was written, while events come in. Raises: NotAccepting."""
        await self._reload(registered.new)
        await self._reload(registered.changed)
        self._counters.devices_registered += len(registered.new)

    async def register_many(self, devices: Iterable[Device], *, replaces: bool = True) -> Registered:
        """Register devices while events come in. Without `replaces`, what is declared of known devices stays.

        Raises: OutOfRange: a limit is exceeded; NotAccepting. Then nobody is registered.
        """
        limited = self._within_limits(devices)
        registered = await self._catalog_thread.run(
            lambda: self._catalog.register(
                limited, devices_max=self._devices_max, at_ns=self._clock.now_ns(), replaces=replaces
            )
        )
        await self.adopt(registered)
        return registered

    async def update(self, devices: Mapping[int, Device]) -> None:
        """Replace what is declared of known devices, by number.

        Raises: OutOfRange: a limit is exceeded; NotAccepting. Then nothing was changed.
        """
        checked = dict(zip(devices, self._within_limits(devices.values()), strict=True))
        await self._catalog_thread.run(lambda: self._catalog.update(checked))
        await self._reload(list(checked))

    async def change_all(
        self, numbers: Sequence[int], change: Callable[[Device], Device], report: MergeReport, *, is_dry: bool
    ) -> None:
        """Change what is declared of devices, of all or, where it is refused for one of them, of none.

        Raises: OutOfRange: names the device; NotAccepting. Then nothing was changed.
        """
        written = array("I")

        def write() -> None:
            with self._catalog.transaction(is_dry=is_dry):
                for piece in in_pieces(numbers):
                    known = {record.number: record for record in self._catalog.records_of(piece)}
                    changes = dict(changed_devices(known.values(), change, report))
                    self._catalog.update(dict(zip(changes, self._within_limits(changes.values()), strict=True)))
                    written.extend(changes)

        await self._catalog_thread.run(write)
        if not is_dry:
            await self._reload(written)

    def _within_limits(self, devices: Iterable[Device]) -> Iterator[Device]:
        return within_limits(
            devices,
            label_names=self.roster.labels,
            label_names_max=self._label_names_max,
            policies=self._fleet.policies,
            policies_max=self._policies_max,
            default_policy=self._default_policy,
        )

    async def delete(self, numbers: Sequence[int]) -> int:
        """Forget devices; their history stays until retention. Returns since when, in ns.

        Raises: NotAccepting: nothing was changed.
        """
        at_ns = self._clock.now_ns()
        await self._catalog_thread.run(lambda: self._catalog.delete(numbers, at_ns=at_ns))
        await self._reload(numbers)
        return at_ns

    def number_of(self, device_id: str, *, is_deleted_included: bool = False) -> int:
        """The number of a device. Raises: UnknownDevice."""
        number = self.numbers.get(device_id)
        if number is None and is_deleted_included:
            number = self.deleted.get(device_id)
        if number is None:
            raise self.unknown(device_id)
        return number

    def unknown(self, device_id: str) -> UnknownDevice:
        """The refusal of an id that no device has."""
        return UnknownDevice(
            unknown_id_advice(device_id, registers_itself=self.auto_register, is_deleted=device_id in self.deleted)
        )

    async def records_of(self, numbers: Sequence[int]) -> list[DeviceRecord]:
        """What is declared of devices, in the order of `numbers`. Raises: NotAccepting."""
        return await self._catalog_thread.run(lambda: self._catalog.records_of(numbers)) if len(numbers) else []

    async def forgotten_of(self, number: int) -> list[Forgotten]:
        """What the history of a device was made to forget, oldest first. Raises: NotAccepting."""
        forgotten = await self._catalog_thread.run(self._catalog.forgotten)
        return [one for one in forgotten if one.device == number]

    async def _reload(self, numbers: Sequence[int]) -> None:
        self._make_room(max(numbers, default=-1) + 1)
        # In pieces, so that the records of a million devices are never in memory together, and the loop gets its turns.
        for piece in in_pieces(numbers, APPLIED_AT_ONCE):
            # Both in one call: no question must see the devices without the version that they belong to.
            read = partial(self._records_and_version, piece)
            records, declared = await self._catalog_thread.run(read)
            # To catch up in the midst would hold the loop; and afterwards what was read may be out of date.
            while self._follower.is_behind and any(map(self._has_new_policy, records)):
                await self._follower.caught_up()
                records, declared = await self._catalog_thread.run(read)
            for record in records:
                self._apply(record)
            self.declared = declared

    def _records_and_version(self, numbers: Sequence[int]) -> tuple[list[DeviceRecord], DeclaredVersion]:
        return self._catalog.records_of(numbers), self._catalog.declared()

    def register(self, device_id: str) -> asyncio.Future[None]:
        """Register one unknown device. Devices that come while a transaction is under way share the next one.

        The future ends with UnknownDevice where the service registers no unknown devices, or the id is none; with
        OutOfRange where a limit is exceeded; with NotAccepting or DatabaseBusy where the catalog could not be written.
        """
        outcome = self._waiting.get(device_id)
        if outcome is None:
            outcome = asyncio.get_running_loop().create_future()
            if not self.auto_register or not is_device_id(device_id):
                outcome.set_exception(self.unknown(device_id))
                return outcome
            self._waiting[device_id] = outcome
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._register_waiting())
        return outcome

    async def _register_waiting(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._under_way = waiting
            error = await self._try_register(list(waiting))
            # If there is no room for all of them, there may be room for some.
            is_one_by_one = isinstance(error, OutOfRange) and len(waiting) > 1
            for device_id, outcome in waiting.items():
                own_error = await self._try_register([device_id]) if is_one_by_one else error
                if not outcome.done():
                    outcome.set_result(None) if own_error is None else outcome.set_exception(own_error)
        self._task = None

    def _give_up(self, refusal: NotAccepting) -> None:
        """Answer those who wait for a disk that hangs: their events are not stored, even if the devices will be."""
        for outcome in (*self._waiting.values(), *self._under_way.values()):
            if not outcome.done():
                outcome.set_exception(refusal)
        self._waiting.clear()

    async def _try_register(self, device_ids: Sequence[str]) -> Answerable | None:
        """Register ids, or say why they cannot be registered."""
        devices = [Device(device_id) for device_id in device_ids if device_id not in self.numbers]
        try:
            # An import may just have declared one of them in the catalog: its labels must stay.
            await self.register_many(devices, replaces=False)
            if any(device_id not in self.numbers for device_id in device_ids):
                text = "the device was deleted while it was being registered; send the request again"
                return NotAccepting(text, reason="catalog_failed")
        except (OutOfRange, DatabaseBusy, NotAccepting) as refused:
            return refused
        except Exception as failed:  # noqa: BLE001  # whatever it is, its senders need an answer
            log.error("devices could not be registered", error=str(failed))
            return NotAccepting(f"the catalog could not be written ({failed})", reason="catalog_failed")
        return None

"""The known devices: loaded from the catalog into memory, and changed in the catalog first, then in memory.

What requests and questions need of all devices is in memory: numbers, labels, and heartbeat policies in the live fleet.
The rest of what is declared stays in the catalog, and is read when somebody asks for it.
"""

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

from fleetpulse.access.scopes import outside
from fleetpulse.catalog.catalog import Catalog, DeviceRecord, Registered, Span
from fleetpulse.catalog.earlier_policies import Earlier
from fleetpulse.catalog.roster import Roster
from fleetpulse.clock import Clock
from fleetpulse.errors import UnknownDevice
from fleetpulse.ingest.bulk import Numbers
from fleetpulse.ingest.devices_file import NamedDevice
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.access import Scope
from fleetpulse.model.declaration_merge import MergeReport, Rule
from fleetpulse.model.declared import NOTHING_CHANGED, DeclaredVersion
from fleetpulse.model.device import Device, unknown_id_advice
from fleetpulse.model.device_limits import within_limits
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.pipeline.asker import current_asker
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.merges import changed_devices, in_pieces, merged_devices
from fleetpulse.pipeline.policies_in_effect import PoliciesInEffect
from fleetpulse.pipeline.seen_numbers import SeenNumbers
from fleetpulse.query.devices import Listing
from fleetpulse.telemetry.counters import Counters

READ_AT_ONCE = 5_000  # records that are read in one call of the catalog, which costs some milliseconds by itself
APPLIED_AT_ONCE = 250  # records that are brought to memory at once, on the event loop: some 2 ms


class Registry:
    """The known devices. `numbers` (id to number) is shared with the intake; a deleted device leaves it."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        clock: Clock,
        fleet: Fleet,
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
        self.ids: list[str] = []
        """By number, of deleted devices too. An id never changes, so listings share it."""
        self.roster = Roster()
        self.unreadable: dict[str, str] = {}
        """Devices whose rows in the catalog could not be read at the start, by id: the names of the fields."""
        self.declared = NOTHING_CHANGED  # which declarations are in effect as of the last change of a device
        self.auto_register = auto_register
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._fleet = fleet
        self._default_policy = self._fleet.policies.latest[0]
        self._counters = counters
        self._devices_max = devices_max
        self._label_names_max = label_names_max
        self._policies_max = policies_max
        self._listing: tuple[int, int, Listing] | None = None
        self.policies = PoliciesInEffect(catalog=catalog, catalog_thread=catalog_thread, fleet=fleet)
        self.policies.reload_all = lambda: self.reload(range(self.roster.count))
        self.changing = asyncio.Lock()
        """Held by whoever reads what is declared of devices, alters it and writes it back: no change may be lost."""
        self.between_pieces: Callable[[], Awaitable[None]] = partial(asyncio.sleep, 0)
        """Is awaited while many devices are read: what must not wait for their end, such as the revocation of keys."""
        self._reloading = asyncio.Lock()
        """Held from reading devices until they are in memory, so that nobody puts older ones over newer ones."""

    @property
    def seen_roster(self) -> Roster:
        """The roster as whoever asks may see it: of somebody with a scope, the devices of that scope alone."""
        scope = current_asker().scope
        return self.roster.within(scope) if scope else self.roster

    @property
    def seen_numbers(self) -> Numbers:
        """The numbers of the devices that whoever asks may know of, by id."""
        principal = current_asker().principal
        is_of_all = principal is None or (principal.device is None and not principal.scope)
        return self.numbers if is_of_all else SeenNumbers(self.numbers, self.is_seen)

    def is_seen(self, number: int) -> bool:
        """Whether whoever asks may know of a device: a device knows itself, others those of their scope."""
        principal = current_asker().principal
        if principal is None:
            return True
        is_other = principal.device is not None and principal.device != number
        return not is_other and (not principal.scope or self.roster.has_labels(number, principal.scope))

    def may_register(self, device_id: str) -> bool:
        """Whether a report of whoever asks declares a device; a device declares no other one."""
        principal = current_asker().principal
        is_device = principal is not None and principal.device is not None
        return self.auto_register and device_id not in self.numbers and not is_device

    def check_new(self, device_id: str) -> None:
        """Raises: UnknownDevice: there is, or was, such a device outside the scope of whoever asks."""
        number = self.numbers.get(device_id, self.deleted.get(device_id))
        if number is not None and not self.is_seen(number):
            raise self.unknown(device_id)

    def load(self) -> None:
        """Read all devices from the catalog. Blocks; for the start, before events are accepted."""
        self.policies.load_defaults(at_ns=self._clock.now_ns())
        self._make_room(self._catalog.device_count())
        for record in self._catalog.records():
            if record.unreadable:
                self.unreadable[record.device.id] = record.unreadable
            self._apply(record)
        for numbers in in_pieces(sorted(self.policies.earlier())):
            self._apply_now(numbers)
        self.declared = self._catalog.declared()

    def _apply_now(self, numbers: Sequence[int]) -> None:
        records, earlier, _ = self._read(numbers)
        for record in records:
            self._apply(record, earlier.get(record.number, ()))

    def _apply(self, record: DeviceRecord, earlier: Earlier = ()) -> None:
        """Bring memory to what the catalog says of one device. Args: earlier: see `PoliciesInEffect.put`."""
        number, device = record.number, record.device
        self._make_room(number + 1)  # first: a device that can be looked up by its id must have its row in the fleet
        if record.is_deleted:
            self.numbers.pop(device.id, None)
            self.deleted[device.id] = number
        else:
            self.numbers[device.id] = number
            self.deleted.pop(device.id, None)
        self.ids[number] = device.id
        if record.deletions:
            self.deletions[number] = record.deletions
        if device.labels or self.roster.labels or record.is_deleted or self.roster.is_deleted[number]:
            self.roster.put(number, device.labels, is_deleted=record.is_deleted)
        # A listing that a thread completes at this moment may lack the device, so it must not pass for the newest.
        self.roster.version += 1
        self.policies.put(record, earlier)

    def _make_room(self, count: int) -> None:
        if count > self.roster.count:
            self._fleet.resize(count)
            self.roster.resize(count)
            self.ids.extend([""] * (count - len(self.ids)))

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
                kept = self._listing = version, count, Listing.of(self.ids, count)
            return kept[2]

        return complete

    def write_merged(
        self, lines: Iterable[NamedDevice], rule: Rule, report: MergeReport, *, is_file: bool = False, scope: Scope = ()
    ) -> Registered:
        """Write to the catalog the devices that a merge adds and changes; they are in effect after `adopt`.

        Blocks; in a transaction, on the catalog's thread.
        Raises: OutOfRange: a limit is exceeded. OSError: the catalog could not be written. Then nobody is registered.
        """
        return self.write(merged_devices(self._catalog, lines, rule, report, is_file=is_file, scope=scope))

    def write(self, devices: Iterable[Device], *, replaces: bool = True) -> Registered:
        """Write devices to the catalog, as `write_merged`."""
        limited, at_ns = self._within_limits(devices), self._clock.now_ns()
        return self._catalog.register(limited, devices_max=self._devices_max, at_ns=at_ns, replaces=replaces)

    async def merge(
        self, lines: Iterable[NamedDevice], rule: Rule, report: MergeReport, *, scope: Scope = (), is_dry: bool = False
    ) -> None:
        """Merge devices with those that are declared, while events come in; with `is_dry` only fill the report.

        Args: scope: see `merged_devices`.

        Raises: OutOfRange: a limit is exceeded; NotAccepting. Then nobody is registered.
        """

        def write() -> Registered:
            with self._catalog.transaction(is_dry=is_dry):
                return self.write_merged(lines, rule, report, scope=scope)

        registered = await self._catalog_thread.run(write)
        if not is_dry:
            await self.adopt(registered)

    def adopt_now(self, registered: Registered) -> None:
        """Bring memory to what was written. Blocks; for the start."""
        self._make_room(max(registered.new, default=-1) + 1)
        for numbers in chain(in_pieces(registered.new), in_pieces(registered.changed)):
            self._apply_now(numbers)
        self.declared = self._catalog.declared()
        self._counters.devices_registered += len(registered.new)
        self._counters.policy_changes_joined += registered.policies_joined

    async def adopt(self, registered: Registered) -> None:
        """Bring memory to what was written, while events come in. Raises: NotAccepting."""
        await self.reload(registered.new)
        await self.reload(registered.changed)
        await self.policies.take_effect()
        self._counters.devices_registered += len(registered.new)
        self._counters.policy_changes_joined += registered.policies_joined

    async def register_many(self, devices: Iterable[Device], *, replaces: bool = True) -> Registered:
        """Register devices while events come in. Without `replaces`, what is declared of known devices stays.

        Raises: OutOfRange: a limit is exceeded; NotAccepting. Then nobody is registered.
        """
        registered = await self._catalog_thread.run(partial(self.write, devices, replaces=replaces))
        await self.adopt(registered)
        return registered

    async def update(self, devices: Mapping[int, Device], *, since_ns: int | None = None) -> None:
        """Replace what is declared of known devices, by number.

        Args: since_ns: a correction: since when they have had their interval and grace; None: since now.
        Raises: OutOfRange: a limit is exceeded; NotAccepting. Then nothing was changed.
        """
        checked = dict(zip(devices, self._within_limits(devices.values()), strict=True))
        at_ns = self._clock.now_ns()
        if since_ns is None and any(self._fleet.policies_of(number)[-1].at_ns > at_ns for number in checked):
            since_ns = at_ns  # and not when a clock that was ahead has dated the last change
        joined = await self._catalog_thread.run(lambda: self._catalog.update(checked, at_ns=at_ns, since_ns=since_ns))
        self._counters.policy_changes_joined += joined
        await self.reload(list(checked))
        await self.policies.take_effect()

    async def change_all(
        self, numbers: Sequence[int], change: Callable[[Device], Device], report: MergeReport, *, is_dry: bool
    ) -> None:
        """Change what is declared of devices, of all or, where it is refused for one of them, of none.

        Raises: OutOfRange: names the device; NotAccepting. Then nothing was changed.
        """
        written, at_ns = array("I"), self._clock.now_ns()

        def write() -> None:
            with self._catalog.transaction(is_dry=is_dry):
                for piece in in_pieces(numbers):
                    known = {record.number: record for record in self._catalog.records_of(piece)}
                    changes = dict(changed_devices(known.values(), change, report))
                    checked = dict(zip(changes, self._within_limits(changes.values()), strict=True))
                    self._catalog.update(checked, at_ns=at_ns)
                    written.extend(changes)

        await self._catalog_thread.run(write)
        if not is_dry:
            await self.reload(written)
            await self.policies.take_effect()

    def _within_limits(self, devices: Iterable[Device]) -> Iterator[Device]:
        return within_limits(
            devices,
            label_names=self.roster.labels,
            label_names_max=self._label_names_max,
            policies=self._fleet.policies.different,
            policies_max=self._policies_max,
            default_policy=self._default_policy,
        )

    async def delete(self, numbers: Sequence[int]) -> int:
        """Forget devices; their history stays until retention. Returns since when, in ns.

        Raises: NotAccepting: nothing was changed.
        """
        at_ns = self._clock.now_ns()
        await self._catalog_thread.run(lambda: self._catalog.delete(numbers, at_ns=at_ns))
        await self.reload(numbers)
        return at_ns

    def number_of(self, device_id: str, *, is_deleted_included: bool = False) -> int:
        """The number of a device. Raises: UnknownDevice: there is none, or none that whoever asks may know of."""
        number = self.numbers.get(device_id)
        if number is None and is_deleted_included:
            number = self.deleted.get(device_id)
        if number is None or not self.is_seen(number):
            raise self.unknown(device_id)
        return number

    def unknown(self, device_id: str) -> UnknownDevice:
        """The refusal of an id that no device has. Of one outside the scope it must say the same."""
        principal = current_asker().principal
        if principal is not None and (principal.scope or principal.device is not None):
            return outside()
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

    async def reload(self, numbers: Sequence[int]) -> None:
        """Bring memory to what the catalog says of these devices. Raises: NotAccepting."""
        self._make_room(max(numbers, default=-1) + 1)
        # In pieces, so that the records of a million devices are never in memory together, and the loop gets its turns.
        for place, piece in enumerate(in_pieces(numbers, READ_AT_ONCE)):
            if place:
                await self.between_pieces()
            async with self._reloading:
                # All in one call: no question must see the devices without the version that they belong to.
                records, earlier, declared = await self._catalog_thread.run(partial(self._read, piece))
                for start in range(0, len(records), APPLIED_AT_ONCE):
                    if start:
                        await asyncio.sleep(0)
                    for record in records[start : start + APPLIED_AT_ONCE]:
                        self._apply(record, earlier.get(record.number, ()))
                    self.declared = declared

    def _read(self, numbers: Sequence[int]) -> tuple[list[DeviceRecord], dict[int, Earlier], DeclaredVersion]:
        records = self._catalog.records_of(numbers)
        return records, self.policies.earlier(numbers), self._catalog.declared()

"""Devices: from the catalog into the look-up that every request uses, and what people change of them the other way."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from itertools import chain
from typing import TypeVar

import structlog

from fleetpulse.catalog.catalog import Catalog, DeviceRecord, Registered
from fleetpulse.catalog.roster import Roster
from fleetpulse.clock import Clock
from fleetpulse.errors import NotAccepting, OutOfRange, UnknownDevice
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.device import Device, is_device_id
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.query.devices import Listing
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("registry")
POLICIES_MAX = 1_024
"""Different pairs of interval and grace; each is looked at with every batch."""
RECORDS_AT_ONCE = 1_000
_Result = TypeVar("_Result")


class Registry:
    """Known devices. `numbers` (id -> number) is shared with the intake; a device that is deleted leaves it."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        clock: Clock,
        fleet: Fleet,
        settle: Callable[[], None],
        executor: Executor,
        counters: Counters,
        devices_max: int,
        label_names_max: int,
        auto_register: bool,
    ) -> None:
        """`executor` is the catalog's one thread; `settle` applies to the fleet all that is durable."""
        self.policy_version = 0
        """Changes whenever the terms of a device do."""
        self._settle = settle
        self.numbers: dict[str, int] = {}
        self.roster = Roster()
        self.auto_register = auto_register
        self._catalog = catalog
        self._clock = clock
        self._fleet = fleet
        self._default_policy = fleet.policies[0]
        self._executor = executor
        self._counters = counters
        self._devices_max = devices_max
        self._label_names_max = label_names_max
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._listing: tuple[int, Listing] | None = None

    def load(self) -> None:
        """All devices of the catalog. Blocks; before the door opens."""
        self._make_room(self._catalog.device_count())
        for record in self._catalog.records():
            self._declare(record)

    def _declare(self, record: DeviceRecord) -> None:
        """What the catalog says of one device holds from now on."""
        number, device = record.number, record.device
        # Room first: an id that can be looked up must have its row.
        self._make_room(number + 1)
        if record.is_deleted:
            self.numbers.pop(device.id, None)
        else:
            self.numbers[device.id] = number
        if device.labels or self.roster.labels or record.is_deleted or self.roster.is_deleted[number]:
            self.roster.put(number, device.labels, is_deleted=record.is_deleted)
        self.roster.version += 1  # whoever looked while it was being declared has not seen it
        policy = self.policy_of(device)
        if policy != self._fleet.policy_of(number):
            # Silences until now are judged by the terms that held, also by a replay: a checkpoint is due.
            self._settle()
            self._fleet.set_policy(number, policy)
            self.policy_version += 1

    def _make_room(self, count: int) -> None:
        if count > self.roster.count:
            self._fleet.resize(count)
            self.roster.resize(count)

    def policy_of(self, device: Device) -> HeartbeatPolicy:
        """What is expected of a device, the service's own terms where it has none."""
        default = self._default_policy
        return HeartbeatPolicy(
            default.interval_s if device.interval_s is None else device.interval_s,
            default.grace_s if device.grace_s is None else device.grace_s,
        )

    def listing(self) -> Callable[[], Listing]:
        """Ids by number and in order. Looked at here, made in a thread, kept until a device comes or goes."""
        version = self.roster.version
        if self._listing is not None and self._listing[0] == version:
            kept = self._listing[1]
            return lambda: kept
        numbers, count = list(self.numbers.items()), self.roster.count

        def complete() -> Listing:
            listing = Listing.of(numbers, count)
            self._listing = version, listing
            return listing

        return complete

    def register_now(self, devices: Iterable[Device]) -> int:
        """Write devices to the catalog and know them; how many are new. Blocks; before the door opens.

        Raises: OutOfRange: more than devices_max. OSError: the catalog could not be written. Then nobody is registered.
        """
        registered = self._catalog.register(
            self._limited(devices), devices_max=self._devices_max, at_ns=self._clock.now_ns()
        )
        self._make_room(max(registered.new, default=-1) + 1)
        for numbers in chain(_pieces(registered.new), _pieces(registered.changed)):
            for record in self._catalog.records_of(numbers):
                self._declare(record)
        self._counters.devices_registered += len(registered.new)
        return len(registered.new)

    async def register_many(self, devices: Iterable[Device], *, replaces: bool = True) -> Registered:
        """The same, while events come in; without `replaces`, those that are there stay as they are declared.

        Raises: OutOfRange; NotAccepting: nobody is registered.
        """
        limited = self._limited(devices)
        registered = await self._run(
            lambda: self._catalog.register(
                limited, devices_max=self._devices_max, at_ns=self._clock.now_ns(), replaces=replaces
            )
        )
        await self._know(registered.new)
        await self._know(registered.changed)
        self._counters.devices_registered += len(registered.new)
        return registered

    async def update(self, devices: Mapping[int, Device]) -> None:
        """Replace what is declared of devices. Raises: NotAccepting: nothing was changed."""
        list(self._limited(devices.values()))
        await self._run(lambda: self._catalog.update(devices))
        await self._know(list(devices))

    def _limited(self, devices: Iterable[Device]) -> Iterator[Device]:
        """The devices, as long as their labels have few enough names: each is a column. Raises: OutOfRange."""
        names, policies = set(self.roster.labels), set(self._fleet.policies)
        for device in devices:
            names.update(device.labels)
            policies.add(self.policy_of(device))
            if len(policies) > POLICIES_MAX:
                raise OutOfRange(
                    f"there would be more than {POLICIES_MAX} different pairs of interval and grace: use fewer",
                    reason="terms",
                )
            if len(names) > self._label_names_max:
                text = f"there would be more than {self._label_names_max} different names of labels (label_names_max): use fewer"
                raise OutOfRange(text, reason="label_names_max")
            yield device

    async def delete(self, numbers: Sequence[int]) -> None:
        """Forget devices; their history stays until retention. Raises: NotAccepting: nothing was changed."""
        await self._run(lambda: self._catalog.delete(numbers, at_ns=self._clock.now_ns()))
        await self._know(numbers)

    async def records_of(self, numbers: Sequence[int]) -> list[DeviceRecord]:
        """What is declared of devices, in the order asked for."""
        return await self._run(lambda: self._catalog.records_of(numbers))

    async def _know(self, numbers: Sequence[int]) -> None:
        self._make_room(max(numbers, default=-1) + 1)
        # In pieces: a million records need not be held at once, and the loop gets its turns.
        for piece in _pieces(numbers):
            for record in await self.records_of(piece):
                self._declare(record)

    async def _run(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OSError as error:
            raise NotAccepting(
                f"the catalog could not be written ({error}): nothing was changed", reason="catalog_failed"
            ) from error

    def register(self, device_id: str) -> asyncio.Future[None]:
        """Make one unknown device known; those asked for at one time share a transaction.

        The future ends with UnknownDevice, OutOfRange or NotAccepting where it cannot be.
        """
        outcome = self._wanted.get(device_id)
        if outcome is None:
            outcome = asyncio.get_running_loop().create_future()
            if not self.auto_register or not is_device_id(device_id):
                outcome.set_exception(UnknownDevice())
                return outcome
            self._wanted[device_id] = outcome
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._register_wanted())
        return outcome

    async def _register_wanted(self) -> None:
        while self._wanted:
            wanted, self._wanted = self._wanted, {}
            error = await self._register_these(list(wanted))
            for device_id, outcome in wanted.items():
                # One too many must not keep those out for whom there is room.
                one = (
                    await self._register_these([device_id])
                    if isinstance(error, OutOfRange) and len(wanted) > 1
                    else error
                )
                if not outcome.done():
                    outcome.set_result(None) if one is None else outcome.set_exception(one)
        self._task = None

    async def _register_these(self, device_ids: Sequence[str]) -> OutOfRange | NotAccepting | None:
        devices = [Device(device_id) for device_id in device_ids if device_id not in self.numbers]
        try:
            # One of them may be in the catalog already, and about to be known by an import: its labels stay.
            await self.register_many(devices, replaces=False)
            if any(device_id not in self.numbers for device_id in device_ids):
                return NotAccepting("a device was deleted while it was registered: come again", reason="catalog_failed")
        except OutOfRange as refused:
            return refused
        except Exception as failed:
            log.error("devices could not be registered", error=str(failed))
            return NotAccepting(f"the catalog could not be written ({failed})", reason="catalog_failed")
        return None


def _pieces(numbers: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(numbers), RECORDS_AT_ONCE):
        yield numbers[start : start + RECORDS_AT_ONCE]

"""Devices: from the catalog into the look-up that every request uses, and new ones the other way."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor

import structlog

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import NotAccepting, OutOfRange, UnknownDevice
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.device import Device, is_device_id
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("registry")


class Registry:
    """Known devices. `numbers` (id -> number) is shared with the intake and only ever grows."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        fleet: Fleet,
        executor: Executor,
        counters: Counters,
        devices_max: int,
        auto_register: bool,
    ) -> None:
        """`executor` is the catalog's one thread."""
        self.numbers: dict[str, int] = {}
        self.auto_register = auto_register
        self._catalog = catalog
        self._fleet = fleet
        self._executor = executor
        self._counters = counters
        self._devices_max = devices_max
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def load(self) -> None:
        """All devices of the catalog. Blocks; before the door opens."""
        for number, device_id in enumerate(self._catalog.ids()):
            self.numbers[device_id] = number
        self._fleet.resize(len(self.numbers))

    def register_all(self, devices: Iterable[Device]) -> Callable[[], int]:
        """Write devices to the catalog (blocks, on the catalog's thread); the call returned admits them, on the loop.

        Raises: OutOfRange: more than devices_max. OSError: the catalog could not be written. Then nobody is registered.
        """
        new = self._catalog.register(devices, devices_max=self._devices_max)
        return lambda: self._admit(new)

    def _admit(self, new: Sequence[str]) -> int:
        # Room first: an id that can be looked up must have its row.
        self._fleet.resize(len(self.numbers) + len(new))
        for device_id in new:
            self.numbers[device_id] = len(self.numbers)
        self._counters.devices_registered += len(new)
        return len(new)

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
                one = await self._register_these([device_id]) if isinstance(error, OutOfRange) and len(wanted) > 1 else error
                if not outcome.done():
                    outcome.set_result(None) if one is None else outcome.set_exception(one)
        self._task = None

    async def _register_these(self, device_ids: Sequence[str]) -> OutOfRange | NotAccepting | None:
        devices = [Device(device_id) for device_id in device_ids if device_id not in self.numbers]
        try:
            admit = await asyncio.get_running_loop().run_in_executor(self._executor, self.register_all, devices)
        except OutOfRange as refused:
            return refused
        except Exception as failed:
            log.error("devices could not be registered", error=str(failed))
            return NotAccepting(f"the catalog could not be written ({failed})", reason="catalog_failed")
        admit()
        return None

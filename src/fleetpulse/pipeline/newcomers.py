"""Devices that the service does not know yet, and that register themselves with their first report.

Those that come while a transaction of the catalog is under way share the next one.
"""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import NamedTuple

import structlog

from fleetpulse.access.daily_limit import DailyLimit
from fleetpulse.access_errors import TooManyRequests
from fleetpulse.errors import Answerable, DatabaseBusy, NotAccepting, OutOfRange
from fleetpulse.model.access import Scope
from fleetpulse.model.device import Device, is_device_id
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.registry import Registry

log = structlog.get_logger("registry")


class _Newcomer(NamedTuple):
    """`outcome`: what its senders wait for. `scope`: the labels that it is given."""

    outcome: asyncio.Future[None]
    scope: Scope


class Newcomers:
    """Registers them."""

    def __init__(self, registry: Registry, catalog_thread: CatalogThread, daily: DailyLimit) -> None:
        """`daily`: how many may register themselves a day."""
        self._registry = registry
        self._daily = daily
        self._waiting: dict[str, _Newcomer] = {}
        self._under_way: dict[str, _Newcomer] = {}
        self._task: asyncio.Task[None] | None = None
        catalog_thread.on_hang.append(self._give_up)

    def register(self, device_id: str, *, scope: Scope = ()) -> asyncio.Future[None]:
        """Register one unknown device, with the labels of the scope of the key that reports it.

        Where another key registers it at the same moment, it has the labels of that one: look at it afterwards.
        The future ends with UnknownDevice where the service registers no unknown devices, the id is none, or the device
        was deleted and is outside the scope; with OutOfRange or TooManyRequests where a limit is exceeded; with
        NotAccepting or DatabaseBusy where the catalog could not be written.
        """
        known = self._waiting.get(device_id)
        if known is not None:
            return known.outcome
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._may_register(device_id, scope):
            outcome.set_exception(self._registry.unknown(device_id))
            return outcome
        self._waiting[device_id] = _Newcomer(outcome, scope)
        if self._task is None:
            # Of no request: those of others share it.
            self._task = asyncio.get_running_loop().create_task(self._register_waiting(), context=Context())
        return outcome

    def _may_register(self, device_id: str, scope: Scope) -> bool:
        if not self._registry.auto_register or not is_device_id(device_id):
            return False
        was_deleted = self._registry.deleted.get(device_id)  # with its id it would get its history again
        return was_deleted is None or self._registry.roster.has_labels(was_deleted, scope)

    async def _register_waiting(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            self._under_way = waiting
            error = await self._try_register(list(waiting))
            # If there is no room for all of them, there may be room for some.
            is_one_by_one = isinstance(error, OutOfRange | TooManyRequests) and len(waiting) > 1
            for device_id, newcomer in waiting.items():
                own_error = await self._try_register([device_id]) if is_one_by_one else error
                outcome = newcomer.outcome
                if not outcome.done():
                    outcome.set_result(None) if own_error is None else outcome.set_exception(own_error)
        self._task = None

    def _give_up(self, refusal: NotAccepting) -> None:
        """Answer those who wait for a disk that hangs: their events are not stored, even if the devices will be."""
        for newcomer in (*self._waiting.values(), *self._under_way.values()):
            if not newcomer.outcome.done():
                newcomer.outcome.set_exception(refusal)
        self._waiting.clear()

    async def _try_register(self, device_ids: Sequence[str]) -> Answerable | None:
        """Register ids, or say why they cannot be registered."""
        numbers = self._registry.numbers
        devices = [
            Device(device_id, dict(self._under_way[device_id].scope))
            for device_id in device_ids
            if device_id not in numbers
        ]
        try:
            self._daily.check(len(devices))
            # An import may just have declared one of them in the catalog: its labels must stay.
            registered = await self._registry.register_many(devices, replaces=False)
            self._daily.count(len(registered.new))
            if any(device_id not in numbers for device_id in device_ids):
                text = "the device was deleted while it was being registered; send the request again"
                return NotAccepting(text, reason="catalog_failed")
        except (OutOfRange, TooManyRequests, DatabaseBusy, NotAccepting) as refused:
            return refused
        except Exception as failed:  # noqa: BLE001  # whatever it is, its senders need an answer
            log.error("devices could not be registered", error=str(failed))
            return NotAccepting(f"the catalog could not be written ({failed})", reason="catalog_failed")
        return None

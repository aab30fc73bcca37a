"""When nothing is expected of devices: pauses and maintenance windows. Written to the catalog first, then in effect."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from fleetpulse.catalog.catalog import Catalog, Pause
from fleetpulse.clock import Clock
from fleetpulse.errors import OutOfRange
from fleetpulse.model.declared import NOTHING_CHANGED, DeclaredVersion
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.pipeline.catalog_thread import CatalogThread

_Result = TypeVar("_Result")


class PlannedDowntime:
    """Pauses by device number and maintenance windows by id. `version` grows with every change."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        clock: Clock,
        windows_max: int,
        window_devices_max: int,
    ) -> None:
        self.pauses: dict[int, list[Pause]] = {}
        self.windows: dict[str, MaintenanceWindow] = {}
        self.version = 0
        self.declared = NOTHING_CHANGED
        """Which declarations are in effect as of the last change of a pause or window."""
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._clock = clock
        self._windows_max = windows_max
        self._window_devices_max = window_devices_max

    def load(self) -> None:
        """Read all of it from the catalog. Blocks; for the start, before events are accepted."""
        for pause in self._catalog.pauses():
            self.pauses.setdefault(pause.device, []).append(pause)
        self.windows = {window.id: window for window in self._catalog.windows()}

    async def reload(self) -> None:
        """Bring memory to what other nodes wrote to the catalog. Raises: NotAccepting."""

        def read() -> tuple[list[Pause], list[MaintenanceWindow], DeclaredVersion]:
            return self._catalog.pauses(), self._catalog.windows(), self._catalog.declared()

        pauses, windows, self.declared = await self._catalog_thread.run(read)
        by_device: dict[int, list[Pause]] = {}
        for pause in pauses:
            by_device.setdefault(pause.device, []).append(pause)
        self.pauses, self.windows = by_device, {window.id: window for window in windows}
        self.version += 1

    async def pause(self, device: int, *, until_ns: int | None) -> None:
        """Expect nothing of a device from now until `until_ns`, or, where it is None, until `resume`.

        A pause that is in effect ends now. Raises: NotAccepting.
        """
        now_ns = self._clock.now_ns()
        earlier = _ended(self.pauses.get(device, ()), now_ns)
        await self._replace_pauses(device, [*earlier, Pause(device, now_ns, until_ns)])

    async def resume(self, device: int) -> bool:
        """Expect the device again from now on; False where it was not paused. Raises: NotAccepting."""
        now_ns = self._clock.now_ns()
        if not self.is_paused(device, now_ns):
            return False
        await self._replace_pauses(device, _ended(self.pauses[device], now_ns))
        return True

    def end_pauses(self, device: int, *, at_ns: int) -> None:
        """End the pauses of a device that was deleted, as the catalog has done."""
        if device in self.pauses:
            self.pauses[device] = _ended(self.pauses[device], at_ns)
        self.version += 1

    def is_paused(self, device: int, at_ns: int) -> bool:
        """Whether a device is paused at a time."""
        return any(
            pause.start_ns <= at_ns and (pause.end_ns is None or at_ns < pause.end_ns)
            for pause in self.pauses.get(device, ())
        )

    async def _replace_pauses(self, device: int, pauses: Sequence[Pause]) -> None:
        _, self.declared = await self._write(lambda: self._catalog.replace_pauses(device, pauses))
        self.pauses[device] = list(pauses)
        self.version += 1

    async def put_window(self, window: MaintenanceWindow) -> None:
        """Add a maintenance window, or replace the one with its id.

        Raises: OutOfRange: there are too many; NotAccepting.
        """
        if len(window.devices) > self._window_devices_max:
            raise OutOfRange(
                f"{len(window.devices)} device ids are more than {self._window_devices_max} (window_devices_max); "
                "select by labels instead",
                setting="window_devices_max",
            )
        if window.id not in self.windows and len(self.windows) >= self._windows_max:
            raise OutOfRange(
                f"there are {self._windows_max} maintenance windows (windows_max): delete old ones",
                setting="windows_max",
            )
        _, self.declared = await self._write(lambda: self._catalog.put_window(window))
        self.windows = {**self.windows, window.id: window}
        self.version += 1

    async def delete_window(self, window_id: str) -> bool:
        """Remove a maintenance window; False where there is none. Raises: NotAccepting."""
        was_there, self.declared = await self._write(lambda: self._catalog.delete_window(window_id))
        self.windows = {known_id: window for known_id, window in self.windows.items() if known_id != window_id}
        self.version += 1
        return was_there

    async def _write(self, change: Callable[[], _Result]) -> tuple[_Result, DeclaredVersion]:
        """The result of a change, and the version of what is declared then. Raises: NotAccepting."""
        return await self._catalog_thread.run(lambda: (change(), self._catalog.declared()))


def _ended(pauses: Iterable[Pause], at_ns: int) -> list[Pause]:
    """The pauses that began before `at_ns`, each ending there at the latest."""
    return [
        Pause(pause.device, pause.start_ns, at_ns if pause.end_ns is None else min(pause.end_ns, at_ns))
        for pause in pauses
        if pause.start_ns < at_ns
    ]

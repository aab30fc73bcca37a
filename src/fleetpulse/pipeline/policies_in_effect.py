"""Which heartbeat policies the fleet has: those that the catalog had at the place that the journal has reached.

Where several nodes follow one journal, a node may learn of a changed policy before or after it applies an entry, and
yet all nodes must find the same gaps. So a change takes effect at the first entry that names a version of the catalog
which has it: until then it is *withheld*. Whoever made it has such an entry written at once. A start takes the policies
of the version that the snapshot names. Where the journal belongs to one node alone, nothing is withheld.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fleetpulse.catalog.catalog import Catalog, DeviceRecord
from fleetpulse.catalog.earlier_policies import Earlier
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.own_policy import OwnPolicy, unchanged
from fleetpulse.model.policy_history import PolicyHistory
from fleetpulse.pipeline.catalog_thread import CatalogThread

NEVER = 2**62
AT_ONCE = 1_000
"""Devices whose policies change in one turn of the loop: a millisecond or two."""


class PoliciesInEffect:
    """See the module. On the event loop, but for what the start does before there is one."""

    def __init__(self, *, catalog: Catalog, catalog_thread: CatalogThread, fleet: Fleet) -> None:
        self.version = NEVER
        """The policies of the fleet are those of this version of the catalog; NEVER: all that are known."""
        self.reload_all: Callable[[], Awaitable[None]] = _nothing
        """Reads all devices again, since with the service's own policies those of many may change."""
        self.announce: Callable[[], Awaitable[None]] = _nothing
        """Has an entry written that names the newest version of the catalog."""
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._fleet = fleet
        self._default = fleet.policies.latest[0]
        self._withheld: dict[int, dict[int, tuple[OwnPolicy, ...]]] = {}
        """By version, by device: what is declared from then on."""
        self._withheld_defaults: dict[int, PolicyHistory] = {}
        self._next = NEVER

    def note_default(self, *, at_ns: int) -> PolicyHistory:
        """Record the policy with which the service starts; those over time. Blocks; for the start."""
        most = self._catalog.policy_changes_max
        return self._catalog.policies.note_default(self._default, at_ns=at_ns, changes_max=most)

    def load_defaults(self, *, at_ns: int) -> None:
        """Do so, and take up those of before. Blocks; for the start, before any device."""
        known = self.note_default(at_ns=at_ns)
        earlier = [] if self.version == NEVER else self._catalog.policies.earlier_defaults(after=self.version)
        self._fleet.policies.set_default(self._sorted(known, earlier))

    def earlier(self, numbers: Sequence[int] | None = None) -> dict[int, Earlier]:
        """What devices had before versions that are not reached. Blocks; call it after what they have now was read."""
        return {} if self.version == NEVER else self._catalog.policies.earlier(numbers, after=self.version)

    async def reload_defaults(self) -> bool:
        """Take the service's own policies as another node recorded them. Returns: whether others are in effect now."""
        policies, after = self._catalog.policies, self.version

        def read() -> tuple[PolicyHistory, list[tuple[int, PolicyHistory]]]:
            return policies.defaults(), policies.earlier_defaults(after=after)

        return self._change_default(self._sorted(*await self._catalog_thread.run(read)))

    def _sorted(self, known: PolicyHistory, earlier: list[tuple[int, PolicyHistory]]) -> PolicyHistory:
        """The service's policies of this version; later ones are withheld."""
        later = [one for one in earlier if one[0] > self.version]
        states = [*(before for _, before in later), known]
        self._withheld_defaults = dict(zip((version for version, _ in later), states[1:], strict=True))
        self._note_next()
        return states[0]

    def _change_default(self, history: PolicyHistory) -> bool:
        if history == self._fleet.policies.default:
            return False
        self._fleet.policies.change_default(history)
        self._fleet.revision += 1
        return True

    def put(self, record: DeviceRecord, earlier: Earlier) -> None:
        """Let a device have its policies. Args: earlier: of it, read after the record."""
        # Each moment is judged by the policy in force then, so it does not matter which events are applied already.
        self._forget(record.number)
        if not earlier:
            self._set(record.number, self.policies_of(record))
            return
        later = [one for one in earlier if one[0] > self.version]
        states = [*(own for _, own in later), _own_of(record)]
        self._set(record.number, self._fleet.policies.history_of(states[0], None, None))
        for (version, _), own in zip(later, states[1:], strict=True):
            self._withheld.setdefault(version, {})[record.number] = own
        self._note_next()

    def _forget(self, number: int) -> None:
        """Withhold nothing of a device: it was read anew, and what is older must not follow what is newer."""
        if self._withheld:
            for withheld in self._withheld.values():
                withheld.pop(number, None)
            self._withheld = {at: withheld for at, withheld in self._withheld.items() if withheld}
            self._note_next()

    def _set(self, number: int, history: PolicyHistory) -> None:
        if history != self._fleet.policies_of(number):
            self._fleet.set_policy(number, history)

    def policies_of(self, record: DeviceRecord) -> PolicyHistory:
        """The policies of a device over time, as they are declared now; the service's own where it declared none."""
        return self._fleet.policies.history_of(record.policies, record.device.interval_s, record.device.grace_s)

    def _note_next(self) -> None:
        self._next = min((*self._withheld, *self._withheld_defaults), default=NEVER)

    @property
    def is_withheld(self) -> bool:
        """Whether a change waits for an entry that names its version."""
        return self._next != NEVER

    async def take_effect(self) -> None:
        """Have what is withheld take effect, and wait until the journal has the entry for it; but not for long."""
        if self.is_withheld:
            await self.announce()

    def is_due(self, version: int) -> bool:
        """Whether an entry that names this version changes policies: then all before it must be applied first."""
        return self._next <= version

    async def advance(self, version: int) -> None:
        """Let the changes up to a version take effect, which memory knows; nothing may be applied meanwhile.

        Raises: Answerable: the catalog cannot be read, and this must be called again.
        """
        self.version = max(self.version, version)
        if any(due <= version for due in self._withheld_defaults):
            newest = max(due for due in self._withheld_defaults if due <= version)
            self._change_default(self._withheld_defaults[newest])
            await self.reload_all()
            self._withheld_defaults = {at: own for at, own in self._withheld_defaults.items() if at > version}
        for due in sorted(at for at in self._withheld if at <= version):
            while due in self._withheld:
                await self._advance_piece(due)
        self._note_next()

    async def _advance_piece(self, due: int) -> None:
        """Let changes of one version take effect, and give the loop its turn, in which `put` may replace others."""
        withheld = self._withheld[due]
        for _ in range(min(AT_ONCE, len(withheld))):
            number, own = withheld.popitem()
            self._set(number, self._fleet.policies.history_of(own, None, None))
        if withheld:
            await asyncio.sleep(0)
        else:
            del self._withheld[due]


def _own_of(record: DeviceRecord) -> tuple[OwnPolicy, ...]:
    """What is declared of a device, also where it never changed."""
    device = record.device
    if record.policies or (device.interval_s is None and device.grace_s is None):
        return record.policies
    return (unchanged(device.interval_s, device.grace_s),)


async def _nothing() -> None:
    pass

"""The service's own interval, grace and factor over time, and policies of before; `policy_rows.py` has the rows."""

import json
from collections.abc import Sequence
from typing import Protocol

from fleetpulse.catalog.earlier_policies import (
    EARLIER_SQL,
    SERVICE,
    Earlier,
    defaults_of,
    note_earlier_defaults,
    own_of,
)
from fleetpulse.catalog.policy_rows import DEFAULTS_SQL, default_of, put_defaults
from fleetpulse.catalog.sql_records import SqlRecords
from fleetpulse.catalog.sql_text import NUMBERS_IN
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.own_policy import OwnPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, PolicyHistory


class PolicyRecords(Protocol):
    """The part of a catalog that knows the service's own policies over time."""

    def defaults(self) -> PolicyHistory:
        """The service's own policies; none before the first start that recorded them. Raises: DamagedData."""
        ...

    def note_default(self, policy: HeartbeatPolicy, *, at_ns: int, changes_max: int) -> PolicyHistory:
        """Record the policy with which the service starts, and return all of them. The first one holds since ever.

        Beyond `changes_max` of them the oldest are joined.
        Raises: OSError; DatabaseBusy; DamagedData.
        """
        ...

    def earlier(self, numbers: Sequence[int] | None = None, *, after: int) -> dict[int, Earlier]:
        """What was declared of devices before each version beyond `after` that changed it; None: of all devices.

        Whoever reads what they are now reads that first. Raises: DamagedData.
        """
        ...

    def earlier_defaults(self, *, after: int) -> list[tuple[int, PolicyHistory]]:
        """The same of the service's own policies. Raises: DamagedData."""
        ...


class SqlPolicyRecords(SqlRecords):
    """See PolicyRecords; tables `policy` and `default_policy`."""

    def defaults(self) -> PolicyHistory:
        """See PolicyRecords."""
        with self._reading():
            return tuple(change for change in map(default_of, self._select(DEFAULTS_SQL)) if change is not None)

    def note_default(self, policy: HeartbeatPolicy, *, at_ns: int, changes_max: int) -> PolicyHistory:
        """See PolicyRecords."""
        stored = self.defaults()
        if _with_default(stored, policy, at_ns=at_ns, changes_max=changes_max) == stored:
            return stored
        with self._transaction() as run:
            stored = self.defaults()  # another node may have recorded its own until now
            changes = _with_default(stored, policy, at_ns=at_ns, changes_max=changes_max)
            if changes != stored:
                note_earlier_defaults(run, stored)
                put_defaults(run, changes)
            if stored and not set(changes) <= set(stored):
                run("UPDATE declared SET version = version + 1, changed_at_ns = ?", (at_ns,))
        return changes

    def earlier(self, numbers: Sequence[int] | None = None, *, after: int) -> dict[int, Earlier]:
        """See PolicyRecords."""
        found: dict[int, list[tuple[int, tuple[OwnPolicy, ...]]]] = {}
        text = f"{EARLIER_SQL} AND device >= 0"
        with self._reading():
            if numbers is None:
                rows = self._select(f"{text} ORDER BY version", (after,))
            else:
                text = f"{text} AND device {NUMBERS_IN} ORDER BY version"
                rows = self._select(text, (after, json.dumps(list(numbers))))
            for version, device, policies in rows:
                found.setdefault(device, []).append((version, own_of(policies)))
        return {**found}

    def earlier_defaults(self, *, after: int) -> list[tuple[int, PolicyHistory]]:
        """See PolicyRecords."""
        with self._reading():
            rows = self._select(f"{EARLIER_SQL} AND device = {SERVICE} ORDER BY version", (after,))
            return [(version, defaults_of(policies)) for version, _, policies in rows]


def _with_default(stored: PolicyHistory, policy: HeartbeatPolicy, *, at_ns: int, changes_max: int) -> PolicyHistory:
    """What is recorded once the service starts with a policy."""
    # What a clock that was ahead has dated does not wait until then.
    known = tuple(change for change in stored if change.at_ns < at_ns)
    if known and known[-1].policy == policy:
        return known
    changes = (*known, PolicyChange(at_ns if known else SINCE_EVER_NS, policy))
    if len(changes) > changes_max:
        first, second = changes[0].policy, changes[1].policy
        longer = max(first, second, key=lambda one: one.late_after_ns)
        changes = (PolicyChange(SINCE_EVER_NS, longer), *changes[2:])
    return changes

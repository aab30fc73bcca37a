"""What heartbeat policies were before each change, for nodes that apply events of the time before it.

A node applies the journal with the policies of the version of the catalog that the journal has named so far, whatever
the catalog says by now: so all nodes find the same gaps. Rows of table `earlier_policy`:

    version      number of the transaction that changed the policies
    device       whose; SERVICE: those of the service itself
    policies     what they were before, as a JSON list: rows of OwnPolicy, those of the service of PolicyChange

They are written only while several nodes share the catalog, and dropped when a second checkpoint was taken since.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from fleetpulse.catalog.change_log import Noting
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.own_policy import OwnPolicy
from fleetpulse.model.policy_history import PolicyChange, PolicyHistory

SERVICE = -1
Earlier = Sequence[tuple[int, tuple[OwnPolicy, ...]]]
"""Of one device: versions that changed its policies, ascending, each with what was declared of it before."""
EARLIER_SQL = "SELECT version, device, policies FROM earlier_policy WHERE version > ?"
_PUT_SQL = (
    "INSERT INTO earlier_policy (version, device, policies) SELECT number + 1, ?, ? FROM transactions WHERE true"
    " ON CONFLICT (version, device) DO NOTHING"
)
_DROP_SQL = "DELETE FROM earlier_policy WHERE version <= (SELECT max(catalog_version) FROM manifest WHERE position < ?)"


def note_earlier(run: Callable[..., Any], device: int, own: Sequence[OwnPolicy]) -> None:
    """Note what was declared of a device, in the transaction that changes it, before the first change there."""
    if isinstance(run, Noting):
        run(_PUT_SQL, (device, json.dumps(own)))


def note_earlier_defaults(run: Callable[..., Any], defaults: PolicyHistory) -> None:
    """Note the policies of the service, in the transaction that changes them."""
    if isinstance(run, Noting) and defaults:
        rows = [
            (one.at_ns, one.policy.interval_s, one.policy.grace_s, one.policy.factor_thousandths) for one in defaults
        ]
        run(_PUT_SQL, (SERVICE, json.dumps(rows)))


def drop_earlier(run: Callable[..., Any], *, position: int) -> None:
    """Forget what no node needs any more, in the transaction that replaces the manifest, before it is replaced.

    Who is not at the checkpoint before yet finds no entry to go on with, and loads a snapshot.
    Args: position: that of the new manifest.
    """
    if isinstance(run, Noting):
        run(_DROP_SQL, (position,))


def own_of(text: str) -> tuple[OwnPolicy, ...]:
    """What `note_earlier` has noted."""
    return tuple(OwnPolicy(*row) for row in json.loads(text))


def defaults_of(text: str) -> PolicyHistory:
    """What `note_earlier_defaults` has noted."""
    return tuple(PolicyChange(at_ns, HeartbeatPolicy(*terms)) for at_ns, *terms in json.loads(text))

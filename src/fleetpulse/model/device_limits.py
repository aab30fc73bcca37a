"""Limits on how many different label names and heartbeat policies all devices together may have."""

from collections.abc import Iterable, Iterator

from fleetpulse.errors import OutOfRange
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy


def within_limits(
    devices: Iterable[Device],
    *,
    label_names: Iterable[str],
    label_names_max: int,
    policies: Iterable[HeartbeatPolicy],
    policies_max: int,
    default_policy: HeartbeatPolicy,
) -> Iterator[Device]:
    """The devices, one by one, as long as they stay within the limits together with the fleet's devices.

    Args:
        label_names: those of the fleet; each name is a column over all devices.
        policies: those of the fleet.
        policies_max: different pairs of interval and grace; the live fleet reads all of them with every batch.
        default_policy: holds where a device has no interval or grace of its own.
    Raises: OutOfRange: perhaps after devices were yielded, so the caller must register them all in one transaction.
    """
    names, known_policies = set(label_names), set(policies)
    for device in devices:
        names.update(device.labels)
        known_policies.add(device.policy(default_policy))
        if len(known_policies) > policies_max:
            raise OutOfRange(
                f"there would be more than {policies_max} different pairs of interval and grace (policies_max): use "
                "fewer",
                reason="terms",
            )
        if len(names) > label_names_max:
            raise OutOfRange(
                f"there would be more than {label_names_max} different names of labels (label_names_max): use fewer",
                setting="label_names_max",
            )
        yield device

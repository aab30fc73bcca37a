"""What somebody with a scope may declare: devices with the labels of the scope, which stay in it."""

from collections.abc import Mapping

from fleetpulse.access_errors import Forbidden
from fleetpulse.errors import UnknownDevice
from fleetpulse.model.access import Scope

OUTSIDE = "no device with this id is in the scope of the key"
"""The same for devices that there are and for those that there are not: nobody learns of devices outside the scope."""


def scope_text(scope: Scope) -> str:
    """A scope as people write it."""
    return ", ".join(f"{name}:{value}" for name, value in scope)


def outside() -> UnknownDevice:
    """The refusal of a device that is not in the scope, if there is one."""
    return UnknownDevice(OUTSIDE)


def is_within(labels: Mapping[str, str | None], scope: Scope) -> bool:
    """Whether these labels are those of a device in the scope."""
    return all(labels.get(name) == value for name, value in scope)


def labels_within(labels: Mapping[str, str], scope: Scope) -> dict[str, str]:
    """The labels of what is declared anew, with those of the scope. Raises: Forbidden: one has another value."""
    whole = {**dict(scope), **labels}
    check_within(whole, scope)
    return whole


def check_within(labels: Mapping[str, str | None], scope: Scope) -> None:
    """Raises: Forbidden: a device with these labels would be outside the scope."""
    if not is_within(labels, scope):
        raise Forbidden(
            f"this key is for devices with {scope_text(scope)}: it neither declares others nor takes these labels away",
            reason="scope",
        )

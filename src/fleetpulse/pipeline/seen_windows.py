"""Maintenance windows as whoever asks may see and change them: of somebody with a scope, what concerns its devices."""

from dataclasses import replace

from fleetpulse.access.scopes import is_within, labels_within, scope_text
from fleetpulse.access_errors import Forbidden
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.pipeline.asker import current_asker
from fleetpulse.pipeline.registry import Registry


def window_within(window: MaintenanceWindow, registry: Registry) -> MaintenanceWindow:
    """A new window, for devices of the scope alone: with its labels, also in place of "all devices".

    Raises: UnknownDevice: it names a device outside. Forbidden: it names another value of a label of the scope.
    """
    scope = current_asker().scope
    if not scope:
        return window
    for device_id in window.devices:
        registry.number_of(device_id)
    labels = labels_within(window.labels, scope) if window.labels or window.is_for_all else {}
    return replace(window, labels=labels, is_for_all=False)


def seen_window(window: MaintenanceWindow, registry: Registry) -> MaintenanceWindow | None:
    """What somebody may see of a window: nothing of it that is about devices outside; None: all of it is."""
    if not current_asker().scope:
        return window
    devices = tuple(device_id for device_id in window.devices if device_id in registry.seen_numbers)
    labels = window.labels
    if labels and not registry.seen_roster.with_labels(tuple(labels.items())).any():
        labels = {}
    return replace(window, devices=devices, labels=labels) if devices or labels or window.is_for_all else None


def check_own(window: MaintenanceWindow, registry: Registry) -> None:
    """Raises: Forbidden: the window may be for devices outside the scope of whoever asks, too."""
    scope, numbers = current_asker().scope, registry.seen_numbers
    is_own = not window.is_for_all and (not window.labels or is_within(window.labels, scope))
    if scope and not (is_own and all(device_id in numbers for device_id in window.devices)):
        raise Forbidden(
            f"maintenance window {window.id} is not for devices with {scope_text(scope)} alone, for whom this key is",
            reason="scope",
        )

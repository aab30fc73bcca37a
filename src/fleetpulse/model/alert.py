"""Alerts, incidents and silences: what is true of one rule and one subject, and what people decided about it."""

from typing import Literal, NamedTuple, get_args

from fleetpulse.model.access import Scope
from fleetpulse.model.alert_rule import Severity

AlertState = Literal["pending", "firing", "resolved"]
ALERT_STATES: tuple[AlertState, ...] = get_args(AlertState)
PENDING, FIRING, RESOLVED = range(len(ALERT_STATES))
Resolution = Literal["", "recovered", "ran", "removed", "rule_changed"]
"""Why an alert ended.

    (empty)         it has not
    recovered       its condition is false
    ran             its device sent later what it had kept: it was running, and the link was down
    removed         its device was deleted, or no longer has the labels of the rule
    rule_changed    its rule was changed in such a way that it says something else, or was removed or disabled
"""
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
RETURNED: tuple[Resolution, ...] = ("recovered", "ran")
"""Those of which a text may say that the device, or whatever it is about, has returned."""
NO_DEVICE = -1
"""In place of a device's number, where the subject is a group of devices or the service."""


class Alert(NamedTuple):
    """One alert, as it is stored and shown. Pending ones have no number and are not stored as such.

    Attributes:
        device: the number of the device, or NO_DEVICE.
        group: what it is about otherwise: `site=paris`, `fleet` or `service`.
        since_ns: since when the condition is true, such as since when the device is down.
        value: the figure of the condition when it fired, or when it was last looked at; nan where there is none.
        times: how often it has fired; more than 1 only where it flaps.
        incident: the number of the incident that it belongs to; 0: none.
        is_withheld: maintenance, a pause or blind time say nothing about its condition at the moment.
        acknowledged_by, assignee: people, or empty.
        snoozed_until_ns: 0: it is not snoozed.
    """

    number: int
    rule: str
    severity: Severity
    device: int
    group: str
    state: AlertState
    since_ns: int
    fired_at_ns: int
    resolved_at_ns: int = 0
    resolution: Resolution = ""
    value: float = float("nan")
    times: int = 1
    incident: int = 0
    is_withheld: bool = False
    acknowledged_by: str = ""
    acknowledged_at_ns: int = 0
    assignee: str = ""
    snoozed_until_ns: int = 0
    first_fired_at_ns: int = 0
    is_flapping: bool = False


class Incident(NamedTuple):
    """Alerts of one rule that began together, of devices that share the value of a label.

    Attributes:
        devices: how many devices have that value and are in the scope of the rule.
        members: how many of them have belonged to it.
        explanation: why this label was chosen, in a sentence with its figures.
    """

    number: int
    rule: str
    severity: Severity
    label: str
    value: str
    started_at_ns: int
    ended_at_ns: int
    devices: int
    members: int
    explanation: str


class Silence(NamedTuple):
    """People are not told about alerts whose device has all of these labels, in [start_ns, end_ns).

    Attributes:
        labels: also `rule` and `severity` are names here, and `device` is the id of a device.
    """

    number: int
    labels: Scope
    start_ns: int
    end_ns: int
    comment: str
    created_by: str
    created_at_ns: int


class AlertDecision(NamedTuple):
    """What people decided of one alert; empty and 0: nothing."""

    alert: int
    acknowledged_by: str = ""
    acknowledged_at_ns: int = 0
    assignee: str = ""
    snoozed_until_ns: int = 0


class AlertNote(NamedTuple):
    """An entry in the log of an alert or incident: what happened, or what somebody did or wrote.

    `action`: fired, resolved, reopened, flapping, withheld, acknowledged, assigned, snoozed, commented, told.
    """

    alert: int
    at_ns: int
    action: str
    who: str
    text: str


def labels_of_group(group: str) -> dict[str, str]:
    """`site=paris` as labels; `fleet` and `service` have none."""
    name, is_label, value = group.partition("=")
    return {name: value} if is_label else {}

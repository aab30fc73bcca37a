"""What a receiver is told about a group of alerts at one time: the facts, from which templates make the text.

The outbox stores messages as JSON. All that a text says must come from here, so that a message that is delivered late
says what was true when it was decided, and says when that was.
"""

from typing import Literal

import msgspec

from fleetpulse.model.alert import AlertState, Resolution
from fleetpulse.model.alert_rule import Severity

MessageKind = Literal["firing", "resolved", "reminder", "escalation", "flapping", "blind", "test"]
"""Why it is sent.

    firing       alerts began to fire, and perhaps others of the group ended
    resolved     alerts of the group have ended, and none began; of an incident, once, when it is over
    reminder     they still fire (repeat_interval)
    escalation   nobody has acknowledged them
    flapping     one alert begins and ends again and again
    blind        this service did not run, so nothing is known of that time
    test         somebody tries the receiver
"""


class MessageAlert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert in a message; times in ns since 1970, 0: never, or not yet. `subject`: a device's id, or a group."""

    number: int
    rule: str
    severity: Severity
    subject: str
    state: AlertState
    since_ns: int
    fired_at_ns: int
    last_received_ns: int = 0
    resolved_at_ns: int = 0
    resolution: Resolution = ""
    value: float | None = None
    unit: str = ""
    times: int = 1
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner: str = ""
    acknowledged_by: str = ""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A common cause: an incident of devices that share the value of a label.

    Attributes:
        down: how many of the devices are down now; of an incident that is over, those that are told of on their own.
        devices: how many have this value of the label.
        explanation: how it was found, with the figures of that time.
    """

    incident: int
    label: str
    value: str
    down: int
    devices: int
    explanation: str


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one receiver is told.

    Attributes:
        key: the same for every try, and for nothing else: receivers know by it what they have already.
        at_ns: when it was decided; all that it says is of this time.
        group: what the alerts share: names and values of `group_by`.
        alerts: the first of them; `firing` and `resolved` count all.
        omitted: how many further alerts there are than are listed.
        beyond: of how many further subjects a condition is true that have no alert: `alerts_open_max` is reached.
        blind_ns: of the kind `blind`: the span in which the service did not run.
        escalation: which step, counted from 1; 0: none.
    """

    key: str
    receiver: str
    kind: MessageKind
    at_ns: int
    severity: Severity = "warning"
    group: dict[str, str] = {}
    firing: int = 0
    resolved: int = 0
    omitted: int = 0
    beyond: int = 0
    alerts: tuple[MessageAlert, ...] = ()
    cause: Cause | None = None
    blind_ns: tuple[int, int] | None = None
    escalation: int = 0

"""Which alerts somebody wants to see."""

from typing import Literal, NamedTuple, get_args

from fleetpulse.model.access import Scope
from fleetpulse.model.alert_rule import Severity

AlertSelection = Literal["open", "pending", "firing", "resolved", "all"]
ALERT_SELECTIONS: tuple[AlertSelection, ...] = get_args(AlertSelection)
"""`open` are those that are pending or firing; `all` are those that have ever fired."""


class AlertFilter(NamedTuple):
    """What alerts must be; None, empty or 0: anything.

    Attributes:
        devices: numbers of devices, any of them; None: of all devices and groups.
        labels: those of the device, all of them.
        since_ns, until_ns: when it fired last, [since, until).
    """

    state: AlertSelection = "firing"
    severity: Severity | None = None
    rule: str = ""
    devices: tuple[int, ...] | None = None
    labels: Scope = ()
    incident: int = 0
    is_acknowledged: bool | None = None
    since_ns: int = 0
    until_ns: int = 2**63 - 1

"""A rule of alerts, and who declared it."""

from typing import Literal, NamedTuple

from fleetpulse.model.alert_rule import AlertRule

RuleOrigin = Literal["default", "file", "api"]
"""Who declared a rule as it is.

    default    nobody: it came with the service
    file       alerts.toml
    api        people, over HTTP or by a command
"""


class DeclaredRule(NamedTuple):
    """A rule as it was declared last.

    Attributes:
        changed_at_ns: when; 0 of defaults.
        is_removed: it is not there any more, which must be known so that neither a file nor a default brings it back.
    """

    rule: AlertRule
    origin: RuleOrigin
    changed_at_ns: int = 0
    is_removed: bool = False

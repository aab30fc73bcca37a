"""The body of a request to rehearse a rule of alerts."""

from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.alert_declarations import RuleBody, new_rule
from fleetpulse.model.alert_rule import AlertRule

UNNAMED = "proposed"


class RehearsalBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A rule that is declared, by its `name`; or one that is only proposed, as `rule`."""

    name: Annotated[str, Meta(description="of a rule that is declared", examples=["device-offline"])] = ""
    rule: Annotated[RuleBody | None, Meta(description="a rule that is proposed, perhaps in place of `name`")] = None


def proposed_rule(body: RehearsalBody) -> AlertRule | None:
    """The rule that is proposed; None: the declared one is meant. Raises: OutOfRange: it is wrong, or there is none."""
    if body.rule is not None:
        return new_rule(body.name or UNNAMED, body.rule)
    if not body.name:
        raise OutOfRange("give the `name` of a rule that is declared, or a `rule`", reason="alert_rule")
    return None

"""The rules of alerts that are in effect from the first start, until people change or remove them."""

from fleetpulse.ingest.alert_declarations import NamedRuleBody, rule_of
from fleetpulse.model.alert_rule import AlertRule

_DEVICE = "{device} is offline since {since}; it was last heard {last_seen}"
_BODIES = (
    # A device is down when interval and grace have passed since it was last heard: by default, those are 5 minutes.
    NamedRuleBody(name="device-offline", kind="device_down", severity="critical", annotations={"summary": _DEVICE}),
    NamedRuleBody(
        name="device-clock",
        kind="drift",
        condition="drift > 5m until < 1m",
        severity="info",
        for_="10m",
        annotations={"summary": "the clock of {device} is wrong by {value} since {since}"},
    ),
    NamedRuleBody(
        name="service-errors",
        kind="service",
        condition="error_ratio over 5m > 1 %",
        severity="critical",
        annotations={"summary": "{value} of the answers of this service are errors (5xx)"},
    ),
    NamedRuleBody(
        name="service-ingest-lag",
        kind="service",
        condition="ingest_lag > 30s until < 5s",
        for_="1m",
        annotations={"summary": "events wait for {value} until they count"},
    ),
    NamedRuleBody(
        name="service-checkpoint-age",
        kind="service",
        condition="checkpoint_age > 2h",
        annotations={"summary": "the last checkpoint is {value} old: a restart takes longer, and the journal grows"},
    ),
    NamedRuleBody(
        name="service-disk",
        kind="service",
        condition="disk_free < 10 % until > 12 %",
        severity="critical",
        for_="1m",
        annotations={"summary": "only {value} of the disk is free; when it is full, no events are accepted"},
    ),
    NamedRuleBody(
        name="service-clock",
        kind="service",
        condition="clock_behind > 1s",
        severity="critical",
        annotations={"summary": "the clock of the service is {value} behind: no events are accepted until it is right"},
    ),
)


def default_rules() -> dict[str, AlertRule]:
    """The rules by name, as people would have declared them."""
    return {body.name: rule_of(body.name, body) for body in _BODIES}

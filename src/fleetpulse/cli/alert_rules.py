"""`fleetpulse alerts rules`: what alerts are about."""

from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter

from fleetpulse.cli.client import Client, segment
from fleetpulse.cli.device_changes import message_parts
from fleetpulse.cli.flags import Duration, Labels, Service, action, labels_of, one_of
from fleetpulse.cli.tables import Part, facts_of, labels_cell, left, prose, table_of, time_cell
from fleetpulse.errors import CommandRefused, SettingsError
from fleetpulse.notation.count import count_text
from fleetpulse.query.alert_rule_answers import AlertRule, AlertRules, RulePreview
from fleetpulse.query.declaration_answers import Message

RULES = "/api/v1/alerts/rules"
NOT_FOUND = 404
SELECTION, STATE = one_of("Which devices"), one_of("Whether it watches")
RuleName = Annotated[str, Parameter(help="Name of the rule.")]
app = App(name="rules", help="List, declare and remove rules of alerts.")


def _check_annotations(_: object, texts: tuple[str, ...]) -> None:
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise ValueError(f'must be name=text such as "summary={{device}} is hot", not `{text}`')


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RuleFlags:
    """What a rule says.

    Attributes:
        kind: What it watches: device_down, metric, uptime_below, fleet, absent, drift or service.
        condition: When it is true, such as "cpu avg over 10m > 90"; of another form for each kind.
        severity: info, warning or critical (default: warning).
        for_: How long the condition must be true before the alert fires (default: 0s).
        keep_firing_for: How long it must be false before the alert is resolved (default: 0s).
        label: Only devices that have all of these labels; may be repeated.
        all_: All devices.
        owner: Whom it concerns, for people to read.
        annotation: A text for messages, such as "summary={device} is hot"; without a text, it is removed; may be
            repeated.
    """

    kind: Annotated[str | None, Parameter(metavar="KIND")] = None
    condition: Annotated[str | None, Parameter(metavar="TEXT")] = None
    severity: Annotated[str | None, Parameter(metavar="SEVERITY")] = None
    for_: Annotated[Duration, Parameter(name="--for")] = None
    keep_firing_for: Duration = None
    label: Annotated[Labels, Parameter(group=SELECTION)] = ()
    all_: Annotated[bool, Parameter(name="--all", group=SELECTION)] = False
    owner: Annotated[str | None, Parameter(metavar="TEXT")] = None
    annotation: Annotated[tuple[str, ...], Parameter(metavar="NAME=TEXT", validator=_check_annotations)] = ()

    def body(self, known: dict[str, Any]) -> dict[str, Any]:
        """The declaration with what the flags give. Args: known: that of before; empty: there was none."""
        given: dict[str, Any] = {"kind": self.kind, "condition": self.condition, "severity": self.severity}
        given |= {"for": self.for_, "keep_firing_for": self.keep_firing_for, "owner": self.owner}
        given["labels"] = {} if self.all_ else labels_of(self.label) or None
        body = dict(known)
        if self.kind is not None and self.kind != body.get("kind"):
            body.pop("condition", None)  # which is one of another kind
        body |= {field: value for field, value in given.items() if value is not None}
        body["annotations"] = annotated(known.get("annotations", {}), self.annotation)
        return body


@action(app, "fleetpulse alerts rules list")
def list_(*, service: Service = Service()) -> None:
    """List all rules, also those that are not enabled."""
    service.ask(RULES, shape=AlertRules, parts=rules_parts)


def rules_parts(answer: AlertRules) -> list[Part]:
    """A table with a line a rule."""
    titles = ("rule", "kind", "condition", "for", "severity")
    rows = [
        [
            *(rule.name, rule.kind, rule.condition, rule.for_, rule.severity),
            *(labels_cell(rule.labels), rule.owner, rule.origin, "" if rule.enabled else "disabled"),
        ]
        for rule in answer.rules
    ]
    return [table_of([*map(left, titles), prose("devices"), prose("owner"), left("origin"), left("")], rows)]


@action(app, "fleetpulse alerts rules show device-offline")
def show(name: RuleName, /, *, service: Service = Service()) -> None:
    """Show one rule."""
    service.ask(_path(name), shape=AlertRule, parts=rule_parts)


def rule_parts(rule: AlertRule) -> list[Part]:
    """All that a rule says."""
    facts = [
        ("name", rule.name),
        ("kind", rule.kind),
        ("condition", rule.condition),
        ("for", rule.for_),
        ("keep firing for", rule.keep_firing_for),
        ("severity", rule.severity),
        ("devices", labels_cell(rule.labels) or ("" if rule.kind == "service" else "all")),
        ("owner", rule.owner),
        *((name, text) for name, text in rule.annotations.items()),
        ("enabled", "yes" if rule.enabled else "no"),
        ("origin", rule.origin),
        ("changed", time_cell(rule.changed_at)),
    ]
    return [facts_of(facts)]


@action(
    app,
    'fleetpulse alerts rules set cpu-high --kind metric --condition "cpu avg over 10m > 90 until < 85" --for 5m',
    "fleetpulse alerts rules set device-offline --for 15m --label site:paris",
)
def set_(
    name: RuleName,
    /,
    *,
    flags: RuleFlags = RuleFlags(),
    enable: Annotated[bool, Parameter(group=STATE)] = False,
    disable: Annotated[bool, Parameter(group=STATE)] = False,
    service: Service = Service(),
) -> None:
    """Declare a rule, or change one; of a rule that there is, what is not given stays as it is.

    Args:
        enable: It watches (default).
        disable: It stays declared, and watches nothing.
    """
    with service.client() as client:
        known = rule_body(client, name)
        if not known and flags.kind is None:
            raise SettingsError(f"there is no rule {name} yet: say with --kind what a new one is to watch.")
        body = flags.body(known) | ({"enabled": enable} if enable or disable else {})
        answer = client.send("PUT", _path(name), body=body)
    service.show(answer, AlertRule, rule_parts)


@action(
    app,
    'fleetpulse alerts rules try --kind metric --condition "cpu avg over 10m > 90"',
    "fleetpulse alerts rules try device-offline --for 1m",
)
def try_(
    name: Annotated[str | None, Parameter(help="Name of a rule that there is.")] = None,
    /,
    *,
    flags: RuleFlags = RuleFlags(),
    service: Service = Service(),
) -> None:
    """Show which alerts a rule would have now, and why; nothing is changed, and nobody is told.

    With a name, it is that rule, with what else is given changed.
    """
    with service.client() as client:
        known = {} if name is None else client.get(_path(name)).into(dict[str, Any])
        client.notes.clear()  # they are about the rule as it is
        if not known and flags.kind is None:
            raise SettingsError("say which rule: give its name, or --kind and --condition.")
        body = flags.body(_declared(known)) | ({} if name is None else {"name": name})
        answer = client.send("POST", f"{RULES}/preview", body=body)
    service.show(answer, RulePreview, preview_parts)


def preview_parts(answer: RulePreview) -> list[Part]:
    """A line for each alert that there would be, then the counts, and the figures that are nearest to the threshold."""
    rows = [
        [alert.subject, alert.state, figure_cell(alert.value, alert.unit), time_cell(alert.since), alert.why]
        for alert in answer.alerts
    ]
    titles = ("subject", "would be", "figure", "true since")
    table = [table_of([*map(left, titles), prose("why")], rows)] if rows else []
    texts = [text for alert in answer.alerts[:1] for text in alert.annotations.values()]
    about = "the service" if answer.devices is None else count_text(answer.devices, "device")
    counts = f"Of {about}: would fire now: {answer.firing}, would fire later: {answer.pending}"
    more = [f"… and {answer.firing + answer.pending - len(rows)} more."] if answer.alerts_capped else []
    closest = ", ".join(f"{one.subject} {figure_cell(one.value, one.unit)}" for one in answer.closest)
    return [
        *table,
        *more,
        *(f"The first one says: {text}" for text in texts),
        f"{counts}; nothing can be said of: {answer.withheld}.",
        *([f"Nearest to the threshold: {closest}."] if closest else []),
    ]


def figure_cell(value: float | None, unit: str) -> str:
    """A figure with its unit."""
    return "" if value is None else f"{value:.6g} {unit}".rstrip()


def rule_body(client: Client, name: str) -> dict[str, Any]:
    """The declaration of a rule as a request has it; empty where there is none of this name."""
    try:
        return _declared(client.get(_path(name)).into(dict[str, Any]))
    except CommandRefused as error:
        if error.status != NOT_FOUND:
            raise
        return {}
    finally:
        client.notes.clear()  # they are about the rule as it was


def _declared(rule: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in rule.items() if field not in ("name", "origin", "changed_at", "notes")}


def annotated(known: dict[str, str], texts: tuple[str, ...]) -> dict[str, str]:
    """Texts by name after those of flags; an empty one removes its name."""
    changed = known | {name: text for name, _, text in (text.partition("=") for text in texts)}
    return {name: text for name, text in changed.items() if text}


@action(app, "fleetpulse alerts rules remove device-clock")
def remove(name: RuleName, /, *, service: Service = Service()) -> None:
    """Remove a rule, one of those that came with the service, too; its alerts end."""
    service.ask(_path(name), method="DELETE", shape=Message, parts=message_parts)


def _path(name: str) -> str:
    return f"{RULES}/{segment(name)}"

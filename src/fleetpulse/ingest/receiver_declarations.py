"""Receivers and routes as people declare them, over HTTP and in alerts.toml: bodies become checked values.

Whatever goes the other way, to answers, logs and the audit log, has no secret: of a URL it says that it is there.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.device_declarations import DurationText
from fleetpulse.ingest.window_declarations import WEEKDAYS, WeeklyBody, new_recurrence
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.model.declaration_merge import Fields
from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.receiver import (
    RECEIVER_KINDS,
    TEMPLATE_CHARS_MAX,
    EscalationStep,
    Matcher,
    Receiver,
    Route,
    check_receiver,
    check_route,
)
from fleetpulse.notation.duration import format_seconds, parse_length
from fleetpulse.notation.whole import whole

HIDDEN = "(hidden)"
_SECRETS = ("url", "secret")

KindText = Annotated[
    str, Meta(description="how it is reached", examples=["webhook"], extra_json_schema={"enum": list(RECEIVER_KINDS)})
]
SecretPath = Annotated[
    str, Meta(description="or the path of a file of the server that has it, read at each try", examples=[""])
]
TemplateText = Annotated[
    str,
    Meta(
        description="a template; empty: the built-in text",
        examples=["{status}: {what}"],
        extra_json_schema={"maxLength": TEMPLATE_CHARS_MAX},
    ),
]
NameTexts = Annotated[list[str], Meta(examples=[["hook"]])]
Severities = Annotated[
    list[str], Meta(description="of one of these severities; empty: of any", examples=[["critical"]])
]


class ReceiverBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whom messages go to. Fields that are left out have these defaults."""

    kind: KindText
    url: Annotated[
        str,
        Meta(
            description="where to: http(s) of a webhook or Alertmanager, or a URL of Apprise; no answer shows it again",
            examples=["https://hooks.example.com/alerts"],
        ),
    ] = ""
    url_file: SecretPath = ""
    secret: Annotated[
        str, Meta(description="with which webhooks are signed; no answer shows it again", examples=[""])
    ] = ""
    secret_file: SecretPath = ""
    private: Annotated[
        bool, Meta(description="it may be an address of a private network or of the server itself", examples=[False])
    ] = False
    resolved: Annotated[bool, Meta(description="it is told of the end of alerts, too", examples=[True])] = True
    title: TemplateText = ""
    body: TemplateText = ""


class NamedReceiverBody(ReceiverBody, forbid_unknown_fields=True, kw_only=True):
    """A receiver with its name."""

    name: Annotated[str, Meta(examples=["hook"])]


class MatcherBody(msgspec.Struct, forbid_unknown_fields=True):
    """A label that alerts must have with one of these values, or with none of them."""

    label: Annotated[str, Meta(examples=["site"])]
    values: Annotated[list[str], Meta(examples=[["paris", "lyon"]])]
    negated: bool = False


class EscalationBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who is told, too, of what nobody has acknowledged so long after its first message."""

    after: DurationText
    receivers: NameTexts


class RouteBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which alerts go to which receivers. Fields that are left out have these defaults."""

    receivers: NameTexts
    order: Annotated[
        int | float,
        Meta(
            description="routes are tried by this, then by name",
            examples=[10],
            extra_json_schema={"type": "integer"},  # which 10.0 is, too
        ),
    ] = 0
    matchers: Annotated[list[MatcherBody], Meta(description="all of them must hold")] = []
    severities: Severities = []
    rules: Annotated[list[str], Meta(description="of one of these rules; empty: of any", examples=[["offline"]])] = []
    continues: Annotated[bool, Meta(description="further routes are tried, too", examples=[False])] = msgspec.field(
        default=False, name="continue"
    )
    group_by: Annotated[
        list[str],
        Meta(
            description="alerts that share these labels are told together; also `rule`, `severity`", examples=[["rule"]]
        ),
    ] = msgspec.field(default_factory=lambda: ["rule"])
    group_wait: Annotated[DurationText, Meta(description="how long the first message of a group waits")] = "0s"
    group_interval: Annotated[DurationText, Meta(description="time until the next one of the group")] = "1m"
    repeat_interval: Annotated[DurationText, Meta(description="time between reminders; 0s: there are none")] = "4h"
    on_call: Annotated[list[WeeklyBody], Meta(description="it applies in these local times only; empty: always")] = []
    quiet_hours: Annotated[list[WeeklyBody], Meta(description="messages wait until these local times are over")] = []
    quiet_except: Annotated[
        list[str], Meta(description="severities that are told in quiet hours, too", examples=[["critical"]])
    ] = msgspec.field(default_factory=lambda: ["critical"])
    escalation: list[EscalationBody] = []
    resolved: Annotated[bool, Meta(description="the end of alerts is told", examples=[True])] = True


class NamedRouteBody(RouteBody, forbid_unknown_fields=True, kw_only=True):
    """A route with its name."""

    name: Annotated[str, Meta(examples=["all"])]


def receiver_of(name: str, body: ReceiverBody, *, complete: Callable[[Receiver], Receiver] | None = None) -> Receiver:
    """The checked receiver; its templates are for the caller to check. Raises: ValueError: says what is wrong.

    Args: complete: adds to one without a URL that of the receiver that there is.
    """
    receiver = Receiver(
        name=name,
        kind=body.kind,  # type: ignore[arg-type]  # check_receiver compares it with those that there are
        url=body.url,
        url_file=body.url_file,
        secret=body.secret,
        secret_file=body.secret_file,
        allows_private=body.private,
        sends_resolved=body.resolved,
        title_template=body.title,
        body_template=body.body,
    )
    if complete is not None and not (body.url or body.url_file):
        receiver = complete(receiver)
    check_receiver(receiver)
    return receiver


def route_of(name: str, body: RouteBody) -> Route:
    """The checked route. Raises: ValueError: says what is wrong."""
    for severity in (*body.severities, *body.quiet_except):
        if severity not in SEVERITIES:
            raise ValueError(f"a severity is one of {', '.join(SEVERITIES)}, not `{severity[:64]}`")
    order = whole(body.order)
    if order is None:
        raise ValueError("order must be a whole number")
    route = Route(
        name=name,
        receivers=tuple(dict.fromkeys(body.receivers)),
        order=order,
        matchers=tuple(Matcher(one.label, tuple(one.values), one.negated) for one in body.matchers),
        severities=tuple(body.severities),
        rules=tuple(body.rules),
        continues=body.continues,
        group_by=tuple(body.group_by),
        group_wait_s=_seconds("group_wait", body.group_wait),
        group_interval_s=_seconds("group_interval", body.group_interval),
        repeat_interval_s=_seconds("repeat_interval", body.repeat_interval),
        on_call=tuple(new_recurrence(one) for one in body.on_call),
        quiet_hours=tuple(new_recurrence(one) for one in body.quiet_hours),
        quiet_except=tuple(body.quiet_except),
        escalation=tuple(EscalationStep(_seconds("after", one.after), tuple(one.receivers)) for one in body.escalation),
        sends_resolved=body.resolved,
    )
    check_route(route)
    return route


def _seconds(field: str, text: str) -> int:
    try:
        return parse_length(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


def new_receiver(name: str, body: ReceiverBody, *, complete: Callable[[Receiver], Receiver] | None = None) -> Receiver:
    """The checked receiver of a request, see `receiver_of`. Raises: OutOfRange."""
    try:
        return receiver_of(name, body, complete=complete)
    except ValueError as error:
        raise OutOfRange(str(error), reason="receiver") from error


def new_route(name: str, body: RouteBody) -> Route:
    """The checked route of a request. Raises: OutOfRange."""
    try:
        return route_of(name, body)
    except ValueError as error:
        raise OutOfRange(str(error), reason="route") from error


def receiver_body(receiver: Receiver) -> ReceiverBody:
    """The declaration of a receiver, with its secrets."""
    return ReceiverBody(
        kind=receiver.kind,
        url=receiver.url,
        url_file=receiver.url_file,
        secret=receiver.secret,
        secret_file=receiver.secret_file,
        private=receiver.allows_private,
        resolved=receiver.sends_resolved,
        title=receiver.title_template,
        body=receiver.body_template,
    )


def route_body(route: Route) -> RouteBody:
    """The declaration of a route, in its canonical form."""
    return RouteBody(
        receivers=list(route.receivers),
        order=route.order,
        matchers=[MatcherBody(one.label, list(one.values), one.is_negated) for one in route.matchers],
        severities=list(route.severities),
        rules=list(route.rules),
        continues=route.continues,
        group_by=list(route.group_by),
        group_wait=format_seconds(route.group_wait_s),
        group_interval=format_seconds(route.group_interval_s),
        repeat_interval=format_seconds(route.repeat_interval_s),
        on_call=[_weekly(one) for one in route.on_call],
        quiet_hours=[_weekly(one) for one in route.quiet_hours],
        quiet_except=list(route.quiet_except),
        escalation=[EscalationBody(format_seconds(one.after_s), list(one.receivers)) for one in route.escalation],
        resolved=route.sends_resolved,
    )


def _weekly(recurrence: Recurrence) -> WeeklyBody:
    return WeeklyBody(
        at=f"{recurrence.start_minute // 60:02}:{recurrence.start_minute % 60:02}",
        duration=format_seconds(recurrence.duration_s),
        timezone=recurrence.timezone,
        weekdays=[WEEKDAYS[day] for day in recurrence.weekdays] or None,
    )


def hidden(_: str) -> str:
    """What stands in place of a secret."""
    return HIDDEN


def receiver_fields(receiver: Receiver, *, hide: Callable[[str], str] = hidden) -> dict[str, Any]:
    """The fields of a receiver as files are merged by and the audit log has them: `hide` stands for each secret."""
    fields: dict[str, Any] = msgspec.to_builtins(receiver_body(receiver))
    return {name: hide(value) if name in _SECRETS and value else value for name, value in fields.items()}


def route_fields(route: Route) -> dict[str, Any]:
    """The fields of a route as files are merged by, and the audit log has them."""
    fields: dict[str, Any] = msgspec.to_builtins(route_body(route))
    return fields


def receiver_with(name: str, fields: Fields) -> Receiver:
    """The checked receiver with these fields, and defaults for all others. Raises: ValueError."""
    return receiver_of(name, msgspec.convert(dict(fields), ReceiverBody))


def route_with(name: str, fields: Fields) -> Route:
    """The checked route with these fields, and defaults for all others. Raises: ValueError."""
    return route_of(name, msgspec.convert(dict(fields), RouteBody))

"""The shape of answers about receivers, routes and messages; no URL and no secret is in any."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from fleetpulse.ingest.device_declarations import DurationText
from fleetpulse.ingest.receiver_declarations import (
    EscalationBody,
    KindText,
    MatcherBody,
    NameTexts,
    Severities,
    TemplateText,
    receiver_fields,
    route_body,
)
from fleetpulse.ingest.window_declarations import WeeklyBody
from fleetpulse.model.outbox import OUTBOX_STATES, OutboxCounts, OutboxEntry
from fleetpulse.model.receiver import Receiver, Route
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, Time

ReceiverName = Annotated[str, Meta(description="name of a receiver", examples=["hook"])]
RouteName = Annotated[str, Meta(description="name of a route", examples=["all"])]
HiddenText = Annotated[str, Meta(description="`(hidden)` where there is one, else empty", examples=["(hidden)"])]
PathText = Annotated[str, Meta(description="path of the file that has it; empty: none", examples=[""])]


class AlertReceiver(Struct, kw_only=True):
    """A receiver."""

    name: ReceiverName
    kind: KindText
    url: HiddenText
    url_file: PathText
    secret: HiddenText
    secret_file: PathText
    private: Annotated[bool, Meta(description="it may be an address of a private network", examples=[False])]
    resolved: Annotated[bool, Meta(description="it is told of the end of alerts, too", examples=[True])]
    title: TemplateText
    body: TemplateText
    waiting: Annotated[Count, Meta(description="messages that wait for their delivery", examples=[0])]
    oldest_waiting_at: Annotated[Time | None, Meta(description="since when the oldest waits; null: none does")]
    delivered: Annotated[Count, Meta(description="delivered messages, of those that are kept (outbox_kept_max)")]
    dead: Annotated[Count, Meta(description="messages that were given up", examples=[0])]


class AlertReceivers(Struct):
    """All receivers, by name."""

    receivers: list[AlertReceiver]


class AlertRoute(Struct, kw_only=True):
    """A route, in its canonical form."""

    name: RouteName
    receivers: NameTexts
    order: Annotated[int, Meta(description="routes are tried by this, then by name", examples=[0])]
    matchers: list[MatcherBody]
    severities: Severities
    rules: Annotated[list[str], Meta(examples=[["device-offline"]])]
    continues: Annotated[bool, Meta(examples=[False])] = msgspec.field(name="continue")
    group_by: Annotated[list[str], Meta(examples=[["rule"]])]
    group_wait: DurationText
    group_interval: DurationText
    repeat_interval: DurationText
    on_call: list[WeeklyBody]
    quiet_hours: list[WeeklyBody]
    quiet_except: Severities
    escalation: list[EscalationBody]
    resolved: Annotated[bool, Meta(examples=[True])]
    is_declared: Annotated[
        bool, Meta(description="false: nobody declared a route, so this one tells every receiver everything")
    ]


class AlertRoutes(Struct):
    """The routes that are in effect, in the order in which they are tried."""

    routes: list[AlertRoute]


class OutboxMessage(Struct, kw_only=True):
    """A message to a receiver, and what became of it."""

    number: Annotated[int, Meta(ge=1, examples=[17])]
    key: Annotated[str, Meta(description="the same in every try", examples=["r12-hook"])]
    receiver: ReceiverName
    kind: Annotated[str, Meta(description="why it is sent", examples=["firing"])]
    severity: Annotated[str, Meta(examples=["critical"])]
    what: Annotated[str, Meta(examples=["press-07: device-offline since 2026-11-24T08:30:00Z"])]
    decided_at: Time
    state: Annotated[str, Meta(examples=["delivered"], extra_json_schema={"enum": list(OUTBOX_STATES)})]
    tries: Annotated[Count, Meta(examples=[1])]
    retry_at: Annotated[Time | None, Meta(description="not before; null: at once, or it has ended")]
    outcome: Annotated[str, Meta(description="what came of the last try", examples=["the receiver answered 200"])]
    ended_at: Annotated[Time | None, Meta(description="when it was delivered or given up; null: it waits")]


class Outbox(Struct):
    """Messages, the newest first."""

    messages: list[OutboxMessage]
    next_cursor: Annotated[
        str | None, Meta(description="`cursor` of the next page; null: there is none", examples=["17"])
    ]


class RetriedMessages(Struct):
    """How many messages that were given up wait again."""

    retried: Annotated[Count, Meta(examples=[1])]


class TestedReceiver(Struct):
    """What came of a test message."""

    receiver: ReceiverName
    delivered: Annotated[bool, Meta(examples=[True])]
    outcome: Annotated[str, Meta(examples=["the receiver answered 200"])]


class PreviewedText(Struct):
    """The text of a message that was not sent."""

    title: Annotated[str, Meta(examples=["[TEST] This is a test of the receiver; nothing has happened"])]
    body: Annotated[str, Meta(examples=["This is a test of the receiver; nothing has happened."])]
    trouble: Annotated[str, Meta(description="why the templates were not used; empty: they were", examples=[""])]


def describe_receiver(receiver: Receiver, counts: OutboxCounts) -> AlertReceiver:
    """A receiver as people see it."""
    return AlertReceiver(
        name=receiver.name,
        **receiver_fields(receiver),
        waiting=counts.waiting,
        oldest_waiting_at=format_rfc3339(counts.oldest_ns) if counts.oldest_ns else None,
        delivered=counts.delivered,
        dead=counts.dead,
    )


def describe_route(route: Route, *, is_declared: bool) -> AlertRoute:
    """A route as people see it."""
    return AlertRoute(name=route.name, is_declared=is_declared, **msgspec.structs.asdict(route_body(route)))


def describe_message(entry: OutboxEntry, what: str) -> OutboxMessage:
    """A message as people see it. Args: what: what it tells, in a sentence."""
    message = entry.message
    return OutboxMessage(
        number=entry.number,
        key=message.key,
        receiver=message.receiver,
        kind=message.kind,
        severity=message.severity,
        what=what,
        decided_at=format_rfc3339(message.at_ns),
        state=entry.state,
        tries=entry.tries,
        retry_at=format_rfc3339(entry.next_try_ns) if entry.next_try_ns and not entry.ended_at_ns else None,
        outcome=entry.outcome,
        ended_at=format_rfc3339(entry.ended_at_ns) if entry.ended_at_ns else None,
    )

"""Receivers and routes: who is told of alerts, and which alerts go to whom, as people declare it."""

from typing import Literal, get_args
from urllib.parse import urlsplit

import msgspec

from fleetpulse.model.maintenance import Recurrence, check_recurrence
from fleetpulse.model.text import NAME_RULE, check_text, is_name

ReceiverKind = Literal["apprise", "webhook", "alertmanager"]
RECEIVER_KINDS: tuple[str, ...] = get_args(ReceiverKind)
URL_CHARS_MAX = 4_096
SECRET_CHARS_MAX = 4_096
TEMPLATE_CHARS_MAX = 16_384
NAMES_MAX = 64
"""How many receivers, matchers, rules, calendars or steps a route may name, each."""
WAIT_HIGHEST_S = 86_400
REPEAT_HIGHEST_S = 366 * 86_400
DEFAULT_ROUTE = "default"


class Receiver(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom messages go to. `url` and `secret` must never be shown: the URL of a receiver is mostly a password, too.

    Attributes:
        url: where to; instead of it, `url_file` names a file that has it, which is read at each delivery.
        secret: key of the signature of a webhook; or `secret_file`.
        allows_private: it may be an address of the own network or machine.
        sends_resolved: it is told of the end of alerts, too.
        title_template, body_template: texts; empty: the built-in ones.
    """

    name: str
    kind: ReceiverKind
    url: str = ""
    url_file: str = ""
    secret: str = ""
    secret_file: str = ""
    allows_private: bool = False
    sends_resolved: bool = True
    title_template: str = ""
    body_template: str = ""

    def __repr__(self) -> str:
        """Without URL and secret: it may come into a log."""
        return f"Receiver({self.name!r}, {self.kind!r})"


class Matcher(msgspec.Struct, frozen=True):
    """A label that must have one of `values`; with `is_negated`, none of them. A label that is missing has ``""``."""

    label: str
    values: tuple[str, ...]
    is_negated: bool = False

    def holds(self, value: str) -> bool:
        """Whether this value of the label matches."""
        return (value in self.values) != self.is_negated


class EscalationStep(msgspec.Struct, frozen=True):
    """Who else is told, once, of an alert that nobody has acknowledged `after_s` after its first message was due."""

    after_s: int
    receivers: tuple[str, ...]


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which alerts go to which receivers, when, and how they are grouped.

    Routes are tried by `order`, then by name. An alert takes the first one that matches, and the next ones, too, as
    long as those that it takes have `continues`.

    Attributes:
        matchers: all of them must hold of the labels of the alert.
        severities, rules: of one of these; empty: of any.
        group_by: alerts with equal values of these labels (or `rule`, `severity`) are told in one message.
        group_wait_s: how long the first message of a group waits for others.
        group_interval_s: how soon after a message of a group the next one may follow, which tells what changed.
        repeat_interval_s: how often a reminder says what is still firing and not acknowledged; 0: never.
        on_call: the route matches only in these local times; then the next route is tried. Empty: always.
        quiet_hours: messages wait until these are over, except those of `quiet_except`.
        quiet_except: severities that are told in quiet hours, too.
        escalation: by `after_s`, ascending.
        sends_resolved: the end of alerts is told.
    """

    name: str
    receivers: tuple[str, ...]
    order: int = 0
    matchers: tuple[Matcher, ...] = ()
    severities: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    continues: bool = False
    group_by: tuple[str, ...] = ("rule",)
    group_wait_s: int = 0
    group_interval_s: int = 60
    repeat_interval_s: int = 14_400
    on_call: tuple[Recurrence, ...] = ()
    quiet_hours: tuple[Recurrence, ...] = ()
    quiet_except: tuple[str, ...] = ("critical",)
    escalation: tuple[EscalationStep, ...] = ()
    sends_resolved: bool = True


class Routing(msgspec.Struct, frozen=True):
    """All receivers by name, and all routes in the order in which they are tried."""

    receivers: dict[str, Receiver]
    routes: tuple[Route, ...]


NO_ROUTING = Routing({}, ())


def routing_of(receivers: list[Receiver], routes: list[Route]) -> Routing:
    """What is in effect of these declarations. Without any route, one named `default` tells everybody everything."""
    known = {receiver.name: receiver for receiver in sorted(receivers, key=lambda one: one.name)}
    if not routes and known:
        routes = [Route(name=DEFAULT_ROUTE, receivers=tuple(known))]
    return Routing(known, tuple(sorted(routes, key=lambda route: (route.order, route.name))))


def check_receiver(receiver: Receiver) -> None:
    """Raises: ValueError: says what is wrong and what is expected, and shows neither URL nor secret."""
    _check_name(receiver.name, "receiver")
    if receiver.kind not in RECEIVER_KINDS:
        raise ValueError(f"kind must be one of {', '.join(RECEIVER_KINDS)}, not `{receiver.kind[:64]}`")
    if bool(receiver.url) == bool(receiver.url_file):
        raise ValueError("give either `url`, or `url_file`, the path of a file that has it")
    if receiver.secret and receiver.secret_file:
        raise ValueError("give either `secret`, or `secret_file`, the path of a file that has it")
    if (receiver.secret or receiver.secret_file) and receiver.kind != "webhook":
        raise ValueError("only a receiver of kind webhook has a `secret`: it signs what is sent")
    for field, text in (("url_file", receiver.url_file), ("secret_file", receiver.secret_file)):
        check_text(text, field=field, chars_max=URL_CHARS_MAX)
        if text and not text.startswith("/"):
            raise ValueError(f"{field} must be an absolute path, such as /etc/fleetpulse/webhook-url")
    check_text(receiver.secret, field="secret", chars_max=SECRET_CHARS_MAX)
    if receiver.url:
        check_receiver_url(receiver.kind, receiver.url)
    for field, text in (("title", receiver.title_template), ("body", receiver.body_template)):
        check_text(text, field=field, chars_max=TEMPLATE_CHARS_MAX)


def check_receiver_url(kind: str, url: str) -> None:
    """Raises: ValueError: `url` cannot be one of a receiver of this kind; the error does not show it."""
    check_text(url, field="url", chars_max=URL_CHARS_MAX)
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("url must have no spaces and no control characters: write them as %20 and the like")
    if kind == "apprise":
        if "://" not in url:
            raise ValueError("url must be one of Apprise, such as mailto://user:password@example.com")
        return
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError("url cannot be read: expected one such as https://example.com/alerts") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url must be http:// or https:// with a host, such as https://example.com/alerts")
    if parts.fragment:
        raise ValueError("url must have no part behind #, which is never sent")


def check_route(route: Route) -> None:
    """Raises: ValueError: says what is wrong and what is expected."""
    _check_name(route.name, "route")
    _check_names(route)
    for field, seconds, highest in (
        ("group_wait", route.group_wait_s, WAIT_HIGHEST_S),
        ("group_interval", route.group_interval_s, WAIT_HIGHEST_S),
        ("repeat_interval", route.repeat_interval_s, REPEAT_HIGHEST_S),
    ):
        if not 0 <= seconds <= highest:
            raise ValueError(f"{field} must be 0s to {highest}s, not {seconds}s")
    if 0 < route.repeat_interval_s < 60:
        raise ValueError("repeat_interval must be at least 1m, or 0s for no reminders")
    for matcher in route.matchers:
        if not matcher.values:
            raise ValueError(f"the matcher of label {matcher.label} names no value")
        for value in matcher.values:
            check_text(value, field=f"a value of label {matcher.label}", chars_max=256)
    for recurrence in (*route.on_call, *route.quiet_hours):
        check_recurrence(recurrence)
    last_s = 0
    for step in route.escalation:
        if not last_s < step.after_s <= REPEAT_HIGHEST_S:
            raise ValueError("escalation steps must come later one after the other, the first after at least 1s")
        last_s = step.after_s
        if not step.receivers:
            raise ValueError(f"the escalation after {step.after_s}s names no receiver")


def _check_names(route: Route) -> None:
    if not route.receivers:
        raise ValueError("a route must name at least one receiver")
    named = [name for step in route.escalation for name in step.receivers]
    for field, names in (
        ("receivers", (*route.receivers, *named)),
        ("labels of matchers", tuple(matcher.label for matcher in route.matchers)),
        ("labels of group_by", route.group_by),
    ):
        for name in names:
            if not is_name(name):
                raise ValueError(f"{field}: `{name[:64]}` is no name: expected {NAME_RULE}")
    lists = (route.matchers, route.receivers, route.rules, route.on_call, route.quiet_hours, route.escalation)
    if any(len(one) > NAMES_MAX for one in (*lists, route.group_by, named)):
        raise ValueError(f"a route may have at most {NAMES_MAX} receivers, matchers, rules, calendars and steps, each")
    if not -1_000_000 <= route.order <= 1_000_000:
        raise ValueError("order must be -1000000 to 1000000")


def _check_name(name: str, what: str) -> None:
    if not is_name(name):
        raise ValueError(f"the name of a {what} must be {NAME_RULE}, not `{name[:64]}`")

"""What is refused of receivers and routes, and which of them are in effect."""

import msgspec
import pytest

from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.receiver import (
    NO_ROUTING,
    EscalationStep,
    Matcher,
    Receiver,
    Route,
    check_receiver,
    check_route,
    routing_of,
)

HOOK = Receiver(name="hook", kind="webhook", url="https://example.com/alerts?key=hidden")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "no spaces"}, "the name of a receiver"),
        ({"kind": "pigeon"}, "kind must be one of"),
        ({"url": ""}, "either `url`"),
        ({"url_file": "/run/url"}, "either `url`"),
        ({"url": "", "url_file": "relative"}, "absolute path"),
        ({"secret": "s", "secret_file": "/run/secret"}, "either `secret`"),
        ({"secret": "s", "kind": "apprise"}, "only a receiver of kind webhook"),
        ({"url": "ftp://example.com/hidden"}, "http:// or https://"),
        ({"url": "https://example.com/hidden#part"}, "behind #"),
        ({"url": "https://example.com:hidden/"}, "cannot be read"),
        ({"url": "https:///hidden"}, "with a host"),
        ({"url": "https://example.com/hidden there"}, "no spaces"),
        ({"url": "https://example.com/hidden\r\n"}, "no spaces"),
        ({"url": "hidden", "kind": "apprise"}, "one of Apprise"),
        ({"body_template": "a" * 16_385}, "body must be"),
    ],
)
def test_a_wrong_receiver_is_refused_and_its_url_not_shown(changes: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        check_receiver(msgspec.structs.replace(HOOK, **changes))
    assert "hidden" not in str(caught.value)


def test_a_receiver_that_is_printed_shows_no_secret() -> None:
    assert repr(HOOK) == "Receiver('hook', 'webhook')"


def test_receivers_of_every_kind_are_taken() -> None:
    for receiver in (
        HOOK,
        Receiver(name="mail", kind="apprise", url="mailto://a:b@example.com"),
        Receiver(name="am", kind="alertmanager", url="http://127.0.0.1:9093", allows_private=True),
        Receiver(name="file", kind="webhook", url_file="/run/url", secret_file="/run/file"),  # noqa: S106 - a path
    ):
        check_receiver(receiver)


NIGHT = Recurrence((), 22 * 60, 8 * 3600, "Europe/Paris")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": ""}, "the name of a route"),
        ({"receivers": ()}, "at least one receiver"),
        ({"receivers": ("no name",)}, "is no name"),
        ({"group_wait_s": -1}, "group_wait must be"),
        ({"group_interval_s": 86_401}, "group_interval must be"),
        ({"repeat_interval_s": 5}, "at least 1m"),
        ({"matchers": (Matcher("site", ()),)}, "names no value"),
        ({"matchers": (Matcher("a b", ("paris",)),)}, "is no name"),
        ({"escalation": (EscalationStep(0, ("hook",)),)}, "one after the other"),
        ({"escalation": (EscalationStep(60, ()),)}, "names no receiver"),
        ({"quiet_hours": (Recurrence((), 0, 3600, "Mars/Base"),)}, "time zone"),
        ({"receivers": ("hook",) * 65}, "at most 64"),
        ({"order": 10_000_000}, "order must be"),
    ],
)
def test_a_wrong_route_is_refused(changes: dict[str, object], text: str) -> None:
    route = Route(name="all", receivers=("hook",), quiet_hours=(NIGHT,), escalation=(EscalationStep(60, ("boss",)),))
    check_route(route)
    with pytest.raises(ValueError, match=text):
        check_route(msgspec.structs.replace(route, **changes))


def test_without_a_route_everybody_is_told_everything() -> None:
    routing = routing_of([HOOK], [])
    assert [(route.name, route.receivers) for route in routing.routes] == [("default", ("hook",))]
    assert routing_of([], []) == NO_ROUTING


def test_routes_are_tried_by_their_order() -> None:
    routes = [Route(name=name, receivers=("hook",), order=order) for name, order in (("b", 0), ("a", 0), ("z", -1))]
    assert [route.name for route in routing_of([HOOK], routes).routes] == ["z", "a", "b"]


def test_a_matcher_compares_values_and_a_missing_label_is_empty() -> None:
    assert Matcher("site", ("paris", "lyon")).holds("lyon") and not Matcher("site", ("paris",)).holds("")
    assert Matcher("site", ("paris",), is_negated=True).holds("") and Matcher("site", ("",)).holds("")


def test_declarations_survive_as_json() -> None:
    route = Route(name="r", receivers=("hook",), quiet_hours=(NIGHT,), matchers=(Matcher("site", ("paris",)),))
    assert msgspec.json.decode(msgspec.json.encode(route), type=Route) == route

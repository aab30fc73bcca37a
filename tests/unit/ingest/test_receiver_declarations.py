"""Receivers and routes as people declare them: there and back, and without secrets where others look."""

import msgspec
import pytest

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.receiver_declarations import (
    ReceiverBody,
    RouteBody,
    new_receiver,
    new_route,
    receiver_body,
    receiver_fields,
    receiver_of,
    receiver_with,
    route_body,
    route_fields,
    route_of,
    route_with,
)
from fleetpulse.model.maintenance import Recurrence
from fleetpulse.model.receiver import EscalationStep, Matcher, Route

ROUTE = """{"receivers": ["hook"], "order": 5, "matchers": [{"label": "site", "values": ["paris"], "negated": true}],
    "severities": ["critical"], "rules": ["offline"], "continue": true, "group_by": ["site"], "group_wait": "1m",
    "group_interval": "0s", "repeat_interval": "1d",
    "on_call": [{"at": "08:00", "duration": "10h", "timezone": "Europe/Paris", "weekdays": ["monday", "friday"]}],
    "quiet_hours": [{"at": "22:30", "duration": "8h"}], "quiet_except": [], "resolved": false,
    "escalation": [{"after": "30m", "receivers": ["boss"]}]}"""


def test_a_route_is_read_and_written_back() -> None:
    body = msgspec.json.decode(ROUTE, type=RouteBody)
    route = new_route("day", body)
    assert (route.matchers, route.escalation) == (
        (Matcher("site", ("paris",), True),),
        (EscalationStep(1800, ("boss",)),),
    )
    assert route.on_call == (Recurrence((0, 4), 480, 36_000, "Europe/Paris"),)
    assert route.quiet_hours[0].weekdays == () and route.repeat_interval_s == 86_400 and route.continues
    assert route_of("day", route_body(route)) == route == route_with("day", route_fields(route))


def test_the_least_that_a_route_can_say() -> None:
    route = new_route("all", msgspec.json.decode('{"receivers": ["hook"]}', type=RouteBody))
    assert (route.group_by, route.group_wait_s, route.quiet_except) == (("rule",), 0, ("critical",))


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("group_wait", '"10"', "group_wait: `10` needs a unit"),
        ("severities", '["fatal"]', "a severity is one of info, warning, critical"),
        ("quiet_hours", '[{"at": "25:00", "duration": "1h"}]', "time of day"),
        ("receivers", "[]", "at least one receiver"),
    ],
)
def test_a_wrong_route_is_refused_with_what_is_expected(field: str, value: str, text: str) -> None:
    body = msgspec.json.decode(f'{{"receivers": ["hook"], "{field}": {value}}}', type=RouteBody)
    with pytest.raises(OutOfRange, match=text):
        new_route("wrong", body)


def test_a_receiver_is_read_and_written_back_and_its_secrets_are_hidden() -> None:
    # A secret of a test.
    body = ReceiverBody(kind="webhook", url="https://a.example/planted", secret="planted", title="{what}", private=True)  # noqa: S106
    receiver = new_receiver("hook", body)
    assert receiver_of("hook", receiver_body(receiver)) == receiver
    fields = receiver_fields(receiver)
    assert "planted" not in str(fields) and fields["url"] == fields["secret"] == "(hidden)"
    assert receiver_with("hook", receiver_fields(receiver, hide=lambda text: text)) == receiver
    assert receiver_fields(new_receiver("hook", ReceiverBody(kind="webhook", url_file="/run/u")))["url"] == ""
    with pytest.raises(OutOfRange, match="kind must be one of"):
        new_receiver("hook", ReceiverBody(kind="pigeon", url="a"))


def test_a_route_that_gives_nothing_else_has_the_defaults_of_routes() -> None:
    assert new_route("all", RouteBody(receivers=["hook"])) == Route(name="all", receivers=("hook",))
    with pytest.raises(OutOfRange, match="order must be a whole number"):
        new_route("all", RouteBody(receivers=["hook"], order=1.5))

"""The limits of keys, people, addresses and wrong keys."""

from collections.abc import Callable

import pytest

from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.access.rate_rules import RateRules
from fleetpulse.access_errors import TooManyRequests, Unauthenticated
from fleetpulse.model.access import EVERYBODY, LimitRule, Principal
from fleetpulse.rate_settings import RateSettings

READER = Principal(kind="key", name="key 5", role="read", key=5)
GATEWAY = Principal(kind="key", name="key 6 (hall 2)", role="ingest", key=6)
ALICE = Principal(kind="person", name="alice", role="read")
PRESS = Principal(kind="key", name="key 7", role="device", device=3, device_id="press-03", key=7)


def limits(rates: str = "", **settings: float) -> RateLimits:
    rules = RateRules(rates, has_labels=lambda _device, _scope: False, id_of=str)
    return RateLimits(RateSettings(**settings), rules, monotonic_s=lambda: 77.0)  # type: ignore[arg-type]  # of a table


def taken(request: Callable[[], None]) -> tuple[int, str]:
    """How many requests are taken, and why the next one is not."""
    for count in range(100):
        try:
            request()
        except TooManyRequests as refused:
            return count, refused.reason
    return 100, ""


def test_each_key_and_each_person_has_its_own_burst() -> None:
    made = limits(key_burst=4, ingest_key_burst=6, device_burst=2)
    for principal, expected in (
        (READER, (4, "key_rate")),
        (ALICE, (4, "key_rate")),
        (GATEWAY, (6, "ingest_key_rate")),
        (PRESS, (2, "device_rate")),
        (READER, (0, "key_rate")),
    ):
        assert taken(lambda principal=principal: made.take_key(principal)) == expected  # type: ignore[misc]  # bound


def test_whom_an_issuer_knows_is_charged_by_subject_and_not_by_name() -> None:
    made = limits(key_burst=2)
    for name, sub, expected in (("a", "1", 2), ("b", "1", 0), ("a", "2", 2)):
        person = Principal(kind="issuer", name=name, role="read", subject=f"https://id.example {sub}")
        assert taken(lambda person=person: made.take_key(person)) == (expected, "key_rate")  # type: ignore[misc]  # bound


def test_a_role_may_have_a_rate_of_its_own() -> None:
    made = limits("role read 1/s burst 9; role ingest off", ingest_key_burst=1)
    assert taken(lambda: made.take_key(READER)) == (9, "key_rate")
    assert taken(lambda: made.take_key(GATEWAY)) == (100, "")


def test_wrong_keys_and_requests_without_keys_have_limits_of_their_own_by_address() -> None:
    made = limits(address_burst=3, failure_burst=5)
    wrong = Unauthenticated.wrong_key()
    for address in ("192.0.2.1", "192.0.2.2"):
        failures = [made.refusal_of_refused(wrong, address) for _ in range(6)]
        requests = [made.refusal_of_address(address) for _ in range(4)]
        assert failures[:5] + requests[:3] == [None] * 8
        assert [one and one.reason for one in (failures[5], requests[3])] == ["failure_rate", "address_rate"]
    assert taken(lambda: made.take_key(READER))[0] > 3
    assert made.senders() == {"key_rate": 1, "address_rate": 2, "failure_rate": 2}


def test_lines_of_a_bulk_body_are_charged_to_its_sender_where_there_is_one() -> None:
    made = limits(key_burst=10, backlog_burst=10)
    for principal, reason in ((ALICE, "key_rate"), (PRESS, "backlog_rate")):
        made.take_request(principal, "bulk")
        made.charge_bulk(principal, 1_000)

        def ask(principal: Principal = principal) -> None:
            made.take_request(principal, "bulk")

        assert taken(ask) == (0, reason)
    made.charge_bulk(EVERYBODY, 10**9)
    made.take_request(EVERYBODY, "bulk")


@pytest.mark.parametrize(
    ("principal", "rule", "expected"),
    [
        (EVERYBODY, "key", (100, "")),
        (READER, "none", (100, "")),
        (READER, "device", (3, "key_rate")),
        (READER, "bulk", (3, "key_rate")),
        (PRESS, "device", (100, "")),  # its report is charged where it is read
        (PRESS, "key", (2, "device_rate")),
        (PRESS, "bulk", (100, "")),  # its lines are charged when they are counted
    ],
)
def test_a_route_says_to_what_a_request_is_charged(
    principal: Principal, rule: LimitRule, expected: tuple[int, str]
) -> None:
    made = limits(key_burst=3, device_burst=2)
    assert taken(lambda: made.take_request(principal, rule)) == expected


def test_what_is_refused_for_want_of_a_right_is_charged_to_its_address() -> None:
    made = limits(address_burst=1, failure_burst=1)
    no_key, wrong = Unauthenticated.without_key(), Unauthenticated("wrong", reason="wrong_key")
    answers = [made.refusal_of_refused(error, "192.0.2.1") for error in (no_key, wrong, no_key, wrong)]
    assert [answer and answer.reason for answer in answers] == [None, None, "address_rate", "failure_rate"]
    limited = answers[-1]
    assert limited is not None
    assert made.refusal_of_refused(limited, "192.0.2.2") is None

"""Tries to sign in are few for who guesses, and nobody is locked out."""

from fleetpulse.access.login_throttle import LoginThrottle
from fleetpulse.access.rate import Rate
from fleetpulse.access_errors import TooManyRequests


class Clock:
    now_s = 1_000.0


def build(clock: Clock) -> LoginThrottle:
    return LoginThrottle(Rate(0.1, 3), monotonic_s=lambda: clock.now_s)


def refusal(throttle: LoginThrottle, name: str, address: str, *, is_known: bool = False) -> TooManyRequests | None:
    try:
        throttle.take(name, address, is_known=is_known)
    except TooManyRequests as error:
        return error
    return None


def test_an_address_has_a_burst_and_then_one_try_each_interval() -> None:
    clock = Clock()
    throttle = build(clock)
    assert [refusal(throttle, f"n{number}", "10.0.0.1") is None for number in range(4)] == [True, True, True, False]
    error = refusal(throttle, "n5", "10.0.0.1")
    assert error is not None
    assert (error.status, error.reason, error.retry_after_s) == (429, "login_rate", 10)
    assert (error.policy, error.limit) == ('"login_rate";q=3;w=30', '"login_rate";r=0;t=10')
    assert "login_per_s" in error.detail
    assert refusal(throttle, "n5", "10.0.0.2") is None
    clock.now_s += 10
    assert refusal(throttle, "n5", "10.0.0.1") is None
    assert refusal(throttle, "n5", "10.0.0.1") is not None
    clock.now_s += 1_000
    assert [refusal(throttle, f"m{number}", "10.0.0.1") is None for number in range(4)] == [True, True, True, False]


def test_a_name_is_guessed_at_slowly_from_everywhere_but_not_refused_where_the_person_is_known() -> None:
    throttle = build(Clock())
    for host in range(3):
        assert refusal(throttle, "alice", f"10.0.0.{host}") is None
    for host in range(3, 50):
        assert refusal(throttle, "alice", f"10.0.0.{host}") is not None
    assert refusal(throttle, "alice", "192.0.2.9", is_known=True) is None
    assert refusal(throttle, "bob", "10.0.0.60") is None


def test_a_right_password_gives_its_own_try_back_and_no_other() -> None:
    throttle = build(Clock())
    for _ in range(20):
        throttle.take("alice", "10.0.0.1", is_known=False)()
    assert refusal(throttle, "alice", "10.0.0.1") is None
    for _ in range(20):
        throttle.take("alice", "10.0.0.1", is_known=False)()
    assert refusal(throttle, "bob", "10.0.0.1") is None
    assert refusal(throttle, "bob", "10.0.0.1") is None
    assert refusal(throttle, "bob", "10.0.0.1") is not None


def test_a_try_that_is_refused_does_not_count() -> None:
    clock = Clock()
    throttle = build(clock)
    for _ in range(100):
        refusal(throttle, "alice", "10.0.0.1")
    clock.now_s += 10
    assert refusal(throttle, "alice", "10.0.0.1") is None

"""Histories of policies, against a model that looks at each moment: what holds then, and what was kept as a gap."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.own_policy import OwnPolicy, history_of, unchanged
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, PolicyHistory, always, in_force
from fleetpulse.model.units import NS_PER_MINUTE, NS_PER_S

END_S = 40
SECONDS = st.one_of(st.none(), st.integers(1, 12))
DEFAULTS = st.lists(st.tuples(st.integers(1, END_S), st.integers(1, 12), st.integers(0, 9)), max_size=2)


@st.composite
def declarations(draw: st.DrawFn) -> list[OwnPolicy]:
    """The first one since ever, whether declared then or later; each other one since its time or earlier."""
    own = [unchanged(draw(SECONDS), draw(SECONDS))]
    times = sorted(draw(st.sets(st.integers(1, END_S), max_size=4)))
    if times and draw(st.booleans()):
        own = [own[0]._replace(declared_at_ns=times.pop(0) * NS_PER_S)]
    for at_s in times:
        since_s = at_s - draw(st.integers(0, at_s)) * draw(st.integers(0, 1))
        own.append(OwnPolicy(at_s * NS_PER_S, since_s * NS_PER_S, draw(SECONDS), draw(SECONDS)))
    return own


def service(changes: list[tuple[int, int, int]]) -> PolicyHistory:
    later = {at_s: HeartbeatPolicy(interval_s, grace_s, 1_100) for at_s, interval_s, grace_s in changes}
    return (
        *always(HeartbeatPolicy(5, 5)),
        *(PolicyChange(at_s * NS_PER_S, policy) for at_s, policy in sorted(later.items())),
    )


def at(pieces: PolicyHistory, at_ns: int) -> PolicyChange:
    return max((one for one in pieces if one.at_ns <= at_ns), key=lambda one: one.at_ns)


def declared_at(own: list[OwnPolicy], defaults: PolicyHistory, at_ns: int) -> HeartbeatPolicy:
    """What holds at a moment: the latest declaration that speaks of it, completed by the service's own."""
    one = [one for one in own if one.since_ns <= at_ns][-1]
    default = at(defaults, at_ns).policy
    return HeartbeatPolicy(
        one.interval_s or default.interval_s, default.grace_s if one.grace_s is None else one.grace_s
    )


@given(declarations(), DEFAULTS)
def test_each_moment_has_what_was_declared_last_for_it(
    own: list[OwnPolicy], changes: list[tuple[int, int, int]]
) -> None:
    defaults = service(changes)
    history = history_of(own, defaults)
    assert history[0].at_ns == SINCE_EVER_NS
    for at_ns in range(-NS_PER_S, (END_S + 2) * NS_PER_S, NS_PER_S // 2):
        found, expected = at(history, at_ns).policy, declared_at(own, defaults, at_ns)
        assert (found.interval_s, found.grace_s) == (expected.interval_s, expected.grace_s)
        assert found.factor_thousandths == at(defaults, at_ns).policy.factor_thousandths
    assert all(one.policy != other.policy for one, other in pairwise(history))


@given(declarations(), DEFAULTS)
def test_where_a_longer_policy_was_believed_the_history_is_not_exact(
    own: list[OwnPolicy], changes: list[tuple[int, int, int]]
) -> None:
    defaults = service(changes)
    pieces = in_force(history_of(own, defaults))
    for at_ns in range(-NS_PER_S, (END_S + 20) * NS_PER_S, NS_PER_S // 2):
        until_then = [one for one in own if one.declared_at_ns <= at_ns]
        believed = in_force(history_of(until_then, defaults) if until_then else defaults)
        here = at(tuple(pieces), at_ns)
        if at(tuple(believed), at_ns).policy.late_after_ns > here.policy.late_after_ns:
            assert here.exact_from_ns > at_ns
    if all(one.declared_at_ns == one.since_ns for one in own):
        assert all(piece.exact_from_ns == SINCE_EVER_NS for piece in pieces)
    last_ns = max(one.declared_at_ns for one in own) + NS_PER_MINUTE
    assert all(piece.exact_from_ns < last_ns for piece in pieces), "all is known a minute after the last declaration"


def test_a_shorter_policy_for_the_past_is_exact_from_its_declaration_on() -> None:
    own = [unchanged(60, None), OwnPolicy(300 * NS_PER_S, 100 * NS_PER_S, 10, None)]
    assert history_of(own, always(HeartbeatPolicy(30, 40))) == (
        PolicyChange(SINCE_EVER_NS, HeartbeatPolicy(60, 40)),
        PolicyChange(100 * NS_PER_S, HeartbeatPolicy(10, 40), exact_from_ns=300 * NS_PER_S),
    )


def test_a_longer_policy_for_the_past_is_exact() -> None:
    own = [unchanged(60, None), OwnPolicy(300 * NS_PER_S, 100 * NS_PER_S, 600, None)]
    assert [change.exact_from_ns for change in history_of(own, always(HeartbeatPolicy(30, 40)))] == [SINCE_EVER_NS] * 2

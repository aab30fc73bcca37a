"""What was declared of a device's own interval and grace over time, and the history of policies that follows from it.

Each declaration holds from some time on, until a later one says otherwise; usually from the moment at which it is made.
A correction holds from an earlier time on, in place of all that had been declared for the time since then:

    declared      10:00  60 s        12:00  5 m            13:00  10 s since 11:00
    so            since ever 60 s    11:00  10 s

    gaps kept     since ever 60 s    12:00  5 m            13:00  10 s
    so gaps of 10 s before 13:00 are not known: the change to 10 s is exact from 13:00 on
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, PolicyHistory, in_force
from fleetpulse.model.units import NS_PER_MINUTE

FOREVER_NS = 2**62
_shared = lru_cache(maxsize=4_096)(HeartbeatPolicy)
"""So that histories of many devices hold one object for each policy."""


class OwnPolicy(NamedTuple):
    """When it was declared, and since when a device has this interval and grace; None: the service's default."""

    declared_at_ns: int
    since_ns: int
    interval_s: int | None
    grace_s: int | None

    def under(self, default: HeartbeatPolicy) -> HeartbeatPolicy:
        """The policy of the device; `default` gives what it leaves out."""
        return _shared(
            default.interval_s if self.interval_s is None else self.interval_s,
            default.grace_s if self.grace_s is None else self.grace_s,
            default.factor_thousandths,
        )


def unchanged(interval_s: int | None, grace_s: int | None) -> OwnPolicy:
    """What a device has since ever."""
    return OwnPolicy(SINCE_EVER_NS, SINCE_EVER_NS, interval_s, grace_s)


def history_of(own: Sequence[OwnPolicy], defaults: PolicyHistory) -> PolicyHistory:
    """The policies of a device.

    Args:
        own: what was declared of it, in the order of declaration, at least one; the first one holds since ever.
        defaults: the service's own policies over time.
    """
    changes = _history(_surviving(own), defaults)
    if all(one.declared_at_ns <= one.since_ns for one in own):
        return changes
    return _with_exactness(changes, list(_kept(own, defaults)))


def _surviving(own: Iterable[OwnPolicy]) -> list[OwnPolicy]:
    """Those that hold for any time, ascending: the latest declaration of each time counts."""
    found: list[OwnPolicy] = []
    for one in own:
        while found and found[-1].since_ns >= one.since_ns:
            found.pop()
        found.append(one if found else one._replace(since_ns=SINCE_EVER_NS))
    return found


def _history(own: Sequence[OwnPolicy], defaults: PolicyHistory) -> PolicyHistory:
    """Both, merged: a change wherever the policy of the device changes by one of them."""
    changes: list[PolicyChange] = []
    for at_ns in sorted({*(one.since_ns for one in own), *(one.at_ns for one in defaults)}):
        declared = next(one for one in reversed(own) if one.since_ns <= at_ns)
        default = next(one for one in reversed(defaults) if one.at_ns <= at_ns)
        policy = declared.under(default.policy)
        if not changes or changes[-1].policy != policy:
            changes.append(PolicyChange(at_ns, policy))
    return tuple(changes)


def _kept(own: Sequence[OwnPolicy], defaults: PolicyHistory) -> Iterator[tuple[int, int, HeartbeatPolicy]]:
    """[start_ns, end_ns) in which gaps of a policy were kept: what was declared until then counted at each time."""
    known_from_ns = list(accumulate((one.declared_at_ns for one in own), max))
    yield from _spans(in_force(defaults), end_ns=known_from_ns[0])
    for number, (start_ns, end_ns) in enumerate(pairwise([*known_from_ns, FOREVER_NS]), 1):
        history = _history(_surviving(own[:number]), defaults)
        yield from _spans(in_force(history), start_ns=start_ns, end_ns=end_ns)


def _with_exactness(changes: PolicyHistory, kept: Sequence[tuple[int, int, HeartbeatPolicy]]) -> PolicyHistory:
    """The changes with the times from which on all their gaps were kept."""
    # Each is marked by its number, so that the pieces in force can be told apart.
    numbered = tuple(replace(change, exact_from_ns=number) for number, change in enumerate(changes))
    exact_from_ns = [SINCE_EVER_NS] * len(changes)
    pieces = in_force(numbered)
    for piece, (start_ns, end_ns, policy) in zip(pieces, _spans(pieces), strict=True):
        for kept_start_ns, kept_end_ns, other in kept:
            is_inside = kept_start_ns < end_ns and start_ns < kept_end_ns
            if is_inside and other.late_after_ns > policy.late_after_ns:
                # To the full minute, so that devices that are declared one after the other share a history.
                exact_from_ns[piece.exact_from_ns] = min(-(-kept_end_ns // NS_PER_MINUTE) * NS_PER_MINUTE, end_ns)
    return tuple(replace(change, exact_from_ns=at_ns) for change, at_ns in zip(changes, exact_from_ns, strict=True))


def _spans(
    pieces: Sequence[PolicyChange], *, start_ns: int = SINCE_EVER_NS, end_ns: int = FOREVER_NS
) -> Iterator[tuple[int, int, HeartbeatPolicy]]:
    """When each is in force, inside [start_ns, end_ns)."""
    edges = [*(piece.at_ns for piece in pieces), FOREVER_NS]
    for piece, (from_ns, until_ns) in zip(pieces, pairwise(edges), strict=True):
        span_ns = max(from_ns, start_ns), min(until_ns, end_ns)
        if span_ns[0] < span_ns[1]:
            yield *span_ns, piece.policy

"""Beats of a few devices with different policies, as batches for a live fleet; and the gaps of a set of beats."""

import itertools
from collections.abc import Sequence

from hypothesis import strategies as st

from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, PolicyHistory, always, in_force

MINUTE = 60_000_000_000
DAY = 20_000
NOON = (DAY * 1_440 + 720) * MINUTE
POLICIES: tuple[PolicyHistory, ...] = (
    always(HeartbeatPolicy(60, 240)),
    (
        PolicyChange(SINCE_EVER_NS, HeartbeatPolicy(120, 30)),
        PolicyChange(NOON - 10 * MINUTE, HeartbeatPolicy(600, 600)),
        PolicyChange(NOON + 10 * MINUTE, HeartbeatPolicy(60, 60)),
    ),
    always(HeartbeatPolicy(600, 60)),
)
DEVICES = len(POLICIES)

Beat = tuple[int, int]
"""Device, and minutes after noon."""
BEATS = st.lists(st.tuples(st.integers(0, DEVICES - 1), st.integers(-40, 40)), max_size=8)


def new_fleet() -> Fleet:
    """A fleet of DEVICES devices at noon."""
    fleet = Fleet(policy=HeartbeatPolicy(60, 240), reserve=2)
    fleet.resize(DEVICES)
    for device, history in enumerate(POLICIES):
        fleet.set_policy(device, history)
    fleet.advance(NOON)
    return fleet


def batch_of(beats: Sequence[Beat]) -> EventColumns:
    """Beats, every second one as a report of a metric."""
    batch = EventBatch(received_at_ns=NOON)
    for number, (device, minute) in enumerate(beats):
        if number % 2:
            batch.sample_devices.append(device)
            batch.sample_sent_at_ns.append(NOON + minute * MINUTE)
            batch.sample_values.append(1)
            batch.sample_metrics.append(1)
        else:
            batch.heartbeat_devices.append(device)
            batch.heartbeat_sent_at_ns.append(NOON + minute * MINUTE)
    return EventColumns.of(batch)


def gaps_of(beats: set[Beat]) -> set[tuple[int, int, int]]:
    """(device, start, end) of all gaps of a set of beats, in minutes after noon, by a plain search."""
    return {
        (device, start, end)
        for (device, start), (other, end) in itertools.pairwise(sorted(beats))
        if device == other and is_gap(device, start, end)
    }


def is_gap(device: int, start: int, end: int) -> bool:
    """Whether somewhere between two beats the time since the first one is longer than the policy then allows."""
    start_ns, end_ns = NOON + start * MINUTE, NOON + end * MINUTE
    pieces = in_force(POLICIES[device])
    for piece, following in zip(pieces, [*pieces[1:], PolicyChange(2**62, pieces[0].policy)], strict=True):
        limit_ns = min(piece.policy.gap_after_ns, piece.policy.down_after_ns)
        is_touched = piece.at_ns < end_ns and start_ns < following.at_ns
        if is_touched and min(end_ns, following.at_ns) - start_ns > limit_ns:
            return True
    return False

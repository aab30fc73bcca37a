"""The heartbeat policies of a device over time: each moment is judged by the one that was in force then."""

from dataclasses import dataclass, replace

from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.units import NS_PER_S

SINCE_EVER_NS = -(2**62)
"""When the first policy of a device took effect: what came before it was declared is judged by it, too."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """From when on a policy was declared to hold; of the first one of a device this is SINCE_EVER_NS.

    Before `exact_from_ns` longer gaps were kept only: somebody declared afterwards that this shorter policy held then.
    What is gone of that time is known by minutes of presence alone.
    """

    at_ns: int
    policy: HeartbeatPolicy
    exact_from_ns: int = SINCE_EVER_NS


PolicyHistory = tuple[PolicyChange, ...]
"""At least one change, ascending by time."""


def always(policy: HeartbeatPolicy) -> PolicyHistory:
    """The history of a device whose policy never changed."""
    return (PolicyChange(SINCE_EVER_NS, policy),)


def in_force(history: PolicyHistory) -> list[PolicyChange]:
    """From when on each policy was in force, until the next one; policies that never took effect are left out.

    A shorter interval takes effect one interval later, since until then the device may follow the longer one.
    """
    pieces: list[PolicyChange] = []
    for change in history:
        while len(pieces) > 1 and pieces[-1].at_ns >= change.at_ns:
            pieces.pop()  # what has not taken effect when the next one is declared never does
        effect_ns = change.at_ns
        if pieces and change.policy.interval_s < pieces[-1].policy.interval_s:
            effect_ns += change.policy.interval_s * NS_PER_S
        pieces.append(replace(change, at_ns=effect_ns if pieces else SINCE_EVER_NS))
    return pieces

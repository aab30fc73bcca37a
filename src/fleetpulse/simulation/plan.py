"""The plan: all events of a fleet, drawn from a seed before the first request, and the figures that must follow."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.units import NS_PER_MINUTE, NS_PER_S
from fleetpulse.simulation.beating import Beating

HEARTBEAT = -1
"""Stands in `upload_time_ns` for: this event is a heartbeat."""
STEADY = Beating()

PUBLISHED_PRESENT = {
    "60-6b-44-84-dc-64": 479,
    "b4-45-52-a2-f1-3c": 480,
    "26-9a-66-01-33-83": 446,
    "18-b8-87-e7-1f-06": 474,
    "38-4e-73-e0-33-59": 479,
}
"""The published reference run: minutes present of 8 hours, by device."""
PUBLISHED_MINUTES = 480
PUBLISHED_START_NS = 1_767_596_400 * NS_PER_S
"""2026-01-05T07:00:00Z; fixed, so that the run can be repeated and must change nothing."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a fleet behaves. Shares are of 1, times in seconds.

    Attributes:
        outage_share: Share of a device's time for which it is switched off and sends no heartbeats.
        link_outage_share: Share of its time for which it is cut off; it sends its backlog afterwards, in disorder.
        outage_s: Mean length of an outage of either kind, in seconds.
        missed_share: Share of single heartbeats that are never sent.
        duplicate_share: Share of heartbeats that are sent again some seconds later.
        jitter_s: How many seconds a heartbeat may be early or late.
        skewed_share: Share of devices whose clock is wrong.
        skew_s: By how many seconds such a clock is wrong at most.
        upload_every_s: Seconds between two upload statistics.
    """

    outage_share: float = 0.02
    link_outage_share: float = 0.02
    outage_s: float = 600.0
    missed_share: float = 0.0
    duplicate_share: float = 0.05
    jitter_s: float = 3.0
    skewed_share: float = 0.1
    skew_s: float = 45.0
    upload_every_s: float = 300.0


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """All events of one device, in the order of sending them: columns of shape (events,), in ns."""

    device_id: str
    send_at_ns: NDArray[np.int64]
    """When the event is sent."""
    sent_at_ns: NDArray[np.int64]
    """The device's own clock, which the event carries."""
    upload_time_ns: NDArray[np.int64]
    """HEARTBEAT for a heartbeat."""

    def uptime_percent(self) -> Fraction:
        """Lifetime uptime by the published rule, exact."""
        minutes = np.unique(self.sent_at_ns[self.upload_time_ns == HEARTBEAT] // NS_PER_MINUTE)
        if not len(minutes):
            return Fraction(0)
        return min(Fraction(100), Fraction(100 * len(minutes), max(1, int(minutes[-1] - minutes[0]))))

    def uploads(self) -> list[int]:
        """All upload times, ns."""
        return [int(value) for value in self.upload_time_ns[self.upload_time_ns != HEARTBEAT]]


def plan_fleet(
    device_ids: list[str], *, start_ns: int, hours: float, behaviour: Behaviour, seed: int, beating: Beating = STEADY
) -> list[DevicePlan]:
    """A plan for each device; the same arguments give the same plans."""
    children = np.random.SeedSequence(seed).spawn(len(device_ids))
    plans = []
    for device_id, child in zip(device_ids, children, strict=True):
        chance = np.random.default_rng(child)
        plan = _plan_device(device_id, start_ns, hours * 3600.0, beating=beating, behaviour=behaviour, chance=chance)
        plans.append(plan)
    return plans


def _plan_device(
    device_id: str,
    start_ns: int,
    length_s: float,
    *,
    beating: Beating,
    behaviour: Behaviour,
    chance: np.random.Generator,
) -> DevicePlan:
    skew_s = chance.uniform(-behaviour.skew_s, behaviour.skew_s) if chance.random() < behaviour.skewed_share else 0.0
    heartbeats_s = _nominal(beating, start_ns, length_s, chance)
    heartbeats_s = np.clip(
        heartbeats_s + chance.uniform(-behaviour.jitter_s, behaviour.jitter_s, len(heartbeats_s)), 0, length_s
    )
    heartbeats_s = heartbeats_s[
        ~_within(heartbeats_s, _outages(length_s, behaviour.outage_share, behaviour.outage_s, chance))
    ]
    if behaviour.missed_share:
        heartbeats_s = heartbeats_s[chance.random(len(heartbeats_s)) >= behaviour.missed_share]
    sends_s = _held_back(
        heartbeats_s, _outages(length_s, behaviour.link_outage_share, behaviour.outage_s, chance), chance
    )
    again = chance.random(len(heartbeats_s)) < behaviour.duplicate_share
    until_s = length_s - beating.silent_s
    uploads_s = np.arange(chance.uniform(0, behaviour.upload_every_s), until_s, behaviour.upload_every_s)
    send_s = np.concatenate([sends_s, sends_s[again] + chance.uniform(1, 30, int(again.sum())), uploads_s])
    sent_s = np.concatenate([heartbeats_s, heartbeats_s[again], uploads_s]) + skew_s
    values = np.full(len(send_s), HEARTBEAT, np.int64)
    # Some seconds to some minutes, with a long tail, to the nanosecond.
    values[len(send_s) - len(uploads_s) :] = (chance.lognormal(4.5, 0.8, len(uploads_s)) * NS_PER_S).astype(np.int64)
    order = np.argsort(send_s, kind="stable")
    return DevicePlan(device_id, _at(start_ns, send_s)[order], _at(start_ns, sent_s)[order], values[order])


def _nominal(beating: Beating, start_ns: int, length_s: float, chance: np.random.Generator) -> NDArray[np.float64]:
    """When a device without outages and jitter beats, in seconds since the start."""
    first_s = chance.uniform(0, min(beating.interval_s, beating.step_s))
    if beating.phase == "edge":
        first_s = (beating.first_edge_ns(start_ns) - start_ns) / NS_PER_S
    moments_s = np.arange(first_s, length_s - beating.silent_s, beating.step_s)
    if beating.gap_every:
        moments_s = moments_s[np.arange(len(moments_s)) % beating.gap_every != beating.gap_every - 1]
    return moments_s


def _at(start_ns: int, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    moments: NDArray[np.int64] = start_ns + (seconds * NS_PER_S).astype(np.int64)
    return moments


def _outages(length_s: float, share: float, mean_s: float, chance: np.random.Generator) -> NDArray[np.float64]:
    """Spans (start, end) in seconds, shape (n, 2), that cover about `share` of the time."""
    count = int(chance.poisson(length_s * share / mean_s))
    starts = np.sort(chance.uniform(0, length_s, count))
    return np.stack([starts, starts + chance.exponential(mean_s, count)], axis=1)


def _within(moments_s: NDArray[np.float64], spans: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.zeros(len(moments_s), bool)
    for start, end in spans:
        inside |= (moments_s >= start) & (moments_s < end)
    return inside


def _held_back(
    moments_s: NDArray[np.float64], spans: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.float64]:
    """When each moment's event is sent: at once, or soon after the end of the span it falls into, in any order."""
    sends_s = moments_s.copy()
    for start, end in spans:
        inside = (moments_s >= start) & (moments_s < end)
        sends_s[inside] = end + chance.uniform(0, 5, int(inside.sum()))
    return sends_s


def plan_published(*, seed: int) -> list[DevicePlan]:
    """The published reference run: which minutes are missing is drawn from the seed, how many is fixed."""
    chance = np.random.default_rng(seed)
    plans = []
    for device_id, present in PUBLISHED_PRESENT.items():
        inner = chance.choice(np.arange(1, PUBLISHED_MINUTES), present - 2, replace=False)
        minutes = np.concatenate([[0, PUBLISHED_MINUTES], inner])
        heartbeats_s = minutes * 60 + chance.uniform(0, 59, len(minutes))
        uploads_s = np.arange(0, PUBLISHED_MINUTES * 60, 300) + 7.0
        sent_ns = _at(PUBLISHED_START_NS, np.concatenate([heartbeats_s, uploads_s]))
        values = np.full(len(sent_ns), HEARTBEAT, np.int64)
        values[len(heartbeats_s) :] = (chance.lognormal(4.5, 0.8, len(uploads_s)) * NS_PER_S).astype(np.int64)
        order = chance.permutation(len(sent_ns))
        plans.append(DevicePlan(device_id, np.sort(sent_ns), sent_ns[order], values[order]))
    return plans

"""The common cause of devices that went down together: the label value that explains most of them best.

A label value can be the cause when enough devices that have it went down within a short time, and these are a large
enough share of all devices that have it. Of those that can be, the ones are considered that explain nearly as many as
the best; of these the most specific one is chosen, which the fewest devices have. What is left over is looked at again,
so that two sites that go dark in the same minute are two causes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.units import NS_PER_S

NEARLY = 0.9
"""A label value that explains this share of what the best one explains is nearly as good, and wins if more specific."""
BROADER = 2
"""The wait is not ended early while a label value that the members share, too, explains so many times as many devices:
the first racks of a site that goes dark must not be taken for the cause."""
CAUSES_MAX = 200
"""Causes that are found in one round; what is left over is looked at in the next one."""


class LabelOf(NamedTuple):
    """A label of the devices that went down.

    Attributes:
        codes: of each of them, int64, shape (n,), 0 where it has no such label.
        values: by code; `values[0]` is "".
        sizes: by code, how many devices of the rule have the value; int64.
    """

    name: str
    codes: NDArray[np.int64]
    values: Sequence[str]
    sizes: NDArray[np.int64]


class CommonCause(NamedTuple):
    """A label value, and which of the devices it explains.

    Attributes:
        members: their places, int64, shape (m,), ascending; others may have gone down shortly before or after the time
            of which the explanation speaks.
    """

    label: str
    value: str
    devices: int
    members: NDArray[np.int64]
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseLimits:
    """When devices have a common cause; see the settings `common_cause_…`."""

    within_ns: int
    share: float
    count: int


@dataclass(slots=True, eq=False)
class _Tally:
    """A label, and how many of the devices that are left each of its values explains, by code."""

    label: LabelOf
    explained: NDArray[np.int64]
    ranks: NDArray[np.int64]
    """The place of each value in the order of values."""

    def qualified(self, limits: CauseLimits) -> NDArray[np.int64]:
        """The codes of values that can be a cause."""
        sizes = self.label.sizes[: len(self.explained)]
        return np.flatnonzero((self.explained >= limits.count) & (self.explained >= limits.share * sizes))


class _Choice(NamedTuple):
    tally: _Tally
    code: int

    @property
    def label(self) -> LabelOf:
        return self.tally.label

    def order(self) -> tuple[int, int, str]:
        """The best one has the least."""
        return int(self.label.sizes[self.code]), -int(self.tally.explained[self.code]), self.label.name


def find_causes(
    since_ns: NDArray[np.int64], is_due: NDArray[np.bool_], labels: Sequence[LabelOf], limits: CauseLimits
) -> list[CommonCause]:
    """The common causes of devices that are down.

    Args:
        since_ns: since when each is down: int64, shape (n,).
        is_due: whose wait for a common cause is over: bool, shape (n,). Where none of the members is, the wait is ended
            early when no broader label value that they share explains far more devices.
    """
    left = np.arange(len(since_ns))
    found: list[CommonCause] = []
    if len(left) < limits.count:
        return found
    tallies = [
        _Tally(label, _together(label.codes, since_ns, limits.within_ns), np.argsort(np.argsort(label.values)))
        for label in labels
    ]
    for _ in range(CAUSES_MAX):
        chosen = _choice(tallies, limits)
        if chosen is None:
            break
        of_value = left[chosen.label.codes[left] == chosen.code]
        core = of_value[_window(since_ns[of_value], limits.within_ns)]
        members = of_value[since_ns[of_value] >= since_ns[core].min() - limits.within_ns]
        if is_due[members].any() or not _has_broader(chosen, core, tallies):
            found.append(_cause(chosen, core, members, since_ns, labels))
        left = np.setdiff1d(left, members, assume_unique=True)
        for tally in tallies:
            _count_again(tally, members, left, since_ns, limits)
    return found


def _choice(tallies: Sequence[_Tally], limits: CauseLimits) -> _Choice | None:
    """The most specific of the label values that explain nearly as many as the best."""
    qualified = [(tally, tally.qualified(limits)) for tally in tallies]
    best = max((int(tally.explained[codes].max(initial=0)) for tally, codes in qualified), default=0)
    choices = []
    for tally, codes in qualified:
        near = codes[tally.explained[codes] >= NEARLY * best]
        if len(near):
            order = np.lexsort((tally.ranks[near], -tally.explained[near], tally.label.sizes[near]))
            choices.append(_Choice(tally, int(near[order[0]])))
    return min(choices, key=_Choice.order, default=None)


def _count_again(
    tally: _Tally, gone: NDArray[np.int64], left: NDArray[np.int64], since_ns: NDArray[np.int64], limits: CauseLimits
) -> None:
    """Count the values anew that the devices had that are gone."""
    touched = np.zeros(len(tally.explained), bool)
    touched[tally.label.codes[gone]] = True
    tally.explained[touched] = 0
    places = left[touched[tally.label.codes[left]]]
    if len(places):
        counts = _together(tally.label.codes[places], since_ns[places], limits.within_ns)
        tally.explained[: len(counts)] = np.where(touched[: len(counts)], counts, tally.explained[: len(counts)])


def _together(codes: NDArray[np.int64], since_ns: NDArray[np.int64], within_ns: int) -> NDArray[np.int64]:
    """By code, the most devices that went down within a time: int64, shape (highest code + 1,)."""
    counts = np.bincount(codes).astype(np.int64)
    counts[0] = 0
    if int(since_ns.max()) - int(since_ns.min()) <= within_ns:
        return counts
    order = np.lexsort((since_ns, codes))
    codes, since_ns = codes[order], since_ns[order]
    # One ascending key for all: the span of a code is shorter than the distance to the next code.
    offsets = since_ns - since_ns.min()
    stride = int(offsets.max()) + within_ns + 1
    if stride * (int(codes[-1]) + 1) >= 2**63:  # in ms instead: a code may then gain what is 1 ms too late
        offsets, within_ns = offsets // 1_000_000, within_ns // 1_000_000
        stride = int(offsets.max()) + within_ns + 1
    keys = codes * stride + offsets
    ends = np.searchsorted(keys, keys + within_ns, side="right")
    most = np.zeros(len(counts), np.int64)
    np.maximum.at(most, codes, ends - np.arange(len(keys)))
    most[0] = 0
    return most


def _window(since_ns: NDArray[np.int64], within_ns: int) -> NDArray[np.bool_]:
    """Which devices went down in the earliest time that has most of them: bool, shape (n,)."""
    times = np.sort(since_ns)
    counts = np.searchsorted(times, times + within_ns, side="right") - np.arange(len(times))
    start_ns = times[int(np.argmax(counts))]
    within: NDArray[np.bool_] = (since_ns >= start_ns) & (since_ns <= start_ns + within_ns)
    return within


def _has_broader(chosen: _Choice, members: NDArray[np.int64], tallies: Sequence[_Tally]) -> bool:
    """Whether the members share another label value that explains far more devices than they are."""
    for tally in tallies:
        if tally.label.name == chosen.label.name:
            continue
        shared = np.bincount(tally.label.codes[members], minlength=1)
        shared[0] = 0
        code = int(np.argmax(shared))
        if shared[code] >= NEARLY * len(members) and tally.explained[code] >= BROADER * len(members):
            return True
    return False


def _cause(
    chosen: _Choice,
    core: NDArray[np.int64],
    members: NDArray[np.int64],
    since_ns: NDArray[np.int64],
    labels: Sequence[LabelOf],
) -> CommonCause:
    times = since_ns[core]
    seconds = max(1, math.ceil((int(times.max()) - int(times.min())) / NS_PER_S))
    value, devices = chosen.label.values[chosen.code], int(chosen.label.sizes[chosen.code])
    text = f"{len(core)} of {devices} devices with {chosen.label.name}={value} went down within {seconds} s"
    following = _next_best(chosen, core, labels)
    if following is not None:
        count, other, code = following
        text += f"; the next best label, {other.name}={other.values[code]}, explains {count}"
        if count >= NEARLY * len(core) and other.sizes[code] > devices:
            text += f" and is less specific: {int(other.sizes[code])} devices have it"
    return CommonCause(chosen.label.name, value, devices, members, text)


def _next_best(
    chosen: _Choice, members: NDArray[np.int64], labels: Sequence[LabelOf]
) -> tuple[int, LabelOf, int] | None:
    """The value of another label that most of the members have: (how many, label, code)."""
    best: tuple[int, LabelOf, int] | None = None
    for label in sorted(labels, key=lambda one: one.name):
        counts = np.bincount(label.codes[members], minlength=1)
        counts[0] = 0
        code = int(np.argmax(counts))
        if label.name != chosen.label.name and counts[code] > (best[0] if best else 0):
            best = int(counts[code]), label, code
    return best

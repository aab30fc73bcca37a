"""Samples as a set of (device, metric, sent_at, value): which rows repeat another one.

Two values are equal if their 64 bits are. Most pieces hold no repeats, so each row is first reduced to a key of 64
bits, equal for equal samples; only the few rows whose keys are equal, too, are compared in full.
"""

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs
from fleetpulse.model.columns import join_columns
from fleetpulse.model.samples import SampleColumns

# Odd numbers with well-mixed bits. Keys only have to differ for most samples; a chance match costs a comparison.
_OF_TIME, _OF_VALUE, _OF_SERIES = (
    np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(0xC2B2_AE3D_27D4_EB4F), np.uint64(0x1656_67B1_9E37_79F9),
)  # fmt: skip
_METRIC_BITS = np.uint64(16)
_SLOTS_A_ROW = 8


def sample_keys(samples: SampleColumns) -> NDArray[np.uint64]:
    """A key of each sample, uint64, shape (n,): equal for equal samples, and different for almost all others."""
    keys: NDArray[np.uint64] = samples.at_ns.view(np.uint64) * _OF_TIME
    keys += samples.values.view(np.uint64) * _OF_VALUE
    keys += ((samples.devices.astype(np.uint64) << _METRIC_BITS) | samples.metrics) * _OF_SERIES
    return keys


def has_repeats(samples: SampleColumns) -> bool:
    """Whether a sample may occur twice. False is certain; True is wrong where two keys are equal by chance.

    Cost: some 10 ns a sample, where sorting the keys would take three times as long: each row is written into a slot of
    a table, and only rows whose slot another one has taken, one in twenty, are looked at further.
    """
    keys = sample_keys(samples)
    rows = np.arange(len(keys), dtype=np.int32)
    slot_bits = (len(keys) * _SLOTS_A_ROW).bit_length()
    slots = (keys >> np.uint64(64 - slot_bits)).view(np.int64)
    table = np.empty(1 << slot_bits, np.int32)
    table[slots] = rows
    taken_by = table[slots]
    lost = np.flatnonzero(taken_by != rows)
    if not len(lost):
        return False
    lost_keys = keys[lost]
    if (lost_keys == keys[taken_by[lost]]).any():
        return True
    lost_keys.sort()
    return bool((lost_keys[1:] == lost_keys[:-1]).any())


def repeats_in(samples: SampleColumns) -> NDArray[np.bool_]:
    """Which rows equal an earlier row: bool, shape (n,)."""
    is_repeat = np.zeros(len(samples), np.bool_)
    keys = sample_keys(samples)
    order = np.argsort(keys, kind="stable")
    is_next_equal = keys[order[1:]] == keys[order[:-1]]
    if not is_next_equal.any():
        return is_repeat
    is_shared = np.zeros(len(samples), np.bool_)
    is_shared[1:] = is_next_equal
    is_shared[:-1] |= is_next_equal
    rows = np.sort(order[is_shared])
    chosen = samples.where(rows)
    # The sort is stable, so that of equal rows the earliest comes first.
    by_sample = np.lexsort((chosen.values, chosen.at_ns, chosen.devices, chosen.metrics))
    chosen = chosen.where(by_sample)
    is_first = first_of_runs(chosen.metrics, chosen.devices, chosen.at_ns, chosen.values)
    is_repeat[rows[by_sample[~is_first]]] = True
    return is_repeat


def is_among(samples: SampleColumns, others: SampleColumns) -> NDArray[np.bool_]:
    """Which of `samples`, of which none occurs twice, occur in `others`: bool, shape (len(samples),)."""
    if not len(samples) or not len(others):
        return np.zeros(len(samples), np.bool_)
    candidates = _near(others, samples)
    keys, candidate_keys = np.sort(sample_keys(samples)), sample_keys(candidates)
    places = np.minimum(np.searchsorted(keys, candidate_keys), len(keys) - 1)
    candidates = candidates.where(keys[places] == candidate_keys)
    if not len(candidates):
        return np.zeros(len(samples), np.bool_)
    return repeats_in(join_columns([candidates, samples], samples))[len(candidates) :]


def _near(others: SampleColumns, samples: SampleColumns) -> SampleColumns:
    """Those of `others` whose device, and whose time about, is one of `samples`: a cheap look, before keys are made."""
    is_near = (others.at_ns >= samples.at_ns.min()) & (others.at_ns <= samples.at_ns.max())
    near = others if is_near.all() else others.where(np.flatnonzero(is_near))
    is_wanted = np.zeros(int(samples.devices.max()) + 2, np.bool_)
    is_wanted[samples.devices] = True
    chosen = is_wanted[np.minimum(near.devices, np.uint32(len(is_wanted) - 1))]
    return near if chosen.all() else near.where(np.flatnonzero(chosen))


def drop_repeats(ordered: SampleColumns) -> SampleColumns:
    """The same samples in the same order, each once. Args: ordered: by metric, device and time."""
    is_same = ordered.at_ns[1:] == ordered.at_ns[:-1]
    is_same &= ordered.devices[1:] == ordered.devices[:-1]
    is_same &= ordered.metrics[1:] == ordered.metrics[:-1]
    if not is_same.any():
        return ordered
    # Only the samples of times that occur twice in a series are looked at further.
    is_shared = np.zeros(len(ordered), np.bool_)
    is_shared[1:] = is_same
    is_shared[:-1] |= is_same
    rows = np.flatnonzero(is_shared)
    is_repeat = repeats_in(ordered.where(rows))
    if not is_repeat.any():
        return ordered
    is_kept = np.ones(len(ordered), np.bool_)
    is_kept[rows[is_repeat]] = False
    return ordered.where(np.flatnonzero(is_kept))

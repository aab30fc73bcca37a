"""Sketches: distributions that can be merged, whose quantiles are off by at most one per cent of the value.

Buckets are logarithmic, as in DDSketch, but keys are read from the bits of the double and not from a logarithm.
`np.log` may round differently on another processor, and then replaying a journal there would give another sketch. Here
a key is integer arithmetic and one table look-up, so it is the same everywhere, and never falls where the value rises.

An octave [2**e, 2**(e+1)) is cut into 36 buckets, whose bounds are powers of 2**(1/36), rounded to the upper 12 bits of
the mantissa:

    bit   63      62 .. 52      51 .. 40           39 .. 0
          sign    exponent + 1  place in octave    ignored
    key   sign * ((exponent - 1) * 36 + bucket of place + 1), exponent biased, 1..2046: -73656..73656

A sketch is a bag of (key, count): merging adds counts, so any order and any split give the same sketch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.runs import first_of_runs

_Value = TypeVar("_Value", bound=np.generic)
RELATIVE_ERROR = 0.01
"""The largest error of a quantile, as a share of the exact one. The widest bucket is off by 0.0097."""

_BUCKETS_PER_OCTAVE = 36
_PLACES = 1 << 12
KEY_BITS = 18
_KEY_ZERO = 1 << (KEY_BITS - 1)

# Decimal rounds alike on every platform, which the power function of the C library does not promise.
_BOUNDS = np.array(
    [
        round((Decimal(2) ** (Decimal(bucket) / _BUCKETS_PER_OCTAVE) - 1) * _PLACES)
        for bucket in range(_BUCKETS_PER_OCTAVE + 1)
    ],
    np.int64,
)
_BUCKET_OF_PLACE = np.repeat(np.arange(_BUCKETS_PER_OCTAVE, dtype=np.int32), np.diff(_BOUNDS))
_LOWEST = 1 + _BOUNDS[:-1] / _PLACES
_HIGHEST = 1 + _BOUNDS[1:] / _PLACES
# The harmonic mean is equally far from both bounds, relative to each.
_VALUE_OF_BUCKET = 2 * _LOWEST * _HIGHEST / (_LOWEST + _HIGHEST)


@dataclass(frozen=True, slots=True, eq=False)
class Sketches:
    """Many sketches, each a range of the columns.

    Sketch i holds `keys[offsets[i]:offsets[i + 1]]`, ascending and distinct, with their `counts`, each at least 1.
    `offsets` has shape (sketches + 1,), `keys` and `counts` shape (entries,).
    """

    offsets: NDArray[np.int64]
    keys: NDArray[np.int32]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        """How many sketches, empty ones included."""
        return len(self.offsets) - 1


def sketch_keys(values: NDArray[np.float64]) -> NDArray[np.int32]:
    """The bucket of each finite value: int32, shape (values,).

    A key never falls where the value rises, has the value's sign, and is 0 below the smallest normal double.
    """
    bits = np.ascontiguousarray(values, np.float64).view(np.int64)
    exponents = ((bits >> 52) & 0x7FF).astype(np.int32)
    keys: NDArray[np.int32] = (
        (exponents - 1) * np.int32(_BUCKETS_PER_OCTAVE) + 1 + _BUCKET_OF_PLACE[(bits >> 40) & (_PLACES - 1)]
    )
    keys *= exponents > 0
    np.negative(keys, out=keys, where=bits < 0)
    return keys


def key_values(keys: NDArray[np.int32]) -> NDArray[np.float64]:
    """A finite value within `RELATIVE_ERROR` of every value of its key: float64, shape (keys,); 0 for key 0."""
    octaves, buckets = np.divmod(np.abs(keys) - 1, _BUCKETS_PER_OCTAVE)
    # -1022 is the exponent of the smallest normal double, where key 1 begins.
    values: NDArray[np.float64] = np.ldexp(_VALUE_OF_BUCKET[buckets], octaves - 1022) * np.sign(keys)
    return values


def build_sketches(cells: NDArray[np.int64], values: NDArray[np.float64], *, count: int) -> Sketches:
    """Put samples into sketches.

    Args:
        cells: int64, shape (samples,), the sketch of each sample, 0 <= cell < count, in any order.
        values: float64, shape (samples,), finite.
        count: how many sketches there are.
    Cost: one sort of the samples, and up to 45 bytes of memory for each.
    """
    pairs = _pairs(cells, sketch_keys(values))
    pairs.sort()
    firsts = np.flatnonzero(first_of_runs(pairs))
    return _sketches(pairs[firsts], np.diff(firsts, append=len(pairs)), count=count)


def merge_sketches(cells: NDArray[np.int64], sketches: Sketches, *, count: int) -> Sketches:
    """Add sketch i into sketch `cells[i]` of `count`; `cells`: int64, shape (len(sketches),), 0 <= cell < count.

    The result is the same as that of building from all their samples at once.
    """
    pairs = _pairs(np.repeat(cells, np.diff(sketches.offsets)), sketches.keys)
    order = np.argsort(pairs)
    pairs = pairs[order]
    firsts = np.flatnonzero(first_of_runs(pairs))
    return _sketches(pairs[firsts], np.add.reduceat(sketches.counts[order], firsts), count=count)


def join_sketches(parts: Sequence[Sketches]) -> Sketches:
    """The sketches of all parts one after another, none merged."""
    sizes = [np.diff(part.offsets) for part in parts]
    return Sketches(
        offsets=_running_sums(np.concatenate([np.empty(0, np.int64), *sizes])),
        keys=np.concatenate([np.empty(0, np.int32), *(part.keys for part in parts)]),
        counts=np.concatenate([np.empty(0, np.int64), *(part.counts for part in parts)]),
    )


def sketch_quantiles(sketches: Sketches, percent: int) -> NDArray[np.float64]:
    """The quantile of each sketch by nearest rank, float64, shape (sketches,); NaN where it is empty.

    Off by at most `RELATIVE_ERROR` of the exact one; one that is no normal double is answered as 0.

    Args:
        percent: 0..100, whole, because a ratio cannot name the rank: ceil(0.07 * 100) is 8 in doubles.
    Raises: ValueError: percent is outside of 0..100.
    """
    sums = _running_sums(sketches.counts)
    before = sums[sketches.offsets[:-1]]
    totals = sums[sketches.offsets[1:]] - before
    answers = np.full(len(sketches), np.nan)
    filled = totals > 0
    # The sums rise through all sketches, so one search finds the bucket of every rank.
    places = np.searchsorted(sums[1:], (before + _ranks(totals, percent))[filled])
    answers[filled] = key_values(sketches.keys[places])
    return answers


def exact_quantiles(cells: NDArray[np.int64], values: NDArray[_Value], percent: int, *, count: int) -> NDArray[_Value]:
    """The exact quantile of the values of each cell by nearest rank, shape (count,), with the dtype of `values`.

    A cell without values has NaN, or of integers 0.

    Args:
        cells: int64, shape (samples,), 0 <= cell < count, in any order.
        values: shape (samples,).
        percent: 0..100, whole.
    Raises: ValueError: percent is outside of 0..100.
    """
    if count == 1 and len(values):  # one cell may have millions of values, which need not be sorted to find one
        rank = int(_ranks(np.array([len(values)]), percent)[0]) - 1
        return np.partition(values, rank)[rank : rank + 1]
    totals = np.bincount(cells, minlength=count).astype(np.int64, copy=False)
    before = _running_sums(totals)[:-1]
    ordered = values[np.lexsort((values, cells))]
    answers = np.full(count, np.nan if values.dtype.kind == "f" else 0, values.dtype)
    filled = totals > 0
    answers[filled] = ordered[(before + _ranks(totals, percent) - 1)[filled]]
    return answers


def _ranks(totals: NDArray[np.int64], percent: int) -> NDArray[np.int64]:
    if not 0 <= percent <= 100:
        raise ValueError(f"percent is {percent}, not within 0..100")
    ranks: NDArray[np.int64] = np.maximum(1, -(-percent * totals // 100))
    return ranks


def _pairs(cells: NDArray[np.int64], keys: NDArray[np.int32]) -> NDArray[np.int64]:
    """Cell and key in one word that sorts by both: one sort of integers is several times faster than a lexsort."""
    pairs = cells.astype(np.int64) << KEY_BITS
    pairs += keys
    pairs += _KEY_ZERO
    return pairs


def _sketches(pairs: NDArray[np.int64], counts: NDArray[np.int64], *, count: int) -> Sketches:
    """Take distinct ascending pairs apart again."""
    offsets = np.searchsorted(pairs, np.arange(count + 1, dtype=np.int64) << KEY_BITS)
    keys = (pairs & ((1 << KEY_BITS) - 1)).astype(np.int32) - np.int32(_KEY_ZERO)
    return Sketches(offsets=offsets, keys=keys, counts=counts)


def _running_sums(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Running sums with a leading 0, shape (n + 1,)."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    return sums

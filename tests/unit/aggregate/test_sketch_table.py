"""A table of sketches holds the same as sketches that are built of all samples at once."""

import numpy as np

from fleetpulse.aggregate.sketch import build_sketches, sketch_keys
from fleetpulse.aggregate.sketch_table import SketchTable


def test_samples_that_are_added_piece_by_piece_give_the_sketches_of_all_of_them() -> None:
    chance = np.random.default_rng(1)
    cells = chance.integers(0, 9_000, 20_000)
    values = np.concatenate([chance.normal(50, 20, 19_000), chance.normal(0, 1e300, 998), [0.0, 5e-324]])
    table = SketchTable(9_000)
    for start in range(0, len(cells), 3_000):
        rows = slice(start, start + 3_000)
        keys = sketch_keys(values[rows])
        new = table.new_keys(keys)
        assert len(np.unique(new)) == len(new)
        size_bytes = table.size_with(len(new))
        table.add_columns(new)
        assert table.size_with(0) == size_bytes
        assert not len(table.new_keys(keys))
        table.add(cells[rows], keys)
    found, expected = table.sketches(), build_sketches(cells, values, count=9_000)
    assert found.offsets.tolist() == expected.offsets.tolist()
    assert found.keys.tolist() == expected.keys.tolist()
    assert found.counts.tolist() == expected.counts.tolist()
    assert (found.keys.dtype, found.counts.dtype) == (expected.keys.dtype, expected.counts.dtype)


def test_sketches_are_added_with_their_counts() -> None:
    table = SketchTable(2)
    keys = np.array([7, -3, 7], np.int32)
    table.add_columns(table.new_keys(keys))
    table.add(np.array([1, 1, 1]), keys, np.array([2**40, 1, 2]))
    sketches = table.sketches()
    assert (sketches.offsets.tolist(), sketches.keys.tolist()) == ([0, 0, 2], [-3, 7])
    assert sketches.counts.tolist() == [1, 2**40 + 2]


def test_a_table_without_samples_has_empty_sketches() -> None:
    assert SketchTable(3).sketches().offsets.tolist() == [0, 0, 0, 0]

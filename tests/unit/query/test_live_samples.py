"""What a question sees of live samples: each once, of the range that it is about."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fleetpulse.blocks.history import History
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import RAW, Manifest
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.query.answers import Missing
from fleetpulse.query.live_samples import LiveRange, live_samples
from fleetpulse.query.reads import Samples
from sample_blocks import CPU, DAY, LOAD, Sample, SampleBlocks, columns_of

NO_BLOCKS = Manifest()
START_NS, END_NS = DAY * NS_PER_DAY, (DAY + 1) * NS_PER_DAY


def ask(where: Samples, blocks: SampleBlocks, wanted: LiveRange, missing: list[Missing] | None = None) -> list[float]:
    """The values, in the order in which they come."""
    pieces = live_samples(where, wanted, blocks.metrics[CPU], missing)
    return [value for piece in pieces for value in piece.values.view(np.float64).tolist()]


def where_of(
    blocks: SampleBlocks,
    *,
    live: Sequence[Sample] = (),
    doubtful: Sequence[Sample] = (),
    manifest: Manifest = NO_BLOCKS,
) -> Samples:
    return Samples([columns_of(live)], manifest, History(blocks.store, manifest), [columns_of(doubtful)], blocks.today)


def test_only_the_range_that_is_wanted_comes_and_each_sample_once() -> None:
    blocks = SampleBlocks()
    live = [(CPU, 0, 1.0, 1.0), (CPU, 1, 2.0, 2.0), (LOAD, 0, 1.0, 3.0), (CPU, 0, 1440.0, 4.0), (CPU, 0, -1.0, 5.0)]
    doubtful = [(CPU, 0, 1.0, 1.0), (CPU, 0, 1.0, 6.0), (CPU, 0, 1.0, 6.0), (CPU, 1, 3.0, 7.0), (CPU, 0, 1440.0, 8.0)]
    where = where_of(blocks, live=live, doubtful=doubtful)
    assert ask(where, blocks, LiveRange(CPU, START_NS, END_NS)) == [1.0, 2.0, 6.0, 7.0]
    assert ask(where, blocks, LiveRange(CPU, START_NS, END_NS, device=0)) == [1.0, 6.0]
    # Certain samples of others are left to the caller, who knows the groups.
    selected = LiveRange(CPU, START_NS, END_NS, is_selected=np.array([True]))
    assert ask(where, blocks, selected) == [1.0, 2.0, 6.0]


def test_doubtful_samples_that_cannot_be_compared_are_missing_and_the_certain_ones_are_there() -> None:
    blocks = SampleBlocks()
    part = blocks.part((CPU, 0, 5.0, 1.0))
    manifest = Manifest(samples=(part,))
    where = where_of(blocks, live=[(CPU, 0, 9.0, 2.0)], doubtful=[(CPU, 0, 5.0, 1.0)], manifest=manifest)
    assert ask(where, blocks, LiveRange(CPU, START_NS, END_NS)) == [2.0]
    blocks.store.remove(part.files[RAW].name)
    where = where_of(blocks, live=[(CPU, 0, 9.0, 2.0)], doubtful=[(CPU, 0, 5.0, 1.0)], manifest=manifest)
    missing: list[Missing] = []
    assert ask(where, blocks, LiveRange(CPU, START_NS, END_NS), missing) == [2.0]
    assert [(span.start[11:], span.end[11:]) for span in missing] == [("00:05:00Z", "00:05:00.000000001Z")]
    with pytest.raises(DamagedData):
        ask(where, blocks, LiveRange(CPU, START_NS, END_NS))


def test_a_retention_that_is_not_in_force_yet_does_not_keep_samples_from_being_compared() -> None:
    blocks = SampleBlocks(today=DAY + 3)
    sample = (CPU, 0, 1.0, 1.0)
    longer = blocks.metrics[CPU]
    blocks.metrics[CPU] = replace(longer, raw_days=1)
    where = where_of(blocks, live=[sample], doubtful=[sample])
    assert ask(where, blocks, LiveRange(CPU, START_NS, END_NS)) == [1.0, 1.0]
    assert ask(replace(where, kept={CPU: longer}), blocks, LiveRange(CPU, START_NS, END_NS)) == [1.0]

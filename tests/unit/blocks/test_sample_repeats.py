"""Doubtful samples are compared with memory and blocks, as far as the samples of their days are kept."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetpulse.blocks.history import History
from fleetpulse.blocks.sample_repeats import Compared, Comparison, OnDamage
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import RAW, Manifest, SampleBlock
from sample_blocks import CPU, DAY, LOAD, UPLOAD, Sample, SampleBlocks, columns_of

VALUES = st.integers(0, 2)
ROWS = st.lists(
    st.tuples(st.sampled_from([UPLOAD, CPU, LOAD]), st.integers(0, 2), st.sampled_from([0, 1, 7, 1440, 2000]), VALUES),
    max_size=10,
    unique=True,
)


def compare(
    blocks: SampleBlocks,
    doubtful: Sequence[Sample],
    *,
    certain: Sequence[Sample] = (),
    stored: Sequence[SampleBlock] = (),
    on_damage: OnDamage | None = None,
) -> Compared:
    manifest = Manifest(samples=tuple(stored))
    comparison = Comparison(
        [columns_of(certain)], History(blocks.store, manifest), manifest, blocks.metrics, blocks.today
    )
    comparison = comparison if on_damage is None else replace(comparison, on_damage=on_damage)
    return comparison.compare([columns_of(doubtful)])


def new_values(found: Compared) -> list[float]:
    return sorted(found.new.values.view(np.float64).tolist())


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, ROWS, ROWS, st.integers(1, 3))
def test_new_samples_are_those_of_a_plain_set(
    doubtful: list[Sample], certain: list[Sample], fresh: list[Sample], part: list[Sample], times: int
) -> None:
    blocks = SampleBlocks()
    stored = [
        write([sample for sample in samples if (sample[0] == UPLOAD) == is_upload])
        for samples, write in (
            (fresh, lambda samples: blocks.fresh(*samples)),
            ([sample for sample in part if sample[2] < 1440], lambda samples: blocks.part(*samples)),
        )
        for is_upload in (True, False)
        if any((sample[0] == UPLOAD) == is_upload for sample in samples)
    ]
    known = {*certain, *fresh, *(sample for sample in part if sample[2] < 1440)}
    found = compare(blocks, doubtful * times, certain=certain, stored=stored)
    expected = columns_of(sorted(set(doubtful) - known))
    rows = [
        sorted(zip(one.metrics.tolist(), one.devices.tolist(), one.at_ns.tolist(), one.values.tolist(), strict=True))
        for one in (found.new, expected)
    ]
    assert rows[0] == rows[1]
    assert (found.repeated, found.uncompared) == (len(doubtful) * times - len(expected), 0)


def test_nothing_is_compared_with_nothing() -> None:
    found = compare(SampleBlocks(), [])
    assert (len(found.new), found.repeated, found.uncompared) == (0, 0, 0)


def test_each_acknowledgement_counts_where_samples_are_deleted_by_age() -> None:
    blocks = SampleBlocks(today=DAY + 3)
    blocks.metrics[CPU] = replace(blocks.metrics[CPU], raw_days=2)
    sample, other = (CPU, 0, 5.0, 1.0), (LOAD, 0, 5.0, 2.0)
    found = compare(blocks, [sample, sample, other, other], certain=[sample, other])
    assert (new_values(found), found.repeated, found.uncompared) == ([1.0, 1.0], 2, 2)
    blocks.today -= 1
    assert len(compare(blocks, [sample, sample, other], certain=[sample, other]).new) == 0


def test_each_acknowledgement_counts_where_a_part_has_lost_its_samples_whatever_the_definition_says_now() -> None:
    blocks = SampleBlocks()
    whole = blocks.part((CPU, 0, 5.0, 1.0))
    lost = replace(whole, files={tier: file for tier, file in whole.files.items() if tier != RAW})
    again = [(CPU, 0, 5.0, 1.0), (CPU, 0, 5.0, 1.0), (CPU, 0, 1441.0, 1.0), (CPU, 0, 1441.0, 1.0)]
    assert [len(compare(blocks, again, stored=[block]).new) for block in (whole, lost)] == [1, 3]


def test_a_block_that_cannot_be_read_is_reported_or_raises() -> None:
    blocks = SampleBlocks()
    missing, sound = blocks.fresh((CPU, 0, 5.0, 1.0)), blocks.fresh((CPU, 1, 5.0, 1.0))
    blocks.store.remove(missing.files[RAW].name)
    again = [(CPU, 0, 5.0, 1.0), (CPU, 1, 5.0, 1.0)]
    damage: list[DamagedData] = []
    found = compare(blocks, again, stored=[missing, sound], on_damage=damage.append)
    assert (found.new.devices.tolist(), len(damage)) == ([0], 1)
    with pytest.raises(DamagedData):
        compare(blocks, again, stored=[missing, sound])

"""A block without what a device sent before a time holds everything else, in every tier."""

from dataclasses import replace

import numpy as np
import pytest

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.aggregate.uptime import pack_minutes
from fleetpulse.blocks.forget import count_before, kept_minutes, without_minutes, without_samples
from fleetpulse.errors import DamagedData
from fleetpulse.model.forgotten import NO_MINUTE, BeforeCut
from fleetpulse.model.manifest import DAY as DAY_TIER
from fleetpulse.model.manifest import HOUR, RAW, Manifest, SampleBlock
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from sample_blocks import CPU, DAY, LOAD, UPLOAD, SampleBlocks


def minute_ns(minute: int) -> int:
    return DAY * NS_PER_DAY + minute * NS_PER_MINUTE


def without_raw(block: SampleBlock) -> SampleBlock:
    return replace(block, files={tier: file for tier, file in block.files.items() if tier != RAW})


def test_minutes_are_kept_from_the_time_on() -> None:
    assert int(count_minutes(kept_minutes(DAY, minute_ns(60))[None])[0]) == 1380
    assert int(count_minutes(kept_minutes(DAY - 1, minute_ns(60))[None])[0]) == 0
    assert int(count_minutes(kept_minutes(DAY + 1, minute_ns(60))[None])[0]) == 1440


def test_only_the_device_loses_minutes() -> None:
    truths = np.zeros((2, MINUTES_PER_DAY), bool)
    truths[[0, 0, 1], [5, 70, 5]] = True
    rows = pack_minutes(truths)
    devices = np.array([3, 9], np.uint32)
    ((_, kept),) = without_minutes([(devices, rows)], DAY, {3: minute_ns(60), 4: minute_ns(60)})
    assert count_minutes(kept).tolist() == [1, 1]
    assert count_minutes(rows).tolist() == [2, 1]
    ((_, same),) = without_minutes([(devices, rows)], DAY, {4: minute_ns(60)})
    assert same is rows


@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_block_keeps_all_other_samples_and_its_roll_ups_follow(is_fresh: bool) -> None:
    blocks = SampleBlocks()
    samples = ((CPU, 0, 1.0, 1.0), (CPU, 0, 59.0, 2.0), (CPU, 0, 61.0, 4.0), (CPU, 1, 1.0, 8.0), (LOAD, 0, 2.0, 3.0))
    block = blocks.fresh(*samples) if is_fresh else blocks.part(*samples)
    cut = without_samples(blocks.history, block, {0: minute_ns(59)}, pause=lambda: None)
    assert cut is not None
    assert blocks.samples(cut) == [(CPU, 0, 59, 2.0), (CPU, 0, 61, 4.0), (CPU, 1, 1, 8.0)]
    assert cut.samples == 3
    if not is_fresh:
        assert blocks.cells(cut, HOUR) == [(CPU, 0, 0, 1, 2.0), (CPU, 0, 60, 1, 4.0), (CPU, 1, 0, 1, 8.0)]
        assert blocks.cells(cut, DAY_TIER) == [(CPU, 0, 0, 2, 6.0), (CPU, 1, 0, 1, 8.0)]
    assert without_samples(blocks.history, block, {2: minute_ns(59)}, pause=lambda: None) is block
    everything = {device: minute_ns(1440) for device in (0, 1)}
    assert without_samples(blocks.history, block, everything, pause=lambda: None) is None


def test_where_samples_are_gone_the_bucket_of_the_time_stays_whole() -> None:
    blocks = SampleBlocks()
    block = without_raw(blocks.part((CPU, 0, 1.0, 1.0), (CPU, 0, 61.0, 2.0), (CPU, 0, 110.0, 3.0), (CPU, 1, 1.0, 9.0)))
    cut = without_samples(blocks.history, block, {0: minute_ns(90)}, pause=lambda: None)
    assert cut is not None
    assert blocks.cells(cut, HOUR) == [(CPU, 0, 60, 2, 5.0), (CPU, 1, 0, 1, 9.0)]
    assert (cut.samples, set(cut.files) >= {HOUR, DAY_TIER}) == (3, True)
    assert without_samples(blocks.history, block, dict.fromkeys((0, 1), minute_ns(1440)), pause=lambda: None) is None


def test_what_blocks_hold_before_a_time_is_counted_from_samples_or_roll_ups() -> None:
    blocks = SampleBlocks()
    raw = blocks.part((UPLOAD, 0, 1.0, 2**62), (UPLOAD, 0, 2.0, 2**62), (UPLOAD, 0, 70.0, 5), (UPLOAD, 1, 1.0, 7))
    manifest = Manifest(samples=(raw, without_raw(raw), blocks.fresh((CPU, 0, 3.0, 1.5))))
    found = count_before(blocks.history, manifest, 0, before_ns=minute_ns(60), live={}, pause=lambda: None)
    assert found == BeforeCut(0, NO_MINUTE, 5, 4, 4 * 2**62)
    assert count_before(blocks.history, Manifest(), 0, before_ns=0, live={}, pause=lambda: None) == BeforeCut()


def test_a_damaged_block_is_not_rewritten() -> None:
    blocks = SampleBlocks()
    block = blocks.part((CPU, 0, 1.0, 1.0), (CPU, 1, 1.0, 1.0))
    blocks.damage(block, HOUR)
    with pytest.raises(DamagedData):
        without_samples(blocks.history, block, {0: minute_ns(60)}, pause=lambda: None)

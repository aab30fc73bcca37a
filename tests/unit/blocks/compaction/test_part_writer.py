"""A part holds the samples it was given, and roll-ups that are those of its samples."""

from fleetpulse.blocks.compaction.part_writer import write_part
from fleetpulse.model.manifest import DAY as DAY_TIER
from fleetpulse.model.manifest import HOUR, MINUTE, RAW
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from sample_blocks import CPU, DAY, LOAD, UPLOAD, SampleBlocks, columns_of


def test_samples_come_back_and_are_counted_by_minute_hour_and_day() -> None:
    blocks = SampleBlocks()
    samples = [
        (CPU, 3, 0.0, 1.0),
        (CPU, 3, 0.5, 2.0),
        (CPU, 3, 61.0, 4.0),
        (CPU, 3, 61.5, 8.0),
        (CPU, 7, 5.0, 16.0),
        (CPU, 7, 5.1, 32.0),
    ]
    part = blocks.part(*samples)
    assert blocks.samples(part) == samples
    assert blocks.cells(part, MINUTE) == [(CPU, 3, 0, 2, 3.0), (CPU, 3, 61, 2, 12.0), (CPU, 7, 5, 2, 48.0)]
    assert blocks.cells(part, HOUR) == [(CPU, 3, 0, 2, 3.0), (CPU, 3, 60, 2, 12.0), (CPU, 7, 0, 2, 48.0)]
    assert blocks.cells(part, DAY_TIER) == [(CPU, 3, 0, 4, 15.0), (CPU, 7, 0, 2, 48.0)]


def test_times_and_number_of_samples_are_those_of_the_samples() -> None:
    part = SampleBlocks().part((CPU, 1, 2.0, 1.0), (LOAD, 0, 900.0, 1.0))
    start_ns = DAY * NS_PER_DAY + 2 * NS_PER_MINUTE
    assert (part.kind, part.day, part.samples) == ("float", DAY, 2)
    assert (part.start_ns, part.end_ns) == (start_ns, start_ns + 898 * NS_PER_MINUTE + 1)


def test_minutes_are_stored_only_for_metrics_with_two_samples_a_minute() -> None:
    blocks = SampleBlocks()
    part = blocks.part((CPU, 1, 0.0, 1.0), (CPU, 1, 1.0, 1.0), (LOAD, 1, 0.0, 1.0), (LOAD, 1, 0.5, 1.0))
    assert [cell[0] for cell in blocks.cells(part, MINUTE)] == [LOAD]
    assert set(blocks.part((CPU, 1, 0.0, 1.0)).files) == {RAW, HOUR, DAY_TIER}


def test_integer_sums_are_exact_however_large() -> None:
    blocks = SampleBlocks()
    part = blocks.part(*[(UPLOAD, 1, minute, 2**62 + minute) for minute in range(4)])
    assert blocks.cells(part, DAY_TIER) == [(UPLOAD, 1, 0, 4, 2**64 + 6)]


def test_rollups_of_metrics_without_samples_take_their_place_in_order() -> None:
    blocks = SampleBlocks()
    source = blocks.part((CPU, 1, 0.0, 5.0))
    rows = list(blocks.history.rollup_groups(source.files[HOUR], [0], "float"))
    part = write_part(
        blocks.store,
        kind="float",
        day=DAY,
        pieces=[columns_of([(LOAD, 1, 0.0, 7.0)])],
        pause=lambda: None,
        rollups={HOUR: rows},
    )
    assert blocks.samples(part) == [(LOAD, 1, 0, 7.0)]
    assert blocks.cells(part, HOUR) == [(CPU, 1, 0, 1, 5.0), (LOAD, 1, 0, 1, 7.0)]
    assert blocks.cells(part, DAY_TIER) == [(CPU, 1, 0, 1, 5.0), (LOAD, 1, 0, 1, 7.0)]


def test_other_threads_get_their_turn_behind_every_piece() -> None:
    blocks = SampleBlocks()
    blocks.part((CPU, 1, 0.0, 1.0))
    assert blocks.pauses == len([RAW, HOUR, DAY_TIER])

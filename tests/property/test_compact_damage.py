"""Damaged and missing files take only their own span out of answers, and compaction leaves them alone."""

import pytest

from compact_model import DAY_NS, FIRST_DAY, FIRST_NS, HOUR_NS, METRICS, MINUTE_NS, Closed
from fleetpulse.blocks.history import History
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, HOUR, RAW, SampleBlock
from fleetpulse.query.window import Window


def test_a_damaged_block_is_left_alone_and_said_to_be_missing() -> None:
    closed = Closed(metrics={1: METRICS[1], 0: METRICS[0], 2: METRICS[2]})
    for day in range(3):
        closed.add([(0, 1, FIRST_NS + day * DAY_NS + hour * HOUR_NS + 7, float(day)) for hour in range(24)])
    damage(closed, closed.manifest.samples[1], RAW)
    closed.settle()
    assert [block.day for block in closed.manifest.samples] == [None, FIRST_DAY, FIRST_DAY + 2]
    assert set(map(id, closed.damaged)) == {id(closed.manifest.samples[0])}
    found = closed.ask("count", metric=1, window=Window(FIRST_NS, FIRST_NS + 3 * DAY_NS))
    assert found.values == [48]
    assert [(span.start, span.end) for span in found.missing] == [
        ("2024-10-05T00:00:00.000000007Z", "2024-10-05T23:00:00.000000008Z")
    ]


@pytest.mark.parametrize("tier", [RAW, HOUR, DAY])
def test_a_damaged_file_of_a_part_takes_only_its_own_span_out_of_an_answer(tier: str) -> None:
    closed = Closed()
    for day in range(3):
        closed.add([(0, 1, FIRST_NS + day * DAY_NS + minute * MINUTE_NS + 7, float(day)) for minute in range(1440)])
    closed.settle()
    damage(closed, closed.manifest.samples[1], tier)
    length_ns = {RAW: 30 * MINUTE_NS, HOUR: 3 * HOUR_NS, DAY: DAY_NS}[tier]
    start_ns = FIRST_NS + DAY_NS - 30 * MINUTE_NS
    found = closed.ask("count", metric=1, window=Window(start_ns, FIRST_NS + DAY_NS + length_ns))
    assert found.values == [30]
    assert [(span.start[:10], span.end[:10]) for span in found.missing] == [
        ("2024-10-05", "2024-10-06" if tier == DAY else "2024-10-05")
    ]


@pytest.mark.parametrize("tier", [RAW, HOUR, DAY])
def test_a_file_that_vanishes_after_its_footer_was_read_is_said_to_be_missing(tier: str) -> None:
    closed = Closed()
    closed.add([(0, 1, FIRST_NS + minute * MINUTE_NS + 7, 1.0) for minute in range(1440)])
    closed.settle()
    file = closed.manifest.samples[0].files[tier]
    closed.history.footer(file)
    closed.store.remove(file.name)
    length_ns = {RAW: 30 * MINUTE_NS, HOUR: 3 * HOUR_NS, DAY: DAY_NS}[tier]
    found = closed.ask("count", metric=1, window=Window(FIRST_NS, FIRST_NS + length_ns))
    assert (found.values, len(found.missing)) == ([0], 1)


def test_a_damaged_part_is_not_merged_and_goes_when_all_its_metrics_have_expired() -> None:
    closed = Closed()
    for device in range(3):
        closed.add([(device, 1, FIRST_NS + HOUR_NS, float(device))])
        closed.step(is_forced=True, parts_max=9)
    broken = closed.manifest.samples[1]
    damage(closed, broken, HOUR)
    closed.settle()
    assert [block.samples for block in closed.manifest.samples] == [1, 2]
    assert closed.manifest.samples[0] is broken
    closed.today += 1000
    closed.settle()
    assert not closed.manifest.samples
    assert not closed.store.names()


def damage(closed: Closed, block: SampleBlock, tier: str) -> None:
    """Flip a bit of every byte of a file, and forget what was read of it."""
    name = block.files[tier].name
    with closed.store.open(name) as file:
        body = file.read()
    closed.store.put(name, lambda to: to.write(bytes(byte ^ 1 for byte in body)))
    closed.history = History(closed.store, closed.manifest)
    with pytest.raises(DamagedData):
        closed.history.footer(block.files[tier])

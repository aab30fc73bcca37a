"""A plan reads each sample once, whole buckets where they fit and samples at the edges."""

from fleetpulse.blocks.history import History
from fleetpulse.model.manifest import DAY as DAY_TIER
from fleetpulse.model.manifest import HOUR, RAW, Manifest
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE
from fleetpulse.query.reads import LIVE, Samples, plan_reads
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, SampleBlocks

START = DAY * NS_PER_DAY


def tiers(window: Window, *, is_raw_preferred: bool = False) -> list[tuple[str, int]]:
    """Tier and minutes of what is read of a day of samples, each ten minutes after the one before it."""
    blocks = SampleBlocks()
    part = blocks.part(*((CPU, 0, minute, 1.0) for minute in range(0, 1_440, 10)))
    where = Samples([], Manifest(samples=(part,)), History(blocks.store, Manifest()))
    plan = plan_reads(where, CPU, "float", window, is_raw_preferred=is_raw_preferred)
    return [(read.tier, (read.end_ns - read.start_ns) // NS_PER_MINUTE) for read in plan.reads]


def test_a_whole_day_is_one_bucket_unless_samples_are_preferred() -> None:
    day = Window(START, START + NS_PER_DAY)
    assert tiers(day) == [(LIVE, 1_440), (DAY_TIER, 1_440)]
    assert [tier for tier, _ in tiers(day, is_raw_preferred=True)] == [LIVE, RAW]


def test_edges_are_read_as_samples_and_the_rest_as_hours() -> None:
    window = Window(START + NS_PER_HOUR // 2, START + 3 * NS_PER_HOUR + NS_PER_HOUR // 4)
    assert tiers(window) == [(LIVE, 165), (RAW, 30), (HOUR, 120), (RAW, 15)]

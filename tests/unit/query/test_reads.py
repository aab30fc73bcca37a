"""A plan reads each sample once, whole buckets where they fit and samples at the edges."""

from dataclasses import replace

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


def test_a_window_is_widened_to_the_buckets_of_a_day_whose_samples_are_gone() -> None:
    blocks = SampleBlocks()
    part = blocks.part((CPU, 0, 5, 1.0), (CPU, 0, 70, 1.0), (CPU, 0, 130, 1.0))
    rolled_up = replace(part, files={tier: file for tier, file in part.files.items() if tier != RAW})
    window = Window(START + NS_PER_HOUR + 1, START + NS_PER_HOUR + 9)
    for named, tier, expected in (
        (part, RAW, window),
        (rolled_up, HOUR, Window(START + NS_PER_HOUR, START + 2 * NS_PER_HOUR)),
    ):
        where = Samples([], Manifest(samples=(named,)), History(blocks.store, Manifest()))
        plan = plan_reads(where, CPU, "float", window, is_raw_preferred=False)
        assert {read.tier for read in plan.reads} <= {LIVE, tier}
        assert plan.window == expected


def test_edges_are_read_as_samples_and_the_rest_as_hours() -> None:
    window = Window(START + NS_PER_HOUR // 2, START + 3 * NS_PER_HOUR + NS_PER_HOUR // 4)
    assert tiers(window) == [(LIVE, 165), (RAW, 30), (HOUR, 120), (RAW, 15)]

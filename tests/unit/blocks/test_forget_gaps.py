"""Files of beat gaps lose what was forgotten, with what covers it; other devices and damaged days stay as they are."""

from functools import partial

from beat_days import DAY, BeatDays
from fleetpulse.blocks.compaction.resolve_backfill import resolve_backfill
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR


def at(hour: float) -> int:
    return DAY * NS_PER_DAY + int(hour * NS_PER_HOUR)


def days_with_late_beats() -> BeatDays:
    """Two devices with gaps of ten hours that end on two days, in which they sent beats late; some are in covers."""
    days = BeatDays()
    for hour in (0, 10, 20, 30, 40):
        for device in (1, 2):
            days.beat(device, at(hour))
        days.checkpoint()
    for hour in (5, 15):
        for device in (1, 2):
            days.beat(device, at(hour))
    days.checkpoint()
    assert days.compact(partial(resolve_backfill, is_forced=True))
    days.beat(1, at(17))
    days.checkpoint()
    return days


def test_gaps_that_begin_with_a_forgotten_beat_go_and_the_parts_that_begin_later_stay() -> None:
    days = days_with_late_beats()
    days.forget(1, at(16))
    assert days.found(range(1, 2)) == [(1, at(17), at(20)), (1, at(20), at(30)), (1, at(30), at(40))]
    assert days.found() == days.expected()
    assert days.history.manifest.backfill == ()
    days.beat(1, at(3))
    assert days.found() == days.expected()
    days.checkpoint()
    assert (1, at(3), at(17)) in days.found()


def test_nothing_is_written_for_a_device_that_sent_nothing_before_the_time() -> None:
    days = BeatDays()
    for hour in (0, 10):
        days.beat(1, at(hour))
    days.checkpoint()
    before = days.history.manifest
    days.forget(1, at(-1))
    days.forget(7, at(99))
    assert days.history.manifest == before


def test_files_of_which_nothing_is_left_go() -> None:
    days = BeatDays()
    for hour in (0, 10):
        days.beat(1, at(hour))
    days.checkpoint()
    days.beat(1, at(5))
    days.checkpoint()
    days.forget(1, at(11))
    manifest = days.history.manifest
    assert (manifest.beat_gaps, manifest.covers, manifest.backfill) == ({}, {}, ())


def test_a_damaged_day_keeps_its_files_and_the_backfill_that_it_needs() -> None:
    days = days_with_late_beats()
    file = days.history.manifest.beat_gaps[DAY][0]
    days.history.store.put(file.name, lambda to: to.write(b"damaged") and None)
    days.restart()
    before = days.history.manifest
    days.forget(1, at(16))
    assert [file.name in str(error) for error in days.kept] == [True]
    assert days.history.manifest.beat_gaps[DAY] == before.beat_gaps[DAY]
    assert days.history.manifest.backfill == before.backfill
    assert days.found(range(1, 2), on_damage=lambda *_: None) == [(1, at(20), at(30)), (1, at(30), at(40))]

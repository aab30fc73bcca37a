"""Files of beat gaps are written anew without what is covered when that is worth it, and only then do covers go."""

from dataclasses import replace
from functools import partial

import pytest

from beat_days import DAY, BeatDays
from fleetpulse.blocks.compaction import divide_gaps
from fleetpulse.blocks.compaction.divide_gaps import divide_gap_files
from fleetpulse.blocks.compaction.resolve_backfill import resolve_backfill
from fleetpulse.blocks.gap_rows import BEATS
from fleetpulse.blocks.stored_gaps import gaps_of_files
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR


def at(hour: float) -> int:
    return DAY * NS_PER_DAY + int(hour * NS_PER_HOUR)


def days_with_covers(*, files: int = 3, late: int = 2) -> BeatDays:
    """A day with files of one device each, the first `late` of which sent a beat late, at five."""
    days = BeatDays()
    for device in range(files):
        days.beat(device, at(0))
        days.beat(device, at(10))
        days.checkpoint()
    for device in range(late):
        days.beat(device, at(5))
    days.checkpoint()
    assert days.compact(partial(resolve_backfill, is_forced=True))
    return days


def stored(days: BeatDays) -> int:
    """How many gaps are in files."""
    files = days.history.manifest.beat_gaps[DAY]
    return sum(map(len, gaps_of_files(days.history, BEATS, files)))


def test_files_that_are_touched_are_written_anew_a_few_in_a_piece_and_then_covers_go() -> None:
    days = days_with_covers()
    before = days.history.manifest.beat_gaps[DAY]
    assert days.compact(partial(divide_gap_files, piece_rows=1))
    assert stored(days) == 4 and days.history.manifest.covers
    while days.compact(partial(divide_gap_files, piece_rows=1)):
        pass
    assert stored(days) == 5 and days.history.manifest.covers == {}
    assert set(before) & set(days.history.manifest.beat_gaps[DAY]) == {before[2]}
    assert days.found() == days.expected()


def test_a_piece_keeps_the_devices_and_the_sequence_of_a_file() -> None:
    days = days_with_covers(files=1, late=1)
    (file,) = days.history.manifest.beat_gaps[DAY]
    days.history.manifest = replace(
        days.history.manifest, beat_gaps={DAY: (replace(file, first_device=0, end_device=7, sequence=3),)}
    )
    assert days.compact(divide_gap_files)
    (file,) = days.history.manifest.beat_gaps[DAY]
    assert (file.first_device, file.end_device, file.sequence) == (0, 7, 3)


def test_covers_that_are_small_beside_the_gaps_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    days = days_with_covers(files=1, late=1)
    monkeypatch.setattr(divide_gaps, "COVERS_SHARE", 0)
    assert not days.compact(divide_gap_files)
    assert days.found() == days.expected()


def test_a_file_of_which_nothing_is_left_goes() -> None:
    days = BeatDays()
    for hour in (0, 3, 6):
        days.beat(1, at(hour))
        days.checkpoint()
    for tenth in range(31):
        days.beat(1, at(tenth / 10))
    days.checkpoint()
    assert days.compact(partial(resolve_backfill, is_forced=True))
    assert days.compact(divide_gap_files)
    assert (stored(days), len(days.history.manifest.beat_gaps[DAY])) == (1, 1)
    assert days.found() == days.expected()


def test_covers_stay_as_long_as_a_file_of_their_day_is_damaged() -> None:
    days = days_with_covers()
    file = days.history.manifest.beat_gaps[DAY][0]
    with days.history.store.open(file.name) as reader:
        body = reader.read()
    days.history.store.put(file.name, lambda to: to.write(b"damaged") and None)
    days.restart()
    while days.compact(divide_gap_files):
        pass
    assert days.history.manifest.covers and file in days.history.manifest.beat_gaps[DAY]
    assert file in days.damaged
    days.history.store.put(file.name, lambda to: to.write(body) and None)
    days.restart()
    assert days.found() == days.expected()
    while days.compact(divide_gap_files):
        pass
    assert days.history.manifest.covers == {}
    assert days.found() == days.expected()

"""What late beats cover is given to the days of the gaps that it touches, in pieces, what touches none is dropped."""

from functools import partial

import pytest

from beat_days import DAY, BeatDays, rows_of
from fleetpulse.blocks.compaction import resolve_backfill as module
from fleetpulse.blocks.compaction.resolve_backfill import BACKFILL_FILES_MAX, resolve_backfill
from fleetpulse.blocks.gap_rows import COVERS
from fleetpulse.blocks.stored_gaps import gaps_of_files
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR


def at(hour: float) -> int:
    return DAY * NS_PER_DAY + int(hour * NS_PER_HOUR)


def days_with_gaps(*, devices: int = 3, count: int = 4) -> BeatDays:
    """Devices that beat once a day, at midnight, so that each day has a gap of each of them."""
    days = BeatDays()
    for day in range(count + 1):
        for device in range(devices):
            days.beat(device, at(24 * day))
        days.checkpoint()
    return days


def covers(days: BeatDays) -> dict[int, list[tuple[int, float, float]]]:
    """Device, and hours since DAY, of what is covered of the gaps of each day, from DAY on."""
    return {
        day - DAY: [
            (device, (start - at(0)) / NS_PER_HOUR, (end - at(0)) / NS_PER_HOUR)
            for piece in gaps_of_files(days.history, COVERS, files)
            for device, start, end in rows_of(piece)
        ]
        for day, files in days.history.manifest.covers.items()
    }


def late(days: BeatDays, *beats: tuple[int, float]) -> None:
    for device, hour in beats:
        days.beat(device, at(hour))
    days.checkpoint()


def resolve(days: BeatDays, *, piece_rows: int = 100) -> bool:
    return days.compact(partial(resolve_backfill, piece_rows=piece_rows, is_forced=True))


def test_a_span_goes_to_each_day_that_has_a_gap_which_it_touches() -> None:
    days = days_with_gaps()
    late(days, (1, 5), (1, 6), *((2, hour / 2) for hour in range(70, 100)))
    assert resolve(days)
    assert covers(days) == {1: [(1, 5, 6)], 2: [(2, 35, 49.5)], 3: [(2, 35, 49.5)]}
    assert days.history.manifest.backfill == ()
    assert days.found() == days.expected()


def test_what_repeats_known_beats_or_is_covered_already_is_dropped() -> None:
    days = days_with_gaps()
    for _ in range(2):
        late(days, (1, 5), (1, 24), (2, 48))
        assert resolve(days)
        assert covers(days) == {1: [(1, 5, 5)]}


def test_few_files_wait_until_the_next_day_and_more_do_not() -> None:
    days = days_with_gaps()
    days.today = DAY
    for _ in range(BACKFILL_FILES_MAX - 1):
        late(days, (1, 5))
    assert not days.compact(resolve_backfill)
    days.today = DAY + 5
    days.checkpoint()
    assert days.compact(resolve_backfill)
    days.today = DAY
    for _ in range(BACKFILL_FILES_MAX):
        late(days, (1, 5))
    assert days.compact(resolve_backfill)
    assert days.history.manifest.backfill == ()


def test_many_devices_are_handled_some_at_a_time_and_files_of_new_checkpoints_wait() -> None:
    days = days_with_gaps(devices=9)
    late(days, *((device, 5) for device in range(9)))
    pieces = 0
    while resolve(days, piece_rows=2):
        assert days.found() == days.expected()
        if pieces == 0:
            late(days, (0, 7), (8, 7))
        pieces += 1
    # The row group of a small file is not divided: all rows of it are one piece.
    assert pieces == 2
    assert {row for rows in covers(days).values() for row in rows} == {
        *((device, 5, 5) for device in range(9)),
        (0, 7, 7),
        (8, 7, 7),
    }


def test_devices_that_have_very_many_gaps_are_left_for_a_further_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPANS_AT_ONCE", 2)
    monkeypatch.setattr(module, "GAPS_AT_ONCE", 100_000)
    days = days_with_gaps(devices=9)
    late(days, *((device, 5) for device in range(9)))
    pieces = []
    while resolve(days):
        pieces.append(min((file.first_device for file in days.history.manifest.backfill), default=9))
        assert days.found() == days.expected()
    assert pieces == [6, 9]


def test_a_damaged_day_gets_all_that_may_touch_it_so_that_its_gaps_are_right_when_it_is_back() -> None:
    days = days_with_gaps()
    file = days.history.manifest.beat_gaps[DAY + 2][0]
    with days.history.store.open(file.name) as reader:
        body = reader.read()
    days.history.store.put(file.name, lambda to: to.write(b"damaged") and None)
    days.restart()
    late(days, (1, 30), (2, 50))
    assert resolve(days)
    assert covers(days) == {2: [(1, 30, 30), (2, 50, 50)], 3: [(2, 50, 50)]}
    days.history.store.put(file.name, lambda to: to.write(body) and None)
    days.restart()
    assert days.found() == days.expected()

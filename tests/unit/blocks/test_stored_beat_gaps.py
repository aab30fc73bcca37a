"""Stored beat gaps are read less what late beats cover of them, wherever these are; damage hides a day and says so."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beat_days import DAY, BeatDays, rows_of, spans_of
from fleetpulse.blocks.checkpoint_files import CheckpointFiles
from fleetpulse.blocks.gap_rows import COVERS, write_gaps
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore, put_block
from fleetpulse.blocks.stored_beat_gaps import beat_gaps_of_day, cover_of, joined, read_beat_gaps
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import BlockFile, GapFile, Manifest
from fleetpulse.model.units import NS_PER_DAY, NS_PER_HOUR

BEATS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 24 * 8)), min_size=1, max_size=60)


def at(hour: float, day: int = DAY) -> int:
    return day * NS_PER_DAY + int(hour * NS_PER_HOUR)


def history_of(*gaps: tuple[int, int, int]) -> History:
    history = History(MemoryBlockStore(), Manifest())
    files = CheckpointFiles(history, position=1, device_count=1, pause=lambda: None)
    history.manifest = Manifest(beat_gaps=files.put_beat_gaps([spans_of(list(gaps))]))
    return history


def add_covers(history: History, day: int, *rows: tuple[int, int, int]) -> None:
    file = put_block(
        history.store, f"covers-{day}", lambda out: write_gaps(out, COVERS, [spans_of(list(rows))], rows=len(rows))
    )
    history.manifest = replace(history.manifest, covers={day: (GapFile.of(file),)})


def add_backfill(history: History, *rows: tuple[int, int, int]) -> None:
    files = CheckpointFiles(history, position=1, device_count=1, pause=lambda: None)
    last_day = max(history.manifest.beat_gaps)
    backfill = files.put_backfill([spans_of(list(rows))], last_day=last_day)
    history.manifest = replace(history.manifest, backfill=backfill)


def damage(history: History, file: BlockFile) -> None:
    history.store.put(file.name, lambda to: to.write(b"damaged") and None)


def test_covers_unresolved_backfill_and_that_in_memory_divide_the_gaps() -> None:
    history = history_of((1, at(0), at(10)), (2, at(0), at(10)), (3, at(20), at(30)))
    add_covers(history, DAY, (1, at(1), at(2)), (3, at(21), at(22)))
    add_backfill(history, (1, at(4), at(5)), (2, at(9), at(12)))
    live = spans_of([(1, at(4.5), at(6)), (0, at(0), at(9)), (3, at(20), at(30))])
    pieces = list(read_beat_gaps(history, history.manifest, start_day=0, end_day=2**31, backfill=live))
    assert [rows_of(piece) for piece in pieces] == [
        [(1, at(0), at(1)), (1, at(2), at(4)), (1, at(6), at(10)), (2, at(0), at(9))]
    ]
    covered = cover_of(history, history.manifest, DAY, range(1, 2), backfill=joined(live))
    assert rows_of(covered) == [(1, at(1), at(2)), (1, at(4), at(6))]


def test_a_backfill_is_not_even_opened_for_days_whose_gaps_it_cannot_touch() -> None:
    history = history_of((1, at(0), at(10)), (1, at(24), at(34)))
    add_backfill(history, (1, at(25), at(26)))
    damage(history, history.manifest.backfill[0])
    assert [rows_of(piece) for piece in beat_gaps_of_day(history, history.manifest, DAY)] == [[(1, at(0), at(10))]]
    with pytest.raises(DamagedData):
        list(beat_gaps_of_day(history, history.manifest, DAY + 1))
    add_backfill(history, (1, at(99), at(100)))
    assert len(history.manifest.backfill) == 1


@pytest.mark.parametrize("kind", ["gaps", "covers", "backfill"])
def test_a_day_of_which_gaps_or_what_covers_them_is_damaged_is_missing_and_the_others_are_answered(kind: str) -> None:
    history = history_of((1, at(0), at(10)), (1, at(-24), at(-14)))
    add_covers(history, DAY, (1, at(1), at(2)))
    add_backfill(history, (1, at(3), at(4)))
    file = {
        "gaps": history.manifest.beat_gaps[DAY][0],
        "covers": history.manifest.covers[DAY][0],
        "backfill": history.manifest.backfill[0],
    }[kind]
    damage(history, file)
    damaged: list[int] = []
    pieces = read_beat_gaps(
        history, history.manifest, start_day=0, end_day=2**31, on_damage=lambda day, _: damaged.append(day)
    )
    assert [rows_of(piece) for piece in pieces] == [[(1, at(-24), at(-14))]]
    assert damaged == [DAY]
    with pytest.raises(DamagedData):
        list(read_beat_gaps(history, history.manifest, start_day=0, end_day=2**31))


def test_of_a_large_file_the_gaps_of_one_device_are_divided_and_nothing_else_is_read() -> None:
    count, each = 2_000, 100
    devices = np.repeat(np.arange(count), each)
    starts = at(0) + np.tile(np.arange(each), count) * NS_PER_HOUR // 10
    rows = list(zip(devices.tolist(), starts.tolist(), (starts + 10).tolist(), strict=True))
    history = history_of(*rows)
    add_backfill(history, (7, at(0) + 5, at(0) + 6))
    found = {
        device: [row for piece in _of_device(history, device) for row in rows_of(piece)] for device in (7, 8, count)
    }
    assert found[7] == [(7, at(0), at(0) + 5), (7, at(0) + 6, at(0) + 10), *rows[701:800]]
    assert found[8] == rows[800:900]
    assert found[count] == []
    every = [row for piece in beat_gaps_of_day(history, history.manifest, DAY) for row in rows_of(piece)]
    assert every == [*rows[:700], *found[7], *rows[800:]]


def _of_device(history: History, device: int) -> list:
    return list(
        read_beat_gaps(history, history.manifest, start_day=0, end_day=2**31, devices=range(device, device + 1))
    )


@given(BEATS, st.sets(st.integers(0, 59)))
def test_any_order_of_beats_and_any_checkpoints_give_the_gaps_of_the_set_of_beats(
    beats: list[tuple[int, int]], checkpoints: set[int]
) -> None:
    days = BeatDays()
    for place, (device, hour) in enumerate(beats):
        days.beat(device, at(hour))
        if place in checkpoints:
            days.checkpoint()
    assert days.found() == days.expected()
    days.checkpoint()
    days.restart()
    assert days.found() == days.expected()
    one = range(1, 2)
    assert days.found(one) == days.expected(one)

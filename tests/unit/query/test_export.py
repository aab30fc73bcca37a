"""Raw data of a window: every row once, whether it is in a block or in memory."""

from collections.abc import Iterable

import numpy as np
import pytest

from fleetpulse.model.metric import BUILT_IN
from fleetpulse.query.export import (
    ALIASES,
    COLUMNS,
    NAMES,
    Piece,
    Selection,
    export_gaps,
    export_presence,
    export_samples,
)
from one_fleet import SECOND, OneFleet

IDS = ["d0", "d1", "d2"]
BOTH = Selection(IDS.__getitem__, np.array([True, True, False]), rows_max=8_192)


def fleet() -> OneFleet:
    """Three devices with a beat, a gap and a sample of two days; the first day is closed."""
    one = OneFleet(devices=3)
    for text in ("10:00:00", "10:10:00"):
        for device in range(3):
            one.hear(text, device=device)
    for device in range(3):
        one.hear_sample("10:11:00", device=device)
    one.hear("2026-05-13T09:00:00", device=1)
    one.checkpoint()
    one.hear_sample("2026-05-13T09:01:00", device=1)
    one.hear("2026-05-13T09:01:05", sent_at="2026-05-11T23:00:00", device=0)
    return one


def rows(pieces: Iterable[Piece]) -> list[tuple[object, ...]]:
    """All rows, times as seconds since 2026-05-11."""
    start = OneFleet().at("00:00:00")
    found: list[tuple[object, ...]] = []
    for piece in filter(None, pieces):
        columns = [
            (column - start) // SECOND if name.endswith("_at") or name == "minute" else column
            for name, column in piece.items()
        ]
        found += zip(*(column.tolist() for column in columns), strict=True)
    return sorted(found)


def filled(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces that have rows."""
    return [piece for piece in pieces if piece]


TEN, DAY = 36_000, 86_400


def test_presence_is_exported_minute_by_minute_from_blocks_and_memory() -> None:
    one = fleet()
    view = one.fleet_view(one.at("00:00:00"))
    pieces = filled(export_presence(view, BOTH, start_ns=one.at("00:00:00"), end_ns=one.now))
    assert [list(piece) for piece in pieces] == [COLUMNS["presence"]] * len(pieces)
    assert rows(pieces) == [
        ("d0", TEN), ("d0", TEN + 600), ("d0", 23 * 3_600),
        ("d1", TEN), ("d1", TEN + 600), ("d1", 2 * DAY + 9 * 3_600),
    ]  # fmt: skip


def test_a_minute_belongs_to_the_window_in_which_it_begins() -> None:
    one = fleet()
    span = {"start_ns": one.at("10:00:01"), "end_ns": one.at("10:10:00") + 1}
    assert rows(export_presence(one.fleet_view(span["start_ns"]), BOTH, **span)) == [
        ("d0", TEN + 600),
        ("d1", TEN + 600),
    ]


def test_reception_gaps_are_exported_by_their_end() -> None:
    one = fleet()
    view = one.fleet_view(one.at("10:00:01"))
    pieces = filled(export_gaps(view, BOTH, start_ns=one.at("10:00:01"), end_ns=one.now + 1))
    assert list(pieces[0]) == COLUMNS["reception_gaps"]
    assert rows(pieces) == [
        ("d0", TEN, TEN + 600, 60, 240),
        ("d0", TEN + 660, 2 * DAY + 9 * 3_600 + 65, 60, 240),
        ("d1", TEN, TEN + 600, 60, 240),
        ("d1", TEN + 660, 2 * DAY + 9 * 3_600, 60, 240),
    ]


def test_samples_are_exported_once_from_blocks_and_memory() -> None:
    one = fleet()
    pieces = filled(
        export_samples(one.views.samples()(), BOTH, [(0, BUILT_IN)], start_ns=one.at("00:00:00"), end_ns=one.now)
    )
    assert list(pieces[0]) == COLUMNS["samples"]
    assert rows(pieces) == [
        ("d0", "upload_time", TEN + 660, 7),
        ("d1", "upload_time", TEN + 660, 7),
        ("d1", "upload_time", 2 * DAY + 9 * 3_600 + 60, 7),
    ]


def test_every_name_of_an_export_has_columns() -> None:
    assert {ALIASES.get(name, name) for name in NAMES} == set(COLUMNS)


@pytest.mark.parametrize("rows_max", [1, 2, 3, 1_441])
def test_the_size_of_pieces_does_not_change_the_rows_nor_their_order(rows_max: int) -> None:
    one = OneFleet(devices=40)
    for device in range(40):
        for minute in range(device % 7):
            one.hear(f"10:{10 * minute % 60:02}:00", device=device)
    view, span = one.fleet_view(one.at("00:00:00")), {"start_ns": one.at("00:00:00"), "end_ns": one.at("23:59:59")}

    def all_rows(size: int) -> list[tuple[object, ...]]:
        selection = Selection(str, np.arange(40) % 3 > 0, size)
        found: list[tuple[object, ...]] = []
        for pieces in (export_presence(view, selection, **span), export_gaps(view, selection, **span)):
            for piece in filled(pieces):
                columns = [column.tolist() for column in piece.values()]
                assert len(columns[0]) <= max(size, 1_440)
                found += zip(*columns, strict=True)
        return found

    assert all_rows(rows_max) == all_rows(65_536) != []


def test_devices_beyond_the_selection_are_not_selected() -> None:
    for count in (0, 1, 3):
        has = Selection(str, np.ones(count, bool), 1).has(np.arange(4, dtype=np.uint32))
        assert has.tolist() == [number < count for number in range(4)]

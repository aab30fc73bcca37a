"""Raw data of a window: every row once, whether it is in a block or in memory."""

from collections.abc import Iterable

import numpy as np

from fleetpulse.model.metric import BUILT_IN
from fleetpulse.query.export import ALIASES, COLUMNS, NAMES, Piece, export_gaps, export_presence, export_samples
from one_fleet import SECOND, OneFleet

IDS = np.array(["d0", "d1", "d2"], np.object_)
BOTH = np.array([True, True, False])


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
    for piece in pieces:
        columns = [
            (column - start) // SECOND if name.endswith("_at") or name == "minute" else column
            for name, column in piece.items()
        ]
        found += zip(*(column.tolist() for column in columns), strict=True)
    return sorted(found)


TEN, DAY = 36_000, 86_400


def test_presence_is_exported_minute_by_minute_from_blocks_and_memory() -> None:
    one = fleet()
    view = one.fleet_view(one.at("00:00:00"))
    pieces = list(export_presence(view, IDS, BOTH, start_ns=one.at("00:00:00"), end_ns=one.now))
    assert [list(piece) for piece in pieces] == [COLUMNS["presence"]] * len(pieces)
    assert rows(pieces) == [
        ("d0", TEN), ("d0", TEN + 600), ("d0", 23 * 3_600),
        ("d1", TEN), ("d1", TEN + 600), ("d1", 2 * DAY + 9 * 3_600),
    ]  # fmt: skip


def test_a_minute_belongs_to_the_window_in_which_it_begins() -> None:
    one = fleet()
    span = {"start_ns": one.at("10:00:01"), "end_ns": one.at("10:10:00") + 1}
    assert rows(export_presence(one.fleet_view(span["start_ns"]), IDS, BOTH, **span)) == [
        ("d0", TEN + 600),
        ("d1", TEN + 600),
    ]


def test_reception_gaps_are_exported_by_their_end() -> None:
    one = fleet()
    view = one.fleet_view(one.at("10:00:01"))
    pieces = list(export_gaps(view, IDS, BOTH, start_ns=one.at("10:00:01"), end_ns=one.now + 1))
    assert list(pieces[0]) == COLUMNS["reception_gaps"]
    assert rows(pieces) == [
        ("d0", TEN, TEN + 600, 60, 240),
        ("d0", TEN + 660, 2 * DAY + 9 * 3_600 + 65, 60, 240),
        ("d1", TEN, TEN + 600, 60, 240),
        ("d1", TEN + 660, 2 * DAY + 9 * 3_600, 60, 240),
    ]


def test_samples_are_exported_once_from_blocks_and_memory() -> None:
    one = fleet()
    pieces = list(
        export_samples(one.views.samples()(), IDS, BOTH, [(0, BUILT_IN)], start_ns=one.at("00:00:00"), end_ns=one.now)
    )
    assert list(pieces[0]) == COLUMNS["samples"]
    assert rows(pieces) == [
        ("d0", "upload_time", TEN + 660, 7),
        ("d1", "upload_time", TEN + 660, 7),
        ("d1", "upload_time", 2 * DAY + 9 * 3_600 + 60, 7),
    ]


def test_every_name_of_an_export_has_columns() -> None:
    assert {ALIASES.get(name, name) for name in NAMES} == set(COLUMNS)

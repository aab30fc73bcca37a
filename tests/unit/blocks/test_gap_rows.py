"""Reception gaps come back from a block as they were written, and files merge into what one file would be."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.blocks.gap_rows import RECEPTION, merge_gaps, sorted_pieces, write_gaps
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_gaps import gaps_of_file
from fleetpulse.model.device_spans import sort_device_spans
from fleetpulse.model.manifest import GapFile, Manifest
from fleetpulse.model.reception_gaps import NO_GAPS, ReceptionGapColumns, join_gaps

NAMES = ("devices", "start_ns", "end_ns", "interval_s", "grace_s")


def gaps_of(rows: Sequence[tuple[int, int]]) -> ReceptionGapColumns:
    """Gaps of device and start."""
    devices, starts = (np.array([row[place] for row in rows], np.int64) for place in range(2))
    seconds = (starts % 7).astype(np.uint32)
    return ReceptionGapColumns(devices.astype(np.uint32), starts, starts + 100 + devices, seconds, seconds)


def assert_equal(found: ReceptionGapColumns, expected: ReceptionGapColumns) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_gaps_come_back_sorted_by_device_and_start() -> None:
    gaps = ReceptionGapColumns(
        devices=np.array([7, 2, 7], np.uint32),
        start_ns=np.array([50, 0, 10], np.int64),
        end_ns=np.array([60, 2**62, 40], np.int64),
        interval_s=np.array([1, 2, 3], np.uint32),
        grace_s=np.array([4, 5, 2**32 - 1], np.uint32),
    )
    store = MemoryBlockStore()
    file = GapFile.of(store.put("gaps", lambda to: write_gaps(to, RECEPTION, [sort_device_spans(gaps)], rows=3)))
    assert_equal(
        join_gaps(list(gaps_of_file(History(store, Manifest()), RECEPTION, file))), gaps.where(np.array([1, 2, 0]))
    )


def in_pieces(gaps: ReceptionGapColumns, rows: int) -> list[ReceptionGapColumns]:
    return [gaps.where(slice(start, start + rows)) for start in range(0, len(gaps), rows)]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 300), st.integers(0, 4)), unique=True, max_size=60),
    st.integers(1, 9),
    st.integers(2, 5),
)
def test_any_cut_into_files_and_any_order_of_merges_give_what_one_pass_gives(
    rows: list[tuple[int, int, int]], piece_rows: int, first_merged: int
) -> None:
    whole = gaps_of(list({row[:2]: row[:2] for row in rows}))
    numbers = np.array(list({row[:2]: row[2] for row in rows}.values()), np.int64)
    files = [sort_device_spans(whole.where(np.flatnonzero(numbers == number))) for number in range(5)]
    some_merged = join_gaps(
        [*merge_gaps(RECEPTION, [in_pieces(file, piece_rows) for file in files[:first_merged]]), NO_GAPS]
    )
    merged = merge_gaps(RECEPTION, [in_pieces(file, piece_rows) for file in (some_merged, *files[first_merged:])])
    assert_equal(join_gaps([*merged, NO_GAPS]), sort_device_spans(whole))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 300)), unique=True, max_size=60), st.integers(1, 20))
def test_sorting_a_range_of_devices_at_a_time_gives_what_sorting_all_gives(
    rows: list[tuple[int, int]], sorted_rows: int
) -> None:
    whole = gaps_of(rows)
    pieces = list(sorted_pieces(RECEPTION, in_pieces(whole, 7), rows=sorted_rows))
    assert_equal(join_gaps([*pieces, NO_GAPS]), sort_device_spans(whole))
    most_of_one = max((sum(device == other for other, _ in rows) for device, _ in rows), default=0)
    assert all(0 < len(piece) < sorted_rows + most_of_one for piece in pieces)


def test_a_file_depends_on_its_rows_and_not_on_the_pieces_in_which_they_are_written() -> None:
    chance = np.random.default_rng(1)
    whole = sort_device_spans(
        gaps_of([(int(device), place) for place, device in enumerate(chance.integers(0, 900, 9_000))])
    )
    store = MemoryBlockStore()
    files = [
        GapFile.of(
            store.put(
                f"{rows}", lambda to, rows=rows: write_gaps(to, RECEPTION, in_pieces(whole, rows), rows=len(whole))
            )
        )
        for rows in (9_000, 4_096, 100)
    ]
    assert len({file.sha256 for file in files}) == 1
    assert_equal(join_gaps(list(gaps_of_file(History(store, Manifest()), RECEPTION, files[0]))), whole)

import numpy as np

from fleetpulse.aggregate.presence import count_minutes
from fleetpulse.live.forget import forget_presence, forget_samples
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.model.forgotten import NO_MINUTE
from fleetpulse.model.samples import SampleColumns
from fleetpulse.model.units import MINUTES_PER_DAY

DAY = 20_000


def test_minutes_before_the_time_are_cleared_and_the_first_that_stays_is_told() -> None:
    dense = {DAY: HourColumns.empty(2)}
    dense[DAY].mark(np.array([0, 0, 1, 0], np.uint32), np.array([5, 64, 5, 1_439]))
    sparse = SparsePresence()
    sparse.mark(np.full(2, DAY - 1), devices=np.array([0, 1], np.uint32), minutes_of_day=np.array([7, 7]))
    before = DAY * MINUTES_PER_DAY + 64
    assert forget_presence(0, before_minute=before, dense=[dense], sparse=[sparse]) == before
    assert count_minutes(dense[DAY][:]).tolist() == [2, 1]
    assert [int(count_minutes(sparse.of(DAY - 1).all_rows()[1])[device]) for device in (0, 1)] == [0, 1]
    later = DAY * MINUTES_PER_DAY + MINUTES_PER_DAY
    assert forget_presence(0, before_minute=later, dense=[dense], sparse=[sparse]) == NO_MINUTE
    assert forget_presence(7, before_minute=later, dense=[dense], sparse=[sparse]) == NO_MINUTE


def test_samples_before_the_time_leave_new_pieces_and_no_piece_is_changed() -> None:
    pieces = [columns([(0, 5), (1, 5), (0, 9)]), columns([(0, 9)])]
    kept, removed = forget_samples(pieces, 0, before_ns=9)
    assert [piece.at_ns.tolist() for piece in kept] == [[5, 9], [9]]
    assert (removed.devices.tolist(), removed.at_ns.tolist()) == ([0], [5])
    assert len(pieces[0]) == 3
    assert kept[1] is pieces[1]


def columns(rows: list[tuple[int, int]]) -> SampleColumns:
    """Samples of (device, sent_at)."""
    devices, at_ns = zip(*rows, strict=True)
    zeros = np.zeros(len(rows), np.int64)
    return SampleColumns(np.array(devices, np.uint32), zeros.astype(np.uint16), np.array(at_ns, np.int64), zeros)

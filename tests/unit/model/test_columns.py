import numpy as np
import pytest

from fleetpulse.model.columns import join_columns
from fleetpulse.model.reception_gaps import NO_GAPS, ReceptionGapColumns, join_gaps
from fleetpulse.model.samples import NO_SAMPLES, SampleColumns, join_samples


def samples(*devices: int) -> SampleColumns:
    numbers = np.array(devices, np.int64)
    return SampleColumns(numbers.astype(np.uint32), (numbers % 3).astype(np.uint16), numbers * 10, numbers * 100)


def test_rows_are_chosen_by_mask_by_number_or_by_slice_in_all_columns() -> None:
    rows = samples(5, 6, 7)
    for chosen, devices in (
        (np.array([True, False, True]), [5, 7]),
        (np.array([2, 0], np.int64), [7, 5]),
        (slice(1, 3), [6, 7]),
    ):
        part = rows.where(chosen)
        assert (type(part), part.devices.tolist()) == (SampleColumns, devices)
        assert part.values.tolist() == [100 * device for device in devices]


def test_joined_pieces_keep_their_order_and_their_types() -> None:
    joined = join_samples([samples(5), samples(), samples(3, 4)])
    assert joined.devices.tolist() == [5, 3, 4]
    assert joined.at_ns.tolist() == [50, 30, 40]
    assert [column.dtype.name for column in (joined.devices, joined.metrics, joined.values)] == [
        "uint32",
        "uint16",
        "int64",
    ]


def test_one_piece_is_not_copied_and_no_piece_is_the_empty_one() -> None:
    piece = samples(1, 2)
    assert join_columns([piece], NO_SAMPLES) is piece
    assert join_samples([]) is NO_SAMPLES
    assert join_gaps([]) is NO_GAPS


def test_columns_are_never_changed_once_made() -> None:
    gaps = ReceptionGapColumns(
        *(np.zeros(2, column.dtype) for column in (NO_GAPS.devices, NO_GAPS.start_ns)), *[np.zeros(2, np.int64)] * 3
    )
    assert len(gaps) == 2
    with pytest.raises(AttributeError):
        gaps.devices = NO_GAPS.devices  # type: ignore[misc]  # that it cannot be set is the test

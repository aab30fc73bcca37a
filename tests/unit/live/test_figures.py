"""Upload times are counted with sums of more than 64 bits."""

import numpy as np

from fleetpulse.live.figures import count_uploads, settle_uploads, sum_uploads
from fleetpulse.model.samples import NO_SAMPLES, SampleColumns


def uploads(*samples: tuple[int, int]) -> SampleColumns:
    """Upload times: (device, value)."""
    count = len(samples)
    return SampleColumns(
        np.array([device for device, _ in samples], np.uint32),
        np.zeros(count, np.uint16),
        np.arange(count, dtype=np.int64),
        np.array([value for _, value in samples], np.int64),
    )


def test_counts_and_halves_of_sums_are_added_by_device() -> None:
    columns = {name: np.zeros(2, np.int64) for name in ("uploads", "upload_high", "upload_low")}
    samples = uploads((1, 2**63 - 1), (1, 2**63 - 1), (0, 7))
    count_uploads(columns, samples)
    assert columns["uploads"].tolist() == [1, 2]
    assert (int(columns["upload_high"][1]) << 32) + int(columns["upload_low"][1]) == 2 * (2**63 - 1)
    assert sum_uploads(samples) == 2 * (2**63 - 1) + 7
    assert sum_uploads(NO_SAMPLES) == 0


def test_upload_times_that_turn_out_to_be_new_stay_in_the_accounts() -> None:
    columns = {name: np.full(2, 5, np.int64) for name in ("uploads", "upload_high", "upload_low", "other_samples")}
    settle_uploads(columns, uploads((1, 3), (1, 4)))
    assert (columns["uploads"].tolist(), columns["other_samples"].tolist()) == ([5, 7], [5, 3])
    assert columns["upload_low"].tolist() == [5, 12]

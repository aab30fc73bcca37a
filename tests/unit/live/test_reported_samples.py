"""Samples in order are certainly new; those that come late or twice are set apart."""

import numpy as np

from fleetpulse.live.reported_samples import ReportedSamples, has_uploads
from fleetpulse.model.samples import SampleColumns

UPLOAD, CPU, LOAD = 0, 1, 2
Sample = tuple[int, int, int, int]
"""Device, metric, sent_at, value."""


class Devices:
    """Three devices, and the columns that count their samples."""

    def __init__(self) -> None:
        self.samples = ReportedSamples()
        names = ("other_samples", "uploads", "upload_high", "upload_low", "latest_upload_ns", "latest_sample_ns")
        self.columns = {name: np.zeros(3, np.int64) for name in names}

    def send(self, *samples: Sample) -> None:
        types = (np.uint32, np.uint16, np.int64, np.int64)
        columns = (np.array([sample[place] for sample in samples], dtype) for place, dtype in enumerate(types))
        self.samples.apply(SampleColumns(*columns), self.columns)

    @property
    def doubtful(self) -> list[Sample]:
        return rows_of(self.samples.doubtful.pieces())

    @property
    def certain(self) -> list[Sample]:
        return rows_of(self.samples.certain.pieces())


def rows_of(pieces: list[SampleColumns]) -> list[Sample]:
    return [
        row
        for piece in pieces
        for row in zip(
            piece.devices.tolist(), piece.metrics.tolist(), piece.at_ns.tolist(), piece.values.tolist(), strict=True
        )
    ]


def test_samples_in_order_are_certain_and_so_are_several_metrics_of_one_report() -> None:
    devices = Devices()
    devices.send((0, CPU, 5, 1), (0, LOAD, 5, 1), (1, CPU, 3, 1))
    devices.send((0, UPLOAD, 5, 1))
    devices.send((0, CPU, 6, 1), (0, LOAD, 6, 1), (1, CPU, 4, 1))
    assert (len(devices.certain), devices.doubtful) == (7, [])
    assert (devices.columns["latest_sample_ns"].tolist(), devices.columns["latest_upload_ns"].tolist()) == (
        [6, 4, 0], [5, 0, 0]
    )  # fmt: skip


def test_a_batch_in_disorder_is_certain_and_a_later_one_that_goes_back_is_doubtful() -> None:
    devices = Devices()
    devices.send((0, CPU, 9, 1), (0, CPU, 5, 1))
    assert devices.doubtful == []
    devices.send((0, CPU, 7, 1), (1, CPU, 7, 1))
    assert devices.doubtful == [(0, CPU, 7, 1)]


def test_of_repeats_in_one_batch_the_first_is_certain() -> None:
    devices = Devices()
    devices.send((0, UPLOAD, 5, 1), (0, UPLOAD, 5, 1), (0, UPLOAD, 5, 2), (0, CPU, 5, 1), (0, CPU, 5, 1))
    assert sorted(devices.certain) == [(0, UPLOAD, 5, 1), (0, UPLOAD, 5, 2), (0, CPU, 5, 1)]
    assert sorted(devices.doubtful) == [(0, UPLOAD, 5, 1), (0, CPU, 5, 1)]
    assert (devices.columns["uploads"].tolist(), devices.columns["upload_low"].tolist()) == ([2, 0, 0], [3, 0, 0])


def test_every_sample_is_in_the_accounts_whatever_it_is() -> None:
    devices = Devices()
    for _ in range(3):
        devices.send((0, UPLOAD, 5, 2**40), (0, CPU, 5, 1), (2, CPU, 5, 1))
    assert (devices.columns["uploads"] + devices.columns["other_samples"]).tolist() == [6, 0, 3]
    assert devices.samples.count == 9
    assert (devices.columns["uploads"].tolist(), devices.columns["upload_high"].tolist()) == ([1, 0, 0], [2**8, 0, 0])


def test_a_batch_of_repeats_alone_leaves_nothing_certain() -> None:
    devices = Devices()
    devices.send((0, CPU, 5, 1))
    devices.samples.certain.take()
    devices.send((0, CPU, 5, 1))
    assert (devices.certain, devices.doubtful) == ([], [(0, CPU, 5, 1)])


def test_uploads_of_a_device_are_found_among_other_samples() -> None:
    devices = Devices()
    devices.send((0, UPLOAD, 5, 1), (1, CPU, 5, 1))
    pieces = devices.samples.certain.pieces()
    assert (has_uploads(pieces, 0), has_uploads(pieces, 1), has_uploads([], 0)) == (True, False, False)

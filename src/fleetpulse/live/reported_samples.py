"""Samples as they come in: which of them are certainly new, and which may repeat others.

A sample that is later than all samples of its device before it cannot be a repeat: it is *certain*. One that is not is
*doubtful*: it may be in memory or in a block already, and is compared with them when somebody needs to know, at the
checkpoint at the latest. So devices that send in order cost one comparison a sample, and only late data costs more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.sample_set import has_repeats, repeats_in
from fleetpulse.live.figures import count_uploads
from fleetpulse.live.samples import LiveSamples
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.model.samples import SampleColumns


class ReportedSamples:
    """The samples that no block holds yet."""

    def __init__(self) -> None:
        self.certain = LiveSamples()
        self.doubtful = LiveSamples()

    @property
    def count(self) -> int:
        """How many samples there are, those included that repeat others."""
        return self.certain.count + self.doubtful.count

    def apply(self, samples: SampleColumns, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add at least one sample, and count it in the columns of the fleet, int64, each shape (devices,).

        Doubtful upload times are counted as `other_samples` until it is known whether they are new.
        """
        devices, is_upload = samples.devices, samples.metrics == UPLOAD_TIME
        is_doubtful = _doubtful_rows(samples, _before_ns(samples, is_upload, columns))
        if is_doubtful is not None:
            self.doubtful.add(samples.where(is_doubtful))
            np.add.at(columns["other_samples"], devices[is_doubtful], 1)
            samples, is_upload = samples.where(~is_doubtful), is_upload[~is_doubtful]
        if len(samples):
            self.certain.add(samples)
            if not is_upload.all():
                np.add.at(columns["other_samples"], samples.devices[~is_upload], 1)
                samples = samples.where(is_upload)
            count_uploads(columns, samples)


def _before_ns(
    samples: SampleColumns, is_upload: NDArray[np.bool_], columns: Mapping[str, NDArray[Any]]
) -> NDArray[np.int64]:
    """The latest sent_at of each sample's device before these samples, int64, shape (n,); then advance the columns.

    Upload times and all other metrics have a column each, since devices often send both at one time.
    """
    before_ns = np.empty(len(samples), np.int64)
    for name, chosen in (("latest_upload_ns", is_upload), ("latest_sample_ns", ~is_upload)):
        part = slice(None) if chosen.all() else np.flatnonzero(chosen)
        devices = samples.devices[part]
        if len(devices):
            before_ns[part] = columns[name][devices]
            np.maximum.at(columns[name], devices, samples.at_ns[part])
    return before_ns


def _doubtful_rows(samples: SampleColumns, latest_ns: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Which samples may be repeats, of each other or of earlier ones: bool, shape (n,); None where none is.

    The other rows are certain: they equal no other row that is certain, and no sample from before.

    Args:
        latest_ns: int64, shape (n,): no sample of the same device and metric from before these is later.
    """
    is_doubtful = samples.at_ns <= latest_ns
    if len(samples) > 1 and has_repeats(samples):
        is_doubtful |= repeats_in(samples)
    return is_doubtful if is_doubtful.any() else None


def has_uploads(pieces: Sequence[SampleColumns], device: int) -> bool:
    """Whether one of the pieces holds an upload time of a device."""
    return any(bool((piece.metrics[piece.devices == device] == UPLOAD_TIME).any()) for piece in pieces)

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
from fleetpulse.model.samples import NO_SAMPLES, SampleColumns

SAMPLE_COLUMNS = (
    "uploads", "upload_high", "upload_low", "other_samples", "latest_upload_ns", "latest_sample_ns",
)  # fmt: skip
"""Upload times and all other metrics have a latest sent_at each, since devices often send both at one time."""


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
        """Add at least one sample, and count it in SAMPLE_COLUMNS of the fleet, int64, each shape (devices,).

        Doubtful upload times are counted as `other_samples` until it is known whether they are new.
        """
        is_upload = samples.metrics == UPLOAD_TIME
        uploads = int(np.count_nonzero(is_upload))
        if not uploads:
            self._add(samples, columns)
        elif uploads == len(samples):
            self._add_uploads(samples, columns)
        else:
            self._add(samples.where(~is_upload), columns)
            self._add_uploads(samples.where(is_upload), columns)

    def _add(self, samples: SampleColumns, columns: Mapping[str, NDArray[Any]]) -> None:
        self._divide(samples, columns["latest_sample_ns"])
        np.add.at(columns["other_samples"], samples.devices, 1)

    def _add_uploads(self, samples: SampleColumns, columns: Mapping[str, NDArray[Any]]) -> None:
        certain, doubtful = self._divide(samples, columns["latest_upload_ns"])
        count_uploads(columns, certain)
        if len(doubtful):
            np.add.at(columns["other_samples"], doubtful.devices, 1)

    def _divide(self, samples: SampleColumns, latest_ns: NDArray[np.int64]) -> tuple[SampleColumns, SampleColumns]:
        """Add samples, and return those that are certain and those that are doubtful.

        Certain ones equal no other certain one, and none from before.

        Args:
            latest_ns: the latest sent_at of each device, int64, shape (devices,); advanced to that of the samples.
        """
        is_doubtful = samples.at_ns <= latest_ns[samples.devices]
        np.maximum.at(latest_ns, samples.devices, samples.at_ns)
        if len(samples) > 1 and has_repeats(samples):
            is_doubtful |= repeats_in(samples)
        if not is_doubtful.any():
            self.certain.add(samples)
            return samples, NO_SAMPLES
        certain, doubtful = samples.where(~is_doubtful), samples.where(is_doubtful)
        if len(certain):
            self.certain.add(certain)
        self.doubtful.add(doubtful)
        return certain, doubtful


def has_uploads(pieces: Sequence[SampleColumns], device: int) -> bool:
    """Whether one of the pieces holds an upload time of a device."""
    return any(bool((piece.metrics[piece.devices == device] == UPLOAD_TIME).any()) for piece in pieces)

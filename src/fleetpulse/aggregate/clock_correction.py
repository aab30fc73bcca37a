"""What becomes of times that a wrong clock of the server gave, by a correction. Earlier times stay as they are.

    before        ──●───●────L══════ leap ══════●───●──M          ● received   L since   M the latest wrong time
    corrected     ──●───●────L▒▒▒▒▒C●                             C the correction       ▒ blind

Nobody knows when between L and C the events under the wrong clock came in: so this time is blind, and they count as
received at its end. What devices say of themselves (sent_at) is no matter of the server's clock, and is not changed.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.server_clock import ClockCorrection


def correct_times(times_ns: NDArray[np.int64], correction: ClockCorrection) -> None:
    """Correct received_at in place: int64 ns, any shape."""
    times_ns[times_ns > correction.since_ns] = correction.at_ns


def correct_gaps(gaps: ReceptionGapColumns, corrections: Iterable[ClockCorrection]) -> ReceptionGapColumns:
    """The reception gaps after corrections: a gap that the wrong time ended ends with it; one inside is none."""
    for correction in corrections:
        is_wrong = gaps.end_ns > correction.since_ns
        if is_wrong.any():
            end_ns = np.where(is_wrong, correction.at_ns, gaps.end_ns)
            corrected = ReceptionGapColumns(gaps.devices, gaps.start_ns, end_ns, gaps.interval_s, gaps.grace_s)
            gaps = corrected.where(~is_wrong | (gaps.start_ns <= correction.since_ns) & (gaps.start_ns < end_ns))
    return gaps


def correct_blind(spans_ns: Sequence[tuple[int, int]], correction: ClockCorrection) -> list[tuple[int, int]]:
    """Blind spans [start, end) after a correction: none in the wrong time, and one from `since_ns` until it."""
    since_ns, at_ns = correction
    kept = [(start_ns, min(end_ns, since_ns)) for start_ns, end_ns in spans_ns if start_ns < since_ns]
    return [*kept, *([(since_ns, at_ns)] if since_ns < at_ns else [])]

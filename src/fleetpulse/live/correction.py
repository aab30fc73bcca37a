"""What was received while the server's clock was ahead, put right in what the live fleet holds in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleetpulse.aggregate.clock_correction import correct_blind, correct_gaps, correct_times
from fleetpulse.model.server_clock import ClockCorrection, KnownLeaps

if TYPE_CHECKING:
    from fleetpulse.live.fleet import Fleet


def correct(fleet: Fleet, correction: ClockCorrection) -> None:
    """Put right what was received while the server's clock was ahead, and nothing from before."""
    fleet.leaps = KnownLeaps(min(fleet.leaps.last_at_ns, correction.at_ns))
    if fleet.alive_at_ns > correction.since_ns:
        correct_times(fleet.last_received_ns[: fleet.count], correction)
        correct_times(fleet.up_since_ns[: fleet.count], correction)
        fleet.gaps = [correct_gaps(piece, [correction]) for piece in fleet.gaps]
        fleet.corrections.append(correction)
        fleet.blind_ns = correct_blind(fleet.blind_ns, correction)
        fleet.alive_at_ns = correction.at_ns

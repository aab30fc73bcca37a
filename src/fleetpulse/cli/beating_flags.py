"""The flags of `simulate` and `generate` that say when devices beat."""

from dataclasses import dataclass

from cyclopts import Parameter

from fleetpulse.cli.flags import Whole
from fleetpulse.simulation.beating import INTERVAL_DEFAULT_S, Beating


@Parameter(name="*", group="When devices beat")
@dataclass(frozen=True, slots=True)
class BeatingFlags(Beating):
    """`Beating`, with whole numbers that are read strictly; its help is that of `Beating`."""

    interval_s: Whole = INTERVAL_DEFAULT_S
    gap_every: Whole = 0


BeatingFlags.__doc__ = Beating.__doc__

"""What a question sees: everything as it was at one moment, so that live and closed parts make one answer."""

from dataclasses import dataclass

from fleetpulse.model.manifest import Manifest
from fleetpulse.query.metrics import Samples


@dataclass(frozen=True, slots=True)
class View:
    """The moment, the manifest of then, and what its files do not hold."""

    now_ns: int
    manifest: Manifest
    samples: Samples

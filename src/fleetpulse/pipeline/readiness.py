"""How far a start has come, and whether the node answers: plain state, set by start and stop, read by the API."""

from dataclasses import dataclass, field
from typing import Literal

from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.model.events import Position

Stage = Literal["opening", "devices", "snapshot", "replay", "ready"]
"""What a start is doing, in this order."""


@dataclass(slots=True)
class ReplayProgress:
    """How far the replay of the journal has come: `position` of `until`, and how many events that were."""

    position: Position = 0
    until: Position = 0
    events: int = 0


@dataclass(slots=True)
class Readiness:
    """`is_ready`: questions are answered, and events are accepted unless the intake is closed."""

    intake: Intake
    is_ready: bool = False
    stage: Stage = "opening"
    replay: ReplayProgress = field(default_factory=ReplayProgress)

    @property
    def refusal(self) -> NotAccepting | None:
        """Why no events are accepted: the node starts, is read-only or stops; None where they are accepted."""
        if self.intake.closed_by is None and not self.is_ready:
            return NotAccepting("stopping", reason="stopping")
        return self.intake.closed_by

    def check(self) -> None:
        """Raises: NotAccepting: questions cannot be answered yet, or no longer."""
        if not self.is_ready:
            raise NotAccepting("starting: the journal is being replayed", reason="starting")

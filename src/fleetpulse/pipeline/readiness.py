"""How far a start has come, and whether the node answers: plain state, set by start and stop, read by the API."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import NotAccepting
from fleetpulse.ingest.intake import Intake
from fleetpulse.journal.journal import Journal
from fleetpulse.model.events import Position
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.service_clock import ServiceClock

NAMED_MAX = 5
"""Blocks that /readyz names."""
Stage = Literal["opening", "devices", "snapshot", "replay", "catch_up", "ready"]
"""What a start is doing, in this order. `catch_up` is what follows the replay: it is written to the journal that the
service is alive again, and the fleet moves on to the present; `ready` is set when events are accepted."""
Degradation = Literal["blocks", "snapshot", "checkpoint", "catalog", "memory", "alerts", "changes"]
"""The block store cannot be used, the snapshot in it cannot be read, the last checkpoint failed, rows of
the catalog cannot be read, what waits for checkpoints fills the memory, the last round of alerts failed, or what other
nodes change in the catalog cannot be read."""
RETRY_S = 10
"""What Retry-After says meanwhile."""


@dataclass(slots=True)
class ReplayProgress:
    """How far the replay of the journal has come: `position` of `until`, and how many events that were."""

    position: Position = 0
    until: Position = 0
    events: int = 0


@dataclass(slots=True)
class Readiness:
    """`is_ready`: questions are answered unless `is_away`, and events are accepted unless the intake is closed."""

    intake: Intake
    history: History | None = None
    marked: Sequence[Journal | Catalog] = ()
    """Of which is recorded how far they have come, see `reached.py`."""
    clock: ServiceClock | None = None
    is_ready: bool = False
    stage: Stage = "opening"
    replay: ReplayProgress = field(default_factory=ReplayProgress)
    is_away: bool = False
    """The block store does not give the snapshot: events go to the journal, and are counted once it is there."""
    degraded: dict[Degradation, str] = field(default_factory=dict)
    """What does not work while events are accepted, and why."""

    @property
    def answers(self) -> bool:
        """Whether questions are answered."""
        return self.is_ready and not self.is_away

    @property
    def refusal(self) -> NotAccepting | None:
        """Why no events are accepted: the node starts, is read-only or stops; None where they are accepted."""
        if self.intake.closed_by is None and not self.is_ready:
            return NotAccepting("stopping", reason="stopping")
        return self.intake.closed_by

    @property
    def troubles(self) -> list[str]:
        """What does not work while events are accepted, as sentences; those of blocks that are set aside included."""
        marks = {part.mark_trouble for part in self.marked if part.mark_trouble}
        if self.clock is not None and self.clock.warning:
            marks.add(self.clock.warning)
        blocks = [] if self.history is None else [block.file.name for block in self.history.set_aside]
        if not blocks:
            return [*self.degraded.values(), *marks]
        named = ", ".join(blocks[:NAMED_MAX]) + (" and others" if len(blocks) > NAMED_MAX else "")
        count = count_text(len(blocks), "block")
        return [
            *self.degraded.values(),
            *marks,
            f"{count} set aside, damaged or missing ({named}): copy them back under their names",
        ]

    def check(self) -> None:
        """Raises: NotAccepting: questions cannot be answered yet, or no longer."""
        if not self.is_ready:
            raise NotAccepting("starting: the journal is being replayed", reason="starting")
        if self.is_away:
            raise blocks_away()


def blocks_away() -> NotAccepting:
    """Why nothing is answered while the snapshot cannot be read."""
    return NotAccepting(
        "the snapshot of the fleet, or a day that belongs to it, cannot be read from the block store, so nothing can "
        "be answered yet; events are accepted, and all of them count once the block is there: see /readyz",
        reason="blocks_away",
        retry_after_s=RETRY_S,
    )

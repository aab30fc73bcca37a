"""How the senders of a batch are answered."""

from collections.abc import Callable

import structlog

from fleetpulse.errors import Answerable

log = structlog.get_logger("journal")


class NobodyWaits:
    """The waiter of an entry that only tries the disk."""

    def acknowledge(self) -> None:
        """See ingest.intake.Waiter."""

    def fail(self, error: Answerable) -> None:
        """See ingest.intake.Waiter."""


def answer(tell: Callable[[], None]) -> None:
    """Answer one sender. A defect in that must not keep the other senders, or the next batch, waiting."""
    try:
        tell()
    except Exception as error:
        log.error("an answer failed by a defect of ours", exc_info=error)

"""Plain counters, incremented by the stages and read by /metrics.

The set reconciles: events received = accepted + refused (by reason) + waiting, and accepted = applied + pending.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Totals since the process started; replayed events are counted apart."""

    events_accepted: int = 0
    """Durable in the journal, and acknowledged where the connection still stood."""
    events_refused: Counter[str] = field(default_factory=Counter)
    """Not accepted, by reason."""
    events_applied: int = 0
    """Accepted events folded into the live fleet."""
    events_replayed: int = 0
    """Events read back from the journal at start."""
    connections_opened: int = 0
    connections_refused: Counter[str] = field(default_factory=Counter)
    requests_refused: Counter[str] = field(default_factory=Counter)
    """Requests refused before there was an event: headers, deadlines, bulk bodies that cannot be read."""
    commits: int = 0
    commits_failed: int = 0
    checkpoints: int = 0
    checkpoints_failed: int = 0
    checkpoint_last_s: float = 0.0
    compactions: int = 0
    """Pieces of compaction or retention done."""
    compactions_failed: int = 0
    devices_registered: int = 0

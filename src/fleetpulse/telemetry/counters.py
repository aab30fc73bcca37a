"""Plain counters, incremented by the stages and shown by /metrics.

They add up: events received = accepted + refused (by reason) + unknown + waiting, and accepted = applied + pending.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Totals since the process started. Events replayed from the journal at start are counted separately."""

    events_accepted: int = 0
    """Durable in the journal, and acknowledged, unless the connection had ended by then."""
    events_refused: Counter[str] = field(default_factory=Counter)
    """Events that were not accepted, by reason."""
    events_unknown: int = 0
    """Events whose commit failed or has not ended in time; those that turn out stored move to the accepted ones."""
    events_applied: int = 0
    """Accepted events that the live fleet holds."""
    events_replayed: int = 0
    """Events read back from the journal at start."""
    samples_repeated: int = 0
    """Accepted samples that repeat another one, and so change nothing; as of the last checkpoint."""
    samples_uncompared: int = 0
    """Late ones of days whose samples are gone: each counts, repeated or not; as of the last checkpoint."""
    questions_answered: Counter[str] = field(default_factory=Counter)
    """Questions that threads have answered, by lane; some answers take several."""
    questions_refused: Counter[str] = field(default_factory=Counter)
    """Questions that were refused, by reason: for which there was no room, or that nobody can answer as they are."""
    changes_refused: Counter[str] = field(default_factory=Counter)
    """Changes of what is declared that were refused with a 4xx, by reason."""
    questions_stopped: Counter[str] = field(default_factory=Counter)
    """Questions that were stopped while they waited or ran, by reason."""
    answer_bytes_held: int = 0
    """Bytes of long answers that wait for their readers at the moment."""
    connections_opened: int = 0
    connections_refused: Counter[str] = field(default_factory=Counter)
    requests_refused: Counter[str] = field(default_factory=Counter)
    """Requests refused before an event was read, by reason: header limits, deadlines, unreadable bulk bodies."""
    answers_compressed: Counter[str] = field(default_factory=Counter)
    """Answers that were sent compressed, by coding."""
    answers_not_modified: int = 0
    """Answers 304: the client had the answer already."""
    exports_refused: Counter[str] = field(default_factory=Counter)
    """Exports refused because there were too many, by limit."""
    exports_ended: Counter[str] = field(default_factory=Counter)
    """Exports by how they ended: complete, abandoned by their client, slow, damaged, stopped."""
    commits: int = 0
    commits_failed: int = 0
    commits_busy: int = 0
    """Batches that were refused because another program had locked the journal for too long."""
    checkpoints: int = 0
    checkpoints_failed: int = 0
    checkpoint_last_s: float = 0.0
    compactions: int = 0
    """Steps of compaction or retention that were completed."""
    compactions_failed: int = 0
    blocks_removed: int = 0
    """Superseded files of blocks that were removed from the store."""
    blocks_given_up: int = 0
    """Of these, files that were removed before their grace was over, since the disk became full."""
    blocks_superseded: int = 0
    """Superseded files that stay for their grace, as of the last look at the store."""
    blocks_superseded_bytes: int = 0
    blocks_unknown: int = 0
    """Files of the store that this data folder did not write, as of the last look at the store."""
    devices_registered: int = 0

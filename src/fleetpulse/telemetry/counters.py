"""Plain counters, incremented by the stages and shown by /metrics.

They add up: events received = accepted + refused (by reason) + unknown + waiting, and accepted = applied + pending.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fleetpulse.telemetry.distribution import BATCH_BOUNDS, COMMIT_BOUNDS_S, WORK_BOUNDS_S, Distribution
from fleetpulse.telemetry.requests import RequestTelemetry


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
    events_followed: int = 0
    """Events of all nodes that the live fleet holds, where the journal is shared."""
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
    streams_refused: Counter[str] = field(default_factory=Counter)
    """Clients of the live feed that were refused because there were too many, by limit."""
    streams_ended: Counter[str] = field(default_factory=Counter)
    """Streams of the live feed by how they ended: left by their client, access, stopping."""
    stream_events: int = 0
    """Events of the live feed, each counted once for every scope that is watched."""
    stream_events_missed: int = 0
    """Events that clients missed because they read too slowly, as of the ends of their streams."""
    logins: Counter[str] = field(default_factory=Counter)
    """Tries to sign in with a password, by what came of them: `signed_in`, or the reason of the refusal."""
    backups_ended: Counter[str] = field(default_factory=Counter)
    """Backups by how they ended: complete, abandoned by their client, slow, damaged, stopped, failed."""
    issuer_readings: Counter[str] = field(default_factory=Counter)
    """How often identity providers were asked for their keys, by what came of it: `read` or `failed`."""
    deliveries: Counter[str] = field(default_factory=Counter)
    """Tries to deliver messages, by what came of them: `delivered` or `failed`."""
    messages_dropped: Counter[str] = field(default_factory=Counter)
    """Messages that were not delivered, by reason: `dead` (given up), `full` (outbox_max), `reminder` (left out)."""
    requests: RequestTelemetry = field(default_factory=RequestTelemetry)
    """Requests by route and outcome."""
    on_work: Callable[[str, float, Mapping[str, int]], None] | None = None
    """Is told of commits, checkpoints and pieces of compaction: name, duration in seconds, and figures."""
    commits: int = 0
    commits_failed: int = 0
    commits_busy: int = 0
    """Batches that were refused because another program had locked the journal for too long."""
    commit_s: Distribution = field(default_factory=lambda: Distribution(COMMIT_BOUNDS_S))
    """How long the journal took to append a batch and sync it; those that failed do not count."""
    commit_events: Distribution = field(default_factory=lambda: Distribution(BATCH_BOUNDS))
    """How many events the batches held."""
    checkpoints: int = 0
    checkpoints_failed: int = 0
    checkpoint_s: Distribution = field(default_factory=lambda: Distribution(WORK_BOUNDS_S))
    """How long checkpoints took; those that failed do not count."""
    compactions: int = 0
    """Steps of compaction or retention that were completed."""
    compactions_failed: int = 0
    compaction_s: Distribution = field(default_factory=lambda: Distribution(WORK_BOUNDS_S))
    """How long these steps took."""
    compaction_at_ns: int = 0
    """When compaction last looked for work without failing, by the service's clock."""
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
    policy_changes_joined: int = 0
    """Changes of the interval or grace of a device that were joined with older ones (policy_changes_max)."""

    def note_commit(self, took_s: float, *, events: int) -> None:
        """A batch is durable."""
        self.commits += 1
        self.events_accepted += events
        self.commit_s.add(took_s)
        self.commit_events.add(events)
        if self.on_work is not None:
            self.on_work("commit", took_s, {"events": events})

    def note_checkpoint(self, took_s: float) -> None:
        """A checkpoint was taken."""
        self.checkpoints += 1
        self.checkpoint_s.add(took_s)
        if self.on_work is not None:
            self.on_work("checkpoint", took_s, {})

    def note_compaction(self, took_s: float) -> None:
        """A piece of compaction or retention was done."""
        self.compactions += 1
        self.compaction_s.add(took_s)
        if self.on_work is not None:
            self.on_work("compaction", took_s, {})

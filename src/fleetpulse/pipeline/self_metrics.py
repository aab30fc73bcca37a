"""The service's own counters and gauges, gathered from the stages for /metrics; see telemetry.counters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fleetpulse.blocks.history import History
from fleetpulse.blocks.s3 import S3BlockStore
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.intake import Intake
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.manifest import Manifest
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.lanes import Lanes
from fleetpulse.pipeline.late_hold import gaps_in_memory
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.watch import Watch
from fleetpulse.query.budget import QuestionMemory
from fleetpulse.telemetry.counters import Counters
from fleetpulse.telemetry.exposition import Histogram, Value, exposition
from fleetpulse.telemetry.loop_lag import BUCKETS_S, LoopLag

Series = dict[str, tuple[str, Value]]
"""By name, a sentence of help and the value."""


@dataclass(eq=False, frozen=True, kw_only=True)
class SelfMetrics:
    """Reads the stages; each read gives what is true now."""

    counters: Counters
    intake: Intake
    connections: Connections
    follower: Follower
    fleet: Fleet
    history: History
    readiness: Readiness
    disk_watch: DiskWatch
    watch: Watch
    lanes: Lanes
    question_memory: QuestionMemory
    exports: Exports
    loop_lag: LoopLag

    def page(self) -> bytes:
        """All of it in the Prometheus text format."""
        return self.gather()()

    def gather(self) -> Callable[[], bytes]:
        """What is true now, copied on the event loop; the call makes the page, which takes longer, in a thread."""
        cache_totals, cache_gauges = self._block_cache()
        totals, gauges = self._totals() | cache_totals, self._gauges() | cache_gauges
        lag = Histogram(BUCKETS_S, list(self.loop_lag.counts), self.loop_lag.sum_s)
        return partial(_page, self.history.manifest, totals, gauges, lag)

    def _totals(self) -> Series:
        counters = self.counters
        return {
            "events_received": ("Events that came in, whatever became of them", self.intake.received),
            "events_accepted": ("Events durable in the journal", counters.events_accepted),
            "events_refused": ("Events refused, by reason", dict(counters.events_refused)),
            "events_applied": ("Accepted events applied to the live fleet", counters.events_applied),
            "events_replayed": ("Events read back from the journal at start", counters.events_replayed),
            "samples_repeated": (
                "Accepted samples that repeat another one, as of the last checkpoint",
                counters.samples_repeated,
            ),
            "samples_uncompared": (
                "Late samples of days whose samples are gone, counted once each, as of the last checkpoint",
                counters.samples_uncompared,
            ),
            "requests_refused": (
                "Requests refused before there was an event, by reason",
                dict(counters.requests_refused),
            ),
            "answers_compressed": ("Answers sent compressed, by coding", dict(counters.answers_compressed)),
            "answers_not_modified": ("Answers 304, as the client had them", counters.answers_not_modified),
            "exports_refused": ("Exports refused, by limit", dict(counters.exports_refused)),
            "exports_ended": ("Exports that ended, by how they did", dict(counters.exports_ended)),
            "fields_ignored": (
                "Fields of accepted events that no route knows, by name",
                dict(self.intake.unknown_fields.by_name),
            ),
            "questions_answered": (
                "Questions answered by threads, by lane; some answers take several",
                dict(counters.questions_answered),
            ),
            "questions_refused": ("Questions refused, by reason", dict(counters.questions_refused)),
            "changes_refused": ("Changes of what is declared refused, by reason", dict(counters.changes_refused)),
            "questions_stopped": ("Questions stopped early, by reason", dict(counters.questions_stopped)),
            "connections_opened": ("Connections accepted", counters.connections_opened),
            "connections_refused": ("Connections closed at once, by limit", dict(counters.connections_refused)),
            "metrics_not_measured": (
                "Metrics of accepted reports that were null, and were left out",
                self.intake.not_measured,
            ),
            "commits": ("Journal commits", counters.commits),
            "commits_failed": ("Journal commits that failed", counters.commits_failed),
            "commits_busy": ("Journal commits given up because another program locked it", counters.commits_busy),
            "checkpoints": ("Checkpoints taken", counters.checkpoints),
            "checkpoints_failed": ("Checkpoints that failed", counters.checkpoints_failed),
            "compactions": ("Pieces of compaction or retention done", counters.compactions),
            "compactions_failed": ("Pieces of compaction or retention that failed", counters.compactions_failed),
            "blocks_removed": ("Superseded files of blocks removed from the store", counters.blocks_removed),
            "blocks_given_up": ("Of these, those removed early, as the disk became full", counters.blocks_given_up),
            "devices_registered": ("Devices registered since the start", counters.devices_registered),
        }

    def _gauges(self) -> Series:
        history = self.history
        return {
            "ready": ("1 while events are accepted", int(self.readiness.refusal is None)),
            "degraded": ("1 while something else does not work, see /readyz", int(bool(self.readiness.troubles))),
            "clock_behind": ("1 while the server's clock is behind the journal", int(self.watch.clock.is_behind)),
            "expiry_waits": ("1 while nothing expires, since the clock leapt", int(bool(self.watch.kept_because))),
            **self._disk(),
            "events_unknown": (
                "Events whose commit failed or has not ended in time; stored ones move to accepted",
                self.counters.events_unknown,
            ),
            "events_waiting": ("Events received that wait for the disk", self.intake.waiting),
            "events_pending": ("Accepted events not applied yet", self.follower.pending_events),
            "bulk_bytes_held": ("Bytes of bulk bodies not answered yet", self.connections.bulk_bytes_held),
            "questions_running": ("Questions that are worked on, by lane", self.lanes.running()),
            "questions_waiting": ("Questions that wait for their turn, by lane", self.lanes.waiting()),
            "exports_running": ("Exports that have begun and have not ended", self.exports.running),
            "question_bytes_held": (
                "Memory of questions, and of long answers that are not encoded yet",
                self.question_memory.taken_bytes,
            ),
            "answer_bytes_held": ("Bytes of long answers not read yet", self.counters.answer_bytes_held),
            "connections": ("Open connections", len(self.connections)),
            "devices": ("Known devices", len(self.intake.numbers)),
            "journal_position": ("Position of the newest entry", self.follower.position),
            "checkpoint_position": ("Position of the last checkpoint", history.manifest.position),
            "checkpoint_last_seconds": ("Duration of the last checkpoint", self.counters.checkpoint_last_s),
            "blocks_superseded": ("Superseded files that stay for their grace", self.counters.blocks_superseded),
            "blocks_superseded_bytes": ("Bytes of these files", self.counters.blocks_superseded_bytes),
            "blocks_unknown": ("Files among the blocks that this folder did not write", self.counters.blocks_unknown),
            "kept_bytes": ("Bytes of footers and small columns in memory", history.memory_cache.size_bytes),
            "samples_live": ("Samples in memory that no block holds yet", self.fleet.samples.count),
            "samples_doubtful": (
                "Of these, late ones that the next checkpoint compares with earlier ones",
                self.fleet.samples.doubtful.count,
            ),
            "blocks_set_aside": ("Blocks that are damaged or missing, and set aside", len(self.history.set_aside)),
            "reception_gaps_live": ("Reception gaps in memory that no block holds yet", gaps_in_memory(self.fleet)),
            "late_blocks": ("Late blocks that wait to be merged into their days", len(history.manifest.late)),
            "late_rows": ("Device-days of late data that the next checkpoint closes", self.fleet.late_rows()),
            "ahead_rows": (
                "Device-days of data ahead of the open days, from devices whose clocks are ahead",
                len(self.fleet.sparse) - self.fleet.late_rows(),
            ),
            "loop_lag_longest_seconds": ("The longest of these delays since the start", self.loop_lag.longest_s),
            "loop_lag_minute_seconds": (
                "The longest of these delays in the last minute",
                self.loop_lag.longest_recent_s(),
            ),
        }

    def _disk(self) -> Series:
        space = self.disk_watch.space
        if space is None:
            return {}
        return {
            "disk_free_bytes": ("Bytes free on the disk of the data folder", space.free_bytes),
            "disk_size_bytes": ("Size of that disk", space.size_bytes),
        }

    def _block_cache(self) -> tuple[Series, Series]:
        store = self.history.store
        if not isinstance(store, S3BlockStore):
            return {}, {}
        totals: Series = {
            "cache_hits": ("Blocks of the S3 store that were found warm on disk", store.cache_hits),
            "cache_misses": ("Blocks of the S3 store that were fetched", store.cache_misses),
        }
        return totals, {"cache_bytes": ("Bytes of warm blocks on disk", store.cache_bytes)}


def _page(manifest: Manifest, totals: Series, gauges: Series, lag: Histogram) -> bytes:
    files = manifest.files()
    blocks: Series = {
        "blocks": ("Files that the manifest names", len(files)),
        "blocks_bytes": ("Bytes of these files", sum(file.size_bytes for file in files)),
    }
    histograms = {"fleetpulse_loop_lag_seconds": ("How late the event loop ran a timer that was due", lag)}
    return exposition(totals=_prefixed(totals), gauges=_prefixed(gauges | blocks), histograms=histograms)


def _prefixed(series: Series) -> Series:
    return {f"fleetpulse_{name}": entry for name, entry in series.items()}

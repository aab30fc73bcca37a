"""The service's own counters and gauges, gathered from the stages for /metrics; see telemetry.counters."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from fleetpulse import __version__
from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.alert.columns import AlertColumns
from fleetpulse.blocks.history import History
from fleetpulse.blocks.s3 import S3BlockStore
from fleetpulse.ingest.connections import Connections
from fleetpulse.ingest.intake import Intake
from fleetpulse.journal.journal import Journal
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.alert import ALERT_STATES, FIRING, PENDING
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.alerting import Alerting
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.cuts import SharedCuts
from fleetpulse.pipeline.dead_man import DeadMan
from fleetpulse.pipeline.deliveries import Deliveries
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.exports import Exports
from fleetpulse.pipeline.fleet_figures import FleetFigures
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.lanes import Lanes
from fleetpulse.pipeline.late_hold import backfill_in_memory, beat_gaps_in_memory, reception_gaps_in_memory
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.live_feed import LiveFeed
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.tail import Tail
from fleetpulse.pipeline.watch import Watch
from fleetpulse.pipeline.write import Writer
from fleetpulse.query.budget import QuestionMemory
from fleetpulse.telemetry.counters import Counters
from fleetpulse.telemetry.distribution import Distribution
from fleetpulse.telemetry.exposition import Value, exposition
from fleetpulse.telemetry.loop_lag import BUCKETS_S, LoopLag

Series = dict[str, Value]
"""Values by name, without the prefix `fleetpulse_`; telemetry/families.py says what they are."""


@dataclass(eq=False, frozen=True, kw_only=True)
class SelfMetrics:
    """Reads the stages; each read gives what is true now."""

    counters: Counters
    intake: Intake
    connections: Connections
    rate_limits: RateLimits
    writer: Writer
    follower: Follower
    fleet: Fleet
    history: History
    readiness: Readiness
    disk_watch: DiskWatch
    tail: Tail | None
    journal: Journal
    lease: Lease
    changes: Changes
    shared_cuts: SharedCuts | None
    watch: Watch
    lanes: Lanes
    question_memory: QuestionMemory
    exports: Exports
    loop_lag: LoopLag
    audit_log: AuditLog
    deliveries: Deliveries
    fleet_figures: FleetFigures
    dead_man: DeadMan
    alerting: Alerting
    otel_exports: Mapping[str, int]
    live_feed: LiveFeed

    def page(self) -> bytes:
        """All of it in the Prometheus text format."""
        return self.gather()()

    def gather(self) -> Callable[[], bytes]:
        """What is true now, copied on the event loop; the call makes the page, which takes longer, in a thread."""
        return partial(_page, self.values())

    def values(self) -> Callable[[], Series]:
        """What is true now, copied on the event loop; the call completes it in a thread, by full names."""
        values = self._events() | self._requests() | self._storage() | self._in_memory() | self._process()
        values |= self._block_cache() | self.fleet_figures.values() | self._alerts()
        # A round makes new columns of alerts, so these do not change.
        return partial(_complete, self.history.manifest, self.alerting.book.lives.open, values)

    def _events(self) -> Series:
        counters, intake = self.counters, self.intake
        pending = self.follower.pending_events if self.tail is None else self.tail.own_pending
        return {
            "events_received_total": intake.received,
            "events_accepted_total": counters.events_accepted,
            "events_refused_total": dict(counters.events_refused),
            "events_followed_total": counters.events_followed,
            "events_applied_total": counters.events_applied,
            "events_replayed_total": counters.events_replayed,
            "events_unknown": counters.events_unknown,
            "events_waiting": intake.waiting,
            "events_pending": pending,
            "samples_repeated_total": counters.samples_repeated,
            "samples_uncompared_total": counters.samples_uncompared,
            "fields_ignored_total": dict(intake.unknown_fields.by_name),
            "metrics_not_measured_total": intake.not_measured,
            "bulk_bytes_held": self.connections.bulk_bytes_held,
            "devices": len(intake.numbers),
        }

    def _requests(self) -> Series:
        counters = self.counters
        return {
            "http_requests_total": counters.requests.counts(),
            "http_request_duration_seconds": counters.requests.durations(),
            "requests_refused_total": dict(counters.requests_refused),
            "answers_compressed_total": dict(counters.answers_compressed),
            "answers_not_modified_total": counters.answers_not_modified,
            "questions_answered_total": dict(counters.questions_answered),
            "questions_refused_total": dict(counters.questions_refused),
            "questions_stopped_total": dict(counters.questions_stopped),
            "questions_running": self.lanes.running(),
            "questions_waiting": self.lanes.waiting(),
            "question_bytes_held": self.question_memory.taken_bytes,
            "answer_bytes_held": counters.answer_bytes_held,
            "changes_refused_total": dict(counters.changes_refused),
            "exports_refused_total": dict(counters.exports_refused),
            "exports_ended_total": dict(counters.exports_ended),
            "exports_running": self.exports.running,
            "streams": len(self.live_feed.watchers),
            "streams_refused_total": dict(counters.streams_refused),
            "streams_ended_total": dict(counters.streams_ended),
            "stream_events_total": counters.stream_events,
            "stream_events_missed_total": counters.stream_events_missed,
            "backups_ended_total": dict(counters.backups_ended),
            "logins_total": dict(counters.logins),
            "issuer_readings_total": dict(counters.issuer_readings),
            "audit_refusals_joined_total": self.audit_log.refusals.joined,
            "connections_opened_total": counters.connections_opened,
            "connections_refused_total": dict(counters.connections_refused),
            "connections": len(self.connections),
            "rate_senders": self.rate_limits.senders(),
        }

    def _sharing(self) -> Series:
        journal, lease, cuts = self.journal, self.lease, self.shared_cuts
        return {
            "journal_filled_ratio": journal.filled,
            "journal_unsynced": int(journal.is_shared and bool(journal.mark_trouble)),
            "lease_holder": int(lease.is_held),
            "lease_epoch": lease.epoch,
            "lease_left_seconds": lease.left_s,
            "snapshot_reloads": 0 if cuts is None else cuts.reloads,
            "catalog_version": self.changes.known,
        }

    def _storage(self) -> Series:
        counters, history = self.counters, self.history
        return {
            "commits_total": counters.commits,
            "commits_failed_total": counters.commits_failed,
            "commits_busy_total": counters.commits_busy,
            "commit_duration_seconds": counters.commit_s.copy(),
            "commit_events": counters.commit_events.copy(),
            "journal_position": self.follower.position,
            "journal_lag_seconds": self.writer.lag_s,
            "apply_lag_seconds": self.follower.lag_s,
            "entries_waiting": 0 if self.tail is None else self.tail.waiting,
            "entries_behind": 0 if self.tail is None else max(0, self.tail.acked - self.follower.position),
            **self._sharing(),
            "checkpoints_total": counters.checkpoints,
            "checkpoints_failed_total": counters.checkpoints_failed,
            "checkpoint_duration_seconds": counters.checkpoint_s.copy(),
            "checkpoint_position": history.manifest.position,
            "checkpoint_timestamp_seconds": history.manifest.taken_at_ns / NS_PER_S,
            "compactions_total": counters.compactions,
            "compactions_failed_total": counters.compactions_failed,
            "compaction_duration_seconds": counters.compaction_s.copy(),
            "compaction_timestamp_seconds": counters.compaction_at_ns / NS_PER_S,
            "blocks_removed_total": counters.blocks_removed,
            "blocks_given_up_total": counters.blocks_given_up,
            "blocks_superseded": counters.blocks_superseded,
            "blocks_superseded_bytes": counters.blocks_superseded_bytes,
            "blocks_unknown": counters.blocks_unknown,
            "blocks_set_aside": len(history.set_aside),
            "late_blocks": len(history.manifest.late),
            "memory_cache_bytes": history.memory_cache.size_bytes,
            "policy_changes_joined_total": counters.policy_changes_joined,
            "devices_registered_total": counters.devices_registered,
        }

    def _in_memory(self) -> Series:
        fleet = self.fleet
        return {
            "samples_live": fleet.samples.count,
            "samples_doubtful": fleet.samples.doubtful.count,
            "reception_gaps_live": reception_gaps_in_memory(fleet),
            "beat_gaps_live": beat_gaps_in_memory(fleet),
            "backfill_live": backfill_in_memory(fleet),
            "late_rows": fleet.late_rows(),
            "ahead_rows": len(fleet.sparse) - fleet.late_rows(),
        }

    def _process(self) -> Series:
        space, lag = self.disk_watch.space, self.loop_lag
        disk: Series = (
            {} if space is None else {"disk_free_bytes": space.free_bytes, "disk_size_bytes": space.size_bytes}
        )
        return {
            "build_info": {__version__: 1},
            "ready": int(self.readiness.refusal is None),
            "degraded": int(bool(self.readiness.troubles)),
            "clock_behind": int(self.watch.clock.is_behind),
            "expiry_waits": int(bool(self.watch.kept_because)),
            **disk,
            "heartbeat_url_pings_total": dict(self.dead_man.pings),
            "otel_exports_total": dict(self.otel_exports),
            "threads": threading.active_count(),
            "loop_lag_seconds": Distribution(BUCKETS_S, lag.counts, lag.sum_s),
            "loop_lag_longest_seconds": lag.longest_s,
            "loop_lag_minute_seconds": lag.longest_recent_s(),
        }

    def _alerts(self) -> Series:
        counters, alerting = self.counters, self.alerting
        return {
            "alert_rounds_total": alerting.rounds,
            "alert_rounds_failed_total": alerting.failed_rounds,
            "alerts_without_room": alerting.beyond,
            "alert_rules_failed": len(alerting.failed_rules),
            "alert_round_last_duration_seconds": alerting.round_s,
            "deliveries_total": dict(counters.deliveries),
            "messages_dropped_total": dict(counters.messages_dropped),
            "outbox_messages": self.deliveries.waiting,
            "outbox_age_seconds": self.deliveries.oldest_s(),
        }

    def _block_cache(self) -> Series:
        store = self.history.store
        if not isinstance(store, S3BlockStore):
            return {}
        return {
            "cache_hits_total": store.cache_hits,
            "cache_misses_total": store.cache_misses,
            "cache_bytes": store.cache_bytes,
        }


def _complete(manifest: Manifest, alerts: AlertColumns, values: Series) -> Series:
    files = manifest.files()
    more: Series = {
        "blocks": len(files),
        "blocks_bytes": sum(file.size_bytes for file in files),
        "alerts": _alerts_by_severity(alerts),
    }
    return {f"fleetpulse_{name}": value for name, value in (values | more).items()}


def _alerts_by_severity(alerts: AlertColumns) -> dict[tuple[str, ...], float]:
    severities = len(SEVERITIES)
    codes = alerts.of["state"].astype(np.int64) * severities + alerts.of["severity"]
    counts = np.bincount(codes, minlength=severities * len(ALERT_STATES)).tolist()
    return {
        (ALERT_STATES[state], severity): counts[state * severities + place]
        for state in (PENDING, FIRING)
        for place, severity in enumerate(SEVERITIES)
    }


def _page(complete: Callable[[], Series]) -> bytes:
    return exposition(complete(), is_process_shown=True)

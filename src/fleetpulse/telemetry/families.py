"""Every series that /metrics shows, declared once: its name, type, labels and a sentence of help.

`pipeline/self_metrics.py` gathers their values by these names, and docs/reference/metrics.md is made from them.
Names end with their unit, a base unit of Prometheus, and those of counters with `_total`.
"""

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Family(NamedTuple):
    """What is said of the series of one name."""

    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


def _counters(*rows: tuple[str, ...]) -> dict[str, Family]:
    """Rows of name, without prefix and `_total`, help, and labels."""
    return {f"fleetpulse_{name}_total": Family("counter", text, tuple(labels)) for name, text, *labels in rows}


def _gauges(*rows: tuple[str, ...]) -> dict[str, Family]:
    return {f"fleetpulse_{name}": Family("gauge", text, tuple(labels)) for name, text, *labels in rows}


def _histograms(*rows: tuple[str, ...]) -> dict[str, Family]:
    return {f"fleetpulse_{name}": Family("histogram", text, tuple(labels)) for name, text, *labels in rows}


EVENTS = {
    **_counters(
        ("events_received", "Events that came in, whatever became of them"),
        ("events_accepted", "Events durable in the journal"),
        ("events_refused", "Events refused, by reason", "reason"),
        ("events_applied", "Accepted events applied to the live fleet"),
        ("events_followed", "Events of all nodes applied to the live fleet, where the journal is shared"),
        ("events_replayed", "Events read back from the journal at start"),
        ("samples_repeated", "Accepted samples that repeat another one, as of the last checkpoint"),
        (
            "samples_uncompared",
            "Late samples of days whose samples are gone, counted once each, as of the last checkpoint",
        ),
        ("fields_ignored", "Fields of accepted events that no route knows, by name", "field"),
        ("metrics_not_measured", "Metrics of accepted reports that were null, and were left out"),
    ),
    **_gauges(
        ("events_unknown", "Events whose commit failed or has not ended in time; stored ones move to accepted"),
        ("events_waiting", "Events received that wait for the disk"),
        ("events_pending", "Accepted events not applied yet"),
        ("bulk_bytes_held", "Bytes of bulk bodies not answered yet"),
        ("devices", "Known devices"),
    ),
}
REQUESTS = {
    **_counters(
        (
            "http_requests",
            "Requests by the status of their answer; code `none`: the client hung up before",
            *("method", "route", "code"),
        ),
        ("requests_refused", "Requests refused before there was an event, by reason", "reason"),
        ("answers_compressed", "Answers sent compressed, by coding", "coding"),
        ("answers_not_modified", "Answers 304, as the client had them"),
        ("questions_answered", "Questions answered by threads, by lane; some answers take several", "lane"),
        ("questions_refused", "Questions refused, by reason", "reason"),
        ("questions_stopped", "Questions stopped early, by reason", "reason"),
        ("changes_refused", "Changes of what is declared refused, by reason", "reason"),
        ("exports_refused", "Exports refused, by limit", "limit"),
        ("exports_ended", "Exports that ended, by how they did", "outcome"),
        ("streams_refused", "Clients of the live feed refused, by limit", "limit"),
        ("streams_ended", "Streams of the live feed that ended, by how they did", "outcome"),
        ("stream_events", "Events of the live feed, once for every scope"),
        ("stream_events_missed", "Events that clients of the live feed missed by reading too slowly"),
        ("backups_ended", "Backups that ended, by how they did", "outcome"),
        ("logins", "Tries to sign in, by what came of them", "outcome"),
        ("issuer_readings", "Questions for keys of issuers, by what came of them", "outcome"),
        (
            "audit_refusals_joined",
            "Refused requests whose audit entry does not tell their address (audit_refusals_day_max)",
        ),
        ("connections_opened", "Connections accepted"),
        ("connections_refused", "Connections closed at once, by reason", "reason"),
    ),
    **_gauges(
        ("connections", "Open connections"),
        ("rate_senders", "Keys and addresses whose rate is followed, by limit", "limit"),
        ("questions_running", "Questions that are worked on, by lane", "lane"),
        ("questions_waiting", "Questions that wait for their turn, by lane", "lane"),
        ("question_bytes_held", "Memory of questions, and of long answers that are not encoded yet"),
        ("answer_bytes_held", "Bytes of long answers not read yet"),
        ("exports_running", "Exports that have begun and have not ended"),
        ("streams", "Clients of the live feed"),
    ),
    **_histograms(
        (
            "http_request_duration_seconds",
            "Time from a request to the end of its answer; outcome is ok, refused (4xx) or failed (5xx)",
            *("method", "route", "outcome"),
        )
    ),
}
ALERTS = {
    **_counters(
        ("alert_rounds", "Rounds in which all rules were looked at"),
        ("alert_rounds_failed", "Rounds that failed and were tried again"),
        ("deliveries", "Tries to deliver messages, by what came of them", "outcome"),
        (
            "messages_dropped",
            "Messages not delivered: dead letters (`dead`), or no room in the outbox (`full`, `reminder`)",
            "reason",
        ),
    ),
    **_gauges(
        ("alerts", "Alerts that are pending or firing, by severity", "state", "severity"),
        ("alerts_without_room", "Alerts of the last round that there was no room for (alerts_open_max)"),
        ("alert_rules_failed", "Rules that could not be looked at in the last round"),
        ("alert_round_last_duration_seconds", "How long the last round computed"),
        ("outbox_messages", "Messages that wait for their delivery"),
        ("outbox_age_seconds", "How long the oldest of them has waited; 0: none waits"),
    ),
}
STORAGE = {
    **_counters(
        ("commits", "Journal commits"),
        ("commits_failed", "Journal commits that failed"),
        ("commits_busy", "Journal commits given up because another program locked it"),
        ("checkpoints", "Checkpoints taken"),
        ("checkpoints_failed", "Checkpoints that failed"),
        ("compactions", "Pieces of compaction or retention done"),
        ("compactions_failed", "Pieces of compaction or retention that failed"),
        ("blocks_removed", "Superseded files of blocks removed from the store"),
        ("blocks_given_up", "Of these, those removed early, as the disk became full"),
        ("cache_hits", "Blocks of the S3 store that were found warm on disk"),
        ("cache_misses", "Blocks of the S3 store that were fetched"),
        (
            "policy_changes_joined",
            "Changes of intervals and graces that were joined with older ones (policy_changes_max)",
        ),
        ("devices_registered", "Devices registered since the start"),
    ),
    **_gauges(
        ("journal_position", "Position of the newest entry"),
        ("journal_lag_seconds", "How long the batch that is being committed has been on its way to the disk"),
        ("apply_lag_seconds", "How long the oldest accepted event has waited to be applied to the live fleet"),
        ("entries_waiting", "Entries of the shared journal that wait here for the catalog"),
        ("entries_behind", "Entries of the shared journal up to the last one acknowledged here, not applied yet"),
        ("journal_filled_ratio", "Share of the room of a shared journal's servers that is taken; 0: it is not known"),
        ("journal_unsynced", "1 while the servers of a shared journal are not found to sync, which was accepted"),
        ("lease_holder", "1 while this node does what only one node may do, such as checkpoints and alerts"),
        ("lease_epoch", "How many terms of the lease there were, as far as this node knows"),
        ("lease_left_seconds", "How long this node has the lease without a further renewal; 0: not, or without end"),
        ("snapshot_reloads", "How often this node loaded the newest snapshot anew, since it could not follow"),
        ("catalog_version", "The version of a shared catalog that this node has in memory"),
        ("checkpoint_position", "Position of the last checkpoint"),
        ("checkpoint_timestamp_seconds", "When the last checkpoint was taken, in Unix time; 0 before the first"),
        ("compaction_timestamp_seconds", "When compaction last looked for work without failing; 0 before that"),
        ("blocks", "Files that the manifest names"),
        ("blocks_bytes", "Bytes of these files"),
        ("blocks_superseded", "Superseded files that stay for their grace"),
        ("blocks_superseded_bytes", "Bytes of these files"),
        ("blocks_unknown", "Files among the blocks that this folder did not write"),
        ("blocks_set_aside", "Blocks that are damaged or missing, and set aside"),
        ("late_blocks", "Late blocks that wait to be merged into their days"),
        ("memory_cache_bytes", "Bytes of footers and small columns of blocks in memory"),
        ("cache_bytes", "Bytes of warm blocks on disk"),
        ("samples_live", "Samples in memory that no block holds yet"),
        ("samples_doubtful", "Of these, late ones that the next checkpoint compares with earlier ones"),
        ("reception_gaps_live", "Reception gaps in memory that no block holds yet"),
        ("beat_gaps_live", "Gaps between beats in memory that no block holds yet"),
        (
            "backfill_live",
            "Stretches in memory that late beats cover and that may lie in gaps, without one for each device",
        ),
        ("late_rows", "Device-days of late data that the next checkpoint closes"),
        ("ahead_rows", "Device-days of data ahead of the open days, from devices whose clocks are ahead"),
    ),
    **_histograms(
        ("commit_duration_seconds", "Time that the journal took to append a batch and sync it"),
        ("commit_events", "Events in a commit"),
        ("checkpoint_duration_seconds", "Time that checkpoints took"),
        ("compaction_duration_seconds", "Time that pieces of compaction or retention took"),
    ),
}
FLEET = {
    **_counters(("fleet_figures_failed", "How often the figures of the fleet could not be worked out")),
    **_gauges(
        ("fleet_devices", "Devices by status", "status"),
        ("fleet_uptime_ratio", "Settled uptime of all devices together over a window that ends now", "window"),
        ("fleet_availability_ratio", "Availability of all devices together over a window that ends now", "window"),
        ("fleet_upload_time_seconds", "Quantiles of the upload times of the last hour", "quantile"),
        ("fleet_uploads", "Upload times of the last hour"),
        ("fleet_figures_timestamp_seconds", "When these figures were worked out, in Unix time; 0 before that"),
        ("fleet_figures_last_duration_seconds", "How long that took"),
        (
            "label_devices",
            "Devices by the value of a label (fleet_figures_labels) and status",
            *("label", "value", "status"),
        ),
        (
            "label_uptime_ratio",
            "Settled uptime of the devices with a value of a label over a window that ends now",
            *("label", "value", "window"),
        ),
        ("label_values_left_out", "Values of a label beyond fleet_figures_values_max, which are not shown", "label"),
    ),
}
PROCESS = {
    **_counters(
        ("heartbeat_url_pings", "Pings to heartbeat_url by outcome, sent or failed", "outcome"),
        ("otel_exports", "Messages to otel_endpoint by outcome, sent or failed", "outcome"),
    ),
    **_gauges(
        ("build_info", "1; the version that runs is in the label", "version"),
        ("ready", "1 while events are accepted"),
        ("degraded", "1 while something else does not work, see /readyz"),
        ("clock_behind", "1 while the server's clock is behind the journal"),
        ("expiry_waits", "1 while nothing expires, since the clock leapt"),
        ("disk_free_bytes", "Bytes free on the disk of the data folder"),
        ("disk_size_bytes", "Size of that disk"),
        ("threads", "Threads of the process that run Python"),
        ("loop_lag_longest_seconds", "The longest delay of the event loop since the start"),
        ("loop_lag_minute_seconds", "The longest delay of the event loop in the last minute"),
    ),
    **_histograms(("loop_lag_seconds", "How late the event loop ran a timer that was due")),
}
GROUPS: dict[str, dict[str, Family]] = {
    "The fleet": FLEET,
    "Events": EVENTS,
    "Requests and questions": REQUESTS,
    "Alerts and messages": ALERTS,
    "Journal, checkpoints and blocks": STORAGE,
    "The process": PROCESS,
}
FAMILIES = {name: family for group in GROUPS.values() for name, family in group.items()}

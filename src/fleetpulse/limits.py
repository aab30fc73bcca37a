"""How a setting is declared, and the groups of settings that stages below `app` take as they are.

A stage must not read `settings`, and `settings` must not know the stages. So a group that both need stands here, below
both, and each limit is declared once: `Settings` inherits the groups, which makes it one of each, and `app` hands it to
the stage as the group that the stage takes. "Beyond it, 413 and close" means that the request is answered with 413 and
its connection is closed.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class About:
    """What stands beside the type and the default of a setting; flag, check, help and reference come from it."""

    text: str
    unit: str = ""
    lowest: float | None = None
    highest: float | None = None
    former_name: str = ""
    """A name that the setting had before, which stays valid."""


def setting(
    default: Any, text: str, unit: str = "", lowest: float | None = None, highest: float | None = None, **more: str
) -> Any:
    """Declare a setting as a field of a group; the arguments are those of `About`."""
    return field(default=default, metadata={"about": About(text, unit, lowest, highest, **more)})


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Connections and requests."""

    header_bytes_max: int = setting(16_384, "Size of a request's header; beyond it, 431 and close.", "bytes", 512)
    header_count_max: int = setting(64, "Header lines of a request; beyond it, 431 and close.", "headers", 4)
    body_bytes_max: int = setting(65_536, "Size of a body, bulk aside; beyond it, 413 and close.", "bytes", 128)
    first_byte_s: float = setting(10.0, "Time to the first byte of a connection; after it, close.", "s", 0.1)
    header_s: float = setting(10.0, "Time from the first byte to the whole header; after it, 408 and close.", "s", 0.1)
    body_s: float = setting(30.0, "Time from the header to the whole body; after it, 408 and close.", "s", 0.1)
    idle_s: float = setting(75.0, "Time between two requests of a connection; after it, close.", "s", 0.1)
    write_s: float = setting(30.0, "Time that answers may stay unread; after it, the connection is cut off.", "s", 0.1)
    connections_max: int = setting(16_384, "Open connections; further ones are closed at once.", "connections", 1)
    connections_per_address_max: int = setting(
        4_096, "Open connections of one address; further ones are closed at once.", "connections", 1
    )


@dataclass(frozen=True, kw_only=True)
class BulkLimits:
    """Bulk bodies."""

    bulk_body_bytes_max: int = setting(8_388_608, "Size as it is sent; beyond it, 413 and close.", "bytes", 1024)
    decompressed_bytes_max: int = setting(67_108_864, "Size after decompression; beyond it, 413.", "bytes", 1024)
    decompress_ratio_max: int = setting(
        100, "Ratio of these sizes, where the second is above bulk_body_bytes_max; beyond it, 413.", lowest=2
    )
    bulk_bytes_held_max: int = setting(
        268_435_456, "Size of all bulk bodies in memory; beyond it, 503 with Retry-After.", "bytes", 1024
    )
    bulk_at_once_max: int = setting(4, "Bodies decompressed and read at the same time; others wait.", "bodies", 1)
    bulk_lines_max: int = setting(200_000, "Lines, at most events_waiting_max; beyond it, 413.", "lines", 1)
    line_bytes_max: int = setting(65_536, "Size of a line; beyond it, the line is refused.", "bytes", 128)
    gzip_members_max: int = setting(
        1_024, "Parts of a gzip body, as files that were joined have them; beyond it, 413.", "members", 1
    )
    zstd_window_bytes_max: int = setting(
        8_388_608, "Memory that a zstd body may ask for; beyond it, 413.", "bytes", 1_024, 2_147_483_648
    )
    csv_bad_records_max: int = setting(
        1_000, "Badly quoted records of a CSV of devices; beyond it, all of it is refused (400).", "records", 0
    )
    refusals_listed_max: int = setting(
        100, "Refused lines that an answer lists; it also tells how many there were.", "lines", 1
    )
    changes_listed_max: int = setting(
        100, "Changed devices whose fields an answer lists; it also tells how many there were.", "devices", 1
    )


@dataclass(frozen=True, kw_only=True)
class EventLimits:
    """Events and reports."""

    report_metrics_max: int = setting(256, "Metrics in one report; beyond it, 422.", "metrics", 1, 65_535)
    events_waiting_max: int = setting(
        262_144, "Events that wait for the disk; beyond it, 503 with Retry-After.", "events", 1
    )
    future_s: float = setting(
        86_400.0, "How far sent_at may be ahead of the server's clock; beyond it, 422.", "s", 0, 1e9
    )
    backlog_after_s: float = setting(
        3_600.0, "Age of sent_at from which on a single report is a backlog, which is refused before others.", "s", 1
    )
    unknown_fields_max: int = setting(
        10_000, "Names of ignored fields that are counted, of all devices together; others share one.", "names", 0
    )
    earliest: str = setting(
        "2020-01-01T00:00:00Z", "Earliest sent_at; an earlier one is of a clock that was never set: 422."
    )

    @property
    def earliest_ns(self) -> int:
        """`earliest` in nanoseconds since 1970. Raises: ValueError: it is no time with a time zone from 1970 on."""
        moment = datetime.fromisoformat(self.earliest)
        if moment.tzinfo is None or moment < datetime(1970, 1, 1, tzinfo=UTC):
            raise ValueError(self.earliest)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000


@dataclass(frozen=True, kw_only=True)
class IngestLimits(ConnectionLimits, BulkLimits, EventLimits):
    """What a connection, a body and a report may cost the service: all limits of the stage `ingest`."""


@dataclass(frozen=True, kw_only=True)
class DiskLimits:
    """Space on the disk."""

    disk_free_low_bytes: int = setting(
        1_073_741_824,
        "Free space, at most a tenth of the disk, below which backlogs and bulk bodies are refused (503 `disk_low`).",
        "bytes",
        0,
    )
    disk_free_least_bytes: int = setting(
        134_217_728,
        "Free space, at most a fiftieth of the disk, below which nothing is accepted (503 `disk_low`).",
        "bytes",
        0,
    )
    disk_reserve_bytes: int = setting(
        16_777_216, "Size of a file that is given up when the disk is full, so that a checkpoint fits.", "bytes", 0
    )


@dataclass(frozen=True, kw_only=True)
class ClockLimits:
    """The server's clock."""

    clock_tolerance_s: float = setting(
        5.0, "How far the clock may be behind the latest time in the journal; beyond it, events get 503.", "s", 0, 3_600
    )
    clock_offset_s: float = setting(
        1.0, "How far the clocks of nodes may be off the database's; beyond it, /readyz says so.", "s", 0.01, 4
    )
    clock_offset_max_s: float = setting(
        4.0, "How far the clocks of nodes may be off the database's; beyond it, events get 503 `clock`.", "s", 0.01, 4
    )
    clock_leap_s: float = setting(
        60.0, "A step of the clock that is longer is a leap, after which nothing expires for a while.", "s", 1
    )
    clock_leap_wait_s: float = setting(3_600.0, "Time after a leap in which nothing expires.", "s", 0, 604_800)
    clock_leap_days_max: int = setting(
        400, "After a leap that is longer, nothing expires until `fleetpulse clock accept`.", "days", 1
    )


@dataclass(frozen=True, kw_only=True)
class QuestionLimits:
    """Questions."""

    window_days_max: int = setting(3_660, "Length of a question's window; beyond it, 422.", "days", 1, 36_500)
    cells_max: int = setting(100_000, "Figures in one answer (groups × steps × metrics); beyond it, 422.", "figures", 1)
    question_memory_max: int = setting(
        268_435_456, "Memory that one question may take while it is worked out; beyond it, 422.", "bytes", 1_048_576
    )
    questions_memory_max: int = setting(
        1_073_741_824,
        "Memory that all questions may take together; beyond it, 503 with Retry-After.",
        "bytes",
        1_048_576,
    )
    question_timeout_s: float = setting(
        30.0, "Time until a question is stopped, its waiting included; after it, 503 with Retry-After.", "s", 0.1, 3_600
    )
    position_wait_s: float = setting(
        5.0,
        "Time that a question waits for events of other nodes that it must see; after it, 503 with Retry-After.",
        "s",
        0,
        3_600,
    )
    small_question_ms: float = setting(
        100.0,
        "Estimated work up to which a question is small; small ones never wait behind big ones.",
        "ms",
        0,
        3_600_000,
    )
    questions_small_running_max: int = setting(
        1, "Small questions that are worked on at the same time; others wait.", "questions", 1, 64
    )
    questions_small_waiting_max: int = setting(
        512, "Small questions that wait for their turn; beyond it, 503 with Retry-After.", "questions", 1
    )
    questions_computing_max: int = setting(
        0,
        "Questions and exports that compute at the same moment, in turns; 0: half as many as there are processors.",
        "threads",
        0,
        64,
    )
    questions_big_running_max: int = setting(
        1, "Big questions that are worked on at the same time; others wait.", "questions", 1, 64
    )
    questions_big_waiting_max: int = setting(
        64, "Big questions that wait for their turn; beyond it, 503 with Retry-After.", "questions", 1
    )
    answer_bytes_held_max: int = setting(
        67_108_864,
        "Size of all long answers that are made and not read, half of it for one client; beyond it, 503 with "
        "Retry-After.",
        "bytes",
        1_048_576,
    )
    answer_bytes_per_s_lowest: int = setting(
        16_384,
        "Average rate at which a client must read a long answer, after 30 s of grace; below it, the connection is cut.",
        "bytes a second",
        0,
    )
    csv_devices_per_s_lowest: int = setting(
        2_000,
        "Lowest rate at which the list of devices as CSV is made, beyond question_timeout_s; below it, 503.",
        "devices a second",
        1,
    )
    types_max: int = setting(100, "Metrics in one question; beyond it, 422.", "metrics", 1, 65_535)
    fleet_steps_max: int = setting(
        400, "Steps of a series of the whole fleet's uptime; beyond it, 422.", "steps", 1, 1_000_000
    )
    groups_max: int = setting(10_000, "Groups in an answer about the fleet's uptime; beyond it, 422.", "groups", 1)
    transitions_listed_max: int = setting(
        10_000, "Changes of status that an answer lists; with more, it says from where to ask on.", "changes", 1
    )
    intervals_listed_max: int = setting(
        10_000, "Intervals that an answer with `explain` lists; with more, it says `capped`.", "intervals", 1
    )
    compress_bytes_lowest: int = setting(
        1_024, "Size of an answer from which on it is compressed, where the client offers it.", "bytes", 0
    )


@dataclass(frozen=True, kw_only=True)
class ExportLimits:
    """Exports."""

    exports_max: int = setting(8, "Exports at the same time; beyond it, 503 with Retry-After.", "exports", 1)
    export_bytes_per_s_lowest: int = setting(
        16_384,
        "Average rate at which a client must read an export or a backup, after 30 s; below it, the connection is cut.",
        "bytes a second",
        0,
    )


@dataclass(frozen=True, kw_only=True)
class RetentionLimits:
    """Retention."""

    reception_gap_days: int = setting(
        0,
        "Days that gaps are kept, from which uptime, availability and status of the past come; 0: for ever.",
        "days",
        0,
        36_500,
    )
    retention_grace_s: int = setting(
        86_400,
        "Time after a retention became shorter in which nothing more is deleted, and it can be taken back.",
        "s",
        0,
        31_536_000,
    )


@dataclass(frozen=True, kw_only=True)
class AuditLimits:
    """Audit log."""

    audit_retention_days: int = setting(
        400, "Days that entries of the audit log are kept; 0: for ever.", "days", 0, 36_500
    )
    audit_refusals_day_max: int = setting(
        500, "Entries a day about refused authentications; beyond it, one an hour and reason.", "entries", 1, 1_000_000
    )
    audit_refusals_address_max: int = setting(
        50, "Of these, entries about one address, or one network of 64 bits of IPv6.", "entries", 1, 1_000_000
    )
    audit_addresses_max: int = setting(
        1_000, "Addresses whose refused authentications are counted apart at one time.", "addresses", 1, 1_000_000
    )


@dataclass(frozen=True, kw_only=True)
class BlockGrace:
    """Superseded files."""

    block_grace_h: float = setting(
        24.0,
        "Time that replaced files of blocks stay, so that an older copy of the data folder still starts.",
        "h",
        0,
        8_760,
    )
    block_grace_bytes_max: int = setting(
        4_294_967_296,
        "Size of the replaced files that stay; beyond it, the oldest are removed before their time.",
        "bytes",
        0,
    )


@dataclass(frozen=True, kw_only=True)
class CheckpointTriggers:
    """Checkpoints."""

    checkpoint_s: float = setting(300.0, "Time between two checkpoints.", "s", 0.1)
    checkpoint_journal_entries: int = setting(
        200_000, "Journal entries since the last checkpoint that bring the next one early.", "entries", 1
    )
    checkpoint_late_rows: int = setting(
        200_000,
        "Late data in memory that brings a checkpoint early: days of devices, and stretches that late beats cover.",
        "rows",
        1,
    )
    late_blocks_max: int = setting(
        32,
        "Blocks of late data that may wait to be merged into their days; beyond, bulk bodies and old reports wait.",
        "blocks",
        1,
    )
    checkpoint_samples: int = setting(2_000_000, "Samples in memory that bring a checkpoint early.", "samples", 1)
    checkpoint_reception_gaps: int = setting(
        200_000, "Gaps in memory that bring a checkpoint early.", "gaps", 1, former_name="checkpoint_silences"
    )

"""How a setting is declared, and the groups of settings that stages below `app` take as they are.

A stage must not read `settings`, and `settings` must not know the stages. So a group that both need stands here, below
both, and each limit is declared once: `Settings` inherits the groups, which makes it one of each, and `app` hands it to
the stage as the group that the stage takes.
"""

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Setting:
    """What stands beside the type and the default of a setting; flag, check, help and reference come from it."""

    text: str
    unit: str = ""
    lowest: float | None = None
    highest: float | None = None
    former_name: str = ""
    """A name that the setting had before, which stays valid."""


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Connections and requests."""

    header_bytes_max: Annotated[
        int, Setting("Size of a request's header; a larger one gets 431 and its connection is closed.", "bytes", 512)
    ] = 16_384
    header_count_max: Annotated[
        int, Setting("Header lines of a request; more get 431 and the connection is closed.", "headers", 4)
    ] = 64
    body_bytes_max: Annotated[
        int,
        Setting("Size of a body that is not bulk; a larger one gets 413 and its connection is closed.", "bytes", 128),
    ] = 65_536
    first_byte_s: Annotated[
        float, Setting("Time to the first byte of a new connection, which is closed after it.", "s", 0.1)
    ] = 10.0
    header_s: Annotated[
        float,
        Setting("Time from the first byte to the whole header; after it, 408 and the connection is closed.", "s", 0.1),
    ] = 10.0
    body_s: Annotated[
        float, Setting("Time from the header to the whole body; after it, 408 and the connection is closed.", "s", 0.1)
    ] = 30.0
    idle_s: Annotated[
        float, Setting("Time between two requests of a connection, which is closed after it.", "s", 0.1)
    ] = 75.0
    write_s: Annotated[
        float,
        Setting("Time that a client may leave its answers unread; after it, the connection is cut off.", "s", 0.1),
    ] = 30.0
    connections_max: Annotated[int, Setting("Open connections; further ones are closed at once.", "connections", 1)] = (
        16_384
    )
    connections_per_address_max: Annotated[
        int, Setting("Open connections of one address; further ones are closed at once.", "connections", 1)
    ] = 4_096


@dataclass(frozen=True, kw_only=True)
class BulkLimits:
    """Bulk bodies."""

    bulk_body_bytes_max: Annotated[
        int,
        Setting(
            "Size of a bulk body as it is sent; a larger one gets 413 and its connection is closed.", "bytes", 1024
        ),
    ] = 8_388_608
    decompressed_bytes_max: Annotated[
        int, Setting("Size of a bulk body after decompression; a larger one gets 413.", "bytes", 1024)
    ] = 67_108_864
    decompress_ratio_max: Annotated[
        int,
        Setting(
            "Decompressed over compressed size of a bulk body that decompresses to more than bulk_body_bytes_max; "
            "a larger ratio gets 413.",
            lowest=2,
        ),
    ] = 100
    bulk_bytes_held_max: Annotated[
        int, Setting("Size of all bulk bodies in memory; beyond it, 503 with Retry-After.", "bytes", 1024)
    ] = 268_435_456
    bulk_at_once_max: Annotated[
        int, Setting("Bulk bodies that are decompressed and read at the same time; further ones wait.", "bodies", 1)
    ] = 4
    bulk_lines_max: Annotated[
        int, Setting("Lines of a bulk body, at most events_waiting_max; more get 413.", "lines", 1)
    ] = 200_000
    refusals_listed_max: Annotated[
        int, Setting("Refused lines that the answer to a bulk body lists; it tells how many there were.", "lines", 1)
    ] = 100


@dataclass(frozen=True, kw_only=True)
class EventLimits:
    """Events and reports."""

    report_metrics_max: Annotated[int, Setting("Metrics in one report; more get 422.", "metrics", 1, 65_535)] = 256
    events_waiting_max: Annotated[
        int, Setting("Events that wait for the disk; beyond it, 503 with Retry-After.", "events", 1)
    ] = 262_144
    future_s: Annotated[
        float, Setting("How far sent_at may be ahead of the server's clock; further ahead gets 422.", "s", 0, 1e9)
    ] = 86_400.0


@dataclass(frozen=True, kw_only=True)
class IngestLimits(ConnectionLimits, BulkLimits, EventLimits):
    """What a connection, a body and a report may cost the service: all limits of the stage `ingest`."""


@dataclass(frozen=True, kw_only=True)
class QuestionLimits:
    """Questions."""

    window_days_max: Annotated[
        int, Setting("Length of the window of a question; a longer one gets 422.", "days", 1, 36_500)
    ] = 3_660
    cells_max: Annotated[
        int, Setting("Figures in one answer (groups × steps × metrics); more get 422.", "figures", 1)
    ] = 100_000


@dataclass(frozen=True, kw_only=True)
class CheckpointTriggers:
    """Checkpoints."""

    checkpoint_s: Annotated[float, Setting("Time between two checkpoints.", "s", 0.1)] = 300.0
    checkpoint_journal_entries: Annotated[
        int, Setting("Journal entries since the last checkpoint that bring the next one early.", "entries", 1)
    ] = 200_000
    checkpoint_late_rows: Annotated[
        int, Setting("Late data in memory that brings a checkpoint early.", "device-days", 1)
    ] = 200_000
    checkpoint_samples: Annotated[int, Setting("Samples in memory that bring a checkpoint early.", "samples", 1)] = (
        2_000_000
    )
    checkpoint_reception_gaps: Annotated[
        int,
        Setting(
            "Reception gaps in memory that bring a checkpoint early.", "gaps", 1, former_name="checkpoint_silences"
        ),
    ] = 200_000

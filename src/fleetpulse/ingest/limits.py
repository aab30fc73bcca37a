"""The limits of the edge as plain values; `settings.py` documents each and gives its default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may cost us. Sizes in bytes, times in seconds."""

    header_bytes_max: int
    header_count_max: int
    body_bytes_max: int
    bulk_body_bytes_max: int
    decompressed_bytes_max: int
    decompress_ratio_max: int
    bulk_bytes_held_max: int
    bulk_at_once_max: int
    bulk_lines_max: int
    refusals_listed_max: int
    first_byte_s: float
    header_s: float
    body_s: float
    idle_s: float
    write_s: float
    connections_max: int
    connections_per_address_max: int
    events_waiting_max: int
    future_s: float

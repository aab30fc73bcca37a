"""The limits of the edge as plain values; `settings.py` documents each and gives its default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may cost us. Sizes in bytes, times in seconds."""

    header_bytes_max: int = 16_384
    header_count_max: int = 64
    body_bytes_max: int = 65_536
    bulk_body_bytes_max: int = 8_388_608
    decompressed_bytes_max: int = 67_108_864
    decompress_ratio_max: int = 100
    bulk_lines_max: int = 200_000
    refusals_listed_max: int = 100
    first_byte_s: float = 10.0
    header_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 75.0
    connections_max: int = 16_384
    connections_per_address_max: int = 4_096
    events_waiting_max: int = 262_144
    future_s: float = 86_400.0

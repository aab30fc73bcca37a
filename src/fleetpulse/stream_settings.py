"""The settings of the live feed, which `pipeline` takes as a group; see `limits.py`."""

from dataclasses import dataclass

from fleetpulse.limits import setting


@dataclass(frozen=True, kw_only=True)
class StreamLimits:
    """Live feed."""

    streams_max: int = setting(
        2_000, "Clients of the live feed at the same time; beyond it, 503 with Retry-After.", "clients", 1, 1_000_000
    )
    streams_per_address_max: int = setting(
        200, "Of these, clients from one address; beyond it, 503 with Retry-After.", "clients", 1, 1_000_000
    )
    streams_per_key_max: int = setting(
        100, "Of these, clients with one key, or of one person; beyond it, 503 with Retry-After.", "clients", 1,
        1_000_000,
    )  # fmt: skip
    stream_scopes_max: int = setting(
        100, "Different scopes of these clients; beyond it, 503 with Retry-After.", "scopes", 1, 10_000
    )
    stream_events_kept: int = setting(
        4_096,
        "Events of a scope that clients may be behind, or come back to; beyond it, they are told how many they missed.",
        "events",
        16,
        1_000_000,
    )
    stream_events_per_s_max: int = setting(
        200, "Changes of one second and scope that are told one by one; the others in a summary.", "events", 1, 10_000
    )

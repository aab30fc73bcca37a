"""Which declarations an answer was computed from, so that nobody takes another answer later for a mistake."""

from fleetpulse.model.declared import DeclaredVersion
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.window import Window


def declarations_used(declared: DeclaredVersion, window: Window, *, devices: int) -> DeclarationsUsed:
    """What an answer about a window says of declarations. Args: devices: how many it counts."""
    version, changed_at_ns = declared
    return DeclarationsUsed(
        version=version,
        changed_at=format_rfc3339(changed_at_ns) if version else None,
        devices=devices,
        changed_after_window=changed_at_ns >= window.end_ns if version else None,
    )
